//! Finds the largest activations of a chunk, and the modulus that keeps their positions apart.
//!
//! Promise: a set fixed by the bits alone: larger magnitude first, then the lower position.

use super::PRIME;
use crate::ProofError;

/// All bits of a bf16 pattern but the sign; as integers these order by magnitude.
const MAGNITUDE: u16 = 0x7fff;
/// Magnitudes from here on are infinite or no number.
const INFINITE: u16 = 0x7f80;
/// Values that are passed over at once when none is larger than the least kept.
const BLOCK: usize = 32;

/// Positions of the `k` largest magnitudes, in no particular order.
///
/// - errors: `NotFinite` for an infinite value or NaN anywhere in the chunk, `ChunkTooSmall` unless
///   `1 <= k <= bits.len()`, `ChunkTooLarge` past 2^32 values
pub(super) fn largest(bits: &[u16], k: usize) -> Result<Vec<u32>, ProofError> {
    if k == 0 || k > bits.len() {
        return Err(ProofError::ChunkTooSmall { k, given: bits.len() });
    }
    let limit = u32::MAX as usize;
    if bits.len() > limit {
        return Err(ProofError::ChunkTooLarge { limit, given: bits.len() });
    }
    let mut kept = Kept { keys: Vec::with_capacity(2 * k + BLOCK), least: None, k };
    for (block_index, block) in bits.chunks(BLOCK).enumerate() {
        let top = block.iter().fold(0, |top, &bits| (bits & MAGNITUDE).max(top));
        if kept.least.is_some_and(|least| top <= least) {
            continue;
        }
        let first = block_index * BLOCK;
        if top >= INFINITE {
            return Err(not_finite(block, first));
        }
        kept.take(block, first);
    }
    kept.shrink();
    Ok(kept.keys.iter().map(|&key| !(key as u32)).collect())
}

/// The best values so far, up to twice as many as asked for.
///
/// A key is `magnitude·2^32 + (2^32 - 1 - position)`: a larger key is chosen first.
struct Kept {
    keys: Vec<u64>,
    /// Magnitude of the `k`-th; a later value must be larger to get in.
    least: Option<u16>,
    k: usize,
}

impl Kept {
    fn take(&mut self, block: &[u16], first: usize) {
        for (position, &bits) in (first as u32..).zip(block) {
            let magnitude = bits & MAGNITUDE;
            if self.least.is_none_or(|least| magnitude > least) {
                self.keys.push((u64::from(magnitude) << 32) | u64::from(!position));
            }
        }
        if self.keys.len() >= 2 * self.k {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        let (_, least, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        self.least = Some((*least >> 32) as u16);
        self.keys.truncate(self.k);
    }
}

fn not_finite(block: &[u16], first: usize) -> ProofError {
    let found = block.iter().enumerate().find(|(_, bits)| **bits & MAGNITUDE >= INFINITE);
    let (offset, &bits) = found.expect("the largest magnitude of the block is one of its values");
    ProofError::NotFinite { index: first + offset, bits }
}

/// The largest modulus, at most [`PRIME`], under which all positions differ.
///
/// - errors: `NoModulus` if a position occurs twice
pub(super) fn modulus(positions: &[u32]) -> Result<u32, ProofError> {
    let k = positions.len();
    let mut ascending = positions.to_vec();
    ascending.sort_unstable();
    if ascending.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ProofError::NoModulus { k });
    }
    if ascending.last().is_none_or(|&last| last < PRIME) {
        return Ok(PRIME);
    }
    // `seen[r] = m` marks that remainder r is taken under modulus m.
    let mut seen = vec![0u32; PRIME as usize];
    let apart = |modulus: u32, seen: &mut [u32]| {
        positions.iter().all(|&position| {
            let slot = &mut seen[(position % modulus) as usize];
            core::mem::replace(slot, modulus) != modulus
        })
    };
    let least = u32::try_from(k).unwrap_or(u32::MAX).max(1);
    (least..=PRIME).rev().find(|&m| apart(m, &mut seen)).ok_or(ProofError::NoModulus { k })
}

/// The least modulus that an honest prover can arrive at, for `k` of `elements` positions.
///
/// A modulus `m` is skipped only if it divides the distance of two chosen positions. Where
/// `m > PRIME/2`, a distance below `elements` is at most `⌊(elements-1)/⌈PRIME/2⌉⌋` multiples of
/// such moduli, so no more than `k(k-1)/2` times as many are skipped. Positions that are all below
/// the prime need no search at all.
pub(super) fn modulus_least(elements: usize, k: usize) -> u32 {
    if elements <= PRIME as usize {
        return PRIME;
    }
    let half = PRIME.div_ceil(2);
    let multiples = (elements as u64 - 1) / u64::from(half);
    let pairs = (k as u64).saturating_mul(k as u64 - 1) / 2;
    let skipped = pairs.saturating_mul(multiples);
    let least = match u32::try_from(skipped) {
        Ok(skipped) if skipped <= PRIME - half => PRIME - skipped,
        _ => 1,
    };
    least.max(u32::try_from(k).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_equal_magnitudes_the_lower_position_is_chosen() {
        let bits = [0x4000, 0x3f80, 0xbf80, 0x3f80, 0xc000];
        let mut found = largest(&bits, 3).unwrap();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 4]);
    }

    #[test]
    fn the_modulus_steps_down_to_where_positions_differ() {
        assert_eq!(modulus(&[0, 1, 65_496]), Ok(65_497));
        // 65497 joins 0 and 65497; 65496 joins 1 and 65497.
        assert_eq!(modulus(&[0, 65_497, 1]), Ok(65_495));
    }

    #[test]
    fn numbers_without_end_are_named() {
        let mut bits = vec![0x3f80u16; 100];
        bits[70] = 0xffff;
        assert_eq!(largest(&bits, 4), Err(ProofError::NotFinite { index: 70, bits: 0xffff }));
    }

    proptest! {
        #[test]
        fn the_same_are_chosen_as_by_sorting(
            bits in prop::collection::vec(0u16..0x7f80, 1..600),
            signs in prop::collection::vec(any::<bool>(), 600),
            k in 1usize..200,
        ) {
            let bits: Vec<u16> = bits.iter().zip(signs).map(|(b, s)| (b % 97) | (u16::from(s) << 15)).collect();
            let k = k.min(bits.len());
            let mut order: Vec<u32> = (0..bits.len() as u32).collect();
            order.sort_by_key(|&i| (core::cmp::Reverse(bits[i as usize] & MAGNITUDE), i));
            order.truncate(k);
            order.sort_unstable();
            let mut found = largest(&bits, k).unwrap();
            found.sort_unstable();
            prop_assert_eq!(found, order);
        }

        #[test]
        fn no_honest_modulus_lies_below_the_least(
            positions in prop::collection::btree_set(0u32..300_000, 2..140),
        ) {
            let positions: Vec<u32> = positions.into_iter().collect();
            prop_assert!(modulus(&positions).unwrap() >= modulus_least(300_000, positions.len()));
        }
    }
}
