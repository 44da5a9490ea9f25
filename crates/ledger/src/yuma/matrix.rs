//! Tables of shares: `[validators][workers]`.
//!
//! Promise: shapes are checked before anything is computed; all rounding is that of [`Fixed`].

use super::error::{YumaError, columns_of, expect_length, expect_shape};
use super::fixed::Fixed;

/// Divides by the sum, so that the values sum to one (less rounding); a sum of 0 changes nothing.
pub fn normalize(values: &mut [Fixed]) {
    let total = Fixed::total(values.iter());
    if total != Fixed::ZERO {
        values.iter_mut().for_each(|value| *value = value.over(total));
    }
}

/// [`normalize`] for each row whose sum is above 0.
pub fn normalize_rows(table: &mut [Vec<Fixed>]) {
    for row in table.iter_mut().filter(|row| Fixed::total(row.iter()) > Fixed::ZERO) {
        normalize(row);
    }
}

/// [`normalize`] for each column. Errors: `Ragged`.
pub fn normalize_columns(table: &mut [Vec<Fixed>]) -> Result<(), YumaError> {
    divide_columns(table, Fixed::plus)
}

/// Divides each column by its largest value, so that this becomes one; a column of zeros stays.
/// Errors: `Ragged`.
pub fn upscale_columns(table: &mut [Vec<Fixed>]) -> Result<(), YumaError> {
    divide_columns(table, Fixed::max)
}

fn divide_columns(table: &mut [Vec<Fixed>], fold: impl Fn(Fixed, Fixed) -> Fixed) -> Result<(), YumaError> {
    let mut divisors = vec![Fixed::ZERO; columns_of(table)];
    expect_shape("table", table, table.len(), divisors.len())?;
    for row in table.iter() {
        divisors.iter_mut().zip(row).for_each(|(sum, value)| *sum = fold(*sum, *value));
    }
    for row in table {
        for (value, divisor) in row.iter_mut().zip(&divisors) {
            if *divisor != Fixed::ZERO {
                *value = value.over(*divisor);
            }
        }
    }
    Ok(())
}

/// `min(value, limit of its column)`. Errors: `Ragged`, if a row is not as long as `limits`.
pub fn clip_columns(table: &mut [Vec<Fixed>], limits: &[Fixed]) -> Result<(), YumaError> {
    expect_shape("table", table, table.len(), limits.len())?;
    for row in table {
        row.iter_mut().zip(limits).for_each(|(value, limit)| *value = (*value).min(*limit));
    }
    Ok(())
}

/// `from + ratio · (to − from)` for each pair. Ratios of exactly 0 and 1 copy.
///
/// Rounding: the product down, towards −∞. Errors: `Length`, `Ragged`.
pub fn interpolate(from: &[Vec<Fixed>], to: &[Vec<Fixed>], ratio: Fixed) -> Result<Vec<Vec<Fixed>>, YumaError> {
    expect_like(from, to)?;
    Ok(match ratio {
        Fixed::ZERO => from.to_vec(),
        Fixed::ONE => to.to_vec(),
        ratio => merge(from, to, |from, to| from.plus(ratio.times(to.minus(from)))),
    })
}

/// Moving average with one speed: `alpha · new + (1 − alpha) · old`.
///
/// - `alpha`: share of one per epoch; both products are rounded down
/// - errors: `Length`, `Ragged`
pub fn ema(new: &[Vec<Fixed>], old: &[Vec<Fixed>], alpha: Fixed) -> Result<Vec<Vec<Fixed>>, YumaError> {
    expect_like(new, old)?;
    let kept = Fixed::ONE.minus(alpha);
    Ok(merge(new, old, |new, old| alpha.times(new).plus(kept.times(old))))
}

/// Moving average with a speed for each pair, kept at one or less:
/// `min(1, (1 − alpha_ij) · old_ij + max(0, alpha_ij · new_ij))`.
///
/// - all three `[validators][workers]`; both products are rounded down
/// - errors: `Length`, `Ragged`
pub fn ema_alpha(new: &[Vec<Fixed>], old: &[Vec<Fixed>], alpha: &[Vec<Fixed>]) -> Result<Vec<Vec<Fixed>>, YumaError> {
    expect_like(new, old)?;
    expect_like(new, alpha)?;
    let rows = new.iter().zip(old).zip(alpha);
    Ok(rows
        .map(|((new, old), alpha)| {
            let cells = new.iter().zip(old).zip(alpha);
            cells.map(|((new, old), alpha)| ema_cell(*new, *old, *alpha)).collect()
        })
        .collect())
}

/// One entry of [`ema_alpha`].
pub(super) fn ema_cell(new: Fixed, old: Fixed, alpha: Fixed) -> Fixed {
    let decayed = Fixed::ONE.minus(alpha).times(old);
    decayed.plus(alpha.times(new).max(Fixed::ZERO)).min(Fixed::ONE)
}

/// `Σ_i table_ij · by_row_i` for each column `j`; each product rounded down.
pub(super) fn weigh_rows(table: &[Vec<Fixed>], by_row: &[Fixed]) -> Vec<Fixed> {
    let mut sums = vec![Fixed::ZERO; columns_of(table)];
    for (row, weight) in table.iter().zip(by_row) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum = sum.plus(weight.times(*value));
        }
    }
    sums
}

/// `Σ_j table_ij · by_column_j` for each row `i`; each product rounded down.
pub(super) fn weigh_columns(table: &[Vec<Fixed>], by_column: &[Fixed]) -> Vec<Fixed> {
    let weigh = |row: &Vec<Fixed>| {
        row.iter().zip(by_column).fold(Fixed::ZERO, |sum, (value, weight)| sum.plus(value.times(*weight)))
    };
    table.iter().map(weigh).collect()
}

fn merge(left: &[Vec<Fixed>], right: &[Vec<Fixed>], cell: impl Fn(Fixed, Fixed) -> Fixed) -> Vec<Vec<Fixed>> {
    let row = |(left, right): (&Vec<Fixed>, &Vec<Fixed>)| {
        left.iter().zip(right).map(|(left, right)| cell(*left, *right)).collect()
    };
    left.iter().zip(right).map(row).collect()
}

/// Checks that the second table has the shape of the first.
fn expect_like(first: &[Vec<Fixed>], second: &[Vec<Fixed>]) -> Result<(), YumaError> {
    let columns = columns_of(first);
    expect_shape("first table", first, first.len(), columns)?;
    expect_length("second table", first.len(), second.len())?;
    expect_shape("second table", second, first.len(), columns)
}
