//! Decides whether a group teaches anything.
//!
//! Promise: the answer depends on the group's rewards alone, in no order and with no history.
//! Source: prime-rl's gate `advantage_range`; AReaL keeps success rates of 0.05 to 0.95.

use crate::{Gate, GroupSummary};

impl Gate {
    /// Whether the group may train: `max r > min r` where zero signal is rejected, and
    /// `min ≤ (Σ r)/n ≤ max` where the mean is bounded (compared as `n·min ≤ Σ r ≤ n·max`).
    pub fn passes(&self, group: &GroupSummary) -> bool {
        let rewards = || group.rollouts.iter().map(|rollout| i128::from(rollout.reward_micro));
        let sum: i128 = rewards().sum();
        let count = group.rollouts.len() as i128;
        let in_bounds = self.reward_mean.is_none_or(|bounds| {
            let (min, max) = (i128::from(bounds.min_micro), i128::from(bounds.max_micro));
            (count * min..=count * max).contains(&sum)
        });
        in_bounds && (group.rewards_differ() || !self.reject_zero_signal)
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
        assert!(!strict.passes(&group(&[5, 5, 5])));
        assert!(strict.passes(&group(&[5, 5, 6])));
        let open = Gate { reject_zero_signal: false, reward_mean: None };
        assert!(open.passes(&group(&[5, 5, 5])));
    }

    #[test]
    fn mean_bounds_are_inclusive_and_exact() {
        let bounds = RewardBounds { min_micro: 2, max_micro: 3 };
        let gate = Gate { reject_zero_signal: false, reward_mean: Some(bounds) };
        assert!(gate.passes(&group(&[1, 3])), "mean 2");
        assert!(gate.passes(&group(&[2, 4])), "mean 3");
        assert!(!gate.passes(&group(&[1, 2])), "mean 1.5 is not rounded up to 2");
        assert!(!gate.passes(&group(&[3, 4])), "mean 3.5 is not rounded down to 3");
        assert!(!gate.passes(&group(&[i64::MAX, i64::MAX])), "sums do not overflow");
    }
}
