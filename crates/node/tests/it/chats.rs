//! A chat model from supervised training to its replies: turns end with the token that the chat template writes.

use std::{fs, path::PathBuf};

use crate::support::{essaim, out, run, stderr};
use model::{Family, ModelConfig, SaveOptions, Sizes, Tokenizer, Transformer};
use ops::DeviceSpec;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Ids of the tokens that stand behind the characters in the tokenizer of [`chat_model`].
struct Ends {
    turn: u64,
    text: u64,
}

const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m.role[0] }}\n{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>a\n{% endif %}";

/// A folder with fresh weights whose generation_config.json names two ends of text, the wrong one first.
fn chat_model(parent: &TempDir, template: &str) -> (PathBuf, Ends) {
    let alphabet: String = (' '..='~').chain(['\n']).collect();
    let characters = Tokenizer::characters(&alphabet).unwrap();
    let first = characters.vocab_size() as u64;
    let sizes = Sizes {
        vocab_size: characters.vocab_size() + 3,
        hidden_size: 32,
        intermediate_size: 64,
        layers: 1,
        heads: 2,
        key_value_heads: 1,
        head_dim: None,
        max_positions: 256,
        tied: true,
    };
    let config = ModelConfig::new(Family::Llama, &sizes).unwrap();
    let folder = parent.path().join("start");
    let options = SaveOptions { tokenizer: Some(&characters), ..SaveOptions::default() };
    let device = "cpu".parse::<DeviceSpec>().unwrap().open().unwrap();
    Transformer::random(config.into(), 3, &device).unwrap().save(&folder, &options).unwrap();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let added = json!({"<|endoftext|>": first, "<|im_start|>": first + 1, "<|im_end|>": first + 2});
    write("added_tokens.json", added.to_string());
    write("special_tokens_map.json", json!({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}).to_string());
    write("generation_config.json", json!({"eos_token_id": [first, first + 2]}).to_string());
    write("chat_template.jinja", template.to_owned());
    (folder, Ends { turn: first + 2, text: first })
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_chat_model_learns_to_end_its_turn_as_the_template_does() {
    let parent = tempfile::tempdir().unwrap();
    let (start, ends) = chat_model(&parent, TEMPLATE);
    let place = parent.path().join("run");
    let model = format!("model={{ path = {:?} }}", start.to_str().unwrap());
    let sets = [
        &model,
        "tasks.0.chat=true",
        "sft.steps=40",
        "sft.lr=0.01",
        "sft.batch_size=8",
        "eval.items=2",
        "run.threads=1",
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    out(&mut essaim(&["sft", "--out", place.to_str().unwrap()].into_iter().chain(sets).collect::<Vec<_>>()));
    let trained = place.join("model");
    let asked = ["generate", "--chat", "--json", "--temperature", "1", "--max-new-tokens", "64", "--samples", "16"];
    let replies = lines(&out(&mut essaim(&[&asked[..], &["--model", trained.to_str().unwrap(), "abc"]].concat())));
    let last = |reply: &Value| reply["tokens"].as_array().unwrap().last().unwrap().as_u64().unwrap();
    let ended: Vec<u64> = replies.iter().filter(|reply| reply["finish"] == "stop_token").map(last).collect();
    assert!(ended.len() >= 12, "{} of 16 replies ended", ended.len());
    assert!(ended.iter().all(|id| *id == ends.turn), "turns end with {}, not {}: {ended:?}", ends.turn, ends.text);
    // The run keeps the day on which it began, in case the template asks.
    let kept = fs::read_to_string(place.join("config.toml")).unwrap();
    assert!(kept.contains("template_date = \"20"), "{kept}");
}

#[test]
fn a_stop_string_may_be_a_special_token() {
    let parent = tempfile::tempdir().unwrap();
    let (start, ends) = chat_model(&parent, TEMPLATE);
    let asked = ["generate", "--json", "--temperature", "1", "--max-new-tokens", "64", "--samples", "32"];
    let stop = ["--model", start.to_str().unwrap(), "--stop", "<|im_start|>", "abc"];
    let texts = lines(&out(&mut essaim(&[&asked[..], &stop].concat())));
    let at_token = texts.iter().filter(|line| line["tokens"].as_array().unwrap().last().unwrap() == ends.text + 1);
    // 64 tokens of about 100 that are equally likely: half of 32 samples meet it.
    assert!(at_token.clone().count() >= 4);
    for line in at_token {
        assert_ne!(line["finish"], "length", "{line}");
        let tokens = line["tokens"].as_array().unwrap();
        assert_eq!(tokens.iter().filter(|token| **token == ends.text + 1).count(), 1, "{line}");
    }
}

#[test]
fn an_instruction_reaches_a_model_whose_template_refuses_it() {
    let parent = tempfile::tempdir().unwrap();
    let refusing =
        format!("{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no system') }}}}{{% endif %}}{TEMPLATE}");
    let (start, _) = chat_model(&parent, &refusing);
    let sets = ["tasks.0.chat=true", "eval.items=2", "run.threads=1", "rollout.max_new_tokens=4"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let command = ["eval", "--model", start.to_str().unwrap()];
    let output = run(&mut essaim(&[&command[..], &sets].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains("refuses system messages"), "{told}");
}

#[test]
fn a_template_is_told_what_the_command_line_says() {
    let parent = tempfile::tempdir().unwrap();
    let asking = "{{ strftime_now('%Y') }}{% if enable_thinking is defined and enable_thinking is false %}{{ raise_exception('told') }}{% endif %}{{ messages[0].content }}<|im_end|>";
    let (start, _) = chat_model(&parent, asking);
    let command = ["generate", "--chat", "--max-new-tokens", "2", "--model", start.to_str().unwrap(), "abc"];
    let output = run(&mut essaim(&command));
    assert!(output.status.success() && stderr(&output).contains("asks for the date"), "{}", stderr(&output));
    // It may ask in a branch that no question opens which is tried beforehand.
    let at_times =
        "{% if 'day' in messages[0].content %}{{ strftime_now('%Y') }}{% endif %}{{ messages[0].content }}<|im_end|>";
    fs::write(start.join("chat_template.jinja"), at_times).unwrap();
    let output = run(&mut essaim(&[&command[..command.len() - 1], &["what day is it"]].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    fs::write(start.join("chat_template.jinja"), asking).unwrap();
    let told = run(&mut essaim(&[&command[..], &["--template-arg", "enable_thinking=false"]].concat()));
    assert!(!told.status.success() && stderr(&told).contains("told"), "{}", stderr(&told));
}
