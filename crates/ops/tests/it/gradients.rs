//! Values and gradients of every differentiable operation against the plain twin.

use std::sync::Arc;

use burn::tensor::Tensor;
use ops::{Heads, Matrix, RotaryTable, Segments, reference};

use crate::support::{assert_close, assert_same_bits, assert_twins, matrix, numbers, with_gradients};

/// Both sides sum f32 in different orders. Measured worst: 2e-6 of the largest value.
const TOLERANCE: f32 = 1e-5;

#[test]
fn linear_equals_its_plain_twin() {
    for (tokens, inner, outer) in [(1, 3, 2), (37, 70, 33), (300, 128, 200)] {
        let inputs = [matrix(tokens, inner, 1), matrix(outer, inner, 2), matrix(1, outer, 3)];
        let run = |f: fn(Tensor<2>, &Matrix, Option<&Tensor<1>>) -> Tensor<2>| {
            move |[x, w, b]: [Tensor<2>; 3]| f(x, &Matrix::new(w), Some(&b.reshape([outer])))
        };
        assert_twins("linear", &inputs, TOLERANCE, run(ops::linear), run(reference::linear));
        let run = |f: fn(Tensor<2>, &Matrix, Option<&Tensor<1>>) -> Tensor<2>| {
            move |[x, w]: [Tensor<2>; 2]| f(x, &Matrix::new(w), None)
        };
        let [x, w, _] = inputs;
        assert_twins("linear", &[x, w], TOLERANCE, run(ops::linear), run(reference::linear));
    }
}

#[test]
fn linears_of_one_input_equal_plain_twins_whose_gradients_meet() {
    let (tokens, inner) = (300, 70);
    let inputs = [matrix(tokens, inner, 1), matrix(33, inner, 2), matrix(33, inner, 3), matrix(1, 33, 4)];
    let joined = |[x, v, w, b]: [Tensor<2>; 4]| {
        let (v, w) = (Matrix::new(v), Matrix::new(w));
        let [y, z] = ops::linears(&x, [(&v, None), (&w, Some(&b.reshape([33])))]);
        y * z
    };
    let plain = |[x, v, w, b]: [Tensor<2>; 4]| {
        let (v, w) = (Matrix::new(v), Matrix::new(w));
        reference::linear(x.clone(), &v, None) * reference::linear(x, &w, Some(&b.reshape([33])))
    };
    assert_twins("linears", &inputs, TOLERANCE, joined, plain);
}

#[test]
fn linear_of_a_transposed_view_reads_the_view() {
    let inputs = [matrix(5, 7, 1), matrix(3, 5, 2)];
    let run = |f: fn(Tensor<2>, &Matrix, Option<&Tensor<1>>) -> Tensor<2>| {
        move |[x, w]: [Tensor<2>; 2]| f(x.transpose(), &Matrix::new(w), None)
    };
    assert_twins("linear", &inputs, TOLERANCE, run(ops::linear), run(reference::linear));
}

#[test]
fn embedding_equals_its_plain_twin_and_sums_repeated_rows() {
    let ids: Arc<[u32]> = [3, 0, 3, 9, 3].into();
    let run = |f: fn(&Matrix, &Arc<[u32]>) -> Tensor<2>| {
        let ids = ids.clone();
        move |[table]: [Tensor<2>; 1]| f(&Matrix::new(table), &ids)
    };
    let inputs = [matrix(10, 6, 1)];
    assert_twins("embedding", &inputs, TOLERANCE, run(ops::embedding), run(reference::embedding));
}

#[test]
fn rms_norm_equals_its_plain_twin() {
    for (tokens, width) in [(1, 4), (50, 32), (700, 200)] {
        let inputs = [matrix(tokens, width, 1), matrix(1, width, 2)];
        let run = |f: fn(Tensor<2>, &Tensor<1>, f64) -> Tensor<2>| {
            move |[x, g]: [Tensor<2>; 2]| f(x, &g.reshape([width]), 1e-3)
        };
        assert_twins("rms_norm", &inputs, TOLERANCE, run(ops::rms_norm), run(reference::rms_norm));
    }
}

