//! What a run has done so far, in whole numbers.
//!
//! Promise: every lease ever given is in exactly one count, or still open.

use serde::{Deserialize, Serialize};

use crate::Batch;

/// Totals since the run's first start; a resumed run goes on counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Groups in batches whose step is trained. Does not count the batch in training.
    pub groups_trained: u64,
    /// Completion tokens in those groups.
    pub tokens_trained: u64,
    /// Sum over those groups of their staleness, in versions: `off_policy/mean` is this divided by
    /// `groups_trained`.
    pub staleness_sum: u64,
    /// Largest staleness among those groups, in versions: `off_policy/max`.
    pub staleness_max: u64,
    /// Groups dropped for their age, waiting or still out: `off_policy/dropped`.
    pub dropped_stale: u64,
    /// Groups the gate refused.
    pub dropped_no_signal: u64,
    /// Groups that failed outside.
    pub dropped_failed: u64,
    /// Groups of fined workers, the lies themselves included.
    pub dropped_banned: u64,
    /// Groups that nobody could check, or whose panel ended in a tie.
    pub dropped_unchecked: u64,
    /// Groups that came too late for the last batch.
    pub dropped_run_ended: u64,
    /// Batches that were taken smaller than asked.
    pub batches_short: u64,
    /// Times that a batch had no usable group and was begun again.
    pub batches_empty: u64,
    /// Verdicts that were revealed, those that could not check included. Does not count plants.
    pub verdicts: u64,
    /// Planted known-bad groups that a validator called invalid.
    pub plants_caught: u64,
    /// Leases whose deadline passed. They are in `dropped_failed` too.
    pub leases_overdue: u64,
    /// Workers fined.
    pub workers_fined: u64,
    /// Validators fined.
    pub validators_fined: u64,
}

impl Counters {
    pub(crate) fn add_trained(&mut self, batch: &Batch) {
        self.groups_trained += batch.leases.len() as u64;
        self.tokens_trained += batch.tokens;
        self.staleness_sum += batch.staleness_sum;
        self.staleness_max = self.staleness_max.max(batch.staleness_max);
    }

    /// All groups dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        let others = [self.dropped_no_signal, self.dropped_failed, self.dropped_run_ended];
        let unproven = [self.dropped_banned, self.dropped_unchecked];
        others.into_iter().chain(unproven).fold(self.dropped_stale, u64::saturating_add)
    }

    /// Mean staleness of the trained groups in thousandths of a version, rounded down.
    pub fn staleness_mean_milli(&self) -> u64 {
        (self.staleness_sum * 1_000).checked_div(self.groups_trained).unwrap_or(0)
    }
}
