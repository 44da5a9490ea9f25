//! The run that is measured: terms, keys, prompts, weights, and leases signed in a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use engine::EngineConfig;
use model::{Family, ModelConfig, ModelSnapshot, Sizes, Tokenizer, Transformer};
use ops::DeviceSpec;
use protocol::{
    BeaconPoint, BeaconTerms, CheckOrder, DtypeTerm, Hash, Keypair, LeaseId, PromptLease, Record, Rollout, RunId,
    RunTerms, SamplingTerms, Signed, Submission, TaskIndex, Verdict,
};
use tasks::{Grade, Split, Task};
use train::{SftExample, TrainConfig, Trainer};
use verify::{Prompts, Validator, ValidatorActor, ValidatorSetup, WorkerActor, WorkerSetup, weights_hash};

use super::{DetectArguments, Subject};
use crate::generate::Dtype;
use crate::shapes::Shape;

/// Version of the weights that leases name.
pub(super) const VERSION: u64 = 1;
/// The seed of `examples/default.toml`.
const SEED: u64 = 7;

pub(super) struct Scene {
    pub(super) terms: Arc<RunTerms>,
    pub(super) prompts: Arc<dyn Prompts>,
    /// The weights that leases name.
    pub(super) snapshot: ModelSnapshot,
    /// The same after one more step at a learning rate, for liars that are late.
    pub(super) next: BTreeMap<&'static str, ModelSnapshot>,
    weights: Hash,
    run: RunId,
    pub(super) device: Device,
}

fn keys(role: &str) -> Keypair {
    Keypair::derive(&[3; 32], role, 0)
}

impl Scene {
    pub(super) fn new(arguments: &DetectArguments) -> Result<Self> {
        let device = DeviceSpec::Cpu.open()?;
        let Cast { prompts, snapshot, next, sampling } = match arguments.subject {
            Subject::Small => spelling(arguments.warm_up, &device)?,
            Subject::Half => numbers(&device)?,
        };
        let dtype = match arguments.dtype {
            Dtype::F32 => DtypeTerm::F32,
            Dtype::Bf16 => DtypeTerm::Bf16,
        };
        ensure!((0.0..=1.0).contains(&arguments.check_fraction), "a share is between 0 and 1");
        let terms = RunTerms {
            run_seed: protocol::run_seed(SEED),
            orchestrator: keys("orchestrator").public(),
            trainer: keys("trainer").public(),
            workers: vec![keys("worker").public()],
            validators: vec![keys("validator").public()],
            group_size: arguments.group_size,
            check_ppm: (arguments.check_fraction * 1e6).round() as u32,
            probation_leases: 0,
            sampling: SamplingTerms { dtype, ..sampling },
            beacon: BeaconTerms::HashChain { anchor: [0; 32], length: 1 },
        };
        terms.check()?;
        let weights = weights_hash(&snapshot);
        Ok(Self { run: terms.id(), terms: Arc::new(terms), prompts, snapshot, next, weights, device })
    }

    pub(super) fn worker_setup(&self) -> WorkerSetup {
        let max_context = self.terms.sampling.context_max as usize;
        WorkerSetup {
            terms: self.terms.clone(),
            prompts: self.prompts.clone(),
            keys: keys("worker"),
            id: 0,
            engine: EngineConfig {
                kv_blocks: 1024,
                block_size: 16,
                max_running: 128,
                prefill_chunk_tokens: 2048,
                max_context,
            },
            device: self.device.clone(),
        }
    }

    pub(super) fn validator(&self) -> Result<Validator> {
        self.validator_on(self.device.clone())
    }

    pub(super) fn validator_on(&self, device: Device) -> Result<Validator> {
        let mut validator = Validator::new(ValidatorSetup {
            terms: self.terms.clone(),
            prompts: self.prompts.clone(),
            keys: keys("validator"),
            id: 0,
            device,
        });
        validator.weights(VERSION, &self.snapshot)?;
        Ok(validator)
    }

    fn lease(&self, lease: LeaseId) -> Result<Signed<PromptLease>> {
        let body = PromptLease {
            lease,
            task: 0,
            item: lease,
            weight_version: VERSION,
            weights: self.weights,
            group_size: self.terms.group_size,
            run_seed: self.terms.run_seed,
            worker: 0,
            worker_lease: lease,
            beacon: BeaconPoint { round: lease + 1, randomness: randomness(lease) },
        };
        Ok(Signed::new(body, &self.run, &keys("orchestrator"))?)
    }

    /// Gives `worker` the leases `0..count`, `at_once` at a time, and takes its answers in their order.
    pub(super) fn answers(&self, worker: &mut dyn WorkerActor, count: u64, at_once: u64) -> Result<Vec<Submission>> {
        let mut answers = BTreeMap::new();
        let mut next = 0;
        while (answers.len() as u64) < count {
            while next < count && next < answers.len() as u64 + at_once {
                worker.lease(&self.lease(next)?)?;
                next += 1;
            }
            for answer in worker.step()? {
                let bytes = answer.bytes.map_err(anyhow::Error::msg)?;
                answers.insert(answer.lease, Submission::decode(&bytes)?);
            }
        }
        Ok(answers.into_values().collect())
    }

    /// Signs rollouts as the worker does.
    pub(super) fn signed(&self, lease: &Signed<PromptLease>, rollouts: Vec<Rollout>) -> Result<Submission> {
        Ok(Submission::new(&self.run, lease.clone(), rollouts, &keys("worker"))?)
    }

    /// The validator's word on a submission; the draw is one that the worker could not know.
    pub(super) fn judge(&self, validator: &mut Validator, submission: &Submission) -> Verdict {
        let round = submission.lease.body.beacon.round + 1_000_000;
        let draw = BeaconPoint { round, randomness: randomness(round) };
        validator.check(&CheckOrder { submission: submission.clone(), draw })
    }
}

