//! What proofs and checks cost beside generation: the real worker and the real validator, one after
//! the other on all cores, over random weights.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use burn::tensor::Device;
use clap::Args;
use engine::EngineConfig;
use model::{ModelSnapshot, Transformer};
use ops::DeviceSpec;
use protocol::{
    BeaconPoint, BeaconTerms, CheckOrder, DtypeTerm, Keypair, Outcome, PromptLease, Record, RunTerms, SamplingTerms,
    Signed, Submission, TaskIndex,
};
use serde_json::{Value, json};
use tasks::Grade;
use verify::{Prompts, Validator, ValidatorActor, ValidatorSetup, Worker, WorkerActor, WorkerSetup, weights_hash};

use crate::generate::Dtype;
use crate::shapes::Shape;

/// What to measure.
#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// The model.
    #[arg(value_enum)]
    shape: Shape,
    /// Number format of the matrices; norms and activations stay f32.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// Rollouts generated together.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Rollouts of each prompt; at most the batch.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    group_size: u16,
    /// Tokens of each prompt.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    prompt_tokens: u16,
    /// Tokens of each completion.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    new_tokens: u16,
    /// Share of each group that is checked in the second measurement; in the first it is all.
    #[arg(long, default_value_t = 0.125)]
    check_fraction: f64,
    /// Timed rounds, each with prompts of its own; the median of each number counts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Where it runs.
    #[arg(long, default_value = "cpu")]
    device: DeviceSpec,
}

/// Prompts without meaning and grades without work: what is measured is the model.
struct Numbers {
    prompt_tokens: u64,
}

impl Prompts for Numbers {
    fn prompt(&self, _: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        Ok((0..self.prompt_tokens).map(|at| ((item * 131 + at * 17) % 500) as u32).collect())
    }

    fn grade(&self, _: TaskIndex, _: u64, _: &[u32]) -> Result<Grade, String> {
        Ok(Grade::ZERO)
    }
}

/// Seconds of one round.
struct Costs {
    generating: f64,
    proving: f64,
    checking_all: f64,
    checking_some: f64,
}

