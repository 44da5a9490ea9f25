//! The first steps of the run that `essaim run` makes, made on the CPU and made again on a card.
//!
//! The card is the one that `ESSAIM_TEST_DEVICE` names, `wgpu:0` without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use burn::tensor::Device;
use node::config::{self, Layers, RunConfig};
use node::evidence::{Place, Reach, StoredGroup, recheck, take_out};
use node::run::{checkpoint::Checkpoint, learning, setup};
use ops::DeviceSpec;
use protocol::{Outcome, VerifiedGroup};
use record::events::{Event, GroupAccepted};
use record::run_dir;
use record::store::{EventLog, StoreError};
use safetensors::SafeTensors;
use tempfile::TempDir;
use train::{BehaviourLogprobs, TrainRollout, Trainer, group_advantages};

/// Steps of the run. Its rollouts come from at least four versions of the weights, those of the first five steps among them.
const STEPS: u64 = 7;
/// Groups of each version of the weights from which a gradient is made: a batch of the run has 32.
const GROUPS: usize = 32;
/// Largest difference of a gradient from the CPU's, relative to the largest of its tensor. Measured on lavapipe beside AMX: 2e-5
/// to 1e-4 over eight versions.
const GRADIENT_TOLERANCE: f32 = 1e-3;

fn card() -> String {
    std::env::var("ESSAIM_TEST_DEVICE").unwrap_or_else(|_| "wgpu:0".into())
}

fn essaim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
    command.args(arguments);
    command
}

fn out(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The run of `essaim run` on the CPU, with the weights of every step.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made-on-the-cpu");
        let _ = std::fs::remove_dir_all(&folder); // not there the first time
        let steps = format!("stop.steps={STEPS}");
        let sets = [steps.as_str(), "checkpoint.interval_steps=1", "checkpoint.keep=100"];
        let sets = sets.into_iter().flat_map(|set| ["--set", set]);
        out(essaim(&["run", "--out", folder.to_str().unwrap()]).args(sets));
        folder
    })
}

fn accepted(run: &Path) -> Vec<GroupAccepted> {
    let mut groups = Vec::new();
    let log = EventLog::open_to_read(&run_dir::events_path(run)).unwrap();
    log.replay(1, |recorded| {
        if let Event::GroupAccepted(group) = recorded.event {
            groups.push(group);
        }
        Ok::<(), StoreError>(())
    })
    .unwrap();
    groups
}

#[test]
fn rollouts_made_on_the_cpu_are_valid_on_a_card() {
    let places = Place::in_folder(made()).unwrap();
    let mut judged: BTreeMap<u64, usize> = BTreeMap::new();
    let (mut rollouts, mut lost, mut logprob, mut fingerprint) = (0, 0, 0, 0);
    for group in accepted(made()) {
        let stored = take_out(made(), Some(group.lease)).unwrap();
        let found = recheck(&stored, &places, Reach::OwnRun, &card(), false).unwrap();
        assert_eq!(found.verdict.outcome, Outcome::Valid, "lease {}", group.lease);
        *judged.entry(group.weight_version).or_default() += 1;
        for checked in &found.verdict.checked {
            (rollouts, lost) = (rollouts + 1, lost + checked.tokens_lost);
            logprob = logprob.max(checked.logprob_error_max_micro);
            fingerprint = fingerprint.max(checked.fingerprint_error_ppm);
        }
    }
    println!(
        "groups by version {judged:?}; of {rollouts} rollouts {lost} tokens lost, logprob {logprob}e-6, fingerprint \
         {fingerprint} ppm"
    );
    assert!(judged.len() >= 4 && judged.values().sum::<usize>() >= 100, "{judged:?}");
}

#[test]
fn the_command_line_judges_on_a_card() {
    let lease = accepted(made()).last().unwrap().lease.to_string();
    let run = made().to_str().unwrap();
    let text = out(&mut essaim(&["verify", run, "--lease", &lease, "--all", "--device", &card(), "--json"]));
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["outcome"], "valid", "{found}");
}

/// The groups that weights of a version made.
fn groups_of(version: u64) -> Vec<StoredGroup> {
    let of_version = |group: &GroupAccepted| group.weight_version == version;
    accepted(made())
        .iter()
        .filter(|group| of_version(group))
        .take(GROUPS)
        .map(|group| take_out(made(), Some(group.lease)).unwrap())
        .collect()
}

fn config_of(group: &StoredGroup) -> RunConfig {
    let mut layers = Layers::default();
    layers.add_text("the stored run file", &group.config_toml).unwrap();
    config::from_layers(&layers).unwrap()
}

