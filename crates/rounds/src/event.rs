//! What the rules hear, and what they ask for.
//!
//! Promise: an event carries all that decides; feeding the same events gives the same actions.

use protocol::{
    BeaconPoint, Check, Hash, LeaseId, Outcome, Party, PromptLease, RejectReason, StepNumber, Submission, TaskIndex,
    ValidatorId, WeightVersion, WorkerId,
};
use serde::{Deserialize, Serialize};

/// Number of an eval within the run, from 0.
pub type EvalId = u64;

/// Number of a planted known-bad group within the run, from 0.
pub type PlantId = u64;

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
    /// The Merkle root that its worker signed over all rollouts.
    pub root: Hash,
    /// One entry per rollout that came back.
    pub rollouts: Vec<RolloutSummary>,
}

impl GroupSummary {
    /// Whether one of its rewards differs from another.
    pub fn rewards_differ(&self) -> bool {
        let rewards = || self.rollouts.iter().map(|rollout| rollout.reward_micro);
        rewards().min() != rewards().max()
    }

    /// Mean reward of its rollouts, in millionths, rounded towards 0; 0 without any.
    pub fn reward_mean_micro(&self) -> i64 {
        let sum: i128 = self.rollouts.iter().map(|rollout| i128::from(rollout.reward_micro)).sum();
        sum.checked_div(self.rollouts.len() as i128).unwrap_or(0) as i64 // a mean of i64s
    }
}

impl From<&Submission> for GroupSummary {
    fn from(submission: &Submission) -> Self {
        let lease = &submission.lease.body;
        let summary = |rollout: &protocol::Rollout| RolloutSummary {
            reward_micro: rollout.reward_micro,
            // An empty completion was made by the weights of its lease.
            weight_version_min: rollout.weight_version_min().unwrap_or(lease.weight_version),
            tokens: u32::try_from(rollout.completion_tokens.len()).unwrap_or(u32::MAX), // ≤ limit
        };
        let rollouts = submission.rollouts.iter().map(summary).collect();
        Self { lease: lease.lease, root: submission.commitment.body.root, rollouts }
    }
}

/// What decides in a validator's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// Every check ran and passed.
    Valid,
    /// This check ran and failed, clearly: no honest machine can have found the group valid.
    Invalid(Check),
    /// A check could not run on that machine.
    Unchecked,
    /// This check failed by less than its tolerance once more, so near that honest machines may
    /// contradict each other. Enough of these drop the group, and nobody pays.
    Narrow(Check),
}

impl From<&Outcome> for OutcomeKind {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Valid => Self::Valid,
            Outcome::Invalid(reason) if is_narrow(reason) => Self::Narrow(reason.check),
            Outcome::Invalid(reason) => Self::Invalid(reason.check),
            Outcome::Unchecked(_) => Self::Unchecked,
        }
    }
}

/// Whether a number that honest machines find a little different is beyond its limit by less than the
/// limit once more. Where machines cannot differ, every difference is clear.
fn is_narrow(reason: &RejectReason) -> bool {
    let RejectReason { check, limit, given, .. } = *reason;
    match check {
        Check::ActivationExponent
        | Check::ActivationMantissa
        | Check::ActivationSign
        | Check::Fingerprint
        | Check::TokenMargin
        | Check::Logprob => given <= limit.saturating_mul(2),
        Check::ActivationSpread => given.saturating_mul(2) > limit, // the limit is the least allowed
        _ => false,
    }
}

/// The score of one level of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalScore {
    /// The task's place in the run.
    pub task: TaskIndex,
    /// The level.
    pub level: u32,
    /// Held-out items asked.
    pub items: u64,
    /// Mean over items and samples of exactness, in millionths.
    pub exact_micro: i64,
    /// Mean reward, in millionths.
    pub reward_micro: i64,
}

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The process is up: the first event of a run, and the first after each resume.
    Started,
    /// A group came back: decoded, its signatures good, and stored.
    GroupFinished(GroupSummary),
    /// A group will never come back, or what came back was refused. Nobody pays, but it counts against
    /// the worker like a silence.
    GroupFailed {
        /// Its lease.
        lease: LeaseId,
        /// Why, for people; decides nothing.
        cause: String,
    },
    /// A lease's deadline has passed without an answer. Nobody pays, but it counts against the worker.
    LeaseOverdue {
        /// Which lease.
        lease: LeaseId,
    },
    /// A worker sent something that is a lie by itself, before any validator looked: malformed,
    /// badly signed, not its own lease.
    WorkerLied {
        /// Who.
        worker: WorkerId,
        /// The lease it is about, if that can be told.
        lease: Option<LeaseId>,
        /// What it failed.
        check: Check,
    },
    /// The beacon has spoken for a group: randomness of a round later than its commitment.
    Drawn {
        /// The group's lease.
        lease: LeaseId,
        /// The randomness.
        beacon: BeaconPoint,
    },
    /// A validator has committed itself to a verdict that nobody can read yet.
    VerdictSealed {
        /// The group's lease.
        lease: LeaseId,
        /// Who.
        validator: ValidatorId,
    },
    /// A validator has opened its seal; the verdict is stored.
    VerdictRevealed {
        /// The group's lease.
        lease: LeaseId,
        /// Who.
        validator: ValidatorId,
        /// What it says.
        outcome: OutcomeKind,
    },
    /// No verdict can be had from a validator that was asked for one.
    VerdictFailed {
        /// The group's lease.
        lease: LeaseId,
        /// Who.
        validator: ValidatorId,
        /// None: it is overdue, and nobody pays. Some: it lied, for example with a seal that does
        /// not open, and pays.
        check: Option<Check>,
    },
    /// A validator's verdict on a planted known-bad group.
    PlantAnswered {
        /// Which plant.
        plant: PlantId,
        /// Who.
        validator: ValidatorId,
        /// Whether it called the group invalid. A validator that could not check it has not answered.
        caught: bool,
    },
    /// Leases given from now on name these weights and this beacon point.
    WeightsPublished {
        /// Their version.
        version: WeightVersion,
        /// Their hash.
        weights: Hash,
        /// The newest beacon point at this time.
        beacon: BeaconPoint,
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
        /// What each level of each task scored.
        #[serde(default)]
        scores: Vec<EvalScore>,
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
    /// Somebody wants more steps than were planned. On a run that is over, `Started` goes on then.
    Extended {
        /// Trainer steps until the run is done, more than before.
        steps_max: StepNumber,
    },
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
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Its oldest token lags too far behind the weights it would train, in versions.
    Stale {
        /// Most versions allowed.
        limit: u64,
        /// Versions it lags.
        given: u64,
    },
    /// The gate refused it: all rewards are equal, so there is nothing to compare.
    EqualRewards,
    /// The gate refused it: the mean reward is out of bounds.
    OutsideGate,
    /// It failed outside, or its deadline passed.
    Failed,
    /// Its worker was fined: nothing more of that worker is trained on.
    WorkerBanned,
    /// No validator is left who could check it or break a tie, or those who find fault do so too
    /// narrowly to be sure.
    Unchecked,
    /// The last batch has been taken.
    Cancelled,
}

