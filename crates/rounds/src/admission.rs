//! Decides how many groups may be leased now.
//!
//! Promise: as long as groups pass their checks in the order of their leases and batches are full, no group
//! has to be dropped for its age; the sweep before each batch is the guarantee in all other cases.
//! Takes: counts of groups. Gives: a count of groups. Never: looks at what the groups hold.

/// Where all groups are. Every field but the last two counts groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// `B`: groups in a full batch.
    pub per_batch: u64,
    /// Batches that the trainer has taken, also the one in training. Counts batches.
    pub batches_taken: u64,
    /// Accepted and waiting for their batch.
    pub buffered: u64,
    /// Leased and not yet back.
    pub in_flight: u64,
    /// Back and under check.
    pub checking: u64,
    /// Most that may be leased and not yet back.
    pub in_flight_max: u64,
    /// Version that a lease given now would use.
    pub version: u64,
    /// Steps in the run.
    pub steps_max: u64,
}

/// Groups that may be leased now:
///
/// `min(in_flight_max - in_flight, min(η + version + 1, steps_max)·B - claimed)`, not below 0, with
/// `claimed = taken·B + buffered + checking + in_flight`. Source: AReaL, arXiv:2505.24298 §5.1, with the end of the run added.
///
/// Why it bounds staleness: a lease given at version `v` with `x` groups before it satisfies
/// `taken·B + x < (η + v + 1)·B`. In order, it trains in step `n ≤ taken + ⌊x/B⌋ + 1 ≤ η + v + 1`, so
/// its staleness `(n - 1) - v` is at most `η`. A batch taken short counts as a full one.
pub fn capacity(load: Load, staleness_max: u64) -> u64 {
    let batches = (staleness_max + load.version + 1).min(load.steps_max);
    let allowed = batches.saturating_mul(load.per_batch);
    let taken = load.batches_taken.saturating_mul(load.per_batch);
    let claimed = [load.buffered, load.checking, load.in_flight].into_iter().fold(taken, u64::saturating_add);
    let slots = load.in_flight_max.saturating_sub(load.in_flight);
    slots.min(allowed.saturating_sub(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        per_batch: 8,
        batches_taken: 2,
        buffered: 3,
        in_flight: 6,
        checking: 2,
        in_flight_max: 100,
        version: 1,
        steps_max: 50,
    };

    #[test]
    fn capacity_is_worked_by_hand() {
        // η = 2: (2 + 1 + 1)·8 - (2·8 + 3 + 2 + 6) = 32 - 27 = 5.
        assert_eq!(capacity(LOAD, 2), 5);
        // η = 1: 24 - 27 is below 0.
        assert_eq!(capacity(LOAD, 1), 0);
    }

    #[test]
    fn slots_and_the_end_of_the_run_bound_it_too() {
        assert_eq!(capacity(Load { in_flight_max: 8, ..LOAD }, 2), 2);
        // min(4, 3)·8 - 27 is below 0: the last batch is provided for.
        assert_eq!(capacity(Load { steps_max: 3, ..LOAD }, 2), 0);
        assert_eq!(capacity(Load { in_flight_max: 3, ..LOAD }, 2), 0);
    }
}
