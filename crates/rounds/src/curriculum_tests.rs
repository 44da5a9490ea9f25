use std::collections::BTreeMap;
use std::num::NonZeroU64;

use proptest::prelude::*;

use super::*;

const BAND: Curriculum = Curriculum { success_min_ppm: 100_000, success_max_ppm: 900_000 };
const BOUNDS: Bounds = Bounds { band: BAND, interval: 8, kept_max: 64 };

fn share(levels: u32, items: Option<u64>) -> TaskShare {
    TaskShare { weight: 1, items: items.and_then(NonZeroU64::new), levels }
}

/// A task and its levels, every lease judged before the next is given.
struct Bench {
    share: TaskShare,
    levels: Levels,
    lease: u64,
}

impl Bench {
    fn of(share: TaskShare) -> Self {
        Self { levels: Levels::new(&share), share, lease: 0 }
    }

    fn step(&mut self, finding: impl Fn(u64) -> Finding) -> (u64, Pool) {
        let item = self.levels.choose(&self.share, self.lease);
        let pool = self.levels.out[&self.lease].pool;
        self.levels.learn(self.lease, finding(item), BOUNDS, self.lease + 1);
        self.lease += 1;
        assert!(self.levels.is_sound(&self.share, self.lease, BOUNDS.kept_max));
        (item, pool)
    }
}

const SOLVED: Finding = Finding { success_ppm: 1_000_000, useful: false };
const FAILED: Finding = Finding { success_ppm: 0, useful: false };
const USEFUL: Finding = Finding { success_ppm: 500_000, useful: true };

#[test]
fn the_prior_is_the_chance_that_rollouts_differ() {
    // 1 - 0.5² - 0.5² = 0.5; 1 - 0.25⁴ - 0.75⁴ = 0.6796875; p = 0 and 1 leave the least prior.
    assert_eq!(useful_prior(500_000, 2), 500_000);
    assert!((679_680..=679_690).contains(&useful_prior(250_000, 4)), "{}", useful_prior(250_000, 4));
    assert_eq!((useful_prior(0, 16), useful_prior(1_000_000, 16)), (100_000, 100_000));
}

#[test]
fn a_group_says_which_pool_its_item_is_in() {
    let pool = |success_ppm, useful| BOUNDS.pool(success_ppm, useful);
    assert_eq!(pool(500_000, true), Pool::Learning);
    assert_eq!(pool(950_000, true), Pool::Easy);
    assert_eq!(pool(1_000_000, false), Pool::Easy);
    assert_eq!(pool(333_333, false), Pool::Hard, "all rewards equal: stuck");
    assert_eq!(pool(50_000, true), Pool::Hard);
}

#[test]
fn an_item_without_a_signal_is_tested_at_growing_intervals() {
    let mut bench = Bench::of(share(1, NonZeroU64::new(1).map(NonZeroU64::get)));
    let mut due = Vec::new();
    for _ in 0..9 {
        let (item, _) = bench.step(|_| FAILED);
        let key = bench.levels.pool((0, Pool::Hard)).waiting.first_key_value().map(|(key, _)| *key);
        let (at, kept) = key.expect("it is kept");
        assert_eq!((item, kept), (0, 0));
        due.push(at - bench.lease);
    }
    // 8·2, 8·4, …, 8·64, and no further.
    assert_eq!(due, [16, 32, 64, 128, 256, 512, 512, 512, 512]);
}

