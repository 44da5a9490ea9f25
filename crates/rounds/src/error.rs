//! Everything that the rules refuse.
//!
//! Promise: a refused event, configuration or state leaves the machine as it was, and the error
//! names the limit and the value.

use thiserror::Error;

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum RoundsError {
    /// A configured number lies outside its bounds.
    #[error("{field} is {given}, allowed are {min} to {max}")]
    ConfigRange { field: &'static str, min: u64, max: u64, given: u64 },
    /// Groups of one never differ in reward, so the gate would refuse all of them.
    #[error("the zero-signal gate needs groups of at least 2, group_size is {group_size}")]
    GateNeedsPairs { group_size: u32 },
    /// No mean reward can pass.
    #[error("reward bounds are empty: min {min_micro} is above max {max_micro}")]
    RewardBoundsEmpty { min_micro: i64, max_micro: i64 },
    /// The first event must be `Started`.
    #[error("the run has not started")]
    NotStarted,
    /// The run is over; only `Started` (a resume) is heard.
    #[error("the run is over")]
    RunOver,
    /// No such lease was ever given.
    #[error("lease {lease} was never given; the next will be {next}")]
    LeaseUnknown { lease: u64, next: u64 },
    /// The lease has been answered or withdrawn before; a late answer is harmless.
    #[error("lease {lease} has ended already")]
    LeaseEnded { lease: u64 },
    /// A finished group must hold a rollout; report `GroupFailed` instead.
    #[error("group of lease {lease} holds no rollout")]
    NoRollouts { lease: u64 },
    /// More rollouts than the lease asked for.
    #[error("group of lease {lease} has {given} rollouts, {limit} were asked for")]
    TooManyRollouts { lease: u64, limit: u32, given: usize },
    /// A token claims weights that nobody has trained yet.
    #[error("group of lease {lease} names weight version {given}, the newest is {limit}")]
    WeightsFromTheFuture { lease: u64, limit: u64, given: u64 },
    /// Published versions rise and never pass the trainer.
    #[error("weights {given} published, expected {min} to {max}")]
    VersionOutOfOrder { min: u64, max: u64, given: u64 },
    /// No such worker is in the run.
    #[error("worker {worker} is not in the run, which has {workers}")]
    WorkerUnknown { worker: u32, workers: u32 },
    /// The worker was fined before; nothing it does counts any more.
    #[error("worker {worker} was fined before")]
    WorkerFined { worker: u32 },
    /// The group is not back yet, or was judged or dropped before; a late draw or verdict is harmless.
    #[error("the group of lease {lease} is not under check")]
    NotChecking { lease: u64 },
    /// A beacon point is drawn once per group.
    #[error("the group of lease {lease} has its beacon point already")]
    DrawnBefore { lease: u64 },
    /// What is drawn must have been unknown when the group was made.
    #[error("beacon round {given} was drawn for lease {lease}, which is bound to round {limit} already")]
    DrawnTooEarly { lease: u64, limit: u64, given: u64 },
    /// The validator owes no seal or no verdict on this group, or no longer; late answers are harmless.
    #[error("validator {validator} was not asked for that on lease {lease}, or not any more")]
    VerdictNotAsked { lease: u64, validator: u32 },
    /// The plant was answered or forgotten, or was shown to somebody else.
    #[error("plant {plant} is not open with validator {validator}")]
    PlantNotOpen { plant: u64, validator: u32 },
    /// Another step, or none, is in training.
    #[error("step {given} reported as trained, in training is {expected:?}")]
    StepNotInTraining { expected: Option<u64>, given: u64 },
    /// The eval was not started or has ended.
    #[error("eval {eval} is not running")]
    EvalNotRunning { eval: u64 },
    /// A score must be of a task and a level of the run, and of at most `u32::MAX` items.
    #[error("a score of task {task}, level {level}, {items} items: the run has no such")]
    ScoreUnknown { task: u32, level: u32, items: u64 },
    /// Another checkpoint, or none, was asked for.
    #[error("checkpoint {given} reported as saved, asked for was {expected:?}")]
    CheckpointNotAsked { expected: Option<u64>, given: u64 },
    /// A saved state is larger than any honest one.
    #[error("saved state has {given} bytes, the limit is {limit}")]
    StateTooLarge { limit: usize, given: usize },
    /// A saved state comes from another version of the rules.
    #[error("saved state has format {given}, this program reads format {expected}")]
    StateFormat { expected: u8, given: u8 },
    /// A saved state ends early or holds impossible bytes.
    #[error("saved state of {bytes} bytes is malformed")]
    StateMalformed { bytes: usize },
    /// A saved state contradicts itself.
    #[error("saved state is inconsistent: {rule}")]
    StateInconsistent { rule: &'static str },
    /// A score was asked of nothing, or of unequal rows.
    #[error("item {item} has {given} samples, expected {expected}")]
    ScoreShape { item: usize, expected: usize, given: usize },
    /// pass@k needs 1 ≤ k ≤ n ≤ 64.
    #[error("pass@{k} of {samples} samples is undefined; needs 1 ≤ k ≤ samples ≤ {limit}")]
    PassAtUndefined { k: u32, samples: u32, limit: u64 },
    /// More right answers than answers.
    #[error("item {item} has {given} right answers of {samples} samples")]
    PassAtCount { item: usize, samples: u32, given: u32 },
    /// Nothing was scored.
    #[error("a score needs at least one item")]
    ScoreOfNothing,
}
