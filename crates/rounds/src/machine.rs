//! The run's state, and what each event changes in it.
//!
//! Promise: an event either is refused and changes nothing, or moves the state once; every lease
//! ends exactly once, in a trained batch or in a `DropGroup`.
//! Takes: events. Gives: actions. Never: looks at a clock, waits, or holds tokens.

use std::collections::{BTreeMap, VecDeque};

use protocol::{BeaconPoint, Hash, LeaseId, PromptLease, StepNumber, ValidatorId, WeightVersion, WorkerId};
use serde::{Deserialize, Serialize};

use crate::members::Member;
use crate::panel::{Panel, SeatState};
use crate::sampler::Sampler;
use crate::signal::Signal;
use crate::stop::Scores;
use crate::verdicts::Due;
use crate::{
    Action, Batch, Counters, DropReason, EvalId, Event, FinishCause, GroupSummary, Mode, PlantId, RoundsConfig,
    RoundsError,
};

/// The orchestrator's rules. Serialise it whole into each checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    pub(crate) config: RoundsConfig,
    pub(crate) phase: Phase,
    pub(crate) sampler: Sampler,
    /// Events taken so far: the position in the log from which a saved state goes on.
    pub(crate) events_taken: u64,
    pub(crate) next_lease: LeaseId,
    pub(crate) in_flight: BTreeMap<LeaseId, PromptLease>,
    /// Groups that are back and not yet judged by validators.
    pub(crate) panels: BTreeMap<LeaseId, Panel>,
    pub(crate) workers: Vec<Member>,
    pub(crate) validators: Vec<Member>,
    /// The worker whose turn it is among those with equally many leases out.
    pub(crate) turn: WorkerId,
    /// The last known-bad group shown to a validator, until it is answered.
    pub(crate) plants: BTreeMap<ValidatorId, PlantId>,
    pub(crate) next_plant: PlantId,
    /// Sequential mode only: the leases that are out for the next batch.
    pub(crate) wave: Option<Wave>,
    /// Accepted groups, in training order.
    pub(crate) buffer: VecDeque<Accepted>,
    pub(crate) training: Option<Batch>,
    pub(crate) batches_taken: u64,
    pub(crate) trained: StepNumber,
    pub(crate) published: WeightVersion,
    /// Hash of the published weights.
    pub(crate) weights: Hash,
    /// Beacon point that new leases are bound to.
    pub(crate) beacon: BeaconPoint,
    /// Groups that came back in vain since the last batch was taken: without signal, or made with
    /// older weights than leased; failed only while every worker rests, so that one that fails does
    /// not use up what the others may. Groups that aged in a queue do not count.
    pub(crate) refused: u64,
    /// Empty batches in a row.
    pub(crate) empty_batches: u32,
    /// Evals that run, with the version they score.
    pub(crate) evals: BTreeMap<EvalId, WeightVersion>,
    pub(crate) next_eval: EvalId,
    pub(crate) scores: Scores,
    pub(crate) signal: Signal,
    pub(crate) saving: Option<StepNumber>,
    pub(crate) saved: Option<StepNumber>,
    pub(crate) counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    New,
    Running,
    Ending(FinishCause),
    Finished(FinishCause),
}

/// Leases of a sequential batch that are judged together, in lease order, once all are back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wave {
    /// 0 is the batch's first wave; refills count from 1.
    pub(crate) number: u32,
    /// Leases still to be given when slots are free.
    pub(crate) unissued: u32,
    /// Groups lost because their worker was fined. Such a wave does not count as a refill: there
    /// are no more of them than workers.
    pub(crate) lost: u32,
    /// The workers that could work when the wave began; they take its leases in turn, so that who
    /// gets which lease does not depend on who finished first.
    pub(crate) crew: Vec<WorkerId>,
    /// What came back, checked.
    pub(crate) arrived: BTreeMap<LeaseId, Back>,
    /// All waves are used up; the batch is taken as it is.
    pub(crate) spent: bool,
}

/// What has become of a lease, before the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Back {
    pub(crate) lease: LeaseId,
    pub(crate) worker: WorkerId,
    /// The group, found valid, or why there is none.
    pub(crate) held: Result<GroupSummary, DropReason>,
}

/// A group that waits for its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) worker: WorkerId,
    pub(crate) group: GroupSummary,
}

