//! Computes the policy loss and its slope at every token, from plain numbers.
//!
//! Promise: a pure function of slices, in f64. The trainer takes log-probabilities out of the model, asks here for
//! `∂loss/∂logprob` and `∂loss/∂entropy`, and sends those back through the model: one forward, one backward,
//! whatever the preset.
//! Never: sees a tensor, a weight or a clock.

mod metrics;
mod preset;

pub use metrics::{ClippedShares, LossMetrics, LossSums};
pub use preset::{Average, Correction, CorrectionMode, Loss, LossConfig, Objective, OldPolicy, Preset};

use crate::error::{Result, TrainError};

/// Log-ratios are held within ±20 (a factor of 4.9e8), so that one absurd log-probability cannot make a batch
/// infinite; beyond it the slope is 0. Same bound as verl and TRL's VESPO.
pub const LOG_RATIO_MAX: f64 = 20.0;

/// Sizes of the whole batch, over all its micro-batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sequences.
    pub sequences: usize,
    /// Completion tokens.
    pub tokens: usize,
}

/// Some sequences of a batch: completion tokens only, laid end to end.
#[derive(Clone, Copy, Debug)]
pub struct LossInput<'a> {
    /// Completion tokens of each sequence, `[sequences]`.
    pub lengths: &'a [usize],
    /// Natural log-probabilities under the weights being trained, `[tokens]`.
    pub logprob: &'a [f32],
    /// Under the ratio's denominator, `[tokens]`.
    pub old: &'a [f32],
    /// As the engine sampled them, `[tokens]`.
    pub behaviour: &'a [f32],
    /// Entropy of the distribution at each token, `[tokens]`.
    pub entropy: &'a [f32],
    /// One advantage for all tokens of a sequence, `[sequences]`.
    pub advantage: &'a [f32],
    /// Sizes of the whole batch that these sequences are part of.
    pub totals: Totals,
}

/// The part of the batch's loss that these sequences make up: parts add up to the whole.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// Policy loss minus the entropy reward.
    pub loss: f64,
    /// `∂loss/∂logprob`, `[tokens]`.
    pub grad_logprob: Vec<f64>,
    /// `∂loss/∂entropy`, the same at every token.
    pub grad_entropy: f64,
    /// What the metrics are made of.
    pub sums: LossSums,
}

impl Loss {
    /// The loss of some sequences and its slopes.
    ///
    /// `loss = Σ_s c_s Σ_t w_t·ℓ_t - (entropy_coef / N) Σ_t H_t`, with `ℓ` as [`Objective`] says,
    /// `c_s = 1/(S·n_s)`, `1/N` or `1/(S·max)` as [`Average`] says (`S` sequences and `N` tokens in the whole
    /// batch, `n_s` tokens in this sequence), and `w = old / behaviour` bounded as [`Correction`] says.
    /// Source of each `ℓ`: the pages in `docs/algorithms/`.
    ///
    /// Where [`Loss::behaviour_gap_max`] is set, a token with `|logprob - behaviour|` above it has `w_t = 0` and stays
    /// out of a sequence's own ratio; `n_s` and `N` still count it, so leaving it out makes no other token count more.
    ///
    /// - `old`, `behaviour` and `w` are constants for the gradient
    /// - errors: `Length` if lists do not fit, `NotFinite`, `EmptyBatch` for a sequence without tokens or totals of 0
    pub fn evaluate(&self, input: &LossInput) -> Result<LossOutput> {
        check(input)?;
        let tokens = input.totals.tokens as f64;
        let mut output = LossOutput {
            loss: 0.0,
            grad_logprob: Vec::with_capacity(input.logprob.len()),
            grad_entropy: -self.entropy_coef / tokens,
            sums: LossSums::default(),
        };
        let mut start = 0;
        for (&length, &advantage) in input.lengths.iter().zip(input.advantage) {
            let range = start..start + length;
            start += length;
            let (logprob, behaviour) = (&input.logprob[range.clone()], &input.behaviour[range.clone()]);
            let sequence = Sequence {
                logprob,
                old: &input.old[range.clone()],
                behaviour,
                far: self.far(logprob, behaviour),
                entropy: &input.entropy[range],
                advantage: advantage.into(),
                share: self.average.share(length, input.totals),
            };
            self.add_sequence(&sequence, &mut output);
        }
        output.sums.policy_loss = output.loss;
        output.loss += output.grad_entropy * output.sums.entropy;
        Ok(output)
    }

    /// Tokens whose claimed log-probability the trained weights cannot have given, `[tokens]`.
    fn far(&self, logprob: &[f32], behaviour: &[f32]) -> Vec<bool> {
        let most = self.behaviour_gap_max.unwrap_or(f64::INFINITY);
        logprob.iter().zip(behaviour).map(|(&new, &claim)| (f64::from(new) - f64::from(claim)).abs() > most).collect()
    }

