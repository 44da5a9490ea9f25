//! Whether each token is the one that the lease's noise and the model's logits give, and whether the
//! worker told its probability truly.
//!
//! Promise: temperature, sampler, seed, model and every single token are bound by one rule: the token
//! wins. The only freedom left is a near-tie closer than the tolerance.
//! Takes: rows of logits, each with the token that was claimed for it. Gives: by how much it falls
//! short, and its log-probability.

use engine::{TemperedLogits, best_candidate, candidate_logprob, scaled_logit, tempered_logprob};
use ops::vmath::vectorized;
use ops::{Candidates, Question};
use proof::tolerances::{LOGPROB_ERROR_MAX_MICRO, LOGPROB_ERROR_MEAN_MAX_MICRO, TOKEN_MARGIN_MAX_MICRO};
use proof::{Noise, margin};
use protocol::{Check, Rollout};

use super::{Case, Finding, at, of_rollout};

/// The model's word on one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TokenSeen {
    /// By how much the token falls short of the winner, in 1e-6 nats: 0 if it wins.
    pub(crate) margin_micro: i64,
    /// `ln softmax(logits / T)` of the token. NaN if the logits are no distribution.
    pub(crate) logprob: f32,
}

/// Looks at one token: `margin = max_v (logit_v/T + gumbel_v) - (logit_token/T + gumbel_token)`.
///
/// At temperature 0 there is no noise: `margin = max_v logit_v - logit_token`, and the log-probability
/// is that of temperature 1, as in the engine.
pub(crate) fn look(logits: &[f32], temperature: f32, seed: &[u8; 32], position: u32, token: u32) -> TokenSeen {
    let margin = if temperature == 0.0 {
        greedy_margin(logits, token)
    } else {
        let (tempered, noise) = (TemperedLogits { logits, temperature }, Noise::new(seed, position));
        vectorized(
            #[inline(always)]
            || margin(&tempered, &noise, token),
        )
    };
    TokenSeen {
        // Outside the vocabulary a token has no score.
        margin_micro: margin.map_or(i64::MAX, micro),
        logprob: tempered_logprob(logits, temperature, token).unwrap_or(f32::NAN),
    }
}

/// As [`look`], at a row of which candidates were found; `None` if they do not settle who wins.
pub(crate) fn look_among(row: &Candidates, question: &Question) -> Option<TokenSeen> {
    let best = best_candidate(row, question)?;
    let noise = question.noise.map_or(0, |noise| noise.gumbel(question.token));
    let score = scaled_logit(row.token_logit, question.temperature).saturating_add(noise);
    let logprob = candidate_logprob(row, question).unwrap_or(f32::NAN);
    Some(TokenSeen { margin_micro: micro(best.score.saturating_sub(score)), logprob })
}

fn greedy_margin(logits: &[f32], token: u32) -> Option<i64> {
    let scaled = |logit: f32| scaled_logit(logit, 1.0);
    let best = logits.iter().copied().map(scaled).max()?;
    logits.get(token as usize).map(|&logit| best - scaled(logit))
}

/// Q32 to millionths, rounded up, so that only the winner itself has 0.
fn micro(margin: i64) -> i64 {
    let micro = (i128::from(margin) * 1_000_000 + (1 << 32) - 1) >> 32;
    i64::try_from(micro).unwrap_or(i64::MAX)
}

/// What the tokens of one rollout showed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenEvidence {
    /// Worst shortfall, 1e-6 nats, and where.
    pub(crate) margin_max_micro: i64,
    pub(crate) margin_position: usize,
    /// Tokens that do not win.
    pub(crate) tokens_lost: u32,
    /// Largest and mean `|claimed - own|` of the log-probabilities, 1e-6 nats.
    pub(crate) logprob_error_max_micro: i64,
    pub(crate) logprob_position: usize,
    pub(crate) logprob_error_mean_micro: i64,
}

impl TokenEvidence {
    /// `seen` is `[completion tokens]`, in order.
    pub(crate) fn new(rollout: &Rollout, seen: &[TokenSeen]) -> Self {
        let (margin_position, margin_max_micro) = worst(seen.iter().map(|seen| seen.margin_micro));
        let errors: Vec<i64> =
            rollout.logprobs.iter().zip(seen).map(|(claimed, own)| logprob_error(*claimed, own.logprob)).collect();
        let (logprob_position, logprob_error_max_micro) = worst(errors.iter().copied());
        let sum: i128 = errors.iter().copied().map(i128::from).sum();
        let mean = sum.checked_div(errors.len() as i128).unwrap_or(0);
        Self {
            margin_max_micro,
            margin_position,
            tokens_lost: seen.iter().map(|seen| u32::from(seen.margin_micro > 0)).sum(),
            logprob_error_max_micro,
            logprob_position,
            logprob_error_mean_micro: i64::try_from(mean).unwrap_or(i64::MAX),
        }
    }

