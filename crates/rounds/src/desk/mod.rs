//! The desk where signed bytes come in and go out: it turns them into events and back.
//!
//! Promise: an event that leaves the desk rests on a good signature, or names a lie that the sender
//! alone can have told. What may be misfortune (late, double, cancelled, overdue) is never called a lie.
//! Takes: the bytes of workers and validators, and the time. Gives: [`Event`]s, and the bytes to send.
//! Never: reads a clock, sends anything, or decides who is asked, who pays, and what is trained on.
//!
//! ```text
//! Action::Lease   -> Desk::lease       -> bytes to the worker    -> Desk::submission     -> GroupFinished
//! Action::Check   -> Desk::check_order -> bytes to the validator -> Desk::from_validator -> VerdictSealed
//! Action::Reveal  -> Desk::reveal_order-> bytes to the validator -> Desk::from_validator -> VerdictRevealed
//! Action::Plant   -> Desk::want_plant; Desk::plant_requests -> bytes to a worker -> Desk::countersigned
//!                                      -> bytes to the validator -> Desk::from_validator -> PlantAnswered
//! ```
//!
//! After a restart: [`Desk::new`], then [`Desk::restore_submission`] and [`Desk::restore_verdict`] for what
//! the log holds of leases that have not ended, then the actions that `Started` gives. Plants under way are
//! forgotten.

mod error;
mod numbers;
mod panel;
mod plant;
#[cfg(test)]
mod plant_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use protocol::{
    BeaconPoint, Keypair, LeaseId, Outcome, PromptLease, Record, RunId, RunTerms, Signed, Submission, ValidatorId,
    Verdict, VerdictReveal, VerifiedGroup, WorkerId,
};

use crate::{Event, GroupSummary, PlantId};

pub use error::{DeskError, Refused};
use panel::Asked;
use plant::{Material, Plant, Unsigned};
pub use plant::{PlantAsk, PlantOrder};

/// How long the desk waits for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a lease to its submission, in milliseconds.
    pub lease_ms: u64,
    /// From an order to a validator to its answer, in milliseconds.
    pub verdict_ms: u64,
}

/// A submission that was taken in. Store its bytes before the rules hear the event.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What came.
    pub submission: Arc<Submission>,
    /// What the rules should hear.
    pub event: Event,
}

/// What a validator's message amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// What the rules should hear, if anything. A `VerdictRevealed` rests on these bytes: store them first.
    pub event: Option<Event>,
    /// What to send back to the same validator, if anything.
    pub reply: Option<Vec<u8>>,
}

/// One lease from its signature until nobody needs its group any more.
#[derive(Debug)]
struct Held {
    lease: Signed<PromptLease>,
    /// When the lease is overdue; of no meaning once there is a submission.
    deadline_ms: u64,
    submission: Option<Arc<Submission>>,
    /// Randomness that drew the sample; none before the first order.
    draw: Option<BeaconPoint>,
    /// Validators that owe an answer, or have sealed.
    asked: BTreeMap<ValidatorId, Asked>,
    /// Validators that have been sent the submission.
    shown: BTreeSet<ValidatorId>,
    verdicts: Vec<Signed<Verdict>>,
}

impl Held {
    fn new(lease: Signed<PromptLease>, deadline_ms: u64) -> Self {
        let (asked, shown, verdicts) = Default::default();
        Self { lease, deadline_ms, submission: None, draw: None, asked, shown, verdicts }
    }

    /// Keeps a verdict in place of an earlier one by the same validator.
    fn keep_verdict(&mut self, verdict: Signed<Verdict>) {
        self.drop_verdict(verdict.body.validator);
        self.verdicts.push(verdict);
    }

    /// Whoever is asked again has not spoken, whatever it said to a process before.
    fn drop_verdict(&mut self, validator: ValidatorId) {
        self.verdicts.retain(|verdict| verdict.body.validator != validator);
    }
}

