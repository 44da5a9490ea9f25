//! Real failures of every command: each is one line that says nothing twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::money::{copy, essaim, finished};
use crate::support::{model, run, stderr};

/// Shorter clauses may well be there twice, such as `line 1`.
const CLAUSE_CHARS_MIN: usize = 8;

/// Lines that fail, in a folder with a file `file` and a garbled `broken.json`.
const FAILURES: [&str; 44] = [
    "run nowhere.toml",
    "run file",
    "run --resume nowhere",
    "run --resume file",
    "run --out file",
    "run --out file/sub",
    "run --set run.out_dir=file",
    "run --set train.lrr=1",
    "run --set rollout.group_size=0",
    "run --set model.path=nowhere",
    "run --set model={path='file'}",
    "sft --set sft.steps=1 --out file/sub",
    "eval --model file",
    "eval --model .",
    "eval nowhere.toml",
    "eval --set tasks=[{type='gsm8k',path='nowhere.jsonl'}] --model MODEL",
    "eval --set tasks=[{type='gsm8k',path='broken.json'}] --model MODEL",
    "generate --model file abc",
    "generate --model . abc",
    "generate --model MODEL é",
    "chat --model file",
    "tasks nowhere.toml",
    "tasks --set tasks=[{type='gsm8k',path='file/sub'}]",
    "report file",
    "report file/sub",
    "report nowhere",
    "verify nowhere",
    "verify file",
    "verify file/sub",
    "verify broken.json",
    "ledger audit nowhere",
    "ledger audit file/sub",
    "ledger show broken.json",
    "balance worker:0 --chain nowhere",
    "balance worker:0 --chain RUN --addresses nowhere.json",
    "balance worker:0 --chain RUN --addresses broken.json",
    "balance worker:0 --chain RUN --claims file/sub",
    "balance worker:0 --chain http://127.0.0.1:1 --addresses RUN/addresses.json",
    "chain events --chain RUN --cursor file/sub",
    "chain wallet --wallet nowhere.json",
    "chain new-wallet file/sub",
    "slash rule 1 --ballot file/sub --chain RUN --as trainer --yes",
    "slash open worker:2 1 --evidence-file file/sub --chain RUN --as trainer --yes",
    "economics --preset local --seeds 1 --epochs 1 --svg file/sub.svg",
];

/// The clauses of a message, in any order.
fn clauses(message: &str) -> Vec<&str> {
    message.split([';', ':', '\n']).map(str::trim).filter(|clause| clause.chars().count() >= CLAUSE_CHARS_MIN).collect()
}

fn fails_in_one_breath(line: &str, place: &Path) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = run(essaim(&words).current_dir(place).env("ESSAIM_PASSWORD", "correct horse"));
    let message = stderr(&output);
    assert!(matches!(output.status.code(), Some(1..=3)), "{line}: {:?}: {message}", output.status);
    assert!(!message.contains("panicked"), "{line}: {message}");
    let all = clauses(&message);
    let different: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), different.len(), "{line}: something is said twice: {message}");
    message
}

#[test]
fn no_failure_says_the_same_twice() {
    let run = copy();
    let place = run.path();
    fs::write(place.join("file"), "no folder").unwrap();
    fs::write(place.join("broken.json"), "{\"half\": ").unwrap();
    for line in FAILURES {
        let line = line.replace("MODEL", &model()).replace("RUN", finished().to_str().unwrap());
        let message = fails_in_one_breath(&line, place);
        assert!(message.trim_start().starts_with("error: "), "{line}: {message}");
    }
    let message = fails_in_one_breath("run --out file/sub", place);
    assert_eq!(message.matches("Not a directory").count(), 1, "{message}");
}