#[test]
fn a_residual_connection_beside_a_norm_equals_its_plain_twin() {
    for (tokens, width) in [(1, 4), (700, 200)] {
        let inputs = [matrix(tokens, width, 1), matrix(1, width, 2), matrix(tokens, width, 3)];
        let joined = |[x, g, z]: [Tensor<2>; 3]| {
            let (y, x) = ops::residual_norm(x, &g.reshape([width]), 1e-3);
            ops::add(x, y * z)
        };
        let plain = |[x, g, z]: [Tensor<2>; 3]| x.clone() + reference::rms_norm(x, &g.reshape([width]), 1e-3) * z;
        assert_twins("residual_norm", &inputs, TOLERANCE, joined, plain);
    }
}

#[test]
fn adding_leaves_a_tensor_alone_that_someone_else_holds() {
    let (x, y) = (matrix(300, 70, 1), matrix(300, 70, 2));
    let before = ops::host::to_vec_f32(&y);
    let sum = ops::add(x.clone(), y.clone());
    assert_eq!(ops::host::to_vec_f32(&y), before);
    let plain = ops::host::to_vec_f32(&(x.clone() + y.clone()));
    assert_eq!(ops::host::to_vec_f32(&sum), plain);
    assert_eq!(ops::host::to_vec_f32(&ops::add(x, y)), plain, "in place");
}

#[test]
fn rms_norm_of_three_and_four() {
    // mean(9, 16) = 12.5, so y = (3, 4) / sqrt(12.5) times the gain (2, 1).
    let x = ops::host::from_vec(vec![3.0, 4.0], [1, 2], &burn::tensor::Device::flex());
    let gain = ops::host::from_vec(vec![2.0, 1.0], [2], &burn::tensor::Device::flex());
    let y = ops::host::to_vec_f32(&ops::rms_norm(x, &gain, 0.0));
    assert_close("rms_norm", &y, &[1.697_056_3, 1.131_370_8], 1e-6);
}

#[test]
fn rotary_equals_its_plain_twin() {
    let table = RotaryTable::new(64, 8, 10_000.0);
    let positions: Arc<[u32]> = (0..300u32).map(|t| t * 7 % 64).collect();
    let run = |f: fn(Tensor<2>, &Arc<[u32]>, &RotaryTable, usize) -> Tensor<2>| {
        let (positions, table) = (positions.clone(), table.clone());
        move |[x]: [Tensor<2>; 1]| f(x, &positions, &table, 8)
    };
    let inputs = [matrix(300, 24, 1)];
    assert_twins("rotary", &inputs, TOLERANCE, run(ops::rotary), run(reference::rotary));
}

#[test]
fn rotary_leaves_a_tensor_alone_that_someone_else_holds() {
    let table = RotaryTable::new(8, 4, 100.0);
    let x = matrix(2, 4, 1);
    let before = ops::host::to_vec_f32(&x);
    let y = ops::rotary(x.clone(), &[1, 2].into(), &table, 4);
    assert_eq!(ops::host::to_vec_f32(&x), before);
    assert_ne!(ops::host::to_vec_f32(&y), before);
}

#[test]
fn swiglu_equals_its_plain_twin() {
    for (tokens, width) in [(1, 1), (3, 33), (500, 300)] {
        let inputs = [matrix(tokens, width, 1) * 8.0, matrix(tokens, width, 2)];
        let run = |f: fn(Tensor<2>, Tensor<2>) -> Tensor<2>| move |[g, u]: [Tensor<2>; 2]| f(g, u);
        assert_twins("swiglu", &inputs, TOLERANCE, run(ops::swiglu), run(reference::swiglu));
    }
}

