//! One run of the whole network.
//!
//! Promise: a function of world, seed, cheat and faults. It ends: after its steps, with every liar
//! caught; or with the reason why not.
//! Takes: what the network says happens next. Gives: an [`Outcome`], and a trace if asked for one.

mod audit;
mod mail;
mod office;
mod peers;
mod trainer;
mod witness;

use std::sync::Arc;

use protocol::{LeaseId, StepNumber, ValidatorId, WeightVersion};

use crate::cast::Cast;
use crate::chance::Chance;
use crate::liars::{Cheat, Ring};
use crate::network::{Faults, Happening, Network, Node};
use crate::packet::{Batch, Bytes, Packet, StepToReplay};
use crate::world::World;

use office::Office;
use peers::{ValidatorSeat, WorkerSeat};
use trainer::TrainerSeat;
pub(crate) use witness::Outcome;
use witness::Witness;

/// Happenings after which a simulation counts as stuck; the longest have about 60,000.
const HAPPENINGS_MAX: u64 = 1_000_000;

/// What a node wants to be woken for.
#[derive(Clone)]
pub(crate) enum Alarm {
    /// The orchestrator looks at its clock.
    Tick,
    /// The beacon has spoken for a lease.
    Drawn(LeaseId),
    /// New leases may use this version.
    Published(WeightVersion),
    /// A checkpoint is on disk.
    Saved(StepNumber, Arc<Vec<u8>>),
    /// A worker is done with a lease.
    Answered(LeaseId),
    /// A validator gets to an order.
    Judge(Bytes),
    /// A validator gets to a replay.
    Replay(Arc<StepToReplay>),
    /// The trainer is done with a batch.
    Trained(Arc<Batch>),
}

/// How to simulate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) faults: Faults,
    /// Whether honest actors may remember earlier simulations.
    pub(crate) remembers: bool,
    /// Whether to write a trace.
    pub(crate) traces: bool,
}

/// A network at work.
pub(crate) struct Simulation {
    world: Arc<World>,
    seed: u64,
    cast: Cast,
    manner: Manner,
    network: Network<Alarm>,
    chance: Chance,
    ring: Ring,
    nodes: Vec<Node>,
    office: Office,
    workers: Vec<WorkerSeat>,
    validators: Vec<ValidatorSeat>,
    trainer: TrainerSeat,
    witness: Witness,
    trace: Vec<String>,
    over: bool,
}

impl Simulation {
    pub(crate) fn new(world: Arc<World>, seed: u64, cheat: Option<Cheat>, manner: Manner) -> Self {
        let cast = Cast::new(seed, cheat);
        let workers = (0..cast.workers).map(Node::Worker);
        let validators = (0..world.terms.validators.len() as u32).map(Node::Validator); // a few
        let nodes = [Node::Orchestrator, Node::Trainer].into_iter().chain(workers).chain(validators).collect();
        let mut simulation = Self {
            office: Office::new(&world, &cast, seed),
            trainer: TrainerSeat::new(&world, &cast),
            witness: Witness::new(&cast),
            network: Network::new(seed, manner.faults),
            chance: Chance::new(seed, "roles"),
            ring: Ring::default(),
            workers: Vec::new(),
            validators: Vec::new(),
            trace: Vec::new(),
            over: false,
            nodes,
            world,
            seed,
            cast,
            manner,
        };
        simulation.seat_everybody();
        simulation
    }

    fn seat_everybody(&mut self) {
        self.workers = (0..self.cast.workers).map(|id| self.worker_seat(id)).collect();
        let validators = self.world.terms.validators.len() as ValidatorId; // a few
        self.validators = (0..validators).map(|id| self.validator_seat(id)).collect();
    }

    /// Plays it to its end.
    pub(crate) fn run(mut self) -> (Outcome, Vec<String>) {
        self.open_office();
        let mut happenings = 0;
        while !self.over {
            happenings += 1;
            let Some(happening) = self.network.next().filter(|_| happenings <= HAPPENINGS_MAX) else {
                let waits = format!("{:?}", self.office.waits());
                self.witness.fail(format!("the run does not end; waiting: {waits}"));
                break;
            };
            self.happen(happening);
        }
        let (steps, counts) = (self.office.steps_trained(), self.network.counts);
        let outcome = self.witness.conclude(steps, self.network.now_ms, counts);
        (outcome, self.trace)
    }

    fn happen(&mut self, happening: Happening<Alarm>) {
        match happening {
            Happening::Arrives { from, to, packet } => {
                self.note(|| format!("{from} -> {to}: {packet:?}"));
                self.arrive(from, to, packet);
            }
            Happening::Alarm { node, alarm } => self.wake(node, alarm),
            Happening::Restart(node) => {
                self.note(|| format!("{node} is up again"));
                self.network.restart(node);
                self.restart(node);
            }
            Happening::Second => self.misfortune(),
        }
    }

    fn arrive(&mut self, from: Node, to: Node, packet: Packet) {
        match to {
            Node::Orchestrator => self.office_hears(from, packet),
            Node::Trainer => self.trainer_hears(packet),
            Node::Worker(id) => self.worker_hears(id, packet),
            Node::Validator(id) => self.validator_hears(id, packet),
        }
    }

    fn wake(&mut self, node: Node, alarm: Alarm) {
        match node {
            Node::Orchestrator => self.office_wakes(alarm),
            Node::Trainer => self.trainer_wakes(alarm),
            Node::Worker(id) => self.worker_wakes(id, alarm),
            Node::Validator(id) => self.validator_wakes(id, alarm),
        }
    }

    fn misfortune(&mut self) {
        let (crash, clock_step) = self.network.misfortune(&self.nodes);
        if let Some(step) = clock_step {
            self.note(|| format!("the orchestrator's clock is set by {step} ms"));
            self.office.set_clock(step);
        }
        match crash {
            // Half of the times it dies between the log and what follows from it.
            Some(Node::Orchestrator) if self.chance.permille(500) => self.office.doom(),
            Some(node) => self.crash(node),
            None => {}
        }
    }

    fn crash(&mut self, node: Node) {
        self.note(|| format!("{node} crashes"));
        self.network.crash(node);
    }

    /// What was in memory is gone.
    fn restart(&mut self, node: Node) {
        match node {
            Node::Orchestrator => self.reopen_office(),
            Node::Trainer => self.trainer.restart(),
            Node::Worker(id) => self.workers[id as usize] = self.worker_seat(id),
            // What a validator has sealed is on its disk. A liar's whole state is, so that it is not caught for
            // a crash.
            Node::Validator(id) if self.cast.lying_validators.contains_key(&id) => {}
            Node::Validator(id) => self.validators[id as usize] = self.validator_seat(id),
        }
    }

    fn send(&mut self, from: Node, to: Node, packet: Packet) {
        if let Packet::Verdict(bytes) = &packet {
            self.ring.overhear(bytes);
        }
        self.network.send(from, to, packet);
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.manner.traces {
            self.trace.push(format!("{:>8} ms  {}", self.network.now_ms, line()));
        }
    }
}
