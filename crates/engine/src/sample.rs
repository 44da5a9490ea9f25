//! Turns a row of logits into a token and its log-probability.
//!
//! Promise: a function of (logits, sampling, seed, position) alone; the same bits whatever else is
//! in the batch. Takes: one row of logits at a time. Gives: a [`Draw`]. Never: keeps state.

use std::ops::Range;

use ops::vmath::{exp_f32, vectorized};
use ops::{Candidates, Question};
use proof::{EXCLUDED, Noise, ScaledLogits, Winner, winner, winner_among};

use crate::request::Sampling;

/// Lanes of the sums and maxima: a fixed number, so that the order of additions is fixed too.
const LANES: usize = 16;
/// Elements summed in f32 before the sum goes over to f64.
const SPAN: usize = 4096;
/// Scaled logits are held within `±2^58`, so that adding noise (below `2^38`) cannot overflow.
const SCALED_MAX: i64 = 1 << 58;

/// The rounding rule that worker and validator share: `logit / T` as a Q32 integer,
/// `round_to_even(logit/T · 2^32)` with the division in f64, held within `±2^58`.
#[must_use]
pub fn scaled_logit(logit: f32, temperature: f32) -> i64 {
    const ONE: f64 = 4_294_967_296.0;
    let value = (f64::from(logit) / f64::from(temperature) * ONE).round_ties_even();
    (value as i64).clamp(-SCALED_MAX, SCALED_MAX)
}

/// A row of logits read through [`scaled_logit`].
pub struct TemperedLogits<'a> {
    /// `[vocabulary]`.
    pub logits: &'a [f32],
    /// Positive.
    pub temperature: f32,
}

impl ScaledLogits for TemperedLogits<'_> {
    #[inline(always)]
    fn token_count(&self) -> u32 {
        u32::try_from(self.logits.len()).expect("a vocabulary has fewer than 2^32 tokens")
    }

    #[inline(always)]
    fn at(&self, token: u32) -> i64 {
        scaled_logit(self.logits[token as usize], self.temperature)
    }

    /// Scaling never turns the order of two logits, so the largest scaled is the scaled largest.
    #[inline(always)]
    fn max_in(&self, tokens: Range<u32>) -> i64 {
        let logits = &self.logits[tokens.start as usize..tokens.end as usize];
        scaled_logit(maximum(logits), self.temperature)
    }
}

/// `ln softmax(logits / T)` of a token, as the engine reports it; at temperature 0 that of temperature 1.
///
/// `None` if the token is outside the row, or the row is no distribution.
#[must_use]
pub fn tempered_logprob(logits: &[f32], temperature: f32, token: u32) -> Option<f32> {
    let logit = *logits.get(token as usize)?;
    RowStats::of(logits, temperature).map(|stats| stats.logprob(logit))
}

/// What the sampler needs to know of a whole row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowStats {
    max: f32,
    temperature: f32,
    /// `ln Σ_v exp((logit_v - max) / T)`.
    log_sum: f64,
}

impl RowStats {
    /// `None` if a logit is NaN or infinite, or if all are minus infinity.
    ///
    /// At temperature 0 the statistics are those of temperature 1.
    pub(crate) fn of(logits: &[f32], temperature: f32) -> Option<Self> {
        let temperature = if temperature == 0.0 { 1.0 } else { temperature };
        let (max, sum) = vectorized(
            #[inline(always)]
            || {
                let max = maximum(logits);
                (max, sum_of_exponentials(logits, max, 1.0 / temperature))
            },
        );
        // The largest element adds 1, unless a NaN or an infinity spoiled the sum.
        (max.is_finite() && sum.is_finite()).then(|| Self { max, temperature, log_sum: sum.ln() })
    }

    /// Those of a row of which candidates were found.
    pub(crate) fn of_candidates(row: &Candidates, question: &Question) -> Option<Self> {
        let Candidates { max, sum, .. } = *row;
        let log_sum = f64::from(sum).ln();
        (max.is_finite() && sum.is_finite()).then_some(Self { max, temperature: question.temperature, log_sum })
    }

    /// `ln softmax(logits / T)` of a token with this logit.
    pub(crate) fn logprob(&self, logit: f32) -> f32 {
        let above = f64::from(logit) - f64::from(self.max);
        (above / f64::from(self.temperature) - self.log_sum) as f32
    }
}

