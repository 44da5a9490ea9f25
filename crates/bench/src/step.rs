//! One training step: forward, backward and AdamW over a batch of random tokens.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use model::Transformer;
use ops::DeviceSpec;
use ops::gemm::{Kernel, set_kernel};
use serde_json::{Value, json};
use train::{LossConfig, OptimizerConfig, Preset, Schedule, SftExample, TrainConfig, Trainer};

use crate::shapes::Shape;

/// What to measure.
#[derive(Args)]
pub(crate) struct StepArguments {
    /// The model; the batch is 64 sequences of 64 tokens, and 4 of 256 for 0.5b.
    #[arg(value_enum)]
    shape: Shape,
    /// Timed steps, after two that are not.
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Matrix kernel: portable, neon, avx2, avx512 or amx; the best one there is if left out.
    #[arg(long)]
    kernel: Option<Kernel>,
    /// Where it runs.
    #[arg(long, default_value = "cpu")]
    device: DeviceSpec,
}

/// Median seconds of a step.
pub(crate) fn measure(arguments: &StepArguments) -> Result<Value> {
    if let Some(kernel) = arguments.kernel {
        set_kernel(kernel)?;
    }
    let config = arguments.shape.for_step()?;
    let vocabulary = config.vocab_size;
    let (sequences, tokens) = if arguments.shape == Shape::Half { (4, 256) } else { (64, 64) };
    let device = arguments.device.open()?.autodiff();
    let model = Transformer::random(config, 0, &device)?;
    let parameters = model.params().count();
    // The peer computes no layer twice either; gradients wait for the next step, as in a run that has the memory.
    ops::recycle::retain_gradients_at_most(usize::MAX);
    let config = TrainConfig { activation_bytes_max: u64::MAX, ..config_for(sequences * tokens) };
    let mut trainer = Trainer::new(model, config)?;
    // Every position but the last is a target, as in the peer; one token more makes the counts equal.
    let batch: Vec<SftExample> = (0..sequences)
        .map(|row| SftExample {
            tokens: (0..=tokens).map(|i| ((row * 7919 + i * 104_729) % vocabulary) as u32).collect(),
            prompt_len: 1,
        })
        .collect();
    let warm = if arguments.shape == Shape::Half { 1 } else { 2 };
    let mut seconds = Vec::new();
    for step in 0..warm + arguments.steps {
        let start = Instant::now();
        trainer.sft_step(&batch)?;
        if step >= warm {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    Ok(json!({
        "tokens_per_s": (sequences * tokens) as f64 / median,
        "seconds": median,
        "parameters": parameters,
        "kernel": ops::gemm::current().to_string(),
    }))
}

pub(crate) fn config_for(micro_batch_tokens: usize) -> TrainConfig {
    TrainConfig {
        loss: LossConfig::new(Preset::Grpo),
        optimizer: OptimizerConfig::new(1e-4),
        schedule: Schedule::default(),
        micro_batch_tokens,
        activation_bytes_max: train::ACTIVATION_BYTES_MAX,
        updates_per_batch: 1,
    }
}
