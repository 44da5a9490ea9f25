//! Multiplies rows by a weight matrix.
//!
//! Promise: a row's result has the same bits whatever rows stand beside it, and the same
//! bits from a plain weight as from its packed (frozen) form.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;

use crate::flex::{dense, dims2, floats, parents, primitive, register, tensor};
use crate::gemm::{MatRef, PackedMatrix, gemm, gemm_packed};
use crate::host::Floats;
use crate::joint::Joint;
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::vmath::vectorized;
use crate::{host, rows};

/// A weight `[out, in]`, either a tensor (trainable) or packed for inference on the CPU.
#[derive(Clone)]
pub struct Matrix {
    form: Form,
    out_features: usize,
    in_features: usize,
}

#[derive(Clone)]
enum Form {
    Tensor(Box<Tensor<2>>),
    Packed(Arc<PackedMatrix>),
}

impl Matrix {
    /// Wraps a weight tensor `[out, in]`; gradients flow to it.
    pub fn new(weight: Tensor<2>) -> Self {
        let [out_features, in_features] = weight.dims();
        Self { form: Form::Tensor(Box::new(weight)), out_features, in_features }
    }

    /// Wraps a weight packed for the CPU; no gradient flows through it.
    pub fn packed(weight: PackedMatrix) -> Self {
        let (out_features, in_features) = (weight.out_features(), weight.in_features());
        Self { form: Form::Packed(Arc::new(weight)), out_features, in_features }
    }

    /// A weight `[out, in]` for inference, rounded to bf16 if asked: packed on the CPU, in half the memory if rounded;
    /// elsewhere a tensor of f32. No gradient flows through it.
    ///
    /// # Panics
    /// If the number of values does not fit the shape.
    pub fn frozen(values: &[f32], shape: [usize; 2], bf16: bool, device: &Device) -> Self {
        kernels(device).frozen(values, shape, bf16, device)
    }

    /// One weight for [`crate::embedding()`] and for products, both as [`Matrix::frozen`] gives it, rows bit for bit: held
    /// once, where its rows can be read from what products read.
    ///
    /// # Panics
    /// If the number of values does not fit the shape.
    pub fn frozen_tied(values: &Floats, shape: [usize; 2], bf16: bool, device: &Device) -> (Self, Self) {
        kernels(device).frozen_tied(values, shape, bf16, device)
    }

    /// The same weight as [`Matrix::frozen`] makes it.
    pub fn freeze(&self, bf16: bool) -> Self {
        match &self.form {
            Form::Packed(_) => self.clone(),
            Form::Tensor(weight) => {
                let shape = [self.out_features, self.in_features];
                Self::frozen(&host::to_vec_f32(weight), shape, bf16, &weight.device().inner())
            }
        }
    }

    /// Rows of the weight: the width of the result.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// Columns of the weight: the width of the input.
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// The weight tensor, or nothing if the matrix is packed.
    pub fn tensor(&self) -> Option<&Tensor<2>> {
        match &self.form {
            Form::Tensor(weight) => Some(weight),
            Form::Packed(_) => None,
        }
    }

    /// The packed weight, or nothing if the matrix is a tensor.
    pub(crate) fn packed_weight(&self) -> Option<&PackedMatrix> {
        match &self.form {
            Form::Tensor(_) => None,
            Form::Packed(weight) => Some(weight),
        }
    }
}

/// A weight and its bias.
pub type Projection<'a> = (&'a Matrix, Option<&'a Tensor<1>>);

/// `y = x · Wᵀ + b`, x `[T, in]`, W `[out, in]`, b `[out]`, y `[T, out]`.
///
/// # Panics
/// If the shapes do not fit, or gradients are wanted through a packed weight.
pub fn linear(x: Tensor<2>, w: &Matrix, bias: Option<&Tensor<1>>) -> Tensor<2> {
    joined(x, w, bias, Joint::of(1))
}