    /// Errors: `TokenMargin`, `Logprob` at the worst position, or of the whole rollout for the mean.
    pub(crate) fn judge(&self, case: &Case, sample: u32) -> Result<(), Finding> {
        let tempered = |limit| tempered_limit(limit, case.terms.sampling.temperature);
        let (limit, given) = (tempered(TOKEN_MARGIN_MAX_MICRO), self.margin_max_micro);
        case.require(given <= limit, at(Check::TokenMargin, sample, self.margin_position, limit, given))?;
        let (limit, given) = (tempered(LOGPROB_ERROR_MAX_MICRO), self.logprob_error_max_micro);
        case.require(given <= limit, at(Check::Logprob, sample, self.logprob_position, limit, given))?;
        let (limit, given) = (tempered(LOGPROB_ERROR_MEAN_MAX_MICRO), self.logprob_error_mean_micro);
        case.require(given <= limit, of_rollout(Check::Logprob, sample, limit, given))
    }
}

/// A limit in 1e-6 nats at a temperature: `limit / min(T, 1)`, for a logit's drift grows as it is divided. At
/// temperature 0 logits are not divided, and the limit stays.
#[must_use]
pub fn tempered_limit(limit: i64, temperature: f32) -> i64 {
    match temperature {
        0.0 => limit,
        _ => (limit as f64 / f64::from(temperature.min(1.0))) as i64, // saturates
    }
}

/// The first of the largest, with its place; zero of nothing.
fn worst(values: impl Iterator<Item = i64>) -> (usize, i64) {
    values.enumerate().fold((0, 0), |best, next| if next.1 > best.1 { next } else { best })
}

/// `|claimed - own|` in 1e-6 nats, rounded up; as large as can be if either is no number.
fn logprob_error(claimed: f32, own: f32) -> i64 {
    let error = (f64::from(claimed) - f64::from(own)).abs() * 1e6;
    if error.is_nan() { i64::MAX } else { error.ceil() as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortfall_is_counted_in_millionths_and_rounded_up() {
        assert_eq!(micro(0), 0);
        assert_eq!(micro(1), 1); // 2.3e-10 nats
        assert_eq!(micro(1 << 31), 500_000);
        assert_eq!(micro(i64::MAX), i64::MAX / (1 << 32) * 1_000_000 + 1_000_000);
    }

    #[test]
    fn without_noise_the_shortfall_is_the_distance_to_the_largest_logit() {
        let seen = look(&[1.0, 3.5, -1.0], 0.0, &[0; 32], 5, 0);
        assert_eq!(seen.margin_micro, 2_500_000);
        assert_eq!(look(&[1.0, 3.5, -1.0], 0.0, &[0; 32], 5, 1).margin_micro, 0);
    }

    #[test]
    fn with_noise_exactly_one_token_wins() {
        let logits = [0.3, -0.2, 0.9, 0.1, 1.4];
        for position in 0..50 {
            let winners = (0..5).filter(|&token| look(&logits, 0.7, &[9; 32], position, token).margin_micro == 0);
            assert_eq!(winners.count(), 1, "position {position}");
        }
    }

    #[test]
    fn a_token_outside_the_vocabulary_never_wins() {
        let seen = look(&[0.0, 1.0], 1.0, &[0; 32], 0, 2);
        assert_eq!(seen.margin_micro, i64::MAX);
        assert!(seen.logprob.is_nan());
    }

    #[test]
    fn limits_grow_as_the_temperature_falls_below_one() {
        assert_eq!(tempered_limit(2_000, 0.5), 4_000);
        assert_eq!([0.0, 1.0, 1.7].map(|temperature| tempered_limit(2_000, temperature)), [2_000; 3]);
    }

    #[test]
    fn errors_of_log_probabilities_round_up_and_a_nan_is_the_worst() {
        assert_eq!(logprob_error(-1.5, -1.25), 250_000);
        assert_eq!(logprob_error(f32::NAN, -1.0), i64::MAX);
        assert_eq!(logprob_error(-1.0, f32::NAN), i64::MAX);
    }
}
