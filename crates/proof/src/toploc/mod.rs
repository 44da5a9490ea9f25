//! Activation proofs: which model saw these tokens, in 258 bytes for 32 of them.
//!
//! Promise: byte for byte the encoding of TOPLOC (arXiv:2501.16007, toploc 0.1.6) for finite bf16
//! activations; a stranger's bytes are read strictly and never panic.
//! Takes: bf16 bit patterns of hidden states, rows of one width. Gives: joined proofs, or how far
//! somebody's proofs are from one's own activations.
//! Never: judges; the numbers to judge by are in [`crate::tolerances`].
//!
//! Where this is stricter than the reference, and why:
//! - exactly `k` coefficients, each below the prime: a proof of one coefficient is a constant, and
//!   one constant fits the largest of normally distributed values within 38/10/8
//! - the modulus must be one that honest positions can lead to: who chooses `m = k` chooses the
//!   value at every position
//! - evaluation at `position mod m` on every path
//! - signs are compared: the negative of all activations is not the same model
//! - the number of different values is reported, so that a polynomial that is nearly constant shows

mod chunk;
mod compare;
mod field;
mod largest;

pub use chunk::ChunkProof;
pub use compare::{Comparison, Differences, NO_EXPONENT_AGREES};

use crate::ProofError;

/// The field's prime: all finite bf16 patterns are below it or distinct modulo it.
pub const PRIME: u32 = 65_497;
/// Values committed to in each chunk.
pub const TOP_K: usize = 128;
/// Tokens in one chunk.
pub const CHUNK_TOKENS: usize = 32;

/// Proves every chunk of a rollout; the proofs are joined in order.
///
/// - `bits`: bf16 patterns, `[tokens, width]` row-major; the last chunk may be short
/// - a chunk with fewer than `k` values commits to all of them
/// - no tokens give no bytes
/// - errors: `Shape`, `ChunkTooSmall` if `k` or `chunk_tokens` is 0, `NotFinite`, `ChunkTooLarge`
#[inline(always)]
pub fn build_proofs(bits: &[u16], width: usize, chunk_tokens: usize, k: usize) -> Result<Vec<u8>, ProofError> {
    let chunk = chunk_values(bits, width, chunk_tokens, k)?;
    let mut bytes = Vec::with_capacity(joined_len(bits.len(), chunk, k));
    for values in bits.chunks(chunk) {
        ChunkProof::build(values, k.min(values.len()))?.write(&mut bytes);
    }
    Ok(bytes)
}

/// Compares joined proofs with one's own activations, one result for each chunk.
///
/// - `proofs` are a stranger's; their length is checked before anything is read
/// - `bits`, `width`, `chunk_tokens`, `k`: as in [`build_proofs`]
/// - the stranger's errors: `Length`, `Coefficient`, `Modulus`. One's own: `Shape`,
///   `ChunkTooSmall`, `ChunkTooLarge`, `NotFinite`
pub fn compare(
    proofs: &[u8],
    bits: &[u16],
    width: usize,
    chunk_tokens: usize,
    k: usize,
) -> Result<Vec<Comparison>, ProofError> {
    let chunk = chunk_values(bits, width, chunk_tokens, k)?;
    let expected = joined_len(bits.len(), chunk, k);
    if proofs.len() != expected {
        return Err(ProofError::Length { expected, given: proofs.len() });
    }
    let mut rest = proofs;
    let mut comparisons = Vec::with_capacity(bits.len().div_ceil(chunk));
    for values in bits.chunks(chunk) {
        let k = k.min(values.len());
        let (proof, after) = rest.split_at(ChunkProof::byte_len(k));
        let proof = ChunkProof::from_bytes_strict(proof, k)?;
        comparisons.push(Differences::of(&proof, values)?.into());
        rest = after;
    }
    Ok(comparisons)
}

/// Values in one chunk.
fn chunk_values(bits: &[u16], width: usize, chunk_tokens: usize, k: usize) -> Result<usize, ProofError> {
    let given = bits.len();
    if width == 0 || !given.is_multiple_of(width) {
        return Err(ProofError::Shape { width, given });
    }
    if k == 0 || chunk_tokens == 0 {
        return Err(ProofError::ChunkTooSmall { k, given: 0 });
    }
    Ok(width.saturating_mul(chunk_tokens))
}

/// Bytes of the joined proofs of `values` activations in chunks of `chunk`.
fn joined_len(values: usize, chunk: usize, k: usize) -> usize {
    let last = match values % chunk {
        0 => 0,
        short => ChunkProof::byte_len(k.min(short)),
    };
    values / chunk * ChunkProof::byte_len(k.min(chunk)) + last
}
