//! Starting, publishing, saving, scoring, ending: what happens around the batches.
//!
//! Promise: evals do not hold up training, but where leases need the score; a run is over only when its last step is trained and
//! saved, and, unless somebody stopped it, published and scored.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use protocol::{TaskIndex, WeightVersion};

use crate::constants::EVALS_RUNNING_MAX;
use crate::machine::{Phase, Rounds};
use crate::members::Member;
use crate::panel::Panel;
use crate::{Action, DropReason, EvalId, EvalScore, FinishCause, Mode, Notice};

impl Rounds {
    /// The first start plans the first eval. Any other is a resume: everything unanswered is asked for
    /// again, and a run that was stopped, or had nothing to learn from, goes on. One that has done what
    /// it was to do goes on only if it was extended.
    pub(crate) fn start(&mut self, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::New => {
                self.phase = Phase::Running;
                if self.config.eval.as_ref().is_some_and(|plan| plan.at_start) {
                    self.start_eval(0, actions);
                }
            }
            Phase::Ending(FinishCause::Stopped) => self.go_on(actions),
            Phase::Finished(cause) if !cause.is_done() => self.go_on(actions),
            Phase::Running | Phase::Ending(_) | Phase::Finished(_) => {
                self.begin_again();
                actions.extend(self.outstanding());
            }
        }
    }

    fn go_on(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Running;
        self.empty_batches = 0;
        self.signal.forgive();
        self.begin_again();
        actions.extend(self.outstanding());
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
        self.scores.begin_again();
        self.phase = match self.phase {
            Phase::Ending(cause) if cause.is_done() => Phase::Running,
            Phase::Finished(cause) if cause.is_done() => Phase::Finished(FinishCause::Stopped),
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
        if self.evals.len() < EVALS_RUNNING_MAX + usize::from(last) {
            self.start_eval(version, actions);
        } else {
            actions.push(Action::Notice(Notice::EvalSkipped { version }));
        }
    }

    /// The scores of an eval are in: those of the untrained weights tell the curriculum what to expect,
    /// any may end the run.
    pub(crate) fn scored(&mut self, eval: EvalId, scores: &[EvalScore]) {
        let Some(version) = self.evals.remove(&eval) else { return };
        if version == 0 {
            for score in scores {
                self.sampler.expect(score.task, score.level, score.reward_micro, self.config.group_size);
            }
        }
        let (Phase::Running, Some(score_micro)) = (self.phase, exact_micro(scores)) else { return };
        if let Some(cause) = self.scores.hear(score_micro, &self.config.stop) {
            self.phase = Phase::Ending(cause);
        }
    }

    /// The eval that leases wait for: the first of all where it says at which level to begin, and in
    /// sequential mode each that may end the run, so that its end does not depend on how long an eval takes.
    pub(crate) fn awaited_eval(&self) -> Option<(EvalId, WeightVersion)> {
        let leveled = self.config.curriculum.is_some() && self.config.tasks.iter().any(|task| task.levels > 1);
        let each = self.config.mode == Mode::Sequential && self.config.stop.any();
        let (&eval, &version) = self.evals.first_key_value()?;
        (each || (leveled && version == 0)).then_some((eval, version))
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
            self.drop_group(lease, DropReason::Cancelled, actions);
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

/// Mean over tasks of the share of exact answers, in millionths; none without an item.
fn exact_micro(scores: &[EvalScore]) -> Option<i64> {
    let mut tasks: BTreeMap<TaskIndex, (i128, i128)> = BTreeMap::new();
    for score in scores.iter().filter(|score| score.items > 0) {
        let (sum, items) = tasks.entry(score.task).or_default();
        *sum += i128::from(score.exact_micro) * i128::from(score.items);
        *items += i128::from(score.items);
    }
    let sum: i128 = tasks.values().map(|(sum, items)| sum / items).sum();
    sum.checked_div(tasks.len() as i128).and_then(|mean| i64::try_from(mean).ok())
}

/// Whether a multiple of the interval lies in `before < m ≤ now`.
fn crosses(interval: Option<NonZeroU64>, before: u64, now: u64) -> bool {
    interval.is_some_and(|interval| now / interval > before / interval)
}
