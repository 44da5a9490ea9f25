//! How far honest machines may differ: the numbers that all validators judge by.
//!
//! Promise: agreed constants without an override, each with the measurement or source beside it.
//! A wider number lets a lie through, a narrower one fines the honest.

use crate::toploc::TOP_K;

/// Most exponent mismatches among [`TOP_K`] values of a chunk of 32 tokens.
///
/// Source: toploc 0.1.6 with its experiments, "at least 90 of 128 exponents equal" for bf16
/// activations over GPU types, attention kernels and tensor-parallel sizes (arXiv:2501.16007). A
/// value near a power of two counts as a mismatch although it is near, hence the width.
pub const EXPONENT_MISMATCHES_MAX: u32 = 38;

/// Most mean mantissa distance, in thousandths of the last bit of bf16. Source: as above, 10.
pub const MANTISSA_MEAN_MILLI_MAX: u32 = 10_000;

/// Most median mantissa distance, in thousandths of the last bit of bf16. Source: as above, 8.
pub const MANTISSA_MEDIAN_MILLI_MAX: u32 = 8_000;

/// Most sign mismatches among [`TOP_K`] values of a chunk.
///
/// The largest activations do not change sign by rounding. A position that the prover did not commit
/// to takes an arbitrary value, which has the same exponent and the other sign once in 512 times:
/// of 38 such positions more than 4 do so with a probability below 2·10⁻⁸.
pub const SIGN_MISMATCHES_MAX: u32 = 4;

/// The claimed values must have at least one different pattern for this many of one's own.
///
/// Honest claims have as many as one's own, but for rounding. A constant has one; the largest of
/// 32 × 896 normally distributed values have 61 to 74 among 128 (ten draws), so a constant is
/// refused there, and accepted only of a model whose largest activations are all the same.
pub const DISTINCT_SHARE: u32 = 2;

/// A limit for [`TOP_K`] values, for a chunk that has fewer: in proportion, rounded up.
#[must_use]
pub const fn scaled_limit(limit: u32, points: u32) -> u32 {
    ((limit as u64 * points as u64).div_ceil(TOP_K as u64)) as u32
}

/// Most distance of a fingerprint from the validator's own, in millionths of a standard deviation.
pub const FINGERPRINT_ERROR_MAX_PPM: u32 = 1_000;

/// Most by which a token may fall short of the winner, in millionths of a nat.
pub const TOKEN_MARGIN_MAX_MICRO: i64 = 2_000;

/// Most distance of a claimed log-probability from the validator's own, in millionths of a nat.
pub const LOGPROB_ERROR_MAX_MICRO: i64 = 4_000;

/// Most mean of these distances over a rollout, in millionths of a nat.
pub const LOGPROB_ERROR_MEAN_MAX_MICRO: i64 = 1_000;

/// Most surprise, `-Σ logprob` in millionths of a nat, of two equal completions in one group.
///
/// Counted, not measured: a sample repeats another's tokens of 40 nats with probability
/// `e⁻⁴⁰ = 4·10⁻¹⁸`; over 10⁶ groups of 64 samples (2·10⁹ pairs) that is 10⁻⁸ false alarms.
pub const DUPLICATE_SURPRISE_MAX_MICRO: i64 = 40_000_000;