    fn add_sequence(&self, sequence: &Sequence, output: &mut LossOutput) {
        let mut weights = self.correction.weights(sequence);
        weights.iter_mut().zip(&sequence.far).filter(|(_, far)| **far).for_each(|(weight, _)| *weight = 0.0);
        output.sums.add_drift(sequence, &weights, self);
        match self.objective {
            Objective::Clipped { low, high, delta } => {
                let clip = Clip { low, high, delta };
                per_token(sequence, &weights, output, |t| clip.token(t.ratio_to_old(), t.advantage));
            }
            Objective::SequenceClipped { low, high } => {
                let clip = Clip { low, high, delta: None };
                sequence_level(sequence, &weights, output, clip);
            }
            Objective::Capped { cap } => per_token(sequence, &weights, output, |t| capped(t, cap)),
            Objective::ProbabilityGap { low, high, kl_tau } => {
                per_token(sequence, &weights, output, |t| probability_gap(t, low, high, kl_tau));
            }
        }
        output.sums.end_sequence(sequence.logprob.len());
    }
}

impl Average {
    /// `c_s`: what one token of a sequence of `length` tokens counts in the loss.
    fn share(self, length: usize, totals: Totals) -> f64 {
        match self {
            Self::Sequences => 1.0 / (totals.sequences as f64 * length as f64),
            Self::Tokens => 1.0 / totals.tokens as f64,
            Self::Constant { max_completion_tokens } => {
                1.0 / (totals.sequences as f64 * f64::from(max_completion_tokens))
            }
        }
    }
}

impl Correction {
    /// `w_t`, `[tokens]`: `old / behaviour` per token, or its product over the sequence, bounded.
    fn weights(&self, sequence: &Sequence) -> Vec<f64> {
        let log_weight = sequence.old.iter().zip(sequence.behaviour).map(|(&o, &b)| f64::from(o) - f64::from(b));
        let exp = |x: f64| x.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX).exp();
        let masked = |w: f64| {
            if (self.min..=self.max).contains(&w) { w } else { 0.0 }
        };
        match self.mode {
            CorrectionMode::None => vec![1.0; sequence.old.len()],
            CorrectionMode::TokenTruncate => log_weight.map(|x| exp(x).clamp(self.min, self.max)).collect(),
            CorrectionMode::TokenMask => log_weight.map(|x| masked(exp(x))).collect(),
            CorrectionMode::SequenceTruncate => {
                vec![exp(log_weight.sum()).clamp(self.min, self.max); sequence.old.len()]
            }
            CorrectionMode::SequenceMask => vec![masked(exp(log_weight.sum())); sequence.old.len()],
        }
    }
}

/// One sequence's share of the input.
struct Sequence<'a> {
    logprob: &'a [f32],
    old: &'a [f32],
    behaviour: &'a [f32],
    /// Tokens left out for their distance from the behaviour.
    far: Vec<bool>,
    entropy: &'a [f32],
    advantage: f64,
    share: f64,
}

/// What an objective sees of one token.
struct Token {
    logprob: f64,
    old: f64,
    behaviour: f64,
    advantage: f64,
}

impl Token {
    fn ratio_to_old(&self) -> LogRatio {
        LogRatio::new(self.logprob - self.old)
    }
}

/// A bounded log-ratio.
#[derive(Clone, Copy)]
struct LogRatio {
    log: f64,
    ratio: f64,
    /// 1, or 0 beyond the bound: the slope of the bounded log-ratio.
    slope: f64,
}

impl LogRatio {
    fn new(log: f64) -> Self {
        let slope = if log.abs() <= LOG_RATIO_MAX { 1.0 } else { 0.0 };
        let log = log.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX);
        Self { log, ratio: log.exp(), slope }
    }
}

/// A token's loss, its slope in the log-probability, and what the clip metrics count.
struct TokenLoss {
    value: f64,
    slope: f64,
    event: Event,
}

/// What a bound did to a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Free,
    ClippedLow,
    ClippedHigh,
    MaskedLow,
    MaskedHigh,
}

#[derive(Clone, Copy)]
struct Clip {
    low: f64,
    high: f64,
    delta: Option<f64>,
}

impl Clip {
    /// `ℓ = -min(min(r, δ)·A, clip(r, 1-low, 1+high)·A)` and `∂ℓ/∂log r`. PPO, arXiv:1707.06347, eq. 7.
    /// Where both terms are equal each gives half its slope, as `torch.min` does.
    fn token(&self, r: LogRatio, advantage: f64) -> TokenLoss {
        let bounded = self.delta.map_or(r.ratio, |delta| r.ratio.min(delta));
        let clipped = r.ratio.clamp(1.0 - self.low, 1.0 + self.high);
        let slope_if = |same: bool| {
            if same { r.ratio * advantage * r.slope } else { 0.0 }
        };
        let (free, held) = (bounded * advantage, clipped * advantage);
        let (free_slope, held_slope) = (slope_if(bounded == r.ratio), slope_if(clipped == r.ratio));
        let slope = match free.total_cmp(&held) {
            std::cmp::Ordering::Less => free_slope,
            std::cmp::Ordering::Greater => held_slope,
            std::cmp::Ordering::Equal => 0.5 * (free_slope + held_slope),
        };
        let event = match (bounded < 1.0 - self.low, bounded > 1.0 + self.high) {
            (true, _) if advantage < 0.0 => Event::ClippedLow,
            (_, true) if advantage > 0.0 => Event::ClippedHigh,
            _ => Event::Free,
        };
        TokenLoss { value: -free.min(held), slope: -slope, event }
    }
}

