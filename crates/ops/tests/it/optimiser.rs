//! AdamW by hand and against the plain twin.

use burn::tensor::{Device, Tensor};
use ops::{AdamWStep, host, reference};

use crate::support::{assert_close, leaf, vector};

const STEP: AdamWStep =
    AdamWStep { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0.5, step: 1, grad_scale: 2.0 };

#[test]
fn the_first_step_by_hand() {
    // g = 0.25·2 = 0.5, m = 0.05, v = 0.0025; corrected 0.5 and 0.25, so the step is
    // 0.1·0.5/0.5 = 0.1, and decay takes 0.05 of 3: 3 - 0.15 - 0.1 = 2.75.
    let one = |x: f32| host::from_vec(vec![x], [1], &Device::flex());
    let (mut p, mut m, mut v) = (one(3.0), one(0.0), one(0.0));
    ops::adamw_step(&mut p, &one(0.25), &mut m, &mut v, STEP);
    assert_close("p", &host::to_vec_f32(&p), &[2.75], 1e-6);
    assert_close("m", &host::to_vec_f32(&m), &[0.05], 1e-6);
    assert_close("v", &host::to_vec_f32(&v), &[0.0025], 1e-6);
}

#[test]
fn several_steps_equal_the_plain_twin() {
    let count = 40_001;
    let fresh = || (vector(count, 1), vector(count, 7) * 0.0, vector(count, 8) * 0.0);
    let ((mut p, mut m, mut v), (mut p2, mut m2, mut v2)) = (fresh(), fresh());
    for step in 1..4 {
        let (grad, step) = (vector(count, 10 + step), AdamWStep { step, ..STEP });
        ops::adamw_step(&mut p, &grad, &mut m, &mut v, step);
        reference::adamw_step(&mut p2, &grad, &mut m2, &mut v2, step);
    }
    for (name, given, expected) in [("p", &p, &p2), ("m", &m, &m2), ("v", &v, &v2)] {
        assert_close(name, &host::to_vec_f32(given), &host::to_vec_f32(expected), 2e-6);
    }
}

#[test]
fn a_parameter_stays_a_leaf_and_copies_of_it_stay_as_they_were() {
    let mut p = leaf(&vector(10, 1));
    let before = p.clone();
    let values = host::to_vec_f32(&before);
    let (mut m, mut v) = (vector(10, 2) * 0.0, vector(10, 3) * 0.0);
    ops::adamw_step(&mut p, &vector(10, 4), &mut m, &mut v, STEP);
    assert_eq!(host::to_vec_f32(&before), values);
    assert_ne!(host::to_vec_f32(&p), values);
    assert!(p.is_require_grad());
    let gradients = (p.clone() * 3.0).sum().backward();
    assert_eq!(host::to_vec_f32(&p.grad(&gradients).unwrap()), [3.0; 10]);
}

#[test]
fn a_parameter_that_nobody_else_holds_is_updated_in_place() {
    use burn::backend::Flex;
    let address = |x: &Tensor<1>| {
        let primitive = x.clone().inner().try_into_primitive::<Flex>().unwrap();
        primitive.bytes().as_ptr()
    };
    let mut p = leaf(&vector(10_000, 1));
    let (mut m, mut v) = (vector(10_000, 2) * 0.0, vector(10_000, 3) * 0.0);
    let before = [&p, &m, &v].map(address);
    let gradients = (p.clone() * 3.0).sum().backward();
    let grad = p.grad(&gradients).unwrap();
    drop(gradients);
    ops::adamw_step(&mut p, &grad, &mut m, &mut v, STEP);
    assert_eq!([&p, &m, &v].map(address), before);
}

#[test]
fn sum_of_squares_counts_every_element() {
    // 1² + 2² + ... + n² = n(n+1)(2n+1)/6 for n = 1000; more than one piece by repetition.
    let values: Vec<f32> = (0..50_000).map(|i| (i % 1000 + 1) as f32).collect();
    let x = host::from_vec(values, [50_000], &Device::flex());
    assert_eq!(ops::sum_of_squares(&x), 50.0 * 333_833_500.0);
    let plain = reference::sum_of_squares(&x);
    assert!((plain / ops::sum_of_squares(&x) - 1.0).abs() < 1e-4);
}
