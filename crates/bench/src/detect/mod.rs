//! How far honest machines are apart, and how soon liars are caught: real workers, real liars, the real
//! validator with all its checks.
//!
//! Promise: every rollout goes through [`verify::Validator::check`] as it would in a run; a rate is
//! printed with the counts behind it. Numbers do not depend on how busy the machine is.

mod drift;
mod lies;
mod scene;

use anyhow::Result;
use clap::{Args, ValueEnum};
use ops::DeviceSpec;
use ops::gemm::Kernel;
use serde_json::Value;

use crate::generate::Dtype;
use scene::Scene;

/// Which question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    /// Honest workers and validators with every pair of matrix kernels, with threads and batches.
    Drift,
    /// One liar after the other.
    Lies,
}

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The model and task of `examples/default.toml`, warmed up as there.
    Small,
    /// Random weights of the 0.5B shape, prompts of 32 and completions of 32 tokens.
    #[value(name = "0.5b")]
    Half,
}

/// What to measure.
#[derive(Args)]
pub(crate) struct DetectArguments {
    /// Honest drift, or liars.
    #[arg(value_enum)]
    question: Question,
    /// The model.
    #[arg(value_enum)]
    subject: Subject,
    /// Number format of the matrices.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// Rollouts for each pair of kernels, or of each liar.
    #[arg(long, default_value_t = 1024)]
    rollouts: u32,
    /// Rollouts in a group; 1 judges every rollout by itself.
    #[arg(long, default_value_t = 16)]
    group_size: u32,
    /// Share of each group that is recomputed.
    #[arg(long, default_value_t = 1.0)]
    check_fraction: f64,
    /// Supervised steps before the small model is used: 40 as in the example, more for a surer model.
    #[arg(long, default_value_t = 40)]
    warm_up: u64,
    /// Matrix kernels of the drift, by name; all that this machine has if none is named.
    #[arg(long)]
    kernel: Vec<Kernel>,
    /// Another device, as `wgpu:0`, whose workers and validators the drift pairs with the fastest kernel of the CPU.
    #[arg(long)]
    device: Option<DeviceSpec>,
    /// Liars to measure, by name; all if none is named.
    #[arg(long)]
    only: Vec<String>,
}

/// Answers one question.
pub(crate) fn measure(arguments: &DetectArguments) -> Result<Value> {
    let scene = Scene::new(arguments)?;
    match arguments.question {
        Question::Drift => drift::measure(arguments, &scene),
        Question::Lies => lies::measure(arguments, &scene),
    }
}
