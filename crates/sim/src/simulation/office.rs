//! The orchestrator: rules and desk, a disk behind them, and letters that are sent until answered.
//!
//! Promise: an event is on the disk before its actions are performed, a submission before the rules hear
//! of it, a verdict before it counts; a crash between any two of these loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{
    BeaconPoint, LeaseId, Party, PromptLease, Record, StepNumber, ValidatorId, VerifiedGroup, WeightVersion, WorkerId,
};
use rounds::desk::{Desk, DeskError, Heard, PlantAsk, PlantOrder, Refused, Taken, Timeouts};
use rounds::{Action, Batch as BatchOfLeases, Event, FinishCause, Rounds, RoundsError, Wait};

use super::audit::Audit;
use super::mail::{Errand, Letter};
use super::{Alarm, Simulation};
use crate::cast::Cast;
use crate::chance::Chance;
use crate::network::Node;
use crate::packet::{Batch, Bytes, Packet, Trained};
use crate::world::{STEPS_MAX, Weights, World};

/// How often the orchestrator looks at its clock.
const TICK_MS: u64 = 250;
const TIMEOUTS: Timeouts = Timeouts { lease_ms: 6_000, verdict_ms: 6_000 };

/// What a crash leaves.
#[derive(Default)]
struct Disk {
    log: Vec<Event>,
    checkpoint: Option<Arc<Vec<u8>>>,
    submissions: BTreeMap<LeaseId, Bytes>,
    verdicts: Vec<(LeaseId, Bytes)>,
    weights: BTreeMap<WeightVersion, Weights>,
}

/// The orchestrator's clock: real milliseconds times its rate, plus what it was set by.
struct Clock {
    rate_permille: u64,
    offset_ms: i64,
}

impl Clock {
    fn read(&self, now_ms: u64) -> u64 {
        (now_ms * self.rate_permille / 1_000).saturating_add_signed(self.offset_ms)
    }
}

/// The orchestrator.
pub(super) struct Office {
    rounds: Rounds,
    pub(super) desk: Desk,
    disk: Disk,
    clock: Clock,
    pub(super) letters: BTreeMap<Errand, Letter>,
    draws: BTreeMap<LeaseId, BeaconPoint>,
    pub(super) audit: Audit,
    /// It dies after the next event is logged, before anything follows from it.
    doomed: bool,
}

impl Office {
    pub(super) fn new(world: &World, cast: &Cast, seed: u64) -> Self {
        let mut chance = Chance::new(seed, "clock");
        let clock = Clock { rate_permille: chance.within(990, 1_010), offset_ms: chance.below(1 << 40) as i64 };
        let disk = Disk { weights: [(0, world.weights(0).clone())].into(), ..Disk::default() };
        Self {
            rounds: Rounds::new(cast.config(world)).expect("the cast's configuration is within all bounds"),
            desk: desk(world),
            disk,
            clock,
            letters: BTreeMap::new(),
            draws: BTreeMap::new(),
            audit: Audit::default(),
            doomed: false,
        }
    }

    pub(super) fn waits(&self) -> Vec<Wait> {
        self.rounds.waiting_on()
    }

    pub(super) fn steps_trained(&self) -> StepNumber {
        self.rounds.steps_trained()
    }

    pub(super) fn verified(&self, lease: LeaseId) -> Result<VerifiedGroup, DeskError> {
        self.desk.verified(lease)
    }

    pub(super) fn set_clock(&mut self, by_ms: i64) {
        self.clock.offset_ms = (self.clock.offset_ms + by_ms).max(0);
    }

    pub(super) fn doom(&mut self) {
        self.doomed = true;
    }

    fn forget(&mut self, lease: LeaseId) {
        self.desk.forget(lease);
        self.disk.submissions.remove(&lease);
        self.disk.verdicts.retain(|(other, _)| *other != lease);
        let about = |errand: &Errand| matches!(errand, Errand::Check(other, _) if *other == lease);
        self.letters.retain(|errand, _| !about(errand));
    }
}

fn desk(world: &World) -> Desk {
    Desk::new(world.terms.clone(), world.orchestrator_keys(), TIMEOUTS)
}

impl Simulation {
    pub(super) fn open_office(&mut self) {
        self.network.alarm(Node::Orchestrator, TICK_MS, Alarm::Tick);
        self.tell(Event::Started);
    }

