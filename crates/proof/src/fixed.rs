//! Natural logarithms and Gumbel values in fixed point, from integers alone.
//!
//! Promise: the same bits on every machine, and within 0.501 units in the last place of Q32.
//! Takes: integers. Gives: `Qn` numbers, that is, integers to be read as `value / 2^n`.
//! Never: uses a float or the platform's logarithm.

/// `ln 2` in Q64, rounded to nearest.
const LN2_Q64: u64 = 0xB172_17F7_D1CF_79AC;
/// `√2` in Q63, rounded down: where the mantissa is folded so that the series stays short.
const SQRT2_Q63: u64 = 0xB504_F333_F9DE_6484;
/// Terms of the series of [`ln_q60`]; the first one left out is below `2^-65`.
const SERIES_TERMS: usize = 13;
/// `1 / (2i + 1)` in Q62.
const ODD_RECIPROCALS_Q62: [i64; SERIES_TERMS] = odd_reciprocals();

const fn odd_reciprocals() -> [i64; SERIES_TERMS] {
    let mut table = [0; SERIES_TERMS];
    let mut index = 0;
    while index < SERIES_TERMS {
        let divisor = 2 * index as i64 + 1;
        table[index] = ((1 << 62) + divisor / 2) / divisor;
        index += 1;
    }
    table
}

/// `count · ln 2` in Q60.
const fn ln_power_of_two_q60(count: i128) -> i128 {
    (count * LN2_Q64 as i128) >> 4
}

/// Natural logarithm of a positive integer below `2^126`, in Q60.
///
/// `x = 2^e · m` with `m` in `[√½, √2]`, `z = (m-1)/(m+1)`,
/// `ln x = e·ln 2 + 2·(z + z³/3 + z⁵/5 + …)`; `|z| ≤ 0.172`, so 13 terms reach `2^-65`.
///
/// - error: below `2^-57` in absolute value, from rounding the 13 terms and `ln 2`
/// - panics on 0, which no caller in this crate can pass
#[must_use]
pub fn ln_q60(x: u128) -> i128 {
    assert!(x > 0, "the logarithm of zero was asked for");
    let exponent = 127 - i128::from(x.leading_zeros());
    // The top 64 bits, so that the mantissa is Q63 in [1, 2).
    let mantissa = ((x << x.leading_zeros()) >> 64) as u64;
    let folded = mantissa > SQRT2_Q63;
    let one = if folded { 1i128 << 64 } else { 1i128 << 63 };
    let numerator = i128::from(mantissa) - one;
    let z = ((numerator << 62) / (i128::from(mantissa) + one)) as i64;
    let series = atanh_q62(z);
    ln_power_of_two_q60(exponent + i128::from(folded)) + (i128::from(series) >> 1)
}

/// `atanh z = z + z³/3 + z⁵/5 + …` in Q62, for `z` in Q62 and `|z| ≤ 0.172`.
fn atanh_q62(z: i64) -> i64 {
    let square = (i128::from(z) * i128::from(z)) >> 62;
    let mut sum = 0i128;
    for reciprocal in ODD_RECIPROCALS_Q62.into_iter().rev() {
        sum = i128::from(reciprocal) + ((sum * square) >> 62);
    }
    ((sum * i128::from(z)) >> 62) as i64
}

/// Standard Gumbel value `-ln(-ln u)` in Q32 for `u = (bits + ½) / 2^64`.
///
/// With `t = 1 - u`:
/// - `t ≥ 2^-16`: `-ln(-ln u)` as written; `-ln u ≥ 2^-16`, known to `2^-57`, so its logarithm is
///   known to `2^-41`
/// - `t < 2^-16`: `-ln(-ln(1-t)) = -ln t - t/2 - 5t²/24 - …`, the rest below `t³/8 = 2^-51`
///
/// Result: in `[-3.81, 45.06]`, rounded to nearest; error at most 0.501 units of Q32.
#[must_use]
pub fn gumbel_from_bits(bits: u64) -> i64 {
    // u = odd / 2^65, exactly; so is t = gap / 2^65.
    let odd = 2 * u128::from(bits) + 1;
    let gap = (1u128 << 65) - odd;
    let value_q60 = if gap >> 49 == 0 {
        let t_q60 = (gap >> 5) as i128;
        let square_q60 = (t_q60 * t_q60) >> 60;
        ln_power_of_two_q60(65) - ln_q60(gap) - t_q60 / 2 - square_q60 * 5 / 24
    } else {
        let exponential_q60 = ln_power_of_two_q60(65) - ln_q60(odd);
        ln_power_of_two_q60(60) - ln_q60(exponential_q60 as u128)
    };
    ((value_q60 + (1 << 27)) >> 28) as i64
}

