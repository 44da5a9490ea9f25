//! Stored groups, checked again from the command line.

use protocol::Party;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use record::events::Event;
use serde_json::Value;

use crate::resume::{SMALL, essaim as start, events};
use crate::support::{essaim, run, stderr};

/// A run with a liar in which the weights of every step were kept.
struct Lied {
    folder: PathBuf,
    events: Vec<Event>,
}

fn lied() -> &'static Lied {
    static LIED: OnceLock<Lied> = OnceLock::new();
    LIED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lied");
        let _ = std::fs::remove_dir_all(&folder); // not there the first time
        let more = [
            "run.mode=sequential",
            "stop.steps=6",
            "checkpoint.interval_steps=1",
            "checkpoint.keep=100",
            "workers.count=3",
            "workers.cheat=[{worker=1,cheat=\"fake_reward\"},{worker=2,cheat=\"int4_weights\"}]",
            "verify.validators=2",
            "verify.check_fraction=1.0",
        ];
        let sets: Vec<&str> = SMALL.iter().copied().chain(more).collect();
        assert!(start(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
        let events = events(&folder);
        Lied { folder, events }
    })
}

impl Lied {
    /// The lease of the last group that was accepted: its weights came out of training.
    fn accepted(&self) -> u64 {
        let accepted = |event: &Event| match event {
            Event::GroupAccepted(group) if group.weight_version > 0 => Some(group.lease),
            _ => None,
        };
        self.events.iter().filter_map(accepted).next_back().unwrap()
    }

    /// The lease for which a worker was fined.
    fn fined(&self, worker: u32) -> u64 {
        let fined = |event: &Event| match event {
            Event::Fined(fined) if fined.party == Party::Worker(worker) => fined.lease,
            _ => None,
        };
        self.events.iter().find_map(fined).unwrap()
    }
}

/// Exit code and output of `essaim verify`.
fn verify(arguments: &[&str]) -> (i32, String, String) {
    let output = run(&mut essaim(&[&["verify"], arguments].concat()));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code().unwrap(), text, stderr(&output))
}

fn verify_lease(lease: u64, more: &[&str]) -> (i32, String, String) {
    let lease = lease.to_string();
    verify(&[&[lied().folder.to_str().unwrap(), "--lease", &lease], more].concat())
}

fn json(output: (i32, String, String)) -> (i32, Value) {
    (output.0, serde_json::from_str(&output.1).unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
fn an_honest_group_is_found_valid_again_with_every_number_beside_its_limit() {
    let (code, found) = json(verify_lease(lied().accepted(), &["--json"]));
    assert_eq!((code, found["outcome"].as_str()), (0, Some("valid")), "{found}");
    assert_eq!(found["beacon_on_chain"], true);
    assert_eq!(found["samples"].as_array().unwrap().len(), 4);
    for sample in found["samples"].as_array().unwrap() {
        assert_eq!(sample["measures"].as_array().unwrap().len(), 8);
        for measure in sample["measures"].as_array().unwrap() {
            assert!(measure["value"].as_f64() <= measure["limit"].as_f64(), "{measure}");
        }
    }
    let recorded = &found["recorded"][0];
    assert_eq!((&recorded["agrees"], &recorded["is_genuine"]), (&true.into(), &true.into()));
    assert!(found["weights_found"].as_str().unwrap().contains("checkpoints"), "{found}");
}

#[test]
fn the_group_that_the_end_of_a_run_names_can_be_checked() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("named");
    // With several validators, who are tried with plants, weights are kept as long as groups of them may be trained on;
    // a lone one's go with the last lease, which may be before the last batch is taken.
    let more = ["run.mode=async", "checkpoint.keep=1", "verify.validators=2"];
    let sets: Vec<&str> = SMALL.iter().copied().chain(more).collect();
    let output = start(&["--out", folder.to_str().unwrap()], &sets).stdout(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, words) = said.rsplit_once("essaim verify ").unwrap_or_else(|| panic!("{said}"));
    let words: Vec<&str> = words.split_whitespace().take(3).collect();
    let (code, text, error) = verify(&words);
    assert_eq!(code, 0, "{words:?}: {text}{error}");
}

#[test]
fn a_lie_is_found_again_and_explained() {
    let (code, text, _) = verify_lease(lied().fined(1), &[]);
    assert_eq!(code, 1, "{text}");
    for part in [
        "invalid, by the check reward: sample",
        "which means: the reward claimed",
        "said in the run: invalid",
        "the same as here",
        "worker 1 was fined for it",
    ] {
        assert!(text.contains(part), "{part} is missing from:\n{text}");
    }
    let (code, found) = json(verify_lease(lied().fined(2), &["--json", "--weights", lied().folder.to_str().unwrap()]));
    assert_eq!((code, &found["recorded"][0]["agrees"]), (1, &Value::Bool(true)), "{found}");
    let over = |measure: &Value| measure["value"].as_f64() > measure["limit"].as_f64();
    let samples = found["samples"].as_array().unwrap();
    assert!(samples.iter().any(|sample| sample["measures"].as_array().unwrap().iter().any(over)), "{found}");
}

#[test]
fn an_exported_group_is_checked_away_from_its_run_if_the_weights_are_there() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("group.json");
    let file = file.to_str().unwrap();
    assert_eq!(verify_lease(lied().accepted(), &["--export", file]).0, 0);
    let (code, text, _) = verify(&[file]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(", not found\n"), "{text}");
    assert!(text.contains("are not here (a run keeps only its newest checkpoints, --weights DIR names"), "{text}");
    // Where nothing was found, what validators said is neither confirmed nor denied.
    assert!(text.contains("said in the run: valid") && !text.contains("found here"), "{text}");
    let (code, found) = json(verify(&[file, "--json"]));
    assert_eq!((code, found["recorded"][0].get("agrees")), (3, None), "{found}");
    let (code, text, error) = verify(&[file, "--weights", lied().folder.to_str().unwrap(), "--all"]);
    assert_eq!(code, 0, "{text}{error}");
    assert!(text.contains("every rollout"), "{text}");
}

