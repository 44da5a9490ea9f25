//! Bonds: how early and how truly a validator saw a worker's worth.
//!
//! Promise: bonds are shares between 0 and 1; dividends sum to one (less rounding) or are all 0.

use super::error::YumaError;
use super::fixed::{Fixed, exp};
use super::matrix::{ema, ema_cell, normalize, normalize_columns, upscale_columns, weigh_columns};
use super::terms::{LiquidAlpha, Rule, YumaTerms};

/// What one epoch makes bonds from. Tables are `[validators][workers]`.
pub(super) struct BondsInput<'a> {
    pub(super) terms: &'a YumaTerms,
    /// Scores after the penalty: `(1 − β) · W + β · min(W, C)`.
    pub(super) scores: &'a [Vec<Fixed>],
    /// Bonds of the epoch before: shares for Yuma3, whole 65535ths for the original form.
    pub(super) bonds: Vec<Vec<Fixed>>,
    pub(super) consensus: &'a [Fixed],
    pub(super) stake: &'a [Fixed],
    pub(super) incentive: &'a [Fixed],
}

/// New bonds and the dividends that they pay.
pub(super) struct Bonds {
    pub(super) bonds: Vec<Vec<Fixed>>,
    pub(super) dividends: Vec<Fixed>,
}

pub(super) fn bonds(input: BondsInput<'_>) -> Result<Bonds, YumaError> {
    match input.terms.rule {
        Rule::Yuma3 => yuma3(input),
        Rule::Original => original(input),
    }
}

/// `B' = min(1, (1 − a) · B + a · Wb)`, `D_i = normalise(S_i · Σ_j (B'_ij / Σ_k B'_kj) · I_j)`.
fn yuma3(input: BondsInput<'_>) -> Result<Bonds, YumaError> {
    let spoken = input.consensus.iter().any(|consensus| *consensus != Fixed::ZERO);
    let bonds = match input.terms.liquid_alpha {
        Some(liquid) if spoken => liquid_bonds(&input, liquid),
        _ => ema(input.scores, &input.bonds, input.terms.alpha())?,
    };
    let mut shares = bonds.clone();
    normalize_columns(&mut shares)?;
    let held = weigh_columns(&shares, input.incentive);
    let mut dividends: Vec<Fixed> = held.iter().zip(input.stake).map(|(held, stake)| held.times(*stake)).collect();
    normalize(&mut dividends);
    Ok(Bonds { bonds, dividends })
}

/// [`ema_alpha`](super::ema_alpha) with each pair's [`liquid_alpha`], without a table of the speeds.
fn liquid_bonds(input: &BondsInput<'_>, liquid: LiquidAlpha) -> Vec<Vec<Fixed>> {
    let row = |(scores, bonds): (&Vec<Fixed>, &Vec<Fixed>)| {
        let cells = scores.iter().zip(bonds).zip(input.consensus);
        cells
            .map(|((score, bond), consensus)| ema_cell(*score, *bond, liquid_alpha(liquid, *consensus, *score, *bond)))
            .collect()
    };
    input.scores.iter().zip(&input.bonds).map(row).collect()
}

/// `ΔB = columns of S_i · Wb_ij as shares`, `B' = columns of α · ΔB + (1 − α) · B as shares`,
/// `D_i = normalise(Σ_j B'_ij · I_j)`; the bonds that are kept are scaled to 1 in each column.
fn original(input: BondsInput<'_>) -> Result<Bonds, YumaError> {
    let mut old = input.bonds;
    normalize_columns(&mut old)?;
    let by_stake =
        |(row, stake): (&Vec<Fixed>, &Fixed)| row.iter().map(|score| stake.times(*score)).collect::<Vec<_>>();
    let mut delta: Vec<Vec<Fixed>> = input.scores.iter().zip(input.stake).map(by_stake).collect();
    normalize_columns(&mut delta)?;
    let mut bonds = ema(&delta, &old, input.terms.alpha())?;
    normalize_columns(&mut bonds)?;
    let mut dividends = weigh_columns(&bonds, input.incentive);
    normalize(&mut dividends);
    upscale_columns(&mut bonds)?;
    Ok(Bonds { bonds, dividends })
}

/// Speed of one bond: fast if the validator is ahead of the others, or lets go of much.
///
/// `d = clamp(score − consensus, 0, 1)` if `score ≥ bond`, else `clamp(bond − score, 0, 1)`;
/// `a = clamp(low + (high − low) / (1 + e^(−steepness · (d − 1/2))), low, high)`.
/// - all are shares of one; `steepness` is `steepness_percent / 100`
/// - rounding: exponent and product down, quotients towards zero; exponent within ±20
pub fn liquid_alpha(liquid: LiquidAlpha, consensus: Fixed, score: Fixed, bond: Fixed) -> Fixed {
    let (low, high) = (Fixed::from_u16(liquid.low), Fixed::from_u16(liquid.high));
    let distance = if score >= bond { score.minus(consensus) } else { bond.minus(score) };
    let distance = distance.clamp(Fixed::ZERO, Fixed::ONE);
    let steepness = Fixed::from_integer(i64::from(liquid.steepness_percent));
    let exponent = steepness.over(Fixed::from_integer(-100)).times(distance.minus(Fixed::HALF));
    let curve = Fixed::ONE.over(Fixed::ONE.plus(exp(exponent)));
    // Not `clamp`, which panics if the bounds are the wrong way round.
    low.plus(curve.times(high.minus(low))).min(high).max(low)
}
