//! Stake, claims, cases and roots on the chain of a finished run.

use std::fs;
use std::path::Path;

use ::ledger::{Entry, Ledger};
use chain::{Genesis, LocalChain};
use serde_json::{Value, json};

use super::{ESM, act, adds_up, bad, copy, essaim, good, holds, on, parties, refused};
use crate::support::run;

fn claim(folder: &Path, party: &str) -> Value {
    let claims: Value = serde_json::from_slice(&fs::read(folder.join("claims.json")).unwrap()).unwrap();
    let claim = claims["claims"].as_array().unwrap().iter().find(|claim| claim["party"] == party);
    claim.unwrap_or_else(|| panic!("no {party} in {claims}")).clone()
}

/// A proof as it is typed, and the amount in ESM.
fn typed(claim: &Value) -> (String, String) {
    let proof: Vec<&str> = claim["proof"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()).collect();
    let lifetime = chain::units::format(claim["lifetime"].as_u64().unwrap());
    (proof.join(","), lifetime)
}

#[test]
fn earnings_are_claimed_once_and_the_sum_of_all_accounts_stays_what_there_is() {
    let place = copy();
    let folder = place.path();
    let supply = adds_up(&[folder.to_str().unwrap()]);
    let earned = claim(folder, "worker 0")["lifetime"].as_u64().unwrap();
    let before = on(folder, &["balance", "worker:0"]);
    assert_eq!((&before["claimable"], &before["claimed"]), (&earned.into(), &0.into()), "{before}");
    let told = act(folder, "worker:0", &["claim"]);
    assert_eq!((&told["paid"], told["steps"].as_array().unwrap().len()), (&earned.into(), 1), "{told}");
    assert_eq!(holds(folder, "worker:0"), earned);
    let (code, message) = refused(folder, "worker:0", &["claim"]);
    assert!(code == 1 && message.contains("nothing is due to") && message.contains("were paid"), "{message}");
    let (code, message) = refused(folder, "worker:1", &["claim"]);
    assert!(code == 1 && message.contains("has earned nothing by epoch 1"), "{message}");
    // Anybody may claim for all others; their money goes to them.
    let told = act(folder, "worker:1", &["claim", "--all"]);
    assert_eq!(told["paid"].as_u64().unwrap() + earned, 200 * ESM, "{told}");
    assert_eq!(holds(folder, "worker:1"), 0);
    let (code, message) = refused(folder, "worker:1", &["claim", "--all"]);
    assert!(code == 1 && message.contains("nothing is due to anybody"), "{message}");
    assert_eq!(adds_up(&[folder.to_str().unwrap()]), supply);
}

#[test]
fn a_printed_proof_is_enough_for_any_wallet_and_an_altered_one_is_refused() {
    let place = copy();
    let folder = place.path();
    let claim = claim(folder, "worker 2");
    let (proof, lifetime) = typed(&claim);
    let account = claim["account"].as_str().unwrap();
    let more = chain::units::format(claim["lifetime"].as_u64().unwrap() + 1);
    let words =
        |lifetime| ["claim", "--account", account, "--lifetime", lifetime, "--proof", &proof].map(str::to_owned);
    let altered = words(&more);
    let (code, message) = refused(folder, "trainer", &altered.each_ref().map(String::as_str));
    assert!(code == 1 && message.contains("does not lead to the live root"), "{message}");
    let told = act(folder, "trainer", &words(&lifetime).each_ref().map(String::as_str));
    assert_eq!(told["paid"], claim["lifetime"]);
    assert_eq!(holds(folder, account), claim["lifetime"].as_u64().unwrap());
    // The proof of an earlier epoch is told as such.
    let old = good(&["ledger", "show", folder.to_str().unwrap(), "--account", "trainer", "--epoch", "0"]);
    let (proof, lifetime) = typed(&old["claim"]);
    let words = ["claim", "--lifetime", &lifetime, "--proof", &proof];
    let (code, message) = refused(folder, "trainer", &words);
    assert!(code == 1 && message.contains("it is of another epoch or was altered"), "{message}");
}

