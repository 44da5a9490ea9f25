//! From an item to token ids, and from token ids back to a text that can be graded.
//!
//! Promise: training, evaluation, warm-up and generation build prompts by the same function.
//! Takes: the run's tasks and its tokenizer. Gives: prompts, grades, supervised examples.

use std::sync::Arc;

use anyhow::{Context, Result};
use model::{Message, Tokenizer};
use protocol::TaskIndex;
use tasks::{Grade, Item, Split, Task};
use train::SftExample;
use verify::Prompts;

/// One task of a run.
pub struct RunTask {
    /// Where items and grades come from.
    pub task: Box<dyn Task>,
    /// Whether prompts go through the tokenizer's chat template.
    pub chat: bool,
}

/// The run's tasks with its tokenizer. For workers and validators, items are training items.
pub struct Prompting {
    /// The run's seed for items.
    seed: u64,
    tokenizer: Arc<Tokenizer>,
    tasks: Vec<RunTask>,
}

impl Prompting {
    /// Tasks and tokenizer of one run.
    pub fn new(seed: u64, tokenizer: Arc<Tokenizer>, tasks: Vec<RunTask>) -> Self {
        Self { seed, tokenizer, tasks }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The tasks, in the run file's order.
    pub fn tasks(&self) -> &[RunTask] {
        &self.tasks
    }

    /// Item `index` of a split of a task.
    pub fn item(&self, task: usize, split: Split, index: u64) -> Result<Item> {
        let entry = self.entry(task)?;
        let name = entry.task.name();
        entry.task.item(self.seed, split, index).with_context(|| format!("item {index} of task {name}"))
    }

    /// Token ids of an item's prompt.
    pub fn prompt(&self, task: usize, item: &Item) -> Result<Arc<[u32]>> {
        let entry = self.entry(task)?;
        let tokens = if entry.chat {
            self.tokenizer.chat_prompt(&messages(entry, item))?
        } else {
            self.tokenizer.encode(&item.prompt)?
        };
        Ok(tokens.into())
    }

    /// The completion's text, without special tokens.
    pub fn text(&self, completion: &[u32]) -> Result<String> {
        Ok(self.tokenizer.decode(completion)?)
    }

    /// The grade of a completion.
    pub fn grade(&self, task: usize, item: &Item, completion: &[u32]) -> Result<Grade> {
        let text = self.text(completion)?;
        Ok(self.entry(task)?.task.grade(item, &text))
    }

    /// Prompt and perfect completion of training item `index`, for the warm-up. The completion ends as the chat
    /// template ends a turn, or without one with the tokenizer's end of text.
    pub fn sft_example(&self, task: usize, index: u64) -> Result<SftExample> {
        let item = self.item(task, Split::Train, index)?;
        let entry = self.entry(task)?;
        let answer = entry.task.oracle(&item);
        let (prompt, completion) = if entry.chat {
            self.tokenizer.chat_example(&messages(entry, &item), &answer)?
        } else {
            self.tokenizer.text_example(&item.prompt, &answer)?
        };
        Ok(SftExample { prompt_len: prompt.len(), tokens: [prompt, completion].concat() })
    }

    fn entry(&self, task: usize) -> Result<&RunTask> {
        let count = self.tasks.len();
        self.tasks.get(task).with_context(|| format!("task {task} does not exist; the run has {count}"))
    }
}

/// The task's instruction, if it has one, and the question.
fn messages(entry: &RunTask, item: &Item) -> Vec<Message> {
    let instruction = entry.task.instruction().map(|content| Message::new("system", content));
    instruction.into_iter().chain([Message::user(&item.prompt)]).collect()
}

impl Prompts for Prompting {
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        let prompt = self.item(task as usize, Split::Train, item).and_then(|item| self.prompt(task as usize, &item));
        prompt.map_err(|error| format!("{error:#}"))
    }

    fn grade(&self, task: TaskIndex, item: u64, completion: &[u32]) -> Result<Grade, String> {
        let item = self.item(task as usize, Split::Train, item);
        let grade = item.and_then(|item| self.grade(task as usize, &item, completion));
        grade.map_err(|error| format!("{error:#}"))
    }
}
