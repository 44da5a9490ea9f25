//! Workers and validators as they sit in the network: what they do with what arrives.
//!
//! Promise: an order that arrives twice is done once and answered twice; weights are fetched when they
//! are needed. What an actor remembers goes with its crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use protocol::{CheckOrder, LeaseId, PromptLease, Record, Signed, ValidatorId, WeightVersion, WorkerId, record_kind};
use verify::{Answer, Replay, ValidatorActor, WorkerActor};

use super::{Alarm, Simulation};
use crate::liars;
use crate::memory::{HonestValidator, HonestWorker, SealedVerdicts};
use crate::network::Node;
use crate::packet::{Bytes, Packet};
use crate::world::Weights;

/// Calls of one actor for one lease, after which it counts as broken.
const CALLS_MAX: usize = 10_000;
/// Of a thousand orders whose weights are missing, those that are answered without waiting for them.
const HASTY_PERMILLE: u64 = 50;

/// A worker.
pub(super) struct WorkerSeat {
    actor: Box<dyn WorkerActor>,
    held: BTreeSet<WeightVersion>,
    /// Leases whose weights are not here yet.
    waiting: BTreeMap<LeaseId, Signed<PromptLease>>,
    /// Leases at work; what will be sent, if anything.
    working: BTreeMap<LeaseId, Option<Packet>>,
    answered: BTreeMap<LeaseId, Packet>,
}

/// A validator.
pub(super) struct ValidatorSeat {
    actor: Box<dyn ValidatorActor>,
    /// Its disk.
    sealed: Arc<Mutex<SealedVerdicts>>,
    held: BTreeSet<WeightVersion>,
    waiting: Vec<(WeightVersion, Bytes)>,
}