impl DropReason {
    /// In words.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stale { .. } => "too stale",
            Self::EqualRewards => "equal rewards",
            Self::OutsideGate => "outside the gate",
            Self::Failed => "failed",
            Self::WorkerBanned => "of a banned worker",
            Self::Unchecked => "unchecked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FinishCause {
    /// All steps are trained, the last eval and checkpoint are done.
    StepsDone,
    /// Somebody asked; `Started` resumes it.
    Stopped,
    /// Every worker has been fined.
    NoWorkers,
    /// Every validator has been fined.
    NoValidators,
    /// A held-out score reached its target.
    ScoreReached {
        /// The score, in millionths.
        score_micro: i64,
    },
    /// The held-out score stays at its best.
    Plateau {
        /// Evals in a row that were not above the best.
        evals: u32,
        /// The best, in millionths.
        best_micro: i64,
    },
    /// So many groups in a row had no signal that there is nothing to learn.
    NoSignal {
        /// The number of groups, [`crate::constants::SIGNAL_LOST_GROUPS`].
        groups: u32,
        /// Their mean reward, in millionths: near 1,000,000 all is solved, near 0 nothing ever is.
        reward_micro: i64,
    },
    /// So many batches in a row had no usable group that going on makes no sense.
    EmptyBatches {
        /// The number of batches, [`crate::constants::EMPTY_BATCHES_MAX`].
        limit: u32,
    },
}

impl FinishCause {
    /// Whether the run has done what it was to do.
    pub fn is_done(self) -> bool {
        matches!(self, Self::StepsDone | Self::ScoreReached { .. } | Self::Plateau { .. })
    }
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
    /// No group of late had a signal; the run ends if that goes on.
    NoSignal {
        /// Groups judged in a row without a signal.
        groups: u32,
        /// The run ends at this many.
        limit: u32,
        /// Their mean reward, in millionths.
        reward_micro: i64,
    },
    /// Few groups of late had a signal. Told once.
    LittleSignal {
        /// Groups with a signal.
        useful: u32,
        /// Of the latest so many.
        groups: u32,
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
    /// Have the lease's worker generate a group; answer with `GroupFinished`, `GroupFailed`,
    /// `LeaseOverdue` or `WorkerLied`.
    Lease(PromptLease),
    /// Wait for a beacon round later than the group's commitment; answer with `Drawn`.
    Draw {
        /// The group's lease.
        lease: LeaseId,
    },
    /// Have a validator check the group as drawn at [`crate::Rounds::drawn`]; answer with
    /// `VerdictSealed` or `VerdictFailed`. Asked again of the same validator, it begins anew: seals of
    /// before are forgotten.
    Check {
        /// The group's lease.
        lease: LeaseId,
        /// Who.
        validator: ValidatorId,
    },
    /// Have a validator open its seal, as the whole panel has sealed; answer with `VerdictRevealed`
    /// or `VerdictFailed`.
    Reveal {
        /// The group's lease.
        lease: LeaseId,
        /// Who.
        validator: ValidatorId,
    },
    /// The group passed its checks: its worker and validators have earned their pay, whether it is trained on or not.
    Accepted {
        /// The group's lease.
        lease: LeaseId,
    },
    /// Show a validator a known-bad group that looks like any other; answer with `PlantAnswered`, or
    /// not at all: nothing waits for it.
    Plant {
        /// Which plant.
        plant: PlantId,
        /// Who.
        validator: ValidatorId,
    },
    /// Take stake from a liar. It is given no further work, and is fined no second time.
    Fine {
        /// Who pays.
        party: Party,
        /// The lease the lie is about, if there is one.
        lease: Option<LeaseId>,
        /// What the liar failed.
        check: Check,
    },
    /// Tell a silent worker or validator that it rests; later it is asked again.
    Suspend {
        /// Who rests.
        party: Party,
    },
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
