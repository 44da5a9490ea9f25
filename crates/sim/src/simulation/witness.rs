//! What a simulation must keep to, watched from outside.
//!
//! Promise: knows who lies, which nobody inside does; whatever breaks a promise of the network is in the
//! outcome's failures.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Check, LeaseId, Party, Record, StepNumber, ValidatorId, VerifiedGroup, WorkerId};
use rounds::{Action, OutcomeKind};

use super::Simulation;
use crate::cast::Cast;
use crate::liars::Cheat;
use crate::memory::HonestWorker;
use crate::network::{Misfortunes, Node};
use crate::world::GROUP_SIZE;

/// Failures kept; more of them say nothing new.
const FAILURES_MAX: usize = 8;

/// A liar that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caught {
    /// By what.
    pub(crate) check: Check,
    /// After so many of its rollouts (a worker), verdicts (a validator) or steps (the trainer).
    pub(crate) after: u64,
    /// Rollouts of a worker that were never trained on.
    pub(crate) wasted: u64,
}

/// How a simulation ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) failures: Vec<String>,
    /// Liars that could be caught.
    pub(crate) liars: u64,
    /// Liars who never had occasion to lie.
    pub(crate) idle_liars: u64,
    pub(crate) caught: Vec<Caught>,
    /// Lying groups that were trained on before their maker was caught.
    pub(crate) lies_trained: u64,
    pub(crate) groups_trained: u64,
    pub(crate) verdicts: u64,
    pub(crate) plants: u64,
    /// Rests of honest parties, which end.
    pub(crate) honest_rests: u64,
    pub(crate) steps: StepNumber,
    pub(crate) virtual_ms: u64,
    pub(crate) misfortunes: Misfortunes,
}

/// The watcher.
pub(super) struct Witness {
    liars: BTreeMap<Node, Cheat>,
    outcome: Outcome,
    caught: BTreeMap<Node, (Check, u64)>,
    workers: BTreeMap<LeaseId, WorkerId>,
    ended: BTreeSet<LeaseId>,
    batches: BTreeMap<StepNumber, Vec<LeaseId>>,
    /// Rollouts sent by workers, verdicts given by validators, steps made by the trainer.
    done: BTreeMap<Node, u64>,
    trained_from: BTreeMap<WorkerId, u64>,
    said: BTreeMap<LeaseId, BTreeMap<ValidatorId, OutcomeKind>>,
    /// Lying groups that were trained on.
    lies: BTreeSet<LeaseId>,
    /// Groups that a panel found to be lies.
    proven: BTreeSet<LeaseId>,
}

impl Witness {
    pub(super) fn new(cast: &Cast) -> Self {
        let workers = cast.lying_workers.iter().map(|(&id, &cheat)| (Node::Worker(id), cheat));
        let validators = cast.lying_validators.iter().map(|(&id, &cheat)| (Node::Validator(id), cheat));
        let trainer = cast.poisoner.then_some((Node::Trainer, Cheat::PoisonedUpdate));
        Self {
            liars: workers.chain(validators).chain(trainer).collect(),
            outcome: Outcome::default(),
            caught: BTreeMap::new(),
            workers: BTreeMap::new(),
            ended: BTreeSet::new(),
            batches: BTreeMap::new(),
            done: BTreeMap::new(),
            trained_from: BTreeMap::new(),
            said: BTreeMap::new(),
            lies: BTreeSet::new(),
            proven: BTreeSet::new(),
        }
    }

    pub(super) fn fail(&mut self, what: String) {
        if self.outcome.failures.len() < FAILURES_MAX {
            self.outcome.failures.push(what);
        }
    }

    pub(super) fn planted(&mut self) {
        self.outcome.plants += 1;
    }

    pub(super) fn submitted(&mut self, worker: WorkerId) {
        *self.done.entry(Node::Worker(worker)).or_default() += u64::from(GROUP_SIZE);
    }

    pub(super) fn judged(&mut self, lease: LeaseId, validator: ValidatorId, outcome: OutcomeKind) {
        *self.done.entry(Node::Validator(validator)).or_default() += 1;
        self.outcome.verdicts += 1;
        self.said.entry(lease).or_default().insert(validator, outcome);
    }

    /// A verdict came that was no verdict.
    pub(super) fn refused(&mut self, validator: ValidatorId) {
        *self.done.entry(Node::Validator(validator)).or_default() += 1;
    }

    /// Checks what the rules promise of each action, once: replays do not come here.
    pub(super) fn see(&mut self, action: &Action) {
        match action {
            Action::Lease(lease) => drop(self.workers.insert(lease.lease, lease.worker)),
            Action::DropGroup { lease, .. } => self.end(*lease),
            Action::TrainBatch(batch) => self.see_batch(batch),
            Action::Fine { party, lease, check } => self.see_fine(*party, *lease, *check),
            Action::Suspend { party } => self.see_rest(*party),
            _ => {}
        }
    }

