//! What is measured in a training step.
//!
//! Promise: a number is measured or absent; none has a default. `docs/metrics.md` says under which names they are
//! published.

use protocol::{FinishReason, Group};
use serde::{Deserialize, Serialize};

/// What is measured in one training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// All groups that passed their checks since the last step, those that are not trained on too; absent if none did.
    pub all: Option<Graded>,
    /// The groups of the batch: those that were trained on.
    pub batch: Graded,
    /// What the trainer measured.
    pub learnt: train::StepMetrics,
    /// Age of the batch's rollouts in weight versions.
    pub staleness: Range,
    /// Groups dropped for age since the last step.
    pub dropped_stale: u64,
    /// Seconds of each phase.
    pub time: PhaseSeconds,
    /// Largest memory that the process has held so far; absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

impl StepMetrics {
    /// Completion tokens generated since the last step, dropped groups too.
    pub fn tokens_generated(&self) -> u64 {
        self.all.as_ref().map_or(0, |all| all.completion_tokens)
    }

    /// Prompt and completion tokens trained on.
    pub fn tokens_trained(&self) -> u64 {
        self.learnt.batch.tokens as u64
    }
}

/// Some groups of graded rollouts in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// Groups.
    pub groups: u64,
    /// Rollouts in them.
    pub rollouts: u64,
    /// Mean reward, 0 to 1.
    pub reward_mean: f64,
    /// Standard deviation of the rewards, divided by n - 1 as TRL does; 0 of a single rollout.
    pub reward_std: f64,
    /// Share of rollouts whose answer is exact.
    pub exact_share: f64,
    /// Share of groups in which every rollout is exact.
    pub solved_all_share: f64,
    /// Share of groups in which no rollout is exact.
    pub solved_none_share: f64,
    /// Share of groups whose rewards are all equal.
    pub equal_rewards_share: f64,
    /// Tokens of all completions together.
    pub completion_tokens: u64,
    /// Tokens of one completion.
    pub completion_length: Range,
    /// Share of completions that met the length limit.
    pub truncated_share: f64,
}

/// Mean and extremes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// Sums over groups, from which [`Graded`] is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupSums {
    groups: u64,
    solved_all: u64,
    solved_none: u64,
    equal_rewards: u64,
    exact: u64,
    truncated: u64,
    rewards: Sums,
    lengths: Sums,
}

impl GroupSums {
    /// Counts a group.
    pub fn add(&mut self, group: &Group) {
        let rewards = || group.rollouts.iter().map(|rollout| rollout.reward_micro);
        let exact = group.rollouts.iter().filter(|rollout| rollout.exact).count();
        self.groups += 1;
        self.solved_all += u64::from(exact == group.rollouts.len());
        self.solved_none += u64::from(exact == 0);
        self.equal_rewards += u64::from(rewards().min() == rewards().max());
        self.exact += exact as u64;
        for rollout in &group.rollouts {
            self.truncated += u64::from(rollout.finish == FinishReason::Length);
            self.rewards.add(rollout.reward_micro as f64 / 1e6);
            self.lengths.add(rollout.completion_tokens.len() as f64);
        }
    }

    /// `None` if no rollout was counted.
    pub fn graded(&self) -> Option<Graded> {
        let (rewards, lengths) = (self.rewards.range()?, self.lengths.range()?);
        let of_groups = |part: u64| part as f64 / self.groups as f64;
        let of_rollouts = |part: u64| part as f64 / self.rewards.count as f64;
        Some(Graded {
            groups: self.groups,
            rollouts: self.rewards.count,
            reward_mean: rewards.mean,
            reward_std: self.rewards.std(),
            exact_share: of_rollouts(self.exact),
            solved_all_share: of_groups(self.solved_all),
            solved_none_share: of_groups(self.solved_none),
            equal_rewards_share: of_groups(self.equal_rewards),
            completion_tokens: self.lengths.sum as u64,
            completion_length: lengths,
            truncated_share: of_rollouts(self.truncated),
        })
    }
}

/// Sums over numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    count: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Sums {
    /// Counts a number.
    fn add(&mut self, value: f64) {
        let is_first = self.count == 0;
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
        self.min = if is_first { value } else { self.min.min(value) };
        self.max = if is_first { value } else { self.max.max(value) };
    }

    /// `None` if there was no number.
    fn range(&self) -> Option<Range> {
        (self.count > 0).then(|| Range { mean: self.sum / self.count as f64, min: self.min, max: self.max })
    }

    /// `sqrt((Σx² - (Σx)²/n) / (n - 1))`; 0 for fewer than two numbers.
    fn std(&self) -> f64 {
        let count = self.count as f64;
        match self.count {
            0 | 1 => 0.0,
            // Rounding may leave a little less than nothing.
            _ => ((self.squares - self.sum * self.sum / count).max(0.0) / (count - 1.0)).sqrt(),
        }
    }
}

impl Range {
    /// `None` of no numbers.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sums = Sums::default();
        values.into_iter().for_each(|value| sums.add(value));
        sums.range()
    }
}

/// Seconds of one step by phase. In `async` mode generation and checks overlap the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseSeconds {
    /// From the end of the last step to the end of this one.
    pub step: f64,
    /// Busy time of all workers together since the last step, proofs included.
    pub generate: f64,
    /// The part of it that went into proofs and grades.
    pub prove: f64,
    /// Busy time of all validators together since the last step.
    pub validate: f64,
    /// Trainer idle, waiting for a batch.
    pub wait_for_batch: f64,
    /// Packing, forward and backward passes, and the optimiser.
    pub forward_backward: f64,
    /// Copying the new weights out of the trainer, and their hash.
    pub snapshot_weights: f64,
    /// From new weights to the beacon point with which leases may name them.
    pub publish_weights: f64,
    /// Writing a checkpoint.
    pub save_ckpt: f64,
}

impl std::ops::Add for PhaseSeconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            step: self.step + other.step,
            generate: self.generate + other.generate,
            prove: self.prove + other.prove,
            validate: self.validate + other.validate,
            wait_for_batch: self.wait_for_batch + other.wait_for_batch,
            forward_backward: self.forward_backward + other.forward_backward,
            snapshot_weights: self.snapshot_weights + other.snapshot_weights,
            publish_weights: self.publish_weights + other.publish_weights,
            save_ckpt: self.save_ckpt + other.save_ckpt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_worked_by_hand() {
        // 1, 3: mean 2, squared distances 1 and 1, divided by n - 1 = 1: sqrt 2.
        let mut sums = Sums::default();
        [3.0, 1.0].into_iter().for_each(|x| sums.add(x));
        assert_eq!(sums.range(), Some(Range { mean: 2.0, min: 1.0, max: 3.0 }));
        assert!((sums.std() - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!((Sums::default().range(), Range::of([]), GroupSums::default().graded()), (None, None, None));
    }
}
