//! A tiny model and a batch for it.

use model::{Family, ModelConfig, Sizes, Transformer};
use ops::DeviceSpec;
use protocol::{
    BeaconPoint, BeaconTerms, CheckedRollout, DtypeTerm, FinishReason, Keypair, Outcome, PromptLease, Rollout,
    RunTerms, SamplingTerms, Signed, Submission, Verdict, VerifiedGroup,
};
use std::sync::Arc;
use train::{
    BehaviourLogprobs, LossConfig, MomentsDtype, OptimizerConfig, Preset, Schedule, TrainConfig, TrainRollout, Trainer,
};

pub(crate) const VOCABULARY: usize = 13;

/// Two layers of width 16, with grouped heads and biases.
pub(crate) fn model(seed: u64) -> Transformer {
    let sizes = Sizes {
        vocab_size: VOCABULARY,
        hidden_size: 16,
        intermediate_size: 24,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 32,
        tied: true,
    };
    let config = ModelConfig::new(Family::Qwen2, &sizes).expect("sizes fit");
    let device = DeviceSpec::Cpu.open().expect("the CPU is always there");
    Transformer::random(Arc::new(config), seed, &device).expect("a valid configuration")
}

pub(crate) fn config(preset: Preset) -> TrainConfig {
    let mut loss = LossConfig::new(preset);
    if preset == Preset::DrGrpo {
        loss.max_completion_tokens = Some(8);
    }
    TrainConfig {
        loss,
        optimizer: OptimizerConfig::new(1e-2),
        schedule: Schedule::default(),
        micro_batch_tokens: 1000,
        activation_bytes_max: 1 << 30,
        updates_per_batch: 1,
    }
}

/// The same with moments in this format.
pub(crate) fn with_moments(moments_dtype: MomentsDtype, config: TrainConfig) -> TrainConfig {
    TrainConfig { optimizer: OptimizerConfig { moments_dtype, ..config.optimizer }, ..config }
}

pub(crate) fn trainer(config: TrainConfig) -> Trainer {
    Trainer::new(model(1), config).expect("a valid configuration")
}

/// Eight rollouts of three prompts, with advantages that sum to 0 in each half.
pub(crate) fn batch() -> Vec<TrainRollout> {
    let claimed =
        |index: usize| (0..completion_len(index)).map(|t| -2.0 - 0.1 * ((index + t) % 5) as f32).collect::<Vec<f32>>();
    (0..8).map(|index| rollout(index, claimed(index))).collect()
}

/// The same rollouts as if the engine had sampled them with exactly the trainer's weights.
pub(crate) fn on_policy_batch(trainer: &Trainer) -> Vec<TrainRollout> {
    let own = |rollout| trainer.logprobs(&rollout).expect("a valid rollout");
    batch().into_iter().map(own).enumerate().map(|(index, logprobs)| rollout(index, logprobs)).collect()
}

fn completion_len(index: usize) -> usize {
    2 + (index * 5) % 7
}

fn rollout(index: usize, logprobs: Vec<f32>) -> TrainRollout {
    let advantages = [1.5, -0.5, -0.5, -0.5, 0.75, 0.25, -0.25, -0.75];
    let (group, completion) = (index / 3, completion_len(index));
    let prompt_len = 2 + group;
    let token = |salt: usize, t: usize| ((salt * 7 + t * t * 3 + t) % VOCABULARY) as u32;
    let prompt = (0..prompt_len).map(|t| token(group, t)).collect();
    let completion = (prompt_len..prompt_len + completion).map(|t| token(index, t)).collect();
    let group = verified(prompt, completion, logprobs.clone(), Some(logprobs));
    let rollout = group.rollouts().next().expect("a group of one");
    TrainRollout::new(&rollout, advantages[index], 0.9, BehaviourLogprobs::Worker).expect("admitted")
}

/// A group of one rollout, by a worker and a validator with made-up keys. `own`: what the validator recomputed; none
/// if it did not draw the rollout.
pub(crate) fn verified(
    prompt_tokens: Vec<u32>,
    completion_tokens: Vec<u32>,
    logprobs: Vec<f32>,
    own: Option<Vec<f32>>,
) -> VerifiedGroup {
    let keys = |role: &str| Keypair::derive(&[1; 32], role, 0);
    let terms = terms(keys);
    let run = terms.id();
    let lease = PromptLease {
        lease: 7,
        task: 0,
        item: 0,
        weight_version: 0,
        weights: [0; 32],
        group_size: 1,
        run_seed: terms.run_seed,
        worker: 0,
        worker_lease: 0,
        beacon: BeaconPoint::NONE,
    };
    let rollout = Rollout {
        lease: 7,
        sample_index: 0,
        weight_versions: vec![0; completion_tokens.len()],
        prompt_tokens,
        completion_tokens,
        logprobs,
        finish: FinishReason::Length,
        reward_micro: 0,
        exact: false,
        activation_proof: Vec::new(),
        fingerprint: Vec::new(),
    };
    let lease = Signed::new(lease, &run, &keys("orchestrator")).expect("a valid lease");
    let submission = Submission::new(&run, lease, vec![rollout], &keys("worker")).expect("a valid group");
    let verdict = Verdict {
        lease: 7,
        root: *submission.root(),
        validator: 0,
        draw: BeaconPoint { round: 1, randomness: [0; 32] },
        tokens: submission.completion_tokens(),
        checked: own.map(checked).into_iter().collect(),
        outcome: Outcome::Valid,
    };
    let verdict = Signed::new(verdict, &run, &keys("validator")).expect("a valid verdict");
    VerifiedGroup::new(&terms, submission, vec![verdict]).expect("one valid verdict admits")
}

fn checked(logprobs: Vec<f32>) -> CheckedRollout {
    CheckedRollout {
        sample_index: 0,
        exponent_mismatches: 0,
        mantissa_mean_milli: 0,
        mantissa_median_milli: 0,
        sign_mismatches: 0,
        fingerprint_error_ppm: 0,
        margin_max_micro: 0,
        tokens_lost: 0,
        logprob_error_max_micro: 0,
        logprob_error_mean_micro: 0,
        logprobs,
    }
}

fn terms(keys: impl Fn(&str) -> Keypair) -> RunTerms {
    RunTerms {
        run_seed: [2; 32],
        orchestrator: keys("orchestrator").public(),
        trainer: keys("trainer").public(),
        workers: vec![keys("worker").public()],
        validators: vec![keys("validator").public()],
        group_size: 1,
        check_ppm: 1_000_000,
        probation_leases: 0,
        sampling: SamplingTerms {
            temperature: 0.9,
            max_new_tokens: 16,
            context_max: 32,
            vocabulary: VOCABULARY as u32,
            stop_tokens: Vec::new(),
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: [3; 32], length: 1 },
    }
}

pub(crate) fn bits(trainer: &Trainer) -> Vec<u32> {
    trainer.snapshot().values().iter().flatten().map(|x| x.to_bits()).collect()
}

pub(crate) fn largest_difference(a: &Trainer, b: &Trainer) -> f32 {
    let (a, b) = (a.snapshot(), b.snapshot());
    let pairs = a.values().iter().flatten().zip(b.values().iter().flatten());
    pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}
