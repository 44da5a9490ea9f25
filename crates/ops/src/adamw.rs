//! Updates parameters with AdamW.
//!
//! Promise: one pass over flat f32 tensors, in place where nobody else holds them; elements
//! do not depend on each other, so threads do not change the result.

use burn::tensor::Tensor;

use crate::reference;

/// Numbers of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f32,
    /// Number of this update, from 1.
    pub step: u64,
    /// Factor on the gradient, as from clipping its norm; 1 leaves it.
    pub grad_scale: f32,
}

impl AdamWStep {
    /// `(1 - beta1^step, 1 - beta2^step)`, computed in f64.
    pub(crate) fn bias_corrections(&self) -> (f32, f32) {
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(self.step as f64)) as f32;
        (correction(self.beta1), correction(self.beta2))
    }
}

/// With `g = grad · grad_scale`: `m = β1·m + (1-β1)·g`, `v = β2·v + (1-β2)·g²`,
/// `p = p·(1 - lr·weight_decay) - lr · (m/(1-β1^step)) / (sqrt(v/(1-β2^step)) + eps)`.
/// Source: AdamW, arXiv:1711.05101, algorithm 2; the order of operations is PyTorch's.
///
/// All `[n]`. `param` keeps whether it requires gradients, as a new leaf.
///
/// # Panics
/// If the lengths differ or `step` is 0.
pub fn adamw_step(
    param: &mut Tensor<1>,
    grad: &Tensor<1>,
    m: &mut Tensor<1>,
    v: &mut Tensor<1>,
    step: AdamWStep,
) {
    assert!(step.step > 0, "adamw_step: steps count from 1");
    let [n] = param.dims();
    for (name, dims) in [("grad", grad.dims()), ("m", m.dims()), ("v", v.dims())] {
        assert_eq!(dims, [n], "adamw_step: length of {name}");
    }
    reference::adamw_step(param, grad, m, v, step);
}

/// `Σ x²`, summed in f64 in an order that depends on the length alone.
pub fn sum_of_squares(x: &Tensor<1>) -> f64 {
    reference::sum_of_squares(x)
}
