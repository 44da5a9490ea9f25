//! Names the losses and their numbers.
//!
//! Promise: a preset and its overrides become one [`Loss`]; a setting that a preset does not use is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::advantage::Scale;
use crate::error::{Result, TrainError};

/// A loss by name; each has a page in `docs/algorithms/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Clipped ratio, mean over each sequence's tokens, then over sequences. arXiv:2402.03300.
    Grpo,
    /// Clipped ratio with a higher upper clip, mean over all tokens. arXiv:2503.14476.
    Dapo,
    /// Clipped ratio, sum over a constant. arXiv:2503.20783.
    DrGrpo,
    /// Clipped on both sides, also where the advantage is negative. arXiv:2505.07291 (INTELLECT-2).
    GrpoPlus,
    /// Clipped ratio of whole sequences. arXiv:2507.18071.
    Gspo,
    /// Capped ratio as a constant weight on the log-probability. arXiv:2506.13585.
    Cispo,
    /// Tokens whose probability moved too far are dropped, plus a squared log-ratio. arXiv:2602.04879; prime-rl's default.
    Dppo,
    /// Clipped against the policy before the update, weighted by its ratio to the engine's. arXiv:2505.24298 (AReaL).
    Decoupled,
}

impl Preset {
    /// How the preset's paper or code scales advantages.
    pub fn scale(self) -> Scale {
        match self {
            Self::DrGrpo | Self::Dppo => Scale::None,
            _ => Scale::Group,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What the ratio's denominator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldPolicy {
    /// What the engine reported for each token: one ratio corrects staleness and numeric mismatch together.
    Behaviour,
    /// The trainer's own weights just before the batch; the engine's mismatch is corrected by [`Correction`].
    Recomputed,
}

/// How a weight `old / behaviour` outside `[min, max]` is treated, and what it is a ratio of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionMode {
    /// No weight.
    None,
    /// Per token, moved to the nearest bound.
    TokenTruncate,
    /// Per token, 0 outside the bounds.
    TokenMask,
    /// Per sequence (product over its tokens), moved to the nearest bound.
    SequenceTruncate,
    /// Per sequence (product over its tokens), 0 outside the bounds.
    SequenceMask,
}

/// Importance weight `old / behaviour` on each token's loss. Source: TRL 1.16, `vllm_importance_sampling_*`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The kind.
    pub mode: CorrectionMode,
    /// Upper bound.
    #[serde(default = "Correction::default_max")]
    pub max: f64,
    /// Lower bound; 0 is none.
    #[serde(default)]
    pub min: f64,
}

impl Correction {
    /// No weight at all.
    pub const NONE: Self = Self { mode: CorrectionMode::None, max: 3.0, min: 0.0 };
    /// TRL's default: whole sequences whose product of ratios exceeds 3 are dropped.
    pub const TRL: Self = Self { mode: CorrectionMode::SequenceMask, max: 3.0, min: 0.0 };
    /// AReaL's default: tokens whose ratio exceeds 5 are dropped.
    pub const AREAL: Self = Self { mode: CorrectionMode::TokenMask, max: 5.0, min: 0.0 };

    fn default_max() -> f64 {
        Self::TRL.max
    }
}

/// A preset and whatever departs from it. Every `None` takes the preset's own number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// The preset.
    pub preset: Preset,
    /// ε below: ratios under `1 - clip_low` earn no more. 0.2; gspo 3e-4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_low: Option<f64>,
    /// ε above: ratios over `1 + clip_high` earn no more. 0.2; dapo 0.28; gspo 4e-4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_high: Option<f64>,
    /// δ: cap on the ratio where the advantage is negative. grpo_plus 4, otherwise none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Cap on cispo's weight. 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_cap: Option<f64>,
    /// dppo: probability lost since sampling beyond which a negative token is dropped. 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_low: Option<f64>,
    /// dppo: probability gained since sampling beyond which a positive token is dropped. 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_high: Option<f64>,
    /// dppo: factor on the squared log-ratio. 1e-3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_tau: Option<f64>,
    /// dr_grpo: tokens that a completion may have, the constant of its denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Reward for entropy, per token. 0.
    #[serde(default)]
    pub entropy_coef: f64,
    /// Denominator of the ratio. behaviour; decoupled recomputed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<OldPolicy>,
    /// Weight for the engine's mismatch where `old` is recomputed. TRL's; decoupled AReaL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Largest `|log π - log μ|` of a token, in nats, that still counts in the loss. None: every token counts.
    /// For behaviour log-probabilities that are somebody's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour_gap_max: Option<f64>,
}

impl LossConfig {
    /// The preset without any override.
    pub fn new(preset: Preset) -> Self {
        Self {
            preset,
            clip_low: None,
            clip_high: None,
            delta: None,
            ratio_cap: None,
            mask_low: None,
            mask_high: None,
            kl_tau: None,
            max_completion_tokens: None,
            entropy_coef: 0.0,
            old: None,
            correction: None,
            behaviour_gap_max: None,
        }
    }
}

