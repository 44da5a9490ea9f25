//! What a run owner decides before the run: sizes, bounds and plans.
//!
//! Promise: a checked configuration cannot make the rules loop for ever or hold unbounded state.

use std::num::NonZeroU64;

use protocol::constants::SAMPLES_PER_GROUP_MAX;
use protocol::{BeaconPoint, Hash, RunSeed, StepNumber};
use serde::{Deserialize, Serialize};

use crate::RoundsError;
use crate::constants::{
    EVAL_SAMPLES_MAX, GROUPS_IN_FLIGHT_MAX, GROUPS_PER_STEP_MAX, LEVELS_MAX, OVERDUE_MAX, PPM, STALENESS_MAX,
    STEPS_MAX, TASKS_MAX, VALIDATORS_MAX, WORKERS_MAX,
};

/// How generation and training share time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Step `n` learns only from rollouts made with version `n - 1`; batches do not depend on who
    /// finishes first, so a run is a function of its configuration.
    Sequential,
    /// Workers generate while the trainer trains; a batch is filled in the order of arrival, and
    /// the staleness of what it holds is bounded.
    Async,
}

/// Which groups are worth training on. A refused group is refilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Refuse a group whose rewards are all equal: its advantages are all zero.
    pub reject_zero_signal: bool,
    /// Refuse a group whose mean reward lies outside these bounds (both inclusive).
    pub reward_mean: Option<RewardBounds>,
}

/// Inclusive bounds of a mean reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardBounds {
    /// Lowest mean accepted; 1,000,000 is a whole reward.
    pub min_micro: i64,
    /// Highest mean accepted; 1,000,000 is a whole reward.
    pub max_micro: i64,
}

/// When held-out items are scored, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalPlan {
    /// Score every so many versions; none means only at the start and the end, if asked for.
    pub interval_steps: Option<NonZeroU64>,
    /// Held-out items per task.
    pub items: u64,
    /// Samples per item: the k of avg@k.
    pub samples: u32,
    /// Score version 0.
    pub at_start: bool,
    /// Score the last version, whatever the interval.
    pub at_end: bool,
}

/// One task's share of the training prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskShare {
    /// Leases of this task per round of the sampler; a task of weight 2 is drawn twice as often as
    /// one of weight 1.
    pub weight: u32,
    /// Training items of the task; none means endless.
    pub items: Option<NonZeroU64>,
    /// Levels of difficulty: item `i` of an endless task has level `i mod levels`, 0 the easiest.
    /// 1 for a file.
    pub levels: u32,
}

/// The band of success that the curriculum looks for; see [`crate::curriculum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curriculum {
    /// Items whose mean reward is below this are hard, in millionths.
    pub success_min_ppm: u32,
    /// Items whose mean reward is above this are easy, in millionths.
    pub success_max_ppm: u32,
}

/// Which held-out scores end a run early. A score is the mean over tasks of the share of exact answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRules {
    /// End once a score reaches this, in millionths.
    pub score_target_micro: Option<i64>,
    /// End once scores stay at their best.
    pub plateau: Option<Plateau>,
}

/// When scores stay at their best.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plateau {
    /// Evals in a row that are not above the best before them.
    pub evals: u32,
    /// The last of them must have at least this score, in millionths.
    pub score_min_micro: i64,
}

/// Everything the rules need to know of a run. Part of the saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundsConfig {
    /// Trainer steps until the run is done.
    pub steps_max: StepNumber,
    /// Groups in a batch, `B` in the formulas.
    pub prompts_per_step: u32,
    /// Rollouts in a group.
    pub group_size: u32,
    /// Sequential or asynchronous.
    pub mode: Mode,
    /// Most versions that a token may lag behind the weights it trains, `η` in the formulas.
    /// Sequential runs always use 0.
    pub staleness_max: u64,
    /// Most groups leased and not yet back.
    pub in_flight_groups_max: u32,
    /// Which groups are refused and refilled.
    pub gate: Gate,
    /// Held-out scoring, if any.
    pub eval: Option<EvalPlan>,
    /// Which scores end the run early.
    pub stop: StopRules,
    /// Which items are leased more often; none takes all in turn.
    pub curriculum: Option<Curriculum>,
    /// Save every so many steps; none means only at the end and on a stop.
    pub checkpoint_interval_steps: Option<NonZeroU64>,
    /// The run's tasks with their shares; `PromptLease::task` is an index into this list.
    pub tasks: Vec<TaskShare>,
    /// The run's randomness, copied into each lease.
    pub run_seed: RunSeed,
    /// Workers, numbered from 0.
    pub workers: u32,
    /// Validators, numbered from 0.
    pub validators: u32,
    /// Share of the groups that two validators check, in millionths.
    pub second_check_ppm: u32,
    /// Share of the drawn groups with which a validator is shown a known-bad one, in millionths.
    pub plant_ppm: u32,
    /// Leases or verdicts, failed or not answered, after which a worker or validator rests; two answers
    /// make up for one.
    pub overdue_max: u32,
    /// Hash of version 0 of the weights.
    pub weights: Hash,
    /// Beacon point that the leases of version 0 are bound to.
    pub beacon: BeaconPoint,
}

