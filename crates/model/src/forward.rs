//! The decoder: from token ids to hidden states, once for training, validation and generation.
//!
//! Promise: one function body; only the attention differs, by [`AttentionContext`].
//! Shapes: `T` tokens of all sequences laid end to end, width `d`, no padding.

use std::sync::Arc;

use burn::tensor::Tensor;
use ops::{CacheView, Heads, KvPool, Matrix, RotaryTable, Segments};

use crate::config::ModelConfig;

/// A matrix and its bias.
pub(crate) struct Projection {
    pub(crate) weight: Matrix,
    pub(crate) bias: Option<Tensor<1>>,
}

impl Projection {
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        ops::linear(x, &self.weight, self.bias.as_ref())
    }

    fn parts(&self) -> ops::Projection<'_> {
        (&self.weight, self.bias.as_ref())
    }
}

/// The weights of one decoder layer, ready to compute with.
pub(crate) struct LayerWeights {
    pub(crate) input_norm: Tensor<1>,
    pub(crate) query: Projection,
    pub(crate) key: Projection,
    pub(crate) value: Projection,
    pub(crate) query_norm: Option<Tensor<1>>,
    pub(crate) key_norm: Option<Tensor<1>>,
    pub(crate) output: Projection,
    pub(crate) feed_forward_norm: Tensor<1>,
    pub(crate) gate: Projection,
    pub(crate) up: Projection,
    pub(crate) down: Projection,
}

/// All weights, ready to compute with: views of trainable tensors, or packed for inference.
pub(crate) struct Weights {
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<LayerWeights>,
    pub(crate) final_norm: Tensor<1>,
}

/// Where attention finds keys and values.
pub(crate) enum AttentionContext<'a> {
    /// Whole sequences side by side: training and validation.
    Packed(&'a Segments),
    /// New tokens of running sequences, older ones in the cache: generation.
    Cached { pool: &'a mut KvPool, view: &'a CacheView },
}

/// What the forward pass knows beside the weights.
pub(crate) struct Pass<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) rotary: &'a RotaryTable,
    pub(crate) positions: &'a Arc<[u32]>,
}

/// Hidden states `[T, d]` after the final norm.
pub(crate) fn hidden(pass: &Pass, weights: &Weights, tokens: &Arc<[u32]>, mut context: AttentionContext) -> Tensor<2> {
    let mut x = ops::embedding(&weights.embedding, tokens);
    for (index, weights) in weights.layers.iter().enumerate() {
        x = layer(pass, weights, x, index, &mut context);
    }
    ops::rms_norm(x, &weights.final_norm, pass.config.rms_norm_eps)
}

/// One layer: `x += output(attention(rotary(norm(query)), rotary(norm(key)), value))`, the three
/// taken from `rms_norm(x)`, the head norms only where the family has them;
/// then `x += down(silu(gate(y)) · up(y))`, `y = rms_norm(x)`.
/// Source: `modeling_qwen2.py`, `modeling_qwen3.py`, `modeling_llama.py` of transformers.
pub(crate) fn layer(
    pass: &Pass,
    weights: &LayerWeights,
    x: Tensor<2>,
    index: usize,
    context: &mut AttentionContext,
) -> Tensor<2> {
    let Pass { config, rotary, positions } = pass;
    let heads = Heads { query: config.heads, key_value: config.key_value_heads, head_dim: config.head_dim };
    let eps = config.rms_norm_eps;
    let (y, x) = ops::residual_norm(x, &weights.input_norm, eps);
    let [query, key, value] = ops::linears(&y, [&weights.query, &weights.key, &weights.value].map(Projection::parts));
    let query = normed_heads(query, weights.query_norm.as_ref(), eps);
    let key = normed_heads(key, weights.key_norm.as_ref(), eps);
    let query = ops::rotary(query, positions, rotary, config.head_dim);
    let key = ops::rotary(key, positions, rotary, config.head_dim);
    let mixed = match context {
        AttentionContext::Packed(segments) => ops::attention(query, key, value, segments, heads),
        AttentionContext::Cached { pool, view } => ops::attention_cached(query, key, value, pool, index, view, heads),
    };
    let x = ops::add(x, weights.output.apply(mixed));
    let (y, x) = ops::residual_norm(x, &weights.feed_forward_norm, eps);
    ops::add(x, ops::feed_forward(y, weights.gate.parts(), weights.up.parts(), weights.down.parts()))
}

/// RMS norm of each head on its own: `[T, heads · D]` seen as `[T · heads, D]`.
fn normed_heads(x: Tensor<2>, gain: Option<&Tensor<1>>, eps: f64) -> Tensor<2> {
    let Some(gain) = gain else { return x };
    let [tokens, width] = x.dims();
    let [head_dim] = gain.dims();
    ops::rms_norm(x.reshape([tokens * width / head_dim, head_dim]), gain, eps).reshape([tokens, width])
}