/// What is made of one token's ratio and advantage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// `-min(min(r, δ)·A, clip(r, 1 - low, 1 + high)·A)`, `r` per token.
    Clipped {
        /// ε below.
        low: f64,
        /// ε above.
        high: f64,
        /// Cap on `r` in the unclipped term.
        delta: Option<f64>,
    },
    /// The same with one `r` for the sequence: `exp` of the mean log-ratio.
    SequenceClipped {
        /// ε below.
        low: f64,
        /// ε above.
        high: f64,
    },
    /// `-min(r, cap)·A·logprob`, the factor before `logprob` held constant.
    Capped {
        /// Cap on `r`.
        cap: f64,
    },
    /// `-keep·A·r + kl_tau·(log r)²`; `keep` is 0 where `A > 0` and the probability rose by more than
    /// `high`, or `A ≤ 0` and it fell by more than `low`.
    ProbabilityGap {
        /// Largest fall.
        low: f64,
        /// Largest rise.
        high: f64,
        /// Factor on the squared log-ratio.
        kl_tau: f64,
    },
}

/// How token losses become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Mean over the tokens of each sequence, then over sequences.
    Sequences,
    /// Mean over all tokens of the batch.
    Tokens,
    /// Sum over `sequences · max_completion_tokens`.
    Constant {
        /// Tokens that a completion may have.
        max_completion_tokens: u32,
    },
}

/// A loss with every number settled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// The preset that it came from.
    pub preset: Preset,
    /// What is made of one token.
    pub objective: Objective,
    /// How tokens are averaged.
    pub average: Average,
    /// Denominator of the ratio.
    pub old: OldPolicy,
    /// Weight `old / behaviour`.
    pub correction: Correction,
    /// Reward for entropy.
    pub entropy_coef: f64,
    /// Largest distance from the behaviour's log-probability, in nats, of a token that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour_gap_max: Option<f64>,
}

impl Loss {
    /// Settles every number of a configuration.
    ///
    /// Errors: `UnusedSetting`, `MissingSetting`, `OutOfRange`.
    pub fn new(config: &LossConfig) -> Result<Self> {
        refuse_unused(config)?;
        check_ranges(config)?;
        let old = config.old.unwrap_or(match config.preset {
            Preset::Decoupled => OldPolicy::Recomputed,
            _ => OldPolicy::Behaviour,
        });
        Ok(Self {
            preset: config.preset,
            objective: objective(config),
            average: average(config)?,
            old,
            correction: correction(config, old)?,
            entropy_coef: config.entropy_coef,
            behaviour_gap_max: config.behaviour_gap_max,
        })
    }
}

fn objective(config: &LossConfig) -> Objective {
    let clip = |low: f64, high: f64| (config.clip_low.unwrap_or(low), config.clip_high.unwrap_or(high));
    let clipped = |(low, high), delta: Option<f64>| Objective::Clipped { low, high, delta: config.delta.or(delta) };
    match config.preset {
        Preset::Grpo | Preset::DrGrpo | Preset::Decoupled => clipped(clip(0.2, 0.2), None),
        Preset::Dapo => clipped(clip(0.2, 0.28), None),
        Preset::GrpoPlus => clipped(clip(0.2, 0.2), Some(4.0)),
        Preset::Gspo => {
            let (low, high) = clip(3e-4, 4e-4);
            Objective::SequenceClipped { low, high }
        }
        Preset::Cispo => Objective::Capped { cap: config.ratio_cap.unwrap_or(5.0) },
        Preset::Dppo => Objective::ProbabilityGap {
            low: config.mask_low.unwrap_or(0.2),
            high: config.mask_high.unwrap_or(0.2),
            kl_tau: config.kl_tau.unwrap_or(1e-3),
        },
    }
}

fn average(config: &LossConfig) -> Result<Average> {
    let preset = config.preset;
    Ok(match preset {
        Preset::Grpo | Preset::Gspo => Average::Sequences,
        Preset::DrGrpo => {
            let missing = TrainError::MissingSetting { preset, setting: "max_completion_tokens" };
            Average::Constant { max_completion_tokens: config.max_completion_tokens.ok_or(missing)? }
        }
        _ => Average::Tokens,
    })
}

fn correction(config: &LossConfig, old: OldPolicy) -> Result<Correction> {
    let default = match (old, config.preset) {
        (OldPolicy::Behaviour, _) => Correction::NONE,
        (OldPolicy::Recomputed, Preset::Decoupled) => Correction::AREAL,
        (OldPolicy::Recomputed, _) => Correction::TRL,
    };
    let correction = config.correction.unwrap_or(default);
    if old == OldPolicy::Behaviour && correction.mode != CorrectionMode::None {
        // The weight old / behaviour would be 1 everywhere.
        return Err(TrainError::MissingSetting {
            preset: config.preset,
            setting: "old = \"recomputed\" (for correction)",
        });
    }
    Ok(correction)
}

