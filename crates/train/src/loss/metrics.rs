//! Gathers what the loss saw, in sums that add up over micro-batches.
//!
//! Promise: meanings are those of prime-rl and TRL where they have one.

use serde::{Deserialize, Serialize};

use super::{CorrectionMode, Event, Loss, Objective, OldPolicy, Sequence};

/// Sums over sequences and tokens; [`LossSums::merge`] adds those of another micro-batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossSums {
    pub(super) policy_loss: f64,
    pub(super) entropy: f64,
    pub(super) per_sequence: bool,
    tokens: f64,
    sequences: f64,
    mismatch_kl: f64,
    difference: f64,
    difference_max: f64,
    ratio: f64,
    ratio_count: f64,
    ratio_min: Option<f64>,
    ratio_max: Option<f64>,
    corrected_away: f64,
    clipped: Both,
    masked: Both,
    clipped_low_min: Option<f64>,
    clipped_high_max: Option<f64>,
    /// Counts of the sequence being added.
    open: Both,
}

/// A count below and a count above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Both {
    low: f64,
    high: f64,
}

impl Both {
    fn sum(self) -> f64 {
        self.low + self.high
    }

    fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }
}

impl LossSums {
    /// Of tokens that are not compared with any sampling.
    pub(crate) fn of_entropy(entropy: &[f32]) -> Self {
        let sum = entropy.iter().map(|&x| f64::from(x)).sum();
        Self { entropy: sum, tokens: entropy.len() as f64, ..Self::default() }
    }

    /// Mean entropy per token.
    pub(crate) fn mean_entropy(&self) -> f64 {
        self.entropy / self.tokens.max(1.0)
    }

    /// Entropy, distance from the engine, and importance weights of one sequence.
    pub(super) fn add_drift(&mut self, sequence: &Sequence, weights: &[f64], loss: &Loss) {
        for (index, &weight) in weights.iter().enumerate() {
            let [new, old, behaviour] =
                [sequence.logprob, sequence.old, sequence.behaviour].map(|list| f64::from(list[index]));
            let log_ratio = (new - behaviour).clamp(-super::LOG_RATIO_MAX, super::LOG_RATIO_MAX);
            let ratio = log_ratio.exp();
            self.entropy += f64::from(sequence.entropy[index]);
            self.mismatch_kl += ratio - log_ratio - 1.0;
            let (difference, seen) = match loss.old {
                OldPolicy::Behaviour => ((new - behaviour).abs(), ratio),
                OldPolicy::Recomputed => ((old - behaviour).abs(), weight),
            };
            self.difference += difference;
            self.difference_max = self.difference_max.max(difference);
            self.corrected_away += f64::from(u8::from(weight == 0.0));
            if index == 0 || !loss.correction.mode.is_sequence() {
                self.add_ratio(seen);
            }
        }
    }

    fn add_ratio(&mut self, ratio: f64) {
        self.ratio += ratio;
        self.ratio_count += 1.0;
        self.ratio_min = Some(self.ratio_min.map_or(ratio, |x| x.min(ratio)));
        self.ratio_max = Some(self.ratio_max.map_or(ratio, |x| x.max(ratio)));
    }

    pub(super) fn add_event(&mut self, event: Event, advantage: f64) {
        match event {
            Event::Free => {}
            Event::ClippedLow => self.open.low += 1.0,
            Event::ClippedHigh => self.open.high += 1.0,
            // prime-rl counts as "low" only where the advantage is negative.
            Event::MaskedLow if advantage < 0.0 => self.masked.low += 1.0,
            Event::MaskedLow => self.corrected_away += 1.0,
            Event::MaskedHigh => self.masked.high += 1.0,
        }
    }

    pub(super) fn end_sequence(&mut self, tokens: usize) {
        let tokens = tokens as f64;
        let open = std::mem::take(&mut self.open);
        let (low, high) = (open.low / tokens, open.high / tokens);
        self.clipped_low_min = Some(self.clipped_low_min.map_or(low, |x| x.min(low)));
        self.clipped_high_max = Some(self.clipped_high_max.map_or(high, |x| x.max(high)));
        let counted = if self.per_sequence { Both { low, high } } else { open };
        self.clipped = self.clipped.plus(counted);
        self.tokens += tokens;
        self.sequences += 1.0;
    }

