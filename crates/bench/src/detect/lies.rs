//! Liars judged by an honest validator: how many of their answers are caught, and how long one waits.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use engine::tempered_logprob;
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{Domain, DtypeTerm, Outcome, Rollout, Submission};
use serde_json::{Value, json};
use sim::liars::{Cheat, Ring, int4, int8};
use verify::{Evidence, Worker, WorkerActor, prefill, prove, weights_hash};

use super::DetectArguments;
use super::drift::spread;
use super::scene::{Scene, VERSION};

/// Liars whose answers one validator can judge one by one.
const CHEATS: [Cheat; 10] = [
    Cheat::Int8Weights,
    Cheat::Int4Weights,
    Cheat::BestOfN,
    Cheat::CheapSampler,
    Cheat::OtherWeights,
    Cheat::SmallerModel,
    Cheat::WrongTemperature,
    Cheat::EditedTokens,
    Cheat::EarlyStop,
    Cheat::ForgedLogprobs,
];

/// Measures the liars, one row each.
pub(super) fn measure(arguments: &DetectArguments, scene: &Scene) -> Result<Value> {
    let groups = u64::from(arguments.rollouts.div_ceil(arguments.group_size));
    let at_once = u64::from(32u32.div_ceil(arguments.group_size));
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let mut worker = Worker::new(scene.worker_setup());
    worker.weights(VERSION, &scene.snapshot)?;
    let honest = scene.answers(&mut worker, groups, at_once)?;
    drop(worker);
    let mut rows = Vec::new();
    if wanted("honest") {
        rows.push(row(scene, "honest", &honest, &honest)?);
    }
    for cheat in CHEATS.into_iter().filter(|cheat| wanted(cheat.as_str())) {
        let Some(mut liar) = sim::liars::worker(cheat, scene.worker_setup(), &Ring::default()) else {
            bail!("{cheat} is no worker's lie")
        };
        liar.weights(VERSION, &scene.snapshot)?;
        rows.push(row(scene, cheat.as_str(), &scene.answers(&mut *liar, groups, at_once)?, &honest)?);
    }
    for (name, weights) in other_weights(scene, &wanted) {
        let mut worker = Worker::new(scene.worker_setup());
        worker.hold(VERSION, &weights, weights_hash(&scene.snapshot))?;
        drop(weights);
        rows.push(row(scene, &name, &scene.answers(&mut worker, groups, at_once)?, &honest)?);
    }
    for (name, weights) in [("int8_sampler", int8 as fn(&_) -> _), ("int4_sampler", int4)] {
        if wanted(name) {
            rows.push(row(scene, name, &cheaply_sampled(scene, &weights(&scene.snapshot), groups, at_once)?, &honest)?);
        }
    }
    Ok(json!({
        "group_size": arguments.group_size,
        "check_fraction": arguments.check_fraction,
        "windows": "[rollouts, windows, windows with a catch]",
        "rows": rows,
    }))
}

/// Weights that differ little: rounded to bf16, or one step of training away.
fn other_weights(scene: &Scene, wanted: &impl Fn(&str) -> bool) -> Vec<(String, ModelSnapshot)> {
    let mut all = Vec::new();
    if wanted("bf16_weights") {
        all.push(("bf16_weights".to_owned(), bf16(&scene.snapshot)));
    }
    for (lr, weights) in &scene.next {
        let name = format!("one_step_off_at_{lr}");
        if wanted(&name) {
            all.push((name, weights.clone()));
        }
    }
    all
}

/// Answers whose tokens are by `cheap` weights, and all else as an honest worker would send with these tokens.
fn cheaply_sampled(scene: &Scene, cheap: &ModelSnapshot, groups: u64, at_once: u64) -> Result<Vec<Submission>> {
    let mut worker = Worker::new(scene.worker_setup());
    worker.hold(VERSION, cheap, weights_hash(&scene.snapshot))?;
    let drawn = scene.answers(&mut worker, groups, at_once)?;
    drop(worker);
    let dtype = match scene.terms.sampling.dtype {
        DtypeTerm::F32 => WeightDtype::F32,
        DtypeTerm::Bf16 => WeightDtype::Bf16,
    };
    let model = InferenceModel::from_snapshot(&scene.snapshot, dtype, &scene.device);
    let width = model.config().hidden_size;
    let temperature = scene.terms.sampling.temperature;
    let prove_again = |Submission { lease, mut rollouts, .. }: Submission| {
        let completions: Vec<&[u32]> = rollouts.iter().map(|rollout| rollout.completion_tokens.as_slice()).collect();
        let seen = prefill(&model, &rollouts[0].prompt_tokens, &completions, |row| {
            tempered_logprob(row.logits, temperature, row.token).unwrap_or(0.0) // true weights give numbers
        })?;
        for (rollout, seen) in rollouts.iter_mut().zip(seen) {
            let seed = lease.body.sample_seed(Domain::Train, rollout.sample_index);
            let Evidence { activation_proof, fingerprint } = prove(&seen.hidden, width, &seed)?;
            *rollout = Rollout { logprobs: seen.rows, activation_proof, fingerprint, ..rollout.clone() };
        }
        scene.signed(&lease, rollouts)
    };
    drawn.into_iter().map(prove_again).collect()
}

fn bf16(snapshot: &ModelSnapshot) -> ModelSnapshot {
    let round = |value: &f32| half::bf16::from_f32(*value).to_f32();
    let values = snapshot.values().iter().map(|values| values.iter().map(round).collect()).collect();
    ModelSnapshot::new(snapshot.config().clone(), values).expect("the shapes are the same")
}

/// Judges every answer and counts.
fn row(scene: &Scene, name: &str, answers: &[Submission], honest: &[Submission]) -> Result<Value> {
    let mut validator = scene.validator()?;
    let mut checks: BTreeMap<&str, u32> = BTreeMap::new();
    let mut caught = Vec::with_capacity(answers.len());
    let mut differ = Vec::with_capacity(answers.len());
    let mut checked = Vec::new();
    for (answer, honest) in answers.iter().zip(honest) {
        let verdict = scene.judge(&mut validator, answer);
        let invalid = match verdict.outcome {
            Outcome::Valid => false,
            Outcome::Invalid(reason) => {
                *checks.entry(reason.check.as_str()).or_default() += 1;
                true
            }
            Outcome::Unchecked(cause) => bail!("{name}: {cause:?}"),
        };
        caught.push(invalid);
        differ.push(answer.rollouts != honest.rollouts);
        checked.extend(verdict.checked);
    }
    let count = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count();
    let lies_caught = caught.iter().zip(&differ).filter(|(caught, differ)| **caught && **differ).count();
    let line = json!({
        "liar": name,
        "answers": caught.len(),
        "caught": count(&caught),
        "answers_that_differ_from_honest": count(&differ),
        "caught_of_these": lies_caught,
        "by": checks,
        "longest_run_uncaught": longest_run(&caught),
        "windows": [windows(&caught, 8), windows(&caught, 64)],
        "numbers": spread(&checked),
    });
    eprintln!("{line}");
    Ok(line)
}

fn longest_run(caught: &[bool]) -> usize {
    caught.split(|&caught| caught).map(<[bool]>::len).max().unwrap_or(0)
}

/// `[length, whole windows of that length, those with a catch]`.
fn windows(caught: &[bool], length: usize) -> [usize; 3] {
    let windows = caught.chunks_exact(length);
    [length, windows.len(), windows.filter(|window| window.contains(&true)).count()]
}