/// `ℓ = -min(r, cap)·A·logprob`, the first factor constant.
fn capped(token: &Token, cap: f64) -> TokenLoss {
    let ratio = token.ratio_to_old().ratio;
    let slope = -ratio.min(cap) * token.advantage;
    let event = if ratio > cap && token.advantage > 0.0 { Event::ClippedHigh } else { Event::Free };
    TokenLoss { value: slope * token.logprob, slope, event }
}

/// `ℓ = -keep·A·r + kl_tau·(log r)²`, `r` against the engine.
fn probability_gap(token: &Token, low: f64, high: f64, kl_tau: f64) -> TokenLoss {
    let r = LogRatio::new(token.logprob - token.behaviour);
    let gap = token.logprob.exp() - token.behaviour.exp();
    let event = match token.advantage {
        a if a > 0.0 && gap > high => Event::MaskedHigh,
        a if a <= 0.0 && gap < -low => Event::MaskedLow,
        _ => Event::Free,
    };
    let gain = if event == Event::Free { token.advantage * r.ratio } else { 0.0 };
    let slope = (2.0 * kl_tau * r.log - gain) * r.slope;
    TokenLoss { value: kl_tau * r.log * r.log - gain, slope, event }
}

fn per_token(sequence: &Sequence, weights: &[f64], output: &mut LossOutput, loss: impl Fn(&Token) -> TokenLoss) {
    for (index, &weight) in weights.iter().enumerate() {
        let token = loss(&Token {
            logprob: sequence.logprob[index].into(),
            old: sequence.old[index].into(),
            behaviour: sequence.behaviour[index].into(),
            advantage: sequence.advantage,
        });
        let scale = sequence.share * weight;
        output.loss += scale * token.value;
        output.grad_logprob.push(scale * token.slope);
        let event = if sequence.far[index] { Event::Free } else { token.event };
        output.sums.add_event(event, sequence.advantage);
    }
}

/// One ratio for all tokens: `s = exp((1/n) Σ_t log r_t)`, so `∂log s/∂logprob_t = 1/n`. GSPO, eq. 7. Tokens that
/// are far from the behaviour are none of the `n`.
fn sequence_level(sequence: &Sequence, weights: &[f64], output: &mut LossOutput, clip: Clip) {
    let pairs = sequence.logprob.iter().zip(sequence.old).zip(&sequence.far);
    let kept = pairs.filter(|(_, far)| !**far).map(|((&l, &o), _)| f64::from(l) - f64::from(o));
    let (count, drift) = kept.fold((0.0, 0.0), |(count, sum), log| (count + 1.0, sum + log));
    let count = f64::max(count, 1.0); // all far: no token has a weight
    let loss = clip.token(LogRatio::new(drift / count), sequence.advantage);
    let scale = sequence.share * weights.iter().sum::<f64>();
    output.loss += scale * loss.value;
    for &far in &sequence.far {
        output.grad_logprob.push(if far { 0.0 } else { scale * loss.slope / count });
        output.sums.add_event(if far { Event::Free } else { loss.event }, sequence.advantage);
    }
    output.sums.per_sequence = true;
}

fn check(input: &LossInput) -> Result<()> {
    let tokens = input.lengths.iter().sum();
    let lists = [
        ("logprob", input.logprob.len(), tokens),
        ("old", input.old.len(), tokens),
        ("behaviour", input.behaviour.len(), tokens),
        ("entropy", input.entropy.len(), tokens),
        ("advantage", input.advantage.len(), input.lengths.len()),
    ];
    if let Some(&(what, given, expected)) = lists.iter().find(|(_, given, expected)| given != expected) {
        return Err(TrainError::Length { what, expected, given });
    }
    // A NaN would hide behind min and max, which prefer the other number.
    for (what, list) in [("logprob", input.logprob), ("old", input.old), ("entropy", input.entropy)] {
        if let Some(index) = list.iter().position(|x| !x.is_finite()) {
            return Err(TrainError::NotFinite { what, index, given: list[index].into() });
        }
    }
    if input.lengths.contains(&0) || input.totals.tokens == 0 || input.totals.sequences == 0 {
        return Err(TrainError::EmptyBatch);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
