//! What the rules hear, and what they ask for.
//!
//! Promise: an event carries all that decides; feeding the same events gives the same actions.

use protocol::{Group, LeaseId, PromptLease, StepNumber, WeightVersion};
use serde::{Deserialize, Serialize};

/// Number of an eval within the run, from 0.
pub type EvalId = u64;

/// What the rules need to know of one rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutSummary {
    /// Its reward; 1,000,000 is a whole reward.
    pub reward_micro: i64,
    /// Oldest weights among its completion tokens.
    pub weight_version_min: WeightVersion,
    /// Completion tokens.
    pub tokens: u32,
}

/// What the rules need to know of one finished group. The tokens themselves stay outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// The lease it answers.
    pub lease: LeaseId,
    /// One entry per rollout that came back.
    pub rollouts: Vec<RolloutSummary>,
}

impl From<&Group> for GroupSummary {
    fn from(group: &Group) -> Self {
        let summary = |rollout: &protocol::Rollout| RolloutSummary {
            reward_micro: rollout.reward_micro,
            // An empty completion was made by the weights of its lease.
            weight_version_min: rollout.weight_version_min().unwrap_or(group.lease.weight_version),
            tokens: u32::try_from(rollout.completion_tokens.len()).unwrap_or(u32::MAX), // ≤ limit
        };
        Self { lease: group.lease.lease, rollouts: group.rollouts.iter().map(summary).collect() }
    }
}

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The process is up: the first event of a run, and the first after each resume.
    Started,
    /// A group came back and is stored.
    GroupFinished(GroupSummary),
    /// A group will never come back, or what came back was refused.
    GroupFailed {
        /// Its lease.
        lease: LeaseId,
        /// Why, for people; decides nothing.
        cause: String,
    },
    /// New rollouts are generated with these weights from now on.
    WeightsPublished {
        /// Their version.
        version: WeightVersion,
    },
    /// The trainer has made version `step`.
    StepTrained {
        /// The step.
        step: StepNumber,
    },
    /// All answers of an eval are in.
    EvalFinished {
        /// Which eval.
        eval: EvalId,
    },
    /// An eval will not be finished, for example because its weights went with a crash.
    EvalFailed {
        /// Which eval.
        eval: EvalId,
        /// Why, for people; decides nothing.
        cause: String,
    },
    /// A checkpoint is whole on disk.
    CheckpointSaved {
        /// The step it was asked for.
        step: StepNumber,
    },
    /// Somebody wants the run to end soon, cleanly, and to be resumed later.
    StopRequested,
}

/// A batch in the hands of the trainer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The step that consumes it.
    pub step: StepNumber,
    /// The leases of its groups, in training order.
    pub leases: Vec<LeaseId>,
    /// Sum over groups of `(step - 1) - oldest weight version`, in versions.
    pub staleness_sum: u64,
    /// Largest such staleness, in versions.
    pub staleness_max: u64,
    /// Completion tokens in the batch.
    pub tokens: u64,
}

/// Why a group was dropped whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DropReason {
    /// Its oldest token lags too far behind the weights it would train, in versions.
    Stale {
        /// Most versions allowed.
        limit: u64,
        /// Versions it lags.
        given: u64,
    },
    /// The gate refused it: no reward differs, or the mean is out of bounds.
    NoSignal,
    /// It failed outside.
    GroupFailed,
    /// The last batch has been taken.
    RunEnded,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FinishCause {
    /// All steps are trained, the last eval and checkpoint are done.
    StepsDone,
    /// Somebody asked; `Started` resumes it.
    Stopped,
    /// So many batches in a row had no usable group that going on makes no sense.
    EmptyBatches {
        /// The number of batches, [`crate::constants::EMPTY_BATCHES_MAX`].
        limit: u32,
    },
}

/// Something worth telling that asks for no act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The refills of a batch are used up, so it is taken smaller.
    ShortBatch {
        /// The step.
        step: StepNumber,
        /// Groups in the batch.
        have: u32,
        /// Groups wanted.
        need: u32,
    },
    /// The refills of a batch are used up and no group is usable; the step is tried again.
    EmptyBatch {
        /// The step.
        step: StepNumber,
        /// Empty batches in a row.
        given: u32,
        /// The run stops at this many.
        limit: u32,
    },
    /// An interval eval was left out, as too many are still running.
    EvalSkipped {
        /// The version that is not scored.
        version: WeightVersion,
    },
    /// An interval checkpoint was left out, as the one before is still being saved.
    CheckpointSkipped {
        /// The step that is not saved.
        step: StepNumber,
    },
}

/// Something to be done outside. Perform them in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Generate a group; answer with `GroupFinished` or `GroupFailed`.
    Lease(PromptLease),
    /// Train; answer with `StepTrained`.
    TrainBatch(Batch),
    /// Forget a group. If its lease is still out, cancel the work.
    DropGroup {
        /// Its lease, which has ended now.
        lease: LeaseId,
        /// Why.
        reason: DropReason,
    },
    /// Give the trainer's weights to the engine; answer with `WeightsPublished`.
    PublishWeights {
        /// Their version.
        version: WeightVersion,
    },
    /// Score held-out items while training goes on; answer with `EvalFinished` or `EvalFailed`.
    StartEval {
        /// Which eval.
        eval: EvalId,
        /// The weights to score.
        version: WeightVersion,
        /// Held-out items per task.
        items: u64,
        /// Samples per item.
        samples: u32,
    },
    /// Save the trainer and this machine before the next training action; answer with
    /// `CheckpointSaved`.
    SaveCheckpoint {
        /// The last trained step.
        step: StepNumber,
    },
    /// Tell people.
    Notice(Notice),
    /// The run is over.
    Finish {
        /// Why.
        cause: FinishCause,
    },
}