    /// A new process: the last checkpoint, the log since then, what the disk holds of open leases.
    pub(super) fn reopen_office(&mut self) {
        let Office { disk, clock, .. } = std::mem::replace(&mut self.office, Office::new(&self.world, &self.cast, 0));
        let mut rounds = match &disk.checkpoint {
            Some(state) => Rounds::from_bytes(state).expect("the state was written by the rules themselves"),
            None => Rounds::new(self.cast.config(&self.world)).expect("as at the first start"),
        };
        let mut desk = desk(&self.world);
        let restored = disk.submissions.values().try_for_each(|bytes| desk.restore_submission(bytes));
        let restored =
            restored.and_then(|()| disk.verdicts.iter().try_for_each(|(_, bytes)| desk.restore_verdict(bytes)));
        if let Err(error) = restored {
            self.witness.fail(format!("the disk cannot be read back: {error}"));
        }
        for event in &disk.log[rounds.events_taken() as usize..] {
            if let Err(error) = rounds.on_event(event) {
                self.witness.fail(format!("the log cannot be replayed: {event:?}: {error}"));
            }
        }
        let validators = 0..self.validators.len() as ValidatorId; // a few
        let fined = validators.filter(|&id| rounds.fined(Party::Validator(id)).is_some());
        fined.for_each(|id| desk.strike(id));
        let workers = 0..self.workers.len() as WorkerId; // a few
        let fined = workers.filter(|&id| rounds.fined(Party::Worker(id)).is_some());
        fined.for_each(|id| desk.ban(id));
        let drawn = disk.log.iter().filter_map(|event| match event {
            Event::Drawn { lease, beacon } => Some((*lease, *beacon)),
            _ => None,
        });
        self.office.draws = drawn.collect();
        (self.office.rounds, self.office.desk, self.office.disk, self.office.clock) = (rounds, desk, disk, clock);
        self.open_office();
    }

    fn now(&self) -> u64 {
        self.office.clock.read(self.network.now_ms)
    }

