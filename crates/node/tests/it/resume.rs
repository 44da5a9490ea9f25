//! A run that is killed at any moment goes on as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use record::events::Event;
use record::run_dir;
use record::store::{EventLog, StoreError};
use serde_json::Value;

use crate::payout::is_sound;

pub(crate) const SMALL: &[&str] = &[
    "model.random.hidden=32",
    "model.random.layers=1",
    "model.random.ff=64",
    "sft.steps=4",
    "sft.batch_size=16",
    "rollout.prompts_per_step=4",
    "rollout.group_size=4",
    "eval.interval=0",
    "eval.items=8",
    "checkpoint.interval_steps=7",
    "stop.steps=30",
    "train.loss.entropy_coef=0.05",
    // A rate that falls depends on the number of steps planned.
    "train.schedule=constant",
];

pub(crate) fn essaim(arguments: &[&str], sets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
    command.arg("run").args(sets.iter().flat_map(|set| ["--set", set])).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model/model.safetensors")).unwrap()
}

pub(crate) fn events(folder: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let log = EventLog::open_to_read(&run_dir::events_path(folder)).unwrap();
    log.replay(1, |recorded| {
        events.push(recorded.event);
        Ok::<(), StoreError>(())
    })
    .unwrap();
    events
}

/// Starts a run and kills it once its log has `event_count` events; false if it ended before that.
fn killed_after(folder: &Path, sets: &[&str], event_count: u64) -> bool {
    let mut child = essaim(&["--out", folder.to_str().unwrap()], sets).spawn().unwrap();
    let path = run_dir::events_path(folder);
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let seen = EventLog::open_to_read(&path).map_or(0, |log| log.last_seq());
        if seen >= event_count {
            child.kill().unwrap(); // SIGKILL
            return child.wait().unwrap().code().is_none();
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the run did not reach {event_count} events within a minute");
}

fn resume(folder: &Path) {
    let status = essaim(&["--resume", folder.to_str().unwrap()], &[]).status().unwrap();
    assert!(status.success(), "resuming {} ended with {status}", folder.display());
}

#[test]
fn a_log_that_has_lost_its_end_goes_on_from_the_checkpoint_that_it_covers() {
    let place = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = SMALL.iter().chain(&["run.mode=sequential", "stop.steps=14"]).copied().collect();
    let folder = place.path().join("run");
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let (whole, all) = (weights(&folder), events(&folder));
    let step_7 = all.iter().position(|event| matches!(event, Event::CheckpointSaved { step: 7, .. })).unwrap();
    // Numbers count from 1; the rules hear of a checkpoint right behind its event.
    let kept = step_7 as u64 + 2;
    let log = rusqlite::Connection::open(run_dir::events_path(&folder)).unwrap();
    for table in ["events", "payloads"] {
        log.execute(&format!("DELETE FROM {table} WHERE seq > ?1"), [kept]).unwrap();
    }
    drop(log);
    let lost = folder.join("checkpoints/step-14");
    std::fs::write(lost.join("mark"), "of a past that the log does not know").unwrap();
    resume(&folder);
    assert!(lost.exists() && !lost.join("mark").exists(), "the run came to step 14 once more and kept its own");
    assert!(weights(&folder) == whole, "the weights differ");
    let all = events(&folder);
    let resumed = all.iter().find_map(|event| match event {
        Event::RunResumed { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(resumed, Some(7), "the checkpoint of step 14 is newer than the log");
    let told =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("step 14 is passed over"));
    assert!(all.iter().any(told));
    is_sound(&folder, 14);
}

#[test]
fn a_checkpoint_whose_counters_were_changed_is_refused_by_its_file() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let sets: Vec<&str> = SMALL.iter().chain(&["stop.steps=7"]).copied().collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let path = folder.join("checkpoints/step-7/trainer/trainer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen("\"updates\": ", "\"updates\": 1", 1);
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    let arguments = ["--resume", folder.to_str().unwrap(), "--set", "stop.steps=8"];
    let output = essaim(&arguments, &[]).stderr(Stdio::piped()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("trainer.json: blake3 is "), "{error}");
}

/// Leases whose group came back, and leases whose fate the log tells: trained or dropped.
fn leases(events: &[Event]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut back, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::GroupAccepted(group) => drop(back.insert(group.lease)),
            Event::StepTrained(step) => ended.extend(&step.leases),
            Event::GroupDropped { lease, .. } => drop(ended.insert(*lease)),
            _ => {}
        }
    }
    (back, ended)
}

/// What the metrics of each step say of all groups.
fn groups_by_step(folder: &Path) -> BTreeMap<u64, String> {
    let metrics = std::fs::read_to_string(run_dir::metrics_path(folder)).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps = lines.filter(|line| line.get("loss").is_some());
    let names = ["groups", "reward", "generated/completion_tokens"];
    let told = |line: &Value| names.map(|name| line.get(name).map(ToString::to_string).unwrap_or_default());
    steps.map(|line| (line["step"].as_u64().unwrap(), told(&line).join(" "))).collect()
}

