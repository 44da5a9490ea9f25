//! The gated feed-forward part of a layer.
//!
//! Promise: the bits of [`linear()`], [`swiglu()`] and [`linear()`] again, one after the other. Where there are many rows,
//! a block of them goes through all three at once: what lies between them stays in a core's cache, and threads meet once.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::flex::{dense, dims2, floats, parents, primitive, register, tensor};
use crate::gemm::{MatRef, RightSide, gemm_alone, rows_together};
use crate::kernels::kernels;
use crate::linear::{LinearGradient, Projection, linear, linears, view};
use crate::recycle::Buffer;
use crate::swiglu::{activate, derive, swiglu};

/// `(silu(y·Gᵀ) · (y·Uᵀ)) · Dᵀ` and the biases of each product, y `[T, d]`, gate G and up U `[f, d]`, down D `[d, f]`.
/// Source: GLU variants, arXiv:2002.05202, eq. 6.
///
/// # Panics
/// As [`linear()`].
pub fn feed_forward(y: Tensor<2>, gate: Projection, up: Projection, down: Projection) -> Tensor<2> {
    kernels(&y.device()).feed_forward(y, [gate, up, down])
}

/// One operation after the other.
pub(crate) fn in_turn(y: &Tensor<2>, [gate, up, down]: [Projection; 3]) -> Tensor<2> {
    let [gate, up] = linears(y, [gate, up]);
    linear(swiglu(gate, up), down.0, down.1)
}