/// [`linear()`] with several weights of one input, in the backward pass of which the terms of `dx` are one chain of sums.
/// All results must matter to what is derived.
///
/// # Panics
/// As [`linear()`].
pub fn linears<const N: usize>(x: &Tensor<2>, weights: [Projection; N]) -> [Tensor<2>; N] {
    let joint = Joint::of(N);
    weights.map(|(w, bias)| joined(x.clone(), w, bias, joint.clone()))
}

fn joined(x: Tensor<2>, w: &Matrix, bias: Option<&Tensor<1>>, joint: Joint) -> Tensor<2> {
    let [_, width] = x.dims();
    assert_eq!(width, w.in_features, "linear: input is {width} wide, the weight takes {}", w.in_features);
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [w.out_features], "linear: bias");
    }
    kernels(&x.device()).linear(x, (w, bias), joint)
}

pub(crate) fn packed(values: &[f32], [out, input]: [usize; 2], bf16: bool) -> PackedMatrix {
    match bf16 {
        false => PackedMatrix::from_f32(values, out, input),
        true => PackedMatrix::from_f32_rounded(values, out, input),
    }
}

pub(crate) fn packed_tied(values: &Floats, shape: [usize; 2], bf16: bool, device: &Device) -> (Matrix, Matrix) {
    let mut packed = packed(values, shape, bf16);
    let exact = bf16 || packed.keep_rows(values);
    let head = Matrix::packed(packed);
    let table = || Matrix::new(values.tensor(device).reshape(shape));
    (if exact { head.clone() } else { table() }, head)
}

pub(crate) fn fused(x: Tensor<2>, (w, bias): Projection, joint: Joint) -> Tensor<2> {
    match &w.form {
        Form::Packed(packed) => linear_packed(x, packed, bias),
        Form::Tensor(weight) => {
            let (x, weight) = (x.into_dispatch(), Tensor::clone(weight).into_dispatch());
            let y = match bias {
                None => <Dispatch as LinearOps>::matmul_t(x, weight, joint),
                Some(b) => <Dispatch as LinearOps>::matmul_t_bias(x, weight, b.clone().into_dispatch(), joint),
            };
            Tensor::from_dispatch(y)
        }
    }
}

fn linear_packed(x: Tensor<2>, w: &PackedMatrix, bias: Option<&Tensor<1>>) -> Tensor<2> {
    assert!(!x.is_tracked(), "no gradients flow through a packed weight");
    let x = primitive(x);
    let [tokens, _] = dims2(&x);
    let mut y = Buffer::new(tokens * w.out_features());
    gemm_packed(&mut y, floats(&x), w);
    if let Some(bias) = bias {
        add_bias(&mut y, floats(&primitive(bias.clone())));
    }
    tensor(y.into_tensor([tokens, w.out_features()]))
}

