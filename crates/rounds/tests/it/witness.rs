//! Watches what the rules ask for, and holds them to their promises.
//!
//! It sees each action once: what a replay repeats does not come here.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{LeaseId, Party, ValidatorId, WorkerId};
use rounds::{Action, Batch, DropReason, Event, GroupSummary, Notice, OutcomeKind, RoundsConfig};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Trained(u64),
    Dropped(DropReason),
}

#[derive(Default)]
pub(crate) struct Witness {
    config: Option<RoundsConfig>,
    /// Who lies at times. All others are honest.
    liars: BTreeSet<Party>,
    pub(crate) ends: BTreeMap<LeaseId, End>,
    pub(crate) batches: Vec<Vec<LeaseId>>,
    pub(crate) short_steps: Vec<u64>,
    pub(crate) fined: BTreeSet<Party>,
    pub(crate) rests: u64,
    pub(crate) lies_trained: u64,
    /// Leases given, by task.
    pub(crate) leased: BTreeMap<u32, u64>,
    seen: BTreeSet<LeaseId>,
    accepted: BTreeSet<LeaseId>,
    made_by: BTreeMap<LeaseId, WorkerId>,
    lies: BTreeSet<LeaseId>,
    votes: BTreeMap<LeaseId, BTreeMap<ValidatorId, OutcomeKind>>,
    /// Who was asked for a seal and has not given it.
    unsealed: BTreeSet<(LeaseId, ValidatorId)>,
    /// Seals that this process holds.
    seals: BTreeSet<(LeaseId, ValidatorId)>,
}

impl Witness {
    pub(crate) fn new(config: &RoundsConfig, liars: BTreeSet<Party>) -> Self {
        Self { config: Some(config.clone()), liars, ..Self::default() }
    }

    /// A lease whose answer is a lie.
    pub(crate) fn lie(&mut self, lease: LeaseId) {
        self.lies.insert(lease);
    }

    pub(crate) fn is_lie(&self, lease: LeaseId) -> bool {
        self.lies.contains(&lease)
    }

    /// An event that the rules took.
    pub(crate) fn hears(&mut self, event: &Event) {
        match event {
            Event::Started => {
                self.unsealed.clear();
                self.seals.clear();
            }
            Event::VerdictSealed { lease, validator } => {
                self.unsealed.remove(&(*lease, *validator));
                self.seals.insert((*lease, *validator));
            }
            Event::VerdictFailed { lease, validator, .. } => {
                self.unsealed.remove(&(*lease, *validator));
            }
            Event::VerdictRevealed { lease, validator, outcome } => {
                let before = self.votes.entry(*lease).or_default().insert(*validator, *outcome);
                assert_eq!(before, None, "validator {validator} votes twice on lease {lease}");
            }
            _ => {}
        }
    }

    pub(crate) fn sees(&mut self, action: &Action, store: &BTreeMap<LeaseId, GroupSummary>) {
        match action {
            Action::Lease(lease) => {
                self.works(Party::Worker(lease.worker));
                if self.seen.insert(lease.lease) {
                    *self.leased.entry(lease.task).or_default() += 1;
                }
                self.made_by.insert(lease.lease, lease.worker);
            }
            Action::Check { lease, validator } => {
                self.works(Party::Validator(*validator));
                self.unsealed.insert((*lease, *validator));
                self.seals.remove(&(*lease, *validator));
            }
            Action::Reveal { lease, validator } => {
                assert!(self.seals.contains(&(*lease, *validator)), "no seal of {validator} on {lease} is at hand");
                let owed = self.unsealed.range((*lease, 0)..=(*lease, u32::MAX)).next();
                assert_eq!(owed, None, "a seal is opened before all have sealed");
            }
            Action::Accepted { lease } => assert!(self.accepted.insert(*lease), "lease {lease} is accepted twice"),
            Action::Plant { validator, .. } => self.works(Party::Validator(*validator)),
            Action::Fine { party, lease, .. } => self.sees_fine(*party, *lease),
            Action::Suspend { party } => {
                assert!(!self.fined.contains(party), "{party:?} rests for ever already");
                self.rests += 1;
            }
            Action::TrainBatch(batch) if self.batches.len() as u64 >= batch.step => {
                assert_eq!(self.batches[batch.step as usize - 1], batch.leases, "asked for again");
            }
            Action::TrainBatch(batch) => self.sees_batch(batch, store),
            Action::DropGroup { lease, reason } => {
                self.unsealed.retain(|(other, _)| other != lease);
                let by_gate = matches!(reason, DropReason::EqualRewards | DropReason::OutsideGate);
                assert!(!by_gate || self.accepted.contains(lease), "the gate refuses lease {lease} unchecked");
                self.end(*lease, End::Dropped(*reason));
            }
            Action::Notice(Notice::ShortBatch { step, .. }) => self.short_steps.push(*step),
            _ => {}
        }
    }

