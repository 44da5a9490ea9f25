//! Adds two tensors of one shape: residual connections, and gradients of several micro-batches.
//!
//! Promise: elements do not depend on each other. Burn's own addition keeps to one thread, and is not optimised in our builds.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, DispatchTensor, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::flex::{dense, floats, parents, register};
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::rows;
use crate::vmath::vectorized;

/// `x + y`, of one shape; written over `y` where nobody else holds it.
///
/// # Panics
/// If the shapes differ.
pub fn add<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    assert_eq!(x.dims(), y.dims(), "add: shapes differ");
    let kernels = kernels(&x.device());
    Tensor::from_dispatch(kernels.add(x.into_dispatch(), y.into_dispatch()))
}

pub(crate) fn fused(x: DispatchTensor, y: DispatchTensor) -> DispatchTensor {
    <Dispatch as AddOps>::sum(x, y)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait AddOps: Backend {
    /// See [`add()`].
    fn sum(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl AddOps for Flex {
    fn sum(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, mut y) = (dense(x), dense(y));
        let xs = floats(&x);
        if let Some(values) = y.try_storage_mut::<f32>() {
            rows::for_each(values, 1, |range, y| add_to(y, &xs[range]));
            return y;
        }
        let mut out = Buffer::new(xs.len());
        let ys = floats(&y);
        rows::for_each(&mut out, 1, |range, out| {
            out.copy_from_slice(&ys[range.clone()]);
            add_to(out, &xs[range]);
        });
        out.into_tensor(x.layout().shape().clone())
    }
}

fn add_to(y: &mut [f32], x: &[f32]) {
    vectorized(
        #[inline(always)]
        || y.iter_mut().zip(x).for_each(|(y, x)| *y += x),
    );
}

#[derive(Debug)]
struct AddBackward;

impl<B: Backend> Backward<B, 2> for AddBackward {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        register::<B, 2>(grads, parents, [Some(grad.clone()), Some(grad)]);
    }
}

impl<B: AddOps, C: CheckpointStrategy> AddOps for Autodiff<B, C> {
    fn sum(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), y.node()];
        let sum = B::sum(x.into_primitive(), y.into_primitive());
        match Backward::<B, 2>::prepare::<C>(AddBackward, nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((), sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        }
    }
}