fn batch(config: &RunConfig, groups: &[StoredGroup], first_advantage: f32) -> Vec<TrainRollout> {
    let verified = |group: &StoredGroup| {
        VerifiedGroup::new(&group.terms, group.submission.clone(), group.verdicts.clone()).unwrap()
    };
    let groups: Vec<VerifiedGroup> = groups.iter().map(verified).collect();
    let rollouts: Vec<_> = groups.iter().flat_map(VerifiedGroup::rollouts).collect();
    let rewards: Vec<f32> = rollouts.iter().map(|rollout| rollout.rollout().reward_micro as f32 / 1e6).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.group().rollouts.len()).collect();
    let mut advantages = group_advantages(&rewards, &sizes, setup::advantage_scale(config)).unwrap();
    advantages[0] += first_advantage;
    let rollout = |(rollout, advantage)| {
        TrainRollout::new(rollout, advantage, config.rollout.temperature, BehaviourLogprobs::Worker).unwrap()
    };
    rollouts.iter().zip(advantages).map(rollout).collect()
}

/// A new trainer's first moments after one step from the weights of a checkpoint, `(1 - β1)` times the clipped gradient.
fn gradients(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    batch: &[TrainRollout],
    device: &Device,
) -> Vec<(String, Vec<f32>)> {
    let tasks = setup::run_tasks(config, false).unwrap();
    let (_, model) = setup::model(config, &tasks, &device.clone().autodiff()).unwrap();
    let mut trainer = learning::rl_trainer(config, model.clone()).unwrap();
    trainer.load(&checkpoint.trainer()).unwrap();
    let model = trainer.into_model();
    let mut trainer: Trainer = learning::rl_trainer(config, model).unwrap();
    trainer.step(batch).unwrap();
    let folder = TempDir::new().unwrap();
    let folder = folder.path().join("trainer");
    trainer.save(&folder).unwrap();
    let bytes = std::fs::read(folder.join("moment1.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let mut all: Vec<(String, Vec<f32>)> =
        file.tensors().into_iter().map(|(name, tensor)| (name, values(tensor.data()))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The largest difference, relative to the largest number of its tensor, and the name of that tensor.
fn difference<'a>(given: &[(String, Vec<f32>)], expected: &'a [(String, Vec<f32>)]) -> (f32, &'a str) {
    assert_eq!(given.len(), expected.len());
    let of = |(given, expected): (&(String, Vec<f32>), &'a (String, Vec<f32>))| {
        assert_eq!((&given.0, given.1.len()), (&expected.0, expected.1.len()));
        let largest = expected.1.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        assert!(largest > 0.0 && given.1.iter().all(|value| value.is_finite()), "{}", given.0);
        let most = given.1.iter().zip(&expected.1).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        (most / largest, expected.0.as_str())
    };
    given.iter().zip(expected).map(of).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn gradients_on_a_card_are_those_of_the_cpu() {
    let cpu = DeviceSpec::Cpu.open().unwrap();
    let device = card().parse::<DeviceSpec>().unwrap().open().unwrap();
    let checkpoints = Checkpoint::all(&made().join("checkpoints")).unwrap();
    let mut compared = 0;
    for checkpoint in &checkpoints {
        let groups = groups_of(checkpoint.step);
        let Some(config) = groups.first().map(config_of) else { continue };
        let batch_of = |first_advantage| batch(&config, &groups, first_advantage);
        let given = gradients(&config, checkpoint, &batch_of(0.0), &device);
        let expected = gradients(&config, checkpoint, &batch_of(0.0), &cpu);
        let (most, name) = difference(&given, &expected);
        println!("version {}, {} groups: {most:e}, in {name}", checkpoint.step, groups.len());
        assert!(most <= GRADIENT_TOLERANCE, "version {}: {most:e} in {name}", checkpoint.step);
        if compared == 0 {
            // One rollout of hundreds with another advantage is seen.
            let wrong = gradients(&config, checkpoint, &batch_of(0.5), &device);
            assert!(difference(&wrong, &expected).0 > GRADIENT_TOLERANCE);
        }
        compared += 1;
    }
    assert!(compared >= 4, "{compared} of {} checkpoints", checkpoints.len());
}

#[test]
fn a_run_on_a_card_is_valid_on_the_cpu() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("made-on-a-card");
    let _ = std::fs::remove_dir_all(&folder); // not there the first time
    let sets = [
        "stop.steps=2",
        "sft.steps=4",
        "eval.items=16",
        "rollout.prompts_per_step=4",
        "run.mode=sequential",
        "checkpoint.interval_steps=1",
        "checkpoint.keep=100",
    ];
    let sets = sets.into_iter().flat_map(|set| ["--set", set]);
    let run = folder.to_str().unwrap();
    out(essaim(&["run", "--out", run, "--device", &card()]).args(sets));
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["steps"], 2, "{summary}");
    for group in accepted(&folder) {
        let lease = group.lease.to_string();
        let text = out(&mut essaim(&["verify", run, "--lease", &lease, "--all", "--json"]));
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["outcome"], "valid", "{found}");
    }
}
