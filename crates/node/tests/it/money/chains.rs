//! `essaim chain`: wallets, and what is refused before anything is opened.

use std::fs;

use super::{act, bad, code, copy, essaim, finished, good_with, holds, on, refused};
use crate::support::{run, stderr};

const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const ACCOUNT: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
const PASSWORD: &str = "correct horse battery";

#[test]
fn a_new_wallet_opens_with_its_password_and_is_never_written_over() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("me.json");
    let path = file.to_str().unwrap();
    let (status, message) = bad(&["chain", "new-wallet", path]);
    assert!(status == 2 && message.contains("no terminal to ask for the password"), "{message}");
    let short = run(essaim(&["chain", "new-wallet", path]).env("ESSAIM_PASSWORD", "short"));
    assert!(code(&short) == 1 && stderr(&short).contains("at least 8 characters"), "{}", stderr(&short));
    let password = [("ESSAIM_PASSWORD", PASSWORD)];
    let made = good_with(&["chain", "new-wallet", path], &password);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
    let opened = good_with(&["chain", "wallet", "--wallet", path], &password);
    assert_eq!(made["account"], opened["account"]);
    let again = run(essaim(&["chain", "new-wallet", path]).envs(password));
    assert!(code(&again) == 1 && stderr(&again).contains("never written over another"), "{}", stderr(&again));
    let wrong = run(essaim(&["chain", "wallet", "--wallet", path]).env("ESSAIM_PASSWORD", "wrong horse"));
    assert!(code(&wrong) == 1 && stderr(&wrong).contains("the password does not fit"), "{}", stderr(&wrong));
}

#[test]
fn a_wallet_from_outside_acts_on_a_runs_chain_and_its_secret_is_printed_nowhere() {
    let place = copy();
    let folder = place.path().to_str().unwrap();
    act(place.path(), "trainer", &["claim"]);
    act(place.path(), "trainer", &["chain", "transfer", ACCOUNT, "5"]);
    let key = [("ESSAIM_KEY", SECRET)];
    let told = good_with(&["stake", "2", "--chain", folder, "--yes"], &key);
    assert_eq!((&told["from"], &told["active"]), (&ACCOUNT.into(), &2_000_000.into()), "{told}");
    assert_eq!(holds(place.path(), ACCOUNT), 3_000_000);
    for words in [
        &["chain", "wallet", "--chain", folder][..],
        &["balance", "--chain", folder],
        &["stake", "99", "--chain", folder, "--yes"],
        &["stake", "1", "--chain", folder, "--as", "worker:0", "--wallet", "x"],
        &["unstake", "2", "--chain", folder, "--dry-run", "--json"],
    ] {
        let output = run(essaim(words).envs(key));
        let all = format!("{output:?}").to_lowercase();
        assert!(!all.contains(&SECRET[..16]), "{words:?}: {all}");
    }
    let garbled = run(essaim(&["balance", "--chain", folder]).env("ESSAIM_KEY", &SECRET[1..]));
    assert!(code(&garbled) == 1 && !format!("{garbled:?}").contains(&SECRET[1..17]), "{garbled:?}");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_missing() {
    let folder = finished().to_str().unwrap();
    for (words, hint) in [
        (&["balance", "--chain", "nowhere", "0x00"][..], "neither the folder of a run nor an address"),
        (&["balance", "--chain", folder], "whose?"),
        (&["balance", "worker:99", "--chain", folder], "the run has no party \"worker:99\""),
        (&["balance", "0x12", "--chain", folder], "40 hexadecimal digits"),
        (&["balance", "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786B", "--chain", folder], "checksum"),
        (&["stake", "1", "--chain", folder, "--yes"], "whose wallet?"),
        (&["claim", "--chain", folder, "--as", "nobody", "--yes"], "the run has no party \"nobody\""),
        (&["claim", "--chain", folder, "--as", "trainer", "--yes", "--lifetime", "1"], "--proof"),
        (&["slash", "sign", "1", "--chain", folder, "--as", "validator:0"], "--guilty"),
        (&["chain", "deploy", "--chain", folder], "an address with http:// or https:// is needed"),
        (&["chain", "deploy", "--chain", "http://127.0.0.1:1"], "who deploys?"),
        (&["chain", "advance", "soon", "--chain", folder], "90s, 15m, 2h or 3d"),
    ] {
        let (status, message) = bad(words);
        assert!(status == 2 && message.contains(hint), "{words:?} ended with {status}: {message}");
    }
}

#[test]
fn a_chain_is_shown_with_its_windows_and_an_empty_folder_has_none() {
    let shown = on(finished(), &["chain", "show"]);
    assert_eq!((&shown["chain_id"], &shown["windows_s"]["leaving"]), (&31_337.into(), &60.into()), "{shown}");
    assert_eq!(shown["committee"]["threshold"], 2);
    let empty = tempfile::tempdir().unwrap();
    let (status, message) = bad(&["chain", "show", "--chain", empty.path().to_str().unwrap()]);
    assert!(status == 2 && message.contains("is not the folder of a run"), "{message}");
    // The addresses of another deployment are told from these.
    let place = copy();
    let addresses = place.path().join("addresses.json");
    let text = fs::read_to_string(&addresses).unwrap().replace("31337", "1");
    fs::write(&addresses, text).unwrap();
    let (_, message) = refused(place.path(), "trainer", &["claim"]);
    assert!(message.contains("not for chain 1"), "{message}");
}

/// The lines of `chain events --json`.
fn events(folder: &std::path::Path, words: &[&str]) -> Vec<serde_json::Value> {
    let chain = ["chain", "events", "--json", "--chain", folder.to_str().unwrap()];
    let output = run(&mut essaim(&[&chain[..], words].concat()));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_told_once_where_a_cursor_remembers_them() {
    let place = copy();
    let folder = place.path();
    let cursor = folder.join("seen.json");
    let remembered = ["--cursor", cursor.to_str().unwrap()];
    let all = events(folder, &remembered);
    let named = |told: &[serde_json::Value], name: &str| told.iter().filter(|event| event["event"] == name).count();
    assert_eq!((named(&all, "RootPosted"), named(&all, "Staked"), named(&all, "SlashExecuted")), (2, 6, 1));
    let slash = all.iter().find(|event| event["event"] == "SlashExecuted").unwrap();
    assert_eq!((&slash["fields"]["taken"], &slash["undone"]), (&375_000_000.into(), &false.into()), "{slash}");
    assert!(events(folder, &remembered).is_empty(), "all were told");
    assert_eq!(events(folder, &[]), all, "without a cursor nothing is remembered");
    act(folder, "worker:0", &["claim"]);
    let news = events(folder, &remembered);
    assert_eq!((news.len(), named(&news, "Claimed"), named(&news, "Transfer")), (2, 1, 1), "{news:?}");
    let from = news[0]["block"].to_string();
    assert_eq!(events(folder, &["--from", &from]), news);
    let output = run(&mut essaim(&["chain", "events", "--chain", folder.to_str().unwrap(), "--from", &from]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("block {from}  EpochRewards: claimed; account worker:0")), "{text}");
}
