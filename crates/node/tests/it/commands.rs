//! `sft`, `eval`, `generate` and `chat` from the command line to the exit code.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// A model that trains in a blink.
const TINY: [&str; 9] = [
    "model.random.hidden=32",
    "model.random.layers=1",
    "model.random.heads=2",
    "model.random.kv_heads=1",
    "model.random.ff=64",
    "model.random.max_context=32",
    "sft.batch_size=8",
    "eval.items=6",
    "run.threads=1",
];

fn essaim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
    command.args(arguments);
    command
}

fn with_tiny<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let sets = TINY.iter().flat_map(|set| ["--set", set]);
    arguments.iter().copied().chain(sets).collect()
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Standard output of a command that must succeed.
fn out(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The same for a command that is given text on standard input.
fn out_of_input(command: &mut Command, input: &str) -> String {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code and message of a command that must fail.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = run(&mut essaim(arguments));
    assert!(!output.status.success(), "{arguments:?} succeeded");
    (output.status.code().unwrap(), stderr(&output))
}

struct Trained {
    folder: TempDir,
    output: String,
}

impl Trained {
    fn model(&self) -> PathBuf {
        self.folder.path().join("model")
    }
}

/// One short training that all tests look at.
fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        let arguments = with_tiny(&["sft", "--out", place, "--set", "sft.steps=4"]);
        let output = out(&mut essaim(&arguments));
        Trained { folder, output }
    })
}

fn model() -> String {
    trained().model().to_str().unwrap().to_owned()
}

fn metrics(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn sft_leaves_a_model_folder_events_and_metrics() {
    let trained = trained();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        assert!(
            trained.model().join(file).is_file(),
            "no {file}; {}",
            trained.output
        );
    }
    for file in ["events.sqlite", "config.toml", "summary.json"] {
        assert!(trained.folder.path().join(file).is_file(), "no {file}");
    }
    let metrics = metrics(trained.folder.path());
    let losses: Vec<f64> = metrics
        .iter()
        .filter_map(|line| line.get("sft/loss")?.as_f64())
        .collect();
    assert_eq!(losses.len(), 4, "{metrics:?}");
    // 29 tokens are equally likely at first: ln 29 = 3.4.
    assert!(
        (losses[0] - 3.4).abs() < 1.0 && losses[3] < losses[0],
        "{losses:?}"
    );
}

#[test]
fn sft_does_not_write_into_the_folder_of_another_run() {
    let place = trained().folder.path().to_str().unwrap();
    let (code, message) = failure(&with_tiny(&["sft", "--out", place, "--set", "sft.steps=4"]));
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("holds a run already"), "{message}");
}

