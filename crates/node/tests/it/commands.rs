//! `sft` and `eval` from the command line to the exit code, and what all commands refuse.

use crate::support::{essaim, failure, model, out, trained, with_tiny};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn metrics(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn sft_leaves_a_model_folder_events_and_metrics() {
    let trained = trained();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        assert!(trained.model().join(file).is_file(), "no {file}; {}", trained.output);
    }
    for file in ["events.sqlite", "config.toml", "summary.json"] {
        assert!(trained.folder.join(file).is_file(), "no {file}");
    }
    let metrics = metrics(&trained.folder);
    let losses: Vec<f64> = metrics.iter().filter_map(|line| line.get("sft/loss")?.as_f64()).collect();
    assert_eq!(losses.len(), 8, "{metrics:?}");
    // 29 tokens are equally likely at first: ln 29 = 3.4.
    assert!((losses[0] - 3.4).abs() < 1.0 && losses[7] < losses[0], "{losses:?}");
}

#[test]
fn sft_does_not_write_into_the_folder_of_another_run() {
    let place = trained().folder.to_str().unwrap();
    let (code, message) = failure(&with_tiny(&["sft", "--out", place, "--set", "sft.steps=4"]));
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("holds a run already"), "{message}");
}

#[test]
fn a_column_that_is_not_there_is_wrong_usage() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lines = file("rows.jsonl", "{\"prompt\":\"p\",\"answer\":\"a\"}\n{\"prompt\":\"q\",\"answer\":\"b\"}\n");
    let table = file("rows.csv", "prompt,answer\np,a\nq,b\n");
    for (path, field) in [(&lines, "prompt_field"), (&lines, "answer_field"), (&table, "prompt_field")] {
        let task = format!("tasks=[{{type='dataset',path={path:?},{field}='nothing'}}]");
        let (code, message) = failure(&with_tiny(&["eval", "--set", &task]));
        assert_eq!(code, 2, "{message}");
        assert!(message.contains("nothing"), "{message}");
    }
}

#[test]
fn sft_without_steps_is_wrong_usage() {
    let (code, message) = failure(&["sft", "--set", "sft.steps=0"]);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("`sft.steps` is out of range: limit at least 1"), "{message}");
}

#[test]
fn an_unknown_key_is_wrong_usage_and_names_the_nearest() {
    for command in ["sft", "eval"] {
        let (code, message) = failure(&[command, "--set", "sft.stpes=3"]);
        assert_eq!(code, 2, "{message}");
        assert!(message.contains("did you mean `steps`?"), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_sft_with_the_model_learnt_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let arguments = with_tiny(&["sft", "--out", place, "--set", "sft.steps=1000000", "--quiet"]);
    let mut child = essaim(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !metrics_has_a_step(folder.path()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(folder.path().join("model/model.safetensors").is_file());
}

/// The last line may be half written, so this looks at the text only.
#[cfg(unix)]
fn metrics_has_a_step(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    text.contains("sft/loss")
}

#[test]
fn eval_prints_one_json_document_with_the_items_of_each_task() {
    let text = out(&mut essaim(&[
        "eval",
        "--model",
        &model(),
        "--json",
        "--set",
        "eval.items=6",
        "--set",
        "eval.samples=2",
        "--set",
        "eval.temperature=1.0",
    ]));
    let report: Value = serde_json::from_str(&text).unwrap();
    let task = &report["tasks"][0];
    assert_eq!(task["task"], "spell-backward");
    assert_eq!((task["items"].as_u64(), task["samples"].as_u64()), (Some(6), Some(2)));
    for score in ["exact_mean", "pass_at_k", "reward_mean"] {
        let value = task[score].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{score} = {value}");
    }
    let per_sample = task["tokens_mean"].as_f64().unwrap();
    assert_eq!(report["tokens"].as_f64().unwrap(), per_sample * 12.0);
}

#[test]
fn eval_agrees_with_the_evaluation_at_the_end_of_sft() {
    let text = out(&mut essaim(&["eval", "--model", &model(), "--json", "--set", "eval.items=6"]));
    let report: Value = serde_json::from_str(&text).unwrap();
    let metrics = metrics(&trained().folder);
    let reward = |line: &Value| line.get("sft/eval/spell-backward/reward/mean")?.as_f64();
    let last = metrics.iter().filter_map(reward).next_back();
    assert_eq!(report["tasks"][0]["reward_mean"].as_f64(), last, "{metrics:?}");
}

#[test]
fn eval_says_which_tasks_it_scores_and_shows_what_was_asked_and_answered() {
    let eval = |more: &[&str]| {
        let sampled = ["--set", "eval.items=3", "--set", "eval.samples=2", "--set", "eval.temperature=1"];
        let words = [&["eval"], &sampled[..], more].concat();
        let output = crate::support::run(&mut essaim(&words));
        assert!(output.status.success(), "{}", crate::support::stderr(&output));
        (String::from_utf8(output.stdout.clone()).unwrap(), crate::support::stderr(&output))
    };
    let model = model();
    let (text, told) = eval(&["--model", &model, "--show", "1"]);
    assert!(told.contains("trained/config.toml; the model has no chat template"), "{told}");
    let shown: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(shown[0], "--- spell-backward, item 0, sample 0", "{text}");
    for (line, label) in shown[1..].iter().zip(["prompt ", "completion ", "answer ", "grade "]) {
        assert!(line.starts_with(label), "{text}");
    }
    assert_eq!(text.matches("--- ").count(), 2, "one item with two samples: {text}");
    let json = |more: &[&str]| serde_json::from_str::<Value>(&eval(&[more, &["--json"]].concat()).0).unwrap();
    let whole = json(&["--model", &model]);
    let completions = whole["completions"].as_array().unwrap();
    assert_eq!(completions.len(), 6, "{whole}");
    let exact = completions.iter().filter(|shown| shown["exact"] == true).count() as f64;
    assert_eq!(whole["tasks"][0]["exact_mean"].as_f64(), Some((exact / 6.0 * 1e6).round() / 1e6), "{whole}");
    assert_eq!(json(&["--model", &model, "--show", "0"])["completions"].as_array().unwrap().len(), 0);

    // Away from its run, a model with a template is asked through it: this one cannot spell the instruction.
    let copy = crate::texts::model_with_template();
    let away = copy.path().to_str().unwrap();
    let asked = crate::support::stderr(&crate::support::run(&mut essaim(&["eval", "--model", away])));
    assert!(asked.contains("cannot tokenize") && asked.contains("You are given letters"), "{asked}");
    // The template puts a second `=` behind each prompt, so the answers are those to other prompts.
    let (plain, told) = eval(&["--model", away, "--set", "tasks.0.chat=false"]);
    assert!(told.contains("scoring spell-backward of the embedded default run (no run file is named)"), "{told}");
    assert!(told.contains("asked without the model's chat template, which chat = true"), "{told}");
    assert!(!plain.is_empty());
}
