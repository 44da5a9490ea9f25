//! Where a backward pass begins with a gradient that is known already.
//!
//! Promise: the gradient enters the graph as it is, without arithmetic.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::flex::{parents, register};
use crate::kernels::kernels;
use crate::recycle::Buffer;

/// The gradients that follow from `∂loss/∂y = gradient`, where `y` and `gradient` are `[T, d]`.
///
/// # Panics
/// If the shapes differ.
pub fn backward_from(y: Tensor<2>, gradient: Tensor<2>) -> burn::tensor::Gradients {
    assert_eq!(y.dims(), gradient.dims(), "backward_from: shapes differ");
    kernels(&y.device()).backward_from(y, gradient)
}

pub(crate) fn fused(y: Tensor<2>, gradient: Tensor<2>) -> burn::tensor::Gradients {
    let (y, gradient) = (y.into_dispatch(), gradient.autodiff().into_dispatch());
    Tensor::<1>::from_dispatch(<Dispatch as GivenGradientOps>::root(y, gradient)).backward()
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait GivenGradientOps: Backend {
    /// One zero, the root of a backward pass in which `y` has this gradient.
    fn root(y: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl GivenGradientOps for Flex {
    fn root(_: FlexTensor, _: FlexTensor) -> FlexTensor {
        Buffer::new(1).into_tensor([1])
    }
}

#[derive(Debug)]
struct GivenGradientBackward;

impl<B: Backend> Backward<B, 2> for GivenGradientBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let parents = parents(&ops);
        grads.consume::<B>(&ops.node);
        register::<B, 2>(grads, parents, [Some(ops.state), None]);
    }
}

impl<B: GivenGradientOps, C: CheckpointStrategy> GivenGradientOps for Autodiff<B, C> {
    fn root(y: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [y.node(), gradient.node()];
        let (y, gradient) = (y.into_primitive(), gradient.into_primitive());
        match GivenGradientBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient.clone(), B::root(y, gradient)),
            OpsKind::UnTracked(prep) => prep.finish(B::root(y, gradient)),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::host;

    #[test]
    fn the_given_gradient_goes_on_to_what_it_came_from() {
        let device = Device::flex();
        let matrix = |values: &[f32]| host::from_vec(values.to_vec(), [2, 2], &device);
        let x = matrix(&[1., 2., 3., 4.]).autodiff().require_grad();
        let mut found = backward_from(x.clone() * x.clone(), matrix(&[1., -1., 0.5, f32::MIN_POSITIVE]));
        assert_eq!(host::to_vec_f32(&x.grad_remove(&mut found).unwrap()), [2., -4., 3., 8. * f32::MIN_POSITIVE]);
    }
}
