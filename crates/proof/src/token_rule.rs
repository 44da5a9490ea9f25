//! Which token a rollout must contain at a position, given scaled logits and noise.
//!
//! Promise: `winner` gives what `winner_plain` gives, always; it only looks at fewer tokens.
//! Takes: logits divided by the temperature, as Q32 integers; whoever holds floats converts them,
//! by one rounding rule of its own. Gives: the token, or by how much a token falls short.
//! Never: scales or masks logits itself.
//!
//! Rule: `token = argmax_v (scaled_v + gumbel(seed, position, v))`, ties to the lower id.
//! Since the noise is Gumbel, `P(token = v) = exp(scaled_v) / Σ_w exp(scaled_w)`.

use std::ops::Range;

use crate::fixed::gumbel_bound;
use crate::noise::{CHUNK, HighWords, Noise};

/// The scaled logit of a token that may not be chosen (outside top-k or top-p).
pub const EXCLUDED: i64 = i64::MIN;

/// Logits divided by the temperature, as Q32 integers, however they are stored.
pub trait ScaledLogits {
    /// Number of tokens in the vocabulary.
    fn token_count(&self) -> u32;
    /// Scaled logit of a token below [`Self::token_count`], or [`EXCLUDED`].
    fn at(&self, token: u32) -> i64;
    /// The largest of [`Self::at`] over a range that is not empty.
    fn max_in(&self, tokens: Range<u32>) -> i64;
}

impl ScaledLogits for [i64] {
    fn token_count(&self) -> u32 {
        u32::try_from(self.len()).expect("a vocabulary has fewer than 2^32 tokens")
    }

    fn at(&self, token: u32) -> i64 {
        self[token as usize]
    }

    fn max_in(&self, tokens: Range<u32>) -> i64 {
        let values = &self[tokens.start as usize..tokens.end as usize];
        values.iter().copied().max().unwrap_or(EXCLUDED)
    }
}

/// The token that wins a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// Its id.
    pub token: u32,
    /// Its scaled logit plus its noise, in Q32.
    pub score: i64,
}

/// The token to emit; `None` if every token is [`EXCLUDED`] or there is none.
///
/// Works out the exact noise only of tokens that could still win: a chunk of 64 is passed over when
/// its largest logit plus the bound of its largest noise word is below the best score so far.
#[must_use]
#[inline(always)]
pub fn winner<L: ScaledLogits + ?Sized>(scaled: &L, noise: &Noise) -> Option<Winner> {
    let mut best: Option<Winner> = None;
    let count = scaled.token_count();
    for first in (0..count).step_by(CHUNK) {
        let tokens = first..count.min(first.saturating_add(CHUNK as u32));
        let words = noise.high_words(first);
        if could_win(best, scaled.max_in(tokens.clone()), words.largest()) {
            best = best_in_chunk(scaled, noise, tokens, &words, best);
        }
    }
    best
}

/// Whether a token with this logit and this high word might reach the best score. A tie may not be
/// dropped here, though it loses: it is settled where the exact score is known.
#[inline(always)]
fn could_win(best: Option<Winner>, logit: i64, word: u32) -> bool {
    let reachable = || logit.saturating_add(gumbel_bound(word));
    logit != EXCLUDED && best.is_none_or(|best| reachable() >= best.score)
}

fn best_in_chunk<L: ScaledLogits + ?Sized>(
    scaled: &L,
    noise: &Noise,
    tokens: Range<u32>,
    words: &HighWords,
    mut best: Option<Winner>,
) -> Option<Winner> {
    for (index, token) in tokens.enumerate() {
        let word = words.of(index);
        let logit = scaled.at(token);
        if could_win(best, logit, word) {
            let score = logit.saturating_add(noise.gumbel_with_high(token, word));
            // Tokens come in rising order, so "above" leaves ties to the lower id.
            if best.is_none_or(|best| score > best.score) {
                best = Some(Winner { token, score });
            }
        }
    }
    best
}

/// The rule as it is written, one token after the other: what [`winner`] is tested against.
#[must_use]
pub fn winner_plain<L: ScaledLogits + ?Sized>(scaled: &L, noise: &Noise) -> Option<Winner> {
    winner_among((0..scaled.token_count()).map(|token| (token, scaled.at(token))), noise)
}

/// The winner among some tokens, given in rising order of their ids with their scaled logits.
#[must_use]
pub fn winner_among(tokens: impl Iterator<Item = (u32, i64)>, noise: &Noise) -> Option<Winner> {
    tokens
        .filter(|&(_, logit)| logit != EXCLUDED)
        .map(|(token, logit)| Winner { token, score: logit.saturating_add(noise.gumbel(token)) })
        .reduce(|best, next| if next.score > best.score { next } else { best })
}

