//! The gated activation between the feed-forward matrices.
//!
//! Promise: elements do not depend on each other.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::flex::{dense, dims2, floats, parents, register};
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::rows;
use crate::vmath::{exp_f32, vectorized};

/// `y = gate · sigmoid(gate) · up`, all `[T, f]`.
/// Source: GLU variants, arXiv:2002.05202, eq. 6.
///
/// # Panics
/// If the shapes differ.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    assert_eq!(gate.dims(), up.dims(), "swiglu: shapes differ");
    kernels(&gate.device()).swiglu(gate, up)
}

pub(crate) fn fused(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let y = <Dispatch as SwigluOps>::swiglu(gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(y)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait SwigluOps: Backend {
    /// See [`swiglu()`].
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Its gradients.
pub(crate) trait SwigluGradient: Backend {
    /// With `s = sigmoid(gate)`: `dup = dy·gate·s`, `dgate = dy·up·s·(1 + gate·(1 - s))`.
    fn swiglu_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp_f32(-x))
}

/// The gradients of gate and up, and `y`, of one element.
#[inline(always)]
fn derivatives(gate: f32, up: f32, dy: f32) -> [f32; 3] {
    let s = sigmoid(gate);
    [dy * up * s * (1.0 + gate * (1.0 - s)), dy * gate * s, gate * s * up]
}

/// `y` of some elements.
pub(crate) fn activate(gate: &[f32], up: &[f32], y: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                *y = gate * sigmoid(gate) * up;
            }
        },
    );
}

/// The gradients of gate and up of some elements, and `y` in place of its gradient.
pub(crate) fn derive([gate, up]: [&[f32]; 2], y: &mut [f32], [dgate, dup]: [&mut [f32]; 2]) {
    vectorized(
        #[inline(always)]
        || {
            let outs = dgate.iter_mut().zip(dup).zip(y);
            for (((dgate, dup), y), (&gate, &up)) in outs.zip(gate.iter().zip(up)) {
                [*dgate, *dup, *y] = derivatives(gate, up, *y);
            }
        },
    );
}

impl SwigluOps for Flex {
    fn swiglu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        let (gate, up) = (dense(gate), dense(up));
        let [tokens, width] = dims2(&gate);
        let (g, u) = (floats(&gate), floats(&up));
        let mut out = Buffer::new(tokens * width);
        rows::for_each(&mut out, 1, |range, y| activate(&g[range.clone()], &u[range], y));
        out.into_tensor([tokens, width])
    }
}

impl SwigluGradient for Flex {
    fn swiglu_backward(gate: FlexTensor, up: FlexTensor, grad: FlexTensor) -> (FlexTensor, FlexTensor) {
        let (gate, up, grad) = (dense(gate), dense(up), dense(grad));
        let [tokens, width] = dims2(&gate);
        let (g, u, dy) = (floats(&gate), floats(&up), floats(&grad));
        let (mut dgate, mut dup) = (Buffer::new(tokens * width), Buffer::new(tokens * width));
        rows::for_each2((&mut dgate, 1), (&mut dup, 1), |range, dg, du| {
            let (g, u, dy) = (&g[range.clone()], &u[range.clone()], &dy[range]);
            vectorized(
                #[inline(always)]
                || {
                    let outs = dg.iter_mut().zip(du);
                    for (((dg, du), (&g, &u)), &dy) in outs.zip(g.iter().zip(u)).zip(dy) {
                        [*dg, *du, _] = derivatives(g, u, dy);
                    }
                },
            );
        });
        let shape = [tokens, width];
        (dgate.into_tensor(shape), dup.into_tensor(shape))
    }
}

#[derive(Debug)]
struct SwigluBackward;

impl<B: SwigluGradient> Backward<B, 2> for SwigluBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let (gate, up) = ops.state;
        let (dgate, dup) = B::swiglu_backward(gate, up, grad);
        register::<B, 2>(grads, parents, [Some(dgate), Some(dup)]);
    }
}

impl<B: SwigluOps + SwigluGradient, C: CheckpointStrategy> SwigluOps for Autodiff<B, C> {
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [gate.node(), up.node()];
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match SwigluBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::swiglu(gate.clone(), up.clone());
                prep.finish((gate, up), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::swiglu(gate, up)),
        }
    }
}
