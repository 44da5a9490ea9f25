//! From a task's description in a run file to the task.
//!
//! Promise: what is built has items in both splits; what cannot be built is refused with a name.

use serde::{Deserialize, Serialize};

use crate::dataset::DatasetTask;
use crate::gsm8k::{self, Gsm8kTask};
use crate::regraded::Regraded;
use crate::reverse_text::ReverseTextTask;
use crate::rows::{MAX_ROWS, Row};
use crate::{
    AnswerSource, ChainSum, Columns, Countdown, Dataset, Grader, Gsm8k, ReverseText, Sat, Sort, SpellBackward, Split,
    Task, TaskError, jsonl,
};

/// A task as a run file names it: `type = "spell-backward"` and that type's settings.
/// Unknown types and unknown settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum TaskSpec {
    /// `abc=` → `cba`.
    SpellBackward(SpellBackward),
    /// A text → the text reversed, graded by similarity.
    ReverseText(ReverseText),
    /// `4+3=` → `7`.
    ChainSum(ChainSum),
    /// `3,8,9:33=` → `3*8+9`.
    Countdown(Countdown),
    /// A 3-SAT problem → `<SOLUTION>0 1 …</SOLUTION>`.
    Sat(Sat),
    /// `cab=` → `abc`.
    Sort(Sort),
    /// Word problems with `#### number` answers.
    Gsm8k(Gsm8k),
    /// Any file of prompts and answers.
    Dataset(Dataset),
}

impl TaskSpec {
    /// The type's name in a run file.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::SpellBackward(_) => "spell-backward",
            Self::ReverseText(_) => "reverse-text",
            Self::ChainSum(_) => "chain-sum",
            Self::Countdown(_) => "countdown",
            Self::Sat(_) => "sat",
            Self::Sort(_) => "sort",
            Self::Gsm8k(_) => "gsm8k",
            Self::Dataset(_) => "dataset",
        }
    }

    /// One specification of each type, with default settings and, where needed, the path
    /// `FILE.jsonl`; for help texts.
    pub fn catalogue() -> Vec<Self> {
        let path = || "FILE.jsonl".to_owned();
        vec![
            Self::SpellBackward(SpellBackward::default()),
            Self::ReverseText(ReverseText::default()),
            Self::ChainSum(ChainSum::default()),
            Self::Countdown(Countdown::default()),
            Self::Sat(Sat::default()),
            Self::Sort(Sort::default()),
            Self::Gsm8k(Gsm8k { path: path() }),
            Self::Dataset(Dataset { path: path(), prompt_field: None, answer_field: None, grader: Grader::Exact }),
        ]
    }

    /// The file that the task needs, if any.
    pub fn columns(&self) -> Option<Columns> {
        let columns = |path: &str, prompt: Option<&str>, answer| Columns {
            path: path.to_owned(),
            prompt_field: prompt.map(str::to_owned),
            answer,
        };
        match self {
            Self::ReverseText(spec) => {
                let path = spec.path.as_ref()?;
                Some(columns(path, Some(&spec.prompt_field), AnswerSource::Made))
            }
            Self::Gsm8k(spec) => {
                Some(columns(&spec.path, Some(gsm8k::QUESTION), AnswerSource::Field(gsm8k::ANSWER.to_owned())))
            }
            Self::Dataset(spec) => {
                let answer = spec.answer_field.clone().map_or(AnswerSource::Derived, AnswerSource::Field);
                Some(columns(&spec.path, spec.prompt_field.as_deref(), answer))
            }
            _ => None,
        }
    }
}