#[inline(always)]
fn maximum(logits: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (groups, rest) = logits.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (lane, &logit) in lanes.iter_mut().zip(group) {
            *lane = larger(*lane, logit);
        }
    }
    rest.iter().chain(&lanes).copied().fold(f32::NEG_INFINITY, larger)
}

#[inline(always)]
fn sum_of_exponentials(logits: &[f32], max: f32, inverse_temperature: f32) -> f64 {
    let term = |logit: f32| exp_f32((logit - max) * inverse_temperature);
    let mut total = 0.0f64;
    for span in logits.chunks(SPAN) {
        let (groups, rest) = span.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for group in groups {
            for (lane, &logit) in lanes.iter_mut().zip(group) {
                *lane += term(logit);
            }
        }
        for (lane, &logit) in lanes.iter_mut().zip(rest) {
            *lane += term(logit);
        }
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
    total
}

/// The winner among the candidates of a row, if it is certain that no other token beats it.
#[must_use]
pub fn best_candidate(row: &Candidates, question: &Question) -> Option<Winner> {
    let tokens = || row.tokens.iter().map(|&(token, logit)| (token, scaled_logit(logit, question.temperature)));
    let best = match &question.noise {
        Some(noise) => winner_among(tokens(), noise),
        None => tokens()
            .map(|(token, score)| Winner { token, score })
            .reduce(|best, next| if next.score > best.score { next } else { best }),
    };
    best.filter(|best| best.score > scaled_logit(row.bound, 1.0))
}

/// As [`tempered_logprob`], of the token that was asked about, in a row of which candidates were found.
#[must_use]
pub fn candidate_logprob(row: &Candidates, question: &Question) -> Option<f32> {
    RowStats::of_candidates(row, question).map(|stats| stats.logprob(row.token_logit))
}

/// Draws the token of a position among the candidates of its row; `None` if they do not settle it.
pub(crate) fn draw_candidate(row: &Candidates, question: &Question) -> Option<Draw> {
    let token = best_candidate(row, question)?.token;
    let &(_, logit) = row.tokens.iter().find(|(id, _)| *id == token)?;
    let stats = RowStats::of_candidates(row, question)?;
    Some(Draw { token, logprob: stats.logprob(logit) })
}

/// What is asked of a row at a position: at temperature 0 its largest logit.
#[must_use]
pub fn question(row: usize, temperature: f32, seed: &[u8; 32], position: u32, token: u32) -> Question {
    match temperature {
        0.0 => Question { row, temperature: 1.0, noise: None, token },
        _ => Question { row, temperature, noise: Some(Noise::new(seed, position)), token },
    }
}

/// A sampled token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Draw {
    pub(crate) token: u32,
    pub(crate) logprob: f32,
}

/// Draws the token of a position.
///
/// `token = argmax_v (scaled_logit(logit_v, T) + gumbel(seed, position, v))` over the tokens that
/// top-k and top-p leave; at temperature 0 `argmax_v logit_v`. Ties go to the lower id.
pub(crate) fn draw(logits: &[f32], stats: &RowStats, sampling: &Sampling, seed: &[u8; 32], position: u32) -> Draw {
    let token = if sampling.temperature == 0.0 {
        first_at_least(logits, stats.max)
    } else {
        let noise = Noise::new(seed, position);
        let tempered = TemperedLogits { logits, temperature: sampling.temperature };
        let winner = if sampling.is_restricted() {
            winner(&restricted(&tempered, stats, sampling)[..], &noise)
        } else {
            vectorized(
                #[inline(always)]
                || winner(&tempered, &noise),
            )
        };
        winner.expect("a row with finite logits has a winner").token
    };
    Draw { token, logprob: stats.logprob(logits[token as usize]) }
}

fn first_at_least(logits: &[f32], max: f32) -> u32 {
    let index = logits.iter().position(|&logit| logit >= max);
    index.expect("the maximum of a row is in it") as u32
}

/// Scaled logits with [`EXCLUDED`] for every token that top-k, then top-p, takes away.
///
/// Top-k keeps the `k` largest logits, ties to the lower id. Top-p keeps, of those, the fewest
/// largest whose probabilities (under the distribution left by top-k) add up to `p`.
fn restricted(tempered: &TemperedLogits<'_>, stats: &RowStats, sampling: &Sampling) -> Vec<i64> {
    let logits = tempered.logits;
    let mut order: Vec<u32> = (0..tempered.token_count()).collect();
    let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then_with(|| a.cmp(b));
    if let Some(k) = sampling.top_k.map(|k| k as usize).filter(|&k| k < order.len()) {
        order.select_nth_unstable_by(k - 1, descending);
        order.truncate(k);
    }
    if let Some(p) = sampling.top_p {
        order.sort_unstable_by(descending);
        let kept = nucleus_len(&order, logits, stats, p);
        order.truncate(kept);
    }
    let mut scaled = vec![EXCLUDED; logits.len()];
    for token in order {
        scaled[token as usize] = tempered.at(token);
    }
    scaled
}

