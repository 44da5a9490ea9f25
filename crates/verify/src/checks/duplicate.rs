//! Whether one sample of a group is a copy of another.
//!
//! Promise: honest samples are never called copies, however predictable the model: two samples of
//! one prompt may well be equal where the model is sure, so equality counts only where it could not
//! have come about by chance.
//! How likely a completion is, is the worker's claim for rollouts that were not drawn: who understates the
//! surprise of copies goes unseen here until one of them is drawn, and then pays for the claim itself
//! (`Logprob`) or, within its tolerance, is held to the validator's own numbers. The token rule finds a copy
//! among the drawn in any case, since each sample has its own noise.
//! Takes: the rollouts of one submission. Copies of other submissions are shown by the token rule,
//! since their noise is another; a verdict that leaned on what this validator saw before would differ
//! from that of a validator who saw other things.

use std::collections::BTreeMap;

use proof::tolerances::DUPLICATE_SURPRISE_MAX_MICRO;
use protocol::{Check, CheckedRollout, Rollout};

use super::{Case, Finding, of_rollout};

/// Errors: `Duplicate` for the first rollout whose completion another one of the group has, if the
/// completion's surprise, `-Σ logprob` in 1e-6 nats, is above [`DUPLICATE_SURPRISE_MAX_MICRO`]. At temperature 0
/// all samples of a prompt are equal, and nothing is said.
pub(crate) fn check(case: &Case, rollouts: &[Rollout]) -> Result<(), Finding> {
    if case.terms.sampling.temperature == 0.0 {
        return Ok(());
    }
    let mut seen: BTreeMap<&[u32], u32> = BTreeMap::new();
    for rollout in rollouts {
        let tokens = rollout.completion_tokens.as_slice();
        if seen.insert(tokens, rollout.sample_index).is_none() {
            continue;
        }
        let chance = surprise_micro(&rollout.logprobs) <= DUPLICATE_SURPRISE_MAX_MICRO;
        let lease = i64::try_from(rollout.lease).unwrap_or(i64::MAX); // it is only shown
        case.require(chance, of_rollout(Check::Duplicate, rollout.sample_index, 0, lease))?;
    }
    Ok(())
}

/// The same for rollouts that were recomputed, by the validator's own log-probabilities.
///
/// Errors: `Duplicate`.
pub(crate) fn check_recomputed(case: &Case, rollouts: &[Rollout], checked: &[CheckedRollout]) -> Result<(), Finding> {
    if case.terms.sampling.temperature == 0.0 {
        return Ok(());
    }
    for own in checked.iter().filter(|own| surprise_micro(&own.logprobs) > DUPLICATE_SURPRISE_MAX_MICRO) {
        let Some(this) = rollouts.iter().find(|rollout| rollout.sample_index == own.sample_index) else { continue };
        let is_copy = |other: &&Rollout| {
            other.sample_index != this.sample_index && other.completion_tokens == this.completion_tokens
        };
        let lease = i64::try_from(this.lease).unwrap_or(i64::MAX); // it is only shown
        let alone = !rollouts.iter().any(|other| is_copy(&other));
        case.require(alone, of_rollout(Check::Duplicate, own.sample_index, 0, lease))?;
    }
    Ok(())
}

fn surprise_micro(logprobs: &[f32]) -> i64 {
    let nats: f64 = logprobs.iter().map(|&logprob| -f64::from(logprob)).sum();
    (nats * 1e6) as i64 // saturates, and a NaN is 0
}

#[cfg(test)]
mod tests {
    use super::surprise_micro;

    #[test]
    fn surprise_is_the_negative_sum_in_millionths() {
        // 0.5 + 1.25 + 2 = 3.75 nats.
        assert_eq!(surprise_micro(&[-0.5, -1.25, -2.0]), 3_750_000);
    }
}
