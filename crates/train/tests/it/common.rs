//! A tiny model and a batch for it.

use model::{Family, ModelConfig, Sizes, Transformer};
use ops::DeviceSpec;
use std::sync::Arc;
use train::{LossConfig, OptimizerConfig, Preset, Schedule, TrainConfig, TrainRollout, Trainer};

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
        parallel_micro_batches: 1,
        updates_per_batch: 1,
    }
}

pub(crate) fn trainer(config: TrainConfig) -> Trainer {
    Trainer::new(model(1), config).expect("a valid configuration")
}

/// Two groups of four, lengths 4..=11, with advantages that sum to 0 in each group.
pub(crate) fn batch() -> Vec<TrainRollout> {
    let advantages = [1.5, -0.5, -0.5, -0.5, 0.75, 0.25, -0.25, -0.75];
    let rollout = |index: usize| {
        let (prompt_len, completion) = (2 + index % 3, 2 + (index * 5) % 7);
        TrainRollout {
            tokens: (0..prompt_len + completion).map(|t| ((index * 7 + t * t * 3 + t) % VOCABULARY) as u32).collect(),
            prompt_len,
            behaviour_logprobs: (0..completion).map(|t| -2.0 - 0.1 * ((index + t) % 5) as f32).collect(),
            weight_versions: vec![0; completion],
            advantage: advantages[index],
            temperature: 0.9,
            group: (index / 4) as u64,
        }
    };
    (0..8).map(rollout).collect()
}

/// The same rollouts as if the engine had sampled them with exactly the trainer's weights.
pub(crate) fn on_policy_batch(trainer: &Trainer) -> Vec<TrainRollout> {
    batch()
        .into_iter()
        .map(|rollout| TrainRollout {
            behaviour_logprobs: trainer.logprobs(&rollout).expect("a valid rollout"),
            ..rollout
        })
        .collect()
}

pub(crate) fn bits(trainer: &Trainer) -> Vec<u32> {
    trainer.snapshot().values().iter().flatten().map(|x| x.to_bits()).collect()
}

pub(crate) fn largest_difference(a: &Trainer, b: &Trainer) -> f32 {
    let (a, b) = (a.snapshot(), b.snapshot());
    let pairs = a.values().iter().flatten().zip(b.values().iter().flatten());
    pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}