fn refuse_unused(config: &LossConfig) -> Result<()> {
    use Preset::{Cispo, Dppo, DrGrpo, Gspo};
    let preset = config.preset;
    let clips = !matches!(preset, Cispo | Dppo);
    let given = [
        ("clip_low", config.clip_low.is_some(), clips),
        ("clip_high", config.clip_high.is_some(), clips),
        ("delta", config.delta.is_some(), clips && preset != Gspo),
        ("ratio_cap", config.ratio_cap.is_some(), preset == Cispo),
        ("mask_low", config.mask_low.is_some(), preset == Dppo),
        ("mask_high", config.mask_high.is_some(), preset == Dppo),
        ("kl_tau", config.kl_tau.is_some(), preset == Dppo),
        ("max_completion_tokens", config.max_completion_tokens.is_some(), preset == DrGrpo),
        ("old", config.old == Some(OldPolicy::Recomputed), preset != Dppo),
    ];
    match given.into_iter().find(|&(_, set, used)| set && !used) {
        Some((setting, ..)) => Err(TrainError::UnusedSetting { preset, setting }),
        None => Ok(()),
    }
}

fn check_ranges(config: &LossConfig) -> Result<()> {
    let bounds = config.correction.unwrap_or(Correction::NONE);
    let checks: [(&'static str, Option<f64>, f64, f64, &'static str); 12] = [
        ("clip_low", config.clip_low, 0.0, 1.0, "within 0 and 1"),
        ("clip_high", config.clip_high, 0.0, f64::MAX, "at least 0"),
        ("delta", config.delta, 1.0, f64::MAX, "at least 1"),
        ("ratio_cap", config.ratio_cap, f64::MIN_POSITIVE, f64::MAX, "above 0"),
        ("mask_low", config.mask_low, 0.0, 1.0, "within 0 and 1"),
        ("mask_high", config.mask_high, 0.0, 1.0, "within 0 and 1"),
        ("kl_tau", config.kl_tau, 0.0, f64::MAX, "at least 0"),
        ("max_completion_tokens", config.max_completion_tokens.map(f64::from), 1.0, f64::MAX, "at least 1"),
        ("entropy_coef", Some(config.entropy_coef), f64::MIN, f64::MAX, "finite"),
        ("behaviour_gap_max", config.behaviour_gap_max, f64::MIN_POSITIVE, f64::MAX, "above 0"),
        ("correction.min", Some(bounds.min), 0.0, f64::MAX, "at least 0"),
        ("correction.max", Some(bounds.max), bounds.min.max(f64::MIN_POSITIVE), f64::MAX, "above correction.min"),
    ];
    for (setting, value, least, most, expected) in checks {
        if let Some(given) = value.filter(|given| !(least..=most).contains(given)) {
            return Err(TrainError::OutOfRange { setting, expected, given });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_the_preset_does_not_use_is_named() {
        let config = LossConfig { kl_tau: Some(0.1), ..LossConfig::new(Preset::Dapo) };
        let error = Loss::new(&config).unwrap_err();
        assert_eq!(error.to_string(), "loss preset dapo does not use `kl_tau`");
    }

    #[test]
    fn a_correction_without_a_recomputed_old_policy_is_refused() {
        let config = LossConfig { correction: Some(Correction::TRL), ..LossConfig::new(Preset::Grpo) };
        assert!(Loss::new(&config).unwrap_err().to_string().contains("recomputed"));
        assert_eq!(
            Loss::new(&LossConfig { old: Some(OldPolicy::Recomputed), ..config }).unwrap().correction,
            Correction::TRL
        );
    }

    #[test]
    fn dr_grpo_asks_for_its_constant_and_dapo_clips_higher() {
        assert!(matches!(
            Loss::new(&LossConfig::new(Preset::DrGrpo)),
            Err(TrainError::MissingSetting { setting: "max_completion_tokens", .. })
        ));
        let dapo = Loss::new(&LossConfig::new(Preset::Dapo)).unwrap();
        assert_eq!(dapo.objective, Objective::Clipped { low: 0.2, high: 0.28, delta: None });
    }

    #[test]
    fn numbers_out_of_range_and_nan_are_refused() {
        for bad in [-0.1, 1.5, f64::NAN] {
            let config = LossConfig { clip_low: Some(bad), ..LossConfig::new(Preset::Grpo) };
            assert!(matches!(Loss::new(&config), Err(TrainError::OutOfRange { setting: "clip_low", .. })), "{bad}");
        }
    }
}
