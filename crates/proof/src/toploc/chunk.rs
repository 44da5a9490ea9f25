//! The proof of one chunk: a polynomial through its largest activations, in bytes.
//!
//! Promise: the bytes of the reference, and a reader that takes nothing else.

use super::field;
use super::largest::{largest, modulus};
use super::{PRIME, largest::modulus_least};
use crate::ProofError;

/// Commits to the positions and values of the `k` largest activations of a chunk.
///
/// `p(position mod m) ≡ bits (mod 65497)` for each of them, where `m` is the largest modulus that
/// keeps the positions apart. Source: TOPLOC, arXiv:2501.16007, and the reference implementation
/// (toploc 0.1.6), whose bytes these are: `u16be(m) ‖ u16be(c_0) ‖ ... ‖ u16be(c_{k-1})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkProof {
    modulus: u16,
    coefficients: Vec<u16>,
}

impl ChunkProof {
    /// Builds the proof of one chunk.
    ///
    /// - `bits`: bf16 patterns of the chunk, flat: `position = row·width + column`
    /// - where equal magnitudes meet at rank `k`, the lower position is taken; the reference leaves
    ///   that to the library underneath
    /// - errors: `NotFinite`, `ChunkTooSmall` unless `1 <= k <= bits.len()`, `ChunkTooLarge`,
    ///   `NoModulus`
    #[inline(always)]
    pub fn build(bits: &[u16], k: usize) -> Result<Self, ProofError> {
        let positions = largest(bits, k)?;
        let values: Vec<u16> = positions.iter().map(|&at| bits[at as usize]).collect();
        Self::from_points(&positions, &values)
    }

    /// The proof that holds exactly these points: bit patterns `values` at distinct `positions`.
    ///
    /// - errors: `Shape` if the lengths differ, `ChunkTooSmall` if there is no point, `NoModulus`
    ///   if a position occurs twice
    #[inline(always)]
    pub fn from_points(positions: &[u32], values: &[u16]) -> Result<Self, ProofError> {
        if positions.len() != values.len() {
            return Err(ProofError::Shape { width: positions.len(), given: values.len() });
        }
        if positions.is_empty() {
            return Err(ProofError::ChunkTooSmall { k: 0, given: 0 });
        }
        let modulus = modulus(positions)?;
        let x: Vec<u32> = positions.iter().map(|position| position % modulus).collect();
        let y: Vec<u32> = values.iter().map(|&bits| u32::from(bits) % PRIME).collect();
        let coefficients = field::interpolate(&x, &y).into_iter().map(small).collect();
        Ok(Self { modulus: small(modulus), coefficients })
    }

    /// Bytes of a proof over `k` values.
    #[must_use]
    pub const fn byte_len(k: usize) -> usize {
        2usize.saturating_add(k.saturating_mul(2))
    }

    /// Appends the proof's bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.modulus.to_be_bytes());
        bytes.extend(self.coefficients.iter().flat_map(|coefficient| coefficient.to_be_bytes()));
    }

    /// The proof's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::byte_len(self.coefficients.len()));
        self.write(&mut bytes);
        bytes
    }

    /// Reads a proof over exactly `k` values.
    ///
    /// The reference reads any length, range and modulus. Here each error has its name:
    /// - `ChunkTooSmall` if `k` is 0; `Length` unless there are `2 + 2k` bytes
    /// - `Coefficient` for one that is not below the prime
    /// - `Modulus` unless `k <= m <= 65497`; the null proof, `m = 0`, is refused by this.
    ///   [`ChunkProof::check_modulus`] knows more once the size of the chunk is known
    pub fn from_bytes_strict(bytes: &[u8], k: usize) -> Result<Self, ProofError> {
        if k == 0 {
            return Err(ProofError::ChunkTooSmall { k, given: 0 });
        }
        let expected = Self::byte_len(k);
        if bytes.len() != expected {
            return Err(ProofError::Length { expected, given: bytes.len() });
        }
        let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let modulus = words.next().unwrap_or(0);
        let coefficients: Vec<u16> = words.collect();
        let wrong = coefficients.iter().position(|&coefficient| u32::from(coefficient) >= PRIME);
        if let Some(index) = wrong {
            let given = u32::from(coefficients[index]);
            return Err(ProofError::Coefficient { index, limit: PRIME, given });
        }
        let proof = Self { modulus, coefficients };
        proof.require_modulus(u32::try_from(k).unwrap_or(u32::MAX))?;
        Ok(proof)
    }

    /// Refuses a modulus that no honest prover of a chunk of `elements` values can arrive at.
    ///
    /// A prover who may choose `m` can choose `m = k` and thereby the value at every position;
    /// with the honest `m` a polynomial of `k` coefficients is free at `k` positions only.
    ///
    /// - errors: `Modulus`
    pub fn check_modulus(&self, elements: usize) -> Result<(), ProofError> {
        self.require_modulus(modulus_least(elements, self.coefficients.len()))
    }

    /// The claimed patterns at these positions, each below the prime.
    pub(super) fn claimed(&self, positions: &[u32]) -> Vec<u32> {
        let modulus = u32::from(self.modulus);
        let x: Vec<u32> = positions.iter().map(|position| position % modulus).collect();
        field::evaluate(&self.coefficients, &x)
    }

    /// The modulus `m`.
    #[must_use]
    pub fn modulus(&self) -> u16 {
        self.modulus
    }

    /// The coefficients, of the lowest power first.
    #[must_use]
    pub fn coefficients(&self) -> &[u16] {
        &self.coefficients
    }

    fn require_modulus(&self, least: u32) -> Result<(), ProofError> {
        let given = u32::from(self.modulus);
        if (least..=PRIME).contains(&given) {
            return Ok(());
        }
        Err(ProofError::Modulus { least, most: PRIME, given })
    }
}

fn small(value: u32) -> u16 {
    u16::try_from(value).expect("values of the field and moduli are at most 65497")
}
