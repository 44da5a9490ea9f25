//! Gathers what the loss saw, in sums that add up over micro-batches.
//!
//! Promise: names and meanings are those of prime-rl and TRL where they have one.

use std::collections::BTreeMap;

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

    /// Named values, as prime-rl and TRL name them.
    ///
    /// - `entropy`, `mismatch_kl` (`r - log r - 1` against the engine), `is_masked*`, `clip_ratio/{low,high,region}_mean`:
    ///   means over tokens (clip ratios over sequences where the ratio is the sequence's)
    /// - `clip_ratio/low_min`, `clip_ratio/high_max`: extremes over sequences
    /// - `sampling/sampling_logp_difference/*`: `|log old - log behaviour|`, and
    ///   `sampling/importance_sampling_ratio/*`: the weights after their bounds; where `old` is the behaviour itself,
    ///   both compare the trained weights with the behaviour instead
    pub fn metrics(&self, loss: &Loss) -> BTreeMap<&'static str, f64> {
        let tokens = self.tokens.max(1.0);
        let mut out = BTreeMap::from([
            ("policy_loss", self.policy_loss),
            ("entropy", self.mean_entropy()),
            ("mismatch_kl", self.mismatch_kl / tokens),
            ("is_masked", (self.masked.sum() + self.corrected_away) / tokens),
            ("sampling/sampling_logp_difference/mean", self.difference / tokens),
            ("sampling/sampling_logp_difference/max", self.difference_max),
            ("sampling/importance_sampling_ratio/min", self.ratio_min.unwrap_or(0.0)),
            ("sampling/importance_sampling_ratio/mean", self.ratio / self.ratio_count.max(1.0)),
            ("sampling/importance_sampling_ratio/max", self.ratio_max.unwrap_or(0.0)),
        ]);
        match loss.objective {
            Objective::Clipped { .. } | Objective::SequenceClipped { .. } => {
                let count = if self.per_sequence { self.sequences.max(1.0) } else { tokens };
                out.extend([
                    ("clip_ratio/low_mean", self.clipped.low / count),
                    ("clip_ratio/high_mean", self.clipped.high / count),
                    ("clip_ratio/region_mean", self.clipped.sum() / count),
                    ("clip_ratio/low_min", self.clipped_low_min.unwrap_or(0.0)),
                    ("clip_ratio/high_max", self.clipped_high_max.unwrap_or(0.0)),
                ]);
            }
            Objective::Capped { .. } => {
                out.insert("cispo_clip_ratio", self.clipped.high / tokens);
            }
            Objective::ProbabilityGap { .. } => {
                out.insert("is_masked_low", self.masked.low / tokens);
                out.insert("is_masked_high", self.masked.high / tokens);
            }
        }
        out
    }
}

impl CorrectionMode {
    /// Whether all tokens of a sequence share one weight.
    fn is_sequence(self) -> bool {
        matches!(self, Self::SequenceTruncate | Self::SequenceMask)
    }
}