    /// Logs an event and does what follows from it. An event that the rules refuse as late or double is
    /// passed over; says whether it was heard.
    fn tell(&mut self, event: Event) -> bool {
        let actions = match self.office.rounds.on_event(&event) {
            Ok(actions) => actions,
            Err(error) => {
                self.note(|| format!("not heard: {event:?}: {error}"));
                if !is_harmless(&error) {
                    self.witness.fail(format!("the rules refuse {event:?}: {error}"));
                }
                return false;
            }
        };
        self.note(|| format!("event {event:?}"));
        self.office.disk.log.push(event);
        self.office.rounds.assert_invariants();
        for action in &actions {
            self.note(|| format!("    {action:?}"));
            self.witness.see(action);
        }
        if std::mem::take(&mut self.office.doomed) {
            self.crash(Node::Orchestrator);
            return true;
        }
        for action in actions {
            self.perform(action);
        }
        true
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Lease(lease) => self.give_lease(&lease),
            Action::Draw { lease } => self.later(100, 1_000, Alarm::Drawn(lease)),
            Action::Check { lease, validator } => self.order_check(lease, validator),
            Action::Reveal { lease, validator } => self.order_reveal(lease, validator),
            Action::Plant { plant, validator } => self.office.desk.want_plant(plant, validator),
            Action::Fine { party, .. } => self.dismiss(party),
            Action::Accepted { .. } | Action::Suspend { .. } | Action::Notice(_) | Action::StartEval { .. } => {}
            Action::TrainBatch(batch) => self.give_batch(batch),
            Action::DropGroup { lease, .. } => self.withdraw(lease),
            Action::PublishWeights { version } => self.later(50, 500, Alarm::Published(version)),
            Action::SaveCheckpoint { step } => {
                let state = Arc::new(self.office.rounds.to_bytes());
                self.later(50, 500, Alarm::Saved(step, state));
            }
            Action::Finish { cause } => self.finish(cause),
        }
    }

    fn later(&mut self, low_ms: u64, high_ms: u64, alarm: Alarm) {
        let delay = self.chance.within(low_ms, high_ms);
        self.network.alarm(Node::Orchestrator, delay, alarm);
    }

    fn give_lease(&mut self, lease: &PromptLease) {
        let now = self.now();
        match self.office.desk.lease(now, lease).map(|signed| signed.encode()) {
            Ok(Ok(bytes)) => {
                let to = Node::Worker(lease.worker);
                self.post(Errand::Lease(lease.lease), to, Packet::Lease(bytes.into()));
            }
            other => self.witness.fail(format!("lease {} cannot be signed: {other:?}", lease.lease)),
        }
    }

    fn order_check(&mut self, lease: LeaseId, validator: ValidatorId) {
        let (now, draw) = (self.now(), self.office.draws.get(&lease).copied().unwrap_or(BeaconPoint::NONE));
        match self.office.desk.check_order(now, lease, validator, draw) {
            Ok(bytes) => {
                let to = Node::Validator(validator);
                self.post(Errand::Check(lease, validator), to, Packet::Order(bytes.into()));
            }
            Err(error) => self.witness.fail(format!("lease {lease} cannot be checked: {error}")),
        }
    }

    fn order_reveal(&mut self, lease: LeaseId, validator: ValidatorId) {
        let now = self.now();
        match self.office.desk.reveal_order(now, lease, validator) {
            Ok(bytes) => self.continue_errand(Errand::Check(lease, validator), Packet::Order(bytes.into())),
            Err(error) => self.witness.fail(format!("validator {validator} cannot be asked to reveal: {error}")),
        }
    }

    fn give_batch(&mut self, batch: BatchOfLeases) {
        let groups: Result<Vec<_>, _> = batch.leases.iter().map(|&lease| self.office.verified(lease)).collect();
        match groups {
            Ok(groups) => {
                groups.iter().for_each(|group| self.witness_lie(group));
                let batch = Arc::new(Batch { step: batch.step, groups });
                self.post(Errand::Train(batch.step), Node::Trainer, Packet::Train(batch));
            }
            Err(error) => {
                self.witness.fail(format!("step {} was to learn from what is not verified: {error}", batch.step));
            }
        }
    }

    fn withdraw(&mut self, lease: LeaseId) {
        self.office.forget(lease);
        if let Some(letter) = self.office.letters.remove(&Errand::Lease(lease)) {
            self.send(Node::Orchestrator, letter.to, Packet::Cancel(lease));
        }
    }

    fn finish(&mut self, cause: FinishCause) {
        let steps_max = self.office.rounds.steps_trained() + self.cast.steps;
        if cause == FinishCause::StepsDone && !self.witness.is_settled() && steps_max <= STEPS_MAX {
            // Goes on until the liar is caught.
            self.tell(Event::Extended { steps_max });
            self.tell(Event::Started);
            return;
        }
        if cause != FinishCause::StepsDone {
            self.witness.fail(format!("the run ends early: {cause:?}"));
        }
        self.over = true;
    }

    pub(super) fn office_wakes(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Tick => self.tick(),
            Alarm::Drawn(lease) => {
                let beacon = self.world.draw_point(lease, self.seed);
                self.office.draws.insert(lease, beacon);
                self.tell(Event::Drawn { lease, beacon });
            }
            Alarm::Published(version) => {
                let Some(weights) = self.office.disk.weights.get(&version) else { return };
                let (weights, beacon) = (weights.hash, self.world.lease_point(version));
                self.tell(Event::WeightsPublished { version, weights, beacon });
            }
            Alarm::Saved(step, state) => {
                self.office.disk.checkpoint = Some(state);
                self.tell(Event::CheckpointSaved { step });
            }
            _ => {}
        }
    }

    fn tick(&mut self) {
        self.network.alarm(Node::Orchestrator, TICK_MS, Alarm::Tick);
        let now = self.now();
        for event in self.office.desk.overdue(now) {
            match event {
                Event::LeaseOverdue { lease } => drop(self.office.letters.remove(&Errand::Lease(lease))),
                Event::VerdictFailed { lease, validator, .. } => {
                    self.office.letters.remove(&Errand::Check(lease, validator));
                }
                _ => {}
            }
            self.tell(event);
            if self.network.is_down(Node::Orchestrator) {
                return;
            }
        }
        self.ask_for_plants(now);
        self.send_again();
    }

    fn ask_for_plants(&mut self, now: u64) {
        for PlantAsk { worker, request } in self.office.desk.plant_requests(now) {
            let to = Node::Worker(worker);
            self.post(Errand::Countersign(worker), to, Packet::PlantRequest(request.into()));
        }
    }

    fn take_plant(&mut self, worker: WorkerId, bytes: &Bytes) {
        let now = self.now();
        match self.office.desk.countersigned(now, worker, bytes) {
            Ok(PlantOrder { validator, order, .. }) => {
                self.office.letters.remove(&Errand::Countersign(worker));
                self.witness.planted();
                self.post(Errand::Plant(validator), Node::Validator(validator), Packet::Order(order.into()));
            }
            Err(why) => self.note(|| format!("signature of worker {worker} refused: {why}")),
        }
    }

    pub(super) fn office_hears(&mut self, from: Node, packet: Packet) {
        match (from, packet) {
            (Node::Worker(id), Packet::Submission(bytes)) => self.take_submission(id, bytes),
            (Node::Worker(id), Packet::Countersigned(bytes)) => self.take_plant(id, &bytes),
            (Node::Worker(_), Packet::Failed(lease)) => {
                let sent_there = |letter: &Letter| letter.to == from; // nobody gives up another's lease
                if self.office.letters.get(&Errand::Lease(lease)).is_some_and(sent_there) {
                    self.office.letters.remove(&Errand::Lease(lease));
                    self.office.forget(lease);
                    self.tell(Event::GroupFailed { lease, cause: "the worker could not".into() });
                }
            }
            (_, Packet::Fetch(version)) => {
                if let Some(weights) = self.office.disk.weights.get(&version).cloned() {
                    self.send(Node::Orchestrator, from, Packet::Weights(version, weights));
                }
            }
            (Node::Validator(id), Packet::Verdict(bytes)) => self.take_verdict(id, bytes),
            (Node::Validator(id), Packet::Replayed(step, outcome)) => {
                if self.office.letters.remove(&Errand::Replay(step, id)).is_some() {
                    self.replayed(id, step, outcome);
                }
            }
            (Node::Trainer, Packet::Trained(trained)) => self.take_step(&trained),
            (from, packet) => self.note(|| format!("{packet:?} of {from} means nothing")),
        }
    }

    fn take_submission(&mut self, worker: u32, bytes: Bytes) {
        match self.office.desk.submission(worker, &bytes) {
            Ok(Taken { submission, event }) => {
                let lease = submission.lease.body.lease;
                self.witness.submitted(worker);
                self.office.letters.remove(&Errand::Lease(lease));
                self.office.disk.submissions.insert(lease, bytes);
                if !self.tell(event) {
                    self.office.forget(lease);
                }
            }
            Err(Refused { event, why }) => {
                self.note(|| format!("submission of worker {worker} refused: {why}"));
                if let Some(event) = event {
                    self.witness.submitted(worker);
                    self.tell(event);
                }
            }
        }
    }

    fn take_verdict(&mut self, validator: ValidatorId, bytes: Bytes) {
        let now = self.now();
        match self.office.desk.from_validator(now, validator, &bytes) {
            Ok(Heard { event, reply }) => {
                if let Some(reply) = reply {
                    self.continue_errand(Errand::Plant(validator), Packet::Order(reply.into()));
                }
                if let Some(event) = event {
                    self.hear_validator(validator, event, bytes);
                }
            }
            Err(Refused { event, why }) => {
                self.note(|| format!("message of validator {validator} refused: {why}"));
                if let Some(event) = event {
                    self.witness.refused(validator);
                    self.tell(event);
                }
            }
        }
    }

    fn hear_validator(&mut self, validator: ValidatorId, event: Event, bytes: Bytes) {
        match &event {
            Event::VerdictSealed { lease, .. } => {
                if let Some(letter) = self.office.letters.get_mut(&Errand::Check(*lease, validator)) {
                    letter.rests = true;
                }
            }
            Event::VerdictRevealed { lease, outcome, .. } => {
                self.office.letters.remove(&Errand::Check(*lease, validator));
                self.office.disk.verdicts.push((*lease, bytes));
                self.witness.judged(*lease, validator, *outcome);
            }
            Event::PlantAnswered { .. } => drop(self.office.letters.remove(&Errand::Plant(validator))),
            _ => {}
        }
        self.tell(event);
    }

    fn take_step(&mut self, trained: &Trained) {
        let step = trained.step;
        self.office.letters.remove(&Errand::Train(step));
        let batch = self.office.rounds.training().filter(|batch| batch.step == step).cloned();
        let Some(batch) = batch else { return };
        self.audit(trained);
        self.office.disk.weights.insert(step, trained.weights.clone());
        self.tell(Event::StepTrained { step });
        batch.leases.into_iter().for_each(|lease| self.office.forget(lease));
    }
}

/// Refusals that lateness, copies and restarts bring about.
fn is_harmless(error: &RoundsError) -> bool {
    matches!(
        error,
        RoundsError::LeaseEnded { .. }
            | RoundsError::WorkerFined { .. }
            | RoundsError::NotChecking { .. }
            | RoundsError::DrawnBefore { .. }
            | RoundsError::VerdictNotAsked { .. }
            | RoundsError::PlantNotOpen { .. }
            | RoundsError::StepNotInTraining { .. }
            | RoundsError::VersionOutOfOrder { .. }
            | RoundsError::CheckpointNotAsked { .. }
            | RoundsError::RunOver
    )
}