/// The orchestrator's desk.
#[derive(Debug)]
pub struct Desk {
    terms: Arc<RunTerms>,
    run: RunId,
    keys: Keypair,
    timeouts: Timeouts,
    held: BTreeMap<LeaseId, Held>,
    material: VecDeque<Material>,
    /// Plants to be made, by who is to see them.
    wanted: BTreeMap<ValidatorId, PlantId>,
    unsigned: BTreeMap<ValidatorId, Unsigned>,
    plants: BTreeMap<(LeaseId, ValidatorId), Plant>,
    /// Validators that were fined.
    struck: BTreeSet<ValidatorId>,
    /// Workers that were fined.
    banned: BTreeSet<WorkerId>,
}

impl Desk {
    /// An empty desk.
    ///
    /// Panics if `keys` are not the orchestrator's of the terms.
    pub fn new(terms: Arc<RunTerms>, keys: Keypair, timeouts: Timeouts) -> Self {
        assert_eq!(keys.public(), terms.orchestrator, "the desk signs as the orchestrator of the terms");
        let (held, material, wanted, unsigned, plants, struck, banned) = Default::default();
        Self { run: terms.id(), terms, keys, timeouts, held, material, wanted, unsigned, plants, struck, banned }
    }

    /// Signs a lease, or signs it again; its time begins now.
    ///
    /// Errors: those of [`PromptLease::check`].
    pub fn lease(&mut self, now_ms: u64, lease: &PromptLease) -> Result<Signed<PromptLease>, DeskError> {
        let signed = Signed::new(lease.clone(), &self.run, &self.keys)?;
        let deadline_ms = now_ms.saturating_add(self.timeouts.lease_ms);
        self.held.insert(lease.lease, Held::new(signed.clone(), deadline_ms));
        Ok(signed)
    }

    /// Takes the answer of `worker`, known by its channel, in `bytes`.
    ///
    /// Errors: [`Refused`]. Its event, if any, is `WorkerLied` and should be heard by the rules; an answer
    /// that is late, double, to a withdrawn lease, or of a worker that was fined, is refused without an event.
    pub fn submission(&mut self, worker: WorkerId, bytes: &[u8]) -> Result<Taken, Refused> {
        if self.banned.contains(&worker) {
            return Err(Refused::harmless(DeskError::Banned { worker }));
        }
        let lied = |lease, why: DeskError| Refused::worker(worker, lease, why);
        let submission = Submission::decode(bytes).map_err(|why| lied(None, why.into()))?;
        let lease = submission.lease.body.lease;
        self.check_submission(worker, &submission).map_err(|why| lied(Some(lease), why))?;
        // After a restart a number may be given anew, to another worker or for another item. An answer to
        // what it meant before is late.
        let held = self.held.get_mut(&lease).filter(|held| held.lease.body == submission.lease.body);
        let held = held.ok_or_else(|| Refused::harmless(DeskError::LeaseEnded { lease }))?;
        if held.submission.is_some() {
            return Err(Refused::harmless(DeskError::AnsweredBefore { lease }));
        }
        let submission = Arc::new(submission);
        held.submission = Some(submission.clone());
        let event = Event::GroupFinished(GroupSummary::from(&*submission));
        Ok(Taken { submission, event })
    }

    /// What can be told of a submission without a model. All of it is in the sender's hands.
    fn check_submission(&self, worker: WorkerId, submission: &Submission) -> Result<(), DeskError> {
        let body = &submission.lease.body;
        submission.lease.verify(&self.run, &self.terms.orchestrator)?;
        if body.worker != worker {
            return Err(DeskError::OtherWorkersLease { lease: body.lease, expected: body.worker, given: worker });
        }
        submission.check(&self.run, &self.terms.orchestrator, self.terms.worker(worker)?)?;
        let (lease, expected) = (body.lease, body.weight_version);
        let mut versions = submission.rollouts.iter().flat_map(|rollout| &rollout.weight_versions);
        match versions.find(|&&version| version != expected) {
            Some(&given) => Err(DeskError::OtherWeights { lease, expected, given }),
            None if submission.rollouts.is_empty() => Err(DeskError::NoRollouts { lease, expected: body.group_size }),
            None => Ok(()),
        }
    }

    /// A validator was fined. Its accusations count no more; groups that it had let through stay as they are.
    pub fn strike(&mut self, validator: ValidatorId) {
        self.struck.insert(validator);
        self.wanted.remove(&validator);
        self.unsigned.remove(&validator);
    }

