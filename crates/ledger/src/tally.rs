//! What was done in the epoch that is open.
//!
//! Promise: a plain sum over entries; who was fined is left out when the epoch is settled, not before.

use std::collections::BTreeMap;

use protocol::{ValidatorId, WorkerId};

use crate::Amount;

/// Groups of one worker that one validator judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Those that it called valid.
    pub(crate) valid: u64,
    /// All that it called valid or invalid.
    pub(crate) all: u64,
}

/// Sums since the last epoch was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Accepted completion tokens of each worker.
    pub(crate) tokens: BTreeMap<WorkerId, u64>,
    /// What validators said of workers, outvoted or not.
    pub(crate) judged: BTreeMap<(ValidatorId, WorkerId), Judged>,
    /// Verdicts of each validator that say valid or invalid: those that held, and all.
    pub(crate) verdicts: BTreeMap<ValidatorId, (u64, u64)>,
    /// Points of each validator.
    pub(crate) points: BTreeMap<ValidatorId, u64>,
    /// Steps trained.
    pub(crate) steps: u64,
}

impl Tally {
    pub(crate) fn add_tokens(&mut self, worker: WorkerId, tokens: u64) {
        let sum = self.tokens.entry(worker).or_default();
        *sum = sum.saturating_add(tokens);
    }

    pub(crate) fn add_points(&mut self, validator: ValidatorId, points: u64) {
        let sum = self.points.entry(validator).or_default();
        *sum = sum.saturating_add(points);
    }

    pub(crate) fn add_verdict(&mut self, validator: ValidatorId, holds: bool) {
        let (held, all) = self.verdicts.entry(validator).or_default();
        *held = held.saturating_add(u64::from(holds));
        *all = all.saturating_add(1);
    }

    /// A validator's stake times the share of its verdicts that held, rounded down: its voice.
    pub(crate) fn voice(&self, validator: ValidatorId, stake: Amount) -> Amount {
        let (held, all) = self.verdicts.get(&validator).copied().unwrap_or_default();
        let voice = u128::from(stake) * u128::from(held) / u128::from(all.max(1));
        u64::try_from(voice).unwrap_or(stake) // at most the stake
    }

    pub(crate) fn add_vote(&mut self, validator: ValidatorId, worker: WorkerId, valid: bool) {
        let judged = self.judged.entry((validator, worker)).or_default();
        judged.valid = judged.valid.saturating_add(u64::from(valid));
        judged.all = judged.all.saturating_add(1);
    }
}
