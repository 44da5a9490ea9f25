//! What the conductor and the other threads say to each other.
//!
//! Promise: workers and validators are spoken to in encoded, signed records only (and in weights,
//! which they check by hash); every other order is answered by exactly one piece of news, or by `Failed`.
//!
//! Every queue is bounded. The conductor never waits for room, and the others wait for room in its queue of news only:
//! so whatever is full, the conductor goes on taking news and nobody waits in a circle. An order to a worker or
//! validator whose queue is full is lost, as over a network, and its deadline passes; the rules never have more orders
//! to the other threads under way than their queues hold.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::ModelSnapshot;
use protocol::{BeaconPoint, BeaconRound, Hash, LeaseId, ValidatorId, VerifiedGroup, WeightVersion, WorkerId};
use rounds::EvalScore;
use rounds::constants::EVALS_RUNNING_MAX;
use train::StepMetrics;
use verify::{Answer, VerifyError};

use super::measure::TrainTime;
use super::payout::BankNews;
use super::setup;
use crate::config::RunConfig;
use record::events::{EvalFinished, EvalStage};

/// News that the conductor has not taken; threads with more of it wait.
const NEWS_LEN_MAX: usize = 64;
/// A batch and a checkpoint: the rules have one of each under way.
const TRAIN_ORDERS_MAX: usize = 2;
/// Evaluations under way, and the one at the end, which is never skipped.
const EVAL_ORDERS_MAX: usize = EVALS_RUNNING_MAX + 1;
/// Orders to the chain's thread; what is more waits with the paymaster.
pub const BANK_ORDERS_MAX: usize = 16;
/// Orders that are not about groups under way: weights, plants, leases taken back.
const ORDERS_SPARE: usize = 64;
/// Most orders in one queue, however large the run: room is taken when the queue is made.
const ORDERS_MAX: usize = 1 << 16;

/// How long the queues of a run are.
#[derive(Clone, Copy, Debug)]
pub struct QueueSizes {
    /// To the conductor.
    pub news: usize,
    /// To each worker, each validator and the beacon: twice the groups that the rules let live at once, since the
    /// answer may be on its way, and some.
    pub orders: usize,
    /// To the trainer.
    pub train: usize,
    /// To the evaluator.
    pub eval: usize,
}

impl QueueSizes {
    /// Those of a run file.
    pub fn of(config: &RunConfig) -> Self {
        let batches = usize::try_from(setup::staleness_limit(config)).unwrap_or(usize::MAX).saturating_add(2);
        let groups = batches.saturating_mul(config.rollout.prompts_per_step).saturating_add(config.in_flight_max());
        Self {
            news: NEWS_LEN_MAX,
            orders: groups.saturating_mul(2).saturating_add(ORDERS_SPARE).min(ORDERS_MAX),
            train: TRAIN_ORDERS_MAX,
            eval: EVAL_ORDERS_MAX,
        }
    }
}

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
    /// No lease will name older weights than these.
    ForgetBefore(WeightVersion),
    /// Nobody wants the group any more; no news follows.
    Cancel(LeaseId),
    /// Sign a plant: an encoded `Signed<PlantRequest>`.
    Countersign(Vec<u8>),
}

/// To a validator.
pub enum ValidatorOrder {
    /// An encoded order to check, or to reveal.
    Message(Vec<u8>),
    /// No check will name older weights than these.
    ForgetBefore(WeightVersion),
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
        /// Older weights, the newest first.
        older: Vec<OlderWeights>,
    },
}

/// Weights older than the state that is saved.
pub struct OlderWeights {
    /// Their version.
    pub version: WeightVersion,
    /// The numbers.
    pub snapshot: ModelSnapshot,
    /// Their file, which does not exist yet.
    pub path: PathBuf,
    /// Whether leases under way need them; others are saved while they take little room.
    pub is_needed: bool,
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
        time: TrainTime,
    },
    /// A state was written and is whole.
    Saved {
        /// The step.
        step: u64,
        /// Time at work.
        busy: Duration,
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
