//! How runs end that fail: exit code 1, and the reason on standard error, in text and in JSON.

use std::path::Path;
use std::process::{Output, Stdio};

use record::events::{Event, Outcome};
use serde_json::Value;

use crate::resume::{SMALL, essaim as start, events};
use crate::support::stderr;

/// Runs that fail, each with the reason.
const FAILING: [(&[&str], &str); 3] = [
    (
        &["workers.count=1", "workers.cheat=[{worker=0,cheat=\"fake_reward\"}]", "verify.check_fraction=1.0"],
        "every worker was caught lying",
    ),
    (
        &[
            "verify.validators=2",
            "verify.cheat=[{validator=0,cheat=\"verdict_copier\"},{validator=1,cheat=\"verdict_copier\"}]",
        ],
        "every validator was caught lying",
    ),
    (&["sft.steps=0", "gate.mean_reward_min=0.99", "rollout.max_new_tokens=1"], "nothing to learn: "),
];

fn run(folder: &Path, sets: &[&str], more: &[&str]) -> Output {
    let sets: Vec<&str> = SMALL.iter().chain(sets).copied().collect();
    let arguments = [&["--out", folder.to_str().unwrap()], more].concat();
    start(&arguments, &sets).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_run_that_fails_ends_with_1_and_its_reason_in_text_and_in_json() {
    let place = tempfile::tempdir().unwrap();
    for (number, (sets, reason)) in FAILING.into_iter().enumerate() {
        for more in [&["--quiet"][..], &["--json"]] {
            let folder = place.path().join(format!("{number}{}", more[0]));
            let output = run(&folder, sets, more);
            assert_eq!(output.status.code(), Some(1), "{reason}: {}", stderr(&output));
            let told = stderr(&output);
            let last = told.lines().last().unwrap_or_default();
            let why = match more {
                ["--json"] => serde_json::from_str::<Value>(last).unwrap()["error"].as_str().unwrap().to_owned(),
                _ => last.to_owned(),
            };
            assert!(why.contains("the run failed: ") && why.contains(reason), "{reason}: {told}");
            let ended = events(&folder).into_iter().rev().find_map(|event| match event {
                Event::RunFinished(finished) => Some(finished.outcome),
                _ => None,
            });
            assert!(matches!(&ended, Some(Outcome::Failed(why)) if why.contains(reason)), "{ended:?}");
        }
    }
}