/// Builds the task. `files` gives the bytes of a JSON-lines file by its path and is called only if
/// [`TaskSpec::columns`] names one; for Parquet see [`build_from_rows`].
///
/// Errors: `File` if `files` fails, else as the task says; nothing is built that lacks a split.
pub fn build(spec: &TaskSpec, files: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<Box<dyn Task>, TaskError> {
    if let Some(task) = made_up(spec) {
        return finish(task?);
    }
    let path = columns_of(spec)?.path;
    let bytes = files(&path).map_err(|message| TaskError::File { path, message })?;
    build_from_bytes(spec, &bytes)
}

/// Builds a file task from the bytes of its file: JSON lines, or one JSON list of rows.
/// Errors: `TakesNoRows` for a task without a file, else as [`build`].
pub fn build_from_bytes(spec: &TaskSpec, bytes: &[u8]) -> Result<Box<dyn Task>, TaskError> {
    let columns = columns_of(spec)?;
    let rows = jsonl::read(bytes, &columns)?;
    finish(from_rows(spec, &columns.path, rows)?)
}

/// Builds a file task from rows that the caller read, such as those of a Parquet file; see
/// [`Fields::row`](crate::Fields::row). Errors: `TakesNoRows` for a task without a file,
/// `TooManyRows`, else as [`build`].
pub fn build_from_rows(spec: &TaskSpec, rows: Vec<Row>) -> Result<Box<dyn Task>, TaskError> {
    let path = columns_of(spec)?.path;
    if rows.len() > MAX_ROWS {
        return Err(TaskError::TooManyRows { path, limit: MAX_ROWS, given: rows.len() });
    }
    finish(from_rows(spec, &path, rows)?)
}

fn columns_of(spec: &TaskSpec) -> Result<Columns, TaskError> {
    spec.columns().ok_or(TaskError::TakesNoRows { task: spec.type_name() })
}

/// The task, if it needs no file, under the grader that the specification gives.
/// Errors: `NotANumber` for a grader that looks for numbers where answers are none, `PartialUnderGrader`.
fn made_up(spec: &TaskSpec) -> Option<Result<Box<dyn Task>, TaskError>> {
    let task = ungraded(spec)?;
    let (grader, question) = match spec {
        TaskSpec::ChainSum(spec) => (spec.grader, "You are given a sum: find its value."),
        TaskSpec::SpellBackward(spec) => {
            (spec.grader, "You are given letters followed by an equals sign: write the same letters in reverse order.")
        }
        TaskSpec::Sort(spec) => (spec.grader, spec.kind.question()),
        _ => (None, ""),
    };
    let is_number = matches!(spec, TaskSpec::ChainSum(_));
    Some(match grader {
        Some(_) if matches!(spec, TaskSpec::ChainSum(spec) if spec.partial) => {
            Err(TaskError::PartialUnderGrader { task: spec.type_name() })
        }
        Some(Grader::Number) if !is_number => Err(TaskError::NotANumber { task: spec.type_name() }),
        Some(grader) => Ok(Box::new(Regraded { task, grader, question })),
        None => Ok(task),
    })
}

fn ungraded(spec: &TaskSpec) -> Option<Box<dyn Task>> {
    Some(match spec.clone() {
        TaskSpec::SpellBackward(spec) => Box::new(spec),
        TaskSpec::ReverseText(spec) if spec.path.is_none() => Box::new(ReverseTextTask::made_up(spec)),
        TaskSpec::ChainSum(spec) => Box::new(spec),
        TaskSpec::Countdown(spec) => Box::new(spec),
        TaskSpec::Sat(spec) => Box::new(spec),
        TaskSpec::Sort(spec) => Box::new(spec),
        TaskSpec::ReverseText(_) | TaskSpec::Gsm8k(_) | TaskSpec::Dataset(_) => return None,
    })
}

fn from_rows(spec: &TaskSpec, path: &str, rows: Vec<Row>) -> Result<Box<dyn Task>, TaskError> {
    Ok(match spec {
        TaskSpec::ReverseText(spec) => Box::new(ReverseTextTask::from_rows(spec.clone(), path, rows)?),
        TaskSpec::Gsm8k(_) => Box::new(Gsm8kTask::from_rows(path, rows)?),
        TaskSpec::Dataset(spec) => Box::new(DatasetTask::from_rows(spec, rows)?),
        _ => {
            return Err(TaskError::TakesNoRows { task: spec.type_name() });
        }
    })
}

/// Looks for a first item on both sides of the split, which also checks the settings.
fn finish(task: Box<dyn Task>) -> Result<Box<dyn Task>, TaskError> {
    for split in [Split::Train, Split::HeldOut] {
        task.item(0, split, 0)?;
    }
    Ok(task)
}

/// What the task asks, how it rewards, and its settings, in a few lines for a terminal.
pub fn describe(spec: &TaskSpec) -> String {
    let text = match spec {
        TaskSpec::SpellBackward(_) => {
            "Letters to be written backward: abc= is answered by cba.\nReward: right places / max(length of completion, length of answer)."
        }
        TaskSpec::ReverseText(_) => {
            "A text to be reversed character by character, made up or from a file.\nReward: Ratcliff-Obershelp similarity to the reversed text, as in prime-rl."
        }
        TaskSpec::ChainSum(_) => {
            "A sum: 4+3= is answered by 7.\nReward: 1 for the sum; with partial = true also the share of right digits."
        }
        TaskSpec::Countdown(_) => {
            "Numbers and a target: 3,8,9:33= is answered by 3*8+9. Every number is used once.\nReward: 1 if the target is reached, 0.1 if only the numbers are right."
        }
        TaskSpec::Sat(_) => {
            "A 3-SAT problem that has a solution, in GRAIL's words.\nReward: GRAIL's correctness and format parts, divided by their maximum of 1.135."
        }
        TaskSpec::Sort(_) => {
            "A list to be put in order: cab= is answered by abc.\nReward: share of the wrong places that were put right."
        }
        TaskSpec::Gsm8k(_) => {
            "Word problems from a file with the fields question and answer, in GSM8K's form.\nReward: 1 if the last number has the right value."
        }
        TaskSpec::Dataset(_) => {
            "Prompts (texts or lists of messages) and answers from a file: JSON, Parquet, CSV or TSV. prompt_field and answer_field name its columns; without them the usual ones are looked for.\nReward: by grader: exact (the same text), number (the last number by value), contains_boxed (the last box by value) or ratcliff (similarity)."
        }
    };
    // a struct of numbers, truth values and text always has a JSON form
    let settings = serde_json::to_value(spec).unwrap_or_default();
    let mut lines = format!("{}\n{text}\nSettings:", spec.type_name());
    for (name, value) in settings.as_object().into_iter().flatten() {
        if name != "type" {
            lines += &format!(" {name} = {value}");
        }
    }
    lines
}
