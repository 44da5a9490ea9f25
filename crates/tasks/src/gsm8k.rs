//! Word problems in the format of GSM8K: `{"question": …, "answer": "… #### 42"}`.
//!
//! Promise: only the last number of a completion counts, and it counts fully or not at all.
//! Numbers are equal by value; a file with an answer that is not one number is refused.

use serde::{Deserialize, Serialize};

use crate::numeral::{self, Numeral};
use crate::rows::{Names, Row, RowSet};
use crate::{Grade, Item, LineFault, Split, Task, TaskError};

const NAME: &str = "gsm8k";
const MARKER: &str = "####";
/// The field with the question.
pub(crate) const QUESTION: &str = "question";
/// The field with the worked answer.
pub(crate) const ANSWER: &str = "answer";

/// A file of questions whose answers end with `#### number`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gsm8k {
    /// JSON lines or Parquet with the fields `question` and `answer`.
    pub path: String,
}

/// The task with its rows. The whole worked answer is kept, so it can be learnt from.
pub(crate) struct Gsm8kTask {
    rows: RowSet,
}

impl Gsm8kTask {
    /// Errors: those of [`RowSet::new`]; `Line` with `NoFinalNumber` or `UnreadNumber`.
    pub(crate) fn from_rows(path: &str, rows: Vec<Row>) -> Result<Self, TaskError> {
        for row in &rows {
            final_number(&row.answer).map_err(|fault| TaskError::Line {
                path: path.to_owned(),
                line: row.line,
                fault,
            })?;
        }
        let names = Names { prompt: QUESTION, answer: ANSWER };
        Ok(Self { rows: RowSet::new(path, &names, rows)? })
    }
}

/// The number behind the last `####`.
fn final_number(answer: &str) -> Result<Numeral, LineFault> {
    let (_, text) = answer.rsplit_once(MARKER).ok_or(LineFault::NoFinalNumber { marker: true })?;
    numeral::of_answer(answer, text).map_err(|fault| match fault {
        LineFault::NoFinalNumber { .. } => LineFault::NoFinalNumber { marker: true },
        other => other,
    })
}

impl Task for Gsm8kTask {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        Ok(self.rows.item(NAME, seed, split, index))
    }

    /// One if the last number of the completion has the value of the number behind `####`, else
    /// nothing; see [`Numeral::equals`].
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let pair = final_number(&item.answer).ok().zip(numeral::last(completion));
        Grade::all_or_nothing(pair.is_some_and(|(expected, given)| expected.equals(&given)))
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.rows.len(split))
    }

    fn rows(&self) -> Option<&RowSet> {
        Some(&self.rows)
    }

    fn rows_mut(&mut self) -> Option<&mut RowSet> {
        Some(&mut self.rows)
    }

    fn alphabet(&self) -> Option<String> {
        self.rows.alphabet("")
    }

    fn max_answer_chars(&self) -> usize {
        self.rows.longest_answer()
    }

    fn instruction(&self) -> Option<String> {
        Some("Solve the problem step by step. End with the final number on a line of its own after ####, for example: #### 42".to_owned())
    }
}
