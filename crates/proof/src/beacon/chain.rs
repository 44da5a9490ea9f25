//! A beacon for networks of one's own: hashes published backwards.
//!
//! Promise: every point leads back to the anchor by hashing, so that whoever made the chain cannot
//! change a round after the anchor is known. They do know all rounds in advance: use it where the
//! orchestrator is trusted not to tell workers, else use [`super::drand`].

use super::BeaconError;
use core::fmt;
use protocol::{BeaconPoint, Hash};

/// Most hashes that one check of a point takes: about 0.1 s.
pub const STEPS_MAX: u64 = 1 << 20;
/// Links between two that are kept.
const STRIDE: u64 = 1024;
const FIRST: &str = "essaim 2026 beacon chain secret v1";
const STEP: &str = "essaim 2026 beacon chain step v1";

/// The chain `x_N = derive_key(FIRST, secret)`, `x_{i-1} = derive_key(STEP, x_i)`.
///
/// The anchor is `x_0`; the randomness of round `i` is `x_i`, for `1 <= i <= N`.
#[derive(Clone)]
pub struct HashChain {
    length: u64,
    anchor: Hash,
    /// `x_i` at every multiple of [`STRIDE`], and `x_N`.
    kept: Vec<Hash>,
}

impl HashChain {
    /// Works out a chain of `length` rounds: one hash (about 0.1 µs) for each, and 32 bytes kept
    /// for every 1024.
    #[must_use]
    pub fn new(secret: &Hash, length: u64) -> Self {
        let mut link = blake3::derive_key(FIRST, secret);
        let mut kept = vec![link];
        for round in (0..length).rev() {
            link = step(&link);
            if round > 0 && round.is_multiple_of(STRIDE) {
                kept.push(link);
            }
        }
        kept.reverse();
        Self { length, anchor: link, kept }
    }

    /// What is told before the first round, and all points are checked against.
    #[must_use]
    pub fn anchor(&self) -> Hash {
        self.anchor
    }

    /// The number of rounds.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The point of a round, after at most 1023 hashes.
    ///
    /// - errors: `NoSuchRound` unless `1 <= round <= length`
    pub fn point(&self, round: u64) -> Result<BeaconPoint, BeaconError> {
        if round == 0 || round > self.length {
            return Err(BeaconError::NoSuchRound { limit: self.length, given: round });
        }
        let after = round.div_ceil(STRIDE);
        let above = after.saturating_mul(STRIDE).min(self.length);
        let index = usize::try_from(after - 1).expect("a kept link has an index in memory");
        let randomness = (round..above).fold(self.kept[index], |link, _| step(&link));
        Ok(BeaconPoint { round, randomness })
    }
}

/// The secret and the rounds to come are not shown.
impl fmt::Debug for HashChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HashChain").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Checks that a point leads back to one that is known, or to the anchor.
///
/// - `known`: the latest verified point, or [`BeaconPoint::NONE`] (round 0) before the first
/// - errors: `NoSuchRound` for round 0, `Backwards`, `TooFar` past [`STEPS_MAX`] rounds ahead,
///   `NotOnChain`
pub fn verify_chain(anchor: &Hash, point: &BeaconPoint, known: &BeaconPoint) -> Result<(), BeaconError> {
    let (given, from) = (point.round, known.round);
    if given == 0 {
        return Err(BeaconError::NoSuchRound { limit: u64::MAX, given });
    }
    let Some(steps) = given.checked_sub(from) else {
        return Err(BeaconError::Backwards { known: from, given });
    };
    if steps > STEPS_MAX {
        return Err(BeaconError::TooFar { limit: from.saturating_add(STEPS_MAX), given });
    }
    let reached = (0..steps).fold(point.randomness, |link, _| step(&link));
    let due = if from == 0 { anchor } else { &known.randomness };
    if reached != *due {
        return Err(BeaconError::NotOnChain { round: given, known: from });
    }
    Ok(())
}

fn step(link: &Hash) -> Hash {
    blake3::derive_key(STEP, link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn every_point_is_one_hash_from_the_next() {
        for length in [1, 2, 1023, 1024, 1025, 2048, 3000] {
            let chain = HashChain::new(&[5; 32], length);
            let mut below = chain.anchor();
            for round in 1..=length {
                let point = chain.point(round).unwrap();
                assert_eq!((point.round, step(&point.randomness)), (round, below));
                below = point.randomness;
            }
        }
    }

    #[test]
    fn rounds_outside_the_chain_are_refused() {
        let chain = HashChain::new(&[5; 32], 10);
        for given in [0, 11, u64::MAX] {
            assert_eq!(chain.point(given), Err(BeaconError::NoSuchRound { limit: 10, given }));
        }
        let empty = HashChain::new(&[5; 32], 0);
        assert_eq!(empty.point(1), Err(BeaconError::NoSuchRound { limit: 0, given: 1 }));
    }

    #[test]
    fn a_point_verifies_against_the_anchor_and_every_earlier_point() {
        let chain = HashChain::new(&[5; 32], 3000);
        let point = chain.point(2500).unwrap();
        assert_eq!(verify_chain(&chain.anchor(), &point, &BeaconPoint::NONE), Ok(()));
        for round in [1, 1024, 2499, 2500] {
            let known = chain.point(round).unwrap();
            assert_eq!(verify_chain(&chain.anchor(), &point, &known), Ok(()));
        }
    }

    #[test]
    fn invented_moved_and_old_points_are_refused() {
        let chain = HashChain::new(&[5; 32], 3000);
        let (anchor, known) = (chain.anchor(), chain.point(10).unwrap());
        let mut invented = chain.point(20).unwrap();
        invented.randomness[31] ^= 1;
        let off = Err(BeaconError::NotOnChain { round: 20, known: 10 });
        assert_eq!(verify_chain(&anchor, &invented, &known), off);
        let moved = BeaconPoint { round: 20, ..chain.point(21).unwrap() };
        assert_eq!(verify_chain(&anchor, &moved, &known), off);
        let old = chain.point(9).unwrap();
        let backwards = Err(BeaconError::Backwards { known: 10, given: 9 });
        assert_eq!(verify_chain(&anchor, &old, &known), backwards);
        let far = BeaconPoint { round: 11 + STEPS_MAX, randomness: [0; 32] };
        let too_far = BeaconError::TooFar { limit: 10 + STEPS_MAX, given: 11 + STEPS_MAX };
        assert_eq!(verify_chain(&anchor, &far, &known), Err(too_far));
        let none = BeaconError::NoSuchRound { limit: u64::MAX, given: 0 };
        assert_eq!(verify_chain(&anchor, &BeaconPoint::NONE, &BeaconPoint::NONE), Err(none));
    }

    #[test]
    fn the_anchor_keeps_its_value() {
        // Worked out by golden/lots.py.
        let golden = hex!("a09f8fafd2c76418e48860a41d1992e9ee72e05f4442bf3c8d65c02ecb4f58e9");
        assert_eq!(HashChain::new(&[5; 32], 3).anchor(), golden);
    }

    #[test]
    fn another_secret_makes_another_chain() {
        let (one, two) = (HashChain::new(&[5; 32], 4), HashChain::new(&[6; 32], 4));
        assert_ne!(one.anchor(), two.anchor());
        assert!(!format!("{one:?}").contains("anchor"));
    }
}
