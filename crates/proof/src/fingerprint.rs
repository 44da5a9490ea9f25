//! A second look at the activations, fine enough to tell quantised weights apart.
//!
//! Promise: signs that follow from a seed alone, and a distance in whole parts per million.
//! Takes: a seed and a width; then two fingerprints. Gives: the matrix of signs; the distance.
//! Never: computes the projection itself, which is float arithmetic and belongs to `verify`.
//!
//! The fingerprint of a token's hidden state `x` is `round(2^11 · Σ_i sign_pi · x_i / √width)` for
//! each projection `p`, saturated to 16 bits. The largest activations, which [`crate::toploc`]
//! compares, move little when weights lose bits; a sum with random signs gathers the small errors of
//! all dimensions. Source: Activation-DiFR, arXiv:2511.20621, with signs in place of an orthogonal
//! matrix.

use protocol::Hash;

/// Numbers kept for each token.
pub const PROJECTIONS: usize = 4;
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

/// How far a claimed fingerprint is from one's own, in parts per million of one's own length.
///
/// `1_000_000 · √(Σ_i (claimed_i - own_i)² / Σ_i own_i²)`, rounded down, at most `u32::MAX`.
///
/// - both `[tokens · PROJECTIONS]`; `None` if their lengths differ
/// - 0 where both are zero everywhere or empty; `u32::MAX` where only one's own is zero
#[must_use]
pub fn error_ppm(claimed: &[i16], own: &[i16]) -> Option<u32> {
    if claimed.len() != own.len() {
        return None;
    }
    let square = |value: i64| u128::from(value.unsigned_abs()).pow(2);
    let pairs = claimed.iter().zip(own);
    let error: u128 = pairs.map(|(&c, &o)| square(i64::from(c) - i64::from(o))).sum();
    let length: u128 = own.iter().map(|&o| square(i64::from(o))).sum();
    let ratio = match (error, length) {
        (0, _) => 0,
        (_, 0) => u128::MAX,
        _ => error.saturating_mul(1_000_000_000_000) / length,
    };
    Some(u32::try_from(ratio.isqrt()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_a_share_of_ones_own_length() {
        // own = (3, 4): length 5. claimed - own = (0, 1): error 1. 1/5 = 200,000 ppm.
        assert_eq!(error_ppm(&[3, 5], &[3, 4]), Some(200_000));
        assert_eq!(error_ppm(&[3, 4], &[3, 4]), Some(0));
        // The negative is twice the length away, silence once.
        assert_eq!(error_ppm(&[-3, -4], &[3, 4]), Some(2_000_000));
        assert_eq!(error_ppm(&[0, 0], &[3, 4]), Some(1_000_000));
    }

    #[test]
    fn lengths_and_zeros_have_an_answer() {
        assert_eq!(error_ppm(&[1], &[1, 1]), None);
        assert_eq!(error_ppm(&[], &[]), Some(0));
        assert_eq!(error_ppm(&[0], &[0]), Some(0));
        assert_eq!(error_ppm(&[1], &[0]), Some(u32::MAX));
        let (high, low) = (vec![i16::MAX; 1000], vec![i16::MIN; 1000]);
        // (2^16 - 1) / 2^15 = 1.99997.
        assert_eq!(error_ppm(&high, &low), Some(1_999_969));
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
