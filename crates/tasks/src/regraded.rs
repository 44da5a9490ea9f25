//! A task that makes its own items under a grader of the run file's choice.
//!
//! Promise: items are those of the task; only how completions are compared with their answers, and
//! what a model is told about that, is the grader's. For tasks with one right answer each.

use std::collections::BTreeSet;

use crate::{Grade, Grader, Item, Split, Task, TaskError};

/// The task under another grader.
pub(crate) struct Regraded {
    pub(crate) task: Box<dyn Task>,
    pub(crate) grader: Grader,
    /// What is asked, without a word about the form of the answer.
    pub(crate) question: &'static str,
}

impl Task for Regraded {
    fn name(&self) -> &str {
        self.task.name()
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        self.task.item(seed, split, index)
    }

    fn grade(&self, item: &Item, completion: &str) -> Grade {
        self.grader.grade(&item.answer, completion)
    }

    fn oracle(&self, item: &Item) -> String {
        self.grader.oracle(&item.answer)
    }

    fn levels(&self) -> u32 {
        self.task.levels()
    }

    fn len(&self, split: Split) -> Option<u64> {
        self.task.len(split)
    }

    fn alphabet(&self) -> Option<String> {
        let alphabet = self.task.alphabet()?;
        let characters: BTreeSet<char> = alphabet.chars().chain(self.grader.frame().chars()).collect();
        Some(characters.into_iter().collect())
    }

    fn max_answer_chars(&self) -> usize {
        self.task.max_answer_chars() + self.grader.frame().len()
    }

    fn instruction(&self) -> Option<String> {
        Some(format!("{} {}", self.question, self.grader.instruction()))
    }
}
