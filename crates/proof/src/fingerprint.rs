//! A second look at the activations, fine enough to tell quantised weights apart.
//!
//! Promise: signs that follow from a seed alone, and a distance in whole parts per million.
//! Takes: a seed and a width; then two fingerprints. Gives: the matrix of signs; the distance.
//! Never: computes the projection itself, which is float arithmetic and belongs to `verify`.
//!
//! The fingerprint of a token's hidden state `x` is `round(STEPS · Σ_i sign_pi · x_i / ‖x‖)` for
//! each projection `p`, saturated to 16 bits: over the signs it has mean 0 and variance `STEPS²`. The largest activations, which [`crate::toploc`]
//! compares, move little when weights lose bits; a sum with random signs gathers the small errors of
//! all dimensions. Source: Activation-DiFR, arXiv:2511.20621, with signs in place of an orthogonal
//! matrix.

use protocol::Hash;

/// Numbers kept for each token.
pub const PROJECTIONS: usize = 4;
/// Steps of a number per standard deviation; ±16 of these fit into 16 bits.
pub const STEPS: u16 = 2048;
/// Separates this use of blake3 from all others.
const CONTEXT: &str = "essaim 2026 fingerprint signs v1";

/// Random signs, `+1` or `-1`, `[PROJECTIONS, width]` row-major.
///
/// Bit `i` of `blake3::derive_key(CONTEXT, seed)` as an endless stream, the least bit of each byte
/// first, decides value `i`: 0 is `+1`. The `p`-th row starts at bit `p·width`.
#[must_use]
pub fn signs(seed: &Hash, width: usize) -> Vec<i8> {
    let count = PROJECTIONS * width;
    let mut bytes = vec![0u8; count.div_ceil(8)];
    blake3::Hasher::new_derive_key(CONTEXT).update(seed).finalize_xof().fill(&mut bytes);
    (0..count).map(|i| 1 - 2 * (bytes[i / 8] >> (i % 8) & 1) as i8).collect()
}

/// How far a claimed fingerprint is from one's own, in parts per million of a standard deviation.
///
/// `1_000_000 · √(Σ_i (claimed_i - own_i)² / count) / STEPS`, rounded down, at most `u32::MAX`. Not
/// divided by one's own length: a short completion may happen to have a small one, and then a single
/// rounding would look like a lie. Two honest machines whose every number rounds the other way are
/// `1_000_000 / STEPS` = 488 apart, however short the completion.
///
/// - both `[tokens · PROJECTIONS]`; `None` if their lengths differ
/// - 0 where both are equal or empty
#[must_use]
pub fn error_ppm(claimed: &[i16], own: &[i16]) -> Option<u32> {
    if claimed.len() != own.len() {
        return None;
    }
    let square = |value: i64| u128::from(value.unsigned_abs()).pow(2);
    let pairs = claimed.iter().zip(own);
    let error: u128 = pairs.map(|(&c, &o)| square(i64::from(c) - i64::from(o))).sum();
    let deviation = (claimed.len() as u128).saturating_mul(square(STEPS.into()));
    let share = error.saturating_mul(1_000_000_000_000).checked_div(deviation).unwrap_or(0);
    Some(u32::try_from(share.isqrt()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_a_share_of_a_standard_deviation() {
        // One of four numbers is a standard deviation off: √(1/4) = 1/2.
        assert_eq!(error_ppm(&[2048, 4, 5, 6], &[0, 4, 5, 6]), Some(500_000));
        assert_eq!(error_ppm(&[3, 4], &[3, 4]), Some(0));
        // All are one step off: 1/2048 = 488.28 millionths, whatever one's own length.
        assert_eq!(error_ppm(&[1, -1, 1, 1], &[0, 0, 0, 0]), Some(488));
        assert_eq!(error_ppm(&[9_001, -8_999], &[9_000, -9_000]), Some(488));
    }

    #[test]
    fn lengths_and_extremes_have_an_answer() {
        assert_eq!(error_ppm(&[1], &[1, 1]), None);
        assert_eq!(error_ppm(&[], &[]), Some(0));
        let (high, low) = (vec![i16::MAX; 1000], vec![i16::MIN; 1000]);
        // 65,535 steps of 2,048.
        assert_eq!(error_ppm(&high, &low), Some(31_999_511));
    }

    #[test]
    fn signs_are_even_and_differ_between_rows_and_seeds() {
        let matrix = signs(&[7; 32], 896);
        assert_eq!(matrix.len(), PROJECTIONS * 896);
        assert!(matrix.iter().all(|&sign| sign == 1 || sign == -1));
        let correlation =
            |a: &[i8], b: &[i8]| -> i32 { a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum() };
        let rows: Vec<&[i8]> = matrix.chunks(896).collect();
        let other = signs(&[8; 32], 896);
        // Four standard deviations of a sum of 896 signs are 4·√896 = 120.
        assert!(correlation(rows[0], &[1; 896]).abs() < 120);
        assert!(correlation(rows[0], rows[1]).abs() < 120);
        assert!(correlation(rows[2], rows[3]).abs() < 120);
        assert!(correlation(rows[0], &other[..896]).abs() < 120);
    }

    #[test]
    fn signs_keep_their_values() {
        let first: Vec<i8> = signs(&[0; 32], 16)[..16].to_vec();
        assert_eq!(first, GOLDEN);
        assert_eq!(signs(&[0; 32], 0), Vec::<i8>::new());
    }

    // Worked out by golden/lots.py.
    const GOLDEN: [i8; 16] = [-1, 1, 1, -1, -1, -1, 1, -1, -1, -1, 1, 1, 1, 1, -1, -1];
}
