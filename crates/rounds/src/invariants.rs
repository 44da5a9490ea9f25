//! Checks that the machine does not contradict itself.
//!
//! Promise: a state that breaks a rule of the run is named, whether a bug here or a bad file made it.

use std::collections::BTreeSet;

use protocol::{LeaseId, WorkerId};

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
        let rules = self.step_rules().into_iter().chain(self.lease_rules());
        let rules = rules.chain(self.wave_rules()).chain(self.member_rules());
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((rule, _)) => Err(RoundsError::StateInconsistent { rule }),
            None => Ok(()),
        }
    }

    /// Panics if the state breaks a rule of the run: that is a bug here.
    pub fn assert_invariants(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
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
            ("what is known of items fits the tasks", self.sampler.is_sound(&self.config, self.next_lease)),
        ]
    }

    fn lease_rules(&self) -> [Rule; 5] {
        let open = self.open_leases();
        let ended = self.counters.groups_trained.checked_add(self.counters.dropped());
        let counted = ended.and_then(|ended| ended.checked_add(open.len() as u64));
        let apart = open.iter().collect::<BTreeSet<_>>().len() == open.len();
        let given = self.in_flight.iter().all(|(&key, lease)| {
            let named = key == lease.lease && key < self.next_lease;
            named && lease.weight_version <= self.published
        });
        let arrived = self.wave.iter().flat_map(|wave| wave.arrived.keys().copied());
        let unjudged = self.in_flight.keys().copied().chain(self.panels.keys().copied()).chain(arrived);
        let lost = self.config.mode == Mode::Sequential; // those of a wave are settled with it
        let unjudged: BTreeSet<LeaseId> = unjudged.collect();
        let slots = self.config.in_flight_groups_max as usize;
        [
            ("every lease is open or ended, once", counted == Some(self.next_lease)),
            ("no lease is in two places", apart),
            ("every lease that is out was given", given),
            ("leases that are out have a slot", self.in_flight.len() <= slots),
            (
                "the curriculum waits for open leases only",
                lost || self.sampler.open().all(|lease| unjudged.contains(&lease)),
            ),
        ]
    }

    /// Every lease that has not ended, once for each place that it is in.
    fn open_leases(&self) -> Vec<LeaseId> {
        let in_training = self.training.iter().flat_map(|batch| batch.leases.iter().copied());
        let arrived = self.wave.iter().flat_map(|wave| wave.arrived.keys().copied());
        let back = self.panels.keys().copied().chain(arrived).chain(self.buffered());
        self.in_flight.keys().copied().chain(back).chain(in_training).collect()
    }

    fn wave_rules(&self) -> [Rule; 6] {
        let per_batch = self.config.prompts_per_step as usize;
        let limit = self.config.staleness_limit();
        let oldest = self.batches_taken.saturating_sub(limit);
        let buffered = || self.buffer.iter().map(|kept| &kept.group);
        let mut rollouts = buffered().flat_map(|group| &group.rollouts);
        let fresh = rollouts.all(|rollout| (oldest..=self.trained).contains(&rollout.weight_version_min));
        let checked = self.panels.values().map(|panel| &panel.group);
        let arrived = self.wave.iter().flat_map(|wave| wave.arrived.values());
        let arrived = arrived.filter_map(|back| back.held.as_ref().ok());
        let whole = buffered().chain(checked).chain(arrived).all(|group| !group.rollouts.is_empty());
        let sequential = self.config.mode == Mode::Sequential;
        let given = (self.in_flight.len() + self.panels.len() + self.arrived() + self.buffer.len()) as u64;
        let exact = self.wave.as_ref().is_none_or(|wave| {
            let missing = u64::from(wave.unissued) + u64::from(wave.lost);
            wave.spent || given + missing == per_batch as u64
        });
        let manned = self.wave.as_ref().is_none_or(|wave| wave.unissued == 0 || !wave.crew.is_empty());
        [
            ("no buffered group is stale or from the future", fresh),
            ("every group holds a rollout", whole),
            ("the buffer is bounded", self.buffer.len() <= (limit as usize + 1) * per_batch),
            ("only sequential runs have waves", sequential || self.wave.is_none()),
            ("a wave fills its batch exactly", exact),
            ("a wave with leases to give has a crew", manned),
        ]
    }

    fn member_rules(&self) -> [Rule; 5] {
        let (workers, validators) = (self.config.workers, self.config.validators);
        let counted = self.workers.len() == workers as usize && self.validators.len() == validators as usize;
        let crew = self.wave.iter().flat_map(|wave| wave.crew.iter().copied());
        let out = self.in_flight.values().map(|lease| lease.worker).chain(crew).chain([self.turn]);
        let panels = || self.panels.values();
        let arrived = self.wave.iter().flat_map(|wave| wave.arrived.values());
        let working = panels().map(|panel| panel.worker).chain(arrived.map(|back| back.worker));
        let working = working.chain(self.buffer.iter().map(|kept| kept.worker));
        let honest = |worker: WorkerId| self.workers.get(worker as usize).is_some_and(|member| member.fined.is_none());
        let seated = panels().flat_map(|panel| &panel.seats).map(|seat| seat.validator);
        let asked = seated.chain(self.plants.keys().copied());
        let keyed = self.panels.iter().all(|(&lease, panel)| panel.group.lease == lease && lease < self.next_lease);
        let mut out_to = self.in_flight.values().map(|lease| lease.worker).chain(working);
        [
            ("every worker and validator has a place", counted),
            ("every worker named is in the run", out.into_iter().all(|worker| worker < workers)),
            ("nothing of a fined worker is open", out_to.all(honest)),
            ("every validator asked is in the run", asked.into_iter().all(|validator| validator < validators)),
            ("every panel judges its own group", keyed && panels().all(|panel| panel.wanted > 0)),
        ]
    }

    /// Groups of the present wave that are back and not yet judged.
    pub(crate) fn arrived(&self) -> usize {
        self.wave.as_ref().map_or(0, |wave| wave.arrived.len())
    }
}
