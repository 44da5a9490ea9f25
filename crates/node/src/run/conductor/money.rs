//! What the conductor tells the paymaster, and when.
//!
//! Promise: a fact is in the ledger before the event that tells of it; what a process had no time to tell is
//! told by the next, and credited once.
//! Never: counts money. The ledger does.

use anyhow::{Result, bail};
use protocol::{Check, LeaseId, Outcome as Found, Party, ValidatorId, VerifiedGroup};
use rounds::PlantId;

use super::Conductor;
use crate::run::messages::News;
use crate::run::payout::{BankNews, WHO};
use record::events::{Event, Outcome};

impl Conductor<'_> {
    /// A group passed its checks: its worker and its validators are credited.
    pub(super) fn credit(&mut self, lease: LeaseId, group: &VerifiedGroup) -> Result<()> {
        let (Some(paymaster), Some(submission)) = (&mut self.paymaster, self.desk.submitted(lease)) else {
            return Ok(());
        };
        paymaster.accepted(&submission.commitment, group)?;
        // Whoever called it invalid may be fined after the group has gone.
        match group.verdicts().iter().any(|verdict| verdict.body.outcome != Found::Valid) {
            true => self.hold_evidence(Some(lease)),
            false => Ok(()),
        }
    }

    /// A party is fined: the verdicts that say so go into the ledger.
    pub(super) fn charge(&mut self, party: Party, lease: Option<LeaseId>, check: Check) -> Result<()> {
        self.hold_evidence(lease)?;
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        let refused = paymaster.fined(party, lease, check)?;
        refused.into_iter().try_for_each(|event| self.journal.record(event))
    }

    /// Keeps the verdicts on a lease in mind: who is fined next for the same lease may be fined after its
    /// group was dropped.
    pub(super) fn hold_evidence(&mut self, lease: Option<LeaseId>) -> Result<()> {
        let (Some(paymaster), Some(lease)) = (&mut self.paymaster, lease) else { return Ok(()) };
        if self.shelf.has(lease) {
            self.shelf.bring(lease, &mut self.desk, self.journal.log())?;
        }
        let verdicts = self.desk.verdicts(lease);
        if !verdicts.is_empty() {
            let submission = self.desk.submitted(lease);
            paymaster.hold_evidence(lease, submission.map(|submission| &submission.commitment), verdicts);
        }
        Ok(())
    }

    pub(super) fn note_plant(&mut self, plant: PlantId, validator: ValidatorId, caught: bool) -> Result<()> {
        match &mut self.paymaster {
            Some(paymaster) => paymaster.planted(plant, validator, caught),
            None => Ok(()),
        }
    }

    /// A step was trained: if it was the last of its epoch, the epoch is closed.
    pub(super) fn credit_step(&mut self, step: u64) -> Result<()> {
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        paymaster.trained(step)?.into_iter().try_for_each(|event| self.journal.record(event))
    }

    pub(super) fn bank_spoke(&mut self, news: BankNews) -> Result<()> {
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        paymaster.hear(news)?.into_iter().try_for_each(|event| self.journal.record(event))
    }

    /// What an earlier process had no time for: epochs to be closed or posted, fines without a case.
    pub(super) fn catch_up(&mut self) -> Result<()> {
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        paymaster.catch_up()?.into_iter().try_for_each(|event| self.journal.record(event))
    }

    /// The end: closes the epoch that is open, unless the run goes on later, lets the chain's windows pass,
    /// and tells who has what.
    pub fn settle_up(&mut self, outcome: &Outcome) -> Result<()> {
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        let is_over = *outcome != Outcome::Interrupted;
        paymaster.wind_up(is_over)?.into_iter().try_for_each(|event| self.journal.record(event))?;
        while self.paymaster.as_ref().is_some_and(|paymaster| paymaster.is_waiting()) {
            match self.news.recv() {
                Ok(News::Bank(news)) => self.bank_spoke(news)?,
                Ok(News::Failed { who, error }) if who == WHO => return Err(error.context(format!("the {who} failed"))),
                // What workers still had under way counts no more.
                Ok(_) => {}
                Err(_) => bail!("all threads are gone"),
            }
        }
        let Some(paymaster) = &mut self.paymaster else { return Ok(()) };
        let table = paymaster.pay_out()?;
        self.journal.record(Event::PaidOut(Box::new(table)))
    }
}
