//! Scales each row to a root mean square of one, then by a learned gain.
//!
//! Promise: rows do not depend on each other.

use burn::tensor::Tensor;

use crate::reference;

/// `y_ti = g_i · x_ti / sqrt(mean_i(x_ti²) + eps)`, x `[T, d]`, g `[d]`.
/// Source: RMSNorm, arXiv:1910.07467, eq. 4.
///
/// # Panics
/// If the gain does not have one entry per column.
pub fn rms_norm(x: Tensor<2>, gain: &Tensor<1>, eps: f64) -> Tensor<2> {
    let ([_, width], [gains]) = (x.dims(), gain.dims());
    assert_eq!(width, gains, "rms_norm: rows of {width}, gain of {gains}");
    reference::rms_norm(x, gain, eps)
}
