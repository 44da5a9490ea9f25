//! What happens in a run, as typed events: the one record.
//!
//! Promise: terminal, metrics files, summary, report and resume are folds over this stream, and
//! the stream holds all they need. Rewards are integers in millionths (`reward_micro`), times are
//! seconds, counts say what they count. Signed records (submissions, verdicts) travel beside the
//! event as bytes, see [`crate::store`].
//! Adding a field: give it `#[serde(default)]`, so that old logs still read. Renaming or removing
//! one: raise [`crate::store::SCHEMA_VERSION`].

mod measures;
mod money;
#[cfg(test)]
mod tests;
mod trust;

use crate::machine::Machine;
pub use measures::{Graded, GroupSums, PhaseSeconds, Range, StepMetrics};
pub use money::{EpochClosed, EpochPosted, PaidOut, PayoutRow, StakeSlashed};
use serde::{Deserialize, Serialize};
pub use trust::{Fined, GroupReceived, TermsSet, VerdictGiven};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run began. Always the first event.
    RunStarted(RunStarted),
    /// A run that had ended or been killed goes on from a checkpoint; what the log says of later steps will be done again.
    RunResumed {
        /// Steps that the checkpoint has behind it.
        step: u64,
        /// Memory that the run was expected to take at most from then on.
        #[serde(skip_serializing_if = "Option::is_none")]
        predicted_memory_bytes: Option<u64>,
    },
    /// One step of the supervised warm-up.
    SftStep(SftStep),
    /// A worker was told to answer a prompt.
    LeaseIssued(LeaseIssued),
    /// What everybody in the run signs under.
    TermsSet(TermsSet),
    /// A submission arrived, decodes, and bears its worker's signature; the payload holds its bytes, until it is dropped with the weights that made it. Nothing it claims has been checked yet.
    GroupReceived(GroupReceived),
    /// A submission was refused before any validator saw it.
    GroupRefused {
        /// Who sent it.
        worker: u32,
        /// The lease it is about, if that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<u64>,
        /// Why, in words.
        words: String,
    },
    /// A validator opened its verdict; the payload holds the signed record, as long as that of the submission.
    VerdictGiven(VerdictGiven),
    /// A group passed its checks; what it claims is what was found.
    GroupAccepted(GroupAccepted),
    /// A validator was shown a known-bad group and has answered.
    PlantAnswered {
        /// Number of the plant, from 0.
        plant: u64,
        /// Who.
        validator: u32,
        /// Whether it found the lie.
        caught: bool,
    },
    /// A liar was caught: it pays, and gets no more work.
    Fined(Fined),
    /// A worker or validator that does not answer gets no work for a while; it pays nothing.
    Suspended {
        /// Who.
        party: protocol::Party,
    },
    /// A group will not be trained on.
    GroupDropped {
        /// Lease of the group.
        lease: u64,
        /// Why.
        reason: rounds::DropReason,
    },
    /// The weights moved by one batch.
    StepTrained(Box<StepTrained>),
    /// How the levels of the tasks stand, and what is known of their items.
    LevelsSeen {
        /// Steps behind it.
        step: u64,
        /// Every level of every task.
        levels: Vec<rounds::LevelView>,
    },
    /// New weights reached the engines.
    WeightsPublished {
        /// Version that now generates.
        version: u64,
        /// From the end of the step to the engines' use of the weights.
        seconds: f64,
    },
    /// Scores on held-out items.
    EvalFinished(EvalFinished),
    /// The whole state is on disk.
    CheckpointSaved {
        /// Steps behind it.
        step: u64,
        /// Folder, relative to the run folder.
        path: String,
        /// Size on disk.
        bytes: u64,
        /// The oldest version whose weights it has.
        oldest_version: u64,
        /// Time to write it.
        seconds: f64,
    },
    /// Somebody was idle for want of something. Told every few seconds, and at the end.
    Waited {
        /// Who waited: `trainer`, `workers`, `validators` or `run`.
        who: String,
        /// For what: `generation`, `checks`, `new weights`, …
        on: String,
        /// How long since it was last told; of workers and validators, all of them together.
        seconds: f64,
    },
    /// Something a person should know; the run goes on.
    Warning {
        /// In plain words, with limit and value where there are any.
        message: String,
    },
    /// An epoch of the ledger is closed.
    EpochClosed(EpochClosed),
    /// An epoch's root is on the chain.
    EpochPosted(EpochPosted),
    /// Stake was taken from a party that was fined.
    StakeSlashed(StakeSlashed),
    /// What everybody has earned and lost, at the end.
    PaidOut(Box<PaidOut>),
    /// What the rules of the run heard, in order; a resumed run feeds them again.
    Rules {
        /// The event of the state machine.
        rules: rounds::Event,
    },
    /// The run is over. A log without it belongs to a run that was killed or still goes on.
    RunFinished(RunFinished),
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Name from the run file.
    pub name: String,
    /// Version of this program.
    pub program_version: String,
    /// The resolved run file, as TOML.
    pub config_toml: String,
    /// Training steps at most.
    pub steps_max: u64,
    /// Warm-up steps at most.
    pub sft_steps_max: u64,
    /// Weights in the model.
    pub parameter_count: u64,
    /// Memory that the run was expected to take at most; absent in older logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_memory_bytes: Option<u64>,
    /// Where it runs.
    pub machine: Machine,
}

