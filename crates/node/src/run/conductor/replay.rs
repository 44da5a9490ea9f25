//! Takes a run up again where its log ends.
//!
//! Promise: the logged events are fed again in their order; no action is performed but training
//! itself, so the weights are those of the first time.

use anyhow::{Result, anyhow};
use rounds::{Action, Event as Rule};

use super::{Conductor, Weights};
use crate::run::messages::News;

impl Conductor<'_> {
    /// Feeds logged events again, after a restart.
    pub fn replay(&mut self, rules: Vec<Rule>) -> Result<()> {
        self.progress.in_check = self.rounds.in_check().collect();
        for rule in rules {
            if let Rule::StepTrained { step } = rule {
                self.train_again(step)?;
            }
            let actions = self.rounds.on_event(&rule)?;
            self.note_in_check(&rule);
            self.judged(&actions);
            self.note_replayed(&rule);
            for action in actions {
                match action {
                    Action::StartEval { eval, version, .. } => drop(self.evals.insert(eval, version)),
                    Action::DropGroup { lease, .. } => self.forget(lease),
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
            Rule::EvalFinished { eval } | Rule::EvalFailed { eval, .. } => drop(self.evals.remove(eval)),
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
                News::Trained { step: done, metrics, snapshot, hash, busy } if done == step => {
                    return self.note_step(step, &metrics, Weights { snapshot, hash }, busy);
                }
                News::Failed { who, error } => return Err(error.context(format!("the {who} failed"))),
                _ => {}
            }
        }
    }
}
