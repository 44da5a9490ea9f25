//! The Solidity sources and the committed artifacts say the same.
//!
//! Promise: `contracts` writes what the pinned compiler makes of `contracts/src` and of every seeded bug in
//! `contracts/mutants`; `contracts --check` writes nothing there and names each committed file that differs by a byte.
//! Takes: node and npm on the path, and the packages of `contracts/package-lock.json`, which it installs once into
//! `~/.cache/essaim/contracts`.
//! Never: runs an install script of a package.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Artifacts by file name.
type Artifacts = BTreeMap<String, Vec<u8>>;

/// Builds everything; with `check`, compares with what is committed instead of writing it.
pub(crate) fn run(check: bool) -> Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a folder")?;
    let contracts = crates.with_file_name("contracts");
    install(&contracts)?;
    let work = tempfile::tempdir().context("no folder for the build")?;
    let mut faults = settle(&contracts.join("artifacts"), build(&contracts, work.path())?, check)?;
    let mutants = contracts.join("mutants");
    if mutants.is_dir() {
        faults.extend(settle(&mutants.join("artifacts"), build_mutants(&contracts, &mutants, work.path())?, check)?);
    }
    for fault in &faults {
        println!("{fault}");
    }
    ensure!(
        faults.is_empty(),
        "{} artifact(s) are not what the sources say; run `cargo xtask contracts`",
        faults.len()
    );
    Ok(())
}

/// Installs the locked packages where they outlive the clone, and links them into `contracts/node_modules`.
fn install(contracts: &Path) -> Result<()> {
    let cache = cache_folder()?;
    let installed = cache.join("installed-package-lock.json");
    let lock = contracts.join("package-lock.json");
    if fs::read(&installed).ok() != Some(read(&lock)?) || !cache.join("node_modules/solc").is_dir() {
        println!("installing the packages of {} into {}", lock.display(), cache.display());
        fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(contracts.join(file), cache.join(file)).with_context(|| file.to_owned())?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&cache);
        succeed(&mut npm)?;
        fs::copy(&lock, &installed).with_context(|| installed.display().to_string())?;
    }
    link(&cache.join("node_modules"), &contracts.join("node_modules"))
}

fn cache_folder() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("essaim/contracts"))
}

/// Links `from` to the packages; packages that somebody installed there by hand are left alone.
fn link(to: &Path, from: &Path) -> Result<()> {
    if from.join("solc").is_dir() {
        return Ok(());
    }
    if from.is_symlink() {
        fs::remove_file(from).with_context(|| from.display().to_string())?;
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, from).with_context(|| from.display().to_string());
    #[cfg(not(unix))]
    bail!("run `npm ci --ignore-scripts` in contracts; {} is not linked to {} here", from.display(), to.display());
}

/// All contracts of `contracts/src`.
fn build(contracts: &Path, work: &Path) -> Result<Artifacts> {
    let out = work.join("artifacts");
    compile(contracts, &[OsStr::new("--out"), out.as_os_str()])?;
    folder(&out)
}

/// For each `NAME.patch`, the contract of the one source that it changes, as `NAME.json`.
fn build_mutants(contracts: &Path, mutants: &Path, work: &Path) -> Result<Artifacts> {
    let mut made = Artifacts::new();
    for (file, patch) in folder(mutants)? {
        let Some(name) = file.strip_suffix(".patch") else { continue };
        let changed = changed_source(&String::from_utf8_lossy(&patch)).with_context(|| file.clone())?;
        let copy = work.join(name);
        copy_folder(&contracts.join("src"), &copy.join("src"))?;
        succeed(Command::new("git").arg("apply").arg(mutants.join(&file)).current_dir(&copy))?;
        let (src, out) = (copy.join("src"), copy.join("out"));
        let options = ["--src".as_ref(), src.as_os_str(), "--out".as_ref(), out.as_os_str(), "--only".as_ref()];
        compile(contracts, &[&options[..], &[OsStr::new(&changed)]].concat())?;
        made.insert(format!("{name}.json"), read(&out.join(format!("{changed}.json")))?);
    }
    Ok(made)
}