/// Kills a sequential run after so many tenths of its events, and resumes it: the weights are those of
/// the run that nobody killed, and no group is lost.
fn killed_and_resumed(more: &[&str], tenths: &[u64]) {
    let place = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = SMALL.iter().chain(&["run.mode=sequential"]).chain(more).copied().collect();
    let whole = place.path().join("whole");
    assert!(essaim(&["--out", whole.to_str().unwrap()], &sets).status().unwrap().success());
    let (expected, steps) = (weights(&whole), groups_by_step(&whole));
    let last = EventLog::open_to_read(&run_dir::events_path(&whole)).unwrap().last_seq();
    let mut killed = 0;
    for tenth in tenths {
        let folder = place.path().join(format!("killed-{tenth}"));
        if !killed_after(&folder, &sets, last * tenth / 10) {
            continue; // it was quicker than we are
        }
        killed += 1;
        resume(&folder);
        assert!(weights(&folder) == expected, "killed after {tenth} tenths, the weights differ");
        assert_eq!(groups_by_step(&folder), steps, "killed after {tenth} tenths, the metrics differ");
        is_sound(&folder, 30);
        let (back, ended) = leases(&events(&folder));
        assert!(back.is_subset(&ended), "lost: {:?}", back.difference(&ended));
    }
    assert!(killed > 0, "no run was slow enough to be killed");
}

#[test]
fn a_sequential_run_killed_anywhere_ends_with_the_weights_of_an_uninterrupted_one() {
    killed_and_resumed(&[], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn so_does_one_with_several_workers_and_validators() {
    let more =
        ["workers.count=3", "verify.validators=3", "verify.second_check_fraction=0.5", "verify.plant_fraction=0.2"];
    killed_and_resumed(&more, &[2, 5, 8]);
}

#[test]
fn a_liar_caught_before_the_kill_is_told_once_and_stays_out() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("liar");
    let more = ["run.mode=async", "workers.count=2", "workers.cheat=[{worker=1,cheat=\"fake_reward\"}]"];
    let sets: Vec<&str> = SMALL.iter().copied().chain(more).collect();
    assert!(killed_after(&folder, &sets, 300), "the run ended before it was killed");
    let fines = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Fined(_))).count();
    assert_eq!(fines(&events(&folder)), 1);
    resume(&folder);
    let events = events(&folder);
    assert_eq!(fines(&events), 1);
    let resumed = events.iter().position(|event| matches!(event, Event::RunResumed { .. })).unwrap();
    let to_liar = |event: &Event| matches!(event, Event::LeaseIssued(lease) if lease.worker == 1);
    assert!(!events[resumed..].iter().any(to_liar));
    is_sound(&folder, 30);
    let slashed = |event: &&Event| matches!(event, Event::StakeSlashed(_));
    assert!(events.iter().filter(slashed).count() <= 1);
}

#[test]
fn an_asynchronous_run_that_was_killed_loses_no_group_and_trains_every_step_once() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("async");
    let sets: Vec<&str> = SMALL.iter().copied().chain(["run.mode=async", "stop.steps=60"]).collect();
    assert!(killed_after(&folder, &sets, 300), "the run ended before it was killed");
    let before: BTreeSet<u64> = leases(&events(&folder)).0;
    resume(&folder);
    let events = events(&folder);
    let (back, ended) = leases(&events);
    assert!(
        before.is_subset(&ended),
        "groups that were back before the kill were lost: {:?}",
        before.difference(&ended)
    );
    assert!(back.is_subset(&ended), "lost: {:?}", back.difference(&ended));
    let summary: Value = serde_json::from_slice(&std::fs::read(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["steps"], &summary["resumed_count"]), (&60.into(), &1.into()), "{summary}");
    is_sound(&folder, 60);
    assert!(summary["staleness"]["max"].as_f64().unwrap() <= 2.0, "{summary}");
}

#[test]
fn a_finished_run_resumed_stays_finished() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("done");
    let sets: Vec<&str> = SMALL.iter().copied().chain(["stop.steps=3"]).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let weights_before = weights(&folder);
    resume(&folder);
    assert!(weights(&folder) == weights_before);
}

#[test]
fn settings_that_the_rules_began_with_cannot_be_changed_on_resume() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("fixed");
    let sets: Vec<&str> = SMALL.iter().copied().chain(["stop.steps=2"]).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let output = Command::new(env!("CARGO_BIN_EXE_essaim"))
        .args(["run", "--set", "rollout.group_size=8", "--resume", folder.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("settings") && said.contains("changed"), "{said}");
    assert!(said.contains("rollout.group_size: 4 before, 8 now"), "{said}");
    // What was refused leaves no trace: the run still goes on as it was.
    assert!(essaim(&["--resume", folder.to_str().unwrap()], &[]).status().unwrap().success());
}

#[test]
fn a_finished_run_goes_on_if_it_may_take_more_steps_but_not_fewer() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("longer");
    let sequential = || SMALL.iter().copied().chain(["run.mode=sequential"]);
    let short: Vec<&str> = sequential().chain(["stop.steps=5"]).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &short).status().unwrap().success());
    let resumed = |steps: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_essaim"))
            .args(["run", "--set", steps, "--resume", folder.to_str().unwrap()])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (done, said) = resumed("stop.steps=12");
    assert!(done, "{said}");
    let extended = weights(&folder);
    let (done, said) = resumed("stop.steps=9");
    assert!(!done && said.contains("planned for 12 steps") && said.contains("given 9"), "{said}");
    // It ends as if it had been planned so from the start.
    let whole = place.path().join("whole");
    let long: Vec<&str> = sequential().chain(["stop.steps=12"]).collect();
    assert!(essaim(&["--out", whole.to_str().unwrap()], &long).status().unwrap().success());
    assert!(extended == weights(&whole), "the weights differ");
}
