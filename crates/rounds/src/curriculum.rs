//! Chooses which item of a task is leased next, by what groups have taught so far.
//!
//! Promise: leases go where groups have lately had a signal, and an evenly spread share goes
//! everywhere else, so that no level and no item that is kept is forgotten; what is kept is bounded.
//! Takes: the shares, and what judged groups earned. Gives: an item. Never: draws a random number.
//! The formulas with their measurements: `docs/curriculum.md`.

use std::collections::{BTreeMap, BTreeSet};

use protocol::LeaseId;
use serde::{Deserialize, Serialize};

use crate::constants::{
    EXPLORE_ONE_IN, ITEM_MEMORY, ITEMS_KEPT_MAX, POOL_MEMORY, PPM, PRIOR_USEFUL_MIN_PPM, RETEST_DOUBLINGS_MAX,
};
use crate::{Curriculum, TaskShare};

/// Virtual time that one draw of a pool of weight 1 takes.
const STRIDE: u64 = 1_000_000_000;
/// Least weight of a pool, so that a stride stays finite when nothing has a signal.
const WEIGHT_MIN: u64 = 1_000;

/// What is known of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// Never leased, or forgotten since.
    Unseen,
    /// Its last group had a signal, and its success is within the target band.
    Learning,
    /// Its success is above the band: nearly always solved.
    Easy,
    /// Its success is below the band, or its rewards were all equal without being high.
    Hard,
}

impl Pool {
    /// In the order of the fields that hold them.
    pub const ALL: [Self; 4] = [Self::Unseen, Self::Learning, Self::Easy, Self::Hard];
}

/// Where a lease's item came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choice {
    pub(crate) item: u64,
    pub(crate) level: u32,
    pub(crate) pool: Pool,
    /// What was known of the item.
    pub(crate) known: Option<Known>,
}

/// What is remembered of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Mean reward of its groups, the latest counting half, in millionths.
    pub(crate) success_ppm: u32,
    /// How often its interval has doubled.
    pub(crate) doublings: u32,
}

/// What a judged group says of its item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finding {
    /// Mean reward, in millionths, cut to 0 ..= 1,000,000.
    pub(crate) success_ppm: u32,
    /// Whether the gate let it through.
    pub(crate) useful: bool,
}

/// One task's levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Levels {
    /// Virtual time: where the pool stood that was drawn from last.
    now: u64,
    levels: Vec<Level>,
    /// Leases that are not judged yet.
    out: BTreeMap<LeaseId, Choice>,
}

/// One level of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Level {
    /// Unseen items drawn so far.
    drawn: u64,
    /// Mean reward of its groups, each counting one part in [`POOL_MEMORY`]; none before the first.
    success_ppm: Option<u32>,
    pools: [PoolState; 4],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PoolState {
    /// Share of the groups from here that had a signal, each counting one part in [`POOL_MEMORY`].
    useful_ppm: u32,
    /// Virtual time at which it is drawn from again.
    next: u64,
    /// Leases given from here.
    leases: u64,
    /// Items by the lease number from which they are due.
    waiting: BTreeMap<(u64, u64), Known>,
}

/// How one pool of a level stands, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Which.
    pub pool: Pool,
    /// Items kept in it.
    pub items: u64,
    /// Leases given from it since the run began.
    pub leases: u64,
    /// Share of its latest groups that had a signal, in millionths.
    pub useful_ppm: u32,
}

/// How one level stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// The task's place in the run.
    pub task: u32,
    /// The level, from 0, the easiest.
    pub level: u32,
    /// Mean reward of its latest groups, or of the eval at the start, in millionths.
    pub success_ppm: Option<u32>,
    /// Its pools.
    pub pools: Vec<PoolView>,
}

/// Share of groups that have a signal, where each of `samples` rollouts succeeds with chance `p`:
/// `1 - pⁿ - (1-p)ⁿ`, in millionths, not below [`PRIOR_USEFUL_MIN_PPM`].
fn useful_prior(success_ppm: u32, samples: u32) -> u32 {
    let power = |share: u64| (0..samples).fold(PPM, |product, _| product * share / PPM);
    let p = u64::from(success_ppm).min(PPM);
    let useful = PPM.saturating_sub(power(p) + power(PPM - p));
    (useful as u32).max(PRIOR_USEFUL_MIN_PPM) // ≤ PPM
}

