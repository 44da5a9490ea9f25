//! One epoch of Yuma consensus.
//!
//! Promise: the output depends on the input alone; sizes are checked before tables are made.

use super::bonds::{BondsInput, bonds};
use super::error::{YumaError, columns_of, expect_length, expect_shape};
use super::fixed::Fixed;
use super::masks::Masks;
use super::matrix::{clip_columns, interpolate, normalize, weigh_rows};
use super::median::weighted_median_columns;
use super::terms::{Rule, YumaTerms};

/// Most scores (validators times workers) that one epoch takes: four times 256 × 4096.
pub const CELLS_MAX: usize = 1 << 22;

/// What one epoch is computed from.
#[derive(Clone, Debug)]
pub struct YumaInput<'a> {
    /// The agreed numbers.
    pub terms: &'a YumaTerms,
    /// `[validators]`: stake, in any one unit (here micro-ESM); only its shares matter.
    pub stakes: &'a [u64],
    /// `[validators][workers]`: scores, in any unit of the validator's own; each row is made into
    /// shares of one. Rows of 16 bits, as the chain has them, give the chain's bits.
    pub weights: &'a [Vec<u64>],
    /// `[validators][workers]`: bonds that the epoch before gave, in 65535ths; empty: none yet.
    pub bonds: &'a [Vec<u16>],
    /// What is left out.
    pub masks: Masks,
}

/// What one epoch gives. Shares are of one, in units of 2⁻³².
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YumaOutput {
    /// `[validators]`: share of all stake, whoever is active.
    pub stake: Vec<Fixed>,
    /// `[validators]`: share of the stake that had a voice. Sums to 1 or is all 0.
    pub active_stake: Vec<Fixed>,
    /// `[workers]`: the score that a majority of stake supports, `C_j`.
    pub consensus: Vec<Fixed>,
    /// `[validators]`: how much of a validator's scores the majority supports, `Σ_j min(W_ij, C_j)`.
    pub validator_trust: Vec<Fixed>,
    /// `[workers]`: how much of a worker's scores was left after clipping, `R_j / P_j`.
    pub trust: Vec<Fixed>,
    /// `[workers]`: share of what workers earn, `I_j`. Sums to 1 or is all 0.
    pub incentive: Vec<Fixed>,
    /// `[validators]`: share of what validators earn, `D_i`. Sums to 1 or is all 0.
    pub dividends: Vec<Fixed>,
    /// `[validators][workers]`: bonds for the next epoch in 65535ths, rounded down.
    pub bonds: Vec<Vec<u16>>,
}

/// Computes one epoch; the formulas are in `docs/yuma.md`.
///
/// Errors: `Length`, `Ragged`, `TooManyScores`, `MovingAverage`, `AlphaBounds`. No stake, no scores
/// or no agreement is no error: the shares are then 0.
pub fn epoch(input: &YumaInput<'_>) -> Result<YumaOutput, YumaError> {
    input.check()?;
    let stake = input.stake();
    let active_stake = input.active_stake(&stake);
    let scores = input.scores();
    let consensus = weighted_median_columns(&active_stake, &scores, Fixed::from_u16(input.terms.kappa))?;
    let mut clipped = scores.clone();
    clip_columns(&mut clipped, &consensus)?;
    let before = weigh_rows(&scores, &active_stake);
    let mut incentive = weigh_rows(&clipped, &active_stake);
    let trust = incentive.iter().zip(&before).map(|(after, before)| after.over(*before)).collect();
    normalize(&mut incentive);
    let penalty = Fixed::from_u16(input.terms.bonds_penalty);
    let new = bonds(BondsInput {
        terms: input.terms,
        scores: &interpolate(&scores, &clipped, penalty)?,
        bonds: input.bonds(),
        consensus: &consensus,
        stake: &active_stake,
        incentive: &incentive,
    })?;
    Ok(YumaOutput {
        stake,
        active_stake,
        validator_trust: clipped.iter().map(Fixed::total).collect(),
        trust,
        consensus,
        incentive,
        dividends: new.dividends,
        bonds: new.bonds.iter().map(|row| row.iter().map(|bond| bond.to_u16()).collect()).collect(),
    })
}

impl YumaInput<'_> {
    fn check(&self) -> Result<(), YumaError> {
        self.terms.check()?;
        let (validators, workers) = (self.weights.len(), columns_of(self.weights));
        let given = validators.saturating_mul(workers.max(1));
        if given > CELLS_MAX {
            return Err(YumaError::TooManyScores { limit: CELLS_MAX, given });
        }
        expect_length("stakes", validators, self.stakes.len())?;
        expect_shape("weights", self.weights, validators, workers)?;
        if !self.bonds.is_empty() {
            expect_shape("bonds", self.bonds, validators, workers)?;
        }
        self.masks.check(validators, workers)
    }

    /// Shares of the stakes that reach the minimum.
    fn stake(&self) -> Vec<Fixed> {
        let counts = |stake: &u64| if *stake < self.terms.stake_min { 0 } else { *stake };
        let total: u128 = self.stakes.iter().map(|stake| u128::from(counts(stake))).sum();
        self.stakes.iter().map(|stake| Fixed::from_ratio(counts(stake), total)).collect()
    }

    fn active_stake(&self, stake: &[Fixed]) -> Vec<Fixed> {
        let voice = |(i, stake): (usize, &Fixed)| {
            if self.masks.has_voice(i) { *stake } else { Fixed::ZERO }
        };
        let mut active: Vec<Fixed> = stake.iter().enumerate().map(voice).collect();
        normalize(&mut active);
        active
    }

    /// Rows as shares of what is not left out.
    fn scores(&self) -> Vec<Vec<Fixed>> {
        let row = |(i, row): (usize, &Vec<u64>)| {
            let counts = |j: usize| {
                let out = self.masks.is_forbidden(i) || self.masks.leaves_out_score(i, j);
                if out { 0 } else { row[j] }
            };
            let total: u128 = (0..row.len()).map(|j| u128::from(counts(j))).sum();
            (0..row.len()).map(|j| Fixed::from_ratio(counts(j), total)).collect()
        };
        self.weights.iter().enumerate().map(row).collect()
    }

    /// Bonds of the epoch before; 0 where there are none or they are forgotten. As shares for
    /// Yuma3; as whole numbers for the original form, which makes shares of its columns at once.
    fn bonds(&self) -> Vec<Vec<Fixed>> {
        if self.bonds.is_empty() {
            return self.weights.iter().map(|row| vec![Fixed::ZERO; row.len()]).collect();
        }
        let cell = |(j, bond): (usize, &u16)| match self.terms.rule {
            _ if self.masks.forgets_bonds(j) => Fixed::ZERO,
            Rule::Yuma3 => Fixed::from_u16(*bond),
            Rule::Original => Fixed::from_integer(i64::from(*bond)),
        };
        self.bonds.iter().map(|row| row.iter().enumerate().map(cell).collect()).collect()
    }
}
