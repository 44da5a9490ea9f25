//! How far honest machines may differ: the numbers that all validators judge by.
//!
//! Promise: agreed constants without an override, each with the measurement or source beside it.
//! A wider number lets a lie through, a narrower one fines the honest. The measurements are those of
//! `essaim-bench detect`, with their counts in `docs/verification.md`.

use crate::toploc::TOP_K;

/// Most exponent mismatches among [`TOP_K`] values of a chunk of 32 tokens.
///
/// Source: toploc 0.1.6 with its experiments, "at least 90 of 128 exponents equal" for bf16
/// activations over GPU types, attention kernels and tensor-parallel sizes (arXiv:2501.16007). A
/// value near a power of two counts as a mismatch although it is near, hence the width. Between CPU
/// kernels 1 at most was measured; a model of half the size has a median of 114.
pub const EXPONENT_MISMATCHES_MAX: u32 = 38;

/// Most mean mantissa distance, in thousandths of the last bit of bf16. Source: as above, 10. Between
/// CPU kernels 172 at most was measured.
pub const MANTISSA_MEAN_MILLI_MAX: u32 = 10_000;

/// Most median mantissa distance, in thousandths of the last bit of bf16. Source: as above, 8. Between
/// CPU kernels 0 was measured always.
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
///
/// Rounding alone gives up to 488, if every number falls the other way. Largest honest value over
/// matrix kernels, threads, batches, f32 and bf16 weights: 345 on the small model (a completion of one
/// token, two of four numbers a step off), 122 at the 0.5B shape. Wrong weights, median over rollouts
/// of the small model: bf16 for f32 3,059, int8 5,472, int4 84,345. Not told apart: one optimiser
/// step at a learning rate of 1e-6, 404.
pub const FINGERPRINT_ERROR_MAX_PPM: u32 = 1_000;

/// Most by which a token may fall short of the winner, in millionths of a nat, at temperatures from 1 on.
///
/// A token loses honestly only in a tie closer than the drift of two logits. No token of 24,576 honest
/// rollouts lost, judged under other kernels than they were made with; their log-probabilities drifted
/// by 240 at most. The width is room for models with larger logits; it costs little, since of
/// 2,048 rollouts by a worker that draws twice, every one that differs lost by more (997 of 997).
pub const TOKEN_MARGIN_MAX_MICRO: i64 = 2_000;

/// Most distance of a claimed log-probability from the validator's own, in millionths of a nat, at
/// temperatures from 1 on.
///
/// Largest honest value: 240 on the small model, 48 at the 0.5B shape; the rest is room, as for the
/// margin. A lie of this size moves a policy ratio by 0.4 %, far inside every clip.
pub const LOGPROB_ERROR_MAX_MICRO: i64 = 4_000;

/// Most mean of these distances over a rollout, in millionths of a nat. Largest honest value: 104.
pub const LOGPROB_ERROR_MEAN_MAX_MICRO: i64 = 1_000;

/// Most surprise, `-Σ logprob` in millionths of a nat, of two equal completions in one group.
///
/// Counted, not measured: a sample repeats another's tokens of 40 nats with probability
/// `e⁻⁴⁰ = 4·10⁻¹⁸`; over 10⁶ groups of 64 samples (2·10⁹ pairs) that is 10⁻⁸ false alarms.
pub const DUPLICATE_SURPRISE_MAX_MICRO: i64 = 40_000_000;