/// No Gumbel value whose upper 32 bits are `high` is above this, in Q32.
///
/// `-ln(-ln u) ≤ -ln t`, and `t > (2^32 - 1 - high) / 2^32 ≥ 2^-(z+1)`, where `z` counts the leading
/// zeros of `2^32 - 1 - high`; when all 32 are zero, `t ≥ 2^-65` is all that is known.
#[must_use]
#[inline(always)]
pub fn gumbel_bound(high: u32) -> i64 {
    BOUND_OF_LEADING_ZEROS[(!high).leading_zeros() as usize]
}

const BOUND_OF_LEADING_ZEROS: [i64; 33] = bounds();

const fn bounds() -> [i64; 33] {
    let mut table = [0; 33];
    let mut zeros = 0;
    while zeros < 33 {
        let halvings = if zeros == 32 { 65 } else { zeros as u128 + 1 };
        // +2: once for the digits cut off, once for the error of the value itself.
        table[zeros] = ((halvings * LN2_Q64 as u128) >> 32) as i64 + 2;
        zeros += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// (bits, Gumbel value · 2^32 rounded to nearest), from `golden/noise.py`, which uses Python's
    /// `decimal` with 60 digits.
    const GOLDEN: &[(u64, i64)] = include!("../golden/gumbel.in");

    #[test]
    fn gumbel_values_equal_sixty_digit_decimals_to_one_unit_in_the_last_place() {
        assert!(GOLDEN.len() > 100);
        for &(bits, expected) in GOLDEN {
            let given = gumbel_from_bits(bits);
            assert!((given - expected).abs() <= 1, "bits {bits:#x}: {given}, expected {expected}");
        }
        let exact = GOLDEN.iter().filter(|(bits, value)| gumbel_from_bits(*bits) == *value).count();
        assert!(exact * 100 >= GOLDEN.len() * 98, "{exact} of {} are exact", GOLDEN.len());
    }

    #[test]
    fn logarithm_of_powers_of_two_is_their_exponent_times_ln_two() {
        // ln 1 = 0 and ln 8 = 2.0794415416798357… = 3 · ln 2.
        assert_eq!(ln_q60(1), 0);
        assert_eq!(ln_q60(8), (3 * i128::from(LN2_Q64)) >> 4);
    }

    proptest! {
        #[test]
        fn gumbel_values_never_fall_as_the_bits_rise(a: u64, b: u64) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(gumbel_from_bits(low) <= gumbel_from_bits(high));
        }

        #[test]
        fn the_bound_holds_for_every_word(high: u32, low: u32, shift in 0u32..33) {
            // Shifting in ones reaches the words near 2^32, where the bound matters.
            let high = !((!high).checked_shr(shift).unwrap_or(0));
            let bits = (u64::from(high) << 32) | u64::from(low);
            prop_assert!(gumbel_from_bits(bits) <= gumbel_bound(high));
        }
    }

    #[test]
    fn the_bound_holds_at_the_top_of_every_binade() {
        for zeros in 0..=32u32 {
            let high = !(u32::MAX.checked_shr(zeros).map_or(0, |ones| ones.min((ones >> 1) + 1)));
            let top = (u64::from(high) << 32) | u64::from(u32::MAX);
            assert!(gumbel_from_bits(top) <= gumbel_bound(high), "{zeros} leading zeros");
        }
    }
}
