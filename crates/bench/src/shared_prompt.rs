//! A training step over completions of one prompt, beside the same step with a prompt for each.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use model::Transformer;
use ops::DeviceSpec;
use ops::gemm::{Kernel, set_kernel};
use serde_json::{Value, json};
use train::{SftExample, Trainer};

use crate::shapes::Shape;
use crate::step::config_for;

/// What to measure.
#[derive(Args)]
pub(crate) struct SharedPromptArguments {
    /// The model.
    #[arg(value_enum)]
    shape: Shape,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..))]
    prompt_tokens: u16,
    /// Completions.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Tokens of a completion.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    completion_tokens: u16,
    /// Matrix kernel: portable, neon, avx2, avx512 or amx; the best one there is if left out.
    #[arg(long)]
    kernel: Option<Kernel>,
}

/// Seconds of one step (forward, backward, AdamW) of either kind, after one that does not count.
pub(crate) fn measure(arguments: &SharedPromptArguments) -> Result<Value> {
    if let Some(kernel) = arguments.kernel {
        set_kernel(kernel)?;
    }
    let (prompt, completion) = (usize::from(arguments.prompt_tokens), usize::from(arguments.completion_tokens));
    let samples = usize::from(arguments.samples);
    let model = Transformer::random(arguments.shape.for_step()?, 0, &DeviceSpec::Cpu.open()?.autodiff())?;
    let vocabulary = model.config().vocab_size;
    let mut trainer = Trainer::new(model, config_for(prompt + samples * completion))?;
    let batch = |own_prompts: bool| -> Vec<SftExample> {
        let example = |sample: usize| {
            let mut tokens: Vec<u32> = (0..prompt).map(|i| ((i * 104_729) % vocabulary) as u32).collect();
            tokens.extend((0..completion).map(|i| (((sample + 1) * 7919 + i * 104_729) % vocabulary) as u32));
            if own_prompts {
                tokens[0] = (sample % vocabulary) as u32;
            }
            SftExample { tokens, prompt_len: prompt }
        };
        (0..samples).map(example).collect()
    };
    let (shared, own) = (batch(false), batch(true));
    trainer.sft_step(&shared)?;
    let mut seconds = |batch: &[SftExample]| -> Result<f64> {
        let start = Instant::now();
        trainer.sft_step(batch)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let (shared, own) = (seconds(&shared)?, seconds(&own)?);
    let kernel = ops::gemm::current().to_string();
    Ok(json!({ "seconds": shared, "seconds_with_own_prompts": own, "ratio": shared / own, "kernel": kernel }))
}