impl Simulation {
    pub(super) fn worker_seat(&self, id: WorkerId) -> WorkerSeat {
        let lie = self.cast.lying_workers.get(&id);
        let liar = lie.and_then(|cheat| liars::worker(*cheat, self.world.worker_setup(id), &self.ring));
        let honest = || Box::new(HonestWorker::new(self.world.clone(), id, self.remembers()));
        WorkerSeat {
            actor: liar.unwrap_or_else(|| honest()),
            held: BTreeSet::new(),
            waiting: BTreeMap::new(),
            working: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    pub(super) fn validator_seat(&self, id: ValidatorId) -> ValidatorSeat {
        let lie = self.cast.lying_validators.get(&id);
        let liar = lie.and_then(|cheat| liars::validator(*cheat, self.world.validator_setup(id), &self.ring));
        let strangers = self.remembers().then(|| self.cast.strangers());
        let sealed = self.validators.get(id as usize).map_or_else(Default::default, |before| before.sealed.clone());
        let honest = || Box::new(HonestValidator::new(self.world.clone(), id, strangers, sealed.clone()));
        let actor = liar.unwrap_or_else(|| honest());
        ValidatorSeat { actor, sealed, held: BTreeSet::new(), waiting: Vec::new() }
    }

    fn remembers(&self) -> bool {
        self.manner.remembers && !self.cast.trains
    }

    pub(super) fn worker_hears(&mut self, id: WorkerId, packet: Packet) {
        let (node, seat) = (Node::Worker(id), &mut self.workers[id as usize]);
        match packet {
            Packet::Lease(bytes) => {
                let Ok(lease) = Signed::<PromptLease>::decode(&bytes) else { return };
                self.worker_takes(id, lease);
            }
            Packet::Cancel(lease) => {
                seat.waiting.remove(&lease);
                seat.working.remove(&lease);
                seat.actor.cancel(lease);
            }
            // A worker that was restarted has forgotten what it answered, and signs nothing.
            Packet::PlantRequest(bytes) => match seat.actor.countersign(&bytes) {
                Ok(bytes) => self.send(node, Node::Orchestrator, Packet::Countersigned(bytes.into())),
                Err(error) => self.note(|| format!("worker {id} does not sign: {error}")),
            },
            Packet::Weights(version, weights) => self.worker_gets_weights(id, version, &weights),
            other => self.note(|| format!("{node} wonders about {other:?}")),
        }
    }

    fn worker_takes(&mut self, id: WorkerId, lease: Signed<PromptLease>) {
        let (node, seat) = (Node::Worker(id), &mut self.workers[id as usize]);
        let (number, version) = (lease.body.lease, lease.body.weight_version);
        if let Some(answer) = seat.answered.get(&number).cloned() {
            return self.send(node, Node::Orchestrator, answer);
        }
        if seat.working.contains_key(&number) {
            return;
        }
        if seat.held.contains(&version) {
            return self.worker_begins(id, lease);
        }
        seat.waiting.insert(number, lease);
        self.send(node, Node::Orchestrator, Packet::Fetch(version));
    }

    fn worker_gets_weights(&mut self, id: WorkerId, version: WeightVersion, weights: &Weights) {
        let seat = &mut self.workers[id as usize];
        if !seat.held.insert(version) {
            return;
        }
        // An engine's versions only rise; a lease of an older one will be answered with an error.
        if seat.held.last() == Some(&version)
            && let Err(error) = seat.actor.weights(version, &weights.snapshot)
        {
            return self.witness.fail(format!("worker {id} cannot hold weights {version}: {error}"));
        }
        let ready = seat.waiting.extract_if(.., |_, lease| lease.body.weight_version == version);
        let ready: Vec<_> = ready.map(|(_, lease)| lease).collect();
        ready.into_iter().for_each(|lease| self.worker_begins(id, lease));
    }

    fn worker_begins(&mut self, id: WorkerId, lease: Signed<PromptLease>) {
        let seat = &mut self.workers[id as usize];
        let answers = match work(&mut *seat.actor, &lease) {
            Ok(answers) => answers,
            Err(error) => {
                let number = lease.body.lease;
                self.note(|| format!("worker {id} fails on lease {number}: {error}"));
                vec![Answer { lease: number, tokens: 0, bytes: Err(error) }]
            }
        };
        let seat = &mut self.workers[id as usize];
        seat.working.insert(lease.body.lease, None);
        for Answer { lease, bytes, .. } in answers {
            let packet = match bytes {
                Ok(bytes) => Packet::Submission(bytes.into()),
                Err(_) => Packet::Failed(lease),
            };
            seat.working.insert(lease, Some(packet));
            let delay = self.chance.within(200, 1_500);
            self.network.alarm(Node::Worker(id), delay, Alarm::Answered(lease));
        }
    }

    pub(super) fn worker_wakes(&mut self, id: WorkerId, alarm: Alarm) {
        let Alarm::Answered(lease) = alarm else { return };
        let seat = &mut self.workers[id as usize];
        if let Some(packet) = seat.working.remove(&lease).flatten() {
            seat.answered.insert(lease, packet.clone());
            self.send(Node::Worker(id), Node::Orchestrator, packet);
        }
    }

    pub(super) fn validator_hears(&mut self, id: ValidatorId, packet: Packet) {
        let node = Node::Validator(id);
        match packet {
            Packet::Order(bytes) => match record_kind(&bytes) {
                Ok(CheckOrder::KIND) => self.validator_takes(id, bytes),
                _ => self.validator_answers(id, &bytes),
            },
            Packet::Weights(version, weights) => self.validator_gets_weights(id, version, &weights),
            Packet::Replay(step) => {
                let delay = self.chance.within(100, 800);
                self.network.alarm(node, delay, Alarm::Replay(step));
            }
            other => self.note(|| format!("{node} wonders about {other:?}")),
        }
    }

    fn validator_takes(&mut self, id: ValidatorId, bytes: Bytes) {
        let Ok(order) = CheckOrder::decode(&bytes) else { return };
        let version = order.submission.lease.body.weight_version;
        let seat = &mut self.validators[id as usize];
        if seat.held.contains(&version) || self.chance.permille(HASTY_PERMILLE) {
            let delay = self.chance.within(50, 400);
            return self.network.alarm(Node::Validator(id), delay, Alarm::Judge(bytes));
        }
        if !seat.waiting.iter().any(|(_, waiting)| *waiting == bytes) {
            seat.waiting.push((version, bytes));
        }
        self.send(Node::Validator(id), Node::Orchestrator, Packet::Fetch(version));
    }

    fn validator_gets_weights(&mut self, id: ValidatorId, version: WeightVersion, weights: &Weights) {
        let seat = &mut self.validators[id as usize];
        if !seat.held.insert(version) {
            return;
        }
        if let Err(error) = seat.actor.weights(version, &weights.snapshot) {
            return self.witness.fail(format!("validator {id} cannot hold weights {version}: {error}"));
        }
        for (_, bytes) in seat.waiting.extract_if(.., |(waiting, _)| *waiting == version) {
            let delay = self.chance.within(50, 400);
            self.network.alarm(Node::Validator(id), delay, Alarm::Judge(bytes));
        }
    }

    pub(super) fn validator_wakes(&mut self, id: ValidatorId, alarm: Alarm) {
        match alarm {
            Alarm::Judge(bytes) => self.validator_answers(id, &bytes),
            Alarm::Replay(step) => {
                let replay = Replay {
                    terms: &self.world.terms,
                    previous: step.previous.as_ref(),
                    groups: &step.groups,
                    batch: &step.batch,
                };
                let outcome = replay.check(&step.update, step.before.clone());
                let packet = Packet::Replayed(step.update.body.step, outcome);
                self.send(Node::Validator(id), Node::Orchestrator, packet);
            }
            _ => {}
        }
    }

    fn validator_answers(&mut self, id: ValidatorId, bytes: &Bytes) {
        match self.validators[id as usize].actor.message(bytes) {
            Ok(replies) => {
                for reply in replies {
                    self.send(Node::Validator(id), Node::Orchestrator, Packet::Verdict(reply.into()));
                }
            }
            Err(error) => self.witness.fail(format!("validator {id} fails: {error}")),
        }
    }
}

/// Gives a lease to an actor and lets it work until it has nothing left to do.
fn work(actor: &mut dyn WorkerActor, lease: &Signed<PromptLease>) -> Result<Vec<Answer>, String> {
    actor.lease(lease).map_err(|error| error.to_string())?;
    let mut answers = Vec::new();
    for _ in 0..CALLS_MAX {
        if actor.is_idle() {
            return Ok(answers);
        }
        answers.extend(actor.step().map_err(|error| error.to_string())?);
    }
    Err(format!("not idle after {CALLS_MAX} steps"))
}
