//! Moves numbers between tensors and plain vectors.
//!
//! Promise: values arrive in row-major order, unchanged; nothing is recorded for gradients.

use std::fmt;
use std::ops::Deref;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_flex::FlexTensor;

use crate::flex::{floats, primitive, tensor};
use crate::kernels::kernels;
use crate::recycle::Buffer;

/// Numbers in host memory, row-major. Those of a tensor on the CPU are the tensor's own: nothing is copied until one of
/// the two is changed.
#[derive(Clone)]
pub struct Floats(FlexTensor);

impl Floats {
    /// The numbers of a tensor.
    pub fn of(values: &Tensor<1>) -> Self {
        kernels(&values.device()).floats(values)
    }

    /// The storage of a tensor on the CPU itself.
    pub(crate) fn shared(values: &Tensor<1>) -> Self {
        Self(primitive(values.clone()))
    }

    /// `len` numbers as `fill` writes them; it is handed zeros.
    pub fn filled<E>(len: usize, fill: impl FnOnce(&mut [f32]) -> Result<(), E>) -> Result<Self, E> {
        let mut buffer = Buffer::lasting(len);
        fill(&mut buffer)?;
        Ok(Self(buffer.into_tensor([len])))
    }

    /// A tensor of these numbers.
    pub fn tensor(&self, device: &Device) -> Tensor<1> {
        kernels(device).tensor(self, device)
    }

    /// A tensor on the CPU with this very storage.
    pub(crate) fn shared_tensor(&self, device: &Device) -> Tensor<1> {
        let values = tensor(self.0.clone());
        if device.is_autodiff() { Tensor::from_inner(values) } else { values }
    }
}

/// Numbers of f32 or bf16 in host memory as bytes, in this machine's order. Shared with the tensor as [`Floats`] are.
pub struct RawNumbers(FlexTensor);

impl RawNumbers {
    /// The numbers of a tensor, in its format.
    pub fn of(values: &Tensor<1>) -> Self {
        kernels(&values.device()).raw_numbers(values)
    }

    /// The storage of a tensor on the CPU itself.
    pub(crate) fn shared(values: &Tensor<1>) -> Self {
        Self(primitive(values.clone()))
    }

    /// `len` numbers as `fill` writes them; it is handed zeros.
    pub fn filled<E>(dtype: DType, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let bytes = len * dtype.size();
        let mut buffer = Buffer::lasting(bytes.div_ceil(size_of::<f32>()));
        fill(&mut bytemuck::cast_slice_mut(&mut buffer)[..bytes])?;
        Ok(Self(buffer.into_tensor_of(dtype, [len])))
    }

    /// `len` zeros; many of them take room once they are written to.
    pub fn zeros(dtype: DType, len: usize) -> Self {
        Self(Buffer::lasting((len * dtype.size()).div_ceil(size_of::<f32>())).into_tensor_of(dtype, [len]))
    }

    /// Their format.
    pub fn dtype(&self) -> DType {
        self.0.dtype()
    }

    /// A tensor of these numbers; only those of f32 go to other devices than the CPU.
    pub fn into_tensor(self, device: &Device) -> Tensor<1> {
        match self.dtype() {
            DType::F32 => Floats(self.0).tensor(device),
            _ => tensor(self.0),
        }
    }
}

impl From<Floats> for RawNumbers {
    fn from(values: Floats) -> Self {
        Self(values.0)
    }
}

impl Deref for RawNumbers {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl From<Vec<f32>> for Floats {
    fn from(values: Vec<f32>) -> Self {
        let count = values.len();
        Self(primitive(from_vec(values, [count], &Device::flex())))
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        floats(&self.0)
    }
}

impl AsRef<[f32]> for Floats {
    fn as_ref(&self) -> &[f32] {
        self
    }
}

impl<'a> IntoIterator for &'a Floats {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Floats {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} floats", self.len())
    }
}

/// All elements of a tensor, row-major.
pub fn to_vec_f32<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_into_vec().expect("tensors of this project are f32")
}

/// A tensor of the given shape from its elements, row-major.
///
/// # Panics
/// If the number of elements does not fit the shape.
pub fn from_vec<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "{} values do not fill shape {shape:?}", values.len());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Indices as an integer tensor, for the plain operations.
pub(crate) fn indices(values: impl Iterator<Item = i64>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adamw::{AdamWStep, adamw_step};

    #[test]
    fn floats_of_a_tensor_stay_as_they_were_when_it_changes() {
        let mut values = from_vec(vec![1., 2., 3.], [3], &Device::flex());
        let floats = Floats::of(&values);
        let place = floats.as_ptr();
        assert_eq!(Floats::of(&floats.tensor(&Device::flex())).as_ptr(), place, "nothing is copied");
        let step =
            AdamWStep { lr: 0.5, beta1: 0.0, beta2: 0.0, eps: 1e-8, weight_decay: 0.0, step: 1, grad_scale: 1.0 };
        let gradient = from_vec(vec![1., 1., 1.], [3], &Device::flex());
        let zeros = || from_vec(vec![0.; 3], [3], &Device::flex());
        adamw_step(&mut values, &gradient, &mut zeros(), &mut zeros(), step);
        assert_eq!((&*floats, to_vec_f32(&values)[0]), (&[1., 2., 3.][..], 0.5));
    }

    #[test]
    fn numbers_that_were_filled_in_are_copied_when_one_of_two_holders_changes() {
        let filled = |count: usize| {
            Floats::filled(count, |values| {
                values.iter_mut().enumerate().for_each(|(at, value)| *value = at as f32);
                Ok::<(), ()>(())
            })
        };
        // Small memory is the allocator's, large the system's.
        for count in [3, 1 << 19] {
            let floats = filled(count).unwrap();
            let mut values = floats.tensor(&Device::flex());
            let step =
                AdamWStep { lr: 0.5, beta1: 0.0, beta2: 0.0, eps: 1e-8, weight_decay: 0.0, step: 1, grad_scale: 1.0 };
            let of = |value: f32| from_vec(vec![value; count], [count], &Device::flex());
            adamw_step(&mut values, &of(1.0), &mut of(0.0), &mut of(0.0), step);
            let changed = to_vec_f32(&values);
            assert!(floats.iter().zip(&changed).enumerate().all(|(at, (a, b))| *a == at as f32 && *b == *a - 0.5));
        }
    }

    #[test]
    fn numbers_come_back_in_row_major_order_even_from_a_transposed_view() {
        let tensor = from_vec(vec![1., 2., 3., 4., 5., 6.], [2, 3], &Device::flex());
        assert_eq!(to_vec_f32(&tensor), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(to_vec_f32(&tensor.transpose()), [1., 4., 2., 5., 3., 6.]);
    }
}
