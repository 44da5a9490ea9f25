//! The graders of answers against the corpus that `scripts/fixtures/graders.py` writes.

use proptest::prelude::*;
use serde::Deserialize;
use tasks::{Item, LineFault, Split, TaskError};

use crate::{file_task, row};

#[derive(Deserialize)]
struct Corpus {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for the documents and for a person who reads the file")]
    name: String,
    grader: String,
    answer: String,
    completion: Option<String>,
    /// 1 for a right completion, by math-verify or, where it misreads, by a person.
    right: Option<u8>,
    /// What the grader pays; never more than is right.
    earns: Option<u8>,
    /// Why either is not what math-verify says.
    differs: Option<String>,
    /// Why the answer column is refused.
    refused: Option<String>,
}

impl Case {
    /// A data set with this answer and another row for the other split.
    fn build(&self) -> Result<Box<dyn tasks::Task>, TaskError> {
        match self.grader.as_str() {
            "gsm8k" => {
                let answer = if self.refused.is_some() { self.answer.clone() } else { format!("#### {}", self.answer) };
                let line = |question: &str, answer: &str| {
                    serde_json::json!({"question": question, "answer": answer}).to_string() + "\n"
                };
                let content = line("p", &answer) + &line("q", "#### 1");
                file_task(r#"{"type":"gsm8k","path":"g"}"#, content.as_bytes())
            }
            grader => {
                let json = format!(r#"{{"type":"dataset","path":"d","grader":"{grader}"}}"#);
                let line = serde_json::json!({"prompt": "p", "answer": self.answer}).to_string() + "\n";
                file_task(&json, (line + &row("q", "1")).as_bytes())
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let task = match (self.build(), &self.refused) {
            (Ok(_), Some(why)) => return Err(format!("accepted, but {why}")),
            (Err(TaskError::Line { line: 1, fault, .. }), Some(_)) => {
                let named = matches!(fault, LineFault::UnreadNumber { .. } | LineFault::NoFinalNumber { .. });
                return if named { Ok(()) } else { Err(fault.to_string()) };
            }
            (Err(error), _) => return Err(error.to_string()),
            (Ok(task), None) => task,
        };
        let item = [Split::Train, Split::HeldOut].map(|split| task.item(0, split, 0).unwrap());
        let item: &Item = item.iter().find(|item| item.prompt == "p").unwrap();
        if !task.grade(item, &task.oracle(item)).exact {
            return Err("the answer itself earns nothing".to_owned());
        }
        let given = u8::from(task.grade(item, self.completion.as_deref().unwrap_or_default()).exact);
        let (Some(right), Some(earns)) = (self.right, self.earns) else { return Err("no truth".to_owned()) };
        if earns > right || earns < right && self.differs.is_none() {
            return Err("what it earns is wrong and has no reason".to_owned());
        }
        if given == earns { Ok(()) } else { Err(format!("earned {given}, should earn {earns}")) }
    }
}

#[test]
fn answers_are_judged_as_math_verify_and_people_judge_them() {
    let corpus: Corpus = serde_json::from_str(include_str!("../compat/graders.json")).unwrap();
    assert!(corpus.cases.len() > 250);
    let wrong: Vec<String> = (corpus.cases.iter())
        .filter_map(|case| {
            let fault = case.check().err()?;
            Some(format!("{}: {:?} <- {:?}: {fault}", case.grader, case.answer, case.completion))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), corpus.cases.len(), wrong.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_answer_that_is_accepted_earns_the_whole_reward_by_its_own_words(
        answer in "([0-9]{1,4}|[-−–+./,% $a-z(){}=<>^_|!'\u{1c}]|\\\\[dt]?frac|\\\\(text|boxed|sqrt)\\{|#### |cm| and |½|\n){1,16}",
    ) {
        for grader in ["exact", "contains_boxed", "number", "ratcliff"] {
            let json = format!(r#"{{"type":"dataset","path":"d","grader":"{grader}"}}"#);
            let line = serde_json::json!({"prompt": "p", "answer": answer}).to_string() + "\n";
            let Ok(task) = file_task(&json, (line + &row("q", "1")).as_bytes()) else { continue };
            for item in [Split::Train, Split::HeldOut].map(|split| task.item(0, split, 0).unwrap()) {
                prop_assert!(task.grade(&item, &task.oracle(&item)).exact, "{grader}");
            }
        }
    }
}