    /// Adds the sums of another micro-batch.
    pub fn merge(&mut self, other: &Self) {
        let pick = |a: Option<f64>, b: Option<f64>, f: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(f(a, b)),
            (one, None) | (None, one) => one,
        };
        self.policy_loss += other.policy_loss;
        self.entropy += other.entropy;
        self.per_sequence |= other.per_sequence;
        self.tokens += other.tokens;
        self.sequences += other.sequences;
        self.mismatch_kl += other.mismatch_kl;
        self.difference += other.difference;
        self.difference_max = self.difference_max.max(other.difference_max);
        self.ratio += other.ratio;
        self.ratio_count += other.ratio_count;
        self.ratio_min = pick(self.ratio_min, other.ratio_min, f64::min);
        self.ratio_max = pick(self.ratio_max, other.ratio_max, f64::max);
        self.corrected_away += other.corrected_away;
        self.clipped = self.clipped.plus(other.clipped);
        self.masked = self.masked.plus(other.masked);
        self.clipped_low_min = pick(self.clipped_low_min, other.clipped_low_min, f64::min);
        self.clipped_high_max = pick(self.clipped_high_max, other.clipped_high_max, f64::max);
    }

    /// What was seen, in numbers.
    pub fn metrics(&self, loss: &Loss) -> LossMetrics {
        let tokens = self.tokens.max(1.0);
        let counted = if self.per_sequence { self.sequences.max(1.0) } else { tokens };
        let is_clipped = matches!(loss.objective, Objective::Clipped { .. } | Objective::SequenceClipped { .. });
        let is_masking = matches!(loss.objective, Objective::ProbabilityGap { .. });
        LossMetrics {
            policy_loss: self.policy_loss,
            entropy: self.mean_entropy(),
            mismatch_kl: self.mismatch_kl / tokens,
            masked_share: (self.masked.sum() + self.corrected_away) / tokens,
            logprob_difference_mean: self.difference / tokens,
            logprob_difference_max: self.difference_max,
            ratio_mean: self.ratio / self.ratio_count.max(1.0),
            ratio_min: self.ratio_min.unwrap_or(0.0),
            ratio_max: self.ratio_max.unwrap_or(0.0),
            clipped: is_clipped.then(|| ClippedShares {
                low_mean: self.clipped.low / counted,
                high_mean: self.clipped.high / counted,
                region_mean: self.clipped.sum() / counted,
                low_min: self.clipped_low_min.unwrap_or(0.0),
                high_max: self.clipped_high_max.unwrap_or(0.0),
            }),
            capped_share: matches!(loss.objective, Objective::Capped { .. }).then(|| self.clipped.high / tokens),
            masked_low_share: is_masking.then(|| self.masked.low / tokens),
            masked_high_share: is_masking.then(|| self.masked.high / tokens),
        }
    }
}

/// What a loss saw in one update; shares are of tokens unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossMetrics {
    /// The loss without its entropy term.
    pub policy_loss: f64,
    /// Mean entropy per completion token, nats.
    pub entropy: f64,
    /// Mean of `r - log r - 1`, `r = π/μ`: the k3 estimate of KL(engine || trainer), nats.
    pub mismatch_kl: f64,
    /// Left out by the loss's mask, by a correction or by `behaviour_gap_max`.
    pub masked_share: f64,
    /// Mean of `|log old - log μ|`; where `old` is the behaviour itself, of `|log π - log μ|`.
    pub logprob_difference_mean: f64,
    /// Largest of them.
    pub logprob_difference_max: f64,
    /// Mean importance weight after its bounds; where `old` is the behaviour itself, of `π/μ`.
    pub ratio_mean: f64,
    /// Smallest of them.
    pub ratio_min: f64,
    /// Largest of them.
    pub ratio_max: f64,
    /// Of losses that clip the ratio.
    pub clipped: Option<ClippedShares>,
    /// Of cispo: positive tokens over the cap.
    pub capped_share: Option<f64>,
    /// Of dppo: negative tokens that lost too much probability.
    pub masked_low_share: Option<f64>,
    /// Of dppo: positive tokens that gained too much probability.
    pub masked_high_share: Option<f64>,
}

/// What lies beyond the clip on the side where it bites: shares of tokens, in gspo of sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClippedShares {
    /// Cut from below.
    pub low_mean: f64,
    /// Cut from above.
    pub high_mean: f64,
    /// Both.
    pub region_mean: f64,
    /// Smallest `low` of a sequence.
    pub low_min: f64,
    /// Largest `high` of a sequence.
    pub high_max: f64,
}

impl LossMetrics {
    /// Several updates together: means, and extremes of extremes. All are of one loss.
    pub(crate) fn over(updates: &[Self]) -> Self {
        let count = updates.len().max(1) as f64;
        let mean = |number: fn(&Self) -> f64| updates.iter().map(number).sum::<f64>() / count;
        let most = |number: fn(&Self) -> f64| updates.iter().map(number).fold(f64::NEG_INFINITY, f64::max);
        let least = |number: fn(&Self) -> f64| updates.iter().map(number).fold(f64::INFINITY, f64::min);
        let some = |number: fn(&Self) -> Option<f64>| {
            let given: Option<Vec<f64>> = updates.iter().map(number).collect();
            given.map(|given| given.iter().sum::<f64>() / count)
        };
        let clipped: Option<Vec<ClippedShares>> = updates.iter().map(|update| update.clipped).collect();
        Self {
            policy_loss: mean(|m| m.policy_loss),
            entropy: mean(|m| m.entropy),
            mismatch_kl: mean(|m| m.mismatch_kl),
            masked_share: mean(|m| m.masked_share),
            logprob_difference_mean: mean(|m| m.logprob_difference_mean),
            logprob_difference_max: most(|m| m.logprob_difference_max),
            ratio_mean: mean(|m| m.ratio_mean),
            ratio_min: least(|m| m.ratio_min),
            ratio_max: most(|m| m.ratio_max),
            clipped: clipped.map(|clipped| ClippedShares::over(&clipped)),
            capped_share: some(|m| m.capped_share),
            masked_low_share: some(|m| m.masked_low_share),
            masked_high_share: some(|m| m.masked_high_share),
        }
    }
}

impl ClippedShares {
    fn over(updates: &[Self]) -> Self {
        let mean = |number: fn(&Self) -> f64| updates.iter().map(number).sum::<f64>() / updates.len().max(1) as f64;
        Self {
            low_mean: mean(|c| c.low_mean),
            high_mean: mean(|c| c.high_mean),
            region_mean: mean(|c| c.region_mean),
            low_min: updates.iter().map(|c| c.low_min).fold(f64::INFINITY, f64::min),
            high_max: updates.iter().map(|c| c.high_max).fold(0.0, f64::max),
        }
    }
}

impl CorrectionMode {
    /// Whether all tokens of a sequence share one weight.
    fn is_sequence(self) -> bool {
        matches!(self, Self::SequenceTruncate | Self::SequenceMask)
    }
}