/// Moves an estimate towards what was seen, by one part in `memory`.
fn moved(estimate_ppm: u32, seen_ppm: u32, memory: i64) -> u32 {
    let (old, seen) = (i64::from(estimate_ppm), i64::from(seen_ppm));
    (old + (seen - old) / memory) as u32 // between the two
}

impl Levels {
    pub(crate) fn new(share: &TaskShare) -> Self {
        let pool = |useful_ppm| PoolState { useful_ppm, next: 0, leases: 0, waiting: BTreeMap::new() };
        let (all, few) = (PPM as u32, PRIOR_USEFUL_MIN_PPM);
        let pools = [pool(all), pool(all), pool(few), pool(few)];
        let level = Level { drawn: 0, success_ppm: None, pools };
        Self { now: 0, levels: vec![level; share.levels as usize], out: BTreeMap::new() }
    }

    /// What a score of the untrained weights says of a level, before any group of it is judged.
    pub(crate) fn expect(&mut self, level: u32, success_ppm: u32, samples: u32) {
        let Some(level) = self.levels.get_mut(level as usize) else { return };
        level.success_ppm = Some(success_ppm);
        level.pools[Pool::Unseen as usize].useful_ppm = useful_prior(success_ppm, samples);
    }

    /// The item for the lease of this number.
    ///
    /// A pool is ready if it has an item that is due. Weight of a ready pool, with `u` the share of
    /// its groups that had a signal and `n` the number of ready pools:
    ///
    /// `w = u² + Σu²/(n·EXPLORE_ONE_IN)`
    ///
    /// The ready pool whose virtual time comes first is drawn from (the first among equals), and its
    /// time moves on by `STRIDE/w`. Source: stride scheduling (Waldspurger 1995). If no pool is
    /// ready, the item that is due next is taken early; if none is kept, the next in the file.
    pub(crate) fn choose(&mut self, share: &TaskShare, lease: LeaseId) -> u64 {
        let choice = self.choice(share, lease);
        self.out.insert(lease, choice);
        choice.item
    }

    fn choice(&mut self, share: &TaskShare, lease: LeaseId) -> Choice {
        let ready = self.ready(share, lease);
        let count = ready.len() as u64;
        let squares: Vec<u64> = ready.iter().map(|&at| u64::from(self.pool(at).useful_ppm).pow(2) / PPM).collect();
        let everywhere = squares.iter().sum::<u64>() / (count.max(1) * EXPLORE_ONE_IN);
        let weighed = ready.into_iter().zip(squares).map(|(at, square)| (at, (square + everywhere).max(WEIGHT_MIN)));
        let start = |(at, weight): &((usize, Pool), u64)| {
            // Neither does a pool save up time, nor does it wait longer than its weight of now says.
            self.pool(*at).next.clamp(self.now, self.now + STRIDE / weight)
        };
        match weighed.min_by_key(|choice| start(choice)) {
            Some((at, weight)) => {
                self.now = start(&(at, weight));
                self.pool_mut(at).next = self.now + STRIDE / weight;
                self.take(share, at)
            }
            None => self.take_early(share),
        }
    }

    fn pool(&self, (level, pool): (usize, Pool)) -> &PoolState {
        &self.levels[level].pools[pool as usize]
    }

    fn pool_mut(&mut self, (level, pool): (usize, Pool)) -> &mut PoolState {
        &mut self.levels[level].pools[pool as usize]
    }

    fn places(&self) -> impl Iterator<Item = (usize, Pool)> + use<> {
        (0..self.levels.len()).flat_map(|level| Pool::ALL.map(|pool| (level, pool)))
    }

    fn ready(&self, share: &TaskShare, lease: u64) -> Vec<(usize, Pool)> {
        let known = self.kept() + self.out.len() as u64;
        let is_ready = |&(level, pool): &(usize, Pool)| match pool {
            Pool::Unseen => {
                share.items.is_none_or(|items| self.levels[level].drawn < items.get() || known < items.get())
            }
            _ => self.pool((level, pool)).waiting.first_key_value().is_some_and(|((due, _), _)| *due <= lease),
        };
        self.places().filter(is_ready).collect()
    }

