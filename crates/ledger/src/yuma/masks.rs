//! Who and what is left out of an epoch.
//!
//! Promise: an empty mask leaves nothing out; masks of any other shape than the scores' are refused.
//! Takes: flags, or the blocks at which things happened ([`Calendar`]). Gives: flags.

use super::error::{YumaError, expect_length, expect_shape};

/// What an epoch ignores. Each list is empty (nothing is left out) or full length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// `[validators]`: stake does not count, scores make no consensus; the scores still make bonds.
    pub inactive: Vec<bool>,
    /// `[validators]`: neither stake nor scores count. Also for fined validators.
    pub forbidden: Vec<bool>,
    /// `[validators][workers]`: this score counts as 0, for example one's own, or one out of date.
    pub scores: Vec<Vec<bool>>,
    /// `[workers]`: bonds of the epoch before are forgotten, for example of a worker that is new here.
    pub bonds: Vec<bool>,
}

/// When things happened, for a network whose members may both validate and work.
///
/// All lists have one entry per member, and the scores are `[members][members]`. Time is in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Block of this epoch.
    pub block: u64,
    /// A member is inactive if `last_update + activity_cutoff < block`. The chain's default is 5000.
    pub activity_cutoff: u64,
    /// Bonds with members registered at this block or later are forgotten. On the chain: `block`
    /// less the epoch's length, or one more than the block of the epoch before.
    pub bonds_since: u64,
    /// Block at which each member last gave its scores.
    pub last_update: Vec<u64>,
    /// Block at which each member registered. Scores not younger than that are out of date.
    pub registered: Vec<u64>,
    /// Block of each member's earliest commitment that still waits to be revealed; empty without
    /// commitments. Scores for members registered after it are left out.
    pub committed: Vec<Option<u64>>,
    /// The member whose score of itself counts.
    pub owner: Option<usize>,
}

impl Masks {
    /// What subtensor leaves out at a block: inactive members, scores of oneself (but the owner's),
    /// scores for members that registered since, bonds with members that are new.
    ///
    /// `permitted`: who may validate; empty means everybody.
    pub fn at(calendar: &Calendar, permitted: &[bool]) -> Result<Self, YumaError> {
        let members = calendar.last_update.len();
        expect_length("registered", members, calendar.registered.len())?;
        if !permitted.is_empty() {
            expect_length("permitted", members, permitted.len())?;
        }
        if !calendar.committed.is_empty() {
            expect_length("committed", members, calendar.committed.len())?;
        }
        let inactive = |updated: &u64| updated.saturating_add(calendar.activity_cutoff) < calendar.block;
        let row = |i| (0..members).map(|j| calendar.leaves_out(i, j)).collect();
        Ok(Self {
            inactive: calendar.last_update.iter().map(inactive).collect(),
            forbidden: permitted.iter().map(|permitted| !permitted).collect(),
            scores: (0..members).map(row).collect(),
            bonds: calendar.registered.iter().map(|block| *block >= calendar.bonds_since).collect(),
        })
    }

    /// Checks that each list is empty or has the shape of the scores.
    pub(super) fn check(&self, validators: usize, workers: usize) -> Result<(), YumaError> {
        if !self.inactive.is_empty() {
            expect_length("masks.inactive", validators, self.inactive.len())?;
        }
        if !self.forbidden.is_empty() {
            expect_length("masks.forbidden", validators, self.forbidden.len())?;
        }
        if !self.scores.is_empty() {
            expect_shape("masks.scores", &self.scores, validators, workers)?;
        }
        if !self.bonds.is_empty() {
            expect_length("masks.bonds", workers, self.bonds.len())?;
        }
        Ok(())
    }

    pub(super) fn is_forbidden(&self, validator: usize) -> bool {
        flag(&self.forbidden, validator)
    }

    /// Whether the stake of a validator counts.
    pub(super) fn has_voice(&self, validator: usize) -> bool {
        !flag(&self.inactive, validator) && !self.is_forbidden(validator)
    }

    pub(super) fn leaves_out_score(&self, validator: usize, worker: usize) -> bool {
        self.scores.get(validator).is_some_and(|row| flag(row, worker))
    }

    pub(super) fn forgets_bonds(&self, worker: usize) -> bool {
        flag(&self.bonds, worker)
    }
}

impl Calendar {
    /// Whether the score of `j` by `i` is left out.
    fn leaves_out(&self, i: usize, j: usize) -> bool {
        let oneself = i == j && self.owner != Some(i);
        let outdated = self.last_update[i] <= self.registered[j];
        let committed = self.committed.get(i).copied().flatten();
        oneself || outdated || committed.is_some_and(|block| block < self.registered[j])
    }
}

fn flag(flags: &[bool], index: usize) -> bool {
    flags.get(index).copied().unwrap_or(false)
}

/// Who may validate next: the `places` largest stakes that are not zero; of equal stakes the later
/// entry wins. Stakes in any one unit.
pub fn top_stakes(stakes: &[u64], places: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..stakes.len()).collect();
    order.sort_by_key(|index| stakes[*index]);
    let mut permitted: Vec<bool> = stakes.iter().map(|stake| *stake > 0).collect();
    for index in order.iter().take(stakes.len().saturating_sub(places)) {
        permitted[*index] = false;
    }
    permitted
}