#[test]
fn an_altered_file_is_refused_and_a_lease_that_is_not_there_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("group.json");
    assert_eq!(verify_lease(lied().accepted(), &["--export", file.to_str().unwrap()]).0, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["draw"]["randomness"][0] = 0.into();
    document["draw"]["randomness"][1] = 0.into();
    std::fs::write(&file, document.to_string()).unwrap();
    let (_, text, _) = verify(&[file.to_str().unwrap()]);
    assert!(text.contains("DOES NOT lead back to the anchor"), "{text}");
    document["terms"]["group_size"] = 5.into();
    std::fs::write(&file, document.to_string()).unwrap();
    // Other terms have another name, which every signature holds.
    let (code, text, _) = verify(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("invalid, by the check signature") && text.contains("NOT signed by it"), "{text}");
    std::fs::write(&file, "{}").unwrap();
    let (code, _, error) = verify(&[file.to_str().unwrap()]);
    assert!(code == 3 && error.contains("is not a stored group: missing field `format`"), "{error}");
    let (code, _, error) = verify(&[lied().folder.to_str().unwrap()]);
    assert!(code == 2 && error.contains("which group? --lease N") && error.contains("(worker 1)"), "{error}");
    let (code, _, error) = verify_lease(1_000_000, &[]);
    assert!(code == 3 && error.contains("there is no lease 1000000"), "{error}");
}

#[test]
fn what_cannot_be_checked_is_never_called_invalid() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (group, damaged, empty) = (path("group.json"), path("damaged"), path("empty"));
    assert_eq!(verify_lease(lied().accepted(), &["--export", &group]).0, 0);
    let whole = std::fs::read(&group).unwrap();
    for content in [&whole[..whole.len() / 2], b"", b"\xff\x00garbage"] {
        std::fs::write(path("broken.json"), content).unwrap();
        let (code, out, error) = verify(&[&path("broken.json")]);
        assert!(code == 3 && out.is_empty() && error.starts_with("error: "), "{code}: {error}");
    }
    std::fs::create_dir(&empty).unwrap();
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(path("damaged/events.sqlite"), "garbage").unwrap();
    let lease = lied().accepted().to_string();
    for arguments in [
        &[path("nowhere")][..],
        &[group.clone(), "--weights".to_owned(), path("nowhere")],
        &[empty.clone(), "--lease".to_owned(), lease.clone()],
        &[damaged.clone(), "--lease".to_owned(), lease.clone()],
        &[group.clone(), "--export".to_owned(), path("nowhere/group.json")],
    ] {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, _, error) = verify(&words);
        assert_eq!(code, 3, "{words:?}: {error}");
    }
    for words in [&[group.as_str(), "--lease", &lease][..], &[&group, "--device", "gpu"]] {
        let (code, _, error) = verify(words);
        assert_eq!(code, 2, "{words:?}: {error}");
    }
}

#[test]
fn a_strangers_file_opens_no_file_and_makes_no_large_model_and_its_orchestrator_is_only_claimed() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("group.json");
    let file = file.to_str().unwrap();
    assert_eq!(verify_lease(lied().accepted(), &["--export", file]).0, 0);
    assert!(verify(&[file]).1.contains("(claimed; compare it with the key you know)"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let toml = document["config_toml"].as_str().unwrap();
    let with = |altered: String| {
        let mut document = document.clone();
        document["config_toml"] = altered.into();
        std::fs::write(file, document.to_string()).unwrap();
        verify(&[file])
    };
    let (before, _) = toml.split_once("[[tasks]]").unwrap();
    let (code, _, error) = with(format!("{before}[[tasks]]\ntype = \"gsm8k\"\npath = \"/etc/passwd\"\n"));
    assert!(code == 3 && error.contains("reads \"/etc/passwd\"; a stored group opens no file here"), "{error}");
    let (code, _, error) = with(toml.replace("hidden = 32", "hidden = 65536"));
    assert!(code == 3 && error.contains("limit 4294967296"), "{error}");
    let (head, rest) = toml.split_once("[model.random]").unwrap();
    let (_, rest) = rest.split_once("\n[").unwrap();
    let (code, _, error) = with(format!("{head}[model]\nhub = \"some/model\"\n\n[{rest}"));
    assert!(code == 3 && error.contains("which is not looked up"), "{error}");
}

#[test]
fn a_small_sweep_ends_well_and_a_trace_tells_the_same_simulation() {
    let words = ["sim", "--seeds", "2", "--cheat", "none", "--cheat", "fake_reward", "--json"];
    let output = run(&mut essaim(&words));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(
        (output.status.code(), &report["is_good"], &report["simulations"]),
        (Some(0), &true.into(), &4.into()),
        "{report}"
    );
    assert_eq!(report["cheats"][1]["cheat"], "fake_reward");
    assert_eq!(report["cheats"][1]["caught"], report["cheats"][1]["liars"]);
    let output = run(&mut essaim(&["sim", "--seed", "1", "--cheat", "fake_reward", "--trace"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("reward") && text.contains("failures: 0"), "{text}");
}
