//! Every operation on a card beside the fused one on the CPU: values, gradients, paged attention.
//!
//! The card is the one that `ESSAIM_TEST_DEVICE` names, `wgpu:0` without it.

#[allow(dead_code, reason = "shared with the tests of the CPU")]
#[path = "it/support.rs"]
mod support;

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor};
use ops::{
    AdamWStep, CacheView, CachedSegment, DeviceError, DeviceSpec, Heads, KvPool, Matrix, RotaryTable, Segments, host,
};
use support::{leaf, matrix, vector};

/// Largest difference of a value or gradient from the CPU's, relative to the largest magnitude of the tensor.
/// Measured between lavapipe and AMX: 7.2e-6 for log-probabilities and their gradients, 4.5e-6 for products, 3.3e-7 for
/// attention, less for all else.
const OPERATION_TOLERANCE: f32 = 2e-5;

const HEADS: Heads = Heads { query: 6, key_value: 2, head_dim: 20 };

fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || {
        let name = std::env::var("ESSAIM_TEST_DEVICE").unwrap_or_else(|_| "wgpu:0".into());
        name.parse::<DeviceSpec>().unwrap().open().unwrap()
    };
    DEVICE.get_or_init(open).clone()
}

fn on<const D: usize>(tensor: &Tensor<D>, device: &Device) -> Tensor<D> {
    host::from_vec(host::to_vec_f32(tensor), tensor.dims(), device)
}

fn difference(given: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(given.len(), expected.len());
    let scale = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!(scale > 0.0, "nothing to compare with");
    given.iter().zip(expected).fold(0.0f32, |most, (a, b)| most.max((a - b).abs() / scale)) // NaN is seen below
}

/// Result and gradient of `Σ weight · result` for each input, on one device.
fn worked<const N: usize>(
    inputs: &[Tensor<2>; N],
    device: &Device,
    f: &dyn Fn([Tensor<2>; N]) -> Tensor<2>,
) -> Vec<Vec<f32>> {
    let leaves = inputs.each_ref().map(|input| leaf(&on(input, device)));
    let result = f(leaves.clone());
    let [rows, columns] = result.dims();
    let weight = Tensor::from_inner(on(&matrix(rows, columns, 99), device));
    let gradients = (result.clone() * weight).sum().backward();
    let gradient = |leaf: &Tensor<2>| host::to_vec_f32(&leaf.grad(&gradients).expect("every input has a gradient"));
    std::iter::once(host::to_vec_f32(&result)).chain(leaves.iter().map(gradient)).collect()
}

fn agree<const N: usize>(name: &str, inputs: [Tensor<2>; N], f: impl Fn([Tensor<2>; N]) -> Tensor<2>) {
    let (given, expected) = (worked(&inputs, &device(), &f), worked(&inputs, &Device::flex(), &f));
    let most = given.iter().zip(&expected).map(|(given, expected)| difference(given, expected)).fold(0.0, f32::max);
    assert!(given.iter().flatten().all(|value| value.is_finite()), "{name}");
    println!("{name}: {most:e}");
    assert!(most <= OPERATION_TOLERANCE, "{name}: {most:e}");
    // A thousandth more on one input is seen.
    let mut wrong = inputs;
    wrong[0] = wrong[0].clone() * 1.001;
    let wrong = worked(&wrong, &device(), &f);
    let seen = wrong.iter().zip(&expected).map(|(given, expected)| difference(given, expected)).fold(0.0, f32::max);
    assert!(seen > OPERATION_TOLERANCE, "{name}: a wrong input goes unseen, {seen:e}");
}

#[test]
fn values_and_gradients_are_those_of_the_cpu() {
    agree("linear", [matrix(37, 70, 1), matrix(33, 70, 2), matrix(1, 33, 3)], |[x, w, b]| {
        ops::linear(x, &Matrix::new(w), Some(&b.reshape([33])))
    });
    let ids: Arc<[u32]> = [3, 0, 3, 9, 3].into();
    agree("embedding", [matrix(10, 6, 1)], |[table]| ops::embedding(&Matrix::new(table), &ids));
    agree("rms_norm", [matrix(50, 32, 1), matrix(1, 32, 2)], |[x, gain]| ops::rms_norm(x, &gain.reshape([32]), 1e-3));
    agree("swiglu", [matrix(30, 48, 1) * 4.0, matrix(30, 48, 2)], |[gate, up]| ops::swiglu(gate, up));
    let (table, positions) = (RotaryTable::new(64, 20, 10_000.0), Arc::from_iter((0..40).map(|at| at * 3 % 64)));
    agree("rotary", [matrix(40, 60, 1)], |[x]| ops::rotary(x, &positions, &table, 20));
    let segments = Segments::from_lengths(&[17, 9, 1, 20]).continuing([None, Some(0), Some(0), None]);
    let rows = |width, seed| matrix(47, width, seed);
    let inputs = [rows(HEADS.query_width(), 1) * 3.0, rows(HEADS.kv_width(), 2), rows(HEADS.kv_width(), 3)];
    agree("attention", inputs, |[q, k, v]| ops::attention(q, k, v, &segments, HEADS));
    let targets: Arc<[u32]> = (0..40).map(|row| row * 7 % 300).collect();
    let temperature: Arc<[f32]> = (0..40).map(|row| 0.5 + (row % 3) as f32 * 0.5).collect();
    agree("token_logprobs", [matrix(40, 32, 1), matrix(300, 32, 2)], |[hidden, head]| {
        let scores = ops::token_logprobs(hidden, &Matrix::new(head), &targets, &temperature);
        (scores.logprob - scores.entropy * 0.3).reshape([1, 40])
    });
    agree("backward_from", [matrix(9, 11, 1)], |[x]| x.clone() * x);
}