/// Name of the contract that a patch changes: `+++ b/src/StakeVault.sol` gives `StakeVault`.
fn changed_source(patch: &str) -> Result<String> {
    let changed: BTreeSet<&str> = patch
        .lines()
        .filter_map(|line| line.strip_prefix("+++ b/src/")?.trim_end().strip_suffix(".sol"))
        .map(|path| path.rsplit('/').next().unwrap_or(path))
        .collect();
    let mut changed = changed.into_iter();
    match (changed.next(), changed.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        _ => bail!("a mutant changes exactly one file below src"),
    }
}

fn compile(contracts: &Path, options: &[&OsStr]) -> Result<()> {
    let output = Command::new("node").arg(contracts.join("build.cjs")).args(options).output().context(NO_NODE)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const NO_NODE: &str = "node 20 or newer and npm are needed; on Debian: apt-get install nodejs npm";

fn succeed(command: &mut Command) -> Result<()> {
    let line = format!("{command:?}");
    let status = command.status().with_context(|| format!("could not start {line}; {NO_NODE}"))?;
    ensure!(status.success(), "{line} failed with {status}");
    Ok(())
}

/// Writes `made` to `at`, or says in which files the two differ.
fn settle(at: &Path, made: Artifacts, check: bool) -> Result<Vec<String>> {
    let committed = if at.is_dir() { folder(at)? } else { Artifacts::new() };
    let names: BTreeSet<&String> = made.keys().chain(committed.keys()).collect();
    let differing: Vec<&String> = names.into_iter().filter(|name| made.get(*name) != committed.get(*name)).collect();
    println!("{}: {} files, {} differ", at.display(), made.len(), differing.len());
    if check {
        return Ok(differing.into_iter().map(|name| at.join(name).display().to_string()).collect());
    }
    fs::create_dir_all(at).with_context(|| at.display().to_string())?;
    for name in differing {
        let path = at.join(name);
        match made.get(name) {
            Some(bytes) => fs::write(&path, bytes),
            None => fs::remove_file(&path),
        }
        .with_context(|| path.display().to_string())?;
        println!("wrote {}", path.display());
    }
    Ok(Vec::new())
}

/// The files that lie directly in a folder.
fn folder(at: &Path) -> Result<Artifacts> {
    let mut files = Artifacts::new();
    for entry in fs::read_dir(at).with_context(|| at.display().to_string())? {
        let path = entry?.path();
        if path.is_file() {
            files.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(&path)?);
        }
    }
    Ok(files)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_changes_exactly_one_source() {
        let one = "--- a/src/StakeVault.sol\n+++ b/src/StakeVault.sol\n@@ -1 +1 @@\n";
        assert_eq!(changed_source(one).unwrap(), "StakeVault");
        assert!(changed_source("").is_err());
        assert!(changed_source(&format!("{one}+++ b/src/Treasury.sol\n")).is_err());
    }

    #[test]
    fn a_check_names_what_differs_is_missing_or_is_left_over_and_writes_nothing() {
        let at = tempfile::tempdir().unwrap();
        for (name, text) in [("Same.json", "1"), ("Old.json", "1"), ("Gone.json", "1")] {
            fs::write(at.path().join(name), text).unwrap();
        }
        let made = || {
            [("Same.json", "1"), ("Old.json", "2"), ("New.json", "1")]
                .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
                .into_iter()
                .collect::<Artifacts>()
        };
        let faults = settle(at.path(), made(), true).unwrap();
        let named: Vec<_> = ["Gone.json", "New.json", "Old.json"].map(|name| at.path().join(name)).to_vec();
        assert_eq!(faults.iter().map(PathBuf::from).collect::<Vec<_>>(), named);
        assert_eq!(fs::read(at.path().join("Old.json")).unwrap(), b"1");

        assert!(settle(at.path(), made(), false).unwrap().is_empty());
        assert_eq!(folder(at.path()).unwrap(), made());
    }
}