    /// Items kept, those that are out not counted.
    fn kept(&self) -> u64 {
        self.places().map(|at| self.pool(at).waiting.len() as u64).sum()
    }

    fn take(&mut self, share: &TaskShare, (level, pool): (usize, Pool)) -> Choice {
        self.pool_mut((level, pool)).leases += 1;
        let (item, known) = match self.pool_mut((level, pool)).waiting.pop_first() {
            Some(((_, item), known)) => (item, Some(known)),
            None => (self.take_unseen(share, level), None),
        };
        Choice { item, level: level as u32, pool, known }
    }

    /// Item `k` of a level is item `k·levels + level` of an endless task. A file is gone through in
    /// its order, and then again for what was forgotten.
    fn take_unseen(&mut self, share: &TaskShare, level: usize) -> u64 {
        let drawn = self.levels[level].drawn;
        let Some(items) = share.items else {
            self.levels[level].drawn += 1;
            return drawn.saturating_mul(share.levels.into()).saturating_add(level as u64);
        };
        let known: BTreeSet<u64> = match drawn < items.get() {
            true => BTreeSet::new(), // nothing from here on has been leased
            false => self.known().collect(),
        };
        let mut ahead = (drawn..=drawn.saturating_add(known.len() as u64)).filter(|at| !known.contains(&(*at % items)));
        let at = ahead.next().unwrap_or(drawn); // all are known, and out: one of them comes twice
        self.levels[level].drawn = at.saturating_add(1);
        at % items
    }