#[test]
fn a_feed_forward_of_many_rows_has_the_bits_of_its_parts() {
    let tokens = ops::gemm::rows_together() * rayon::current_num_threads() + 37;
    let inputs = [matrix(tokens, 40, 1), matrix(70, 40, 2), matrix(70, 40, 3), matrix(40, 70, 4)];
    let whole = |[y, gate, up, down]: [Tensor<2>; 4]| {
        let [gate, up, down] = [gate, up, down].map(Matrix::new);
        ops::feed_forward(y, (&gate, None), (&up, None), (&down, None))
    };
    let parts = |[y, gate, up, down]: [Tensor<2>; 4]| {
        let [gate, up, down] = [gate, up, down].map(Matrix::new);
        let [gate, up] = ops::linears(&y, [(&gate, None), (&up, None)]);
        ops::linear(ops::swiglu(gate, up), &down, None)
    };
    let (given, expected) = (with_gradients(&inputs, whole), with_gradients(&inputs, parts));
    for (at, (given, expected)) in given.iter().zip(&expected).enumerate() {
        assert_same_bits(&format!("feed_forward {at}"), given, expected);
    }
    let [y, gate, up, down] = inputs;
    let [gate, up, down] = [gate, up, down].map(|weight| Matrix::new(weight).freeze(false));
    let packed = ops::feed_forward(y, (&gate, None), (&up, None), (&down, None));
    assert_same_bits("packed", &ops::host::to_vec_f32(&packed), &expected[0]);
}

fn attention_case(heads: Heads, segments: Segments) {
    let tokens = segments.tokens();
    let inputs = [
        matrix(tokens, heads.query_width(), 1) * 2.0,
        matrix(tokens, heads.kv_width(), 2) * 2.0,
        matrix(tokens, heads.kv_width(), 3),
    ];
    type Attention = fn(Tensor<2>, Tensor<2>, Tensor<2>, &Segments, Heads) -> Tensor<2>;
    let run = |f: Attention| {
        let segments = segments.clone();
        move |[q, k, v]: [Tensor<2>; 3]| f(q, k, v, &segments, heads)
    };
    let name = format!("attention {heads:?} {segments:?}");
    assert_twins(&name, &inputs, TOLERANCE, run(ops::attention), run(reference::attention));
}

#[test]
fn attention_equals_its_plain_twin() {
    let heads = |query, key_value, head_dim| Heads { query, key_value, head_dim };
    let plain = Segments::from_lengths;
    attention_case(heads(1, 1, 4), plain(&[3]));
    attention_case(heads(4, 4, 32), plain(&[64, 64, 1, 0, 17]));
    attention_case(heads(4, 2, 16), plain(&[5, 130, 9]));
    attention_case(heads(7, 1, 20), plain(&[70, 33]));
    attention_case(heads(16, 1, 8), plain(&[20]));
    attention_case(heads(4, 2, 16), plain(&[70, 3, 130, 9, 0]).continuing([None, Some(0), Some(0), None, Some(3)]));
    attention_case(heads(6, 1, 8), plain(&[1, 64, 65]).continuing([None, Some(0), Some(0)]));
}

#[test]
fn attention_gradient_equals_a_finite_difference() {
    // Two tokens, one head of width 1; central differences of the plain formula in f64:
    // y_0 = v_0, y_1 = (a·v_0 + b·v_1) / (a + b), a = exp(q_1·k_0), b = exp(q_1·k_1).
    let weight = numbers(2, 99).iter().map(|w| f64::from(*w)).collect::<Vec<_>>();
    let loss = |x: &[f64; 6]| {
        let [_, q1, k0, k1, v0, v1] = *x;
        let (a, b) = ((q1 * k0).exp(), (q1 * k1).exp());
        weight[0] * v0 + weight[1] * (a * v0 + b * v1) / (a + b)
    };
    let x = [0.3, -0.7, 0.9, 0.4, 1.1, -0.6];
    let pair = |at: usize| {
        let values = vec![x[at] as f32, x[at + 1] as f32];
        ops::host::from_vec(values, [2, 1], &burn::tensor::Device::flex())
    };
    let heads = Heads { query: 1, key_value: 1, head_dim: 1 };
    let given = with_gradients(&[pair(0), pair(2), pair(4)], |[q, k, v]| {
        ops::attention(q, k, v, &Segments::from_lengths(&[2]), heads)
    });
    let difference = |at: usize| {
        let (mut up, mut down) = (x, x);
        (up[at], down[at]) = (up[at] + 1e-5, down[at] - 1e-5);
        ((loss(&up) - loss(&down)) / 2e-5) as f32
    };
    for (input, gradient) in given[1..].iter().enumerate() {
        let expected = [difference(2 * input), difference(2 * input + 1)];
        assert_close("gradient", gradient, &expected, 1e-5);
    }
}
