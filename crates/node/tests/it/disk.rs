//! What a run leaves on the disk, and what is left of it when it is killed in the middle of tidying up.

use protocol::Party;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use record::events::Event;
use serde_json::Value;

use crate::resume::{SMALL, essaim as start, events};
use crate::support::{essaim, run, stderr};

/// As many groups of as many rollouts as the default run has, of a model that is quick.
const BUSY: &[&str] = &[
    "run.mode=async",
    "rollout.prompts_per_step=32",
    "rollout.group_size=16",
    // As long as answers of the default run are: a verdict has a number for each token.
    "rollout.max_new_tokens=4",
    "stop.steps=100",
    "checkpoint.interval_steps=10",
    "checkpoint.keep=1",
    "workers.count=2",
    "workers.cheat=[{worker=1,cheat=\"fake_reward\"}]",
];

/// The run of [`BUSY`].
fn busy() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("busy");
        let _ = fs::remove_dir_all(&folder); // not there the first time
        let sets: Vec<&str> = SMALL.iter().chain(BUSY).copied().collect();
        assert!(start(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
        folder
    })
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[test]
fn a_settled_group_takes_a_kilobyte_of_events_and_four_hundred_bytes_of_ledger() {
    let folder = busy();
    let settled = events(folder).iter().filter(|event| matches!(event, Event::GroupAccepted(_))).count() as u64;
    assert!(settled >= 3200, "{settled}");
    let given = size(&folder.join("events.sqlite")) + size(&folder.join("events.sqlite-wal"));
    assert!(given <= 1000 * settled, "{given} bytes of events for {settled} groups");
    let given = size(&folder.join("ledger.jsonl"));
    assert!(given <= 400 * settled, "{given} bytes of ledger for {settled} groups");
}

/// Exit code, and what it says as JSON.
fn verify(folder: &Path, lease: u64) -> (i32, Value) {
    let output = run(&mut essaim(&["verify", folder.to_str().unwrap(), "--lease", &lease.to_string(), "--json"]));
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), found)
}

#[test]
fn evidence_goes_with_its_weights_and_verify_says_so() {
    let folder = busy();
    let events = events(folder);
    let accepted: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::GroupAccepted(group) => Some((group.lease, group.weight_version)),
            _ => None,
        })
        .collect();
    let (code, found) = verify(folder, accepted[0].0);
    assert_eq!((code, found["outcome"].as_str()), (5, Some("dropped")), "{found}");
    assert!(found["words"].as_str().unwrap().contains("says nothing against it"), "{found}");
    let text = run(&mut essaim(&["verify", folder.to_str().unwrap(), "--lease", &accepted[0].0.to_string()]));
    assert!(String::from_utf8(text.stdout.clone()).unwrap().contains("was dropped"), "{}", stderr(&text));
    // Of the last batch there is a group whose weights are kept, and so is it.
    let oldest = events.iter().rev().find_map(|event| match event {
        Event::CheckpointSaved { oldest_version, .. } => Some(*oldest_version),
        _ => None,
    });
    let (lease, _) = accepted.iter().rev().find(|(_, version)| Some(*version) >= oldest).unwrap();
    let (code, found) = verify(folder, *lease);
    assert_eq!((code, found["outcome"].as_str()), (0, Some("valid")), "{found}");
    // What a fine rests on stays, however old.
    let fined = events.iter().find_map(|event| match event {
        Event::Fined(fined) if fined.party == Party::Worker(1) => fined.lease,
        _ => None,
    });
    let (code, found) = verify(folder, fined.unwrap());
    assert_eq!((code, &found["outcome"]["invalid"]["check"]), (1, &Value::from("reward")), "{found}");
}

/// Steps, checkpoints and groups enough that the log is packed and evidence dropped all the time.
const TIDY: &[&str] = &[
    "run.mode=sequential",
    "rollout.prompts_per_step=16",
    "stop.steps=40",
    "checkpoint.interval_steps=1",
    "checkpoint.keep=2",
];
/// How often the process is killed.
const KILLS: u64 = 20;

/// What has been written, and what the ledger's audit says of it.
fn end(folder: &Path) -> (Vec<u8>, Value) {
    let output = run(&mut essaim(&["ledger", "audit", folder.to_str().unwrap(), "--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["is_good"], true);
    let report = report["report"].take();
    // Accounts, parties and epochs: all but the hashes of lines, in which the blocks of the chain are named.
    let parts = ["accounts", "parties", "lifetime_total", "root", "steps_open"].map(|part| report[part].clone());
    (fs::read(folder.join("model/model.safetensors")).unwrap(), parts.into_iter().collect())
}

#[test]
fn killed_at_any_point_of_compaction_and_checkpointing_it_ends_alike() {
    let place = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = SMALL.iter().chain(TIDY).copied().collect();
    let whole = place.path().join("whole");
    let begin = Instant::now();
    assert!(start(&["--out", whole.to_str().unwrap()], &sets).status().unwrap().success());
    let pause = begin.elapsed() / (KILLS as u32 + 4);
    let expected = end(&whole);
    let killed = place.path().join("killed");
    let mut kills = 0;
    let mut seed = 7u64;
    // Each process goes on from where the one before was killed, and is killed at a moment of its own.
    let mut child = start(&["--out", killed.to_str().unwrap()], &sets).spawn().unwrap();
    while kills < KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        wait_for_checkpoint(&killed);
        std::thread::sleep(pause * (seed >> 58) as u32 / 64 + Duration::from_millis(3));
        child.kill().unwrap(); // SIGKILL
        if child.wait().unwrap().code().is_some() {
            break; // it had ended
        }
        kills += 1;
        child = start(&["--resume", killed.to_str().unwrap()], &[]).stderr(Stdio::piped()).spawn().unwrap();
    }
    let mut words = String::new();
    child.stderr.take().into_iter().for_each(|mut stderr| drop(stderr.read_to_string(&mut words)));
    let ended = child.wait().unwrap();
    assert!(kills < KILLS || ended.success(), "{words}");
    assert_eq!(kills, KILLS, "it ended before it was killed so often");
    let (weights, audit) = end(&killed);
    assert!(weights == expected.0, "killed {kills} times, the weights differ");
    assert_eq!(audit, expected.1);
    let parts = fs::read_dir(killed.join("checkpoints")).unwrap().flatten();
    let names: Vec<String> = parts.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(names.len() == 2 && names.iter().all(|name| !name.contains("part")), "{names:?}");
}

/// Until there is a checkpoint to go on from.
fn wait_for_checkpoint(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("checkpoints/step-0").exists() && !has_checkpoint(folder) {
        assert!(Instant::now() < deadline, "no checkpoint within a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn has_checkpoint(folder: &Path) -> bool {
    let entries = fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| !name.contains("part"))
}
