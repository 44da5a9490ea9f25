//! Any file of prompts and answers, with a choice of graders.
//!
//! Promise: a row is an item; the grader is chosen by name and sees only answer and completion; an
//! answer that no completion could satisfy is refused by its line.

use serde::{Deserialize, Serialize};

use crate::rows::{Names, Row, RowSet};
use crate::{Grade, Grader, Item, Split, Task, TaskError};

/// A file of prompts and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// JSON lines, a JSON list, Parquet, CSV or TSV.
    pub path: String,
    /// The field with the prompt, text or a list of messages; absent: `prompt`, `messages` or `conversations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_field: Option<String>,
    /// The field with the answer, text or a number; absent: `answer`, `solution`, `completion`, `ground_truth` or
    /// `reward_model.ground_truth`, else the last turn of the messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_field: Option<String>,
    /// How completions are graded.
    #[serde(default)]
    pub grader: Grader,
}

impl Dataset {
    /// What refusals call the two fields where the specification names none.
    fn names(&self) -> Names<'_> {
        Names {
            prompt: self.prompt_field.as_deref().unwrap_or("prompt"),
            answer: self.answer_field.as_deref().unwrap_or("answer"),
        }
    }
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
    pub(crate) fn from_rows(spec: &Dataset, rows: Vec<Row>) -> Result<Self, TaskError> {
        for row in &rows {
            spec.grader.check(spec.names().answer, &row.answer).map_err(|fault| TaskError::Line {
                path: spec.path.clone(),
                line: row.line,
                fault,
            })?;
        }
        let rows = RowSet::new(&spec.path, &spec.names(), rows)?;
        Ok(Self { name: format!("dataset:{}", spec.path), grader: spec.grader, rows })
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
        self.grader.grade(&item.answer, completion)
    }

    fn oracle(&self, item: &Item) -> String {
        self.grader.oracle(&item.answer)
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
        self.rows.alphabet(self.grader.frame())
    }

    fn max_answer_chars(&self) -> usize {
        self.rows.longest_answer() + self.grader.frame().len()
    }

    fn instruction(&self) -> Option<String> {
        Some(self.grader.instruction().to_owned())
    }
}
