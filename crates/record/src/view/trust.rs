//! Who was checked and who was caught, as the events tell it.
//!
//! Promise: a rollout is counted once, however many validators looked at it; a group is valid, invalid
//! or unchecked once its check has ended, and open until then. Memory: some bytes per open group and
//! per party.

use std::collections::BTreeMap;

use protocol::{Outcome, Party};

use crate::events::{Event, Fined, GroupReceived, VerdictGiven};

/// Fines kept word for word; all are counted. A run has fewer parties than this.
const FINES_KEPT_MAX: usize = 1024;

/// What is known of a run's checks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trust {
    /// Workers of the run.
    pub workers: u64,
    /// Validators of the run.
    pub validators: u64,
    /// Submissions that came in, signed and in order.
    pub groups: u64,
    /// Rollouts in them.
    pub rollouts: u64,
    /// Completion tokens in them.
    pub tokens: u64,
    /// Rollouts that a model was run over again.
    pub rollouts_checked: u64,
    /// Completion tokens of those.
    pub tokens_checked: u64,
    /// Groups that passed.
    pub groups_valid: u64,
    /// Groups that were found to hold a lie.
    pub groups_invalid: u64,
    /// Groups that nobody judged: their worker was banned or they were too old by then, nobody could check
    /// them, or the run ended.
    pub groups_unchecked: u64,
    /// Messages refused before any validator saw them.
    pub groups_refused: u64,
    /// Verdicts given.
    pub verdicts: u64,
    /// Known-bad groups shown to validators.
    pub plants: u64,
    /// Those of them that were found out.
    pub plants_caught: u64,
    /// Who was caught, in order.
    pub fined: Vec<Caught>,
    /// Fines of parties that the run file did not tell to lie.
    pub honest_fined: u64,
    /// How often somebody rested for not answering.
    pub suspended: BTreeMap<Party, u64>,
    /// What each worker handed in.
    pub handed_in: BTreeMap<u32, HandedIn>,
    open: BTreeMap<u64, Open>,
}

/// A fine with its place in the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Caught {
    /// Training steps done by then.
    pub step: u64,
    /// The fine.
    pub fined: Fined,
}

/// What one worker handed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HandedIn {
    /// Groups.
    pub groups: u64,
    /// Rollouts.
    pub rollouts: u64,
    /// Groups that passed.
    pub valid: u64,
}

/// A group whose check has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Open {
    worker: u32,
    valid: u64,
    invalid: u64,
    rollouts_checked: u64,
    tokens_checked: u64,
}

impl Trust {
    /// Takes in one event; `step` is the last step trained.
    pub fn on_event(&mut self, event: &Event, step: u64) {
        match event {
            Event::TermsSet(set) => {
                self.workers = set.terms.workers.len() as u64;
                self.validators = set.terms.validators.len() as u64;
            }
            Event::GroupReceived(group) => self.received(group),
            Event::GroupRefused { .. } => self.groups_refused += 1,
            Event::VerdictGiven(verdict) => self.judged(verdict),
            Event::GroupAccepted(group) => self.passed(group.lease),
            Event::GroupDropped { lease, .. } => self.dropped(*lease),
            Event::PlantAnswered { caught, .. } => {
                self.plants += 1;
                self.plants_caught += u64::from(*caught);
            }
            Event::Fined(fined) => self.caught(fined, step),
            Event::Suspended { party } => *self.suspended.entry(*party).or_default() += 1,
            _ => {}
        }
    }

    fn received(&mut self, group: &GroupReceived) {
        self.groups += 1;
        self.rollouts += u64::from(group.rollouts);
        self.tokens += group.tokens;
        let worker = self.handed_in.entry(group.worker).or_default();
        worker.groups += 1;
        worker.rollouts += u64::from(group.rollouts);
        self.open.insert(group.lease, Open { worker: group.worker, ..Open::default() });
    }

    fn judged(&mut self, verdict: &VerdictGiven) {
        self.verdicts += 1;
        // A second verdict on a group looks at the same rollouts.
        let Some(open) = self.open.get_mut(&verdict.lease) else { return };
        match verdict.outcome {
            Outcome::Valid => open.valid += 1,
            Outcome::Invalid(_) => open.invalid += 1,
            Outcome::Unchecked(_) => {}
        }
        let (rollouts, tokens) = (u64::from(verdict.rollouts_checked), verdict.tokens_checked);
        self.rollouts_checked += rollouts.saturating_sub(open.rollouts_checked);
        self.tokens_checked += tokens.saturating_sub(open.tokens_checked);
        open.rollouts_checked = open.rollouts_checked.max(rollouts);
        open.tokens_checked = open.tokens_checked.max(tokens);
    }

