//! Moves numbers between tensors and plain vectors.
//!
//! Promise: values arrive in row-major order, unchanged; nothing is recorded for gradients.

use burn::tensor::{Device, Int, Tensor, TensorData};

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

    #[test]
    fn numbers_come_back_in_row_major_order_even_from_a_transposed_view() {
        let tensor = from_vec(vec![1., 2., 3., 4., 5., 6.], [2, 3], &Device::flex());
        assert_eq!(to_vec_f32(&tensor), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(to_vec_f32(&tensor.transpose()), [1., 4., 2., 5., 3., 6.]);
    }
}
