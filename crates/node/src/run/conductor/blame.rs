//! Who handed in what, and what is told when somebody is fined.
//!
//! Promise: a fine is told with the check that found it, in words, with limit and value where the
//! check counts something, and with how much the liar had handed in by then.
//! Never: decides who is fined. The rules do.

use std::collections::BTreeMap;

use anyhow::Result;
use protocol::{Check, LeaseId, Outcome, Party, RejectReason};

use super::Conductor;
use record::events::{Event, Fined, GroupReceived, VerdictGiven};

/// Counts by party, and the reasons that verdicts gave.
#[derive(Default)]
pub struct Tally {
    /// Rollouts that a worker handed in, or verdicts that a validator gave.
    handed_in: BTreeMap<Party, u64>,
    reasons: BTreeMap<LeaseId, Vec<RejectReason>>,
    /// The last message of a party that was refused, in words.
    refused: BTreeMap<Party, String>,
}

impl Tally {
    /// A worker handed in a group.
    pub fn received(&mut self, group: &GroupReceived) {
        *self.handed_in.entry(Party::Worker(group.worker)).or_default() += u64::from(group.rollouts);
    }

    /// A validator gave a verdict.
    pub fn judged(&mut self, verdict: &VerdictGiven) {
        *self.handed_in.entry(Party::Validator(verdict.validator)).or_default() += 1;
        if let Outcome::Invalid(reason) = verdict.outcome {
            self.reasons.entry(verdict.lease).or_default().push(reason);
        }
    }

    /// A message was not taken.
    pub(super) fn refused(&mut self, party: Party, words: &str) {
        self.refused.insert(party, words.to_owned());
    }

    pub(super) fn forget(&mut self, lease: LeaseId) {
        self.reasons.remove(&lease);
    }

    fn reason(&self, lease: Option<LeaseId>, check: Check) -> Option<RejectReason> {
        // The rules fine for the clearest fault that the numbers show; a verdict may name another.
        let reasons = self.reasons.get(&lease?)?;
        reasons.iter().find(|reason| reason.check == check).or(reasons.first()).copied()
    }
}

impl Conductor<'_> {
    pub(super) fn fine(&mut self, party: Party, lease: Option<LeaseId>, check: Check) -> Result<()> {
        self.charge(party, lease, check)?;
        lease.into_iter().for_each(|lease| self.shelf.fined(lease));
        if let Party::Validator(validator) = party {
            self.desk.strike(validator);
        }
        let reason = match party {
            Party::Worker(_) => self.tally.reason(lease, check),
            _ => None,
        };
        let words = match (&reason, self.tally.refused.get(&party)) {
            (Some(reason), _) => reason.to_string(),
            (None, Some(words)) => words.clone(),
            (None, None) => plainly(check),
        };
        self.journal.record(Event::Fined(Fined {
            party,
            lease,
            check,
            reason,
            words,
            cheat: self.cheats.get(&party).cloned(),
            handed_in: self.tally.handed_in.get(&party).copied().unwrap_or(0),
        }))
    }
}

/// What a fine without numbers is for.
fn plainly(check: Check) -> String {
    match check {
        Check::PlantMissed => "a planted lie was called valid".to_owned(),
        Check::VerdictDisagrees => "most other validators found the opposite".to_owned(),
        Check::SealMismatch => "the verdict is not the one that was sealed".to_owned(),
        other => format!("failed the check {other}"),
    }
}