    fn passed(&mut self, lease: u64) {
        self.groups_valid += 1;
        if let Some(open) = self.open.remove(&lease) {
            self.handed_in.entry(open.worker).or_default().valid += 1;
        }
    }

    fn dropped(&mut self, lease: u64) {
        // Groups that passed and were dropped later, for their age or their rewards, are not open any more.
        let Some(open) = self.open.remove(&lease) else { return };
        match open.invalid > open.valid {
            true => self.groups_invalid += 1,
            false => self.groups_unchecked += 1,
        }
    }

    fn caught(&mut self, fined: &Fined, step: u64) {
        self.honest_fined += u64::from(fined.cheat.is_none());
        if self.fined.len() < FINES_KEPT_MAX {
            self.fined.push(Caught { step, fined: fined.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Check, RejectReason, UncheckedCause};

    use super::*;
    use rounds::DropReason;

    use crate::events::GroupAccepted;

    fn received(lease: u64, worker: u32) -> Event {
        Event::GroupReceived(GroupReceived { lease, worker, rollouts: 16, tokens: 64, bytes: 9000 })
    }

    fn verdict(lease: u64, validator: u32, outcome: Outcome) -> Event {
        let (worker, rollouts_checked, tokens_checked) = (0, 4, 20);
        Event::VerdictGiven(VerdictGiven {
            lease,
            worker,
            validator,
            rollouts_checked,
            tokens_checked,
            rollouts: 16,
            outcome,
        })
    }

    fn accepted(lease: u64) -> Event {
        Event::GroupAccepted(GroupAccepted {
            lease,
            task: 0,
            item: 0,
            worker: 0,
            weight_version: 0,
            rewards_micro: vec![0; 16],
            exact_count: 0,
            prompt_tokens: 4,
            completion_tokens: 64,
            sample: None,
        })
    }

    fn lie() -> Outcome {
        let check = Check::Fingerprint;
        Outcome::Invalid(RejectReason { check, sample_index: Some(2), position: None, limit: 1_500, given: 9_000 })
    }

    fn fined(party: Party, cheat: Option<&str>) -> Event {
        let words = "the fingerprint is off".to_owned();
        let (lease, check, cheat) = (Some(2), Check::Fingerprint, cheat.map(str::to_owned));
        Event::Fined(Fined { party, lease, check, reason: None, words, cheat, handed_in: 32 })
    }

    fn fold(events: &[Event]) -> Trust {
        let mut trust = Trust::default();
        events.iter().for_each(|event| trust.on_event(event, 7));
        trust
    }

    #[test]
    fn a_rollout_that_two_validators_looked_at_counts_once() {
        let trust = fold(&[received(1, 0), verdict(1, 0, Outcome::Valid), verdict(1, 1, Outcome::Valid), accepted(1)]);
        assert_eq!((trust.rollouts, trust.rollouts_checked, trust.tokens_checked, trust.verdicts), (16, 4, 20, 2));
        assert_eq!((trust.groups_valid, trust.handed_in[&0].valid), (1, 1));
    }

    #[test]
    fn a_group_is_valid_invalid_or_unchecked_and_what_is_dropped_later_stays_valid() {
        let dropped = |lease, reason| Event::GroupDropped { lease, reason };
        let cause = Outcome::Unchecked(UncheckedCause::ModelFailed);
        let trust = fold(&[
            received(1, 0),
            verdict(1, 0, Outcome::Valid),
            accepted(1),
            dropped(1, DropReason::EqualRewards),
            received(2, 1),
            verdict(2, 0, lie()),
            verdict(2, 1, Outcome::Valid),
            verdict(2, 2, lie()),
            fined(Party::Worker(1), Some("int8_weights")),
            dropped(2, DropReason::WorkerBanned),
            received(3, 1),
            dropped(3, DropReason::WorkerBanned),
            received(4, 0),
            verdict(4, 0, cause),
            dropped(4, DropReason::Unchecked),
        ]);
        assert_eq!((trust.groups_valid, trust.groups_invalid, trust.groups_unchecked), (1, 1, 2));
        assert_eq!((trust.fined.len(), trust.fined[0].step, trust.honest_fined), (1, 7, 0));
    }

    #[test]
    fn a_fine_of_somebody_who_was_not_told_to_lie_is_counted_as_such() {
        let trust = fold(&[fined(Party::Worker(1), None), fined(Party::Validator(0), Some("lazy_validator"))]);
        assert_eq!((trust.fined.len(), trust.honest_fined), (2, 1));
    }
}
