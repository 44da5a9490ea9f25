//! Evidence that a rollout's hidden states came from the weights that the lease names.
//!
//! Promise: a function of the hidden states and the seed; worker and validator run this same code,
//! each over its own hidden states, and compare.
//! Takes: post-norm hidden states, one row per completion token. Gives: the evidence of a rollout.
//! Never: looks at tokens or logits.

use half::bf16;
use half::slice::HalfFloatSliceExt;
use ops::vmath::vectorized;
use proof::{fingerprint as agreed, toploc};
use protocol::Hash;

use crate::VerifyError;

/// What a worker adds to a rollout so that one prefill can check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Joined TOPLOC proofs, one per [`toploc::CHUNK_TOKENS`] tokens.
    pub activation_proof: Vec<u8>,
    /// `[tokens · PROJECTIONS]`, see [`fingerprint`].
    pub fingerprint: Vec<i16>,
}

/// Evidence over hidden states `[tokens, width]`.
///
/// Errors: `NotWholeRows`, `Proof`.
pub fn prove(hidden: &[f32], width: usize, seed: &Hash) -> Result<Evidence, VerifyError> {
    let fingerprint = fingerprint(hidden, width, seed)?;
    let bits = hidden_bits(hidden);
    let joined = vectorized(
        #[inline(always)]
        || toploc::build_proofs(&bits, width, toploc::CHUNK_TOKENS, toploc::TOP_K),
    );
    let activation_proof = joined.map_err(|error| VerifyError::Proof(error.to_string()))?;
    Ok(Evidence { activation_proof, fingerprint })
}

/// Hidden states as bf16 bit patterns, rounded to nearest, ties to even.
pub fn hidden_bits(hidden: &[f32]) -> Vec<u16> {
    let mut rounded = vec![bf16::ZERO; hidden.len()];
    rounded.convert_from_f32_slice(hidden);
    rounded.into_iter().map(bf16::to_bits).collect()
}

/// A few numbers per token that move when many activations move a little, as quantised weights make
/// them do. Source of the idea: Activation-DiFR, arXiv:2511.20621.
///
/// `f[t, j] = round(2048 · Σ_i s[j, i] · h[t, i] / ‖h[t]‖)`, held within i16, with the signs
/// `s = ±1` of [`proof::fingerprint::signs`]. The sum has mean 0 and variance 1 over signs, whatever the model's
/// scale, so nothing is lost at the ends (±16 standard deviations). Sums are in f64.
///
/// Errors: `NotWholeRows`.
pub fn fingerprint(hidden: &[f32], width: usize, seed: &Hash) -> Result<Vec<i16>, VerifyError> {
    if width == 0 || !hidden.len().is_multiple_of(width) {
        return Err(VerifyError::NotWholeRows { width, given: hidden.len() });
    }
    let signs: Vec<f32> = agreed::signs(seed, width).into_iter().map(f32::from).collect();
    let number = |row: &[f32], length: f64, signs: &[f32]| {
        // A float turned into an integer is held within its ends; 0/0 becomes 0.
        (dot(row, signs) / length * f64::from(agreed::STEPS)).round_ties_even() as i16
    };
    let numbers = hidden.chunks_exact(width).flat_map(|row| {
        let length = dot(row, row).sqrt();
        signs.chunks_exact(width).map(move |signs| number(row, length, signs))
    });
    Ok(numbers.collect())
}

/// `Σ a_i · b_i` in f64, in an order that depends on the length alone.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    vectorized(
        #[inline(always)]
        || {
            let (groups, rest) = a.as_chunks::<LANES>();
            let (other_groups, other_rest) = b.as_chunks::<LANES>();
            let mut lanes = [0f64; LANES];
            for (group, other) in groups.iter().zip(other_groups) {
                for ((lane, &a), &b) in lanes.iter_mut().zip(group).zip(other) {
                    *lane += f64::from(a) * f64::from(b);
                }
            }
            let rest = rest.iter().zip(other_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
            lanes.into_iter().chain(rest).sum()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Hash = [4; 32];

    #[test]
    fn a_fingerprint_is_worked_out_by_hand() {
        // One direction only: sign · 3 / 3 = ±1, which is ±2048 steps; the other row is twice the length.
        let hidden = [3.0, 0.0, 0.0, 0.0, -6.0, 0.0];
        let signs = agreed::signs(&SEED, 3);
        let given = fingerprint(&hidden, 3, &SEED).unwrap();
        assert_eq!(given.len(), 2 * agreed::PROJECTIONS);
        for projection in 0..agreed::PROJECTIONS {
            let sign = |i: usize| i16::from(signs[projection * 3 + i]);
            assert_eq!(given[projection], 2048 * sign(0));
            assert_eq!(given[agreed::PROJECTIONS + projection], -2048 * sign(1));
        }
    }

    #[test]
    fn a_fingerprint_keeps_within_its_range_and_takes_zeros() {
        assert_eq!(fingerprint(&[0.0; 5], 5, &SEED).unwrap(), [0; agreed::PROJECTIONS]);
        // All signs of the first row agree with the activations: √1000 = 31.6 is more than 16.
        let hidden: Vec<f32> = agreed::signs(&SEED, 1000)[..1000].iter().map(|&sign| sign.into()).collect();
        assert_eq!(fingerprint(&hidden, 1000, &SEED).unwrap()[0], i16::MAX);
    }

    #[test]
    fn activations_are_rounded_to_the_nearest_bf16() {
        // 1 + 2^-8 is half way between 1 and 1 + 2^-7, and goes to the even 1; a little more goes up.
        let half = 1.0 + 2f32.powi(-8);
        let up = f32::from_bits(half.to_bits() + 1);
        assert_eq!(hidden_bits(&[1.0, half, up, -2.0]), [0x3f80, 0x3f80, 0x3f81, 0xc000]);
    }

    #[test]
    fn every_thirty_two_tokens_have_a_proof() {
        for (tokens, proofs) in [(0, 0), (1, 1), (32, 1), (33, 2)] {
            let hidden: Vec<f32> = (0..tokens * 256).map(|i| (i as f32 * 0.37).sin()).collect();
            let evidence = prove(&hidden, 256, &SEED).unwrap();
            assert_eq!(evidence.activation_proof.len(), proofs * 258);
            assert_eq!(evidence.fingerprint.len(), tokens * agreed::PROJECTIONS);
        }
    }

    #[test]
    fn activations_that_form_no_rows_are_refused() {
        let error = VerifyError::NotWholeRows { width: 4, given: 6 };
        assert_eq!(prove(&[0.0; 6], 4, &SEED), Err(error));
        assert_eq!(prove(&[], 0, &SEED), Err(VerifyError::NotWholeRows { width: 0, given: 0 }));
    }
}