#[test]
fn leases_follow_the_level_that_teaches_up_and_down() {
    let mut bench = Bench::of(share(3, None));
    let mut phase = |useful: u64, steps: u64| -> Vec<u64> {
        let finding = |item: u64| match (item % 3).cmp(&useful) {
            std::cmp::Ordering::Less => SOLVED,
            std::cmp::Ordering::Equal => USEFUL,
            std::cmp::Ordering::Greater => FAILED,
        };
        let mut counts = vec![0; 3];
        (0..steps).for_each(|_| counts[(bench.step(finding).0 % 3) as usize] += 1);
        counts
    };
    for useful in [0, 1, 2, 1, 0] {
        phase(useful, 150);
        let counts = phase(useful, 300);
        assert!(counts[useful as usize] > 210, "level {useful} of {counts:?}");
        assert!(counts.iter().all(|&count| count >= 6), "every level is still looked at: {counts:?}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_what_was_forgotten_comes_again() {
    let mut bench = Bench::of(share(1, Some(200)));
    let mut leases: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..4_000 {
        *leases.entry(bench.step(|_| SOLVED).0).or_default() += 1;
        assert!(bench.levels.kept() <= 64);
    }
    assert_eq!(leases.len(), 200, "every row of the file was asked");
    assert!(leases.values().all(|&count| count >= 2), "and asked again: {leases:?}");
}

#[test]
fn a_file_shorter_than_what_is_out_is_leased_all_the_same() {
    let share = share(1, Some(2));
    let mut levels = Levels::new(&share);
    let items: Vec<u64> = (0..5).map(|lease| levels.choose(&share, lease)).collect();
    assert_eq!(items, [0, 1, 0, 1, 0]);
    (0..5).for_each(|lease| levels.learn(lease, USEFUL, BOUNDS, 5));
    assert_eq!((levels.kept(), levels.out.len()), (2, 0), "each is kept once");
}

#[test]
fn an_item_whose_group_was_lost_is_due_at_once() {
    let share = share(1, Some(1));
    let mut bench = Bench::of(share.clone());
    bench.step(|_| FAILED);
    bench.levels.choose(&share, 1);
    bench.levels.put_back(1, 2, BOUNDS.kept_max);
    let key = bench.levels.pool((0, Pool::Hard)).waiting.first_key_value().map(|(key, _)| *key);
    assert_eq!(key, Some((2, 0)));
}

#[test]
fn what_is_remembered_of_a_lease_that_is_out_is_checked_like_the_rest() {
    let share = share(1, Some(4));
    for known in [
        Known { success_ppm: 0, doublings: RETEST_DOUBLINGS_MAX + 1 },
        Known { success_ppm: PPM as u32 + 1, doublings: 0 },
    ] {
        let mut levels = Levels::new(&share);
        levels.choose(&share, 0);
        assert!(levels.is_sound(&share, 1, BOUNDS.kept_max));
        levels.out.get_mut(&0).unwrap().known = Some(known);
        assert!(!levels.is_sound(&share, 1, BOUNDS.kept_max), "{known:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A ready pool has at least a share of 1/(9n) of the leases, n pools being ready: a ninth goes
    /// everywhere evenly. So an item is tested again at the latest after its longest interval and the
    /// turns of all items that may be due before it, twice over for what a stride overshoots.
    #[test]
    fn every_item_is_tested_again_within_a_bound(
        levels in 1u32..4, items in 1u64..40, is_file in any::<bool>(), salt in any::<u64>(),
    ) {
        let share = if is_file { share(1, Some(items)) } else { share(levels, None) };
        let mut bench = Bench::of(share);
        let pools = 4 * u64::from(bench.share.levels);
        let bound = (BOUNDS.interval << RETEST_DOUBLINGS_MAX) + 2 * 9 * pools * (BOUNDS.kept_max + 1);
        let finding = |item: u64| match (item ^ salt) % 3 { 0 => SOLVED, 1 => FAILED, _ => USEFUL };
        for _ in 0..3 * bound {
            bench.step(finding);
            let oldest = bench.levels.places().filter_map(|at| bench.levels.pool(at).waiting.first_key_value());
            let waits = oldest.map(|((due, _), _)| bench.lease.saturating_sub(*due)).max().unwrap_or(0);
            prop_assert!(waits <= bound, "an item has been due for {waits} leases, bound {bound}");
        }
        let unseen: Vec<u64> = bench.levels.levels.iter().map(|level| level.drawn).collect();
        prop_assert!(unseen.iter().all(|&drawn| drawn > 0), "{unseen:?}");
    }

    /// Many leases are out at once, and some of them are lost.
    #[test]
    fn what_is_kept_is_bounded_whatever_becomes_of_leases(
        levels in 1u32..4, fates in prop::collection::vec((0usize..40, 0u8..4), 400..1_000),
    ) {
        let share = share(levels, None);
        let (mut known, mut out) = (Levels::new(&share), Vec::new());
        for (lease, (place, fate)) in (0u64..).zip(fates) {
            known.choose(&share, lease);
            out.push(lease);
            if out.len() > 40 {
                let ended = out.swap_remove(place);
                match fate {
                    0 => known.put_back(ended, lease + 1, BOUNDS.kept_max),
                    1 => known.learn(ended, SOLVED, BOUNDS, lease + 1),
                    2 => known.learn(ended, FAILED, BOUNDS, lease + 1),
                    _ => known.learn(ended, USEFUL, BOUNDS, lease + 1),
                }
            }
            prop_assert!(known.is_sound(&share, lease + 1, BOUNDS.kept_max), "after lease {lease}");
        }
        for lease in out {
            known.put_back(lease, 1_000, BOUNDS.kept_max);
            prop_assert!(known.is_sound(&share, 1_000, BOUNDS.kept_max), "when all are put back");
        }
    }

    #[test]
    fn estimates_stay_within_what_was_seen(
        seen in prop::collection::vec(0u32..=1_000_000, 1..100), memory in 1i64..20, first in 0u32..=1_000_000,
    ) {
        let (low, high) = (*seen.iter().min().unwrap(), *seen.iter().max().unwrap());
        let last = seen.iter().fold(first, |estimate, &ppm| moved(estimate, ppm, memory));
        prop_assert!((low.min(first)..=high.max(first)).contains(&last));
    }
}
