//! Any file of prompts and answers, with a choice of graders.
//!
//! Promise: a row is an item; the grader is chosen by name and sees only answer and completion; an
//! answer that no completion could satisfy is refused by its line.

use serde::{Deserialize, Serialize};

use crate::math;
use crate::numeral::{self, Numeral};
use crate::rows::{Names, NumberedRow, RowSet};
use crate::text::python_strip;
use crate::{Grade, Item, LineFault, MAX_RATCLIFF_CHARS, Split, Task, TaskError, ratcliff_micro};

/// Characters of an answer that a message repeats.
const SHOWN_CHARS: usize = 80;

/// How a completion is compared with the answer of its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grader {
    /// The same text, blanks at the ends not counted.
    #[default]
    Exact,
    /// The last `\boxed{…}` of the completion (with boxes close before it) holds the answer, or the
    /// content of the answer's own box. Equal by value as math-verify judges: numbers, TeX formulas,
    /// sets, intervals, matrices, `x = 5` beside 5, units left out; words by their letters.
    ContainsBoxed,
    /// The last number of the completion has the value of the answer, which must be one number
    /// (or end with it behind `####` or in a box).
    Number,
    /// Ratcliff-Obershelp similarity of completion and answer.
    Ratcliff,
}

/// A file of prompts and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// JSON lines or Parquet.
    pub path: String,
    /// The field with the prompt.
    #[serde(default = "prompt_field")]
    pub prompt_field: String,
    /// The field with the answer, text or a number.
    #[serde(default = "answer_field")]
    pub answer_field: String,
    /// How completions are graded.
    #[serde(default)]
    pub grader: Grader,
}

fn prompt_field() -> String {
    "prompt".to_owned()
}

fn answer_field() -> String {
    "answer".to_owned()
}

/// The task with its rows.
pub(crate) struct DatasetTask {
    name: String,
    grader: Grader,
    rows: RowSet,
}

impl DatasetTask {
    /// Errors: those of [`RowSet::new`]; `Line` with `NoFinalNumber`, `UnreadNumber`, `NotBoxable` or
    /// `FieldTooLong` where the grader could never be satisfied.
    pub(crate) fn from_rows(spec: &Dataset, rows: Vec<NumberedRow>) -> Result<Self, TaskError> {
        for row in &rows {
            check_answer(spec, &row.answer).map_err(|fault| TaskError::Line {
                path: spec.path.clone(),
                line: row.line,
                fault,
            })?;
        }
        let names = Names { prompt: &spec.prompt_field, answer: &spec.answer_field };
        let rows = RowSet::new(&spec.path, &names, rows)?;
        Ok(Self { name: format!("dataset:{}", spec.path), grader: spec.grader, rows })
    }
}

fn check_answer(spec: &Dataset, answer: &str) -> Result<(), LineFault> {
    let given = answer.chars().count();
    match spec.grader {
        Grader::Number if !answer.trim().is_empty() => number_of(answer).map(|_| ()),
        Grader::ContainsBoxed if !answer.trim().is_empty() && !math::holds(&boxed(answer), python_strip(answer)) => {
            Err(LineFault::NotBoxable { text: answer.trim().chars().take(SHOWN_CHARS).collect() })
        }
        Grader::Ratcliff if given > MAX_RATCLIFF_CHARS => {
            let (field, limit) = (spec.answer_field.clone(), MAX_RATCLIFF_CHARS);
            Err(LineFault::FieldTooLong { field, limit, given })
        }
        _ => Ok(()),
    }
}

/// The answer in a box, unless it has one.
fn boxed(answer: &str) -> String {
    if math::contents(answer).is_empty() { format!("\\boxed{{{answer}}}") } else { answer.to_owned() }
}

/// The number of an answer column: behind the last `####`, in the last box, or all of it.
fn number_of(answer: &str) -> Result<Numeral, LineFault> {
    let behind_marker = answer.rsplit_once("####").map(|(_, text)| text);
    match behind_marker {
        Some(text) => numeral::of_answer(answer, text),
        None => numeral::of_answer(answer, &math::answer_of(answer)),
    }
}

impl Task for DatasetTask {
    fn name(&self) -> &str {
        &self.name
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        Ok(self.rows.item(&self.name, seed, split, index))
    }

    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let (given, answer) = (python_strip(completion), python_strip(&item.answer));
        match self.grader {
            Grader::Exact => Grade::all_or_nothing(given == answer),
            Grader::ContainsBoxed => Grade::all_or_nothing(math::holds(given, answer)),
            Grader::Number => {
                let pair = number_of(answer).ok().zip(numeral::last(given));
                Grade::all_or_nothing(pair.is_some_and(|(expected, given)| expected.equals(&given)))
            }
            Grader::Ratcliff => Grade { reward_micro: ratcliff_micro(given, answer), exact: given == answer },
        }
    }

    fn oracle(&self, item: &Item) -> String {
        match self.grader {
            Grader::ContainsBoxed => boxed(&item.answer),
            _ => item.answer.clone(),
        }
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.rows.len(split))
    }

    fn alphabet(&self) -> Option<String> {
        self.rows.alphabet(if self.grader == Grader::ContainsBoxed { "\\boxed{}" } else { "" })
    }

    fn max_answer_chars(&self) -> usize {
        let frame = if self.grader == Grader::ContainsBoxed { "\\boxed{}".len() } else { 0 };
        self.rows.longest_answer() + frame
    }

    fn instruction(&self) -> Option<String> {
        let text = match self.grader {
            Grader::Exact | Grader::Ratcliff => "Reply with the answer and nothing else.",
            Grader::ContainsBoxed => "Reason step by step, and put your final answer within \\boxed{}.",
            Grader::Number => "Reason step by step, and end with the final number.",
        };
        Some(text.to_owned())
    }
}
