//! Scores given tokens with the output head, without ever holding all logits.
//!
//! Promise: memory beyond inputs and gradients stays bounded by a few tiles, whatever the
//! vocabulary.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::linear::Matrix;
use crate::reference;

/// What the model thinks of each target token; natural logs, `[T]` each.
#[derive(Clone, Debug)]
pub struct TokenLogprobs {
    /// Log-probability of the target.
    pub logprob: Tensor<1>,
    /// Entropy of the whole distribution.
    pub entropy: Tensor<1>,
}

/// With `z_tj = (hidden_t · W_j) / temperature_t` and `lse_t = log Σ_j exp(z_tj)`:
/// `logprob_t = z_t,target(t) - lse_t`, `entropy_t = lse_t - Σ_j softmax(z_t)_j · z_tj`.
///
/// hidden `[T, d]`, head `W [V, d]`, targets and temperature `[T]`; both results are
/// differentiable with respect to hidden and W (not the temperature).
///
/// # Panics
/// If the shapes do not fit, a target is not below `V`, or a temperature is not positive.
pub fn token_logprobs(
    hidden: Tensor<2>,
    head: &Matrix,
    targets: &Arc<[u32]>,
    temperature: &Arc<[f32]>,
) -> TokenLogprobs {
    let [tokens, width] = hidden.dims();
    let vocabulary = head.out_features();
    assert_eq!(width, head.in_features(), "token_logprobs: width of hidden");
    assert_eq!(tokens, targets.len(), "token_logprobs: one target per row");
    assert_eq!(
        tokens,
        temperature.len(),
        "token_logprobs: one temperature per row"
    );
    if let Some(target) = targets.iter().find(|&&id| id as usize >= vocabulary) {
        panic!("token_logprobs: target {target} is not below the vocabulary size {vocabulary}");
    }
    if let Some(bad) = temperature.iter().find(|&&t| t.is_nan() || t <= 0.0) {
        panic!("token_logprobs: temperature must be positive, given {bad}");
    }
    reference::token_logprobs(hidden, head, targets, temperature)
}
