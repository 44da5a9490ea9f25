//! What the rules still count on, and where the log has it: submissions, verdicts, draws.
//!
//! Promise: whatever the rules ask for is on the desk, also after a restart; what nobody asks for
//! stays in the log.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use protocol::{BeaconPoint, LeaseId, PromptLease, Record, Submission, ValidatorId};
use rounds::desk::Desk;
use rounds::{Event as Rule, GroupSummary};

use record::events::{Event, Fined, Recorded};
use record::store::EventLog;

/// Event numbers by lease.
#[derive(Default)]
pub struct Shelf {
    submissions: BTreeMap<LeaseId, u64>,
    /// One for each validator, its latest: a process that died between writing a verdict down and telling
    /// the rules is told it once more.
    verdicts: BTreeMap<LeaseId, BTreeMap<ValidatorId, u64>>,
    draws: BTreeMap<LeaseId, BeaconPoint>,
    /// Leases that somebody was fined for.
    fined: BTreeSet<LeaseId>,
}

impl Shelf {
    /// Takes in one event of an earlier process.
    pub fn recall(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::GroupReceived(group) => self.received(group.lease, recorded.seq),
            Event::VerdictGiven(verdict) => self.judged(verdict.lease, verdict.validator, recorded.seq),
            Event::Fined(Fined { lease: Some(lease), .. }) => self.fined(*lease),
            Event::Rules { rules: Rule::Drawn { lease, beacon } } => self.drawn(*lease, *beacon),
            _ => {}
        }
    }

    /// The log has a submission.
    pub fn received(&mut self, lease: LeaseId, seq: u64) {
        self.submissions.insert(lease, seq);
    }

    /// The log has a verdict; an earlier one of the same validator on the lease counts no more.
    pub fn judged(&mut self, lease: LeaseId, validator: ValidatorId, seq: u64) {
        self.verdicts.entry(lease).or_default().insert(validator, seq);
    }

    /// The beacon has spoken for a lease.
    pub fn drawn(&mut self, lease: LeaseId, point: BeaconPoint) {
        self.draws.insert(lease, point);
    }

    /// Somebody was fined for a lease: its records stay in the log.
    pub fn fined(&mut self, lease: LeaseId) {
        self.fined.insert(lease);
    }

    /// Whether somebody was fined for a lease.
    pub fn is_fined(&self, lease: LeaseId) -> bool {
        self.fined.contains(&lease)
    }

    /// What the beacon said for a lease.
    pub fn draw(&self, lease: LeaseId) -> Option<BeaconPoint> {
        self.draws.get(&lease).copied()
    }

    /// Puts a lease's records on the desk, if they are not there.
    pub fn bring(&self, lease: LeaseId, desk: &mut Desk, log: &EventLog) -> Result<()> {
        if desk.submitted(lease).is_some() {
            return Ok(());
        }
        let seq = self.submissions.get(&lease).with_context(|| format!("lease {lease} has no group in the log"))?;
        desk.restore_submission(&payload(log, *seq)?).with_context(|| format!("event {seq} of the log"))?;
        for seq in self.verdicts.get(&lease).into_iter().flat_map(BTreeMap::values) {
            desk.restore_verdict(&payload(log, *seq)?).with_context(|| format!("event {seq} of the log"))?;
        }
        Ok(())
    }

    /// Whether the log has a submission of this lease that somebody may still ask for.
    pub fn has(&self, lease: LeaseId) -> bool {
        self.submissions.contains_key(&lease)
    }

    /// What the rules would have heard of a lease that is about to be given, if its group came back
    /// before a restart. Another lease of the same number is no match: its group is made anew.
    pub fn returned(&self, lease: &PromptLease, desk: &mut Desk, log: &EventLog) -> Result<Option<Rule>> {
        let Some(seq) = self.submissions.get(&lease.lease) else { return Ok(None) };
        let submission = Submission::decode(&payload(log, *seq)?).with_context(|| format!("event {seq} of the log"))?;
        if submission.lease.body != *lease {
            return Ok(None);
        }
        self.bring(lease.lease, desk, log)?;
        Ok(Some(Rule::GroupFinished(GroupSummary::from(&submission))))
    }

    /// Forgets a lease.
    pub fn remove(&mut self, lease: LeaseId) {
        self.submissions.remove(&lease);
        self.verdicts.remove(&lease);
        self.draws.remove(&lease);
    }
}

fn payload(log: &EventLog, seq: u64) -> Result<Vec<u8>> {
    log.payload(seq)?.with_context(|| format!("event {seq} of the log has no record beside it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_told_again_after_a_kill_takes_the_place_of_the_one_before() {
        let mut shelf = Shelf::default();
        shelf.judged(7, 0, 20);
        shelf.judged(7, 1, 21);
        shelf.judged(7, 0, 30);
        assert_eq!(shelf.verdicts[&7].values().copied().collect::<Vec<_>>(), [30, 21]);
    }
}
