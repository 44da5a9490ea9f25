//! Who checks what: lots drawn after the work was committed to.
//!
//! Promise: a function of beacon point and Merkle root alone, the same everywhere. Nobody knows the
//! lot before the beacon's round, and nobody can move it after committing to the root.
//! Takes: a verified beacon point later than the commitment, and the root. Gives: which rollouts,
//! which validator, whether a second one.
//! Never: takes a field that the worker may choose after the beacon speaks.

use protocol::{BeaconPoint, Hash, ValidatorId};
use std::collections::BTreeSet;

/// Separates these uses of blake3 from each other and from all others.
const SAMPLES: &str = "essaim 2026 draw samples v1";
const VALIDATOR: &str = "essaim 2026 draw validator v1";
const SECOND: &str = "essaim 2026 draw second check v1";
/// Parts in the whole.
const MILLION: u128 = 1_000_000;

/// The rollouts of a group to be checked: `⌈count · check_ppm / 1_000_000⌉` of them, ascending.
///
/// Each set of that size is equally likely (R. Floyd, "A sample of brilliance", CACM 30, 1987), to
/// within `count / 2^64`. A share above the whole counts as the whole.
#[must_use]
pub fn samples(beacon: &BeaconPoint, root: &Hash, count: u32, check_ppm: u32) -> Vec<u32> {
    let share = u128::from(check_ppm).min(MILLION);
    let wanted = (u128::from(count) * share).div_ceil(MILLION) as u32;
    let mut words = hasher(SAMPLES, beacon, root).finalize_xof();
    let mut drawn = BTreeSet::new();
    for last in count - wanted..count {
        let mut word = [0; 8];
        words.fill(&mut word);
        let index = below(u64::from_le_bytes(word), u64::from(last) + 1) as u32;
        if !drawn.insert(index) {
            drawn.insert(last);
        }
    }
    drawn.into_iter().collect()
}

/// The validator to be asked next: one of `candidates`, each equally likely; `None` if there is
/// none.
///
/// - `candidates`: those who may be asked now, in any order; whoever was asked already is left out
///   by the caller
/// - `place`: how many were asked for this root before, so that each place has a lot of its own
///
/// Each candidate draws `derive_key(VALIDATOR, beacon ‖ root ‖ place ‖ id)` and the largest wins,
/// so that one candidate more or less does not reshuffle the others.
#[must_use]
pub fn validator(beacon: &BeaconPoint, root: &Hash, candidates: &[ValidatorId], place: u32) -> Option<ValidatorId> {
    let mut base = hasher(VALIDATOR, beacon, root);
    base.update(&place.to_le_bytes());
    let lot = |id: &ValidatorId| *base.clone().update(&id.to_le_bytes()).finalize().as_bytes();
    candidates.iter().copied().max_by_key(lot)
}

/// Whether a second validator is asked although the first has not been doubted.
///
/// True with probability `ppm / 1_000_000`; at 0 never, from 1_000_000 on always.
#[must_use]
pub fn second_check(beacon: &BeaconPoint, root: &Hash, ppm: u32) -> bool {
    let mut word = [0; 8];
    hasher(SECOND, beacon, root).finalize_xof().fill(&mut word);
    below(u64::from_le_bytes(word), MILLION as u64) < u64::from(ppm)
}

/// `⌊word · bound / 2^64⌋`: even over `0..bound`.
fn below(word: u64, bound: u64) -> u64 {
    ((u128::from(word) * u128::from(bound)) >> 64) as u64
}

