//! Commands that need no model: what they print, and the exit code.

use std::path::Path;
use std::process::{Command, Output};

fn essaim(words: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_essaim"))
        .args(words)
        .current_dir(dir)
        .output()
        .expect("the program was built with the tests")
}

fn here() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_dry_run_tells_the_memory_and_refuses_a_run_that_does_not_fit() {
    let dir = here();
    let fits = essaim(&["run", "--dry-run", "--json", "--set", "run.memory_max=2GB"], dir.path());
    assert!(fits.status.success(), "{}", text(&fits.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&fits.stdout).unwrap();
    let (parts, peak) = (plan["memory"]["parts"].as_array().unwrap(), plan["memory"]["peak_bytes"].as_u64().unwrap());
    assert!(parts.len() > 5 && (1..2_000_000_000).contains(&peak), "{plan}");
    for arguments in [&["run", "--dry-run"][..], &["run"], &["sft", "--set", "sft.steps=1"]] {
        let refused = essaim(&[arguments, &["--set", "run.memory_max=20 MB"]].concat(), dir.path());
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("the limit is 20 MB (run.memory_max)") && said.contains("would make it"), "{said}");
        assert_eq!(std::fs::read_dir(dir.path().join("runs")).map_or(0, Iterator::count), 0, "no folder is left");
    }
}

#[test]
fn a_dry_run_prints_settings_that_resolve_to_the_same_settings_and_touches_nothing() {
    let dir = here();
    let first = essaim(&["run", "--dry-run", "--set", "stop.steps=3"], dir.path());
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let file = dir.path().join("resolved.toml");
    std::fs::write(&file, &first.stdout).unwrap();
    let second = essaim(&["run", "resolved.toml", "--dry-run"], dir.path());
    // The process itself is never of quite the same size.
    let settings = |output: &Output| text(&output.stdout).split_once("# Memory:").unwrap().0.to_owned();
    assert_eq!(settings(&first), settings(&second));
    let json = essaim(&["run", "resolved.toml", "--dry-run", "--json"], dir.path());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["stop"]["steps"], 3);
}

#[test]
fn wrong_usage_ends_with_2_and_names_the_nearest() {
    let dir = here();
    for (words, hint) in [
        (&["evla"][..], "'eval'"),
        (&["run", "--dry-rnu"], "'--dry-run'"),
        (&["run", "--set", "train.lrr=1"], "did you mean `lr`?"),
        (&["run", "nowhere.toml"], "nowhere.toml"),
        (&["run", "--set", "rollout.group_size=0"], "limit at least 1"),
        (&["run", "--set", "stop.steps=0"], "a run takes at least one step"),
        (&["run", "--model", "a", "--set", "model.hub='b/c'"], "given path and hub"),
        (&["eval", "--device", "wgpu:0"], "needs a build with `--features wgpu`"),
        (&["eval", "--model", "/nonexist"], "there is no folder or GGUF file /nonexist"),
        (&["generate", "--model", "/nonexist", "a"], "/nonexist"),
        (&["generate", "--model", "a", "--stop", "", "a"], "--stop"),
        (&["generate", "--model", "a", "-", "-"], "`-` may be given once"),
        (&["generate", "--model", "a", "--template-arg", "messages=1", "a"], "another than messages"),
        (&["chat", "--model", "a", "--template-arg", "add_generation_prompt=false"], "add_generation_prompt"),
        (&["tasks", "--set", "tasks=[{type='gsm8k', path='nowhere.jsonl'}]"], "nowhere.jsonl"),
        (&["tasks", "--set", "tasks.0.grader='number'"], "grader = \"number\" is for answers that are one number"),
    ] {
        let output = essaim(words, dir.path());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {message}");
        assert!(message.contains(hint), "{words:?}: {message}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn failures_end_with_1_and_are_json_where_asked() {
    let dir = here();
    let output = essaim(&["--json", "report", "no-run"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    let message = error["error"].as_str().unwrap();
    assert!(message.contains("no run in no-run"), "{message}");
    let output = essaim(&["run", "--resume"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no run to resume in runs"));
}

#[test]
fn every_built_in_task_is_listed_with_an_item() {
    let dir = here();
    let output = essaim(&["tasks", "--json"], dir.path());
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), tasks::TaskSpec::catalogue().len());
    assert_eq!(lines[0]["spec"]["type"], "spell-backward");
    let item = &lines[0]["items"][0];
    let prompt = item["prompt"].as_str().unwrap().trim_end_matches('=');
    let backward: String = prompt.chars().rev().collect();
    assert_eq!(item["answer"], backward);
}

#[test]
fn the_tasks_of_a_run_file_are_put_to_the_test() {
    let dir = here();
    let rows: String =
        (0..60).map(|n| format!("{{\"question\":\"{n} + 1?\",\"answer\":\"#### {}\"}}\n", n + 1)).collect();
    std::fs::write(dir.path().join("sums.jsonl"), rows).unwrap();
    let file = "[[tasks]]\ntype = 'gsm8k'\npath = 'sums.jsonl'\n";
    std::fs::write(dir.path().join("run.toml"), file).unwrap();
    let output = essaim(&["tasks", "run.toml", "--admit"], dir.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("admitted"));
}