#[test]
fn sft_without_steps_is_wrong_usage() {
    let (code, message) = failure(&["sft", "--set", "sft.steps=0"]);
    assert_eq!(code, 2, "{message}");
    assert!(
        message.contains("`sft.steps` is out of range: limit at least 1"),
        "{message}"
    );
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
    let arguments = with_tiny(&[
        "sft",
        "--out",
        place,
        "--set",
        "sft.steps=1000000",
        "--quiet",
    ]);
    let mut child = essaim(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !metrics_has_a_step(folder.path()) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
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
    assert_eq!(
        (task["items"].as_u64(), task["samples"].as_u64()),
        (Some(6), Some(2))
    );
    for score in ["exact_mean", "pass_at_k", "reward_mean"] {
        let value = task[score].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{score} = {value}");
    }
    let per_sample = task["tokens_mean"].as_f64().unwrap();
    assert_eq!(report["tokens"].as_f64().unwrap(), per_sample * 12.0);
}

#[test]
fn eval_agrees_with_the_evaluation_at_the_end_of_sft() {
    let text = out(&mut essaim(&[
        "eval",
        "--model",
        &model(),
        "--json",
        "--set",
        "eval.items=6",
    ]));
    let report: Value = serde_json::from_str(&text).unwrap();
    let metrics = metrics(trained().folder.path());
    let reward = |line: &Value| line.get("eval/spell-backward/reward/mean")?.as_f64();
    let last = metrics.iter().filter_map(reward).next_back();
    assert_eq!(
        report["tasks"][0]["reward_mean"].as_f64(),
        last,
        "{metrics:?}"
    );
}

fn generated(arguments: &[&str]) -> Vec<Value> {
    let model = model();
    let fixed = [
        "generate",
        "--json",
        "--max-new-tokens",
        "8",
        "--model",
        &model,
    ];
    let text = out(&mut essaim(&[&fixed, arguments].concat()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn generate_gives_the_same_text_for_the_same_seed_and_another_for_another() {
    let at = |seed: &str| {
        generated(&[
            "--temperature",
            "1",
            "--samples",
            "3",
            "--seed",
            seed,
            "abc=",
            "xyz=",
        ])
    };
    let first = at("7");
    assert_eq!(first, at("7"));
    assert_ne!(first, at("8"));
    let order: Vec<(&str, u64)> = first
        .iter()
        .map(|line| {
            (
                line["prompt"].as_str().unwrap(),
                line["sample"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        order,
        [
            ("abc=", 0),
            ("abc=", 1),
            ("abc=", 2),
            ("xyz=", 0),
            ("xyz=", 1),
            ("xyz=", 2)
        ]
    );
    // A sample does not depend on what else is asked.
    assert_eq!(
        generated(&["--temperature", "1", "--seed", "7", "abc="])[0],
        first[0]
    );
}

#[test]
fn generate_tells_tokens_logprobs_and_how_each_completion_ended() {
    for line in generated(&["--temperature", "1", "--samples", "4", "abc="]) {
        let tokens = line["tokens"].as_array().unwrap();
        let logprobs = line["logprobs"].as_array().unwrap();
        assert_eq!(tokens.len(), logprobs.len());
        assert!(
            logprobs
                .iter()
                .all(|logprob| logprob.as_f64().unwrap() <= 0.0),
            "{line}"
        );
        match line["finish"].as_str().unwrap() {
            // The end-of-text token is the last, and not in the text.
            "stop_token" => {
                assert_eq!(line["completion"].as_str().unwrap().len(), tokens.len() - 1)
            }
            "length" => assert_eq!(line["completion"].as_str().unwrap().len(), 8),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn generate_ends_before_a_stop_string() {
    let sample = |more: &[&str]| {
        generated(&[&["--temperature", "1", "--seed", "5"], more, &["abc="]].concat()).remove(0)
    };
    let whole = sample(&[]);
    let text = whole["completion"].as_str().unwrap();
    assert!(
        text.len() >= 4,
        "the seed gives a text too short for this test: {text:?}"
    );
    let stop = &text[2..4];
    let cut = sample(&["--stop", stop]);
    assert_eq!(cut["finish"], "stop_string");
    assert_eq!(cut["completion"], text[..text.find(stop).unwrap()]);
}

#[test]
fn generate_reads_a_prompt_from_standard_input() {
    let model = model();
    let arguments = |prompt| {
        [
            "generate",
            "--model",
            &model,
            "--max-new-tokens",
            "4",
            prompt,
        ]
        .map(str::to_owned)
    };
    let command = |prompt| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
        command.args(arguments(prompt));
        command
    };
    assert_eq!(
        out_of_input(&mut command("-"), "abc=\n"),
        out(&mut command("abc="))
    );
}

#[test]
fn prompts_that_the_model_cannot_take_are_refused_by_name() {
    let model = model();
    let refused = |prompt: &str| failure(&["generate", "--model", &model, "abc=", prompt]).1;
    let message = refused("aé!b");
    assert!(
        message.contains("prompt 2: the model's tokenizer has no token for '!' 'é'"),
        "{message}"
    );
    let message = refused(&"a".repeat(40));
    assert!(
        message.contains("prompt 2 has 40 tokens; limit 31"),
        "{message}"
    );
    let message = refused("");
    assert!(message.contains("prompt 2 is empty"), "{message}");
    let (_, message) = failure(&["generate", "--model", &model, "--chat", "abc="]);
    assert!(message.contains("no chat template"), "{message}");
}

#[test]
fn a_model_that_is_not_there_is_named() {
    for command in [&["eval"][..], &["generate", "abc="], &["chat"]] {
        let (code, message) = failure(&[command, &["--model", "/no/such/model"]].concat());
        assert_eq!(code, 1, "{message}");
        assert!(message.contains("/no/such/model"), "{message}");
    }
}

#[test]
fn chat_without_a_template_continues_each_line_as_generate_does() {
    let model = model();
    let fixed = [
        "--model",
        &model,
        "--temperature",
        "1",
        "--seed",
        "3",
        "--max-new-tokens",
        "20",
    ];
    // The reply is made in parts of eight tokens; it must be the text of one request.
    let whole = out(&mut essaim(&[&["generate", "abc="], &fixed[..]].concat()));
    let replies = out_of_input(
        &mut essaim(&[&["chat"], &fixed[..]].concat()),
        "abc=\n\nxyz=\n",
    );
    let mut lines = replies.lines();
    assert_eq!(lines.next(), whole.lines().next());
    assert!(
        lines.next().is_some() && lines.next().is_none(),
        "{replies:?}"
    );
}

/// A copy of the model that wraps each message as `role first letter, content, =`.
fn model_with_template() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(trained().model()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let template =
        "{% for message in messages %}{{ message.role[0] }}{{ message.content }}={% endfor %}";
    std::fs::write(copy.path().join("chat_template.jinja"), template).unwrap();
    copy
}

#[test]
fn a_chat_too_long_for_the_model_forgets_its_oldest_turns_and_says_so() {
    let copy = model_with_template();
    let arguments = [
        "chat",
        "--model",
        copy.path().to_str().unwrap(),
        "--max-new-tokens",
        "4",
        "--json",
    ];
    let mut child = essaim(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // 32 tokens of context: three turns of ten letters cannot all fit.
    child
        .stdin
        .take()
        .unwrap()
        .write_all("abcdefghij\n".repeat(4).as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let replies = String::from_utf8(output.stdout).unwrap();
    assert_eq!(replies.lines().count(), 4, "{replies}");
    for line in replies.lines() {
        let reply: Value = serde_json::from_str(line).unwrap();
        assert_eq!(reply["role"], "assistant");
    }
    assert!(
        stderr(&output).contains("context of 32 tokens"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_chat_line_that_can_never_fit_is_refused() {
    let copy = model_with_template();
    let mut child = essaim(&["chat", "--model", copy.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("a".repeat(60).as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("prompt 1 has 62 tokens; limit 31"),
        "{}",
        stderr(&output)
    );
}