/// Randomness of a round that is good enough for a measurement.
fn randomness(round: u64) -> Hash {
    protocol::rollout_seed("measurement", &[9; 32], &BeaconPoint::NONE, round, 0, 0, 0)
}

/// What differs between the subjects.
struct Cast {
    prompts: Arc<dyn Prompts>,
    snapshot: ModelSnapshot,
    next: BTreeMap<&'static str, ModelSnapshot>,
    sampling: SamplingTerms,
}

/// The shipped example: three letters to be spelled backward.
struct Spelling {
    task: Box<dyn Task>,
    tokenizer: Tokenizer,
}

impl Prompts for Spelling {
    fn prompt(&self, _: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        let item = self.task.item(SEED, Split::Train, item).map_err(|error| error.to_string())?;
        Ok(self.tokenizer.encode(&item.prompt).map_err(|error| error.to_string())?.into())
    }

    fn grade(&self, _: TaskIndex, item: u64, completion: &[u32]) -> Result<Grade, String> {
        let item = self.task.item(SEED, Split::Train, item).map_err(|error| error.to_string())?;
        let text = self.tokenizer.decode(completion).map_err(|error| error.to_string())?;
        Ok(self.task.grade(&item, &text))
    }
}

impl Spelling {
    fn example(&self, index: u64) -> Result<SftExample> {
        let item = self.task.item(SEED, Split::Train, index)?;
        let mut tokens = self.tokenizer.encode(&item.prompt)?;
        let prompt_len = tokens.len();
        tokens.extend(self.tokenizer.encode_bare(&self.task.oracle(&item))?);
        tokens.extend(self.tokenizer.eos_ids().first());
        Ok(SftExample { tokens, prompt_len })
    }

    fn batch(&self, step: u64) -> Result<Vec<SftExample>> {
        (step * 64..(step + 1) * 64).map(|index| self.example(index)).collect()
    }
}

fn spelling(warm_up: u64, device: &Device) -> Result<Cast> {
    let spec: tasks::TaskSpec = serde_json::from_str(r#"{"type":"spell-backward","letters_min":3,"letters_max":3}"#)?;
    let task = tasks::build(&spec, &|path| Err(format!("no file {path}")))?;
    let tokenizer = Tokenizer::characters(&task.alphabet().context("letters only")?)?;
    let mut config = ModelConfig::new(
        Family::Qwen3,
        &Sizes {
            vocab_size: tokenizer.vocab_size(),
            hidden_size: 128,
            intermediate_size: 384,
            layers: 2,
            heads: 4,
            key_value_heads: 2,
            head_dim: None,
            max_positions: 64,
            tied: true,
        },
    )?;
    config.eos_ids = tokenizer.eos_ids().to_vec();
    let sampling = SamplingTerms {
        temperature: 1.0,
        max_new_tokens: 8,
        context_max: 64,
        vocabulary: u32::try_from(tokenizer.vocab_size())?,
        stop_tokens: tokenizer.eos_ids().to_vec(),
        dtype: DtypeTerm::F32,
    };
    let spelling = Spelling { task, tokenizer };
    let model = Transformer::random(Arc::new(config), SEED, device)?.require_grad();
    let mut trainer = Trainer::new(model, training(1e-3)?)?;
    for step in 0..warm_up {
        trainer.sft_step(&spelling.batch(step)?)?;
    }
    let snapshot = trainer.snapshot();
    let mut next = BTreeMap::new();
    for (name, lr) in [("1e-3", 1e-3), ("1e-4", 1e-4), ("1e-5", 1e-5), ("1e-6", 1e-6)] {
        let model = Transformer::from_snapshot(&snapshot, device).require_grad();
        let mut trainer = Trainer::new(model, training(lr)?)?;
        trainer.sft_step(&spelling.batch(warm_up)?)?;
        next.insert(name, trainer.snapshot());
    }
    Ok(Cast { prompts: Arc::new(spelling), snapshot, next, sampling })
}

fn training(lr: f64) -> Result<TrainConfig> {
    let config = serde_json::json!({
        "loss": { "preset": "grpo" },
        "optimizer": { "lr": lr, "weight_decay": 0.0 },
        "micro_batch_tokens": 8192,
    });
    Ok(serde_json::from_value(config)?)
}

/// Prompts without meaning; the reward is the share of even tokens, so that drawing twice pays.
struct Numbers;

const NUMBERS_PROMPT: u64 = 32;
const NUMBERS_NEW: u32 = 32;

impl Prompts for Numbers {
    fn prompt(&self, _: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        Ok((0..NUMBERS_PROMPT).map(|at| ((item * 7919 + at * 104_729 + 11) % 151_936) as u32).collect())
    }

    fn grade(&self, _: TaskIndex, _: u64, completion: &[u32]) -> Result<Grade, String> {
        let even = completion.iter().filter(|token| *token % 2 == 0).count() as i64;
        Ok(Grade { reward_micro: even * 1_000_000 / completion.len().max(1) as i64, exact: false })
    }
}

fn numbers(device: &Device) -> Result<Cast> {
    let config = Shape::Half.for_generation()?;
    let sampling = SamplingTerms {
        temperature: 1.0,
        max_new_tokens: NUMBERS_NEW,
        context_max: 128,
        vocabulary: u32::try_from(config.vocab_size)?,
        stop_tokens: Vec::new(),
        dtype: DtypeTerm::F32,
    };
    let snapshot = Transformer::random(config, SEED, device)?.snapshot();
    Ok(Cast { prompts: Arc::new(Numbers), snapshot, next: BTreeMap::new(), sampling })
}