    /// A worker was fined. Nothing it sends is even read any more.
    pub fn ban(&mut self, worker: WorkerId) {
        self.banned.insert(worker);
    }

    /// The group of a lease for the trainer, with the verdicts that were revealed.
    ///
    /// Errors: `NoSubmission`, and those of [`VerifiedGroup::new`].
    pub fn verified(&self, lease: LeaseId) -> Result<VerifiedGroup, DeskError> {
        let held = self.held(lease)?;
        let submission = held.submission.as_ref().ok_or(DeskError::NoSubmission { lease })?;
        let stands = |verdict: &&Signed<Verdict>| {
            !(self.struck.contains(&verdict.body.validator) && matches!(verdict.body.outcome, Outcome::Invalid(_)))
        };
        let verdicts = held.verdicts.iter().filter(stands).cloned().collect();
        let group = VerifiedGroup::new(&self.terms, Submission::clone(submission), verdicts)?;
        Ok(group)
    }

    /// The submission of a lease, if it came and is not forgotten.
    pub fn submitted(&self, lease: LeaseId) -> Option<&Arc<Submission>> {
        self.held.get(&lease)?.submission.as_ref()
    }

    /// The verdicts on a lease that were opened so far, those of fined validators included; none if it is
    /// forgotten.
    pub fn verdicts(&self, lease: LeaseId) -> &[Signed<Verdict>] {
        self.held.get(&lease).map_or(&[], |held| &held.verdicts)
    }

    /// The lease has ended: it was withdrawn or its group was dropped or trained on. Answers that still
    /// come are refused. Unknown leases are passed over.
    pub fn forget(&mut self, lease: LeaseId) {
        self.held.remove(&lease);
    }

    /// Takes back a submission that the log holds.
    ///
    /// Errors: those of [`Submission::check`]: the log was altered.
    pub fn restore_submission(&mut self, bytes: &[u8]) -> Result<(), DeskError> {
        let submission = Submission::decode(bytes)?;
        self.check_submission(submission.lease.body.worker, &submission)?;
        let mut held = Held::new(submission.lease.clone(), 0);
        held.submission = Some(Arc::new(submission));
        self.held.insert(held.lease.body.lease, held);
        Ok(())
    }

    /// Takes back a verdict from the bytes of the [`VerdictReveal`] that the log holds. Of two by one
    /// validator, the later counts: it was asked again after a restart, as the rules had not heard the first.
    ///
    /// Errors: `NoSubmission` if its submission was not restored before; `Protocol` if it is not signed.
    pub fn restore_verdict(&mut self, bytes: &[u8]) -> Result<(), DeskError> {
        let verdict = VerdictReveal::decode(bytes)?.verdict;
        verdict.verify(&self.run, self.terms.validator(verdict.body.validator)?)?;
        let lease = verdict.body.lease;
        let held = self.held.get_mut(&lease).filter(|held| held.submission.is_some());
        let held = held.ok_or(DeskError::NoSubmission { lease })?;
        held.draw = Some(verdict.body.draw);
        held.shown.insert(verdict.body.validator);
        held.keep_verdict(verdict);
        Ok(())
    }

    /// Leases and orders whose time is up at `now_ms`. Each is told once.
    pub fn overdue(&mut self, now_ms: u64) -> Vec<Event> {
        let late = |held: &Held| held.submission.is_none() && held.deadline_ms <= now_ms;
        let ended: Vec<LeaseId> = self.held.iter().filter(|(_, held)| late(held)).map(|(&lease, _)| lease).collect();
        let mut events: Vec<Event> = ended.iter().map(|&lease| Event::LeaseOverdue { lease }).collect();
        ended.iter().for_each(|lease| drop(self.held.remove(lease)));
        for (&lease, held) in &mut self.held {
            let silent = held.asked.extract_if(.., |_, asked| asked.is_overdue(now_ms));
            events.extend(silent.map(|(validator, _)| Event::VerdictFailed { lease, validator, check: None }));
        }
        self.plants_overdue(now_ms);
        events
    }

    fn held(&self, lease: LeaseId) -> Result<&Held, DeskError> {
        self.held.get(&lease).ok_or(DeskError::LeaseEnded { lease })
    }
}
