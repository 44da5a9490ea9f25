//! Who is paid, and who loses stake, in a real run.

use protocol::Party;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ledger::AuditReport;
use record::events::{Event, PaidOut};
use serde_json::Value;

use crate::resume::{SMALL, essaim, events};

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("ledger.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

fn audit(folder: &Path) -> AuditReport {
    ledger::audit(lines(folder).iter().map(String::as_bytes)).unwrap()
}

fn table(events: &[Event]) -> &PaidOut {
    let tables = events.iter().rev().filter_map(|event| match event {
        Event::PaidOut(table) => Some(table),
        _ => None,
    });
    tables.into_iter().next().expect("a run ends with a payout table")
}

fn json(folder: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

/// What holds for the ledger of every run that ended, however often it was killed: it passes its audit, pays
/// each step once, credits each accepted group once and no other, and all of its epochs are on the chain.
pub(crate) fn is_sound(folder: &Path, steps: u64) {
    let (report, events) = (audit(folder), events(folder));
    let trained: u64 = report.epochs.iter().map(|epoch| epoch.steps).sum();
    assert_eq!(trained, steps, "steps paid");
    assert!(report.epochs.iter().all(|epoch| epoch.posted.is_some() || epoch.epoch + 1 < report.epochs.len() as u64));
    assert!(report.epochs.last().unwrap().posted.is_some(), "the last root is on the chain");
    let accepted = events.iter().filter(|event| matches!(event, Event::GroupAccepted(_))).count() as u64;
    let credited: u64 = report.parties.values().map(|party| party.groups).sum();
    assert_eq!(credited, accepted, "groups credited");
    let table = table(&events);
    assert_eq!(table.rows.iter().map(|row| row.earned).sum::<u64>(), table.budget);
    assert_eq!(table.budget, report.epochs.last().unwrap().lifetime_total);
    let trouble: Vec<_> = events.iter().filter(|event| matches!(event, Event::Warning { message } if message.contains("chain") || message.contains("stake"))).collect();
    assert!(trouble.is_empty(), "{trouble:?}");
}

#[test]
fn liars_lose_stake_for_what_they_did_and_nobody_else_does() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("liars");
    let more = [
        "run.mode=async",
        "economy.epoch_steps=10",
        "workers.count=5",
        "workers.cheat=[{worker=1,cheat=\"fake_reward\"},{worker=3,cheat=\"malformed_message\"},{worker=4,cheat=\"int4_weights\"}]",
        "verify.validators=3",
        "verify.check_fraction=1.0",
        "verify.plant_fraction=0.5",
        "verify.cheat=[{validator=2,cheat=\"lazy_validator\"}]",
    ];
    let sets: Vec<&str> = SMALL.iter().copied().chain(more).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    is_sound(&folder, 30);
    let events = events(&folder);
    let table = table(&events);
    assert_eq!((table.epochs, table.posted), (3, Some(2)));
    let lost: BTreeMap<Party, u64> =
        table.rows.iter().filter(|row| row.lost > 0).map(|row| (row.who, row.lost)).collect();
    let liars = [Party::Worker(1), Party::Worker(3), Party::Worker(4), Party::Validator(2)];
    assert_eq!(lost.keys().copied().collect::<BTreeSet<_>>(), liars.into_iter().collect());
    // A message that nobody can read may be a bug, other weights save money, a false claim is a lie.
    assert!(lost[&Party::Worker(3)] < lost[&Party::Worker(4)] && lost[&Party::Worker(4)] < lost[&Party::Worker(1)]);
    for row in table.rows.iter().filter(|row| liars.contains(&row.who)) {
        assert_eq!(row.earned, 0, "{} was caught in the first epoch", row.who);
    }
    let earned = |who| table.rows.iter().find(|row| row.who == who).unwrap().earned;
    assert!(earned(Party::Worker(0)) > 0 && earned(Party::Worker(2)) > 0 && earned(Party::Trainer) > 0);
    let summary = json(&folder, "summary.json");
    assert_eq!(summary["payout"]["slashed"].as_array().unwrap().len(), 4);
    let why = summary["payout"]["paid_out"]["rows"][1]["why"].as_str().unwrap().to_owned();
    assert_eq!(why, "fake_reward: reward");
    let claims = json(&folder, "claims.json");
    assert_eq!(claims["root"], table.root.as_str());
    assert!(claims["claims"].as_array().unwrap().iter().all(|claim| claim["party"] != "worker 1"));
}

#[test]
fn one_line_dropped_or_altered_is_found_with_its_position() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("short");
    let sets: Vec<&str> = SMALL.iter().copied().chain(["stop.steps=3"]).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let lines = lines(&folder);
    let refused = |lines: &[String]| ledger::audit(lines.iter().map(String::as_bytes)).unwrap_err().seq;
    let without = [&lines[..4], &lines[5..]].concat();
    assert_eq!(refused(&without), 4);
    let mut altered = lines.clone();
    let credit = lines.iter().position(|line| line.contains("\"accepted\"")).unwrap();
    altered[credit] = altered[credit].replacen("\"accepted\":\"", "\"accepted\":\"AAAA", 1);
    assert_eq!(refused(&altered), credit as u64);
}

#[test]
fn a_run_without_an_economy_keeps_no_ledger_and_no_chain() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("free");
    let sets: Vec<&str> = SMALL.iter().copied().chain(["stop.steps=2", "economy.enabled=false"]).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    for file in ["ledger.jsonl", "chain.jsonl", "addresses.json", "claims.json"] {
        assert!(!folder.join(file).exists(), "{file}");
    }
    assert!(json(&folder, "summary.json").get("payout").is_none());
}
