//! Arithmetic modulo the prime 65497, and the polynomial through given points.
//!
//! Promise: exact; every result is below the prime. Loops run over lanes, not over chains, so that
//! a compiler can use vectors; they are inlined up to the caller of `build_proofs`, so that whoever
//! may use wide vectors there gets them here.

use super::PRIME;

/// `2^16 - PRIME`: a value `h·2^16 + l` is congruent to `39·h + l`.
const FOLD: u32 = (1 << 16) - PRIME;

/// `value mod PRIME`. Twice folded, any 32-bit value is below `39·39 + 2^16 < 2·PRIME`.
#[inline(always)]
fn reduce(value: u32) -> u32 {
    let once = (value >> 16) * FOLD + (value & 0xffff);
    let twice = (once >> 16) * FOLD + (once & 0xffff);
    twice.min(twice.wrapping_sub(PRIME))
}

/// `a·b mod PRIME` for `a, b < PRIME`: the product fits 32 bits.
#[inline(always)]
fn multiply(a: u32, b: u32) -> u32 {
    reduce(a * b)
}

#[inline(always)]
fn add(a: u32, b: u32) -> u32 {
    let sum = a + b;
    sum.min(sum.wrapping_sub(PRIME))
}

#[inline(always)]
fn subtract(a: u32, b: u32) -> u32 {
    let difference = a.wrapping_sub(b);
    difference.min(difference.wrapping_add(PRIME))
}

/// `1/a` by Fermat: `a^(PRIME-2)`. The inverse of 0 comes out as 0.
fn invert(a: u32) -> u32 {
    let (mut base, mut power, mut result) = (a, PRIME - 2, 1);
    while power > 0 {
        if power & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        power >>= 1;
    }
    result
}

/// Inverts every value with one call of [`invert`]: running products up, then down again.
fn invert_all(values: &mut [u32]) {
    let mut prefix = Vec::with_capacity(values.len());
    let mut product = 1;
    for &value in values.iter() {
        prefix.push(product);
        product = multiply(product, value);
    }
    let mut rest = invert(product);
    for (value, before) in values.iter_mut().zip(prefix).rev() {
        let inverse = multiply(rest, before);
        rest = multiply(rest, *value);
        *value = inverse;
    }
}

/// Coefficients `c_0..c_{k-1}` of the one polynomial of degree below `k` with `p(x_i) = y_i`.
///
/// Newton's form, `p(x) = Σ_i a_i · Π_{l<i} (x - x_l)`, then written out in powers of `x`. The
/// coefficients depend on the set of points alone, not on their order.
///
/// - `x` are distinct and below the prime, `y` below the prime, both `[k]`
/// - `O(k²)` products and one inversion
#[inline(always)]
pub(super) fn interpolate(x: &[u32], y: &[u32]) -> Vec<u32> {
    assert_eq!(x.len(), y.len(), "each point has two coordinates");
    let newton = newton_coefficients(x, y);
    let mut powers = vec![0; x.len()];
    for (&coefficient, &root) in newton.iter().zip(x).rev() {
        // p ← p·(x - root) + coefficient
        let minus = subtract(0, root);
        let mut carried = coefficient;
        for power in &mut powers {
            let shifted = add(carried, multiply(*power, minus));
            carried = *power;
            *power = shifted;
        }
    }
    powers
}

/// `a_i = (y_i - p_{i-1}(x_i)) / Π_{l<i} (x_i - x_l)`, for all points side by side.
#[inline(always)]
fn newton_coefficients(x: &[u32], y: &[u32]) -> Vec<u32> {
    let count = x.len();
    let mut inverse = vec![1; count];
    for i in 0..count {
        for j in i + 1..count {
            inverse[j] = multiply(inverse[j], subtract(x[j], x[i]));
        }
    }
    invert_all(&mut inverse);
    let mut value = vec![0; count];
    let mut product = vec![1; count];
    let mut newton = Vec::with_capacity(count);
    for i in 0..count {
        let coefficient = multiply(subtract(y[i], value[i]), inverse[i]);
        newton.push(coefficient);
        for j in i + 1..count {
            value[j] = add(value[j], multiply(coefficient, product[j]));
            product[j] = multiply(product[j], subtract(x[j], x[i]));
        }
    }
    newton
}

/// The polynomial's value at each of `x`, by Horner's rule.
#[inline(always)]
pub(super) fn evaluate(coefficients: &[u16], x: &[u32]) -> Vec<u32> {
    let mut values = vec![0; x.len()];
    for &coefficient in coefficients.iter().rev() {
        for (value, &at) in values.iter_mut().zip(x) {
            *value = add(multiply(*value, at), u32::from(coefficient));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_folds_to_its_remainder() {
        for value in (0..1 << 16).chain((0..=u32::MAX).step_by(9973)).chain([u32::MAX]) {
            assert_eq!(reduce(value), value % PRIME, "{value}");
        }
    }

    #[test]
    fn a_value_times_its_inverse_is_one() {
        let mut values: Vec<u32> = (1..PRIME).collect();
        invert_all(&mut values);
        assert!((1..PRIME).zip(values).all(|(a, b)| multiply(a, b) == 1));
    }

    #[test]
    fn a_parabola_through_three_points_is_found() {
        // p(x) = 2 - x + 3x²: p(0) = 2, p(1) = 4, p(2) = 12. -1 is PRIME - 1.
        assert_eq!(interpolate(&[2, 0, 1], &[12, 2, 4]), [2, PRIME - 1, 3]);
    }
}