/// Keyed with `round as 8 bytes, little end first ‖ randomness ‖ root`.
fn hasher(context: &'static str, beacon: &BeaconPoint, root: &Hash) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(&beacon.round.to_le_bytes()).update(&beacon.randomness).update(root);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point(round: u64) -> BeaconPoint {
        BeaconPoint { round, randomness: [round as u8; 32] }
    }

    #[test]
    fn the_number_drawn_is_the_share_rounded_up() {
        let drawn = |count, ppm| samples(&point(1), &[2; 32], count, ppm).len();
        assert_eq!(drawn(8, 0), 0);
        assert_eq!(drawn(0, 500_000), 0);
        assert_eq!(drawn(8, 1), 1);
        assert_eq!(drawn(8, 125_000), 1);
        assert_eq!(drawn(8, 125_001), 2);
        assert_eq!(samples(&point(1), &[2; 32], 8, 1_000_000), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(drawn(8, u32::MAX), 8);
        assert_eq!(drawn(u32::MAX, 1), 4295);
    }

    #[test]
    fn every_rollout_is_drawn_equally_often() {
        // 20,000 draws of 2 out of 8: 5,000 each; a standard deviation is √(20000·¼·¾) = 61.
        let mut times = [0i32; 8];
        for round in 0..20_000u64 {
            for index in samples(&BeaconPoint { round, randomness: [3; 32] }, &[2; 32], 8, 250_000) {
                times[index as usize] += 1;
            }
        }
        assert!(times.iter().all(|&times| (times - 5_000).abs() < 300), "{times:?}");
    }

    #[test]
    fn validators_are_drawn_equally_often_at_every_place() {
        for place in 0..3 {
            let mut times = [0i32; 5];
            for round in 0..10_000 {
                let id = validator(&point(round), &[(round >> 8) as u8; 32], &[0, 1, 2, 3, 4], place);
                times[id.unwrap() as usize] += 1;
            }
            // A standard deviation is √(10000·⅕·⅘) = 40.
            assert!(times.iter().all(|&times| (times - 2_000).abs() < 200), "{times:?}");
        }
    }

    #[test]
    fn a_second_check_comes_as_often_as_said() {
        let drawn = |ppm| (0..10_000).filter(|&round| second_check(&point(round), &[9; 32], ppm)).count();
        assert_eq!((drawn(0), drawn(1_000_000)), (0, 10_000));
        // A standard deviation is √(10000·0.1·0.9) = 30.
        assert!(drawn(100_000).abs_diff(1_000) < 150, "{}", drawn(100_000));
    }

    #[test]
    fn lots_keep_their_values() {
        let (beacon, root) = (BeaconPoint { round: 7, randomness: [1; 32] }, [2; 32]);
        assert_eq!(samples(&beacon, &root, 64, 100_000), GOLDEN_SAMPLES);
        assert_eq!(validator(&beacon, &root, &[0, 1, 2, 3, 4, 5, 6], 0), Some(GOLDEN_VALIDATORS.0));
        assert_eq!(validator(&beacon, &root, &[0, 1, 2, 3, 4, 5, 6], 1), Some(GOLDEN_VALIDATORS.1));
        assert_eq!(validator(&beacon, &root, &[], 0), None);
        // The lot is 46,693 of a million.
        assert!(!second_check(&beacon, &root, 46_693) && second_check(&beacon, &root, 46_694));
    }

    // Worked out by golden/lots.py.
    const GOLDEN_SAMPLES: [u32; 7] = [3, 23, 29, 35, 41, 42, 58];
    const GOLDEN_VALIDATORS: (u32, u32) = (4, 1);

    proptest! {
        #[test]
        fn drawn_rollouts_are_distinct_ascending_and_in_range(
            randomness in any::<[u8; 32]>(), root in any::<[u8; 32]>(),
            count in 0u32..300, ppm in 0u32..1_100_000,
        ) {
            let drawn = samples(&BeaconPoint { round: 1, randomness }, &root, count, ppm);
            prop_assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(drawn.iter().all(|&index| index < count));
        }

        #[test]
        fn leaving_out_a_loser_does_not_change_who_wins(
            root in any::<[u8; 32]>(), place in 0u32..4, out in 0u32..6,
        ) {
            let all = [0, 1, 2, 3, 4, 5];
            let winner = validator(&point(3), &root, &all, place).unwrap();
            let rest: Vec<u32> = all.iter().rev().copied().filter(|&id| id != out).collect();
            let again = validator(&point(3), &root, &rest, place);
            prop_assert!(winner == out || again == Some(winner));
            prop_assert!(again != Some(out));
        }
    }
}
