//! What many simulations share: one run's terms and keys, its weights version by version, its beacon.
//!
//! Promise: a function of the world's number. Everything in it is made once and never changes, but for
//! [`Memory`], which only saves work.

use std::sync::Arc;

use burn::tensor::Device;
use engine::EngineConfig;
use model::{Family, ModelConfig, ModelSnapshot, Sizes, Transformer};
use ops::DeviceSpec;
use proof::beacon::HashChain;
use protocol::{
    BeaconPoint, BeaconTerms, DtypeTerm, Hash, Keypair, LeaseId, RunTerms, SamplingTerms, ValidatorId, WeightVersion,
    WorkerId,
};
use train::{LossConfig, OptimizerConfig, Preset, Schedule, SftExample, TrainConfig, Trainer};
use verify::{ValidatorSetup, WorkerSetup, weights_hash};

use crate::SimError;
use crate::letters::{Letters, STOP};
use crate::memory::Memory;

/// Workers that the terms list.
pub(crate) const WORKERS: u32 = 8;
/// Validators that the terms list.
pub(crate) const VALIDATORS: u32 = 5;
/// Rollouts of a lease.
pub(crate) const GROUP_SIZE: u32 = 4;
/// Share of the rollouts that is recomputed, in millionths: two of four.
const CHECK_PPM: u32 = 500_000;
/// Longest completion.
const NEW_TOKENS_MAX: u32 = 8;
/// Longest sequence.
const CONTEXT: u32 = 16;
/// Trainer steps of the longest simulation.
pub(crate) const STEPS_MAX: u64 = 40;
/// Beacon rounds of a world.
const ROUNDS: u64 = 2048;
/// Rounds before this one are for leases, one per version; the later ones draw samples.
const FIRST_DRAW: u64 = 64;
/// Updates towards right answers before version 0: enough that the model is neither noise nor certain.
const SCHOOL_STEPS: u64 = 80;

/// One version of the weights.
#[derive(Clone)]
pub(crate) struct Weights {
    pub(crate) snapshot: ModelSnapshot,
    pub(crate) hash: Hash,
}

impl Weights {
    pub(crate) fn new(snapshot: ModelSnapshot) -> Self {
        Self { hash: weights_hash(&snapshot), snapshot }
    }
}

/// A run before anything goes wrong.
pub(crate) struct World {
    pub(crate) terms: Arc<RunTerms>,
    pub(crate) prompts: Arc<Letters>,
    pub(crate) memory: Memory,
    secret: Hash,
    device: Device,
    points: Vec<BeaconPoint>,
    versions: Vec<Weights>,
    /// The trainer before its first step, for simulations that really train.
    trainer: Trainer,
}

impl World {
    /// Errors: [`SimError::World`] if the model or the task cannot be made on this machine.
    pub(crate) fn new(number: u64) -> Result<Self, SimError> {
        let secret = blake3::derive_key("essaim 2026 simulator world v1", &number.to_le_bytes());
        let device = DeviceSpec::Cpu.open().map_err(SimError::world)?;
        let prompts = Arc::new(Letters::new(number).map_err(SimError::world)?);
        let chain = HashChain::new(&secret, ROUNDS);
        let points = (1..=ROUNDS).map(|round| chain.point(round)).collect::<Result<_, _>>().map_err(SimError::world)?;
        let terms = Arc::new(terms(&secret, &chain, prompts.vocabulary()));
        let (versions, trainer) = school(number, &prompts, &device)?;
        Ok(Self { terms, prompts, memory: Memory::default(), secret, device, points, versions, trainer })
    }

    pub(crate) fn orchestrator_keys(&self) -> Keypair {
        Keypair::derive(&self.secret, "orchestrator", 0)
    }

    pub(crate) fn trainer_keys(&self) -> Keypair {
        Keypair::derive(&self.secret, "trainer", 0)
    }

    pub(crate) fn worker_setup(&self, id: WorkerId) -> WorkerSetup {
        WorkerSetup {
            terms: self.terms.clone(),
            prompts: self.prompts.clone(),
            keys: worker_keys(&self.secret, id),
            id,
            engine: EngineConfig {
                kv_blocks: 64,
                block_size: 8,
                max_running: 16,
                prefill_chunk_tokens: 64,
                max_context: CONTEXT as usize,
            },
            device: self.device.clone(),
        }
    }

    pub(crate) fn validator_setup(&self, id: ValidatorId) -> ValidatorSetup {
        ValidatorSetup {
            terms: self.terms.clone(),
            prompts: self.prompts.clone(),
            keys: validator_keys(&self.secret, id),
            id,
            device: self.device.clone(),
        }
    }