#[test]
fn a_gradient_that_is_given_goes_on_from_there() {
    let x = matrix(5, 7, 1);
    let found = [device(), Device::flex()].map(|device| {
        let leaf = leaf(&on(&x, &device));
        let mut found = ops::backward_from(leaf.clone() * leaf.clone(), on(&matrix(5, 7, 2), &device));
        host::to_vec_f32(&leaf.grad_remove(&mut found).unwrap())
    });
    assert!(difference(&found[0], &found[1]) < 1e-6);
}

#[test]
fn the_optimiser_makes_the_steps_of_the_cpu() {
    let updated = [device(), Device::flex()].map(|device| {
        let [mut p, mut m, mut v] = [1.0, 0.0, 0.0].map(|scale| on(&(vector(5_000, 1) * scale), &device));
        for step in 1..4 {
            let step =
                AdamWStep { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.5, step, grad_scale: 0.7 };
            ops::adamw_step(&mut p, &on(&vector(5_000, 10 + step.step), &device), &mut m, &mut v, step);
        }
        let squares = ops::sum_of_squares(&p);
        ([p, m, v].map(|tensor| host::to_vec_f32(&tensor)), squares)
    });
    let [(given, squares), (expected, expected_squares)] = updated;
    for (given, expected) in given.iter().zip(&expected) {
        assert!(difference(given, expected) < OPERATION_TOLERANCE, "{:e}", difference(given, expected));
    }
    assert!((squares / expected_squares - 1.0).abs() < 1e-5, "{squares} instead of {expected_squares}");
}

/// Prompts of three lengths, then five tokens of each, one at a time beside a fourth sequence that comes late, out of
/// scattered blocks.
fn paged(device: &Device) -> Vec<f32> {
    let mut pool = KvPool::new(2, 60, 4, HEADS.kv_width(), device);
    let tables: [Arc<[u32]>; 4] = std::array::from_fn(|at| (0..12).rev().map(|block| block * 4 + at as u32).collect());
    let steps = [[5, 23, 1, 0], [1, 1, 1, 11], [1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]];
    let (mut past, mut results) = ([0; 4], Vec::new());
    for (seed, step) in steps.into_iter().enumerate() {
        let mut view = CacheView::default();
        let mut rows = 0;
        for (at, count) in step.into_iter().enumerate() {
            view.segments.push(CachedSegment { rows: rows..rows + count, past: past[at], blocks: tables[at].clone() });
            (rows, past[at]) = (rows + count, past[at] + count);
        }
        let part = |width, salt| on(&matrix(rows, width, seed as u64 * 3 + salt), device);
        let q = part(HEADS.query_width(), 1) * 3.0;
        for layer in 0..2 {
            let (k, v) = (part(HEADS.kv_width(), 2), part(HEADS.kv_width(), 3));
            results.extend(host::to_vec_f32(&ops::attention_cached(q.clone(), k, v, &mut pool, layer, &view, HEADS)));
        }
        pool.copy_block(tables[0][0], 59); // nobody's
    }
    results
}

#[test]
fn paged_attention_is_that_of_the_cpu() {
    let most = difference(&paged(&device()), &paged(&Device::flex()));
    println!("attention_cached: {most:e}");
    assert!(most <= OPERATION_TOLERANCE, "{most:e}");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let missing = match std::env::var("ESSAIM_TEST_DEVICE").is_ok_and(|name| name.starts_with("cuda")) {
        true => DeviceSpec::Cuda(400),
        false => DeviceSpec::Wgpu(400),
    };
    let error = missing.open().unwrap_err();
    assert!(matches!(error, DeviceError::NotFound { device, found } if device == missing && found >= 1), "{error}");
}
