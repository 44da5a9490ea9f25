//! What the conductor and its three threads say to each other.
//!
//! Promise: every order is answered by exactly one piece of news, or by `Failed`.

use std::sync::Arc;
use std::time::Duration;

use model::ModelSnapshot;
use protocol::{Group, LeaseId, PromptLease};
use tasks::Item;
use train::StepMetrics;

use crate::events::{EvalFinished, EvalStage};

/// To the worker.
pub enum WorkerOrder {
    /// Answer this prompt.
    Lease(Box<LeasedPrompt>),
    /// Use these weights from the next token on.
    Weights {
        /// Their version.
        version: u64,
        /// The numbers.
        snapshot: ModelSnapshot,
    },
    /// After a restart: these weights were published before it; no news follows.
    Restore {
        /// Their version.
        version: u64,
        /// The numbers.
        snapshot: ModelSnapshot,
    },
    /// Nobody wants the group any more; no news follows.
    Cancel(LeaseId),
}

/// A lease with the prompt that it stands for.
pub struct LeasedPrompt {
    /// What is asked for.
    pub lease: PromptLease,
    /// The item, for grading.
    pub item: Item,
    /// Its token ids.
    pub prompt: Arc<[u32]>,
}

/// To the trainer.
pub enum TrainOrder {
    /// Learn from this batch.
    Batch {
        /// The step's number, from 1.
        step: u64,
        /// The groups, in the order that the rules chose.
        groups: Vec<Arc<Group>>,
    },
    /// Write the optimiser's state and the weights into a new folder.
    Save {
        /// Which step's state it is.
        step: u64,
        /// The folder; it does not exist yet.
        folder: std::path::PathBuf,
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
}

impl TaskScore {
    /// As the log has it.
    pub fn event(self, stage: EvalStage, step: u64, seconds: f64) -> EvalFinished {
        let Self { task, items, samples, exact_mean, pass_at_k, reward_mean, tokens } = self;
        EvalFinished { stage, step, task, items, samples, exact_mean, pass_at_k, reward_mean, tokens, seconds }
    }
}

/// To the conductor.
pub enum News {
    /// All samples of a lease ended.
    Group(Arc<Group>),
    /// The worker uses the weights of this version from now on.
    Published {
        /// Their version.
        version: u64,
    },
    /// A lease could not be answered.
    GroupFailed {
        /// Which.
        lease: LeaseId,
        /// Why, for people.
        reason: String,
    },
    /// A batch was learnt.
    Trained {
        /// The step.
        step: u64,
        /// What was measured on the way.
        metrics: Box<StepMetrics>,
        /// The new weights, version `step`.
        snapshot: ModelSnapshot,
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
    /// A thread cannot go on.
    Failed {
        /// Which.
        who: &'static str,
        /// Why.
        error: anyhow::Error,
    },
}
