//! Checks that the machine does not contradict itself.
//!
//! Promise: a state that breaks a rule of the run is named, whether a bug here or a bad file made it.

use crate::constants::EVALS_RUNNING_MAX;
use crate::machine::Rounds;
use crate::{Mode, RoundsError};

/// A rule in words, and whether it holds.
type Rule = (&'static str, bool);

impl Rounds {
    /// Checks the state against the rules of the run.
    ///
    /// Errors: `StateInconsistent` naming the first broken rule, or those of the configuration.
    pub fn check(&self) -> Result<(), RoundsError> {
        self.config.check()?;
        let rules = self.step_rules().into_iter().chain(self.lease_rules()).chain(self.wave_rules());
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((rule, _)) => Err(RoundsError::StateInconsistent { rule }),
            None => Ok(()),
        }
    }

    /// Panics if the state breaks a rule of the run: that is a bug here.
    pub fn assert_invariants(&self) {
        if let Err(error) = self.check() {
            panic!("{error}\n{self:?}");
        }
    }

    fn step_rules(&self) -> [Rule; 7] {
        let in_training = self.training.as_ref().map(|batch| batch.leases.len());
        let per_batch = self.config.prompts_per_step as usize;
        let one_batch_per_step = match &self.training {
            Some(batch) => batch.step == self.batches_taken && self.trained.checked_add(1) == Some(batch.step),
            None => self.batches_taken == self.trained,
        };
        let filled = in_training.is_none_or(|count| (1..=per_batch).contains(&count));
        let mut marks = [self.saved, self.saving].into_iter().flatten();
        [
            ("each step takes one batch", one_batch_per_step),
            ("a batch holds one to B groups", filled),
            ("no step beyond the last", self.batches_taken <= self.config.steps_max),
            ("published weights are trained", self.published <= self.trained),
            ("saved steps are trained", marks.all(|step| step <= self.trained)),
            ("running evals are bounded", self.evals.len() <= EVALS_RUNNING_MAX + 1),
            ("one cursor per task", self.sampler.tasks() == self.config.tasks.len()),
        ]
    }

    fn lease_rules(&self) -> [Rule; 3] {
        let in_training = self.training.as_ref().map_or(0, |batch| batch.leases.len());
        let open = self.in_flight.len() + self.arrived() + self.buffer.len() + in_training;
        let ended = self.counters.groups_trained.checked_add(self.counters.dropped());
        let counted = ended.and_then(|ended| ended.checked_add(open as u64));
        let given = self.in_flight.iter().all(|(&key, lease)| {
            let named = key == lease.lease && key < self.next_lease;
            named && lease.weight_version <= self.published
        });
        let slots = self.config.in_flight_groups_max as usize;
        [
            ("every lease is open or ended, once", counted == Some(self.next_lease)),
            ("every lease that is out was given", given),
            ("leases that are out have a slot", self.in_flight.len() <= slots),
        ]
    }

    fn wave_rules(&self) -> [Rule; 4] {
        let per_batch = self.config.prompts_per_step as usize;
        let limit = self.config.staleness_limit();
        let oldest = self.batches_taken.saturating_sub(limit);
        let mut rollouts = self.buffer.iter().flat_map(|group| &group.rollouts);
        let fresh = rollouts.all(|rollout| (oldest..=self.trained).contains(&rollout.weight_version_min));
        let sequential = self.config.mode == Mode::Sequential;
        let given = self.in_flight.len() + self.arrived() + self.buffer.len();
        let exact = self.wave.as_ref().is_none_or(|wave| wave.spent || given + wave.unissued as usize == per_batch);
        [
            ("no buffered group is stale or from the future", fresh),
            ("the buffer is bounded", self.buffer.len() <= (limit as usize + 1) * per_batch),
            ("only sequential runs have waves", sequential || self.wave.is_none()),
            ("a wave fills its batch exactly", exact),
        ]
    }

    /// Groups of the present wave that are back and not yet judged.
    pub(crate) fn arrived(&self) -> usize {
        self.wave.as_ref().map_or(0, |wave| wave.arrived.len())
    }
}
