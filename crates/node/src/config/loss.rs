//! The loss that a run file asks for.

use train::{BehaviourLogprobs, LossConfig, Preset};

use super::RunConfig;

/// Largest ratio, either way, of the trained weights' probability to that of a behaviour that nobody checked:
/// AReaL's bound on the same ratio.
const UNCHECKED_RATIO_MAX: f64 = 5.0;

/// The loss of a run file.
pub fn loss(config: &RunConfig) -> LossConfig {
    let preset = config.train.preset;
    let section = config.train.loss.clone();
    let longest = u32::try_from(config.rollout.max_new_tokens).unwrap_or(u32::MAX);
    LossConfig {
        preset,
        clip_low: section.clip_low,
        clip_high: section.clip_high,
        delta: section.delta,
        ratio_cap: section.ratio_cap,
        mask_low: section.mask_low,
        mask_high: section.mask_high,
        kl_tau: section.kl_tau,
        max_completion_tokens: (preset == Preset::DrGrpo).then_some(longest),
        entropy_coef: section.entropy_coef.unwrap_or_default(),
        old: section.old,
        correction: section.correction,
        behaviour_gap_max: gap_max(config),
    }
}

fn gap_max(config: &RunConfig) -> Option<f64> {
    let verify = &config.verify;
    let word = verify.behaviour_logprobs == BehaviourLogprobs::Worker && verify.check_fraction < 1.0;
    let given = config.train.loss.behaviour_gap_max.or(word.then(|| UNCHECKED_RATIO_MAX.ln()));
    given.filter(|gap| *gap != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_log_probability_that_nobody_checked_is_bounded_unless_the_run_file_says_otherwise() {
        let mut config = config::resolve(&config::Sources::default()).unwrap();
        assert_eq!(loss(&config).behaviour_gap_max, Some(5f64.ln()));
        config.train.loss.behaviour_gap_max = Some(0.5);
        assert_eq!(loss(&config).behaviour_gap_max, Some(0.5));
        config.train.loss.behaviour_gap_max = Some(0.0);
        assert_eq!(loss(&config).behaviour_gap_max, None);
        config.train.loss.behaviour_gap_max = None;
        config.verify.check_fraction = 1.0;
        assert_eq!(loss(&config).behaviour_gap_max, None);
    }
}
