//! The rows of a data set, split and put in a seeded order.
//!
//! Promise: rows with the same prompt are on the same side of the split; every epoch goes through
//! all rows of a split exactly once.

use std::collections::BTreeMap;

use crate::draw::{prompt_number, split_of, stream};
use crate::random::permute;
use crate::{Item, LineFault, Message, Split, TaskError, text};

/// The most rows of one data set.
pub(crate) const MAX_ROWS: usize = 4_000_000;
/// The longest prompt and the longest answer, in characters: a context of two million tokens at four
/// characters each. What does not fit a model's context is another question, which the tokenizer answers.
pub(crate) const MAX_FIELD_CHARS: usize = 8 << 20;

/// One row and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line number from 1.
    pub(crate) line: u64,
    pub(crate) prompt: String,
    /// The turns of the prompt; none if it is one text.
    pub(crate) messages: Vec<Message>,
    pub(crate) answer: String,
}

impl Row {
    /// A row of two plain texts.
    pub fn text(line: u64, prompt: impl Into<String>, answer: impl Into<String>) -> Self {
        Self { line, prompt: prompt.into(), messages: Vec::new(), answer: answer.into() }
    }

    fn item(&self, split: Split, index: u64) -> Item {
        let Self { prompt, messages, answer, .. } = self.clone();
        Item { prompt, messages, answer, split, index }
    }
}

/// Field names, for messages.
pub(crate) struct Names<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) answer: &'a str,
}

/// Checked rows of one data set.
#[derive(Debug)]
pub struct RowSet {
    path: String,
    rows: Vec<Row>,
    train: Vec<u32>,
    held_out: Vec<u32>,
}

impl RowSet {
    /// Checks and splits the rows. Exact duplicates are allowed. If no prompt happens to be held
    /// out, the one with the smallest hash is.
    ///
    /// Errors: `EmptyDataset`; `Line` with `EmptyField`, `FieldTooLong` or `ConflictingAnswer`;
    /// `SplitTooSmall` if there are not two different prompts.
    pub(crate) fn new(path: &str, names: &Names<'_>, rows: Vec<Row>) -> Result<Self, TaskError> {
        if rows.is_empty() {
            return Err(TaskError::EmptyDataset { path: path.to_owned() });
        }
        let mut first_lines: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for row in &rows {
            check_row(names, row)
                .and_then(|()| check_conflict(&mut first_lines, row))
                .map_err(|fault| TaskError::Line { path: path.to_owned(), line: row.line, fault })?;
        }
        let mut set = Self { path: path.to_owned(), rows, train: Vec::new(), held_out: Vec::new() };
        set.split()?;
        Ok(set)
    }

    fn split(&mut self) -> Result<(), TaskError> {
        let rows = &self.rows;
        let numbers: Vec<u64> = rows.iter().map(|row| prompt_number(&row.prompt)).collect();
        let none_held_out = rows.iter().all(|row| split_of(&row.prompt) == Split::Train);
        let smallest = numbers.iter().copied().min().filter(|_| none_held_out);
        let (held_out, train): (Vec<u32>, Vec<u32>) = (0..rows.len() as u32).partition(|&row| {
            let row = row as usize;
            split_of(&rows[row].prompt) == Split::HeldOut || Some(numbers[row]) == smallest
        });
        for (split, side) in [(Split::Train, &train), (Split::HeldOut, &held_out)] {
            if side.is_empty() {
                let (task, attempts) = (self.path.clone(), rows.len() as u64);
                return Err(TaskError::SplitTooSmall { task, split, attempts });
            }
        }
        (self.train, self.held_out) = (train, held_out);
        Ok(())
    }

    /// The file's path as the specification gives it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The rows in the order of the file, as items: line, prompt, messages, answer. The index is the row's place.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (u64, Item)> {
        let item = |(index, row): (usize, &Row)| (row.line, row.item(split_of(&row.prompt), index as u64));
        self.rows.iter().enumerate().map(item)
    }

    /// Whether any row is a list of messages.
    pub fn has_messages(&self) -> bool {
        self.rows.iter().any(|row| !row.messages.is_empty())
    }

    /// Keeps the rows whose place in `keep` is true, and splits what is left as if nothing else had
    /// been in the file. Errors: `EmptyDataset`, `SplitTooSmall`.
    pub fn keep(&mut self, keep: &[bool]) -> Result<(), TaskError> {
        let mut kept = keep.iter();
        self.rows.retain(|_| kept.next().copied().unwrap_or(false));
        if self.rows.is_empty() {
            return Err(TaskError::EmptyDataset { path: self.path.clone() });
        }
        self.split()
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
        self.rows[side[row as usize] as usize].item(split, index)
    }

    /// Characters of the longest answer.
    pub(crate) fn longest_answer(&self) -> usize {
        self.rows.iter().map(|row| row.answer.chars().count()).max().unwrap_or(0)
    }

    /// The characters of all rows and of `extra`; see [`text::alphabet_of`].
    pub(crate) fn alphabet(&self, extra: &str) -> Option<String> {
        let texts = self.rows.iter().flat_map(|row| [row.prompt.as_str(), row.answer.as_str()]);
        text::alphabet_of(texts.chain([extra]))
    }
}

fn check_row(names: &Names<'_>, row: &Row) -> Result<(), LineFault> {
    for (name, value) in [(names.prompt, &row.prompt), (names.answer, &row.answer)] {
        let field = name.to_owned();
        let given = value.chars().count();
        if text::python_strip(value).is_empty() {
            return Err(LineFault::EmptyField { field });
        }
        if given > MAX_FIELD_CHARS {
            return Err(LineFault::FieldTooLong { field, limit: MAX_FIELD_CHARS, given });
        }
    }
    Ok(())
}

fn check_conflict<'a>(first_lines: &mut BTreeMap<&'a str, (u64, &'a str)>, row: &'a Row) -> Result<(), LineFault> {
    let (first, answer) = *first_lines.entry(&row.prompt).or_insert((row.line, &row.answer));
    if answer == row.answer { Ok(()) } else { Err(LineFault::ConflictingAnswer { first }) }
}
