//! Scales each row to a root mean square of one, then by a learned gain.
//!
//! Promise: rows do not depend on each other.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::add::AddOps;
use crate::flex::{dense, dims2, floats, parents, register};
use crate::joint::Joint;
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::rows;
use crate::vmath::vectorized;

/// `y_ti = g_i · x_ti / sqrt(mean_i(x_ti²) + eps)`, x `[T, d]`, g `[d]`.
/// Source: RMSNorm, arXiv:1910.07467, eq. 4.
///
/// # Panics
/// If the gain does not have one entry per column.
pub fn rms_norm(x: Tensor<2>, gain: &Tensor<1>, eps: f64) -> Tensor<2> {
    joined(x, gain, eps, Joint::of(1))
}

/// [`rms_norm()`] of `x`, and `x` for the residual connection beside it: in the backward pass the gradient that comes back
/// through that one is added in the same pass over memory. Both must matter to what is derived.
///
/// # Panics
/// As [`rms_norm()`].
pub fn residual_norm(x: Tensor<2>, gain: &Tensor<1>, eps: f64) -> (Tensor<2>, Tensor<2>) {
    let joint = Joint::of(2);
    let y = joined(x.clone(), gain, eps, joint.clone());
    (y, kernels(&x.device()).residual(x, joint))
}

pub(crate) fn fused_residual(x: Tensor<2>, joint: Joint) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as RmsNormOps>::residual(x.into_dispatch(), joint))
}

fn joined(x: Tensor<2>, gain: &Tensor<1>, eps: f64, joint: Joint) -> Tensor<2> {
    let ([_, width], [gains]) = (x.dims(), gain.dims());
    assert_eq!(width, gains, "rms_norm: rows of {width}, gain of {gains}");
    kernels(&x.device()).rms_norm(x, gain, eps, joint)
}

pub(crate) fn fused(x: Tensor<2>, gain: &Tensor<1>, eps: f64, joint: Joint) -> Tensor<2> {
    let gain = gain.clone().into_dispatch();
    let y = <Dispatch as RmsNormOps>::rms_norm(x.into_dispatch(), gain, eps, joint);
    Tensor::from_dispatch(y)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait RmsNormOps: Backend {
    /// See [`rms_norm()`]; the gradient of `x` goes through `joint`.
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64, joint: Joint) -> FloatTensor<Self>;

    /// `x` itself, likewise.
    fn residual(x: FloatTensor<Self>, joint: Joint) -> FloatTensor<Self>;
}

/// Its gradients.
pub(crate) trait RmsNormGradient: Backend {
    /// With `r = 1 / sqrt(mean(x²) + eps)` of the row:
    /// `dx_i = r·(g_i·dy_i - x_i·r²/d · Σ_j g_j·dy_j·x_j)`, added to the sum that is given,
    /// `dg_i = Σ_t dy_ti·x_ti·r_t`.
    fn rms_norm_backward(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f64,
        sum: Option<FloatTensor<Self>>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// `1 / sqrt(mean(x²) + eps)` of one row.
#[inline(always)]
fn inverse_root(x: &[f32], eps: f32) -> f32 {
    1.0 / (rows::dot(x, x) / x.len() as f32 + eps).sqrt()
}

impl RmsNormOps for Flex {
    fn residual(x: FlexTensor, _: Joint) -> FlexTensor {
        x
    }

    fn rms_norm(x: FlexTensor, gain: FlexTensor, eps: f64, _: Joint) -> FlexTensor {
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
    fn rms_norm_backward(
        x: FlexTensor,
        gain: FlexTensor,
        grad: FlexTensor,
        eps: f64,
        sum: Option<FlexTensor>,
    ) -> (FlexTensor, FlexTensor) {
        let (x, gain, grad) = (dense(x), dense(gain), dense(grad));
        let shape @ [tokens, width] = dims2(&x);
        let (xs, g, dys) = (floats(&x), floats(&gain), floats(&grad));
        let adds = sum.is_some();
        let mut dx = sum.map_or_else(|| Buffer::new(tokens * width).into_tensor(shape), dense);
        let mut roots = Buffer::new(tokens);
        rows::for_each2((dx.storage_mut(), width), (&mut roots, 1), |range, dx, roots| {
            let span = range.start * width..range.end * width;
            input_gradient([&xs[span.clone()], &dys[span]], g, eps as f32, adds, (dx, roots));
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
        (dx, dg.into_tensor([width]))
    }
}

/// `dx` of some rows, added to what stands there if `adds`, and the inverse root of each.
fn input_gradient([x, dy]: [&[f32]; 2], g: &[f32], eps: f32, adds: bool, (dx, roots): (&mut [f32], &mut [f32])) {
    let width = g.len();
    let mut scaled = vec![0.0; width];
    vectorized(
        #[inline(always)]
        move || {
            let inputs = x.chunks_exact(width).zip(dy.chunks_exact(width));
            let outputs = dx.chunks_exact_mut(width).zip(roots);
            for ((x, dy), (dx, root)) in inputs.zip(outputs) {
                let r = inverse_root(x, eps);
                for ((scaled, &g), &dy) in scaled.iter_mut().zip(g).zip(dy) {
                    *scaled = g * dy;
                }
                let pull = rows::dot(&scaled, x) * r * r / width as f32;
                for ((dx, &scaled), &x) in dx.iter_mut().zip(&scaled).zip(x) {
                    let term = r * x.mul_add(-pull, scaled);
                    *dx = if adds { *dx + term } else { term };
                }
                *root = r;
            }
        },
    );
}

/// Which gradient of `x` its own is a share of.
#[derive(Debug)]
struct RmsNormBackward(Joint);

impl<B: RmsNormGradient> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let (x, gain, eps) = ops.state;
        let mut dg = None;
        let dx = self.0.add(|sum| {
            let (dx, found) = B::rms_norm_backward(x, gain, grad, eps, sum);
            dg = Some(found);
            dx
        });
        register::<B, 2>(grads, parents, [dx, dg]);
    }
}

/// Which gradient of `x` its own is a share of.
#[derive(Debug)]
struct ResidualBackward(Joint);

impl<B: AddOps> Backward<B, 1> for ResidualBackward {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let dx = self.0.add(|sum| match sum {
            Some(sum) => B::sum(grad, sum),
            None => grad,
        });
        register::<B, 1>(grads, parents, [dx]);
    }
}

impl<B: RmsNormOps + RmsNormGradient + AddOps, C: CheckpointStrategy> RmsNormOps for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, gain: FloatTensor<Self>, eps: f64, joint: Joint) -> FloatTensor<Self> {
        let nodes = [x.node(), gain.node()];
        let (x, gain) = (x.into_primitive(), gain.into_primitive());
        let y = B::rms_norm(x.clone(), gain.clone(), eps, joint.clone());
        match RmsNormBackward(joint).prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, gain, eps), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn residual(x: FloatTensor<Self>, joint: Joint) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Backward::<B, 1>::prepare::<C>(ResidualBackward(joint), [node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((), x),
            OpsKind::UnTracked(prep) => prep.finish(x),
        }
    }
}
