//! Data sets as people have them, beside what `datasets` reads from the same files.

use serde::Deserialize;
use std::path::Path;
use tasks::{Dataset, Grader, Item, Message, TaskSpec};

const CORPUS: &str = include_str!("../compat/data_files.json");

#[derive(Deserialize)]
struct Corpus {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    file: String,
    prompt_field: Option<String>,
    answer_field: Option<String>,
    #[serde(default)]
    rows: Vec<Row>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    prompt: Option<String>,
    messages: Option<Vec<Message>>,
    answer: serde_json::Value,
}

impl Row {
    fn is(&self, item: &Item) -> bool {
        let answer = match &self.answer {
            serde_json::Value::String(text) => *text == item.answer,
            number => item.answer.parse::<f64>().ok() == number.as_f64(),
        };
        answer
            && match (&self.prompt, &self.messages) {
                (Some(prompt), None) => *prompt == item.prompt && item.messages.is_empty(),
                (None, Some(messages)) => *messages == item.messages,
                _ => false,
            }
    }
}

fn items(case: &Case) -> Result<Vec<Item>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/data_files");
    let spec = TaskSpec::Dataset(Dataset {
        path: folder.join(&case.file).display().to_string(),
        prompt_field: case.prompt_field.clone(),
        answer_field: case.answer_field.clone(),
        grader: Grader::Exact,
    });
    let task = node::data::build_task(&spec).map_err(|error| error.to_string())?;
    Ok(task.rows().expect("a data set has rows").items().map(|(_, item)| item).collect())
}

#[test]
fn rows_are_those_that_datasets_reads_or_are_refused_by_place() {
    let corpus: Corpus = serde_json::from_str(CORPUS).unwrap();
    let mut wrong = Vec::new();
    for case in &corpus.cases {
        let fault = match (items(case), &case.refused) {
            (Ok(_), Some(words)) => Some(format!("accepted, should be refused: {words}")),
            (Err(error), None) => Some(error),
            (Err(error), Some(words)) => (!error.contains(words)).then_some(error),
            (Ok(items), None) if items.len() != case.rows.len() => Some(format!("{} rows", items.len())),
            (Ok(items), None) => {
                let other = items.iter().zip(&case.rows).find(|(item, row)| !row.is(item));
                other.map(|(item, _)| format!("row {} reads {item:?}", item.index + 1))
            }
        };
        wrong.extend(fault.map(|fault| format!("{} ({}): {fault}", case.name, case.file)));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), corpus.cases.len(), wrong.join("\n"));
    assert!(corpus.cases.len() > 50, "the corpus has shrunk to {} cases", corpus.cases.len());
}
