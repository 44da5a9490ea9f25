//! The rows of a data set, split and put in a seeded order.
//!
//! Promise: rows with the same prompt are on the same side of the split; every epoch goes through
//! all rows of a split exactly once.

use std::collections::BTreeMap;

use crate::draw::{prompt_number, split_of, stream};
use crate::random::permute;
use crate::{Item, LineFault, Split, TaskError, text};

/// The most rows of one data set.
pub(crate) const MAX_ROWS: usize = 4_000_000;
/// The longest prompt, in characters.
pub(crate) const MAX_PROMPT_CHARS: usize = 65_536;
/// The longest answer, in characters.
pub(crate) const MAX_ANSWER_CHARS: usize = 65_536;

/// One row and where it came from.
pub(crate) struct NumberedRow {
    /// Line number from 1.
    pub(crate) line: u64,
    pub(crate) prompt: String,
    pub(crate) answer: String,
}

/// Gives rows handed over without line numbers their place, from 1.
/// Errors: `TooManyRows`.
pub(crate) fn number_rows(path: &str, rows: Vec<(String, String)>) -> Result<Vec<NumberedRow>, TaskError> {
    if rows.len() > MAX_ROWS {
        let (limit, given) = (MAX_ROWS, rows.len());
        return Err(TaskError::TooManyRows { path: path.to_owned(), limit, given });
    }
    let number = |((prompt, answer), line)| NumberedRow { line, prompt, answer };
    Ok(rows.into_iter().zip(1..).map(number).collect())
}

/// Field names, for messages.
pub(crate) struct Names<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) answer: &'a str,
}

/// Checked rows of one data set.
#[derive(Debug)]
pub(crate) struct RowSet {
    rows: Vec<(String, String)>,
    train: Vec<u32>,
    held_out: Vec<u32>,
}

impl RowSet {
    /// Checks and splits the rows. Exact duplicates are allowed. If no prompt happens to be held
    /// out, the one with the smallest hash is.
    ///
    /// Errors: `EmptyDataset`; `Line` with `EmptyField`, `FieldTooLong` or `ConflictingAnswer`;
    /// `SplitTooSmall` if there are not two different prompts.
    pub(crate) fn new(path: &str, names: &Names<'_>, rows: Vec<NumberedRow>) -> Result<Self, TaskError> {
        if rows.is_empty() {
            return Err(TaskError::EmptyDataset { path: path.to_owned() });
        }
        let mut first_lines: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for row in &rows {
            check_row(names, row)
                .and_then(|()| check_conflict(&mut first_lines, row))
                .map_err(|fault| TaskError::Line { path: path.to_owned(), line: row.line, fault })?;
        }
        let rows = rows.into_iter().map(|row| (row.prompt, row.answer)).collect();
        Self::split(path, rows)
    }

    fn split(path: &str, rows: Vec<(String, String)>) -> Result<Self, TaskError> {
        let numbers: Vec<u64> = rows.iter().map(|row| prompt_number(&row.0)).collect();
        let none_held_out = rows.iter().all(|row| split_of(&row.0) == Split::Train);
        let smallest = numbers.iter().copied().min().filter(|_| none_held_out);
        let (held_out, train): (Vec<u32>, Vec<u32>) = (0..rows.len() as u32).partition(|&row| {
            let row = row as usize;
            split_of(&rows[row].0) == Split::HeldOut || Some(numbers[row]) == smallest
        });
        for (split, side) in [(Split::Train, &train), (Split::HeldOut, &held_out)] {
            if side.is_empty() {
                let (task, attempts) = (path.to_owned(), rows.len() as u64);
                return Err(TaskError::SplitTooSmall { task, split, attempts });
            }
        }
        Ok(Self { rows, train, held_out })
    }

    fn side(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train,
            Split::HeldOut => &self.held_out,
        }
    }

    /// Rows in the split.
    pub(crate) fn len(&self, split: Split) -> u64 {
        self.side(split).len() as u64
    }

    /// The row at place `index mod len` of epoch `index / len`'s order.
    pub(crate) fn item(&self, task: &str, seed: u64, split: Split, index: u64) -> Item {
        let side = self.side(split);
        let (epoch, place) = (index / side.len() as u64, index % side.len() as u64);
        let row = permute(place, side.len() as u64, &mut stream(task, seed, split, epoch));
        let (prompt, answer) = self.rows[side[row as usize] as usize].clone();
        Item { prompt, answer, split, index }
    }

    /// Characters of the longest answer.
    pub(crate) fn longest_answer(&self) -> usize {
        self.rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0)
    }

    /// The characters of all rows and of `extra`; see [`text::alphabet_of`].
    pub(crate) fn alphabet(&self, extra: &str) -> Option<String> {
        let texts = self.rows.iter().flat_map(|row| [row.0.as_str(), row.1.as_str()]);
        text::alphabet_of(texts.chain([extra]))
    }
}

fn check_row(names: &Names<'_>, row: &NumberedRow) -> Result<(), LineFault> {
    for (name, value, limit) in
        [(names.prompt, &row.prompt, MAX_PROMPT_CHARS), (names.answer, &row.answer, MAX_ANSWER_CHARS)]
    {
        let field = name.to_owned();
        let given = value.chars().count();
        if text::python_strip(value).is_empty() {
            return Err(LineFault::EmptyField { field });
        }
        if given > limit {
            return Err(LineFault::FieldTooLong { field, limit, given });
        }
    }
    Ok(())
}

fn check_conflict<'a>(
    first_lines: &mut BTreeMap<&'a str, (u64, &'a str)>,
    row: &'a NumberedRow,
) -> Result<(), LineFault> {
    let (first, answer) = *first_lines.entry(&row.prompt).or_insert((row.line, &row.answer));
    if answer == row.answer { Ok(()) } else { Err(LineFault::ConflictingAnswer { first }) }
}
