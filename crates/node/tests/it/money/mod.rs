//! The commands about money, on the chain of a finished run and on a real anvil.

mod anvil;
mod chains;
mod ledger;
mod stakes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use node::config::{self, Sources};
use node::run::parties::Parties;
use serde_json::Value;
use tempfile::TempDir;

use crate::resume::{SMALL, essaim as start};
use crate::support::{run, stderr};

/// One ESM in the smallest unit.
const ESM: u64 = 1_000_000;

/// What all runs here have in common: worker 1 lies about its reward.
const LIED: [&str; 7] = [
    "run.mode=sequential",
    "economy.epoch_steps=10",
    "workers.count=3",
    "workers.cheat=[{worker=1,cheat=\"fake_reward\"}]",
    "verify.validators=3",
    "verify.check_fraction=1.0",
    "stop.steps=20",
];

fn settings(more: &[&'static str]) -> Vec<&'static str> {
    SMALL.iter().copied().chain(LIED).chain(more.iter().copied()).collect()
}

/// A run with a liar and three epochs, made once and only looked at.
pub(crate) fn finished() -> &'static Path {
    static FINISHED: OnceLock<PathBuf> = OnceLock::new();
    FINISHED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("money");
        let _ = fs::remove_dir_all(&folder); // not there the first time
        let status = start(&["--out", folder.to_str().unwrap()], &settings(&[])).status().unwrap();
        assert!(status.success());
        folder
    })
}

/// A copy of what is about money in that run, to act on.
pub(crate) fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["addresses.json", "chain.jsonl", "ledger.jsonl", "claims.json", "config.toml"] {
        fs::copy(finished().join(file), copy.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    copy
}

fn parties(folder: &Path) -> Parties {
    let sources = Sources { files: vec![folder.join("config.toml")], ..Sources::default() };
    Parties::of(&config::resolve(&sources).unwrap())
}

/// The program, with none of the variables that name a wallet.
pub(crate) fn essaim(words: &[&str]) -> Command {
    let mut command = crate::support::essaim(words);
    for name in ["ESSAIM_KEY", "ESSAIM_KEYSTORE", "ESSAIM_PASSWORD", "ESSAIM_PASSWORD_FILE"] {
        command.env_remove(name);
    }
    command
}

/// What a command says that must succeed, as `--json` has it.
fn good(words: &[&str]) -> Value {
    good_with(words, &[])
}

fn good_with(words: &[&str], variables: &[(&str, &str)]) -> Value {
    let output = run(essaim(&[words, &["--json"]].concat()).envs(variables.iter().copied()));
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words:?}: {output:?}"))
}

/// The same on the chain of a run's folder.
pub(crate) fn on(folder: &Path, words: &[&str]) -> Value {
    good(&[words, &["--chain", folder.to_str().unwrap()]].concat())
}

/// Sends something on the chain of a run's folder.
fn act(folder: &Path, party: &str, words: &[&str]) -> Value {
    on(folder, &[words, &["--as", party, "--yes"]].concat())
}

/// Exit code and message of a command that must fail.
fn bad(words: &[&str]) -> (i32, String) {
    let output = run(&mut essaim(words));
    (code(&output), stderr(&output))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Exit code and message of an act that must fail on the chain of a run's folder.
fn refused(folder: &Path, party: &str, words: &[&str]) -> (i32, String) {
    let chain = ["--chain", folder.to_str().unwrap(), "--as", party, "--yes"];
    let (code, message) = bad(&[words, &chain].concat());
    assert_ne!(code, 0, "{words:?} was not refused");
    (code, message)
}

/// What an account holds.
pub(crate) fn holds(folder: &Path, account: &str) -> u64 {
    on(folder, &["balance", account])["holds"].as_u64().unwrap()
}

/// What all hold is all there is. Gives that.
fn adds_up(chain: &[&str]) -> u64 {
    let told = good(&[&["balance", "--all", "--chain"], chain].concat());
    let holders = told["holders"].as_array().unwrap();
    let sum: u64 = holders.iter().map(|holder| holder["holds"].as_u64().unwrap()).sum();
    assert_eq!((told["is_good"].as_bool(), told["supply"].as_u64()), (Some(true), Some(sum)), "{told}");
    sum
}
