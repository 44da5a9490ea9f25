//! What the majority of the stake supports.
//!
//! Promise: the result is one of the scores; it does not depend on the order of the validators.

use super::error::{YumaError, columns_of, expect_length, expect_shape};
use super::fixed::Fixed;
use super::matrix::normalize;

/// The stake-weighted median: the lowest score at or below which lies more than `minority` of stake.
///
/// So the scores at or above it hold at least `total stake − minority`. Without scores: 0. A
/// `minority` below zero gives the lowest score, one of all the stake or more the highest.
/// - `stake`, `scores`: `[validators]`; usually shares of one
/// - rounding: none, sums are exact
/// - errors: `Length`
pub fn weighted_median(stake: &[Fixed], scores: &[Fixed], minority: Fixed) -> Result<Fixed, YumaError> {
    expect_length("scores", stake.len(), scores.len())?;
    let mut pairs: Vec<_> = scores.iter().copied().zip(stake.iter().copied()).collect();
    Ok(median_of(&mut pairs, minority))
}

/// The consensus of each worker: `C_j = max { w : Σ_i S_i · [W_ij ≥ w] ≥ majority }`.
///
/// Validators without stake have no voice; the others' stake is normalised first; `majority` is a
/// share of one. No stake: all 0.
/// - `stake`: `[validators]`; `scores`: `[validators][workers]`; gives `[workers]`
/// - errors: `Length`, `Ragged`
pub fn weighted_median_columns(
    stake: &[Fixed],
    scores: &[Vec<Fixed>],
    majority: Fixed,
) -> Result<Vec<Fixed>, YumaError> {
    let columns = columns_of(scores);
    expect_shape("scores", scores, stake.len(), columns)?;
    let voices: Vec<usize> = (0..stake.len()).filter(|i| stake[*i] > Fixed::ZERO).collect();
    let mut share: Vec<Fixed> = voices.iter().map(|i| stake[*i]).collect();
    normalize(&mut share);
    let minority = Fixed::total(&share).minus(majority);
    let mut pairs = Vec::with_capacity(voices.len());
    let mut median = |column: usize| {
        pairs.clear();
        pairs.extend(voices.iter().zip(&share).map(|(i, share)| (scores[*i][column], *share)));
        median_of(&mut pairs, minority)
    };
    Ok((0..columns).map(&mut median).collect())
}

/// Sorts `(score, stake)` and walks up until more than `minority` has been passed.
fn median_of(pairs: &mut [(Fixed, Fixed)], minority: Fixed) -> Fixed {
    pairs.sort_unstable();
    let minority = i128::from(minority.to_bits());
    let mut below = 0i128;
    for (score, stake) in pairs.iter() {
        below += i128::from(stake.to_bits());
        if below > minority {
            return *score;
        }
    }
    pairs.last().map_or(Fixed::ZERO, |(score, _)| *score)
}
