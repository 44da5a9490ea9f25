//! Rows do not depend on the batch, and frozen weights give the bits of trainable ones.

use std::sync::Arc;

use ops::{Matrix, RotaryTable, host};

use crate::support::{assert_close, assert_same_bits, matrix, vector};

const TOKENS: usize = 517;
const WIDTH: usize = 96;

#[test]
fn a_frozen_matrix_gives_the_bits_of_the_trainable_one() {
    let (x, bias) = (matrix(TOKENS, WIDTH, 1), vector(130, 3));
    let w = Matrix::new(matrix(130, WIDTH, 2));
    let frozen = w.freeze(false);
    assert!(frozen.tensor().is_none());
    for bias in [None, Some(&bias)] {
        let plain = host::to_vec_f32(&ops::linear(x.clone(), &w, bias));
        let packed = host::to_vec_f32(&ops::linear(x.clone(), &frozen, bias));
        assert_same_bits("frozen", &packed, &plain);
    }
}

#[test]
fn bf16_weights_give_the_result_of_rounded_weights() {
    let x = matrix(20, WIDTH, 1);
    let w = matrix(30, WIDTH, 2);
    let rounded = host::to_vec_f32(&w).into_iter();
    let rounded = rounded.map(|v| half::bf16::from_f32(v).to_f32()).collect();
    let rounded = Matrix::new(host::from_vec(rounded, [30, WIDTH], &w.device()));
    let expected = host::to_vec_f32(&ops::linear(x.clone(), &rounded, None));
    let given = host::to_vec_f32(&ops::linear(x.clone(), &Matrix::new(w.clone()).freeze(true), None));
    assert_same_bits("bf16", &given, &expected);
    let exact = host::to_vec_f32(&ops::linear(x, &Matrix::new(w), None));
    assert_ne!(given, exact, "rounding must change something");
    assert_close("bf16", &given, &exact, 1e-2);
}

#[test]
fn a_row_alone_has_the_bits_it_has_in_a_batch() {
    let (x, up) = (matrix(TOKENS, WIDTH, 1), matrix(TOKENS, WIDTH, 2));
    let (w, gain) = (Matrix::new(matrix(70, WIDTH, 3)), vector(WIDTH, 4));
    let table = RotaryTable::new(TOKENS, 32, 10_000.0);
    let all = |first: usize, count: usize| {
        let (x, up) = (x.clone().narrow(0, first, count), up.clone().narrow(0, first, count));
        let positions: Arc<[u32]> = (first as u32..(first + count) as u32).collect();
        [
            ops::linear(x.clone(), &w, None),
            ops::linear(x.clone(), &w.freeze(false), None),
            ops::rms_norm(x.clone(), &gain, 1e-6),
            ops::swiglu(x.clone(), up),
            ops::rotary(x, &positions, &table, 32),
        ]
    };
    let batch = all(0, TOKENS);
    for row in [0, 1, 255, 516] {
        for (at, (alone, batch)) in all(row, 1).iter().zip(&batch).enumerate() {
            let expected = batch.clone().narrow(0, row, 1);
            let (alone, expected) = (host::to_vec_f32(alone), host::to_vec_f32(&expected));
            assert_same_bits(&format!("operation {at} row {row}"), &alone, &expected);
        }
    }
}

#[test]
fn the_rotary_table_holds_the_angles_of_the_paper() {
    // head_dim 4, theta 100: frequencies 1 and 0.1; position 3: angles 3 and 0.3.
    let table = RotaryTable::new(4, 4, 100.0);
    assert_close("cos", &table.cos()[6..], &[3f32.cos(), 0.3f32.cos()], 1e-6);
    assert_close("sin", &table.sin()[6..], &[3f32.sin(), 0.3f32.sin()], 1e-6);
    assert_eq!((table.positions(), table.cos()[0], table.sin()[0]), (4, 1.0, 0.0));
}
