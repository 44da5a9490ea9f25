//! The run's state, and what each event changes in it.
//!
//! Promise: an event either is refused and changes nothing, or moves the state once; every lease
//! ends exactly once, in a trained batch or in a `DropGroup`.
//! Takes: events. Gives: actions. Never: looks at a clock, waits, or holds tokens.

use std::collections::{BTreeMap, VecDeque};

use protocol::{LeaseId, PromptLease, StepNumber, WeightVersion};
use serde::{Deserialize, Serialize};

use crate::sampler::Sampler;
use crate::{Action, Batch, Counters, EvalId, Event, FinishCause, GroupSummary, Mode, RoundsConfig, RoundsError};

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
    /// Sequential mode only: the leases that are out for the next batch.
    pub(crate) wave: Option<Wave>,
    /// Accepted groups, in training order.
    pub(crate) buffer: VecDeque<GroupSummary>,
    pub(crate) training: Option<Batch>,
    pub(crate) batches_taken: u64,
    pub(crate) trained: StepNumber,
    pub(crate) published: WeightVersion,
    /// Groups that came back in vain since the last batch was taken: failed, without signal, or
    /// made with older weights than leased. Groups that aged in a queue do not count.
    pub(crate) refused: u64,
    /// Empty batches in a row.
    pub(crate) empty_batches: u32,
    /// Evals that run, with the version they score.
    pub(crate) evals: BTreeMap<EvalId, WeightVersion>,
    pub(crate) next_eval: EvalId,
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
    /// What came back; `None` is a failure.
    pub(crate) arrived: BTreeMap<LeaseId, Option<GroupSummary>>,
    /// All waves are used up; the batch is taken as it is.
    pub(crate) spent: bool,
}

impl Rounds {
    /// A run before its first event. Errors: those of [`RoundsConfig::check`].
    pub fn new(config: RoundsConfig) -> Result<Self, RoundsError> {
        config.check()?;
        Ok(Self {
            phase: Phase::New,
            sampler: Sampler::new(&config.tasks),
            events_taken: 0,
            next_lease: 0,
            in_flight: BTreeMap::new(),
            wave: None,
            buffer: VecDeque::new(),
            training: None,
            batches_taken: 0,
            trained: 0,
            published: 0,
            refused: 0,
            empty_batches: 0,
            evals: BTreeMap::new(),
            next_eval: 0,
            saving: None,
            saved: None,
            counters: Counters::default(),
            config,
        })
    }

    /// Takes one event and says what to do now. Equal states and events give equal actions.
    ///
    /// Errors: a named [`RoundsError`]; the state is then unchanged and the event does not belong
    /// in the log. `LeaseEnded` is the normal fate of a late answer. When a finished group is
    /// refused for what it holds, its lease is still out: report `GroupFailed`.
    pub fn on_event(&mut self, event: &Event) -> Result<Vec<Action>, RoundsError> {
        self.admits(event)?;
        let mut actions = Vec::new();
        self.hear(event, &mut actions);
        self.advance(&mut actions);
        self.events_taken += 1;
        Ok(actions)
    }

    fn admits(&self, event: &Event) -> Result<(), RoundsError> {
        match (self.phase, event) {
            (_, Event::Started) => return Ok(()),
            (Phase::New, _) => return Err(RoundsError::NotStarted),
            (Phase::Finished(_), _) => return Err(RoundsError::RunOver),
            _ => {}
        }
        match event {
            Event::Started | Event::StopRequested => Ok(()),
            Event::GroupFinished(group) => self.admits_group(group),
            Event::GroupFailed { lease, .. } => self.leased(*lease).map(drop),
            Event::WeightsPublished { version } => self.admits_version(*version),
            Event::StepTrained { step } => {
                let expected = self.training.as_ref().map(|batch| batch.step);
                let error = RoundsError::StepNotInTraining { expected, given: *step };
                (expected == Some(*step)).then_some(()).ok_or(error)
            }
            Event::EvalFinished { eval } | Event::EvalFailed { eval, .. } => {
                let error = RoundsError::EvalNotRunning { eval: *eval };
                self.evals.contains_key(eval).then_some(()).ok_or(error)
            }
            Event::CheckpointSaved { step } => {
                let expected = self.saving;
                let error = RoundsError::CheckpointNotAsked { expected, given: *step };
                (expected == Some(*step)).then_some(()).ok_or(error)
            }
        }
    }

    fn leased(&self, lease: LeaseId) -> Result<&PromptLease, RoundsError> {
        let unknown = lease >= self.next_lease;
        self.in_flight.get(&lease).ok_or(match unknown {
            true => RoundsError::LeaseUnknown { lease, next: self.next_lease },
            false => RoundsError::LeaseEnded { lease },
        })
    }

    fn admits_group(&self, group: &GroupSummary) -> Result<(), RoundsError> {
        let lease = group.lease;
        let limit = self.leased(lease)?.group_size;
        let given = group.rollouts.len();
        if given == 0 {
            return Err(RoundsError::NoRollouts { lease });
        }
        if given > limit as usize {
            return Err(RoundsError::TooManyRollouts { lease, limit, given });
        }
        let versions = group.rollouts.iter().map(|rollout| rollout.weight_version_min);
        match versions.max() {
            Some(given) if given > self.trained => {
                Err(RoundsError::WeightsFromTheFuture { lease, limit: self.trained, given })
            }
            _ => Ok(()),
        }
    }

    fn admits_version(&self, given: WeightVersion) -> Result<(), RoundsError> {
        let (min, max) = (self.published + 1, self.trained);
        match (min..=max).contains(&given) {
            true => Ok(()),
            false => Err(RoundsError::VersionOutOfOrder { min, max, given }),
        }
    }

    /// Writes an admitted event into the state.
    fn hear(&mut self, event: &Event, actions: &mut Vec<Action>) {
        match event {
            Event::Started => self.start(actions),
            Event::GroupFinished(group) => {
                self.in_flight.remove(&group.lease);
                self.arrive(group.lease, Some(group.clone()), actions);
            }
            Event::GroupFailed { lease, .. } => {
                self.in_flight.remove(lease);
                self.arrive(*lease, None, actions);
            }
            Event::WeightsPublished { version } => self.publish(*version, actions),
            Event::StepTrained { .. } => self.step_trained(actions),
            Event::EvalFinished { eval } | Event::EvalFailed { eval, .. } => {
                self.evals.remove(eval);
            }
            Event::CheckpointSaved { step } => {
                self.saving = None;
                self.saved = Some(*step);
            }
            Event::StopRequested => self.phase = Phase::Ending(FinishCause::Stopped),
        }
    }

    /// A group is back: judged now in async mode, with its whole wave in sequential mode.
    fn arrive(&mut self, lease: LeaseId, back: Option<GroupSummary>, actions: &mut Vec<Action>) {
        match (self.config.mode, &mut self.wave) {
            (Mode::Sequential, Some(wave)) => {
                wave.arrived.insert(lease, back);
            }
            _ => self.judge(lease, back, actions),
        }
    }

    /// Lets one event's consequences play out.
    fn advance(&mut self, actions: &mut Vec<Action>) {
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
