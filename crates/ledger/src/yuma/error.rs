//! What Yuma refuses.
//!
//! Promise: each refusal names what was expected and what was given, and nothing was allocated for
//! input whose size was not checked.

use thiserror::Error;

/// Why an epoch, or one of its formulas, was not computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum YumaError {
    /// A list has another length than the table that it belongs to.
    #[error("{what} has {given} entries, expected {expected}")]
    Length { what: &'static str, expected: usize, given: usize },
    /// A row of a table has another length than its first row.
    #[error("row {row} of {what} has {given} entries, expected {expected}")]
    Ragged { what: &'static str, row: usize, expected: usize, given: usize },
    /// More scores than an epoch is allowed to weigh.
    #[error("{given} scores, at most {limit} are allowed")]
    TooManyScores { limit: usize, given: usize },
    /// The moving average keeps more than all of the old bonds.
    #[error("bonds_moving_average_ppm is {given}, at most {limit} is allowed")]
    MovingAverage { limit: u32, given: u32 },
    /// The bounds of the liquid alpha are the wrong way round.
    #[error("liquid alpha's low bound {low} is above its high bound {high}")]
    AlphaBounds { low: u16, high: u16 },
}

/// Checks that `given` entries are `expected`.
pub(super) fn expect_length(what: &'static str, expected: usize, given: usize) -> Result<(), YumaError> {
    if given == expected { Ok(()) } else { Err(YumaError::Length { what, expected, given }) }
}

/// Checks that a table has `rows` rows of `columns` entries.
pub(super) fn expect_shape<T>(
    what: &'static str,
    table: &[Vec<T>],
    rows: usize,
    columns: usize,
) -> Result<(), YumaError> {
    expect_length(what, rows, table.len())?;
    match table.iter().position(|row| row.len() != columns) {
        None => Ok(()),
        Some(row) => Err(YumaError::Ragged { what, row, expected: columns, given: table[row].len() }),
    }
}

/// Number of entries in the first row; 0 without rows.
pub(super) fn columns_of<T>(table: &[Vec<T>]) -> usize {
    table.first().map_or(0, Vec::len)
}
