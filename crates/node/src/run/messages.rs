//! What the conductor and the other threads say to each other.
//!
//! Promise: workers and validators are spoken to in encoded, signed records only (and in weights,
//! which they check by hash); every other order is answered by exactly one piece of news, or by `Failed`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::ModelSnapshot;
use protocol::{BeaconPoint, BeaconRound, Hash, LeaseId, ValidatorId, VerifiedGroup, WeightVersion, WorkerId};
use rounds::EvalScore;
use train::StepMetrics;
use verify::{Answer, VerifyError};

use super::payout::BankNews;
use crate::events::{EvalFinished, EvalStage};

/// To a worker.
pub enum WorkerOrder {
    /// Answer this lease: an encoded `Signed<PromptLease>`.
    Lease(Vec<u8>),
    /// Weights that leases will name from now on.
    Weights {
        /// Their version.
        version: WeightVersion,
        /// The numbers.
        snapshot: ModelSnapshot,
    },
    /// Nobody wants the group any more; no news follows.
    Cancel(LeaseId),
    /// Sign a plant: an encoded `Signed<PlantRequest>`.
    Countersign(Vec<u8>),
}

/// To a validator.
pub enum ValidatorOrder {
    /// An encoded order to check, or to reveal.
    Message(Vec<u8>),
    /// Weights that submissions will name from now on.
    Weights {
        /// Their version.
        version: WeightVersion,
        /// The numbers.
        snapshot: ModelSnapshot,
    },
}

/// To the trainer.
pub enum TrainOrder {
    /// Learn from this batch.
    Batch {
        /// The step's number, from 1.
        step: u64,
        /// The groups, in the order that the rules chose.
        groups: Vec<Arc<VerifiedGroup>>,
    },
    /// Write the optimiser's state and the weights into a new folder.
    Save {
        /// Which step's state it is.
        step: u64,
        /// The folder; it does not exist yet.
        folder: PathBuf,
        /// Older weights that leases still name, each with its own new folder.
        older: Vec<(ModelSnapshot, PathBuf)>,
    },
}

/// To the evaluator.
pub struct EvalOrder {
    /// The rules' name for it.
    pub id: u64,
    /// The weights to measure.
    pub version: u64,
    /// Their numbers.
    pub snapshot: ModelSnapshot,
}

/// What a beacon point is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Seeds of the leases that will name these weights.
    Weights(WeightVersion),
    /// Which rollouts of this lease's group are checked, and by whom.
    Draw(LeaseId),
}

/// To the beacon.
pub struct BeaconOrder {
    /// For what.
    pub question: Question,
    /// When it was asked, UTC milliseconds since 1970: the point's randomness is younger.
    pub asked_ms: u64,
    /// The point's round is later than this one.
    pub after: BeaconRound,
}

/// What an evaluation found on one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskScore {
    /// Name of the task.
    pub task: String,
    /// Items measured.
    pub items: u64,
    /// Samples per item.
    pub samples: u64,
    /// Share of exact answers over all samples.
    pub exact_mean: f64,
    /// Chance that at least one of `samples` answers is exact.
    pub pass_at_k: f64,
    /// Mean reward over all samples, 0 to 1.
    pub reward_mean: f64,
    /// Completion tokens of all samples.
    pub tokens: u64,
    /// The same by level, for the rules.
    pub levels: Vec<EvalScore>,
}

impl TaskScore {
    /// As the log has it.
    pub fn event(self, stage: EvalStage, step: u64, seconds: f64) -> EvalFinished {
        let Self { task, items, samples, exact_mean, pass_at_k, reward_mean, tokens, levels: _ } = self;
        EvalFinished { stage, step, task, items, samples, exact_mean, pass_at_k, reward_mean, tokens, seconds }
    }
}

/// To the conductor.
pub enum News {
    /// A worker's answer to a lease.
    Answered {
        /// Who.
        worker: WorkerId,
        /// Its bytes, or why there are none.
        answer: Answer,
    },
    /// A worker's answer to a request to sign a plant.
    Countersigned {
        /// Who.
        worker: WorkerId,
        /// An encoded `Signed<Commitment>`, or why there is none.
        bytes: Result<Vec<u8>, VerifyError>,
    },
    /// A validator's message.
    FromValidator {
        /// Who.
        validator: ValidatorId,
        /// An encoded seal or verdict.
        bytes: Vec<u8>,
    },
    /// The beacon has spoken.
    Point {
        /// For what it was asked.
        question: Question,
        /// What it said.
        point: BeaconPoint,
    },
    /// A batch was learnt.
    Trained {
        /// The step.
        step: u64,
        /// What was measured on the way.
        metrics: Box<StepMetrics>,
        /// The new weights, version `step`.
        snapshot: ModelSnapshot,
        /// Their hash.
        hash: Hash,
        /// Time at work.
        busy: Duration,
    },
    /// A state was written and is whole.
    Saved {
        /// The step.
        step: u64,
    },
    /// An evaluation ended.
    Evaluated {
        /// The rules' name for it.
        id: u64,
        /// The weights measured.
        version: u64,
        /// What was found, task by task.
        scores: Vec<TaskScore>,
        /// Time at work.
        busy: Duration,
    },
    /// The chain's thread has done something, or could not.
    Bank(BankNews),
    /// A thread cannot go on.
    Failed {
        /// Which.
        who: String,
        /// Why.
        error: anyhow::Error,
    },
}
