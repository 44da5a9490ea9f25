//! Whether the largest activations are those of the true weights: TOPLOC's comparison, with signs and
//! spread added.
//!
//! Promise: every chunk is held to bounds in proportion to the values it proves; the first chunk that
//! breaks one is named by its first token.
//! Takes: the comparison of each chunk. Gives: the largest numbers for the verdict, and the first
//! bound broken.

use proof::ProofError;
use proof::tolerances::{
    DISTINCT_SHARE, EXPONENT_MISMATCHES_MAX, MANTISSA_MEAN_MILLI_MAX, MANTISSA_MEDIAN_MILLI_MAX, SIGN_MISMATCHES_MAX,
    scaled_limit,
};
use proof::toploc::{self, CHUNK_TOKENS, ChunkProof, Comparison, TOP_K};
use protocol::{Check, Rollout, UncheckedCause};

use super::{Case, Finding, at, of_rollout, whole};

/// Bytes of the joined proofs of a completion.
fn proof_bytes(tokens: usize, width: usize) -> usize {
    let bytes = |tokens: usize| match tokens.saturating_mul(width) {
        0 => 0,
        values => ChunkProof::byte_len(values.min(TOP_K)),
    };
    (tokens / CHUNK_TOKENS).saturating_mul(bytes(CHUNK_TOKENS)).saturating_add(bytes(tokens % CHUNK_TOKENS))
}

/// Whether the proof has the length that the completion needs, before anything is computed.
///
/// Errors: `ProofFormat`.
pub(crate) fn length(case: &Case, rollout: &Rollout, width: usize) -> Result<(), Finding> {
    let limit = whole(proof_bytes(rollout.completion_tokens.len(), width));
    let given = whole(rollout.activation_proof.len());
    case.require(limit == given, of_rollout(Check::ProofFormat, rollout.sample_index, limit, given))
}

/// Compares a rollout's proof with one's own activations, `bits` `[tokens, width]`.
///
/// Errors: `ProofFormat` for a proof that breaks its format, `ModelFailed` for activations that are no
/// numbers. Where `ProofFormat` is not checked, a proof that cannot be read is compared with nothing.
pub(crate) fn compare(case: &Case, rollout: &Rollout, bits: &[u16], width: usize) -> Result<Vec<Comparison>, Finding> {
    let proof = &rollout.activation_proof;
    let error = match toploc::compare(proof, bits, width, CHUNK_TOKENS, TOP_K) {
        Ok(comparisons) => return Ok(comparisons),
        Err(error) => error,
    };
    let (limit, given) = match error {
        ProofError::Length { expected, given } => (whole(expected), whole(given)),
        // Named by the length, which is right, and the words of the check: "or breaks its format".
        ProofError::Coefficient { .. } | ProofError::Modulus { .. } => (whole(proof.len()), whole(proof.len())),
        _ => return Err(Finding::Unchecked(UncheckedCause::ModelFailed)),
    };
    case.require(false, of_rollout(Check::ProofFormat, rollout.sample_index, limit, given))?;
    Ok(Vec::new())
}

/// Holds every chunk to the tolerances.
///
/// Errors: `ActivationExponent`, `ActivationSign`, `ActivationMantissa`, `ActivationSpread`.
pub(crate) fn judge(case: &Case, sample: u32, comparisons: &[Comparison]) -> Result<(), Finding> {
    for (chunk, found) in comparisons.iter().enumerate() {
        let in_proportion = |limit| scaled_limit(limit, found.points);
        let bounds = [
            (Check::ActivationExponent, in_proportion(EXPONENT_MISMATCHES_MAX), found.exponent_mismatches),
            (Check::ActivationSign, in_proportion(SIGN_MISMATCHES_MAX), found.sign_mismatches),
            (Check::ActivationMantissa, MANTISSA_MEAN_MILLI_MAX, found.mantissa_mean_milli),
            (Check::ActivationMantissa, MANTISSA_MEDIAN_MILLI_MAX, found.mantissa_median_milli),
        ];
        let reason =
            |check, limit: u32, given: u32| at(check, sample, chunk * CHUNK_TOKENS, limit.into(), given.into());
        for (check, limit, given) in bounds {
            case.require(given <= limit, reason(check, limit, given))?;
        }
        let (least, given) = (found.distinct_own.div_ceil(DISTINCT_SHARE), found.distinct_claimed);
        case.require(given >= least, reason(Check::ActivationSpread, least, given))?;
    }
    Ok(())
}

/// The largest of a number over a rollout's chunks.
pub(crate) fn largest(comparisons: &[Comparison], number: impl Fn(&Comparison) -> u32) -> u32 {
    comparisons.iter().map(number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::proof_bytes;

    #[test]
    fn a_proof_has_258_bytes_for_each_32_tokens_and_fewer_for_few_values() {
        assert_eq!(proof_bytes(32, 128), 258);
        assert_eq!(proof_bytes(33, 128), 516);
        // One token of width 16 commits to 16 values: 2 + 2 * 16.
        assert_eq!(proof_bytes(1, 16), 34);
        assert_eq!(proof_bytes(65, 16), 258 + 258 + 34);
        assert_eq!(proof_bytes(0, 16), 0);
    }
}
