//! Multiplies rows by a weight matrix.
//!
//! Promise: a row's result has the same bits whatever rows stand beside it, and the same
//! bits from a plain weight as from its packed (frozen) form.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::device::is_cpu;
use crate::gemm::{PackedMatrix, gemm_packed};
use crate::{host, reference};

/// A weight `[out, in]`, either a tensor (trainable) or packed for inference on the CPU.
#[derive(Clone)]
pub struct Matrix {
    form: Form,
    out_features: usize,
    in_features: usize,
}

#[derive(Clone)]
enum Form {
    Tensor(Tensor<2>),
    Packed(Arc<PackedMatrix>),
}

impl Matrix {
    /// Wraps a weight tensor `[out, in]`; gradients flow to it.
    pub fn new(weight: Tensor<2>) -> Self {
        let [out_features, in_features] = weight.dims();
        Self {
            form: Form::Tensor(weight),
            out_features,
            in_features,
        }
    }

    /// Wraps a weight packed for the CPU; no gradient flows through it.
    pub fn packed(weight: PackedMatrix) -> Self {
        let (out_features, in_features) = (weight.out_features(), weight.in_features());
        Self {
            form: Form::Packed(Arc::new(weight)),
            out_features,
            in_features,
        }
    }

    /// The form for inference: packed once in f32 on the CPU, the bare tensor elsewhere.
    pub fn freeze(&self) -> Self {
        match &self.form {
            Form::Packed(_) => self.clone(),
            Form::Tensor(weight) if is_cpu(&weight.device()) => {
                let values = host::to_vec_f32(weight);
                Self::packed(PackedMatrix::from_f32(
                    &values,
                    self.out_features,
                    self.in_features,
                ))
            }
            Form::Tensor(weight) => Self::new(weight.clone().inner()),
        }
    }

    /// As [`Matrix::freeze`], with the weights rounded to bf16 (half the memory on the CPU;
    /// elsewhere the rounded values stay f32).
    pub fn freeze_bf16(&self) -> Self {
        let Form::Tensor(weight) = &self.form else {
            return self.clone();
        };
        let device = weight.device();
        let values = host::to_vec_f32(weight).into_iter();
        let rounded = values.map(half::bf16::from_f32);
        if is_cpu(&device) {
            let bits: Vec<u16> = rounded.map(half::bf16::to_bits).collect();
            return Self::packed(PackedMatrix::from_bf16(
                &bits,
                self.out_features,
                self.in_features,
            ));
        }
        let shape = [self.out_features, self.in_features];
        let values = rounded.map(half::bf16::to_f32).collect();
        Self::new(host::from_vec(values, shape, &device.inner()))
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
}

/// `y = x · Wᵀ + b`, x `[T, in]`, W `[out, in]`, b `[out]`, y `[T, out]`.
///
/// A packed weight gives a result without gradients.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear(x: Tensor<2>, w: &Matrix, bias: Option<&Tensor<1>>) -> Tensor<2> {
    let [_, width] = x.dims();
    assert_eq!(
        width, w.in_features,
        "linear: input is {width} wide, the weight takes {}",
        w.in_features
    );
    match &w.form {
        Form::Tensor(_) => reference::linear(x, w, bias),
        Form::Packed(packed) => linear_packed(&x, packed, bias),
    }
}

fn linear_packed(x: &Tensor<2>, w: &PackedMatrix, bias: Option<&Tensor<1>>) -> Tensor<2> {
    let [rows, _] = x.dims();
    let device: Device = x.device();
    let mut y = vec![0.0; rows * w.out_features()];
    gemm_packed(&mut y, &host::to_vec_f32(x), w);
    if let Some(bias) = bias {
        let bias = host::to_vec_f32(bias);
        for row in y.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(&bias).for_each(|(y, b)| *y += b);
        }
    }
    host::from_vec(y, [rows, w.out_features()], &device)
}
