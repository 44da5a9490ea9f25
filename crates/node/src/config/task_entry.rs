//! `[[tasks]]`: one task of a run, and what it is called.
//!
//! Promise: no two tasks of a run have one name, so no score or metric stands for two of them.

use super::Fault;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Longest name of a task.
const NAME_CHARS_MAX: usize = 100;

/// `[[tasks]]`: one task, its own keys beside these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEntry {
    /// The task itself: `type` and the keys of that type.
    #[serde(flatten)]
    pub spec: tasks::TaskSpec,
    /// What scores and metrics call the task; absent: its type, or the name of a dataset's file, numbered where several would be alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often this task's prompts are drawn, relative to the other tasks.
    #[serde(default = "one")]
    pub weight: u32,
    /// Wrap the prompt in the model's chat template; absent: only where the file holds message lists and the model has a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<bool>,
    /// Instruction given as the system message, in place of the task's own; `""` or `false` gives none.
    #[serde(default, deserialize_with = "text_or_false", skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What becomes of rows that do not fit the model's context together with their completion; absent: `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_too_long: Option<RowsTooLong>,
}

impl TaskEntry {
    /// Whether prompts go through a chat template, or may where the file turns out to hold messages.
    pub fn may_chat(&self) -> bool {
        self.chat.unwrap_or_else(|| self.spec.columns().is_some())
    }
}

/// What becomes of rows that are too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsTooLong {
    /// They are left out, and a warning says how many and which came first.
    #[default]
    Skip,
    /// The first one is refused, with its line.
    Refuse,
}

fn one() -> u32 {
    1
}

/// `false` is the empty text.
fn text_or_false<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    struct TextOrFalse;

    impl Visitor<'_> for TextOrFalse {
        type Value = String;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("text, or false for none")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<String, E> {
            if flag { Err(E::invalid_type(Unexpected::Bool(flag), &self)) } else { Ok(String::new()) }
        }
    }
    value.deserialize_any(TextOrFalse).map(Some)
}

/// The names of the tasks, in the run file's order: as given, else derived and numbered from 2 where they would meet.
pub fn task_names(tasks: &[TaskEntry]) -> Vec<String> {
    let mut taken: BTreeSet<String> = tasks.iter().filter_map(|task| task.name.clone()).collect();
    let name = |task: &TaskEntry| {
        let derived = || {
            let name = free(&derived(task), &taken);
            taken.insert(name.clone());
            name
        };
        task.name.clone().unwrap_or_else(derived)
    };
    tasks.iter().map(name).collect()
}

/// The name, or the name with the first number behind it that is free.
fn free(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2u64..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}

fn derived(task: &TaskEntry) -> String {
    let stem = match &task.spec {
        tasks::TaskSpec::Dataset(dataset) => Path::new(&dataset.path).file_name().and_then(|name| name.to_str()),
        _ => None,
    };
    // `sums` of `sums.jsonl.gz`
    let stem = stem.and_then(|name| name.split('.').next()).unwrap_or_default();
    let plain: String = stem.chars().map(|c| if is_plain(c) { c } else { '-' }).take(NAME_CHARS_MAX - 10).collect();
    match plain.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => plain,
        false => task.spec.type_name().to_owned(),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Limits of the entries, and that no name is given twice.
pub(super) fn check(tasks: &[TaskEntry]) -> Result<(), Fault> {
    super::check::within("tasks", tasks.len(), 1..=1024)?;
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        super::check::within(&format!("tasks.{index}.weight"), task.weight, 1..=1_000_000)?;
        if task.rows_too_long.is_some() && task.spec.columns().is_none() {
            let message = format!("is for tasks with a file, and this {} makes its own items", task.spec.type_name());
            return Err(Fault::other(&format!("tasks.{index}.rows_too_long"), message));
        }
        let Some(name) = &task.name else { continue };
        check_name(index, name)?;
        if !taken.insert(name.clone()) {
            let message = format!("{name:?} names two tasks: call this one {:?}", free(name, &taken));
            return Err(Fault::other(&format!("tasks.{index}.name"), message));
        }
    }
    let total: u64 = tasks.iter().map(|task| u64::from(task.weight)).sum();
    super::check::within("tasks.weight (sum over tasks)", total, 1..)
}

fn check_name(index: usize, name: &str) -> Result<(), Fault> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= NAME_CHARS_MAX && name.chars().all(is_plain) {
        return Ok(());
    }
    let limit = "1 to 100 of a-z A-Z 0-9 - _ . starting with a letter or digit, since it names scores and metrics";
    Err(Fault::range(&format!("tasks.{index}.name"), format!("{name:?}"), limit))
}
