//! Updates parameters with AdamW.
//!
//! Promise: one pass over flat f32 tensors, in place where nobody else holds them; elements
//! do not depend on each other, so threads do not change the result. Moments may be bf16; a copy in f32 is never made.

use burn::backend::Flex;
use burn::tensor::{DType, Device, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use rayon::prelude::*;

use crate::flex::{dense, floats, primitive, tensor};
use crate::kernels::kernels;
use crate::rounding::{Draws, Stored};
use crate::vmath::vectorized;

/// Elements per piece of work, and per partial sum.
const PIECE: usize = 16 * 1024;

/// Numbers of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f32,
    /// Number of this update, from 1.
    pub step: u64,
    /// Factor on the gradient, as from clipping its norm; 1 leaves it.
    pub grad_scale: f32,
}

impl AdamWStep {
    /// `(1 - beta1^step, 1 - beta2^step)`, computed in f64.
    pub(crate) fn bias_corrections(&self) -> (f32, f32) {
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(self.step as f64)) as f32;
        (correction(self.beta1), correction(self.beta2))
    }
}

/// With `g = grad · grad_scale`: `m = β1·m + (1-β1)·g`, `v = β2·v + (1-β2)·g²`,
/// `p = p·(1 - lr·weight_decay) - lr · (m/(1-β1^step)) / (sqrt(v/(1-β2^step)) + eps)`.
/// Source: AdamW, arXiv:1711.05101, algorithm 2; the bias corrections
/// go where PyTorch puts them.
///
/// All `[n]`. `param` keeps whether it requires gradients, as a new leaf. `m` and `v` are both f32, or on the CPU both
/// bf16: then both are rounded at random before `p` is computed of them, so that they tell what the update did.
///
/// # Panics
/// If the lengths differ, `step` is 0, or the moments have another format.
pub fn adamw_step(param: &mut Tensor<1>, grad: &Tensor<1>, m: &mut Tensor<1>, v: &mut Tensor<1>, step: AdamWStep) {
    assert!(step.step > 0, "adamw_step: steps count from 1");
    let [n] = param.dims();
    for (name, dims) in [("grad", grad.dims()), ("m", m.dims()), ("v", v.dims())] {
        assert_eq!(dims, [n], "adamw_step: length of {name}");
    }
    assert_eq!(m.dtype(), v.dtype(), "adamw_step: format of v");
    kernels(&param.device()).adamw_step(param, grad, m, v, step);
}

pub(crate) fn fused(param: &mut Tensor<1>, grad: &Tensor<1>, m: &mut Tensor<1>, v: &mut Tensor<1>, step: AdamWStep) {
    let leaf = (param.is_autodiff(), param.is_require_grad());
    let grad = primitive(grad.clone());
    let mut state = [&mut *param, m, v].map(take);
    let update = Update::new(&step);
    match state[1].dtype() {
        DType::F32 => update.apply_all::<f32>(&mut state, floats(&grad)),
        DType::BF16 => update.apply_all::<bf16>(&mut state, floats(&grad)),
        other => panic!("adamw_step: moments of {other:?}"),
    }
    let [new, new_m, new_v] = state;
    (*m, *v) = (tensor(new_m), tensor(new_v));
    let new = tensor(new);
    *param = match leaf {
        (false, _) => new,
        (true, false) => Tensor::from_inner(new),
        (true, true) => Tensor::from_inner(new).require_grad(),
    };
}

/// Whether a device keeps moments in this format.
pub fn takes_moments(device: &Device, dtype: DType) -> bool {
    kernels(device).takes_moments(dtype)
}

/// Takes the primitive out of a tensor, so that it can be changed in place if nobody else
/// holds it.
fn take(tensor: &mut Tensor<1>) -> FlexTensor {
    let device = tensor.device().inner();
    let taken = std::mem::replace(tensor, Tensor::empty([0], &device));
    let primitive = taken.inner().try_into_primitive::<Flex>();
    dense(primitive.expect("the caller saw that the tensor lives on the CPU"))
}

/// The factors of one update, ready for every element.
struct Update {
    step: AdamWStep,
    keep: f32,
    rate: f32,
    root_correction: f32,
    draws: Draws,
}

impl Update {
    fn new(step: &AdamWStep) -> Self {
        let (correction1, correction2) = step.bias_corrections();
        Self {
            step: *step,
            keep: 1.0 - step.lr * step.weight_decay,
            rate: step.lr / correction1,
            root_correction: correction2.sqrt(),
            draws: Draws::of(step.step),
        }
    }

    fn apply_all<M: Stored>(&self, [p, m, v]: &mut [FlexTensor; 3], g: &[f32]) {
        let pieces = p
            .storage_mut::<f32>()
            .par_chunks_mut(PIECE)
            .zip(m.storage_mut::<M>().par_chunks_mut(PIECE))
            .zip(v.storage_mut::<M>().par_chunks_mut(PIECE))
            .zip(g.par_chunks(PIECE));
        pieces.enumerate().for_each(|(piece, (((p, m), v), g))| self.apply(piece * PIECE, p, m, v, g));
    }

    /// The piece that begins at place `start` of its tensor.
    fn apply<M: Stored>(&self, start: usize, p: &mut [f32], m: &mut [M], v: &mut [M], g: &[f32]) {
        let AdamWStep { beta1, beta2, eps, grad_scale, .. } = self.step;
        let Self { keep, rate, root_correction, .. } = *self;
        let mut draws = self.draws.skip(start);
        vectorized(
            #[inline(always)]
            move || {
                for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                    let g = g * grad_scale;
                    let random = draws.draw();
                    *m = M::rounded(beta1 * m.widened() + (1.0 - beta1) * g, random as u16);
                    *v = M::rounded(beta2 * v.widened() + (1.0 - beta2) * g * g, (random >> 16) as u16);
                    let root = v.widened().sqrt() / root_correction + eps;
                    *p = *p * keep - rate * m.widened() / root;
                }
            },
        );
    }
}

/// `Σ x²`, summed in f64 in an order that depends on the length alone.
pub fn sum_of_squares(x: &Tensor<1>) -> f64 {
    kernels(&x.device()).sum_of_squares(x)
}

pub(crate) fn fused_sum_of_squares(x: &Tensor<1>) -> f64 {
    let x = primitive(x.clone());
    let pieces: Vec<f64> = floats(&x).par_chunks(PIECE).map(squares).collect();
    pieces.iter().sum()
}

fn squares(x: &[f32]) -> f64 {
    vectorized(
        #[inline(always)]
        || {
            let mut lanes = [0.0f64; 8];
            let chunks = x.chunks_exact(lanes.len());
            let rest = chunks.remainder();
            for chunk in chunks {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *lane += f64::from(*x) * f64::from(*x);
                }
            }
            let rest = rest.iter().map(|x| f64::from(*x) * f64::from(*x));
            lanes.iter().sum::<f64>() + rest.sum::<f64>()
        },
    )
}