impl Rounds {
    /// A run before its first event. Errors: those of [`RoundsConfig::check`].
    pub fn new(config: RoundsConfig) -> Result<Self, RoundsError> {
        config.check()?;
        Ok(Self {
            phase: Phase::New,
            sampler: Sampler::new(&config),
            events_taken: 0,
            next_lease: 0,
            in_flight: BTreeMap::new(),
            panels: BTreeMap::new(),
            workers: vec![Member::default(); config.workers as usize],
            validators: vec![Member::default(); config.validators as usize],
            turn: 0,
            plants: BTreeMap::new(),
            next_plant: 0,
            wave: None,
            buffer: VecDeque::new(),
            training: None,
            batches_taken: 0,
            trained: 0,
            published: 0,
            weights: config.weights,
            beacon: config.beacon,
            refused: 0,
            empty_batches: 0,
            evals: BTreeMap::new(),
            next_eval: 0,
            scores: Scores::default(),
            signal: Signal::default(),
            saving: None,
            saved: None,
            counters: Counters::default(),
            config,
        })
    }

    /// Takes one event and says what to do now. Equal states and events give equal actions.
    ///
    /// Errors: a named [`RoundsError`]; the state is then unchanged and the event does not belong
    /// in the log. `LeaseEnded`, `NotChecking`, `VerdictNotAsked`, `PlantNotOpen` and `WorkerFined` are
    /// the normal fate of a late answer. When a finished group is refused for what it holds, its lease
    /// is still out: report `GroupFailed`.
    pub fn on_event(&mut self, event: &Event) -> Result<Vec<Action>, RoundsError> {
        self.admits(event)?;
        let mut actions = Vec::new();
        self.hear(event, &mut actions);
        self.advance(&mut actions);
        self.events_taken += 1;
        Ok(actions)
    }

    /// Writes an admitted event into the state.
    fn hear(&mut self, event: &Event, actions: &mut Vec<Action>) {
        match event {
            Event::Started => self.start(actions),
            Event::Extended { steps_max } => self.extend(*steps_max),
            Event::GroupFinished(group) => self.open_panel(group, actions),
            Event::GroupFailed { lease, .. } => self.unanswered(*lease, actions),
            Event::LeaseOverdue { lease } => self.overdue(*lease, actions),
            Event::WorkerLied { worker, lease, check } => self.fine_worker(*worker, *lease, *check, actions),
            Event::Drawn { .. }
            | Event::VerdictSealed { .. }
            | Event::VerdictRevealed { .. }
            | Event::VerdictFailed { .. }
            | Event::PlantAnswered { .. } => self.hear_panel(event, actions),
            Event::WeightsPublished { version, weights, beacon } => {
                (self.weights, self.beacon) = (*weights, *beacon);
                self.publish(*version, actions);
            }
            Event::StepTrained { .. } => self.step_trained(actions),
            Event::EvalFinished { eval, scores } => self.scored(*eval, scores),
            Event::EvalFailed { eval, .. } => {
                self.evals.remove(eval);
            }
            Event::CheckpointSaved { step } => {
                self.saving = None;
                self.saved = Some(*step);
            }
            Event::StopRequested => self.phase = Phase::Ending(FinishCause::Stopped),
        }
    }

    /// Writes what beacon and validators say into the state, and lets the panels go on.
    fn hear_panel(&mut self, event: &Event, actions: &mut Vec<Action>) {
        let mut due = Due::new();
        match event {
            Event::Drawn { lease, beacon } => {
                self.draw(*lease, *beacon, actions);
                due.insert(*lease);
            }
            Event::VerdictSealed { lease, validator } => {
                self.panel_mut(*lease).settle_seat(*validator, SeatState::Sealed);
                due.insert(*lease);
            }
            Event::VerdictRevealed { lease, validator, outcome } => {
                self.verdict(*lease, *validator, *outcome);
                due.insert(*lease);
            }
            Event::VerdictFailed { lease, validator, check } => {
                self.verdict_failed(*lease, *validator, *check, &mut due, actions);
                due.insert(*lease);
            }
            Event::PlantAnswered { validator, caught, .. } => {
                self.plant_answered(*validator, *caught, &mut due, actions);
            }
            _ => {} // no other event comes here
        }
        self.settle(due, actions);
    }

    /// A lease has come to its end outside: judged now in async mode, with its whole wave in
    /// sequential mode.
    pub(crate) fn arrive(&mut self, back: Back, actions: &mut Vec<Action>) {
        match (self.config.mode, &mut self.wave) {
            (Mode::Sequential, Some(wave)) => {
                wave.arrived.insert(back.lease, back);
            }
            _ => self.judge(back, actions),
        }
    }

    /// Lets one event's consequences play out.
    fn advance(&mut self, actions: &mut Vec<Action>) {
        if let (Phase::Running, Some(cause)) = (self.phase, self.nobody_left()) {
            self.phase = Phase::Ending(cause);
        }
        if self.phase == Phase::Running {
            self.fill(actions);
        }
        if self.batches_taken == self.config.steps_max {
            self.withdraw_rest(actions);
        }
        if self.phase == Phase::Running && self.trained == self.config.steps_max {
            self.phase = Phase::Ending(FinishCause::StepsDone);
        }
        if let Phase::Ending(cause) = self.phase {
            self.wind_down(cause, actions);
        }
    }
}