/// By how much `token` falls short of the winner, in Q32: 0 for the winner itself, else
/// `score(winner) - score(token)`.
///
/// `None` if `token` is excluded or outside the vocabulary: such a token has no score.
#[must_use]
#[inline(always)]
pub fn margin<L: ScaledLogits + ?Sized>(scaled: &L, noise: &Noise, token: u32) -> Option<i64> {
    if token >= scaled.token_count() || scaled.at(token) == EXCLUDED {
        return None;
    }
    let best = winner(scaled, noise)?;
    Some(best.score.saturating_sub(score(scaled, noise, token)))
}

#[inline(always)]
fn score<L: ScaledLogits + ?Sized>(scaled: &L, noise: &Noise, token: u32) -> i64 {
    scaled.at(token).saturating_add(noise.gumbel(token))
}

#[cfg(test)]
#[allow(clippy::float_arithmetic, reason = "statistics of the integers are judged in floats")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: i64 = 1 << 32;

    fn logits() -> impl Strategy<Value = Vec<i64>> {
        let spread = prop_oneof![Just(0i64), Just(1), Just(ONE), Just(12 * ONE), Just(1 << 58)];
        (spread, 1usize..700).prop_flat_map(|(spread, count)| {
            let entry = prop_oneof![9 => -spread..=spread, 1 => Just(EXCLUDED)];
            proptest::collection::vec(entry, count)
        })
    }

    proptest! {
        #[test]
        fn the_fast_winner_is_the_plain_winner(scaled in logits(), seed: [u8; 32], position: u32) {
            let noise = Noise::new(&seed, position);
            prop_assert_eq!(winner(&scaled[..], &noise), winner_plain(&scaled[..], &noise));
        }

        #[test]
        fn only_the_winner_has_no_margin(scaled in logits(), seed: [u8; 32]) {
            let noise = Noise::new(&seed, 0);
            let best = winner_plain(&scaled[..], &noise);
            for token in 0..scaled.len() as u32 + 2 {
                match (margin(&scaled[..], &noise, token), best) {
                    (Some(margin), Some(best)) if token == best.token => prop_assert_eq!(margin, 0),
                    // Zero would be a tie, which needs 2^-32 of luck in this test.
                    (Some(margin), _) => prop_assert!(margin > 0),
                    (None, _) => prop_assert!(
                        scaled.get(token as usize).is_none_or(|&logit| logit == EXCLUDED)
                    ),
                }
            }
        }
    }

    #[test]
    fn the_fast_winner_is_the_plain_winner_over_a_whole_vocabulary() {
        for position in 0..6 {
            let noise = Noise::new(&[position as u8; 32], position);
            let flat = vec![0i64; 151_936];
            assert_eq!(winner(&flat[..], &noise), winner_plain(&flat[..], &noise));
        }
    }

    #[test]
    fn nothing_wins_where_every_token_is_excluded() {
        let noise = Noise::new(&[0; 32], 0);
        assert_eq!(winner(&[EXCLUDED; 100][..], &noise), None);
        assert_eq!(winner(&[][..], &noise), None);
    }

    #[test]
    fn a_token_far_above_the_rest_wins_whatever_the_noise() {
        // The noise spans less than 50, so a lead of 60 cannot be lost.
        let mut scaled = vec![0i64; 300];
        scaled[217] = 60 * ONE;
        for position in 0..200 {
            let noise = Noise::new(&[1; 32], position);
            assert_eq!(winner(&scaled[..], &noise).unwrap().token, 217);
        }
    }

    #[test]
    fn winners_follow_the_softmax_of_the_logits() {
        // Chi-square with 7 degrees of freedom: above 24.3 once in a thousand.
        const DRAWS: u32 = 40_000;
        let logits = [0.0f64, 1.0, -1.0, 2.0, 0.5, -3.0, 1.5, -0.25];
        let scaled = logits.map(|logit| (logit * ONE as f64) as i64);
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut counts = [0u32; 8];
        for position in 0..DRAWS {
            let noise = Noise::new(&[42; 32], position);
            counts[winner(&scaled[..], &noise).unwrap().token as usize] += 1;
        }
        let chi_square: f64 = logits
            .iter()
            .zip(counts)
            .map(|(logit, count)| {
                let expected = f64::from(DRAWS) * logit.exp() / total;
                (f64::from(count) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 24.3, "chi-square {chi_square}, counts {counts:?}");
    }
}
