//! Scales each row to a root mean square of one, then by a learned gain.
//!
//! Promise: rows do not depend on each other.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::device::is_cpu;
use crate::flex::{dense, dims2, floats, parents, register};
use crate::recycle::Buffer;
use crate::vmath::vectorized;
use crate::{reference, rows};

/// `y_ti = g_i · x_ti / sqrt(mean_i(x_ti²) + eps)`, x `[T, d]`, g `[d]`.
/// Source: RMSNorm, arXiv:1910.07467, eq. 4.
///
/// # Panics
/// If the gain does not have one entry per column.
pub fn rms_norm(x: Tensor<2>, gain: &Tensor<1>, eps: f64) -> Tensor<2> {
    let ([_, width], [gains]) = (x.dims(), gain.dims());
    assert_eq!(width, gains, "rms_norm: rows of {width}, gain of {gains}");
    if !is_cpu(&x.device()) {
        return reference::rms_norm(x, gain, eps);
    }
    let gain = gain.clone().into_dispatch();
    let y = <Dispatch as RmsNormOps>::rms_norm(x.into_dispatch(), gain, eps);
    Tensor::from_dispatch(y)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait RmsNormOps: Backend {
    /// See [`rms_norm()`].
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
}

/// Its gradients.
pub(crate) trait RmsNormGradient: Backend {
    /// With `r = 1 / sqrt(mean(x²) + eps)` of the row:
    /// `dx_i = r·(g_i·dy_i - x_i·r²/d · Σ_j g_j·dy_j·x_j)`, `dg_i = Σ_t dy_ti·x_ti·r_t`.
    fn rms_norm_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// `1 / sqrt(mean(x²) + eps)` of one row.
#[inline(always)]
fn inverse_root(x: &[f32], eps: f32) -> f32 {
    1.0 / (rows::dot(x, x) / x.len() as f32 + eps).sqrt()
}

impl RmsNormOps for Flex {
    fn rms_norm(x: FlexTensor, gain: FlexTensor, eps: f64) -> FlexTensor {
        let (x, gain) = (dense(x), dense(gain));
        let shape @ [tokens, width] = dims2(&x);
        let (xs, g) = (floats(&x), floats(&gain));
        let mut out = Buffer::new(tokens * width);
        rows::for_each(&mut out, width, |range, y| {
            let x = &xs[range.start * width..range.end * width];
            vectorized(
                #[inline(always)]
                || {
                    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                        let r = inverse_root(x, eps as f32);
                        for ((y, &x), &g) in y.iter_mut().zip(x).zip(g) {
                            *y = g * (x * r);
                        }
                    }
                },
            );
        });
        out.into_tensor(shape)
    }
}

impl RmsNormGradient for Flex {
    fn rms_norm_backward(x: FlexTensor, gain: FlexTensor, grad: FlexTensor, eps: f64) -> (FlexTensor, FlexTensor) {
        let (x, gain, grad) = (dense(x), dense(gain), dense(grad));
        let shape @ [tokens, width] = dims2(&x);
        let (xs, g, dys) = (floats(&x), floats(&gain), floats(&grad));
        let (mut dx, mut roots) = (Buffer::new(tokens * width), Buffer::new(tokens));
        rows::for_each2((&mut dx, width), (&mut roots, 1), |range, dx, roots| {
            let span = range.start * width..range.end * width;
            input_gradient(&xs[span.clone()], g, &dys[span], dx, roots, eps as f32);
        });
        let mut dg = Buffer::new(width);
        rows::column_sums(tokens, &mut dg, |range, sums| {
            vectorized(
                #[inline(always)]
                || {
                    for row in range {
                        let (span, r) = (row * width..(row + 1) * width, roots[row]);
                        let terms = xs[span.clone()].iter().zip(&dys[span]);
                        for (sum, (&x, &dy)) in sums.iter_mut().zip(terms) {
                            *sum = (dy * r).mul_add(x, *sum);
                        }
                    }
                },
            );
        });
        (dx.into_tensor(shape), dg.into_tensor([width]))
    }
}

/// `dx` of some rows, and the inverse root of each.
fn input_gradient(x: &[f32], g: &[f32], dy: &[f32], dx: &mut [f32], roots: &mut [f32], eps: f32) {
    let width = g.len();
    vectorized(
        #[inline(always)]
        || {
            let inputs = x.chunks_exact(width).zip(dy.chunks_exact(width));
            let outputs = dx.chunks_exact_mut(width).zip(roots);
            for ((x, dy), (dx, root)) in inputs.zip(outputs) {
                let r = inverse_root(x, eps);
                for ((dx, &g), &dy) in dx.iter_mut().zip(g).zip(dy) {
                    *dx = g * dy;
                }
                let pull = rows::dot(dx, x) * r * r / width as f32;
                for (dx, &x) in dx.iter_mut().zip(x) {
                    *dx = r * x.mul_add(-pull, *dx);
                }
                *root = r;
            }
        },
    );
}

#[derive(Debug)]
struct RmsNormBackward;

impl<B: RmsNormGradient> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let (x, gain, eps) = ops.state;
        let (dx, dg) = B::rms_norm_backward(x, gain, grad, eps);
        register::<B, 2>(grads, parents, [Some(dx), Some(dg)]);
    }
}

impl<B: RmsNormOps + RmsNormGradient, C: CheckpointStrategy> RmsNormOps for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        let nodes = [x.node(), gain.node()];
        let (x, gain) = (x.into_primitive(), gain.into_primitive());
        match RmsNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::rms_norm(x.clone(), gain.clone(), eps);
                prep.finish((x, gain, eps), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::rms_norm(x, gain, eps)),
        }
    }
}
