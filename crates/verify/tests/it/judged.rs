//! One run in miniature: terms, keys, prompts, weights, an honest worker and a validator.

use std::sync::Arc;

use engine::EngineConfig;
use model::{Family, ModelConfig, ModelSnapshot, Sizes, Transformer};
use ops::DeviceSpec;
use protocol::{
    BeaconPoint, BeaconTerms, CheckOrder, DtypeTerm, Keypair, LeaseId, Outcome, PromptLease, Record, Rollout, RunId,
    RunTerms, SamplingTerms, Signed, Submission, TaskIndex,
};
use tasks::Grade;
use verify::{
    CheckSet, Finished, Prompts, Validator, ValidatorActor, ValidatorSetup, Work, Worker, WorkerActor, WorkerSetup,
    weights_hash,
};

pub(crate) const WIDTH: usize = 64;
pub(crate) const VOCABULARY: u32 = 64;
pub(crate) const STOP: u32 = 1;
pub(crate) const GROUP_SIZE: u32 = 4;
/// Two chunks of proof: 32 tokens, and 8.
pub(crate) const NEW_TOKENS: u32 = 40;
pub(crate) const PROMPT_LEN: u32 = 9;
pub(crate) const VERSION: u64 = 3;
/// Every rollout is drawn.
pub(crate) const ALL: u32 = 1_000_000;

const ENGINE: EngineConfig =
    EngineConfig { kv_blocks: 256, block_size: 4, max_running: 64, prefill_chunk_tokens: 4096, max_context: 64 };

/// Prompts of no meaning; the reward is the share of even tokens.
pub(crate) struct Toy;

impl Prompts for Toy {
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        let number = item as u32 + 100 * task;
        Ok((0..PROMPT_LEN).map(|place| 2 + (number * 31 + place * 7) % (VOCABULARY - 2)).collect())
    }

    fn grade(&self, _task: TaskIndex, _item: u64, completion: &[u32]) -> Result<Grade, String> {
        let even = completion.iter().filter(|token| *token % 2 == 0).count();
        let reward_micro = 1_000_000 * even as i64 / completion.len().max(1) as i64;
        Ok(Grade { reward_micro, exact: even == completion.len() })
    }
}

pub(crate) fn snapshot(seed: u64) -> ModelSnapshot {
    let sizes = Sizes {
        vocab_size: VOCABULARY as usize,
        hidden_size: WIDTH,
        intermediate_size: 96,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 64,
        tied: true,
    };
    let config = ModelConfig::new(Family::Qwen3, &sizes).expect("the sizes fit each other");
    let device = DeviceSpec::Cpu.open().expect("the CPU is always there");
    Transformer::random(Arc::new(config), seed, &device).expect("the configuration is valid").snapshot()
}

pub(crate) fn keys(role: &str) -> Keypair {
    Keypair::derive(&[5; 32], role, 0)
}

pub(crate) struct World {
    pub(crate) terms: Arc<RunTerms>,
    pub(crate) run: RunId,
    pub(crate) snapshot: ModelSnapshot,
}

impl World {
    /// A run whose validator checks `check_ppm` of every group.
    pub(crate) fn new(check_ppm: u32) -> Self {
        Self::with(check_ppm, snapshot(1), |_| ())
    }

    pub(crate) fn with(check_ppm: u32, snapshot: ModelSnapshot, change: impl FnOnce(&mut SamplingTerms)) -> Self {
        let mut sampling = SamplingTerms {
            temperature: 0.9,
            max_new_tokens: NEW_TOKENS,
            context_max: 64,
            vocabulary: VOCABULARY,
            // At even odds of 64 tokens a completion of 40 stops early about every second time.
            stop_tokens: vec![STOP],
            dtype: DtypeTerm::F32,
        };
        change(&mut sampling);
        let terms = RunTerms {
            run_seed: protocol::run_seed(7),
            orchestrator: keys("orchestrator").public(),
            trainer: keys("trainer").public(),
            workers: vec![keys("worker").public()],
            validators: vec![keys("validator").public()],
            group_size: GROUP_SIZE,
            check_ppm,
            probation_leases: 0,
            sampling,
            beacon: BeaconTerms::HashChain { anchor: [0; 32], length: 1 },
        };
        Self { run: terms.id(), terms: Arc::new(terms), snapshot }
    }