/// Generates, proves and checks a little to warm up, then measures.
pub(crate) fn measure(arguments: &VerifyArguments) -> Result<Value> {
    let device = arguments.device.open()?;
    let snapshot = Transformer::random(arguments.shape.for_generation()?, 0, &device)?.snapshot();
    let mut bench = Bench::new(arguments, snapshot, &device)?;
    bench.round(0, bench.group_size.into())?;
    let batch = u64::from(arguments.batch);
    let rounds: Result<Vec<Costs>> = (1..=u64::from(arguments.rounds)).map(|round| bench.round(round, batch)).collect();
    let rounds = rounds?;
    let generating = median(rounds.iter().map(|costs| costs.generating));
    let share = |seconds: fn(&Costs) -> f64| median(rounds.iter().map(|costs| seconds(costs) / costs.generating));
    let tokens = batch as f64 * f64::from(arguments.new_tokens);
    Ok(json!({
        "batch": arguments.batch,
        "group_size": bench.group_size,
        "generate_tokens_per_s": tokens / generating,
        "proofs_to_generation": share(|costs| costs.proving),
        "check_all_to_generation": share(|costs| costs.checking_all),
        "check_fraction": arguments.check_fraction,
        "check_fraction_to_generation": share(|costs| costs.checking_some),
    }))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Orchestrator, worker and two validators, of which one checks all and one a share.
struct Bench {
    worker: Worker,
    all: Party,
    some: Party,
    weights: [u8; 32],
    group_size: u32,
}

/// A validator under terms of its own.
struct Party {
    terms: Arc<RunTerms>,
    validator: Validator,
}

fn keys(role: &str) -> Keypair {
    Keypair::derive(&[1; 32], role, 0)
}

impl Bench {
    fn new(arguments: &VerifyArguments, snapshot: ModelSnapshot, device: &Device) -> Result<Self> {
        let group_size = u32::from(arguments.group_size.min(arguments.batch));
        let terms = |check_ppm| Arc::new(terms(arguments, &snapshot, group_size, check_ppm));
        let prompts: Arc<dyn Prompts> = Arc::new(Numbers { prompt_tokens: arguments.prompt_tokens.into() });
        let party = |terms: Arc<RunTerms>| -> Result<Party> {
            let setup = ValidatorSetup {
                terms: terms.clone(),
                prompts: prompts.clone(),
                keys: keys("validator"),
                id: 0,
                device: device.clone(),
            };
            let mut validator = Validator::new(setup);
            validator.weights(0, &snapshot)?;
            Ok(Party { terms, validator })
        };
        let all = party(terms(1_000_000))?;
        let some = party(terms((arguments.check_fraction * 1e6) as u32))?;
        let context = usize::from(arguments.prompt_tokens) + usize::from(arguments.new_tokens);
        let blocks = (context.div_ceil(16) + 1) * usize::from(arguments.batch);
        let engine = EngineConfig {
            kv_blocks: blocks,
            block_size: 16,
            max_running: arguments.batch.into(),
            prefill_chunk_tokens: 2048,
            max_context: context,
        };
        let terms = all.terms.clone();
        let setup = WorkerSetup { terms, prompts, keys: keys("worker"), id: 0, engine, device: device.clone() };
        let mut worker = Worker::new(setup);
        worker.weights(0, &snapshot)?;
        Ok(Self { worker, all, some, weights: weights_hash(&snapshot), group_size })
    }

    fn lease(&self, lease: u64) -> PromptLease {
        PromptLease {
            lease,
            task: 0,
            item: lease,
            weight_version: 0,
            weights: self.weights,
            group_size: self.group_size,
            run_seed: [0; 32],
            worker: 0,
            worker_lease: lease,
            beacon: BeaconPoint::NONE,
        }
    }

    fn round(&mut self, round: u64, batch: u64) -> Result<Costs> {
        let groups = batch.div_ceil(self.group_size.into());
        for lease in round * 1000..round * 1000 + groups {
            self.worker.lease(&Signed::new(self.lease(lease), &self.all.terms.id(), &keys("orchestrator"))?)?;
        }
        let proved = self.worker.proving_ns();
        let start = Instant::now();
        let mut answers = Vec::new();
        while !self.worker.is_idle() {
            answers.extend(self.worker.step()?);
        }
        let working = start.elapsed().as_secs_f64();
        let proving = (self.worker.proving_ns() - proved) as f64 / 1e9;
        ensure!(answers.len() as u64 == groups, "{} answers to {groups} leases", answers.len());
        let submissions: Result<Vec<Submission>> = answers
            .into_iter()
            .map(|answer| Ok(Submission::decode(&answer.bytes.map_err(|reason| anyhow!(reason))?)?))
            .collect();
        let submissions = submissions?;
        Ok(Costs {
            generating: working - proving,
            proving,
            checking_all: self.all.seconds(&submissions, round)?,
            checking_some: self.some.seconds(&submissions, round)?,
        })
    }
}

impl Party {
    /// Checks submissions that were made under other terms, signed again under these.
    fn seconds(&mut self, submissions: &[Submission], round: u64) -> Result<f64> {
        let run = self.terms.id();
        let draw = BeaconPoint { round, randomness: [9; 32] };
        let orders: Result<Vec<CheckOrder>> = submissions
            .iter()
            .map(|submission| {
                let lease = Signed::new(submission.lease.body.clone(), &run, &keys("orchestrator"))?;
                let submission = Submission::new(&run, lease, submission.rollouts.clone(), &keys("worker"))?;
                Ok(CheckOrder { submission, draw })
            })
            .collect();
        let orders = orders?;
        let start = Instant::now();
        for order in &orders {
            let verdict = self.validator.check(order);
            ensure!(verdict.outcome == Outcome::Valid, "an honest group was found {:?}", verdict.outcome);
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn terms(arguments: &VerifyArguments, snapshot: &ModelSnapshot, group_size: u32, check_ppm: u32) -> RunTerms {
    RunTerms {
        run_seed: [0; 32],
        orchestrator: keys("orchestrator").public(),
        trainer: keys("trainer").public(),
        workers: vec![keys("worker").public()],
        validators: vec![keys("validator").public()],
        group_size,
        check_ppm,
        probation_leases: 0,
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: arguments.new_tokens.into(),
            context_max: u32::from(arguments.prompt_tokens) + u32::from(arguments.new_tokens),
            vocabulary: snapshot.config().vocab_size as u32, // checked by the model
            stop_tokens: vec![],
            dtype: match arguments.dtype {
                Dtype::F32 => DtypeTerm::F32,
                Dtype::Bf16 => DtypeTerm::Bf16,
            },
        },
        beacon: BeaconTerms::HashChain { anchor: [0; 32], length: 1 },
    }
}