/// How many of the tokens in `order` (likeliest first) top-p keeps: at least one.
fn nucleus_len(order: &[u32], logits: &[f32], stats: &RowStats, p: f32) -> usize {
    let probability = |token: u32| f64::from(stats.logprob(logits[token as usize])).exp();
    let total: f64 = order.iter().map(|&token| probability(token)).sum();
    let mut below = 0.0;
    let outside = order.iter().position(|&token| {
        let reached = below >= f64::from(p) * total;
        below += probability(token);
        reached
    });
    outside.unwrap_or(order.len()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampling(temperature: f32, top_k: Option<u32>, top_p: Option<f32>) -> Sampling {
        Sampling { temperature, top_k, top_p, ..Sampling::new(1) }
    }

    fn draw_at(logits: &[f32], sampling: &Sampling, position: u32) -> Draw {
        let stats = RowStats::of(logits, sampling.temperature).unwrap();
        draw(logits, &stats, sampling, &[5; 32], position)
    }

    fn counts(logits: &[f32], sampling: &Sampling, draws: u32) -> Vec<u32> {
        let mut counts = vec![0; logits.len()];
        for position in 0..draws {
            counts[draw_at(logits, sampling, position).token as usize] += 1;
        }
        counts
    }

    #[test]
    fn scaled_logits_round_to_even_and_stay_in_range() {
        // 1.5 / 0.5 = 3 exactly; 2^-33 is half a unit, and goes to the even 0; 3·2^-33 to the even 2.
        assert_eq!(scaled_logit(1.5, 0.5), 3 << 32);
        assert_eq!(scaled_logit(2f32.powi(-33), 1.0), 0);
        assert_eq!(scaled_logit(3.0 * 2f32.powi(-33), 1.0), 2);
        assert_eq!(scaled_logit(f32::NEG_INFINITY, 1.0), -SCALED_MAX);
        assert_eq!(scaled_logit(1e30, 1e-3), SCALED_MAX);
    }

    #[test]
    fn logprobs_are_those_of_the_tempered_softmax() {
        // At T = 2, logits 0, 2 ln 2, 2 ln 5 have weights 1, 2, 5 of 8.
        let logits = [0.0, 2.0 * 2f32.ln(), 2.0 * 5f32.ln()];
        let stats = RowStats::of(&logits, 2.0).unwrap();
        for (logit, expected) in logits.iter().zip([0.125f32, 0.25, 0.625]) {
            assert!((stats.logprob(*logit).exp() - expected).abs() < 1e-6);
        }
        // The restriction changes the draw, never the log-probability.
        let drawn = draw_at(&logits, &sampling(2.0, Some(1), None), 0);
        assert_eq!(drawn.token, 2);
        assert!((drawn.logprob - 0.625f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_largest() {
        let drawn = draw_at(&[1.0, 3.0, 3.0, -1.0], &sampling(0.0, None, None), 9);
        assert_eq!(drawn.token, 1);
        // ln softmax at T = 1: -ln(2 + e^-2 + e^-4).
        let expected = -(2.0 + (-2f32).exp() + (-4f32).exp()).ln();
        assert!((drawn.logprob - expected).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_tempered_softmax() {
        // T = 0.5 doubles the logits. Chi-square, 4 degrees of freedom: above 18.5 once in 1000.
        let logits = [0.0f32, 0.5, -0.5, 1.0, 0.25];
        let total: f64 = logits.iter().map(|&logit| f64::from(2.0 * logit).exp()).sum();
        const DRAWS: u32 = 30_000;
        let chi_square: f64 = counts(&logits, &sampling(0.5, None, None), DRAWS)
            .into_iter()
            .zip(logits)
            .map(|(count, logit)| {
                let expected = f64::from(DRAWS) * f64::from(2.0 * logit).exp() / total;
                (f64::from(count) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 18.5, "chi-square {chi_square}");
    }

    #[test]
    fn top_k_and_top_p_draw_only_from_what_they_keep() {
        // Probabilities 0.5, 0.25, 0.125, 0.125 (the last two tie: the lower id is kept first).
        let logits = [0.25f32.ln(), 0.5f32.ln(), 0.125f32.ln(), 0.125f32.ln()];
        let kept = |top_k, top_p| {
            let counts = counts(&logits, &sampling(1.0, top_k, top_p), 400);
            counts.iter().map(|&count| count > 0).collect::<Vec<_>>()
        };
        assert_eq!(kept(Some(3), None), [true, true, true, false]);
        assert_eq!(kept(None, Some(0.7)), [true, true, false, false]);
        assert_eq!(kept(None, Some(0.8)), [true, true, true, false]);
        assert_eq!(kept(None, Some(0.4)), [false, true, false, false]);
        // Of the two that top-k leaves, 0.5 is two thirds.
        assert_eq!(kept(Some(2), Some(0.6)), [false, true, false, false]);
        assert_eq!(kept(None, None), [true; 4]);
    }

    #[test]
    fn candidates_settle_the_draw_that_the_whole_row_gives() {
        let (rows, vocabulary) = (60, 500);
        let noisy = |at: usize| proof::gumbel_q(&[1; 32], 0, at as u32) as f32 / 4_294_967_296.0;
        let logits: Vec<f32> = (0..rows * vocabulary).map(noisy).collect();
        let tensor = ops::host::from_vec(logits.clone(), [rows, vocabulary], &burn::tensor::Device::flex());
        for temperature in [0.0, 0.6, 1.0, 3.0] {
            let asked = |row: usize| question(row, temperature, &[5; 32], row as u32, 17);
            let questions: Vec<Question> = (0..rows).map(asked).collect();
            let (found, _) = ops::candidates(&tensor, &questions, None);
            let mut settled = 0;
            for (row, (found, question)) in found.iter().zip(&questions).enumerate() {
                let whole = &logits[row * vocabulary..(row + 1) * vocabulary];
                let expected = draw_at(whole, &sampling(temperature, None, None), row as u32);
                if let Some(given) = draw_candidate(found, question) {
                    assert_eq!(given.token, expected.token);
                    assert!((given.logprob - expected.logprob).abs() < 1e-5);
                    settled += 1;
                }
                let expected = tempered_logprob(whole, temperature, 17).unwrap();
                assert!((candidate_logprob(found, question).unwrap() - expected).abs() < 1e-5);
            }
            assert!(settled * 10 >= rows * 9, "temperature {temperature}: {settled} of {rows}");
        }
    }

    #[test]
    fn candidates_that_others_may_beat_settle_nothing() {
        let row = |bound| Candidates { tokens: vec![(3, 2.0), (7, 2.0)], bound, max: 2.0, sum: 1.5, token_logit: 0.0 };
        let question = question(0, 0.0, &[0; 32], 0, 0);
        let certain = best_candidate(&row(1.9), &question).unwrap();
        assert_eq!(certain.token, 3, "a tie goes to the lower id");
        assert_eq!(best_candidate(&row(2.0), &question), None, "a tie with a token that is not there");
    }

    #[test]
    fn rows_that_are_no_distribution_are_refused() {
        assert_eq!(RowStats::of(&[0.0, f32::NAN, 1.0], 1.0), None);
        assert_eq!(RowStats::of(&[0.0, f32::INFINITY], 1.0), None);
        assert_eq!(RowStats::of(&[f32::NEG_INFINITY; 40], 1.0), None);
        assert!(RowStats::of(&[f32::NEG_INFINITY, 2.0], 1.0).is_some());
    }

    proptest! {
        #[test]
        fn probabilities_of_a_row_add_up_to_one(
            logits in proptest::collection::vec(-30f32..30.0, 1..6000),
            temperature in 0.1f32..5.0,
        ) {
            let stats = RowStats::of(&logits, temperature).unwrap();
            let total: f64 =
                logits.iter().map(|&logit| f64::from(stats.logprob(logit)).exp()).sum();
            prop_assert!((total - 1.0).abs() < 1e-5, "total {}", total);
        }

        #[test]
        fn the_largest_scaled_logit_of_a_range_is_found(
            logits in proptest::collection::vec(-30f32..30.0, 1..200),
            temperature in 0.001f32..5.0,
        ) {
            let tempered = TemperedLogits { logits: &logits, temperature };
            let expected = (0..logits.len() as u32).map(|token| tempered.at(token)).max();
            prop_assert_eq!(Some(tempered.max_in(0..logits.len() as u32)), expected);
        }
    }
}
