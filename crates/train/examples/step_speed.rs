//! Times training steps of a random model: `step_speed [d] [layers] [ff] [vocab] [sequences] [tokens] [micro] [parallel]`.

use std::sync::Arc;
use std::time::Instant;

use model::{Family, ModelConfig, Sizes, Transformer};
use ops::DeviceSpec;
use train::{LossConfig, OptimizerConfig, Preset, Schedule, SftExample, TrainConfig, Trainer};

const REPEATS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| given.get(index).copied().unwrap_or(default);
    let (width, vocabulary) = (number(0, 128), number(3, 64));
    let (sequences, tokens) = (number(4, 64), number(5, 64));
    let sizes = Sizes {
        vocab_size: vocabulary,
        hidden_size: width,
        intermediate_size: number(2, 4 * width),
        layers: number(1, 4),
        heads: 4,
        key_value_heads: 4,
        head_dim: None,
        max_positions: tokens + 1,
        tied: true,
    };
    let config = ModelConfig::new(Family::Llama, &sizes)?;
    let model = Transformer::random(Arc::new(config), 1, &DeviceSpec::Cpu.open()?)?;
    let config = TrainConfig {
        loss: LossConfig::new(Preset::Dapo),
        optimizer: OptimizerConfig::new(1e-4),
        schedule: Schedule::default(),
        micro_batch_tokens: number(6, sequences * tokens),
        parallel_micro_batches: number(7, 1),
        updates_per_batch: 1,
    };
    let mut trainer = Trainer::new(model, config)?;
    let token = |s: usize, t: usize| ((s * 31 + t * 17 + s * t) % vocabulary) as u32;
    // One token more than the model sees: the last one is only a target.
    let batch: Vec<SftExample> = (0..sequences)
        .map(|s| SftExample { tokens: (0..=tokens).map(|t| token(s, t)).collect(), prompt_len: 1 })
        .collect();
    trainer.sft_step(&batch)?;
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..REPEATS {
        let start = Instant::now();
        trainer.sft_step(&batch)?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let median = times[REPEATS / 2];
    println!(
        "step {:.1} ms (fastest {:.1}), {:.0} tokens/s",
        median * 1e3,
        times[0] * 1e3,
        (sequences * tokens) as f64 / median
    );
    Ok(())
}
