//! Ten clipped AdamW updates against `torch.optim.AdamW` and `clip_grad_norm_` (`scripts/make_loss_fixtures.py`).

use ops::{AdamWStep, DeviceSpec, adamw_step, host, sum_of_squares};
use serde::Deserialize;

/// Both sides are f32; the order of operations may differ in the last bit. Seen: below 2e-7 on numbers up to 3.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Trajectory {
    lr: f32,
    weight_decay: f32,
    max_grad_norm: f64,
    start: Vec<f32>,
    steps: Vec<Step>,
    m: Vec<f64>,
    v: Vec<f64>,
}

#[derive(Deserialize)]
struct Step {
    grad: Vec<f32>,
    norm: f64,
    weights: Vec<f64>,
}

#[track_caller]
fn assert_near(what: &str, given: &[f32], expected: &[f64]) {
    assert_eq!(given.len(), expected.len());
    for (given, expected) in given.iter().zip(expected) {
        let error = (f64::from(*given) - expected).abs();
        assert!(error <= TOLERANCE * expected.abs().max(1.0), "{what}: {given} instead of {expected}");
    }
}

#[test]
fn ten_clipped_updates_follow_torch() {
    let file: Trajectory = serde_json::from_str(include_str!("../fixtures/adamw.json")).expect("a committed fixture");
    let device = DeviceSpec::Cpu.open().expect("the CPU is always there");
    let count = file.start.len();
    let tensor = |values: Vec<f32>| host::from_vec(values, [count], &device);
    let (mut weights, mut m, mut v) = (tensor(file.start), tensor(vec![0.0; count]), tensor(vec![0.0; count]));
    for (index, step) in file.steps.into_iter().enumerate() {
        let grad = tensor(step.grad);
        let norm = sum_of_squares(&grad).sqrt();
        assert!((norm - step.norm).abs() < TOLERANCE * step.norm, "norm {norm} instead of {}", step.norm);
        let numbers = AdamWStep {
            lr: file.lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: file.weight_decay,
            step: index as u64 + 1,
            grad_scale: (file.max_grad_norm / (norm + 1e-6)).min(1.0) as f32,
        };
        adamw_step(&mut weights, &grad, &mut m, &mut v, numbers);
        assert_near("weights", &host::to_vec_f32(&weights), &step.weights);
    }
    assert_near("first moment", &host::to_vec_f32(&m), &file.m);
    assert_near("second moment", &host::to_vec_f32(&v), &file.v);
}