    pub(crate) fn lease(&self, lease: LeaseId) -> Signed<PromptLease> {
        let body = PromptLease {
            lease,
            task: 0,
            item: lease,
            weight_version: VERSION,
            weights: weights_hash(&self.snapshot),
            group_size: GROUP_SIZE,
            run_seed: self.terms.run_seed,
            worker: 0,
            worker_lease: 0,
            beacon: BeaconPoint { round: 1, randomness: [11; 32] },
        };
        Signed::new(body, &self.run, &keys("orchestrator")).expect("the lease is valid")
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_on(DeviceSpec::Cpu)
    }

    pub(crate) fn worker_on(&self, device: DeviceSpec) -> Worker {
        Worker::new(WorkerSetup {
            terms: self.terms.clone(),
            prompts: Arc::new(Toy),
            keys: keys("worker"),
            id: 0,
            engine: ENGINE,
            device: device.open().expect("the device is there"),
        })
    }

    /// What a worker with `weights` makes of a lease, if its work goes through `change` first.
    pub(crate) fn rollouts_of(
        &self,
        weights: &ModelSnapshot,
        lease: &Signed<PromptLease>,
        change: impl FnOnce(&mut Work),
    ) -> Vec<Rollout> {
        self.rollouts_by(self.worker(), weights, lease, change)
    }

    pub(crate) fn rollouts_by(
        &self,
        mut worker: Worker,
        weights: &ModelSnapshot,
        lease: &Signed<PromptLease>,
        change: impl FnOnce(&mut Work),
    ) -> Vec<Rollout> {
        worker.hold(VERSION, weights, lease.body.weights).expect("the weights fit");
        let mut work = worker.plan(lease).expect("the lease is signed");
        change(&mut work);
        worker.take(work);
        loop {
            if let Some(Finished { rollouts, .. }) = worker.advance().expect("the engine works").pop() {
                return rollouts.expect("the rollouts are made");
            }
            assert!(!worker.is_idle(), "the lease got lost");
        }
    }

    pub(crate) fn honest(&self, lease: &Signed<PromptLease>) -> Vec<Rollout> {
        self.rollouts_of(&self.snapshot, lease, |_| ())
    }

    pub(crate) fn sign(&self, lease: &Signed<PromptLease>, rollouts: Vec<Rollout>) -> Submission {
        Submission::new(&self.run, lease.clone(), rollouts, &keys("worker")).expect("the rollouts are consistent")
    }

    /// On the device that `ESSAIM_TEST_DEVICE` names, on the CPU without it.
    pub(crate) fn validator(&self) -> Validator {
        let named = std::env::var("ESSAIM_TEST_DEVICE").ok();
        self.validator_on(
            named.map_or(DeviceSpec::Cpu, |name| name.parse().expect("ESSAIM_TEST_DEVICE names a device")),
        )
    }

    pub(crate) fn validator_on(&self, device: DeviceSpec) -> Validator {
        let setup = ValidatorSetup {
            terms: self.terms.clone(),
            prompts: Arc::new(Toy),
            keys: keys("validator"),
            id: 0,
            device: device.open().expect("the device is there"),
        };
        let mut validator = Validator::new(setup);
        validator.weights(VERSION, &self.snapshot).expect("the weights fit");
        validator
    }

    pub(crate) fn judge(&self, set: CheckSet, submission: &Submission) -> Outcome {
        self.validator().with_checks(set).check(&order(submission)).outcome
    }
}

pub(crate) fn order(submission: &Submission) -> CheckOrder {
    CheckOrder { submission: submission.clone(), draw: BeaconPoint { round: 2, randomness: [12; 32] } }
}

/// The order as bytes.
pub(crate) fn encoded(submission: &Submission) -> Vec<u8> {
    order(submission).encode().expect("the order is valid")
}