    /// The trainer before its first step.
    pub(crate) fn trainer(&self) -> Trainer {
        self.trainer.clone()
    }

    /// Weights of a version as a trainer would have made them that learned from right answers.
    pub(crate) fn weights(&self, version: WeightVersion) -> &Weights {
        &self.versions[version.min(STEPS_MAX) as usize] // at most STEPS_MAX
    }

    /// The beacon point that leases of a version are bound to.
    pub(crate) fn lease_point(&self, version: WeightVersion) -> BeaconPoint {
        self.points[version.min(FIRST_DRAW - 2) as usize] // below FIRST_DRAW
    }

    /// The beacon point that draws the sample of a lease. The beacon of a simulation speaks when it is
    /// asked, and one of two words on the same lease, so that simulations have rollouts in common.
    pub(crate) fn draw_point(&self, lease: LeaseId, seed: u64) -> BeaconPoint {
        let word = (lease * 2 + seed % 2) % (ROUNDS - FIRST_DRAW);
        self.points[(FIRST_DRAW + word) as usize] // below ROUNDS
    }
}

fn worker_keys(secret: &Hash, id: WorkerId) -> Keypair {
    Keypair::derive(secret, "worker", id)
}

fn validator_keys(secret: &Hash, id: ValidatorId) -> Keypair {
    Keypair::derive(secret, "validator", id)
}

fn terms(secret: &Hash, chain: &HashChain, vocabulary: u32) -> RunTerms {
    let public = |role: &str| Keypair::derive(secret, role, 0).public();
    RunTerms {
        run_seed: *secret,
        orchestrator: public("orchestrator"),
        trainer: public("trainer"),
        workers: (0..WORKERS).map(|id| worker_keys(secret, id).public()).collect(),
        validators: (0..VALIDATORS).map(|id| validator_keys(secret, id).public()).collect(),
        group_size: GROUP_SIZE,
        check_ppm: CHECK_PPM,
        probation_leases: 0,
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: NEW_TOKENS_MAX,
            context_max: CONTEXT,
            vocabulary,
            stop_tokens: vec![STOP],
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: chain.anchor(), length: ROUNDS },
    }
}

/// A tiny transformer that has learned a little, and what each further step makes of it.
fn school(number: u64, letters: &Letters, device: &Device) -> Result<(Vec<Weights>, Trainer), SimError> {
    let sizes = Sizes {
        vocab_size: letters.vocabulary() as usize,
        hidden_size: 32,
        intermediate_size: 64,
        layers: 1,
        heads: 2,
        key_value_heads: 2,
        head_dim: None,
        max_positions: CONTEXT as usize,
        tied: false,
    };
    let config = Arc::new(ModelConfig::new(Family::Qwen3, &sizes).map_err(SimError::world)?);
    let model = Transformer::random(config, number, device).map_err(SimError::world)?;
    let mut trainer = Trainer::new(model, train_config(1e-2)).map_err(SimError::world)?;
    for step in 0..SCHOOL_STEPS {
        lesson(&mut trainer, letters, step)?;
    }
    let start = Trainer::new(trainer.model().clone(), train_config(3e-3)).map_err(SimError::world)?;
    let mut versions = vec![Weights::new(trainer.snapshot())];
    for step in 0..STEPS_MAX {
        lesson(&mut trainer, letters, SCHOOL_STEPS + step)?;
        versions.push(Weights::new(trainer.snapshot()));
    }
    Ok((versions, start))
}

fn train_config(lr: f64) -> TrainConfig {
    TrainConfig {
        loss: LossConfig::new(Preset::Grpo),
        optimizer: OptimizerConfig::new(lr),
        schedule: Schedule::default(),
        micro_batch_tokens: 1024,
        activation_bytes_max: train::ACTIVATION_BYTES_MAX,
        updates_per_batch: 1,
    }
}

fn lesson(trainer: &mut Trainer, letters: &Letters, step: u64) -> Result<(), SimError> {
    const EXAMPLES: u64 = 16;
    // Far from the items that leases ask for.
    let first = (1 << 40) + step * EXAMPLES;
    let example = |index| {
        let (prompt, answer) = letters.example(index).map_err(SimError::world)?;
        Ok(SftExample { prompt_len: prompt.len(), tokens: [prompt, answer].concat() })
    };
    let batch = (first..first + EXAMPLES).map(example).collect::<Result<Vec<_>, SimError>>()?;
    trainer.sft_step(&batch).map_err(SimError::world)?;
    Ok(())
}
