//! Starting, publishing, saving, scoring, ending: what happens around the batches.
//!
//! Promise: evals never hold up training; a run is over only when its last step is trained and
//! saved, and, unless somebody stopped it, published and scored.

use std::num::NonZeroU64;

use crate::constants::EVALS_RUNNING_MAX;
use crate::machine::{Phase, Rounds};
use crate::members::Member;
use crate::panel::Panel;
use crate::{Action, DropReason, FinishCause, Notice};

impl Rounds {
    /// The first start plans the first eval. Any other is a resume: a stopped run goes on, and
    /// everything unanswered is asked for again.
    pub(crate) fn start(&mut self, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::New => {
                self.phase = Phase::Running;
                if self.config.eval.as_ref().is_some_and(|plan| plan.at_start) {
                    self.start_eval(0, actions);
                }
            }
            Phase::Running | Phase::Ending(FinishCause::StepsDone) | Phase::Finished(FinishCause::StepsDone) => {
                self.begin_again();
                actions.extend(self.outstanding())
            }
            Phase::Ending(_) | Phase::Finished(_) => {
                self.phase = Phase::Running;
                self.empty_batches = 0;
                self.begin_again();
                actions.extend(self.outstanding());
            }
        }
    }

    /// A new process: whoever kept silent before may have had no chance to answer, seals that were
    /// not opened went with the old one, and plants are no longer at hand.
    fn begin_again(&mut self) {
        self.workers.iter_mut().chain(&mut self.validators).for_each(Member::wake);
        self.panels.values_mut().for_each(Panel::forget_seals);
        self.plants.clear();
    }

    /// More steps than planned. A run that was done is then merely stopped, for `Started` to go on.
    pub(crate) fn extend(&mut self, steps_max: u64) {
        self.config.steps_max = steps_max;
        self.phase = match self.phase {
            Phase::Ending(FinishCause::StepsDone) => Phase::Running,
            Phase::Finished(FinishCause::StepsDone) => Phase::Finished(FinishCause::Stopped),
            phase => phase,
        };
    }

    pub(crate) fn step_trained(&mut self, actions: &mut Vec<Action>) {
        let batch = self.training.take().expect("admitted only while a step is in training");
        self.trained = batch.step;
        self.counters.add_trained(&batch);
        actions.push(Action::PublishWeights { version: batch.step });
        if crosses(self.config.checkpoint_interval_steps, batch.step - 1, batch.step) {
            self.save_checkpoint(actions);
        }
    }

    fn save_checkpoint(&mut self, actions: &mut Vec<Action>) {
        let step = self.trained;
        if self.saving.is_some() {
            return actions.push(Action::Notice(Notice::CheckpointSkipped { step }));
        }
        self.saving = Some(step);
        actions.push(Action::SaveCheckpoint { step });
    }

    pub(crate) fn publish(&mut self, version: u64, actions: &mut Vec<Action>) {
        let before = std::mem::replace(&mut self.published, version);
        let Some(plan) = &self.config.eval else {
            return;
        };
        let last = plan.at_end && version == self.config.steps_max;
        if !last && !crosses(plan.interval_steps, before, version) {
            return;
        }
        if last || self.evals.len() < EVALS_RUNNING_MAX {
            self.start_eval(version, actions);
        } else {
            actions.push(Action::Notice(Notice::EvalSkipped { version }));
        }
    }

    fn start_eval(&mut self, version: u64, actions: &mut Vec<Action>) {
        let eval = self.next_eval;
        self.next_eval += 1;
        self.evals.insert(eval, version);
        actions.extend(self.eval_action(eval, version));
    }

    fn eval_action(&self, eval: u64, version: u64) -> Option<Action> {
        let plan = self.config.eval.as_ref()?;
        Some(Action::StartEval { eval, version, items: plan.items, samples: plan.samples })
    }

    /// Every action that was asked for and not yet answered, in an order that can be performed.
    /// A resumed process performs these; `Started` returns them by itself. A `SaveCheckpoint` here
    /// means the state of now: the trainer and this machine as they stand together. The weights of
    /// a `StartEval` may be gone; answer `EvalFailed` then.
    pub fn outstanding(&self) -> Vec<Action> {
        if let Phase::Finished(cause) = self.phase {
            return vec![Action::Finish { cause }];
        }
        let publish = (self.published < self.trained).then_some(Action::PublishWeights { version: self.trained });
        let evals = self.evals.iter().filter_map(|(&eval, &version)| self.eval_action(eval, version));
        let save = self.saving.map(|step| Action::SaveCheckpoint { step });
        let train = self.training.clone().map(Action::TrainBatch);
        let leases = self.in_flight.values().cloned().map(Action::Lease);
        let panels = self.panels.iter().flat_map(|(&lease, panel)| panel.outstanding(lease));
        publish.into_iter().chain(evals).chain(save).chain(leases).chain(panels).chain(train).collect()
    }

    /// The last batch is taken: whatever else is out or waiting is of no use.
    pub(crate) fn withdraw_rest(&mut self, actions: &mut Vec<Action>) {
        let waiting = std::mem::take(&mut self.buffer);
        let checked = std::mem::take(&mut self.panels);
        let out = std::mem::take(&mut self.in_flight);
        let waiting = waiting.iter().map(|kept| kept.group.lease);
        for lease in waiting.chain(checked.into_keys()).chain(out.into_keys()) {
            self.drop_group(lease, DropReason::RunEnded, actions);
        }
    }

    /// Ends the run once nothing is in training and the last step is saved.
    pub(crate) fn wind_down(&mut self, cause: FinishCause, actions: &mut Vec<Action>) {
        if self.training.is_some() {
            return;
        }
        if self.saving.is_none() && self.saved != Some(self.trained) {
            self.save_checkpoint(actions);
        }
        let settled = self.published == self.trained && self.evals.is_empty();
        if self.saving.is_none() && (settled || cause == FinishCause::Stopped) {
            self.phase = Phase::Finished(cause);
            actions.push(Action::Finish { cause });
        }
    }
}

/// Whether a multiple of the interval lies in `before < m ≤ now`.
fn crosses(interval: Option<NonZeroU64>, before: u64, now: u64) -> bool {
    interval.is_some_and(|interval| now / interval > before / interval)
}