    fn works(&self, party: Party) {
        assert!(!self.fined.contains(&party), "{party:?} was fined and is given work");
    }

    fn sees_fine(&mut self, party: Party, lease: Option<LeaseId>) {
        assert!(self.liars.contains(&party), "{party:?} is honest and is fined for lease {lease:?}");
        assert!(self.fined.insert(party), "{party:?} is fined twice");
        if let Party::Validator(validator) = party {
            self.unsealed.retain(|(_, other)| *other != validator);
        }
        if let (Party::Worker(_), Some(lease)) = (party, lease) {
            assert!(self.is_lie(lease), "lease {lease} was answered honestly");
        }
    }

    fn sees_batch(&mut self, batch: &Batch, store: &BTreeMap<LeaseId, GroupSummary>) {
        assert!(
            batch.leases.iter().all(|lease| self.accepted.contains(lease)),
            "{batch:?} holds what was not accepted"
        );
        let config = self.config.clone().unwrap(); // set in `new`
        let wanted = config.prompts_per_step as usize;
        let short = self.short_steps.contains(&batch.step);
        assert!(batch.leases.len() == wanted || short, "a batch keeps its size or says why");
        for &lease in &batch.leases {
            let rollouts = &store[&lease].rollouts;
            let oldest = rollouts.iter().map(|rollout| rollout.weight_version_min).min().unwrap();
            let staleness = batch.step - 1 - oldest;
            assert!(staleness <= config.staleness_limit(), "stale by {staleness}");
            assert!(!self.fined.contains(&Party::Worker(self.made_by[&lease])), "lease {lease} is a banned worker's");
            self.sees_trained(lease);
            self.end(lease, End::Trained(batch.step));
        }
        self.batches.push(batch.leases.clone());
    }

    /// More verdicts call the group valid than invalid, or the trainer's door stays shut; and if it is
    /// a lie then only liars called it valid.
    fn sees_trained(&mut self, lease: LeaseId) {
        let votes = &self.votes[&lease];
        let invalid =
            votes.values().filter(|outcome| matches!(outcome, OutcomeKind::Invalid(_) | OutcomeKind::Narrow(_)));
        let invalid = invalid.count();
        let valid = votes.iter().filter(|(_, outcome)| **outcome == OutcomeKind::Valid);
        let valid: Vec<Party> = valid.map(|(&validator, _)| Party::Validator(validator)).collect();
        assert!(valid.len() > invalid, "lease {lease} is trained on with {} to {invalid} verdicts", valid.len());
        if self.is_lie(lease) {
            assert!(valid.iter().all(|party| self.liars.contains(party)), "{valid:?}");
            self.lies_trained += 1;
        }
    }

    fn end(&mut self, lease: LeaseId, end: End) {
        let before = self.ends.insert(lease, end);
        assert_eq!(before, None, "lease {lease} ends twice, now as {end:?}");
    }
}
