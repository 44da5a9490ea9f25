//! Generation from random weights: tokens per second, prefill included.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use engine::{Engine, EngineConfig, Request, Sampling};
use model::{Transformer, WeightDtype};
use ops::DeviceSpec;
use ops::gemm::{Kernel, set_kernel};
use serde_json::{Value, json};

use crate::shapes::Shape;

/// Number format of the packed matrices.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Dtype {
    /// Full.
    F32,
    /// Half the memory.
    Bf16,
}

/// What to measure.
#[derive(Args)]
pub(crate) struct GenerateArguments {
    /// The model.
    #[arg(value_enum)]
    shape: Shape,
    /// Number format of the matrices; norms and activations stay f32.
    #[arg(long, value_enum, default_value = "f32")]
    dtype: Dtype,
    /// Sequences side by side, each with a prompt of its own, in place of the shape's number.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    batch: Option<u64>,
    /// Timed rounds, each with prompts of its own; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Matrix kernel: portable, neon, avx2, avx512 or amx; the best one there is if left out.
    #[arg(long)]
    kernel: Option<Kernel>,
    /// Where it runs.
    #[arg(long, default_value = "cpu")]
    device: DeviceSpec,
}

/// Prompts, samples of each, prompt tokens, new tokens: as in `bench/peers/hf_generate.py`.
fn work(shape: Shape) -> (u64, usize, usize, usize) {
    match shape {
        Shape::Half => (2, 8, 64, 32),
        Shape::SmolLm2 => (16, 1, 64, 64),
        _ => (64, 1, 32, 64),
    }
}

/// Generates a little to warm up, then measures.
pub(crate) fn measure(arguments: &GenerateArguments) -> Result<Value> {
    if let Some(kernel) = arguments.kernel {
        set_kernel(kernel)?;
    }
    let device = arguments.device.open()?;
    let dtype = match arguments.dtype {
        Dtype::F32 => WeightDtype::F32,
        Dtype::Bf16 => WeightDtype::Bf16,
    };
    let model = Transformer::random(arguments.shape.for_generation()?, 0, &device)?.freeze(dtype);
    let config =
        EngineConfig { kv_blocks: 1024, block_size: 16, max_running: 64, prefill_chunk_tokens: 2048, max_context: 256 };
    let mut engine = Engine::new(model, 0, config, None)?;
    let (prompts, samples, prompt_tokens, new_tokens) = match (work(arguments.shape), arguments.batch) {
        (usual, None) => usual,
        ((_, _, prompt_tokens, new_tokens), Some(batch)) => (batch, 1, prompt_tokens, new_tokens),
    };
    generate(&mut engine, 0, 1, 2, prompt_tokens, 4)?;
    let mut seconds = Vec::new();
    for round in 1..=arguments.rounds as u64 {
        let start = Instant::now();
        let tokens = generate(&mut engine, 1000 * round, prompts, samples, prompt_tokens, new_tokens)?;
        seconds.push(start.elapsed().as_secs_f64());
        anyhow::ensure!(tokens == prompts as usize * samples * new_tokens, "only {tokens} tokens were generated");
    }
    seconds.sort_by(f64::total_cmp);
    let seconds = seconds[seconds.len() / 2];
    let tokens = prompts as usize * samples * new_tokens;
    let kernel = ops::gemm::current().to_string();
    Ok(json!({ "tokens_per_s": tokens as f64 / seconds, "seconds": seconds, "kernel": kernel }))
}

fn generate(
    engine: &mut Engine,
    first: u64,
    prompts: u64,
    samples: usize,
    prompt_tokens: usize,
    new_tokens: usize,
) -> Result<usize> {
    for id in first..first + prompts {
        let prompt: Arc<[u32]> = (0..prompt_tokens as u64).map(|i| ((id * 131 + i * 17) % 500) as u32).collect();
        let seeds = (0..samples).map(|sample| seed(id, sample)).collect();
        engine.submit(Request {
            id,
            prompt,
            seeds,
            sampling: sampling(new_tokens),
            want_hidden: false,
            weight_version: None,
        })?;
    }
    let mut tokens = 0;
    while !engine.is_idle() {
        tokens += engine.step()?.iter().map(|completion| completion.tokens.len()).sum::<usize>();
    }
    Ok(tokens)
}

fn sampling(max_new_tokens: usize) -> Sampling {
    Sampling { temperature: 1.0, top_p: None, top_k: None, max_new_tokens, stop_tokens: vec![], stop_strings: vec![] }
}

fn seed(id: u64, sample: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&id.to_le_bytes());
    seed[8..16].copy_from_slice(&(sample as u64).to_le_bytes());
    seed
}
