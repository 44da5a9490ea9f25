//! Data sets of a person's own, from the file to scores and weights.

use crate::support::{essaim, out, run, stderr};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const CONTEXT: usize = 48;

/// A folder with a file and a run file that asks for it, on a model of single characters.
fn place(rows: &str, keys: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("rows.jsonl"), rows).unwrap();
    let file = format!(
        "[model.random]\nhidden=32\nlayers=1\nheads=2\nkv_heads=1\nff=64\nmax_context={CONTEXT}\n\
         [sft]\nsteps=2\nbatch_size=8\nlr=0.01\nschedule='constant'\nwarmup_steps=0\n[eval]\nitems=64\n\
         [rollout]\nmax_new_tokens=8\nprompts_per_step=2\ngroup_size=2\n[gate]\nrefuse_equal_rewards=false\n\
         [stop]\nsteps=1\n[run]\nthreads=1\n[[tasks]]\ntype='dataset'\npath='rows.jsonl'\n{keys}"
    );
    std::fs::write(place.path().join("run.toml"), file).unwrap();
    place
}

fn row(prompt: &Value, answer: &str) -> String {
    serde_json::json!({ "prompt": prompt, "answer": answer }).to_string() + "\n"
}

fn sums(count: u32) -> String {
    (0..count).map(|n| row(&format!("{n}+{n}=").into(), &(2 * n).to_string())).collect()
}

/// Sums with a prompt and an answer that are too long for the model in lines 3 and 5.
fn sums_with_long_rows() -> String {
    let long = [row(&"9".repeat(CONTEXT).into(), "1"), row(&"8+8=".into(), &"6".repeat(CONTEXT))];
    let mut lines: Vec<String> = sums(40).lines().map(|line| line.to_owned() + "\n").collect();
    lines.retain(|line| !line.contains("\"8+8=\""));
    lines.insert(2, long[0].clone());
    lines.insert(4, long[1].clone());
    lines.concat()
}

fn scores(place: &Path, more: &[&str]) -> (Value, String) {
    let mut command = essaim(&["eval", "run.toml", "--json"]);
    let output = run(command.args(more).current_dir(place));
    assert!(output.status.success(), "{}", stderr(&output));
    (serde_json::from_slice(&output.stdout).unwrap(), stderr(&output))
}

#[test]
fn rows_too_long_for_the_model_are_left_out_of_every_command_by_one_rule() {
    let place = place(&sums_with_long_rows(), "");
    let words = "2 of 41 rows left out, too long for the context of 48 tokens with at least 8 for a completion: \
                 line 3 (48 tokens of prompt and 2 of answer), line 5 (4 tokens of prompt and 49 of answer)";
    let (report, warnings) = scores(place.path(), &[]);
    assert!(warnings.contains(words), "{warnings}");
    let items = report["tasks"][0]["items"].as_u64().unwrap();
    for command in ["sft", "run"] {
        let folder = place.path().join(command);
        let output = run(essaim(&[command, "run.toml", "--out", folder.to_str().unwrap()]).current_dir(place.path()));
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        let summary = std::fs::read_to_string(folder.join("summary.json")).unwrap();
        let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
        assert!(report.contains("2 of 41 rows left out"), "{command}");
        assert!(summary.contains("warning"), "{command}: {summary}");
    }
    // The rest is the file without these rows.
    let kept: String =
        sums_with_long_rows().lines().filter(|line| line.len() < 60).map(|line| line.to_owned() + "\n").collect();
    std::fs::write(place.path().join("rows.jsonl"), kept).unwrap();
    let (report, warnings) = scores(place.path(), &[]);
    assert_eq!(report["tasks"][0]["items"], items);
    assert!(!warnings.contains("left out"), "{warnings}");
}

#[test]
fn rows_too_long_are_refused_if_asked_and_a_file_of_such_rows_always() {
    let place = place(&sums_with_long_rows(), "rows_too_long = 'refuse'\n");
    let output = run(essaim(&["eval", "run.toml"]).current_dir(place.path()));
    let message = stderr(&output);
    assert!(!output.status.success() && message.contains("rows.jsonl, line 3: 48 tokens of prompt"), "{message}");
    let long: String = (0..10).map(|n| row(&format!("{n}{}", "9".repeat(CONTEXT)).into(), "1")).collect();
    std::fs::write(place.path().join("rows.jsonl"), long).unwrap();
    let output = run(essaim(&["eval", "run.toml", "--set", "tasks.0.rows_too_long=skip"]).current_dir(place.path()));
    let message = stderr(&output);
    assert!(!output.status.success() && message.contains("none of its 10 rows fits"), "{message}");
}

#[test]
fn a_task_whose_own_items_are_too_long_is_refused_at_the_start() {
    let place = place(&sums(20), "[[tasks]]\ntype='spell-backward'\nletters_min=40\nletters_max=40\n");
    let output = run(essaim(&["eval", "run.toml"]).current_dir(place.path()));
    let message = stderr(&output);
    assert!(!output.status.success() && message.contains("task spell-backward:"), "{message}");
    assert!(message.contains("41 tokens of prompt and 41 of answer"), "{message}");
}

#[test]
fn a_lone_question_in_a_message_is_a_text_for_a_model_without_a_template() {
    let lone: String = (0..40)
        .map(|n| row(&serde_json::json!([{"role": "user", "content": format!("{n}+{n}=")}]), &(2 * n).to_string()))
        .collect();
    let texts = place(&sums(40), "");
    let messages = place(&lone, "");
    let of = |place: &TempDir| scores(place.path(), &[]).0["tasks"].clone();
    assert_eq!(of(&texts), of(&messages));
    let more = serde_json::json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]);
    std::fs::write(messages.path().join("rows.jsonl"), sums(40) + &row(&more, "d")).unwrap();
    let output = run(essaim(&["eval", "run.toml"]).current_dir(messages.path()));
    let message = stderr(&output);
    assert!(!output.status.success() && message.contains("line 41") && message.contains("chat template"), "{message}");
}

#[test]
fn tasks_show_their_messages_and_two_of_one_type_have_two_scores() {
    let rows: String = (0..40)
        .map(|n| row(&serde_json::json!([{"role": "system", "content": "Add."}, {"role": "user", "content": format!("{n}+{n}=")}]), &(2 * n).to_string()))
        .collect();
    let place = place(&rows, "");
    let text = out(essaim(&["tasks", "run.toml", "--items", "3"]).current_dir(place.path()));
    assert_eq!(text.matches("Item: system: Add.\nuser: ").count(), 3, "{text}");
    let text = out(essaim(&["tasks", "run.toml", "--json"]).current_dir(place.path()));
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["items"][0]["messages"][0], serde_json::json!({"role": "system", "content": "Add."}));
    std::fs::write(place.path().join("rows.jsonl"), sums(40)).unwrap();
    let more =
        ["--set", "tasks.1={ type = \"chain-sum\" }", "--set", "tasks.2={ type = \"chain-sum\", digits_max = 2 }"];
    let (report, _) = scores(place.path(), &more);
    let names: Vec<&str> =
        report["tasks"].as_array().unwrap().iter().map(|row| row["task"].as_str().unwrap()).collect();
    assert_eq!(names, ["rows", "chain-sum", "chain-sum-2"]);
}

#[test]
fn an_instruction_without_a_chat_template_is_refused() {
    let place = place(&sums(40), "system = 'Be brief.'\n");
    let output = run(essaim(&["eval", "run.toml"]).current_dir(place.path()));
    let message = stderr(&output);
    assert!(
        output.status.code() == Some(2) && message.contains("task rows: `system` needs `chat = true`"),
        "{message}"
    );
}