#[test]
fn a_dry_run_and_a_question_that_nobody_answers_change_nothing() {
    let place = copy();
    let folder = place.path().to_str().unwrap();
    let before = fs::read(place.path().join("chain.jsonl")).unwrap();
    let told = on(place.path(), &["claim", "--as", "worker:0", "--dry-run"]);
    assert!(told["dry_run"] == true && told["steps"][0]["gas"].as_u64().unwrap() > 21_000, "{told}");
    assert!(told["steps"][0].get("transaction").is_none() && told["holds"] == told["paid"], "{told}");
    let (code, message) = bad(&["claim", "--chain", folder, "--as", "worker:0"]);
    assert!(code == 2 && message.contains("--yes sends without asking"), "{message}");
    assert_eq!(fs::read(place.path().join("chain.jsonl")).unwrap(), before);
    // While a run is going on, its chain can be looked at, and nothing else.
    let held = LocalChain::open(&place.path().join("chain.jsonl"), Genesis::default()).unwrap();
    let (code, message) = refused(place.path(), "worker:0", &["claim"]);
    assert!(code == 1 && message.contains("the run is going on"), "{message}");
    on(place.path(), &["claim", "--as", "worker:0", "--dry-run"]);
    on(place.path(), &["epoch", "show"]);
    drop(held);
    act(place.path(), "worker:0", &["claim"]);
}

#[test]
fn stake_goes_in_and_comes_out_after_the_cooldown() {
    let place = copy();
    let folder = place.path();
    act(folder, "worker:0", &["claim"]);
    let (start, stake) = (holds(folder, "worker:0"), 750 * ESM);
    let told = act(folder, "worker:0", &["stake", "12.5 ESM"]);
    assert_eq!((&told["active"], told["holds"].as_u64()), (&(stake + 12_500_000).into(), Some(start - 12_500_000)));
    let told = act(folder, "worker:0", &["stake", "1", "--for", "worker:1"]);
    assert_eq!(told["steps"].as_array().unwrap().len(), 2, "an approval and the stake: {told}");
    let (_, message) = refused(folder, "worker:0", &["stake", "1000000"]);
    assert!(message.contains("and 1000000 ESM are needed to stake"), "{message}");
    let (_, message) = refused(folder, "worker:0", &["unstake", "763"]);
    assert!(message.contains("has 762.5 ESM at stake, given 763 ESM"), "{message}");
    act(folder, "worker:0", &["unstake", "100"]);
    let (_, message) = refused(folder, "worker:0", &["unstake", "--withdraw"]);
    assert!(message.contains("100 ESM can be withdrawn from 2026-01-01"), "{message}");
    let told = act(folder, "worker:0", &["unstake", "--cancel"]);
    assert_eq!((&told["leaving"], &told["active"]), (&0.into(), &(stake + 12_500_000).into()));
    act(folder, "worker:0", &["unstake", "100"]);
    on(folder, &["chain", "advance", "1m"]);
    let told = act(folder, "worker:0", &["unstake", "--withdraw"]);
    assert_eq!(told["holds"].as_u64(), Some(start - 13_500_000 + 100 * ESM), "{told}");
    let (_, message) = refused(folder, "worker:0", &["unstake", "--withdraw"]);
    assert!(message.contains("nothing of") && message.contains("is leaving"), "{message}");
    for words in
        [&["unstake"][..], &["unstake", "5", "--cancel"], &["stake", "0"], &["stake", "1.0000001"], &["stake", "x"]]
    {
        assert_eq!(refused(folder, "worker:0", words).0, 2, "{words:?}");
    }
}

