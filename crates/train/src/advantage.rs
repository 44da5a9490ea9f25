//! Turns the rewards of groups into advantages.
//!
//! Promise: equal rewards in a group give exactly zero; the answer depends on the rewards alone.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// Added to the standard deviation, as TRL does.
pub const STD_EPSILON: f64 = 1e-4;

/// What the centred rewards are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The standard deviation of the group (GRPO).
    Group,
    /// The standard deviation of all rewards of the batch.
    Batch,
    /// Nothing (Dr. GRPO, prime-rl).
    None,
}

/// `A_i = (r_i - mean(group)) / (std + 1e-4)`, or without the division for [`Scale::None`].
/// Source: TRL 1.16 `GRPOTrainer._generate_and_score_completions`; std has `n - 1` below, and is 0 for one reward.
///
/// - `rewards`: all groups laid end to end; `group_sizes`: how many belong to each
/// - errors: `Length` if the sizes do not add up, `NotFinite` for a NaN or infinite reward
pub fn group_advantages(rewards: &[f32], group_sizes: &[usize], scale: Scale) -> Result<Vec<f32>> {
    let expected = group_sizes.iter().sum();
    if rewards.len() != expected {
        return Err(TrainError::Length { what: "rewards", expected, given: rewards.len() });
    }
    if let Some(index) = rewards.iter().position(|r| !r.is_finite()) {
        return Err(TrainError::NotFinite { what: "reward", index, given: rewards[index].into() });
    }
    let batch_divisor = standard_deviation(rewards) + STD_EPSILON;
    let mut advantages = Vec::with_capacity(rewards.len());
    let mut rest = rewards;
    for &size in group_sizes {
        let (group, tail) = rest.split_at(size);
        rest = tail;
        let divisor = match scale {
            Scale::Group => standard_deviation(group) + STD_EPSILON,
            Scale::Batch => batch_divisor,
            Scale::None => 1.0,
        };
        let centre = mean(group);
        advantages.extend(group.iter().map(|&r| ((f64::from(r) - centre) / divisor) as f32));
    }
    Ok(advantages)
}

/// Mean, exact for equal values: the first value plus the mean distance from it.
fn mean(values: &[f32]) -> f64 {
    let first = values.first().map_or(0.0, |&x| f64::from(x));
    let distance: f64 = values.iter().map(|&x| f64::from(x) - first).sum();
    first + distance / values.len().max(1) as f64
}

fn standard_deviation(values: &[f32]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|&x| (f64::from(x) - centre).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_success_among_four_is_worth_three_halves_of_a_deviation() {
        // mean 1/4; std = sqrt((9/16 + 3/16) / 3) = 1/2; A = (3/4) / 0.5001 and (-1/4) / 0.5001.
        let advantages = group_advantages(&[1.0, 0.0, 0.0, 0.0], &[4], Scale::Group).unwrap();
        for (given, expected) in advantages.iter().zip([0.75 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001, -0.25 / 0.5001])
        {
            assert!((f64::from(*given) - expected).abs() < 1e-6, "{given} instead of {expected}");
        }
    }

    #[test]
    fn equal_rewards_give_exactly_zero() {
        for scale in [Scale::Group, Scale::Batch, Scale::None] {
            let advantages = group_advantages(&[0.3, 0.3, 0.3, 0.9, 0.9, 0.9, 0.7], &[3, 3, 1], scale).unwrap();
            assert!(advantages.iter().all(|&a| a == 0.0), "{scale:?}: {advantages:?}");
        }
    }

    #[test]
    fn wrong_sizes_and_nan_are_refused() {
        assert!(matches!(
            group_advantages(&[1.0, 0.0], &[3], Scale::Group),
            Err(TrainError::Length { expected: 3, given: 2, .. })
        ));
        assert!(matches!(
            group_advantages(&[1.0, f32::NAN], &[2], Scale::None),
            Err(TrainError::NotFinite { index: 1, .. })
        ));
    }
}
