//! `essaim ledger`: audits, tables, proofs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{bad, code, copy, essaim, finished, good};
use crate::support::{run, stderr};

fn lines(folder: &Path) -> Vec<Vec<u8>> {
    let text = fs::read(folder.join("ledger.jsonl")).unwrap();
    text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Exit code and finding of an audit of these lines.
fn audit(place: &Path, lines: &[Vec<u8>]) -> (i32, Value) {
    let file = place.join("log.jsonl");
    fs::write(&file, lines.concat()).unwrap();
    let output = run(&mut essaim(&["ledger", "audit", file.to_str().unwrap(), "--json"]));
    (code(&output), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
}

#[test]
fn a_runs_ledger_passes_and_its_roots_are_those_on_the_chain() {
    let folder = finished().to_str().unwrap();
    let told = good(&["ledger", "audit", folder, "--chain", folder]);
    assert_eq!((&told["is_good"], &told["chain"]["agree"]), (&true.into(), &2.into()), "{told}");
    let text = run(&mut essaim(&["ledger", "audit", folder, "--chain", folder]));
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("every entry is good") && text.contains("all 2 roots posted there follow"), "{text}");
    assert!(text.contains("worker 1") && text.contains("reward"), "{text}");
}

#[test]
fn whatever_is_altered_dropped_doubled_or_swapped_is_named_with_its_line() {
    let place = tempfile::tempdir().unwrap();
    let whole = lines(finished());
    let middle = whole.len() / 2;
    let refused_at = |lines: &[Vec<u8>], entry: usize| {
        let (code, told) = audit(place.path(), lines);
        let bad = &told["bad"];
        assert_eq!((code, &told["is_good"]), (1, &false.into()), "{told}");
        assert_eq!((&bad["entry"], &bad["line"]), (&entry.into(), &(entry + 1).into()), "{told}");
    };
    for at in [0, 1, middle, whole.len() - 1] {
        let mut altered = whole.clone();
        let digit = altered[at].len() - 10; // of the signature
        altered[at][digit] = if altered[at][digit] == b'0' { b'1' } else { b'0' };
        refused_at(&altered, at);
    }
    let mut dropped = whole.clone();
    dropped.remove(middle);
    refused_at(&dropped, middle);
    let mut doubled = whole.clone();
    doubled.insert(middle, whole[middle].clone());
    refused_at(&doubled, middle + 1);
    let mut swapped = whole.clone();
    swapped.swap(middle, middle + 1);
    refused_at(&swapped, middle);
    let mut cut = whole[..=middle].to_vec();
    cut[middle].truncate(40);
    refused_at(&cut, middle);
    refused_at(&[], 0);
}

#[test]
fn a_bad_entry_is_told_in_words() {
    let place = tempfile::tempdir().unwrap();
    let mut cut = lines(finished());
    let last = cut.len() - 1;
    cut[last].truncate(40);
    audit(place.path(), &cut);
    let file = place.path().join("log.jsonl");
    let output = run(&mut essaim(&["ledger", "audit", file.to_str().unwrap()]));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let position = format!("line {}: entry {last} is bad: ", last + 1);
    assert!(text.contains(&position) && text.contains("a process was killed while it wrote"), "{text}");
    assert!(text.contains(&format!("the {last} entries before it are good")), "{text}");
    // To look at, what stands before it is enough: a run that was killed leaves that.
    let shown = run(&mut essaim(&["ledger", "show", file.to_str().unwrap(), "--json"]));
    let (document, warning) = (serde_json::from_slice::<Value>(&shown.stdout).unwrap(), stderr(&shown));
    assert_eq!(document["entries"], last);
    assert!(warning.starts_with("warning: ") && warning.contains(&position), "{warning}");
    cut.remove(3);
    audit(place.path(), &cut);
    let (code, message) = bad(&["ledger", "show", file.to_str().unwrap()]);
    assert!(code == 1 && message.contains("line 4: entry 3"), "{message}");
    let (code, message) = bad(&["ledger", "audit", place.path().join("none").to_str().unwrap()]);
    assert!(code == 1 && message.contains("cannot read the ledger"), "{message}");
}

#[test]
fn a_log_that_was_cut_short_is_good_by_itself_and_found_out_by_the_chain() {
    let place = copy();
    let whole = lines(place.path());
    let closed = |line: &&Vec<u8>| String::from_utf8_lossy(line).contains("epoch_closed");
    let first = whole.iter().position(|line| closed(&line)).unwrap();
    let log = place.path().join("short.jsonl");
    fs::write(&log, whole[..=first].concat()).unwrap();
    let log = log.to_str().unwrap();
    assert_eq!(good(&["ledger", "audit", log])["report"]["epochs"].as_array().unwrap().len(), 1);
    let output = run(&mut essaim(&["ledger", "audit", log, "--chain", place.path().to_str().unwrap()]));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("epoch 1 is on the chain, and not closed in the log: the log was cut short"), "{text}");
}

#[test]
fn an_epoch_pays_its_budget_and_an_account_has_the_proof_of_the_runs_file() {
    let folder = finished().to_str().unwrap();
    let epoch = good(&["ledger", "show", folder, "--epoch", "1"]);
    let paid: u64 = epoch["payouts"].as_array().unwrap().iter().map(|payout| payout["amount"].as_u64().unwrap()).sum();
    assert_eq!(epoch["budget"].as_u64(), Some(paid));
    let (code, message) = bad(&["ledger", "show", folder, "--epoch", "2"]);
    assert!(code == 1 && message.contains("epoch 2 is not closed: 2 epochs are"), "{message}");

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("proofs.json");
    let account = good(&["ledger", "show", folder, "--account", "worker:0", "--claims", file.to_str().unwrap()]);
    let document = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    // Two writers of one format: the run, and this command.
    assert_eq!(document(&file), document(&finished().join("claims.json")));
    let claims = document(&file);
    let claim = claims["claims"].as_array().unwrap().iter().find(|claim| claim["party"] == "worker 0").unwrap();
    assert_eq!((&account["claim"]["lifetime"], &account["claim"]["proof"]), (&claim["lifetime"], &claim["proof"]));
    let earned: u64 = account["epochs"].as_array().unwrap().iter().map(|epoch| epoch["earned"].as_u64().unwrap()).sum();
    assert_eq!(account["claim"]["lifetime"].as_u64(), Some(earned));
    let liar = good(&["ledger", "show", folder, "--account", "worker:1"]);
    assert!(liar["claim"].is_null(), "{liar}");
    let (code, message) = bad(&["ledger", "show", folder, "--account", "worker:77"]);
    assert!(code == 1 && message.contains("no worker 77"), "{message}");
}
