//! Decides whether a group teaches anything.
//!
//! Promise: the answer depends on the group's rewards alone, in no order and with no history.
//! Source: prime-rl's gate `advantage_range`; AReaL keeps success rates of 0.05 to 0.95.

use crate::{DropReason, Gate, GroupSummary};

impl Gate {
    /// Why the group may not train: all rewards are equal where zero signal is rejected, or `min ≤ (Σ r)/n ≤ max` does not
    /// hold where the mean is bounded (compared as `n·min ≤ Σ r ≤ n·max`).
    pub fn refusal(&self, group: &GroupSummary) -> Option<DropReason> {
        if self.reject_zero_signal && !group.rewards_differ() {
            return Some(DropReason::EqualRewards);
        }
        let rewards = group.rollouts.iter().map(|rollout| i128::from(rollout.reward_micro));
        let (sum, count) = (rewards.sum::<i128>(), group.rollouts.len() as i128);
        let in_bounds = self.reward_mean.is_none_or(|bounds| {
            let (min, max) = (i128::from(bounds.min_micro), i128::from(bounds.max_micro));
            (count * min..=count * max).contains(&sum)
        });
        (!in_bounds).then_some(DropReason::OutsideGate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RewardBounds, RolloutSummary};

    fn group(rewards: &[i64]) -> GroupSummary {
        let rollout = |&reward_micro| RolloutSummary { reward_micro, weight_version_min: 0, tokens: 1 };
        GroupSummary { lease: 0, root: [0; 32], rollouts: rewards.iter().map(rollout).collect() }
    }

    #[test]
    fn equal_rewards_are_refused_only_when_asked() {
        let strict = Gate { reject_zero_signal: true, reward_mean: None };
        assert_eq!(strict.refusal(&group(&[5, 5, 5])), Some(DropReason::EqualRewards));
        assert_eq!(strict.refusal(&group(&[5, 5, 6])), None);
        let open = Gate { reject_zero_signal: false, reward_mean: None };
        assert_eq!(open.refusal(&group(&[5, 5, 5])), None);
    }

    #[test]
    fn mean_bounds_are_inclusive_and_exact() {
        let bounds = RewardBounds { min_micro: 2, max_micro: 3 };
        let gate = Gate { reject_zero_signal: false, reward_mean: Some(bounds) };
        assert_eq!(gate.refusal(&group(&[1, 3])), None, "mean 2");
        assert_eq!(gate.refusal(&group(&[2, 4])), None, "mean 3");
        assert_eq!(gate.refusal(&group(&[1, 2])), Some(DropReason::OutsideGate), "mean 1.5 is not rounded up to 2");
        assert_eq!(gate.refusal(&group(&[3, 4])), Some(DropReason::OutsideGate), "mean 3.5 is not rounded down to 3");
        assert_eq!(gate.refusal(&group(&[i64::MAX, i64::MAX])), Some(DropReason::OutsideGate), "sums do not overflow");
    }
}