fn add_bias(y: &mut [f32], bias: &[f32]) {
    rows::for_each(y, bias.len(), |_, y| {
        vectorized(
            #[inline(always)]
            || {
                for y in y.chunks_exact_mut(bias.len()) {
                    y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            },
        );
    });
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LinearOps: Backend {
    /// `y = x · Wᵀ`; the gradient of `x` goes through `joint`.
    fn matmul_t(x: FloatTensor<Self>, weight: FloatTensor<Self>, joint: Joint) -> FloatTensor<Self>;

    /// `y = x · Wᵀ + b`, likewise.
    fn matmul_t_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        joint: Joint,
    ) -> FloatTensor<Self>;
}

/// Its gradients.
pub(crate) trait LinearGradient: Backend {
    /// `dx = dy · W`, `dy` `[T, out]`, added to the sum that is given.
    fn linear_input_gradient(
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        sum: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self>;

    /// `dW = dyᵀ · x`, `[out, in]`.
    fn linear_weight_gradient(grad: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `db = Σ_t dy_t`, `[out]`.
    fn linear_bias_gradient(grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A row-major tensor as the matrix product takes it.
pub(crate) fn view(tensor: &FlexTensor) -> MatRef<'_> {
    let [rows, columns] = dims2(tensor);
    MatRef::new(floats(tensor), rows, columns)
}

fn product(a: MatRef, b: MatRef) -> FlexTensor {
    product_in(Buffer::new(a.rows() * b.cols()), a, b)
}

fn product_in(mut c: Buffer, a: MatRef, b: MatRef) -> FlexTensor {
    gemm(&mut c, a, b, false);
    c.into_tensor([a.rows(), b.cols()])
}

impl LinearOps for Flex {
    fn matmul_t(x: FlexTensor, weight: FlexTensor, _: Joint) -> FlexTensor {
        product(view(&dense(x)), view(&dense(weight)).t())
    }

    fn matmul_t_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, _: Joint) -> FlexTensor {
        let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
        let shape = [dims2(&x)[0], dims2(&weight)[0]];
        let mut y = Buffer::new(shape[0] * shape[1]);
        gemm(&mut y, view(&x), view(&weight).t(), false);
        add_bias(&mut y, floats(&bias));
        y.into_tensor(shape)
    }
}

impl LinearGradient for Flex {
    fn linear_input_gradient(grad: FlexTensor, weight: FlexTensor, sum: Option<FlexTensor>) -> FlexTensor {
        let (grad, weight) = (dense(grad), dense(weight));
        let Some(mut sum) = sum.map(dense) else { return product(view(&grad), view(&weight)) };
        gemm(sum.storage_mut(), view(&grad), view(&weight), true);
        sum
    }

    fn linear_weight_gradient(grad: FlexTensor, x: FlexTensor) -> FlexTensor {
        let (grad, x) = (dense(grad), dense(x));
        let (a, b) = (view(&grad).t(), view(&x));
        product_in(Buffer::gradient(a.rows() * b.cols()), a, b)
    }

    fn linear_bias_gradient(grad: FlexTensor) -> FlexTensor {
        let grad = dense(grad);
        let ([tokens, width], dy) = (dims2(&grad), floats(&grad));
        let mut sums = Buffer::new(width);
        rows::column_sums(tokens, &mut sums, |range, sums| {
            for dy in dy[range.start * width..range.end * width].chunks_exact(width) {
                sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
            }
        });
        sums.into_tensor([width])
    }
}

/// Which gradient of `x` its own is a share of.
#[derive(Debug)]
struct LinearBackward(Joint);

impl LinearBackward {
    fn gradients<B: LinearGradient>(
        &self,
        [x_wanted, weight_wanted]: [bool; 2],
        (x, weight): (FloatTensor<B>, FloatTensor<B>),
        grad: &FloatTensor<B>,
    ) -> [Option<FloatTensor<B>>; 2] {
        let share = |sum| B::linear_input_gradient(grad.clone(), weight, sum);
        let dx = if x_wanted { self.0.add(share) } else { None };
        [dx, weight_wanted.then(|| B::linear_weight_gradient(grad.clone(), x))]
    }
}

impl<B: LinearGradient> Backward<B, 2> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let wanted = parents.each_ref().map(Option::is_some);
        let gradients = self.gradients::<B>(wanted, ops.state, &grad);
        register::<B, 2>(grads, parents, gradients);
    }
}

impl<B: LinearGradient> Backward<B, 3> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let [x, weight, bias] = parents.each_ref().map(Option::is_some);
        let [dx, dweight] = self.gradients::<B>([x, weight], ops.state, &grad);
        let dbias = bias.then(|| B::linear_bias_gradient(grad));
        register::<B, 3>(grads, parents, [dx, dweight, dbias]);
    }
}

impl<B: LinearOps + LinearGradient, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn matmul_t(x: FloatTensor<Self>, weight: FloatTensor<Self>, joint: Joint) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::matmul_t(x.clone(), weight.clone(), joint.clone());
        match Backward::<B, 2>::prepare::<C>(LinearBackward(joint), nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn matmul_t_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        joint: Joint,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = B::matmul_t_bias(x.clone(), weight.clone(), bias.into_primitive(), joint.clone());
        match Backward::<B, 3>::prepare::<C>(LinearBackward(joint), nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x, weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
