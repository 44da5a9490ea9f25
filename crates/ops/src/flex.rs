//! Passes between Burn's tensors and the slices that our kernels work on.
//!
//! Promise: no copy is made of a tensor that lies without gaps.

use burn::backend::autodiff::{NodeId, grads::Gradients, ops::Ops};
use burn::backend::{Backend, Flex, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

/// The tensor without gaps, as the kernels want it.
pub(crate) fn dense(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.layout().num_elements() * tensor.dtype().size();
    let ready = tensor.is_contiguous() && tensor.layout().start_offset() == 0 && tensor.bytes().len() == whole;
    if ready { tensor } else { tensor.to_contiguous() }
}

/// The elements of a tensor that went through [`dense`].
pub(crate) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor.storage()
}

/// `[rows, columns]` of a matrix.
pub(crate) fn dims2(tensor: &FlexTensor) -> [usize; 2] {
    tensor.layout().shape().dims()
}

/// The CPU primitive of a tensor, cut off from any gradient graph.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let primitive = tensor.inner().try_into_primitive::<Flex>();
    dense(primitive.expect("the caller saw that the tensor lives on the CPU"))
}

/// A tensor of a CPU primitive, without gradients.
pub(crate) fn tensor<const D: usize>(primitive: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(primitive)
}

/// The parents that want a gradient.
pub(crate) fn parents<S, const N: usize>(ops: &Ops<S, N>) -> [Option<NodeId>; N] {
    ops.parents.each_ref().map(|node| node.as_ref().map(|node| node.id))
}

/// Hands each parent that wants one its gradient.
pub(crate) fn register<B: Backend, const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    gradients: [Option<FloatTensor<B>>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let (Some(node), Some(gradient)) = (parent, gradient) {
            grads.register::<B>(node, gradient);
        }
    }
}