    fn end(&mut self, lease: LeaseId) {
        if !self.ended.insert(lease) {
            self.fail(format!("lease {lease} ends twice"));
        }
    }

    fn see_batch(&mut self, batch: &rounds::Batch) {
        if let Some(before) = self.batches.insert(batch.step, batch.leases.clone()) {
            if before != batch.leases {
                self.fail(format!("step {} is to be made of other groups than at first", batch.step));
            }
            return;
        }
        *self.done.entry(Node::Trainer).or_default() += 1;
        for &lease in &batch.leases {
            self.end(lease);
            self.outcome.groups_trained += 1;
            let Some(&worker) = self.workers.get(&lease) else { continue };
            *self.trained_from.entry(worker).or_default() += 1;
            if self.caught.contains_key(&Node::Worker(worker)) && !self.is_silent(worker) {
                self.fail(format!("step {} learns from worker {worker}, who was fined", batch.step));
            }
        }
    }

    fn is_silent(&self, worker: WorkerId) -> bool {
        self.liars.get(&Node::Worker(worker)) == Some(&Cheat::Withheld)
    }

    fn see_fine(&mut self, party: Party, lease: Option<LeaseId>, check: Check) {
        let node = Node::of(party);
        if let (Node::Worker(_), Some(lease)) = (node, lease) {
            self.proven.insert(lease);
        }
        match self.liars.get(&node) {
            None => self.fail(format!("{node} is honest and was fined for {check} (lease {lease:?})")),
            Some(cheat) if cheat.expected().contains(&check) => self.catch(node, check),
            Some(cheat) => {
                self.fail(format!("{node} was fined for {check}; {cheat} should fail {:?}", cheat.expected()));
                self.catch(node, check);
            }
        }
    }

    fn see_rest(&mut self, party: Party) {
        match party {
            Party::Worker(id) if self.is_silent(id) => {
                let node = Node::Worker(id);
                if !self.caught.contains_key(&node) {
                    self.catch(node, Check::Withheld);
                }
            }
            Party::Worker(id) if self.liars.contains_key(&Node::Worker(id)) => {}
            _ => self.outcome.honest_rests += 1,
        }
    }

    /// Somebody was caught, rightly or wrongly.
    pub(super) fn catch(&mut self, node: Node, check: Check) {
        if !self.liars.contains_key(&node) {
            self.fail(format!("{node} is honest and was accused of {check}"));
        }
        let after = self.done.get(&node).copied().unwrap_or(0);
        self.caught.entry(node).or_insert((check, after));
    }

    pub(super) fn lied(&mut self, lease: LeaseId) {
        if self.lies.insert(lease) {
            self.outcome.lies_trained += 1;
        }
    }

    /// Whether every liar is caught, or cannot lie any more.
    pub(super) fn is_settled(&self) -> bool {
        self.liars.keys().all(|&node| self.caught.contains_key(&node) || self.is_idle(node))
    }

    /// Colluders lie for their friends only. One has had no occasion if it never spoke for a group that was
    /// found to be a lie, and no friend is left.
    fn is_idle(&self, node: Node) -> bool {
        let Node::Validator(colluder) = node else { return false };
        if self.liars.get(&node) != Some(&Cheat::ColludingValidator) {
            return false;
        }
        let is_friend = |node: &Node| matches!(node, Node::Worker(_)) && !self.caught.contains_key(node);
        let friends_left = self.liars.keys().any(is_friend);
        let spoke = |lease| self.said.get(lease).is_some_and(|said| said.get(&colluder) == Some(&OutcomeKind::Valid));
        !friends_left && !self.proven.iter().any(spoke)
    }

    /// The verdict on the simulation itself.
    pub(super) fn conclude(mut self, steps: StepNumber, virtual_ms: u64, misfortunes: Misfortunes) -> Outcome {
        let liars: Vec<(Node, Cheat)> = self.liars.iter().map(|(&node, &cheat)| (node, cheat)).collect();
        for (node, cheat) in liars {
            // A colluder's friends are there to be lied for, not to be counted.
            let counts = matches!(node, Node::Validator(_)) || cheat != Cheat::OtherWeights || !self.has_colluders();
            match self.caught.get(&node).copied() {
                Some((check, after)) => {
                    let caught = Caught { check, after, wasted: self.wasted(node) };
                    self.outcome.liars += u64::from(counts);
                    self.outcome.caught.extend(counts.then_some(caught));
                }
                None if self.is_idle(node) => self.outcome.idle_liars += 1,
                None => {
                    self.outcome.liars += u64::from(counts);
                    self.fail(format!("{node} lies ({cheat}) and was not caught"));
                }
            }
        }
        self.outcome.steps = steps;
        self.outcome.virtual_ms = virtual_ms;
        self.outcome.misfortunes = misfortunes;
        self.outcome
    }

