//! Word problems in the format of GSM8K: `{"question": …, "answer": "… #### 42"}`.
//!
//! Promise: only the last number of a completion counts, and it counts fully or not at all.

use serde::{Deserialize, Serialize};

use crate::rows::{Names, NumberedRow, RowSet};
use crate::text::last_number;
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
    /// Errors: those of [`RowSet::new`]; `Line` with `NoFinalNumber`.
    pub(crate) fn from_rows(path: &str, rows: Vec<NumberedRow>) -> Result<Self, TaskError> {
        for row in &rows {
            let fault = LineFault::NoFinalNumber { marker: true };
            if final_number(&row.answer).is_none() {
                return Err(TaskError::Line { path: path.to_owned(), line: row.line, fault });
            }
        }
        let names = Names { prompt: QUESTION, answer: ANSWER };
        Ok(Self { rows: RowSet::new(path, &names, rows)? })
    }
}

/// The number behind the last `####`.
fn final_number(answer: &str) -> Option<String> {
    last_number(answer.rsplit_once(MARKER)?.1)
}

impl Task for Gsm8kTask {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        Ok(self.rows.item(NAME, seed, split, index))
    }

    /// One if the last number of the completion is the number behind `####`, both without
    /// separators, leading zeros and zeros behind the point; else nothing.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let expected = final_number(&item.answer);
        Grade::all_or_nothing(expected.is_some() && expected == last_number(completion))
    }

    fn len(&self, split: Split) -> Option<u64> {
        Some(self.rows.len(split))
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
