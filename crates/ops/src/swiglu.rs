//! The gated activation between the feed-forward matrices.
//!
//! Promise: elements do not depend on each other.

use burn::tensor::Tensor;

use crate::reference;

/// `y = gate · sigmoid(gate) · up`, all `[T, f]`.
/// Source: GLU variants, arXiv:2002.05202, eq. 6.
///
/// # Panics
/// If the shapes differ.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    assert_eq!(gate.dims(), up.dims(), "swiglu: shapes differ");
    reference::swiglu(gate, up)
}
