//! Leaves out the rows of a data set that are too long for the model.
//!
//! Promise: one rule for every command, from the files and the settings alone, so that who checks a
//! run again asks the same items as the run: a row fits if
//! `prompt + max(answer, min(max_new_tokens, context / 2)) ≤ context`, in tokens, `answer` with what
//! ends it. A completion is thus never cut before half of the context or `max_new_tokens`.
//! Takes: tasks with their tokenizer. Gives: what was left out, to be told to a person.

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use rayon::prelude::*;
use tasks::{Item, Split};

use super::prompting::Prompting;
use crate::config::{RowsTooLong, RunConfig};

/// Rows whose texts are held twice at once.
const ROWS_AT_ONCE: usize = 4096;
/// Rows that a warning names.
const NAMED_MAX: usize = 3;
/// Items of each split that stand for all of a task that makes its own.
const TRIED_ITEMS: u64 = 256;

/// Rows of one task that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    path: String,
    rows: usize,
    left_out: usize,
    /// Lines of the first ones, with their tokens.
    first: Vec<(u64, Length)>,
    room: Room,
}

/// Tokens of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    prompt: usize,
    answer: usize,
}

/// What a row must fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    context: usize,
    completion: usize,
}

impl Room {
    fn of(config: &RunConfig, context: usize) -> Self {
        Self { context, completion: config.rollout.max_new_tokens.min(context / 2) }
    }

    fn holds(self, length: Length) -> bool {
        length.prompt.saturating_add(length.answer.max(self.completion)) <= self.context
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens of prompt and {} of answer", self.prompt, self.answer)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the context of {} tokens with at least {} for a completion", self.context, self.completion)
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, rows, left_out, first, room } = self;
        write!(f, "{path}: {left_out} of {rows} rows left out, too long for {room}:")?;
        for (at, (line, length)) in first.iter().enumerate() {
            write!(f, "{} line {line} ({length})", if at == 0 { "" } else { "," })?;
        }
        if *left_out > first.len() { write!(f, ", and {} more", left_out - first.len()) } else { Ok(()) }
    }
}

/// What came of fitting a run's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fitted {
    /// Rows that are too long, by task.
    pub left_out: Vec<LeftOut>,
    /// Tokens of the longest prompt that is left; of tasks that make their items, of those that were tried.
    pub prompt_tokens_max: usize,
}

/// Leaves out what does not fit.
/// Errors: a row that makes no tokens; a row that is too long where the run file refuses those; a file
/// of which nothing is left; a task whose own items do not fit.
pub(super) fn fit(prompting: &mut Prompting, config: &RunConfig, context: usize) -> Result<Fitted> {
    let room = Room::of(config, context);
    let mut fitted = Fitted::default();
    for (task, entry) in config.tasks.iter().enumerate() {
        let lengths = match prompting.tasks()[task].task.rows() {
            Some(rows) => lengths(prompting, task, rows)?,
            None => {
                fitted.prompt_tokens_max = fitted.prompt_tokens_max.max(try_items(prompting, task, room)?);
                continue;
            }
        };
        let kept = lengths.iter().map(|(_, length)| length).filter(|length| room.holds(**length));
        fitted.prompt_tokens_max = kept.map(|length| length.prompt).fold(fitted.prompt_tokens_max, usize::max);
        let too_long = entry.rows_too_long.unwrap_or_default();
        fitted.left_out.extend(leave_out(prompting, task, too_long, &lengths, room)?);
    }
    Ok(fitted)
}

/// Line and length of every row, in the order of the file.
fn lengths(prompting: &Prompting, task: usize, rows: &tasks::RowSet) -> Result<Vec<(u64, Length)>> {
    let mut items = rows.items();
    let mut lengths = Vec::with_capacity(items.len());
    loop {
        let some: Vec<(u64, Item)> = items.by_ref().take(ROWS_AT_ONCE).collect();
        if some.is_empty() {
            return Ok(lengths);
        }
        let measured: Result<Vec<_>> = some
            .par_iter()
            .map(|(line, item)| {
                let length = length(prompting, task, item).with_context(|| format!("{}, line {line}", rows.path()));
                Ok((*line, length?))
            })
            .collect();
        lengths.extend(measured?);
    }
}

fn length(prompting: &Prompting, task: usize, item: &Item) -> Result<Length> {
    if let Ok(example) = prompting.example(task, item) {
        return Ok(Length { prompt: example.prompt_len, answer: example.tokens.len() - example.prompt_len });
    }
    // Where nothing ends a turn there are no examples, and still prompts.
    let answer = prompting.tokenizer().encode_bare(&prompting.tasks()[task].task.oracle(item))?;
    Ok(Length { prompt: prompting.prompt(task, item)?.len(), answer: answer.len() + 1 })
}

fn leave_out(
    prompting: &mut Prompting,
    task: usize,
    too_long: RowsTooLong,
    lengths: &[(u64, Length)],
    room: Room,
) -> Result<Option<LeftOut>> {
    let keep: Vec<bool> = lengths.iter().map(|(_, length)| room.holds(*length)).collect();
    let first: Vec<_> = lengths.iter().zip(&keep).filter(|(_, keep)| !**keep).map(|(row, _)| *row).collect();
    let Some((line, length)) = first.first().copied() else { return Ok(None) };
    let entry = prompting.task_mut(task);
    let name = entry.name.clone();
    let Some(rows) = entry.task.rows_mut() else { return Ok(None) };
    let path = rows.path().to_owned();
    if too_long == RowsTooLong::Refuse {
        bail!(
            "task {name}: {path}, line {line}: {length} do not fit {room} (rows_too_long = \"skip\" leaves such rows out)"
        );
    }
    ensure!(
        first.len() < lengths.len(),
        "task {name}: {path}: none of its {} rows fits {room}; line {line} has {length}",
        lengths.len()
    );
    let (rows_before, left_out) = (lengths.len(), first.len());
    rows.keep(&keep).with_context(|| format!("task {name}: {left_out} of {rows_before} rows do not fit {room}"))?;
    let first = first.into_iter().take(NAMED_MAX).collect();
    Ok(Some(LeftOut { path, rows: rows_before, left_out, first, room }))
}

/// A task that makes its items cannot leave any out, so all of them have to fit. Gives the longest prompt.
fn try_items(prompting: &Prompting, task: usize, room: Room) -> Result<usize> {
    let mut longest = 0;
    let items =
        [Split::Train, Split::HeldOut].into_iter().flat_map(|split| (0..TRIED_ITEMS).map(move |at| (split, at)));
    for (split, index) in items {
        let item = prompting.item(task, split, index)?;
        let length = length(prompting, task, &item)?;
        let name = &prompting.tasks()[task].name;
        ensure!(room.holds(length), "task {name}: {:?} has {length}, which do not fit {room}", item.prompt);
        longest = longest.max(length.prompt);
    }
    Ok(longest)
}
