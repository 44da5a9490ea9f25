//! Says who waits on whom.
//!
//! Promise: whoever could act and does not has an entry here with its reason.

use protocol::{StepNumber, WeightVersion};
use serde::{Deserialize, Serialize};

use crate::machine::{Phase, Rounds};
use crate::{EvalId, FinishCause, Mode};

/// Somebody who would act if it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Waiter {
    /// The trainer, which has nothing to train.
    Trainer,
    /// The workers, which get no further lease.
    Workers,
    /// The run, which would end.
    Run,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Waiting {
    /// The first event.
    Start,
    /// Groups that are leased and not yet back, or back and under check.
    Groups {
        /// Groups at hand; in sequential mode also those still to be judged.
        have: u64,
        /// Groups in a full batch.
        need: u64,
        /// Groups that are out.
        in_flight: u64,
        /// Groups under check.
        checking: u64,
    },
    /// The trainer to finish a step.
    Trainer {
        /// The step.
        step: StepNumber,
    },
    /// The engine to take over new weights.
    Weights {
        /// Their version.
        version: WeightVersion,
    },
    /// A free slot: as many groups are out as are allowed.
    Slots {
        /// Groups allowed out at once.
        limit: u64,
    },
    /// A checkpoint to be whole on disk.
    Checkpoint {
        /// The step it was asked for.
        step: StepNumber,
    },
    /// An eval to finish.
    Eval {
        /// Which eval.
        eval: EvalId,
        /// The weights it scores.
        version: WeightVersion,
    },
    /// Nothing: the run is over.
    Finished {
        /// Why.
        cause: FinishCause,
    },
}

/// `who` cannot go on before `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wait {
    /// Who waits.
    pub who: Waiter,
    /// On what.
    pub on: Waiting,
}

impl Rounds {
    /// Who waits on whom, now. Callers add the times; the rules know no clock.
    pub fn waiting_on(&self) -> Vec<Wait> {
        let run = |on| vec![Wait { who: Waiter::Run, on }];
        match self.phase {
            Phase::New => run(Waiting::Start),
            Phase::Finished(cause) => run(Waiting::Finished { cause }),
            Phase::Ending(cause) => self.end_waits(cause).into_iter().flat_map(run).collect(),
            Phase::Running => {
                let trainer = self.trainer_waits().map(|on| Wait { who: Waiter::Trainer, on });
                let workers = self.workers_wait().map(|on| Wait { who: Waiter::Workers, on });
                trainer.into_iter().chain(workers).collect()
            }
        }
    }

    fn groups(&self) -> Waiting {
        let load = self.load();
        let arrived = self.wave.as_ref().map_or(0, |wave| wave.arrived.len() as u64);
        let have = load.buffered + arrived;
        Waiting::Groups { have, need: load.per_batch, in_flight: load.in_flight, checking: load.checking }
    }

    /// What stands between the trainer's present state and a newer published version.
    fn newer_weights(&self) -> Option<Waiting> {
        let step = self.training.as_ref().map(|batch| Waiting::Trainer { step: batch.step });
        let version = self.trained;
        let unpublished = (self.published < version).then_some(Waiting::Weights { version });
        unpublished.or(step)
    }

    fn trainer_waits(&self) -> Option<Waiting> {
        match (&self.training, self.config.mode) {
            (Some(_), _) => None,
            (None, Mode::Sequential) => Some(self.newer_weights().unwrap_or(self.groups())),
            (None, Mode::Async) => Some(self.groups()),
        }
    }

    fn workers_wait(&self) -> Option<Waiting> {
        let load = self.load();
        if self.batches_taken == self.config.steps_max {
            return None; // no more leases will come, so nobody waits for one
        }
        if let Some((eval, version)) = self.awaited_eval() {
            return Some(Waiting::Eval { eval, version });
        }
        if load.in_flight == load.in_flight_max {
            return Some(Waiting::Slots { limit: load.in_flight_max });
        }
        Some(self.newer_weights().unwrap_or(self.groups()))
    }

    fn end_waits(&self, cause: FinishCause) -> Vec<Waiting> {
        let step = self.training.as_ref().map(|batch| Waiting::Trainer { step: batch.step });
        let save = self.saving.map(|step| Waiting::Checkpoint { step });
        let version = self.trained;
        let weights = (self.published < version).then_some(Waiting::Weights { version });
        let evals = self.evals.iter().map(|(&eval, &version)| Waiting::Eval { eval, version });
        let patient = cause != FinishCause::Stopped;
        let rest = weights.into_iter().chain(evals).filter(|_| patient);
        step.into_iter().chain(save).chain(rest).collect()
    }
}
