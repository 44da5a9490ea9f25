//! What the tasks promise to a caller, checked from outside.

mod admission;
mod compat;
mod data_files;
mod graders;
mod items;

use tasks::{Task, TaskError, TaskSpec};

/// A task that needs no file, from its default settings changed by a JSON object.
fn task(json: &str) -> Box<dyn Task> {
    try_task(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn try_task(json: &str) -> Result<Box<dyn Task>, TaskError> {
    tasks::build(&spec(json), &|path| Err(format!("no file {path} here")))
}

fn spec(json: &str) -> TaskSpec {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// A file task on the given file content.
fn file_task(json: &str, content: &[u8]) -> Result<Box<dyn Task>, TaskError> {
    tasks::build(&spec(json), &|_| Ok(content.to_vec()))
}

/// One task of every kind, with variants that take other paths through the code.
fn all_tasks() -> Vec<Box<dyn Task>> {
    let mut all: Vec<Box<dyn Task>> = [
        r#"{"type":"spell-backward"}"#,
        r#"{"type":"spell-backward","letters_min":3,"letters_max":5}"#,
        r#"{"type":"reverse-text"}"#,
        r#"{"type":"reverse-text","tags":false}"#,
        r#"{"type":"chain-sum"}"#,
        r#"{"type":"chain-sum","terms_max":4,"digits_max":3,"subtract":true,"partial":true}"#,
        r#"{"type":"countdown"}"#,
        r#"{"type":"countdown","numbers_min":2,"numbers_max":6}"#,
        r#"{"type":"sat"}"#,
        r#"{"type":"sort"}"#,
        r#"{"type":"sort","kind":"numbers","items_min":3,"items_max":6}"#,
        r#"{"type":"sort","kind":"numbers","grader":"contains_boxed"}"#,
        r#"{"type":"chain-sum","digits_max":2,"grader":"number"}"#,
        r#"{"type":"spell-backward","letters_max":5,"grader":"ratcliff"}"#,
    ]
    .map(task)
    .into();
    let words: String = (0..200u32).map(|n| row(&format!("what is {n} plus {n}?"), &(2 * n).to_string())).collect();
    let worked: String = (0..100u32)
        .map(|n| format!("{{\"question\":\"{n} and 1?\",\"answer\":\"<<{n}+1>>\\n#### {}\"}}\n", n + 1))
        .collect();
    let mut add = |json: &str, content: &str| {
        all.push(file_task(json, content.as_bytes()).unwrap_or_else(|e| panic!("{json}: {e}")));
    };
    add(r#"{"type":"gsm8k","path":"g.jsonl"}"#, &worked);
    for grader in ["exact", "contains_boxed", "number", "ratcliff"] {
        add(&format!(r#"{{"type":"dataset","path":"d.jsonl","grader":"{grader}"}}"#), &words);
    }
    let texts: String =
        (0..200u32).map(|n| format!("{{\"prompt\":\"{:x} {:x}\"}}\n", n.wrapping_mul(0x9e37_79b9), n.pow(3))).collect();
    add(r#"{"type":"reverse-text","path":"t.jsonl"}"#, &texts);
    all
}

fn row(prompt: &str, answer: &str) -> String {
    format!("{{\"prompt\":{prompt:?},\"answer\":{answer:?}}}\n")
}
