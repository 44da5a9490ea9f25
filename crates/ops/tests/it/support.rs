//! Numbers for the tests, and comparisons that say where they fail.

use burn::tensor::{Device, Tensor};
use ops::host;

/// Seeded numbers in [-1, 1), alike on every machine.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub(crate) fn matrix(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
    host::from_vec(numbers(rows * columns, seed), [rows, columns], &Device::flex())
}

pub(crate) fn vector(len: usize, seed: u64) -> Tensor<1> {
    host::from_vec(numbers(len, seed), [len], &Device::flex())
}

/// A leaf that collects a gradient, with the values of `tensor`.
pub(crate) fn leaf<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(tensor.clone()).require_grad()
}

/// Largest difference, relative to the largest magnitude expected.
#[track_caller]
pub(crate) fn assert_close(name: &str, given: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(given.len(), expected.len(), "{name}: lengths");
    let scale = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert!(scale > 0.0, "{name}: nothing to compare with, all zero");
    for (at, (g, e)) in given.iter().zip(expected).enumerate() {
        let off = (g - e).abs() / scale;
        assert!(off <= tolerance, "{name}[{at}]: {g} instead of {e} (scale {scale})");
    }
}

#[track_caller]
pub(crate) fn assert_same_bits(name: &str, given: &[f32], expected: &[f32]) {
    assert_eq!(given.len(), expected.len(), "{name}: lengths");
    for (at, (g, e)) in given.iter().zip(expected).enumerate() {
        assert_eq!(g.to_bits(), e.to_bits(), "{name}[{at}]: {g} instead of {e}");
    }
}

/// Runs a function of several matrices with gradients: the result, then the gradient of
/// `Σ weight · result` for every input.
pub(crate) fn with_gradients<const N: usize>(
    inputs: &[Tensor<2>; N],
    f: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) -> Vec<Vec<f32>> {
    let leaves = inputs.each_ref().map(leaf);
    let result = f(leaves.clone());
    let [rows, columns] = result.dims();
    let weight = Tensor::from_inner(matrix(rows, columns, 99));
    let gradients = (result.clone() * weight).sum().backward();
    let mut all = vec![host::to_vec_f32(&result)];
    for leaf in &leaves {
        let gradient = leaf.grad(&gradients).expect("every input has a gradient");
        all.push(host::to_vec_f32(&gradient));
    }
    all
}

/// Compares a fused operation with its plain twin: values and all gradients.
#[track_caller]
pub(crate) fn assert_twins<const N: usize>(
    name: &str,
    inputs: &[Tensor<2>; N],
    tolerance: f32,
    fused: impl Fn([Tensor<2>; N]) -> Tensor<2>,
    plain: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) {
    let (fused, plain) = (with_gradients(inputs, fused), with_gradients(inputs, plain));
    for (at, (given, expected)) in fused.iter().zip(&plain).enumerate() {
        let part = if at == 0 { "result".into() } else { format!("gradient {at}") };
        assert_close(&format!("{name} {part}"), given, expected, tolerance);
    }
}