    /// Items that are kept or out.
    fn known(&self) -> impl Iterator<Item = u64> + '_ {
        let kept = self.places().flat_map(|at| self.pool(at).waiting.keys().map(|(_, item)| *item));
        kept.chain(self.out.values().map(|choice| choice.item))
    }

    /// Nothing is due: what is due next comes early.
    fn take_early(&mut self, share: &TaskShare) -> Choice {
        let first = |at: &(usize, Pool)| self.pool(*at).waiting.first_key_value().map(|(key, _)| *key);
        let next = self.places().filter_map(|at| Some((first(&at)?, at))).min();
        self.take(share, next.map_or((0, Pool::Unseen), |(_, at)| at))
    }

    /// Takes in what the group of a choice was worth; `lease` is the next lease's number.
    ///
    /// The item's pool follows from the group; it is due `interval·2^d` leases later, where `d` is 0
    /// in the learning pool and else one more than before, up to [`RETEST_DOUBLINGS_MAX`].
    pub(crate) fn learn(&mut self, lease: LeaseId, finding: Finding, bounds: Bounds, next: LeaseId) {
        let Some(Choice { item, level, pool, known }) = self.out.remove(&lease) else { return };
        let useful = if finding.useful { PPM as u32 } else { 0 };
        let seen = finding.success_ppm;
        let state = &mut self.levels[level as usize];
        state.success_ppm = Some(state.success_ppm.map_or(seen, |old| moved(old, seen, POOL_MEMORY)));
        let estimate = &mut state.pools[pool as usize].useful_ppm;
        *estimate = moved(*estimate, useful, POOL_MEMORY);
        let success_ppm = known.map_or(seen, |known| moved(known.success_ppm, seen, ITEM_MEMORY));
        let found = bounds.pool(success_ppm, finding.useful);
        let doublings = match (found, known) {
            (Pool::Learning, _) => 0,
            (_, Some(known)) => (known.doublings + 1).min(RETEST_DOUBLINGS_MAX),
            (_, None) => 1,
        };
        let due = next + (bounds.interval << doublings);
        self.keep((level as usize, found), (due, item), Known { success_ppm, doublings });
        self.forget_beyond(bounds.kept_max);
    }

    /// A lease ended unjudged: an item that was known is due at once.
    pub(crate) fn put_back(&mut self, lease: LeaseId, next: LeaseId, kept_max: u64) {
        let Some(Choice { item, level, pool, known: Some(known) }) = self.out.remove(&lease) else { return };
        self.keep((level as usize, pool), (next, item), known);
        self.forget_beyond(kept_max);
    }

    /// An item of a file shorter than a batch may be out twice; then the last to come back is kept.
    fn keep(&mut self, at: (usize, Pool), key: (u64, u64), known: Known) {
        if self.out.values().all(|choice| choice.item != key.1) {
            self.pool_mut(at).waiting.insert(key, known);
        }
    }

    /// Leases that are not judged yet.
    pub(crate) fn out(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.out.keys().copied()
    }

    /// Forgets what would be tested last: easy items first, then hard ones.
    fn forget_beyond(&mut self, limit: u64) {
        while self.kept() > limit {
            let kept = [Pool::Easy, Pool::Hard, Pool::Learning].into_iter().find_map(|pool| {
                let last = |level: usize| self.pool((level, pool)).waiting.last_key_value().map(|(key, _)| *key);
                (0..self.levels.len())
                    .filter_map(|level| Some((last(level)?, level)))
                    .max()
                    .map(|(_, level)| (level, pool))
            });
            let Some(at) = kept else { return };
            self.pool_mut(at).waiting.pop_last();
        }
    }

    pub(crate) fn view(&self, task: u32) -> Vec<LevelView> {
        let of = |level: usize, pool: Pool| {
            let state = self.pool((level, pool));
            PoolView { pool, items: state.waiting.len() as u64, leases: state.leases, useful_ppm: state.useful_ppm }
        };
        let levels = self.levels.iter().enumerate();
        let view = |(at, level): (usize, &Level)| LevelView {
            task,
            level: at as u32,
            success_ppm: level.success_ppm,
            pools: Pool::ALL.map(|pool| of(at, pool)).to_vec(),
        };
        levels.map(view).collect()
    }

    /// Whether a stored state is one that this code can have made.
    pub(crate) fn is_sound(&self, share: &TaskShare, leases: u64, kept_max: u64) -> bool {
        let levels = u64::from(share.levels);
        let time_max = leases.saturating_add(1).saturating_mul(STRIDE / WEIGHT_MIN);
        let share_ok = |ppm: u32| u64::from(ppm) <= PPM;
        let pools = || self.places().map(|at| self.pool(at));
        let out = self.out.values().filter_map(|choice| choice.known.as_ref());
        let mut known = pools().flat_map(|pool| pool.waiting.values()).chain(out);
        self.levels.len() as u64 == levels
            && self.now <= time_max
            && self.kept() <= kept_max
            && self.out.values().all(|choice| choice.level < share.levels)
            && self.levels.iter().all(|level| level.success_ppm.is_none_or(share_ok))
            && self.levels.iter().all(|level| level.pools[Pool::Unseen as usize].waiting.is_empty())
            && pools().all(|pool| share_ok(pool.useful_ppm) && pool.next <= time_max && pool.leases <= leases)
            && known.all(|known| share_ok(known.success_ppm) && known.doublings <= RETEST_DOUBLINGS_MAX)
    }
}

/// What the run's configuration says about pools and intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    band: Curriculum,
    /// Leases until an item of the learning pool is due again.
    interval: u64,
    /// Most items kept of one task.
    kept_max: u64,
}

impl Bounds {
    /// `interval = (η + 2)·B`: by then the batch with the item's group has been trained on.
    pub(crate) fn of(config: &crate::RoundsConfig, band: Curriculum) -> Self {
        let interval = (config.staleness_limit() + 2) * u64::from(config.prompts_per_step);
        Self { band, interval, kept_max: Self::kept_max(config) }
    }

    pub(crate) fn kept_max(config: &crate::RoundsConfig) -> u64 {
        ITEMS_KEPT_MAX / config.tasks.len() as u64
    }

    fn pool(&self, success_ppm: u32, useful: bool) -> Pool {
        let Curriculum { success_min_ppm, success_max_ppm } = self.band;
        match success_ppm {
            above if above > success_max_ppm => Pool::Easy,
            within if within >= success_min_ppm && useful => Pool::Learning,
            _ => Pool::Hard,
        }
    }
}

#[cfg(test)]
#[path = "curriculum_tests.rs"]
mod tests;
