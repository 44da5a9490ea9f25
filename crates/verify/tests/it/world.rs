//! A tiny run: model, terms, keys, leases, and a worker for them.

use std::sync::Arc;

use burn::tensor::Device;
use engine::EngineConfig;
use model::{Family, ModelConfig, ModelSnapshot, Sizes, Transformer};
use protocol::{
    BeaconPoint, BeaconTerms, DtypeTerm, Keypair, PromptLease, RunTerms, SamplingTerms, Signature, Signed, TaskIndex,
};
use tasks::Grade;
use verify::{Answer, Prompts, Worker, WorkerActor, WorkerSetup, weights_hash};

pub(crate) const VOCABULARY: u32 = 64;
pub(crate) const WIDTH: usize = 32;
pub(crate) const GROUP_SIZE: u32 = 4;
/// The item that has no prompt.
pub(crate) const BROKEN_ITEM: u64 = 666;

const SECRET: [u8; 32] = [8; 32];

pub(crate) fn device() -> Device {
    ops::DeviceSpec::Cpu.open().expect("the CPU is always there")
}

pub(crate) fn snapshot(seed: u64) -> ModelSnapshot {
    let sizes = Sizes {
        vocab_size: VOCABULARY as usize,
        hidden_size: WIDTH,
        intermediate_size: 64,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 256,
        tied: true,
    };
    let config = ModelConfig::new(Family::Qwen2, &sizes).expect("the sizes fit each other");
    Transformer::random(Arc::new(config), seed, &device()).expect("the configuration is valid").snapshot()
}

/// Prompts of no meaning; the reward is the first token.
pub(crate) struct Numbers;

impl Prompts for Numbers {
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        match item {
            BROKEN_ITEM => Err("no such item".into()),
            _ => Ok((0..21).map(|at| 1 + (item as u32 * 13 + task + at * 7) % (VOCABULARY - 1)).collect()),
        }
    }

    fn grade(&self, _task: TaskIndex, _item: u64, completion: &[u32]) -> Result<Grade, String> {
        let reward_micro = completion.first().map_or(0, |&token| token.into());
        Ok(Grade { reward_micro, exact: false })
    }
}

pub(crate) fn keys(role: &str, index: u32) -> Keypair {
    Keypair::derive(&SECRET, role, index)
}

pub(crate) fn terms() -> RunTerms {
    RunTerms {
        run_seed: protocol::run_seed(5),
        orchestrator: keys("orchestrator", 0).public(),
        trainer: keys("trainer", 0).public(),
        workers: vec![keys("worker", 0).public(), keys("worker", 1).public()],
        validators: vec![keys("validator", 0).public()],
        group_size: GROUP_SIZE,
        check_ppm: 1_000_000,
        probation_leases: 0,
        sampling: SamplingTerms {
            temperature: 0.9,
            max_new_tokens: 40,
            context_max: 200,
            vocabulary: VOCABULARY,
            stop_tokens: vec![0],
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: [0; 32], length: 1 },
    }
}

pub(crate) fn lease(number: u64, version: u64) -> PromptLease {
    PromptLease {
        lease: number,
        task: 0,
        item: number,
        weight_version: version,
        weights: weights_hash(&snapshot(version)),
        group_size: GROUP_SIZE,
        run_seed: terms().run_seed,
        worker: 0,
        worker_lease: 0,
        beacon: BeaconPoint { round: 1, randomness: [6; 32] },
    }
}

/// A lease that cannot even be encoded gets a signature of zeros.
pub(crate) fn signed(lease: PromptLease) -> Signed<PromptLease> {
    let keys = keys("orchestrator", 0);
    let unsigned = Signed { body: lease.clone(), signer: keys.public(), signature: Signature([0; 64]) };
    Signed::new(lease, &terms().id(), &keys).unwrap_or(unsigned)
}

pub(crate) fn worker() -> Worker {
    Worker::new(WorkerSetup {
        terms: Arc::new(terms()),
        prompts: Arc::new(Numbers),
        keys: keys("worker", 0),
        id: 0,
        engine: EngineConfig {
            kv_blocks: 256,
            block_size: 4,
            max_running: 64,
            prefill_chunk_tokens: 256,
            max_context: 200,
        },
        device: device(),
    })
}

/// Steps until nothing is left.
pub(crate) fn finish(worker: &mut Worker) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !worker.is_idle() {
        answers.extend(worker.step().expect("the logits of a random model are finite"));
    }
    answers
}