pub(crate) fn fused(y: Tensor<2>, all: [Projection; 3]) -> Tensor<2> {
    let [tokens, _] = y.dims();
    let has_bias = all.iter().any(|(_, bias)| bias.is_some());
    // Fewer rows are cut by their columns.
    if has_bias || tokens < rows_together() * rayon::current_num_threads() {
        return in_turn(&y, all);
    }
    if let [Some(gate), Some(up), Some(down)] = all.map(|(weight, _)| weight.tensor()) {
        let [gate, up, down] = [gate, up, down].map(|weight| weight.clone().into_dispatch());
        let (out, _) = <Dispatch as FeedForwardOps>::gated(y.into_dispatch(), gate, up, down);
        return Tensor::from_dispatch(out);
    }
    assert!(!y.is_tracked(), "no gradients flow through a packed weight");
    let weights = all.map(|(weight, _)| weight.packed_weight().expect("a matrix is a tensor or packed"));
    tensor(forward(&primitive(y), weights.map(RightSide::from)).0)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FeedForwardOps: Backend {
    /// See [`feed_forward()`]; also `y·Gᵀ` and `y·Uᵀ` block by block, `[T, 2f]`, which carry no gradient.
    fn gated(
        y: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Its gradients.
pub(crate) trait FeedForwardGradient: Backend {
    /// Gradients with respect to y, gate, up and down, from `inputs` = these four, what [`FeedForwardOps::gated`] gave
    /// beside the result, and the gradient of the result.
    fn gated_backward(
        inputs: [FloatTensor<Self>; 4],
        halves: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4];
}

/// Memory for a packed weight.
fn room(k: usize, n: usize) -> Buffer {
    Buffer::new(RightSide::floats(k, n))
}

/// The result, and gate and up of each block of rows, one after the other.
fn forward(y: &FlexTensor, [gate, up, down]: [RightSide; 3]) -> (FlexTensor, FlexTensor) {
    let ([tokens, width], inner, rows) = (dims2(y), down.rows(), rows_together());
    let (mut out, mut halves) = (Buffer::new(tokens * width), Buffer::new(tokens * 2 * inner));
    let inputs = floats(y).par_chunks(rows * width);
    let outputs = out.par_chunks_mut(rows * width).zip(halves.par_chunks_mut(rows * 2 * inner));
    inputs.zip(outputs).for_each_init(
        || Buffer::new(rows * inner),
        |hidden, (y, (out, halves))| {
            let count = y.len() / width;
            let (y, hidden) = (MatRef::new(y, count, width), &mut hidden[..count * inner]);
            let (gated, upped) = halves.split_at_mut(count * inner);
            gemm_alone(gated, y, &gate, false);
            gemm_alone(upped, y, &up, false);
            activate(gated, upped, hidden);
            gemm_alone(out, MatRef::new(hidden, count, inner), &down, false);
        },
    );
    (out.into_tensor([tokens, width]), halves.into_tensor([tokens, 2 * inner]))
}

impl FeedForwardOps for Flex {
    fn gated(y: FlexTensor, gate: FlexTensor, up: FlexTensor, down: FlexTensor) -> (FlexTensor, FlexTensor) {
        let (y, weights) = (dense(y), [gate, up, down].map(dense));
        let mut memory = weights.each_ref().map(|weight| room(dims2(weight)[1], dims2(weight)[0]));
        let [g, u, d] = &mut memory;
        let [gate, up, down] = &weights;
        let pack = RightSide::pack;
        forward(&y, [pack(g, view(gate).t()), pack(u, view(up).t()), pack(d, view(down).t())])
    }
}

impl FeedForwardGradient for Flex {
    fn gated_backward(inputs: [FlexTensor; 4], halves: FlexTensor, grad: FlexTensor) -> [FlexTensor; 4] {
        let ([y, gate, up, down], grad) = (inputs.map(dense), dense(grad));
        let ([tokens, width], [inner, _], rows) = (dims2(&y), dims2(&gate), rows_together());
        let mut memory = [room(inner, width), room(inner, width), room(width, inner)];
        let [g, u, d] = &mut memory;
        let pack = RightSide::pack;
        let (gate, up, down) = (pack(g, view(&gate)), pack(u, view(&up)), pack(d, view(&down)));
        let [mut dgate, mut dup, mut hidden] = [(); 3].map(|()| Buffer::new(tokens * inner));
        let mut dy = Buffer::new(tokens * width);
        let inputs = floats(&grad).par_chunks(rows * width).zip(floats(&halves).par_chunks(rows * 2 * inner));
        let inner_outputs = dgate.par_chunks_mut(rows * inner).zip(dup.par_chunks_mut(rows * inner));
        let outputs = inner_outputs.zip(hidden.par_chunks_mut(rows * inner)).zip(dy.par_chunks_mut(rows * width));
        inputs.zip(outputs).for_each(|((grad, halves), (((dgate, dup), hidden), dy))| {
            let count = grad.len() / width;
            let matrix = |values, columns| MatRef::new(values, count, columns);
            let (gated, upped) = halves.split_at(count * inner);
            gemm_alone(hidden, matrix(grad, width), &down, false);
            derive([gated, upped], hidden, [dgate, dup]);
            gemm_alone(dy, matrix(dup, inner), &up, false);
            gemm_alone(dy, matrix(dgate, inner), &gate, true);
        });
        let [dgate, dup, hidden] = [dgate, dup, hidden].map(|x| x.into_tensor([tokens, inner]));
        let weight = |grad, x| Self::linear_weight_gradient(grad, x);
        let ddown = weight(grad, hidden);
        [dy.into_tensor([tokens, width]), weight(dgate, y.clone()), weight(dup, y), ddown]
    }
}

#[derive(Debug)]
struct FeedForwardBackward;

impl<B: FeedForwardGradient> Backward<B, 4> for FeedForwardBackward {
    type State = ([FloatTensor<B>; 4], FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let (inputs, halves) = ops.state;
        register::<B, 4>(grads, parents, B::gated_backward(inputs, halves, grad).map(Some));
    }
}

impl<B: FeedForwardOps + FeedForwardGradient, C: CheckpointStrategy> FeedForwardOps for Autodiff<B, C> {
    fn gated(
        y: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        down: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [y.node(), gate.node(), up.node(), down.node()];
        let inputs = [y, gate, up, down].map(|x| x.into_primitive());
        let [y, gate, up, down] = inputs.clone();
        let (out, halves) = B::gated(y, gate, up, down);
        let constant = <Self as AutodiffBackend>::from_inner(halves.clone());
        let out = match FeedForwardBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inputs, halves), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        };
        (out, constant)
    }
}
