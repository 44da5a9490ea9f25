//! The formulas once more, in floats and as plainly as they are written, as a second opinion.

use ledger::yuma::{Rule, YumaInput};

/// What the model computes; compare with `YumaOutput`.
pub(super) struct ModelOutput {
    pub(super) consensus: Vec<f64>,
    pub(super) incentive: Vec<f64>,
    pub(super) dividends: Vec<f64>,
    pub(super) bonds: Vec<Vec<f64>>,
}

type Rows = Vec<Vec<f64>>;

fn normalized(values: &[f64]) -> Vec<f64> {
    let total: f64 = values.iter().sum();
    let divisor = if total == 0.0 { 1.0 } else { total };
    values.iter().map(|value| value / divisor).collect()
}

fn columns_normalized(rows: &Rows) -> Rows {
    let columns = rows.first().map_or(0, Vec::len);
    let sum = |j: usize| rows.iter().map(|row| row[j]).sum::<f64>();
    let divisors: Vec<f64> = (0..columns).map(|j| if sum(j) == 0.0 { 1.0 } else { sum(j) }).collect();
    rows.iter().map(|row| row.iter().zip(&divisors).map(|(v, d)| v / d).collect()).collect()
}

/// The highest score that a majority supports, by trying each of them.
fn consensus(stake: &[f64], scores: &Rows, kappa: f64, column: usize) -> f64 {
    let support =
        |score: f64| -> f64 { stake.iter().zip(scores).filter(|(_, row)| row[column] >= score).map(|(s, _)| s).sum() };
    let supported = scores.iter().map(|row| row[column]).filter(|score| support(*score) >= kappa);
    supported.fold(0.0, f64::max)
}

/// One epoch without masks.
pub(super) fn model(input: &YumaInput<'_>) -> ModelOutput {
    let terms = input.terms;
    let stake = normalized(&input.stakes.iter().map(|stake| *stake as f64).collect::<Vec<_>>());
    let shares = |row: &Vec<u64>| normalized(&row.iter().map(|w| *w as f64).collect::<Vec<_>>());
    let scores: Rows = input.weights.iter().map(shares).collect();
    let columns = scores[0].len();
    let kappa = f64::from(terms.kappa) / 65_535.0;
    let consensus: Vec<f64> = (0..columns).map(|column| consensus(&stake, &scores, kappa, column)).collect();
    let clipped: Rows = scores.iter().map(|row| row.iter().zip(&consensus).map(|(w, c)| w.min(*c)).collect()).collect();
    let rank = |j: usize| stake.iter().zip(&clipped).map(|(s, row)| s * row[j]).sum();
    let incentive = normalized(&(0..columns).map(rank).collect::<Vec<f64>>());
    let beta = f64::from(terms.bonds_penalty) / 65_535.0;
    let for_bonds: Rows = scores
        .iter()
        .zip(&clipped)
        .map(|(w, c)| w.iter().zip(c).map(|(w, c)| (1.0 - beta) * w + beta * c).collect())
        .collect();
    let (bonds, dividends) = match terms.rule {
        Rule::Yuma3 => yuma3(input, &for_bonds, &consensus, &stake, &incentive),
        Rule::Original => original(input, &for_bonds, &stake, &incentive),
    };
    ModelOutput { consensus, incentive, dividends, bonds }
}

fn old_bonds(input: &YumaInput<'_>) -> Rows {
    if input.bonds.is_empty() {
        return input.weights.iter().map(|row| vec![0.0; row.len()]).collect();
    }
    input.bonds.iter().map(|row| row.iter().map(|b| f64::from(*b) / 65_535.0).collect()).collect()
}

fn slow_alpha(input: &YumaInput<'_>) -> f64 {
    1.0 - f64::from(input.terms.bonds_moving_average_ppm) / 1e6
}

fn yuma3(
    input: &YumaInput<'_>,
    scores: &Rows,
    consensus: &[f64],
    stake: &[f64],
    incentive: &[f64],
) -> (Rows, Vec<f64>) {
    let liquid = input.terms.liquid_alpha.filter(|_| consensus.iter().any(|c| *c > 0.0));
    let alpha = |w: f64, b: f64, c: f64| {
        let Some(liquid) = liquid else { return slow_alpha(input) };
        let distance = if w >= b { w - c } else { b - w }.clamp(0.0, 1.0);
        let steepness = f64::from(liquid.steepness_percent) / 100.0;
        let (low, high) = (f64::from(liquid.low) / 65_535.0, f64::from(liquid.high) / 65_535.0);
        low + (high - low) / (1.0 + (-steepness * (distance - 0.5)).exp())
    };
    let cell = |((w, b), c): ((&f64, &f64), &f64)| {
        let alpha = alpha(*w, *b, *c);
        ((1.0 - alpha) * b + alpha * w).min(1.0)
    };
    let old = old_bonds(input);
    let bonds: Rows =
        scores.iter().zip(&old).map(|(w, b)| w.iter().zip(b).zip(consensus).map(cell).collect()).collect();
    let shares = columns_normalized(&bonds);
    let held = |row: &Vec<f64>| row.iter().zip(incentive).map(|(b, i)| b * i).sum::<f64>();
    let dividends: Vec<f64> = shares.iter().zip(stake).map(|(row, s)| s * held(row)).collect();
    (bonds, normalized(&dividends))
}

fn original(input: &YumaInput<'_>, scores: &Rows, stake: &[f64], incentive: &[f64]) -> (Rows, Vec<f64>) {
    let alpha = slow_alpha(input);
    let by_stake: Rows = scores.iter().zip(stake).map(|(row, s)| row.iter().map(|w| w * s).collect()).collect();
    let (delta, old) = (columns_normalized(&by_stake), columns_normalized(&old_bonds(input)));
    let mixed: Rows = delta
        .iter()
        .zip(&old)
        .map(|(d, b)| d.iter().zip(b).map(|(d, b)| alpha * d + (1.0 - alpha) * b).collect())
        .collect();
    let bonds = columns_normalized(&mixed);
    let held = |row: &Vec<f64>| row.iter().zip(incentive).map(|(b, i)| b * i).sum::<f64>();
    let dividends = normalized(&bonds.iter().map(held).collect::<Vec<_>>());
    let largest = |j: usize| bonds.iter().map(|row| row[j]).fold(0.0, f64::max);
    let kept = bonds
        .iter()
        .map(|row| {
            let scaled = |(j, b): (usize, &f64)| if largest(j) > 0.0 { b / largest(j) } else { *b };
            row.iter().enumerate().map(scaled).collect()
        })
        .collect();
    (kept, dividends)
}