    fn has_colluders(&self) -> bool {
        self.liars.values().any(|cheat| *cheat == Cheat::ColludingValidator)
    }

    fn wasted(&self, node: Node) -> u64 {
        let Node::Worker(id) = node else { return 0 };
        let trained = self.trained_from.get(&id).copied().unwrap_or(0) * u64::from(GROUP_SIZE);
        self.done.get(&node).copied().unwrap_or(0).saturating_sub(trained)
    }
}

impl Simulation {
    /// Holds a group of a lying worker, about to be trained on, against what an honest one would have sent.
    pub(super) fn witness_lie(&mut self, group: &VerifiedGroup) {
        let lease = &group.group().lease;
        if !self.cast.lying_workers.contains_key(&lease.worker) {
            return;
        }
        if self.honest_root(group) != group.verdicts().first().map(|verdict| verdict.body.root) {
            self.witness.lied(lease.lease);
        }
    }

    fn honest_root(&self, group: &VerifiedGroup) -> Option<protocol::Hash> {
        let lease = &group.group().lease;
        let mut worker = HonestWorker::new(self.world.clone(), lease.worker, true);
        let weights = self.world.weights(lease.weight_version);
        verify::WorkerActor::weights(&mut worker, lease.weight_version, &weights.snapshot).ok()?;
        let signed =
            protocol::Signed::new(lease.clone(), &self.world.terms.id(), &self.world.orchestrator_keys()).ok()?;
        let bytes = worker.answer(&signed).ok()?.bytes.ok()?;
        Some(*protocol::Submission::decode(&bytes).ok()?.root())
    }
}

#[cfg(test)]
mod tests {
    use rounds::{Batch, DropReason};

    use super::*;

    /// The witness of a simulation in which one cheat is at work, with the liars of it.
    fn witness(cheat: Option<Cheat>) -> (Witness, Vec<WorkerId>) {
        let cast = Cast::new(1, cheat);
        (Witness::new(&cast), cast.strangers().into_iter().collect())
    }

    fn failures(witness: Witness) -> Vec<String> {
        witness.conclude(4, 0, Misfortunes::default()).failures
    }

    fn fine(id: WorkerId, check: Check) -> Action {
        Action::Fine { party: Party::Worker(id), lease: Some(0), check }
    }

    fn batch(step: StepNumber, leases: &[LeaseId]) -> Action {
        let leases = leases.to_vec();
        Action::TrainBatch(Batch { step, leases, staleness_sum: 0, staleness_max: 0, tokens: 0 })
    }

    #[test]
    fn a_simulation_that_keeps_its_promises_has_no_failure() {
        let (mut witness, liars) = witness(Some(Cheat::FakeReward));
        liars.iter().for_each(|&id| witness.see(&fine(id, Check::Reward)));
        assert!(witness.is_settled());
        assert_eq!(failures(witness), [""; 0]);
    }

    #[test]
    fn an_honest_party_that_pays_is_a_failure() {
        let (mut witness, _) = witness(None);
        witness.see(&fine(3, Check::Reward));
        assert_eq!(failures(witness), ["worker 3 is honest and was fined for reward (lease Some(0))"]);
    }

    #[test]
    fn a_liar_that_goes_free_or_is_caught_by_chance_is_a_failure() {
        let (mut witness, liars) = witness(Some(Cheat::FakeReward));
        witness.see(&fine(liars[0], Check::Fingerprint));
        assert!(!witness.is_settled());
        let failures = failures(witness);
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert!(failures[0].contains("fined for fingerprint; fake_reward should fail"), "{failures:?}");
        assert!(failures[1].ends_with("lies (fake_reward) and was not caught"), "{failures:?}");
    }

    #[test]
    fn a_lease_that_ends_twice_is_a_failure() {
        let (mut witness, _) = witness(None);
        witness.see(&batch(1, &[0, 1]));
        witness.see(&batch(1, &[0, 1]));
        witness.see(&Action::DropGroup { lease: 1, reason: DropReason::EqualRewards });
        assert_eq!(failures(witness), ["lease 1 ends twice"], "a step asked for again is the same step");
    }

    #[test]
    fn learning_from_who_was_fined_is_a_failure() {
        let (mut witness, liars) = witness(Some(Cheat::FakeReward));
        liars.iter().for_each(|&id| witness.see(&fine(id, Check::Reward)));
        witness.workers.insert(5, liars[0]);
        witness.see(&batch(1, &[5]));
        assert_eq!(failures(witness), [format!("step 1 learns from worker {}, who was fined", liars[0])]);
    }
}
