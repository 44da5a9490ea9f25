//! Every command with a reader that goes away, and on a full disk: no panic, and no act cut in two.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, pipe};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::money::{copy, essaim, finished, holds, on};
use crate::support::{model, stderr, trained, with_tiny};

/// What a command does whose reader is gone before it starts.
fn into_closed_pipe(words: &[&str]) -> Output {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    essaim(words).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap()
}

/// What a command does whose reader takes one line: `| head -1`.
fn into_head(words: &[&str]) -> Output {
    let (reader, writer) = pipe().unwrap();
    let child = essaim(words).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(reader);
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    child.wait_with_output().unwrap()
}

/// What a command does that writes to a full disk.
fn onto_full_disk(words: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    essaim(words).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).output().unwrap()
}

fn code(output: &Output) -> Option<i32> {
    assert!(!stderr(output).contains("panicked"), "{}", stderr(output));
    output.status.code()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Commands that only tell, as they are typed.
fn telling(run: &str, model: &str) -> Vec<Vec<String>> {
    let lines = [
        "--help".to_owned(),
        "--version".to_owned(),
        "run --dry-run".to_owned(),
        "sft --set sft.steps=1 --dry-run".to_owned(),
        "eval --dry-run".to_owned(),
        format!("eval --model {model} --set eval.items=2"),
        format!("generate --model {model} --max-new-tokens 4 abc= xyz="),
        "tasks".to_owned(),
        format!("report {run}"),
        format!("verify {run} --lease 0"),
        "sim --seeds 1 --cheat none".to_owned(),
        "sim --seed 1 --cheat none --trace".to_owned(),
        "economics --preset local --seeds 1 --epochs 2".to_owned(),
        format!("ledger audit {run}"),
        format!("ledger audit {run} --chain {run}"),
        format!("ledger show {run}"),
        format!("ledger show {run} --account trainer"),
        format!("balance worker:0 --chain {run}"),
        format!("balance --all --chain {run}"),
        format!("chain show --chain {run}"),
        format!("chain events --chain {run}"),
        format!("chain wallet --chain {run} --as trainer"),
        format!("slash list --chain {run}"),
        format!("slash show 1 --chain {run}"),
        format!("epoch show --chain {run}"),
        format!("claim --chain {run} --as worker:0 --dry-run"),
        "completions zsh".to_owned(),
    ];
    lines.iter().map(|line| words(line).into_iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_command_that_only_tells_ends_quietly_as_ever_when_its_reader_goes_and_with_1_on_a_full_disk() {
    let (run, model) = (finished().to_str().unwrap(), model());
    for line in telling(run, &model) {
        for json in [false, true] {
            let words: Vec<&str> = line.iter().map(String::as_str).chain(json.then_some("--json")).collect();
            let whole = essaim(&words).stdin(Stdio::null()).output().unwrap();
            let expected = code(&whole);
            assert!(!matches!(expected, None | Some(2)) && !whole.stdout.is_empty(), "{words:?}: {}", stderr(&whole));
            for output in [into_closed_pipe(&words), into_head(&words)] {
                assert_eq!(code(&output), expected, "{words:?}: {}", stderr(&output));
                assert_eq!(stderr(&output), stderr(&whole), "{words:?}");
            }
            let full = onto_full_disk(&words);
            // 1 of `verify` is a verdict.
            let untold = if words[0] == "verify" { 3 } else { 1 };
            assert_eq!(code(&full), Some(untold), "{words:?}: {}", stderr(&full));
            assert!(stderr(&full).contains("standard output cannot be written: No space left"), "{words:?}");
        }
    }
}

#[test]
fn a_chat_ends_when_nobody_reads_it() {
    let model = model();
    let words = ["chat", "--model", &model, "--max-new-tokens", "4"];
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let (input, mut lines) = pipe().unwrap();
    let child = essaim(&words).stdin(input).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    // The input stays open: the talk ends although the person could go on.
    std::io::Write::write_all(&mut lines, b"abc=\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    drop(lines);
}

/// Whether an act left its mark in a run's folder.
type IsDone = fn(&Path) -> bool;

/// Acts on the chain of a run's folder, with what must have come of each.
fn acts() -> Vec<(&'static str, IsDone)> {
    vec![
        ("claim --as worker:2", |run| holds(run, "worker:2") > 0),
        ("stake 5 --for worker:1 --as worker:0", |run| on(run, &["balance", "worker:1"])["active"] != active(1)),
        ("unstake 5 --as worker:0", |run| on(run, &["balance", "worker:0"])["leaving"] == 5_000_000),
        ("chain transfer worker:1 5 --as worker:0", |run| holds(run, "worker:1") == 5_000_000),
        (
            "slash open worker:2 50 --evidence 0xabababababababababababababababababababababababababababababababab --as orchestrator",
            |run| on(run, &["slash", "list"])["cases"].as_array().unwrap().len() == 2,
        ),
    ]
}

/// What a worker has at stake in the finished run.
fn active(worker: u32) -> Value {
    on(finished(), &["balance", &format!("worker:{worker}")])["active"].clone()
}

/// A copy of the finished run in which worker 0 has something to spend.
fn funded() -> TempDir {
    let place = copy();
    on(place.path(), &["claim", "--as", "worker:0", "--yes"]);
    place
}

fn journal(run: &Path) -> Vec<u8> {
    fs::read(run.join("chain.jsonl")).unwrap()
}

#[test]
fn an_act_whose_reader_goes_away_is_done_whole_and_can_be_found() {
    for (line, is_done) in acts() {
        for (is_head, more) in [(false, None), (false, Some("--json")), (false, Some("--quiet")), (true, None)] {
            let place = funded();
            let chain = place.path().to_str().unwrap();
            let words: Vec<&str> = words(line).into_iter().chain(["--yes", "--chain", chain]).chain(more).collect();
            let output = if is_head { into_head(&words) } else { into_closed_pipe(&words) };
            assert_eq!(code(&output), Some(0), "{words:?}: {}", stderr(&output));
            assert!(is_done(place.path()), "{words:?}");
            // Of a pipe that took all of it in one gulp nobody can know that it was not read.
            if !is_head {
                let told = stderr(&output);
                let (_, told) = told.split_once("nobody reads standard output any more; done: ").expect("a note");
                let told: Value = serde_json::from_str(told).unwrap();
                assert!(told["steps"][0]["transaction"].is_string(), "{told}");
            }
        }
    }
}

#[test]
fn on_a_full_disk_nothing_is_sent_or_all_of_it_and_then_the_exit_code_says_so() {
    for (line, is_done) in acts() {
        for more in ["", "--json"] {
            let place = funded();
            let before = journal(place.path());
            let line = format!("{line} --yes --chain {} {more}", place.path().display());
            let output = onto_full_disk(&words(&line));
            assert_eq!(code(&output), Some(1), "{line}: {}", stderr(&output));
            assert!(stderr(&output).contains("standard output cannot be written"), "{line}: {}", stderr(&output));
            assert!(journal(place.path()) == before, "{line}: something was sent");
        }
        // Without a first word to print, it is done before the disk is found full.
        let place = funded();
        let line = format!("{line} --yes --quiet --chain {}", place.path().display());
        let output = onto_full_disk(&words(&line));
        assert_eq!(code(&output), Some(4), "{line}: {}", stderr(&output));
        assert!(is_done(place.path()), "{line}");
        assert!(stderr(&output).contains("this is done, but standard output cannot be written"), "{line}");
        assert!(stderr(&output).contains("\"transaction\":\"0x"), "{line}: {}", stderr(&output));
    }
}

#[test]
fn what_was_made_and_cannot_be_told_is_told_on_standard_error() {
    let place = copy();
    let folder = place.path().to_str().unwrap();
    let advance = ["chain", "advance", "11s", "--chain", folder];
    let before = journal(place.path());
    let output = onto_full_disk(&advance);
    assert_eq!(code(&output), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("11 s have passed"), "{}", stderr(&output));
    assert!(journal(place.path()).len() > before.len());

    let file = place.path().join("me.json");
    let make = ["chain", "new-wallet", file.to_str().unwrap()];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = essaim(&make);
    let output = command.env("ESSAIM_PASSWORD", "correct horse").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&output), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("this is done") && stderr(&output).contains("0x"), "{}", stderr(&output));
    assert!(file.is_file());
}

#[test]
fn events_that_nobody_read_are_told_again() {
    let run = finished().to_str().unwrap();
    let place = tempfile::tempdir().unwrap();
    let cursor = place.path().join("seen.json");
    let words = ["chain", "events", "--chain", run, "--cursor", cursor.to_str().unwrap()];
    assert_eq!(code(&into_closed_pipe(&words)), Some(0));
    let whole = essaim(&words).output().unwrap();
    let plain = essaim(&words[..4]).output().unwrap();
    assert!(!whole.stdout.is_empty() && whole.stdout == plain.stdout, "{}", stderr(&whole));
}

#[test]
fn supervised_training_outlives_its_reader_and_its_terminal_and_keeps_its_log() {
    let place = tempfile::tempdir().unwrap();
    for (name, json) in [("pipe", None), ("json", Some("--json"))] {
        let folder = place.path().join(name);
        let arguments = ["sft", "--out", folder.to_str().unwrap(), "--set", "sft.steps=8"];
        let arguments: Vec<&str> = with_tiny(&arguments).into_iter().chain(json).collect();
        let output = into_closed_pipe(&arguments);
        assert_eq!((code(&output), stderr(&output).as_str()), (Some(0), ""));
        let ours = fs::read(folder.join("model/model.safetensors")).unwrap();
        assert!(ours == fs::read(trained().model().join("model.safetensors")).unwrap());
    }
    let folder = place.path().join("full");
    let output = onto_full_disk(&with_tiny(&["sft", "--out", folder.to_str().unwrap(), "--set", "sft.steps=8"]));
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("standard output cannot be written").count(), 1, "{}", stderr(&output));
    assert!(folder.join("report.html").is_file());
}

#[cfg(unix)]
#[test]
fn a_hang_up_ends_no_training() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let arguments = with_tiny(&["sft", "--out", place, "--set", "sft.steps=2000", "--quiet"]);
    let mut child = essaim(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let metrics = folder.path().join("metrics.jsonl");
    while !fs::read_to_string(&metrics).is_ok_and(|text| text.contains("sft/loss")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was hung up");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let kill = |signal: &str| std::process::Command::new("kill").args([signal, pid.as_str()]).status().unwrap();
    assert!(kill("-HUP").success());
    let lines = || fs::read_to_string(&metrics).unwrap().lines().count();
    let before = lines();
    while lines() < before + 20 {
        assert!(child.try_wait().unwrap().is_none(), "the hang-up ended it");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(kill("-TERM").success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