/// One step of the supervised warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftStep {
    /// Number of the step, from 1.
    pub step: u64,
    /// What the trainer measured.
    pub learnt: train::SftMetrics,
    /// Time of this step.
    pub seconds: f64,
    /// Largest memory that the process has held so far; absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// A worker was told to answer a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseIssued {
    /// Number of the lease.
    pub lease: u64,
    /// Index of the task in the run file.
    pub task: u32,
    /// Index of the item in the task's training split.
    pub item: u64,
    /// Weights that the worker is to use.
    pub weight_version: u64,
    /// Rollouts asked for.
    pub group_size: u32,
    /// Who is to answer it.
    #[serde(default)]
    pub worker: u32,
}

/// A group of graded rollouts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAccepted {
    /// Number of the lease.
    pub lease: u64,
    /// Index of the task in the run file.
    pub task: u32,
    /// Index of the item in the task's training split.
    pub item: u64,
    /// Who made it.
    #[serde(default)]
    pub worker: u32,
    /// Weight version that produced its tokens.
    pub weight_version: u64,
    /// Reward of each rollout in millionths.
    pub rewards_micro: Vec<i64>,
    /// Rollouts whose answer is exact.
    pub exact_count: u32,
    /// Tokens of the prompt, counted once.
    pub prompt_tokens: u64,
    /// Tokens of all completions together.
    pub completion_tokens: u64,
    /// One rollout of the group as text, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<RolloutText>,
}

/// A rollout as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutText {
    /// What the model was given.
    pub prompt: String,
    /// What it wrote.
    pub completion: String,
    /// What that earned, in millionths.
    pub reward_micro: i64,
    /// Whether the answer is exact.
    pub exact: bool,
}

/// One training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTrained {
    /// Number of the step, from 1.
    pub step: u64,
    /// Weight version that the step made.
    pub version: u64,
    /// All that was measured.
    pub metrics: StepMetrics,
    /// Leases of the groups in the batch.
    #[serde(default)]
    pub leases: Vec<u64>,
}

/// Scores on held-out items of one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalFinished {
    /// When in the run.
    pub stage: EvalStage,
    /// Steps behind the weights.
    pub step: u64,
    /// Name of the task.
    pub task: String,
    /// Items asked.
    pub items: u64,
    /// Rollouts per item: k.
    pub samples: u64,
    /// avg@k: mean over items of the share of exact answers.
    pub exact_mean: f64,
    /// pass@k: share of items with at least one exact answer.
    pub pass_at_k: f64,
    /// Mean reward, 0 to 1.
    pub reward_mean: f64,
    /// Completion tokens generated.
    pub tokens: u64,
    /// Time taken, overlapping training in `async` mode.
    pub seconds: f64,
}

/// When an evaluation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalStage {
    /// Before the supervised warm-up.
    Start,
    /// At the end of a run that is supervised only; its step is a supervised one.
    AfterSft,
    /// After the warm-up, before RL.
    BeforeRl,
    /// While training.
    During,
    /// With the final weights.
    Final,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFinished {
    /// Why it ended.
    pub outcome: Outcome,
    /// Training steps done.
    pub steps: u64,
    /// Wall seconds of this process.
    pub seconds: f64,
    /// Folder of the final weights, relative to the run folder, if they were written.
    pub model_path: Option<String>,
    /// Largest memory that the process has held; absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All steps are done.
    StepsDone,
    /// The held-out score, or the mean training reward, reached its target.
    TargetReached,
    /// The held-out score stays at its best.
    Plateau,
    /// No group has a signal any more, because nearly every rollout earns the whole reward.
    Solved,
    /// The time given is used up.
    TimeUp,
    /// A person asked it to stop.
    Interrupted,
    /// It could not go on.
    Failed(String),
}

impl Outcome {
    /// In words.
    pub fn label(&self) -> String {
        match self {
            Self::StepsDone => "all steps done".to_owned(),
            Self::TargetReached => "target reached".to_owned(),
            Self::Plateau => "the held-out score stays at its best".to_owned(),
            Self::Solved => "solved: nothing left to learn".to_owned(),
            Self::TimeUp => "time used up".to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
            Self::Failed(message) => format!("failed: {message}"),
        }
    }
}

/// An event with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Number of the event, from 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970 (UTC) when it was recorded.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
