//! Which events are heard.
//!
//! Promise: an event that does not fit the state is refused with a named error before anything
//! changes; answers that are late, doubled or unasked for are refused and harm nobody.

use protocol::{BeaconPoint, LeaseId, PromptLease, ValidatorId, WeightVersion, WorkerId};

use crate::constants::STEPS_MAX;
use crate::machine::{Phase, Rounds};
use crate::panel::{Panel, SeatState};
use crate::{EvalId, EvalScore, Event, GroupSummary, PlantId, RoundsError};

/// `Ok` if the rule holds.
fn holds(rule: bool, error: RoundsError) -> Result<(), RoundsError> {
    rule.then_some(()).ok_or(error)
}

impl Rounds {
    pub(crate) fn admits(&self, event: &Event) -> Result<(), RoundsError> {
        match (self.phase, event) {
            (_, Event::Started) => return Ok(()),
            (_, Event::Extended { steps_max }) => return self.admits_steps(*steps_max),
            (Phase::New, _) => return Err(RoundsError::NotStarted),
            (Phase::Finished(_), _) => return Err(RoundsError::RunOver),
            _ => {}
        }
        match event {
            Event::Started | Event::Extended { .. } | Event::StopRequested => Ok(()),
            Event::GroupFinished(group) => self.admits_group(group),
            Event::GroupFailed { lease, .. } | Event::LeaseOverdue { lease } => self.leased(*lease).map(drop),
            Event::WorkerLied { worker, .. } => self.admits_worker(*worker),
            Event::Drawn { lease, beacon } => self.admits_draw(*lease, *beacon),
            Event::VerdictSealed { lease, validator } => {
                self.admits_verdict(*lease, *validator, |state| state == SeatState::Asked)
            }
            Event::VerdictRevealed { lease, validator, .. } => {
                self.admits_verdict(*lease, *validator, |state| state == SeatState::Opening)
            }
            Event::VerdictFailed { lease, validator, .. } => self.admits_verdict(*lease, *validator, |_| true),
            Event::PlantAnswered { plant, validator, .. } => self.admits_plant(*plant, *validator),
            Event::WeightsPublished { version, .. } => self.admits_version(*version),
            Event::StepTrained { step } => {
                let expected = self.training.as_ref().map(|batch| batch.step);
                holds(expected == Some(*step), RoundsError::StepNotInTraining { expected, given: *step })
            }
            Event::EvalFinished { eval, scores } => self.admits_scores(*eval, scores),
            Event::EvalFailed { eval, .. } => self.evaluated(*eval),
            Event::CheckpointSaved { step } => {
                let expected = self.saving;
                holds(expected == Some(*step), RoundsError::CheckpointNotAsked { expected, given: *step })
            }
        }
    }

    fn admits_steps(&self, given: u64) -> Result<(), RoundsError> {
        let (field, min, max) = ("steps_max", self.config.steps_max + 1, STEPS_MAX);
        holds((min..=max).contains(&given), RoundsError::ConfigRange { field, min, max, given })
    }

    fn given(&self, lease: LeaseId) -> Result<(), RoundsError> {
        holds(lease < self.next_lease, RoundsError::LeaseUnknown { lease, next: self.next_lease })
    }

    fn leased(&self, lease: LeaseId) -> Result<&PromptLease, RoundsError> {
        self.given(lease)?;
        self.in_flight.get(&lease).ok_or(RoundsError::LeaseEnded { lease })
    }

    fn checking(&self, lease: LeaseId) -> Result<&Panel, RoundsError> {
        self.given(lease)?;
        self.panels.get(&lease).ok_or(RoundsError::NotChecking { lease })
    }

    fn admits_group(&self, group: &GroupSummary) -> Result<(), RoundsError> {
        let lease = group.lease;
        let limit = self.leased(lease)?.group_size;
        let given = group.rollouts.len();
        holds(given > 0, RoundsError::NoRollouts { lease })?;
        holds(given <= limit as usize, RoundsError::TooManyRollouts { lease, limit, given })?;
        let versions = group.rollouts.iter().map(|rollout| rollout.weight_version_min);
        let (limit, given) = (self.trained, versions.max().unwrap_or(0)); // a group has rollouts by now
        holds(given <= limit, RoundsError::WeightsFromTheFuture { lease, limit, given })
    }

    fn evaluated(&self, eval: EvalId) -> Result<(), RoundsError> {
        holds(self.evals.contains_key(&eval), RoundsError::EvalNotRunning { eval })
    }

    fn admits_scores(&self, eval: EvalId, scores: &[EvalScore]) -> Result<(), RoundsError> {
        self.evaluated(eval)?;
        let levels = |score: &EvalScore| self.config.tasks.get(score.task as usize).map_or(0, |share| share.levels);
        let unknown = scores.iter().find(|score| score.level >= levels(score) || score.items > u64::from(u32::MAX));
        match unknown {
            Some(&EvalScore { task, level, items, .. }) => Err(RoundsError::ScoreUnknown { task, level, items }),
            None => Ok(()),
        }
    }

    fn admits_worker(&self, worker: WorkerId) -> Result<(), RoundsError> {
        let workers = self.config.workers;
        let member = self.workers.get(worker as usize).ok_or(RoundsError::WorkerUnknown { worker, workers })?;
        holds(member.fined.is_none(), RoundsError::WorkerFined { worker })
    }

    fn admits_draw(&self, lease: LeaseId, beacon: BeaconPoint) -> Result<(), RoundsError> {
        let panel = self.checking(lease)?;
        holds(panel.drawn.is_none(), RoundsError::DrawnBefore { lease })?;
        let (limit, given) = (panel.leased_at.round, beacon.round);
        holds(given > limit, RoundsError::DrawnTooEarly { lease, limit, given })
    }

    fn admits_verdict(
        &self,
        lease: LeaseId,
        validator: ValidatorId,
        owes: impl Fn(SeatState) -> bool,
    ) -> Result<(), RoundsError> {
        let seat = self.checking(lease)?.open_seat(validator);
        holds(seat.is_some_and(|seat| owes(seat.state)), RoundsError::VerdictNotAsked { lease, validator })
    }

    fn admits_plant(&self, plant: PlantId, validator: ValidatorId) -> Result<(), RoundsError> {
        let open = self.plants.get(&validator) == Some(&plant);
        holds(open, RoundsError::PlantNotOpen { plant, validator })
    }

    fn admits_version(&self, given: WeightVersion) -> Result<(), RoundsError> {
        let (min, max) = (self.published + 1, self.trained);
        holds((min..=max).contains(&given), RoundsError::VersionOutOfOrder { min, max, given })
    }
}
