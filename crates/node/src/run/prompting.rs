//! From an item to token ids, and from token ids back to a text that can be graded.
//!
//! Promise: training, evaluation, warm-up and generation build prompts by the same function.
//! Takes: the run's tasks and its tokenizer. Gives: prompts, grades, supervised examples.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use model::{Message, Tokenizer};
use protocol::TaskIndex;
use tasks::{Grade, Item, Role, Split, Task};
use train::SftExample;
use verify::Prompts;

use record::output;

/// One task of a run.
pub struct RunTask {
    /// What scores and metrics call it; no other task of the run has this name.
    pub name: String,
    /// Where items and grades come from.
    pub task: Box<dyn Task>,
    /// Whether prompts go through the tokenizer's chat template.
    pub chat: bool,
    /// The run file's instruction, in place of the task's own; an empty one is none.
    pub system: Option<String>,
}

impl RunTask {
    /// Whether a system message may stand before its questions.
    pub(super) fn has_instruction(&self) -> bool {
        match &self.system {
            Some(text) => !text.is_empty(),
            None => self.task.instruction().is_some(),
        }
    }

    /// The conversation that the chat template is given. A row of messages is given as it is, under
    /// the run file's instruction if it has one; a plain text is a turn of the user, under the run
    /// file's instruction or else the task's.
    fn messages(&self, item: &Item) -> Result<Vec<Message>> {
        let given = self.system.as_ref().filter(|text| !text.is_empty());
        let has_own = item.messages.iter().any(|message| message.role == Role::System);
        ensure!(given.is_none() || !has_own, "the row has a system message of its own, and so has the run file");
        let own = || self.task.instruction().filter(|_| self.system.is_none() && item.messages.is_empty());
        let instruction = given.cloned().or_else(own);
        let mut messages = Vec::new();
        messages.extend(instruction.map(|content| Message::new(Role::System.as_str(), content)));
        let turn =
            |turn: &tasks::Message| Message { role: turn.role.as_str().to_owned(), content: turn.content.clone() };
        match &item.messages[..] {
            [] => messages.push(Message::user(&item.prompt)),
            turns => messages.extend(turns.iter().map(turn)),
        }
        Ok(messages)
    }
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

    pub(super) fn task_mut(&mut self, task: usize) -> &mut RunTask {
        &mut self.tasks[task]
    }

    /// Item `index` of a split of a task.
    pub fn item(&self, task: usize, split: Split, index: u64) -> Result<Item> {
        let entry = self.entry(task)?;
        let name = &entry.name;
        entry.task.item(self.seed, split, index).with_context(|| format!("item {index} of task {name}"))
    }

    /// Token ids of an item's prompt.
    pub fn prompt(&self, task: usize, item: &Item) -> Result<Arc<[u32]>> {
        let entry = self.entry(task)?;
        let tokens = match &item.messages[..] {
            _ if entry.chat => self.tokenizer.chat_prompt(&entry.messages(item)?)?,
            // A lone turn of the user is its text.
            [] | [tasks::Message { role: Role::User, .. }] => self.tokenizer.encode(&item.prompt)?,
            turns => {
                bail!("{} messages need a chat template: a model that has one, and no `chat = false`", turns.len())
            }
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

    /// Training item `index` as an example, for the warm-up.
    pub fn sft_example(&self, task: usize, index: u64) -> Result<SftExample> {
        self.example(task, &self.item(task, Split::Train, index)?)
    }

    /// Prompt and perfect completion of an item. The completion ends as the chat template ends a turn, or without one
    /// with the tokenizer's end of text.
    pub fn example(&self, task: usize, item: &Item) -> Result<SftExample> {
        let entry = self.entry(task)?;
        let answer = entry.task.oracle(item);
        let (prompt, completion) = if entry.chat {
            self.tokenizer.chat_example(&entry.messages(item)?, &answer)?
        } else {
            self.prompt(task, item)?; // refuses messages
            self.tokenizer.text_example(&item.prompt, &answer)?
        };
        Ok(SftExample { prompt_len: prompt.len(), tokens: [prompt, completion].concat() })
    }

    fn entry(&self, task: usize) -> Result<&RunTask> {
        let count = self.tasks.len();
        self.tasks.get(task).with_context(|| format!("task {task} does not exist; the run has {count}"))
    }
}

impl Prompts for Prompting {
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        let prompt = self.item(task as usize, Split::Train, item).and_then(|item| self.prompt(task as usize, &item));
        prompt.map_err(|error| output::message(&error))
    }

    fn grade(&self, task: TaskIndex, item: u64, completion: &[u32]) -> Result<Grade, String> {
        let item = self.item(task as usize, Split::Train, item);
        let grade = item.and_then(|item| self.grade(task as usize, &item, completion));
        grade.map_err(|error| output::message(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task of two rows, one a text and one messages.
    fn task(system: Option<&str>, rows: &str) -> RunTask {
        let dataset = tasks::Dataset {
            path: "rows.jsonl".to_owned(),
            prompt_field: None,
            answer_field: None,
            grader: tasks::Grader::Exact,
        };
        let task = tasks::build_from_bytes(&tasks::TaskSpec::Dataset(dataset), rows.as_bytes()).unwrap();
        RunTask { name: "rows".to_owned(), task, chat: true, system: system.map(str::to_owned) }
    }

    /// The roles and texts that the template gets for each row.
    fn turns(system: Option<&str>, rows: &str) -> Result<Vec<String>> {
        let task = task(system, rows);
        let items = task.task.rows().unwrap().items();
        items
            .map(|(_, item)| {
                let messages = task.messages(&item)?;
                let turn = |message: &Message| format!("{}:{}", message.role, message.content);
                Ok(messages.iter().map(turn).collect::<Vec<_>>().join("|"))
            })
            .collect()
    }

    const TEXT: &str = "{\"prompt\":\"p\",\"answer\":\"a\"}\n";
    const TURNS: &str = "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"r\"},\
                         {\"role\":\"user\",\"content\":\"s\"}],\"answer\":\"b\"}\n";
    const OWN: &str = "{\"prompt\":[{\"role\":\"system\",\"content\":\"t\"},{\"role\":\"user\",\"content\":\"u\"}],\"answer\":\"c\"}\n";

    #[test]
    fn a_text_gets_the_instruction_and_messages_stay_as_they_are() {
        let all = [TEXT, TURNS, OWN].concat();
        assert_eq!(
            turns(None, &all).unwrap(),
            ["system:Reply with the answer and nothing else.|user:p", "user:q|assistant:r|user:s", "system:t|user:u"]
        );
        assert_eq!(turns(Some(""), &all).unwrap(), ["user:p", "user:q|assistant:r|user:s", "system:t|user:u"]);
    }

    #[test]
    fn an_instruction_of_the_run_file_stands_before_all_rows_or_is_refused() {
        let given = turns(Some("Be brief."), &[TEXT, TURNS].concat()).unwrap();
        assert_eq!(given, ["system:Be brief.|user:p", "system:Be brief.|user:q|assistant:r|user:s"]);
        let refused = turns(Some("Be brief."), &[TEXT, OWN].concat()).unwrap_err().to_string();
        assert!(refused.contains("a system message of its own"), "{refused}");
    }
}
