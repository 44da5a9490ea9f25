//! Takes a run up again where its log ends.
//!
//! Promise: the logged events are fed again in their order; no action is performed but training
//! itself, so the weights are those of the first time. What a dying process had no time to tell is
//! told now, once.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use protocol::{LeaseId, Party};
use rounds::{Action, Event as Rule};

use super::{Conductor, Weights};
use crate::run::messages::News;

/// Events of the rules after the checkpoint, and what the log tells of what followed from them.
#[derive(Default)]
pub struct Logged {
    /// In order.
    pub rules: Vec<Rule>,
    /// Groups told to be accepted.
    pub accepted: BTreeSet<LeaseId>,
    /// Groups told to be dropped.
    pub dropped: BTreeSet<LeaseId>,
    /// Liars told to be fined.
    pub fined: BTreeSet<Party>,
}

impl Conductor<'_> {
    /// Feeds logged events again, after a restart.
    pub fn replay(&mut self, logged: Logged) -> Result<()> {
        let Logged { rules, accepted, dropped, fined: told } = logged;
        let mut fined: Vec<u32> = (0..self.rounds.config().validators).collect();
        fined.retain(|validator| self.rounds.fined(Party::Validator(*validator)).is_some());
        fined.into_iter().for_each(|validator| self.desk.strike(validator));
        for rule in rules {
            if let Rule::StepTrained { step } = rule {
                self.train_again(step)?;
            }
            let actions = self.rounds.on_event(&rule)?;
            self.note_replayed(&rule);
            for action in actions {
                match action {
                    Action::Accepted { lease } if accepted.contains(&lease) => self.count_accepted(lease)?,
                    Action::Accepted { lease } => self.tell_accepted(lease)?,
                    Action::StartEval { eval, version, .. } => drop(self.evals.insert(eval, version)),
                    Action::Fine { party, lease, check } if !told.contains(&party) => {
                        self.fine(party, lease, check)?;
                    }
                    Action::Fine { party, lease, .. } => {
                        self.hold_evidence(lease)?;
                        if let Party::Validator(validator) = party {
                            self.desk.strike(validator);
                        }
                    }
                    Action::DropGroup { lease, reason } if dropped.contains(&lease) => {
                        self.count_dropped(lease, reason)
                    }
                    Action::DropGroup { lease, reason } => self.drop_group(lease, reason)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn note_replayed(&mut self, rule: &Rule) {
        match rule {
            Rule::StepTrained { .. } => {
                let learnt = std::mem::take(&mut self.progress.batch);
                learnt.iter().for_each(|group| self.forget(group.group().lease.lease));
            }
            Rule::WeightsPublished { .. } => self.versions.forget_before(self.oldest_needed()),
            Rule::EvalFinished { eval, .. } | Rule::EvalFailed { eval, .. } => drop(self.evals.remove(eval)),
            Rule::Drawn { lease, beacon } => self.shelf.drawn(*lease, *beacon),
            _ => {}
        }
    }

    fn train_again(&mut self, step: u64) -> Result<()> {
        let batch = self.rounds.training().ok_or_else(|| anyhow!("the log trains step {step}, which has no batch"))?;
        let leases = batch.leases.clone();
        self.order_batch(step, &leases)?;
        loop {
            match self.news.recv()? {
                News::Trained { step: done, metrics, snapshot, hash, time } if done == step => {
                    return self.note_step(step, *metrics, Weights { snapshot, hash }, time);
                }
                News::Failed { who, error } => return Err(error.context(format!("the {who} failed"))),
                News::Bank(news) => self.bank_spoke(news)?,
                _ => {}
            }
        }
    }
}
