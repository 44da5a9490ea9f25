//! AdamW by hand and against the plain twin.

use burn::tensor::{DType, Device, Tensor};
use half::bf16;
use ops::host::{self, RawNumbers};
use ops::{AdamWStep, reference};

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

/// Moments of nothing, in bf16.
fn short_zeros(count: usize) -> Tensor<1> {
    RawNumbers::zeros(DType::BF16, count).into_tensor(&Device::flex())
}

fn widened(moments: &Tensor<1>) -> Vec<f32> {
    let bytes = RawNumbers::of(moments);
    assert_eq!(bytes.dtype(), DType::BF16);
    bytes.as_chunks().0.iter().map(|bytes| bf16::from_ne_bytes(*bytes).to_f32()).collect()
}

#[test]
fn moments_in_bf16_are_neighbours_of_those_in_f32() {
    let count = 40_001;
    let (mut p, mut m, mut v) = (vector(count, 1), short_zeros(count), short_zeros(count));
    for step in 1..4 {
        let (grad, step) = (vector(count, 10 + step), AdamWStep { step, ..STEP });
        let f32s = |values: &Tensor<1>| host::from_vec(widened(values), [count], &Device::flex());
        let (mut exact_m, mut exact_v) = (f32s(&m), f32s(&v));
        reference::adamw_step(&mut p.clone(), &grad, &mut exact_m, &mut exact_v, step);
        ops::adamw_step(&mut p, &grad, &mut m, &mut v, step);
        for (given, exact) in [(&m, &exact_m), (&v, &exact_v)] {
            for (given, exact) in widened(given).into_iter().zip(host::to_vec_f32(exact)) {
                assert!((given - exact).abs() < exact.abs() / 128.0 + 1e-30, "{given} of {exact}");
            }
        }
    }
}

#[test]
fn moments_in_bf16_have_the_bits_of_one_number_after_the_other() {
    // More than one piece, and an odd end; the hash and the rounding are written out again, without vectors or threads.
    let count = 40_001;
    let mixed = |x: u32| {
        let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    };
    let (mut p, mut m, mut v) = (vector(count, 1), short_zeros(count), short_zeros(count));
    let mut expected = [host::to_vec_f32(&p), vec![0.0; count], vec![0.0; count]];
    for number in 1..4u64 {
        let (grad, step) = (vector(count, 10 + number), AdamWStep { step: number, ..STEP });
        ops::adamw_step(&mut p, &grad, &mut m, &mut v, step);
        let [c1, c2] = [step.beta1, step.beta2].map(|beta| (1.0 - f64::from(beta).powf(number as f64)) as f32);
        let [p, m, v] = &mut expected;
        for (place, g) in host::to_vec_f32(&grad).into_iter().enumerate() {
            let counter = mixed(mixed(number as u32)).wrapping_add((place as u32).wrapping_mul(0x9e37_79b9));
            let (g, random) = (g * step.grad_scale, mixed(counter));
            let rounded = |x: f32, random: u32| f32::from_bits(x.to_bits().wrapping_add(random) & 0xffff_0000);
            m[place] = rounded(step.beta1 * m[place] + (1.0 - step.beta1) * g, random & 0xffff);
            v[place] = rounded(step.beta2 * v[place] + (1.0 - step.beta2) * g * g, random >> 16);
            let root = v[place].sqrt() / c2.sqrt() + step.eps;
            p[place] = p[place] * (1.0 - step.lr * step.weight_decay) - step.lr / c1 * m[place] / root;
        }
    }
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(&host::to_vec_f32(&p)) == bits(&expected[0]));
    assert!(bits(&widened(&m)) == bits(&expected[1]) && bits(&widened(&v)) == bits(&expected[2]));
}

#[test]
fn a_slow_second_moment_in_bf16_rises_and_falls_as_in_f32_and_would_stall_if_rounded_to_nearest() {
    // Gradient 1 for 3,000 updates, then 0 for 3,000: v = 1 - 0.999^3000 = 0.950, then 0.950·0.999^3000 = 0.0472.
    let count = 20_000;
    let (mut p, mut m, mut v, mut nearest) = (vector(count, 1), short_zeros(count), short_zeros(count), 0.0f32);
    for (gradient, first, expected) in [(1.0, 1, 0.950_3), (0.0, 3001, 0.047_2)] {
        let grad = host::from_vec(vec![gradient; count], [count], &Device::flex());
        for step in first..first + 3000 {
            let step = AdamWStep { lr: 1e-4, beta2: 0.999, grad_scale: 1.0, step, ..STEP };
            ops::adamw_step(&mut p, &grad, &mut m, &mut v, step);
            nearest = bf16::from_f32(0.999 * nearest + 0.001 * gradient * gradient).to_f32();
        }
        let mean = widened(&v).iter().sum::<f32>() / count as f32;
        assert!((mean / expected - 1.0).abs() < 0.01, "{mean}, expected {expected}");
        assert!((nearest / expected - 1.0).abs() > 0.5, "to nearest {nearest}, expected {expected}");
    }
}

#[test]
#[should_panic(expected = "format of v")]
fn moments_of_two_formats_are_refused() {
    let (mut p, mut m, mut v) = (vector(4, 1), short_zeros(4), vector(4, 2) * 0.0);
    ops::adamw_step(&mut p, &vector(4, 3), &mut m, &mut v, STEP);
}

#[test]
fn moments_in_bf16_are_updated_in_place_and_copies_stay_as_they_were() {
    let (mut p, mut m, mut v) = (vector(10_000, 1), short_zeros(10_000), short_zeros(10_000));
    let address = |x: &Tensor<1>| RawNumbers::of(x).as_ptr();
    let before = [&m, &v].map(address);
    ops::adamw_step(&mut p, &vector(10_000, 4), &mut m, &mut v, STEP);
    assert_eq!([&m, &v].map(address), before);
    let (copy, numbers) = (m.clone(), widened(&m));
    ops::adamw_step(&mut p, &vector(10_000, 5), &mut m, &mut v, STEP);
    assert_eq!(widened(&copy), numbers);
    assert_ne!(widened(&m), numbers);
}
