//! `generate` and `chat` from the command line to the exit code.

use crate::support::{essaim, failure, model, out, out_of_input, run_with_input, stderr, trained};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

fn generated(arguments: &[&str]) -> Vec<Value> {
    let model = model();
    let fixed = ["generate", "--json", "--max-new-tokens", "8", "--model", &model];
    let text = out(&mut essaim(&[&fixed, arguments].concat()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn generate_gives_the_same_text_for_the_same_seed_and_another_for_another() {
    let at = |seed: &str| generated(&["--temperature", "1", "--samples", "3", "--seed", seed, "abc=", "xyz="]);
    let first = at("7");
    assert_eq!(first, at("7"));
    assert_ne!(first, at("8"));
    let order: Vec<(&str, u64)> =
        first.iter().map(|line| (line["prompt"].as_str().unwrap(), line["sample"].as_u64().unwrap())).collect();
    assert_eq!(order, [("abc=", 0), ("abc=", 1), ("abc=", 2), ("xyz=", 0), ("xyz=", 1), ("xyz=", 2)]);
    // A sample does not depend on what else is asked.
    assert_eq!(generated(&["--temperature", "1", "--seed", "7", "abc="])[0], first[0]);
}

#[test]
fn generate_tells_tokens_logprobs_and_how_each_completion_ended() {
    for line in generated(&["--temperature", "1", "--samples", "4", "abc="]) {
        let tokens = line["tokens"].as_array().unwrap();
        let logprobs = line["logprobs"].as_array().unwrap();
        assert_eq!(tokens.len(), logprobs.len());
        assert!(logprobs.iter().all(|logprob| logprob.as_f64().unwrap() <= 0.0), "{line}");
        // The end-of-text token, 1, is the last one and is not in the text.
        let ended = tokens.last().unwrap() == 1;
        let expected = if ended { "stop_token" } else { "length" };
        assert_eq!(line["finish"], expected, "{line}");
        assert!(ended || tokens.len() == 8, "{line}");
        let letters = line["completion"].as_str().unwrap().len();
        assert!(letters <= tokens.len() - usize::from(ended), "{line}");
    }
}

#[test]
fn generate_ends_before_a_stop_string() {
    let samples = |more: &[&str]| generated(&[&["--temperature", "1", "--samples", "32"], more, &["abc="]].concat());
    let whole = samples(&[]);
    let text = |line: &Value| line["completion"].as_str().unwrap().to_owned();
    let long = whole.iter().position(|line| text(line).len() >= 4);
    let index = long.expect("one of 32 texts has four letters");
    let text = text(&whole[index]);
    let stop = &text[2..4];
    let cut = &samples(&["--stop", stop])[index];
    assert_eq!(cut["finish"], "stop_string");
    assert_eq!(cut["completion"], text[..text.find(stop).unwrap()]);
}

#[test]
fn generate_reads_a_prompt_from_standard_input() {
    let model = model();
    let arguments = |prompt| ["generate", "--model", &model, "--max-new-tokens", "4", prompt].map(str::to_owned);
    let command = |prompt| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
        command.args(arguments(prompt));
        command
    };
    assert_eq!(out_of_input(&mut command("-"), "abc=\n"), out(&mut command("abc=")));
}

#[test]
fn prompts_that_the_model_cannot_take_are_refused_by_name() {
    let model = model();
    let refused = |prompt: &str| {
        let (code, message) = failure(&["generate", "--model", &model, "abc=", prompt]);
        assert_eq!(code, 2, "{message}");
        message
    };
    let message = refused("aé!b");
    assert!(message.contains("prompt 2: the model's tokenizer has no token for '!' 'é'"), "{message}");
    let message = refused(&"a".repeat(40));
    assert!(message.contains("prompt 2 has 40 tokens; limit 31"), "{message}");
    let message = refused("");
    assert!(message.contains("prompt 2 is empty"), "{message}");
    let (code, message) = failure(&["generate", "--model", &model, "--chat", "abc="]);
    assert!(code == 2 && message.contains("no chat template"), "{message}");
}

#[test]
fn a_device_that_does_not_exist_is_wrong_usage() {
    let (code, message) = failure(&["generate", "--model", &model(), "--device", "gpu", "abc="]);
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("--device: unknown device \"gpu\""), "{message}");
}

#[test]
fn a_model_that_is_not_there_is_named() {
    for command in [&["eval"][..], &["generate", "abc="], &["chat"]] {
        let (code, message) = failure(&[command, &["--model", "/no/such/model"]].concat());
        assert_eq!(code, 2, "{message}");
        assert!(message.contains("there is no folder") && message.contains("/no/such/model"), "{message}");
    }
}

#[test]
fn chat_without_a_template_continues_each_line_as_generate_does() {
    let model = model();
    let fixed = ["--model", &model, "--temperature", "1", "--seed", "3", "--max-new-tokens", "20"];
    // The reply is made in parts of eight tokens; it must be the text of one request.
    let whole = out(&mut essaim(&[&["generate", "abc="], &fixed[..]].concat()));
    let replies = out_of_input(&mut essaim(&[&["chat"], &fixed[..]].concat()), "abc=\n\nxyz=\n");
    let mut lines = replies.lines();
    assert_eq!(lines.next(), whole.lines().next());
    assert!(lines.next().is_some() && lines.next().is_none(), "{replies:?}");
}

/// A copy of the model that puts a `=` behind each message.
pub(crate) fn model_with_template() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(trained().model()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let template = "{% for message in messages %}{{ message.content }}={% endfor %}";
    std::fs::write(copy.path().join("chat_template.jinja"), template).unwrap();
    copy
}

#[test]
fn a_chat_too_long_for_the_model_forgets_its_oldest_turns_and_says_so() {
    let copy = model_with_template();
    let arguments = ["chat", "--model", copy.path().to_str().unwrap(), "--max-new-tokens", "4", "--json"];
    // 32 tokens of context: three turns of ten letters cannot all fit.
    let lines = "abcdefghij\n".repeat(4);
    let output = run_with_input(&mut essaim(&arguments), &lines);
    assert!(output.status.success(), "{}", stderr(&output));
    let replies = String::from_utf8_lossy(&output.stdout);
    assert_eq!(replies.lines().count(), 4, "{replies}");
    for line in replies.lines() {
        let reply: Value = serde_json::from_str(line).unwrap();
        assert_eq!(reply["role"], "assistant");
    }
    assert!(stderr(&output).contains("context of 32 tokens"), "{}", stderr(&output));
}

#[test]
fn a_chat_line_that_can_never_fit_is_refused() {
    let copy = model_with_template();
    let mut chat = essaim(&["chat", "--model", copy.path().to_str().unwrap()]);
    let output = run_with_input(&mut chat, &"a".repeat(60));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("prompt 1 has 61 tokens; limit 31"), "{}", stderr(&output));
}

#[test]
fn a_model_is_computed_in_half_the_bits_and_on_as_many_threads_as_asked() {
    let logprobs = |more: &[&str]| generated(&[more, &["abc="]].concat())[0]["logprobs"].clone();
    let whole = logprobs(&[]);
    // Rounded matrices give other numbers, and not far from them.
    let half = logprobs(&["--dtype", "bf16"]);
    let first = |value: &Value| value[0].as_f64().unwrap();
    assert!(first(&half) != first(&whole) && (first(&half) - first(&whole)).abs() < 0.1, "{half} {whole}");
    assert_eq!(logprobs(&["--dtype", "f32", "--threads", "1"]), whole);
    for wrong in [&["--dtype", "f64"][..], &["--threads", "0"], &["--threads", "many"]] {
        let (code, _) = failure(&[&["generate", "--model", "x", "abc="], wrong].concat());
        assert_eq!(code, 2, "{wrong:?}");
    }
}
