//! The trainer of a run: its configuration, and the supervised warm-up before RL.

use std::time::Instant;

use anyhow::Result;
use model::Transformer;
use train::{OptimizerConfig, SftExample, TrainConfig, Trainer};

use super::journal::Journal;
use super::prompting::Prompting;
use crate::config::{self, RunConfig};
use crate::signal::Stop;
use record::events::{Event, SftStep};
use record::machine;

/// A trainer for RL over these weights.
pub fn rl_trainer(config: &RunConfig, model: Transformer) -> Result<Trainer> {
    Ok(Trainer::new(model, rl_config(config))?)
}

/// The trainer's settings for RL.
pub fn rl_config(config: &RunConfig) -> TrainConfig {
    let section = &config.train;
    TrainConfig {
        loss: config::loss(config),
        optimizer: OptimizerConfig {
            beta1: f64::from(section.betas[0]),
            beta2: f64::from(section.betas[1]),
            eps: f64::from(section.eps),
            weight_decay: f64::from(section.weight_decay),
            max_grad_norm: f64::from(section.clip_norm),
            moments_dtype: section.moments_dtype,
            ..OptimizerConfig::new(f64::from(section.lr))
        },
        schedule: schedule(section.schedule, section.warmup_steps, config.stop.steps),
        micro_batch_tokens: section.micro_batch_tokens,
        activation_bytes_max: section.activation_mib() << 20,
        updates_per_batch: 1,
    }
}

fn sft_config(config: &RunConfig) -> TrainConfig {
    let section = &config.sft;
    TrainConfig {
        optimizer: OptimizerConfig {
            weight_decay: 0.0,
            moments_dtype: config.train.moments_dtype,
            ..OptimizerConfig::new(f64::from(section.lr))
        },
        schedule: schedule(section.schedule, section.warmup_steps, section.steps),
        ..rl_config(config)
    }
}

fn schedule(kind: config::Schedule, warmup_steps: u64, total_steps: u64) -> train::Schedule {
    let shape = match kind {
        config::Schedule::Constant => train::Shape::Constant,
        config::Schedule::Linear => train::Shape::Linear,
        config::Schedule::Cosine => train::Shape::Cosine,
    };
    train::Schedule { shape, warmup_steps, total_steps, floor: 0.0 }
}

/// Trains on the tasks' own answers for `[sft] steps` steps. Gives the weights, and whether it ran to its end.
pub fn warm_up(
    config: &RunConfig,
    prompting: &Prompting,
    model: Transformer,
    journal: &mut Journal,
    stop: &Stop,
) -> Result<(Transformer, bool)> {
    let mut trainer = Trainer::new(model, sft_config(config))?;
    for step in 1..=config.sft.steps {
        if stop.is_requested() {
            return Ok((trainer.into_model(), false));
        }
        let start = Instant::now();
        let batch = sft_batch(config, prompting, step)?;
        let learnt = trainer.sft_step(&batch)?;
        let (seconds, peak_memory_bytes) = (start.elapsed().as_secs_f64(), machine::peak_memory_bytes());
        journal.record(Event::SftStep(SftStep { step, learnt, seconds, peak_memory_bytes }))?;
        journal.tick(&[]);
    }
    Ok((trainer.into_model(), true))
}

/// Examples of one warm-up step, the tasks dealt in turn by weight.
fn sft_batch(config: &RunConfig, prompting: &Prompting, step: u64) -> Result<Vec<SftExample>> {
    let dealt: Vec<usize> = config
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(task, entry)| std::iter::repeat_n(task, entry.weight as usize))
        .collect();
    let size = config.sft.batch_size as u64;
    let first = (step - 1) * size;
    (first..first + size)
        .map(|place| {
            let task = dealt[(place % dealt.len() as u64) as usize];
            prompting.sft_example(task, place / dealt.len() as u64)
        })
        .collect()
}
