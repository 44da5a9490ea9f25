//! The shapes that both sides measure.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use model::{Family, ModelConfig, Sizes};

/// A model shape of the benchmarks; the same names as in `bench/peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// 4 layers, width 128, 4 heads, ff 512, vocabulary 64.
    D128,
    /// 4 layers, width 256, 4 heads, ff 1024; vocabulary 64 for steps, 512 for generation.
    D256,
    /// Qwen2.5-0.5B: 24 layers, width 896, 14 heads over 2, ff 4864, vocabulary 151,936.
    #[value(name = "0.5b")]
    Half,
    /// SmolLM2-135M: 30 layers, width 576, 9 heads over 3, ff 1536, vocabulary 49,152.
    #[value(name = "smollm2")]
    SmolLm2,
}

impl Shape {
    /// Shape of the training-step benchmark: no biases in the small ones, as the peer has none.
    pub(crate) fn for_step(self) -> Result<Arc<ModelConfig>> {
        match self {
            Self::D128 => small(Family::Llama, 128, 512, 4, 64),
            Self::D256 => small(Family::Llama, 256, 1024, 4, 64),
            Self::Half => half(),
            Self::SmolLm2 => smollm2(),
        }
    }

    /// Shape of the generation benchmark.
    pub(crate) fn for_generation(self) -> Result<Arc<ModelConfig>> {
        match self {
            Self::D128 => small(Family::Qwen2, 128, 512, 4, 512),
            Self::D256 => small(Family::Qwen2, 256, 1024, 2, 512),
            Self::Half => half(),
            Self::SmolLm2 => smollm2(),
        }
    }
}

/// What all shapes have in common; `layers` and `heads` are those of the small ones.
const COMMON: Sizes = Sizes {
    vocab_size: 0,
    hidden_size: 0,
    intermediate_size: 0,
    layers: 4,
    heads: 4,
    key_value_heads: 0,
    head_dim: None,
    max_positions: 2048,
    tied: true,
};

fn small(
    family: Family,
    hidden_size: usize,
    intermediate_size: usize,
    key_value_heads: usize,
    vocab_size: usize,
) -> Result<Arc<ModelConfig>> {
    build(family, Sizes { hidden_size, intermediate_size, key_value_heads, vocab_size, ..COMMON })
}

fn half() -> Result<Arc<ModelConfig>> {
    let (vocab_size, hidden_size, intermediate_size) = (151_936, 896, 4864);
    let (layers, heads, key_value_heads) = (24, 14, 2);
    build(Family::Qwen2, Sizes { vocab_size, hidden_size, intermediate_size, layers, heads, key_value_heads, ..COMMON })
}

fn smollm2() -> Result<Arc<ModelConfig>> {
    let (vocab_size, hidden_size, intermediate_size) = (49_152, 576, 1536);
    let (layers, heads, key_value_heads) = (30, 9, 3);
    build(Family::Llama, Sizes { vocab_size, hidden_size, intermediate_size, layers, heads, key_value_heads, ..COMMON })
}

fn build(family: Family, sizes: Sizes) -> Result<Arc<ModelConfig>> {
    Ok(Arc::new(ModelConfig::new(family, &sizes)?))
}