#[test]
fn a_case_goes_from_the_accusation_to_the_taken_stake_with_ballots_signed_apart() {
    let place = copy();
    let folder = place.path();
    let supply = adds_up(&[folder.to_str().unwrap()]);
    // The run itself has taken the liar's stake for this fine, and the ledger knows of no other.
    let (_, message) = refused(folder, "orchestrator", &["slash", "open", "worker:1"]);
    assert!(message.contains("case 1 is about the same fine: closed: guilty"), "{message}");
    let (_, message) = refused(folder, "orchestrator", &["slash", "open", "worker:2"]);
    assert!(message.contains("worker 2 was fined for nothing"), "{message}");
    let lie = folder.join("lie.json");
    fs::write(&lie, "what it said, and what is true").unwrap();
    let lie = lie.to_str().unwrap();
    let told = act(folder, "orchestrator", &["slash", "open", "worker:2", "50", "--evidence-file", lie]);
    assert_eq!(
        (&told["bond"], &told["case"]["case"], &told["case"]["state"]),
        (&(5 * ESM).into(), &2.into(), &"open".into())
    );
    assert_eq!(on(folder, &["balance", "worker:2"])["reserved"].as_u64(), Some(50 * ESM));
    act(folder, "worker:2", &["slash", "answer", "2", "--evidence-file", lie]);
    let (_, message) = refused(folder, "worker:0", &["slash", "answer", "2", "--evidence-file", lie]);
    assert!(message.contains("case 2 is answered"), "{message}");
    let ballot = |member: u32, finding: &str| {
        let words = ["slash", "sign", "2", finding, "--as", &format!("validator:{member}")];
        let file = folder.join(format!("{member}{finding}.json"));
        fs::write(&file, on(folder, &words).to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (first, second, other) = (ballot(0, "--guilty"), ballot(1, "--guilty"), ballot(2, "--acquit"));
    let (_, message) = refused(folder, "trainer", &["slash", "rule", "2", "--ballot", &first, "--ballot", &other]);
    assert!(message.contains("do not say the same"), "{message}");
    let (_, message) = refused(folder, "trainer", &["slash", "rule", "2", "--ballot", &first]);
    assert!(message.contains("Ballots"), "{message}");
    act(folder, "trainer", &["slash", "rule", "2", "--ballot", &second, "--ballot", &first]);
    let (_, message) = refused(folder, "trainer", &["slash", "execute", "2"]);
    assert!(message.contains("not before 2026-01-01"), "{message}");
    on(folder, &["chain", "advance", "11s"]);
    let told = act(folder, "trainer", &["slash", "execute", "2"]);
    assert_eq!(told["case"]["outcome"], "convicted");
    assert_eq!(on(folder, &["balance", "worker:2"])["active"].as_u64(), Some(700 * ESM));
    let cases = on(folder, &["slash", "list"]);
    assert_eq!(cases["cases"].as_array().unwrap().len(), 2);
    assert_eq!(adds_up(&[folder.to_str().unwrap()]), supply);
}

#[test]
fn a_case_can_expire_be_stopped_or_be_appealed() {
    let place = copy();
    let folder = place.path();
    act(folder, "worker:2", &["claim"]);
    let evidence = format!("0x{}", "ab".repeat(32));
    let open = || act(folder, "orchestrator", &["slash", "open", "worker:2", "20", "--evidence", &evidence]);
    open();
    let (_, message) = refused(folder, "trainer", &["slash", "cancel", "2"]);
    assert!(message.contains("only the guardian may do that"), "{message}");
    assert_eq!(act(folder, "guardian", &["slash", "cancel", "2"])["case"]["outcome"], "cancelled");
    open();
    on(folder, &["chain", "advance", "26s"]);
    assert_eq!(act(folder, "trainer", &["slash", "expire", "3"])["case"]["outcome"], "expired");
    open();
    on(folder, &["chain", "advance", "6s"]);
    let ballots = [0, 1].map(|member| {
        let file = folder.join(format!("{member}.json"));
        let words = ["slash", "sign", "4", "--guilty", "--as", &format!("validator:{member}")];
        fs::write(&file, on(folder, &words).to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    });
    act(folder, "trainer", &["slash", "rule", "4", "--ballot", &ballots[0], "--ballot", &ballots[1]]);
    let told = act(folder, "worker:2", &["slash", "appeal", "4", "--evidence", &evidence]);
    assert_eq!((&told["case"]["state"], &told["bond"]), (&"appealed".into(), &(2 * ESM).into()), "{told}");
    assert_eq!(on(folder, &["slash", "show", "4"])["appeal_bond"].as_u64(), Some(2 * ESM));
    let (code, message) = refused(folder, "trainer", &["slash", "expire", "9"]);
    assert!(code == 1 && message.contains("there is no case 9"), "{message}");
}

/// Goes on with the ledger of a run: one more step, and the epoch is closed.
fn one_more_epoch(folder: &Path) {
    let path = folder.join("ledger.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    let mut ledger = Ledger::replay(text.lines().map(str::as_bytes)).unwrap();
    let keys = parties(folder).orchestrator();
    let step = ledger.steps_trained() + 1;
    text += &(ledger.append(Entry::Trained { step }, &keys).unwrap() + "\n");
    let close = ledger.close().unwrap();
    text += &(ledger.append(close, &keys).unwrap() + "\n");
    fs::write(&path, text).unwrap();
}

#[test]
fn a_root_is_posted_once_waits_its_window_and_only_a_wrong_one_is_challenged() {
    let place = copy();
    let folder = place.path();
    let old = folder.join("old.jsonl");
    fs::copy(folder.join("ledger.jsonl"), &old).unwrap();
    act(folder, "trainer", &["claim"]);
    assert_eq!(act(folder, "orchestrator", &["epoch", "post"])["act"], "nothing");
    one_more_epoch(folder);
    let (_, message) = refused(folder, "trainer", &["epoch", "post"]);
    assert!(message.contains("only the poster may do that"), "{message}");
    let told = act(folder, "orchestrator", &["epoch", "post", "--uri", "https://example.org/log"]);
    assert_eq!(
        (&told["epoch"], told["steps"].as_array().unwrap().len()),
        (&2.into(), 2),
        "a budget and a root: {told}"
    );
    let told_total = told["lifetime_total"].clone();
    assert_eq!(act(folder, "orchestrator", &["epoch", "post"])["act"], "nothing");
    let shown = on(folder, &["epoch", "show"]);
    assert_eq!((&shown["live"]["epoch"], &shown["pending"]["epoch"]), (&1.into(), &2.into()));
    assert_eq!(shown["posted"][2]["uri"], "https://example.org/log");
    let (_, message) = refused(folder, "trainer", &["challenge", "2"]);
    assert!(message.contains("follows from the ledger: a challenge would cost the bond"), "{message}");
    let (_, message) = refused(folder, "trainer", &["challenge", "1"]);
    assert!(message.contains("the root of epoch 2 waits, not that of epoch 1"), "{message}");
    let told = act(folder, "orchestrator", &["challenge", "2", "--ledger", old.to_str().unwrap()]);
    assert_eq!((&told["bond"], &told["root_by_the_ledger"]), (&(10 * ESM).into(), &json!(chain::B256::ZERO)), "{told}");
    let case = on(folder, &["slash", "show", told["case"].to_string().as_str()]);
    assert_eq!((&case["about"], &case["epoch"]), (&"root".into(), &2.into()));
    act(folder, "guardian", &["epoch", "void", "2"]);
    assert_eq!(on(folder, &["epoch", "show"])["posted"][2]["voided"], true);
    assert_eq!(act(folder, "orchestrator", &["epoch", "post", "--epoch", "2"])["voided"], true);
    // What the dropped root would have paid goes under a new number, though nothing was trained since.
    let written = fs::read(folder.join("ledger.jsonl")).unwrap();
    let (_, message) = refused(folder, "trainer", &["epoch", "post"]);
    assert!(message.contains("only the poster may do that"), "{message}");
    let tried = on(folder, &["epoch", "post", "--as", "orchestrator", "--dry-run"]);
    assert_eq!((&tried["epoch"], &tried["lifetime_total"]), (&3.into(), &told_total), "{tried}");
    assert_eq!(fs::read(folder.join("ledger.jsonl")).unwrap(), written, "a dry run closes nothing");
    let carried = act(folder, "orchestrator", &["epoch", "post"]);
    assert_eq!((&carried["epoch"], &carried["root"]), (&3.into(), &tried["root"]), "{carried}");
    assert_eq!(act(folder, "orchestrator", &["epoch", "post"])["act"], "nothing");
    let (_, message) = refused(folder, "trainer", &["claim", "--ledger", folder.to_str().unwrap()]);
    assert!(message.contains("nothing is due"), "{message}");
    on(folder, &["chain", "advance", "10s"]);
    assert!(act(folder, "trainer", &["claim"])["paid"].as_u64().unwrap() > 0);
    let output =
        run(&mut essaim(&["ledger", "audit", folder.to_str().unwrap(), "--chain", folder.to_str().unwrap(), "-q"]));
    assert!(output.status.success(), "{output:?}");
}