impl RoundsConfig {
    /// The default staleness bound: AReaL measured no cost up to 4 with the decoupled loss, while
    /// plain PPO collapses from 4 on (arXiv:2505.24298).
    pub const STALENESS_MAX_DEFAULT: u64 = 4;

    /// The staleness bound in force: `η` in async mode, 0 in sequential mode.
    pub fn staleness_limit(&self) -> u64 {
        match self.mode {
            Mode::Sequential => 0,
            Mode::Async => self.staleness_max,
        }
    }

    /// Errors: `ConfigRange` naming the field, its bounds and the value; `GateNeedsPairs` if the
    /// gate would refuse every group; `RewardBoundsEmpty`.
    pub fn check(&self) -> Result<(), RoundsError> {
        let samples_max = SAMPLES_PER_GROUP_MAX as u64;
        within("steps_max", self.steps_max, 1, STEPS_MAX)?;
        within("prompts_per_step", self.prompts_per_step.into(), 1, GROUPS_PER_STEP_MAX)?;
        within("group_size", self.group_size.into(), 1, samples_max)?;
        within("staleness_max", self.staleness_max, 0, STALENESS_MAX)?;
        let in_flight = u64::from(self.in_flight_groups_max);
        within("in_flight_groups_max", in_flight, 1, GROUPS_IN_FLIGHT_MAX)?;
        within("tasks", self.tasks.len() as u64, 1, TASKS_MAX)?;
        for task in &self.tasks {
            within("tasks.weight", task.weight.into(), 1, 1_000_000)?;
            within("tasks.levels", task.levels.into(), 1, if task.items.is_some() { 1 } else { LEVELS_MAX })?;
        }
        self.check_parties()?;
        if let Some(eval) = &self.eval {
            within("eval.items", eval.items, 1, u64::from(u32::MAX))?;
            within("eval.samples", eval.samples.into(), 1, EVAL_SAMPLES_MAX)?;
        }
        self.check_curriculum()?;
        self.check_gate()
    }

    fn check_curriculum(&self) -> Result<(), RoundsError> {
        if let Some(Plateau { evals, .. }) = self.stop.plateau {
            within("stop.plateau.evals", evals.into(), 1, STEPS_MAX)?;
        }
        let Some(Curriculum { success_min_ppm, success_max_ppm }) = self.curriculum else { return Ok(()) };
        within("curriculum.success_max", success_max_ppm.into(), 0, PPM)?;
        within("curriculum.success_min", success_min_ppm.into(), 0, success_max_ppm.into())
    }

    fn check_parties(&self) -> Result<(), RoundsError> {
        within("workers", self.workers.into(), 1, WORKERS_MAX)?;
        within("validators", self.validators.into(), 1, VALIDATORS_MAX)?;
        within("second_check_ppm", self.second_check_ppm.into(), 0, PPM)?;
        within("plant_ppm", self.plant_ppm.into(), 0, PPM)?;
        within("overdue_max", self.overdue_max.into(), 1, OVERDUE_MAX)
    }

    fn check_gate(&self) -> Result<(), RoundsError> {
        if self.gate.reject_zero_signal && self.group_size < 2 {
            return Err(RoundsError::GateNeedsPairs { group_size: self.group_size });
        }
        match self.gate.reward_mean {
            Some(RewardBounds { min_micro, max_micro }) if min_micro > max_micro => {
                Err(RoundsError::RewardBoundsEmpty { min_micro, max_micro })
            }
            _ => Ok(()),
        }
    }
}

fn within(field: &'static str, given: u64, min: u64, max: u64) -> Result<(), RoundsError> {
    match (min..=max).contains(&given) {
        true => Ok(()),
        false => Err(RoundsError::ConfigRange { field, min, max, given }),
    }
}
