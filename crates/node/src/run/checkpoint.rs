//! Checkpoints: `checkpoints/step-N/` with the trainer's state, the rules' state, the
//! older weights that leases under way name, and a manifest.
//!
//! Promise: a folder named `step-N` is whole. It is written as `step-N.part` and renamed when the
//! last byte is flushed; what a killed process left behind under another name is never read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

const RULES: &str = "rounds.bin";
const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "step-";
const OLDER: &str = "weights-";

/// What a checkpoint says of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Steps behind it.
    step: u64,
    /// blake3 of the rules' state, hexadecimal.
    rules_blake3: String,
}

/// A whole checkpoint on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps behind it.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
}

/// A checkpoint that is being written.
pub struct Draft {
    step: u64,
    part: PathBuf,
    whole: PathBuf,
    rules: Vec<u8>,
}

impl Draft {
    /// Makes room for step `step` in `folder`; `rules` is the state that belongs to it.
    pub fn begin(folder: &Path, step: u64, rules: Vec<u8>) -> Result<Self> {
        let part = folder.join(format!("{PREFIX}{step}.part"));
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
        }
        fs::create_dir_all(&part).with_context(|| part.display().to_string())?;
        Ok(Self { step, part, whole: folder.join(format!("{PREFIX}{step}")), rules })
    }

    /// Where the trainer writes its state; the folder does not exist yet.
    pub fn trainer(&self) -> PathBuf {
        trainer_path(&self.part)
    }

    /// Where weights that are older than the step are written; the folder does not exist yet.
    pub fn older(&self, version: u64) -> PathBuf {
        self.part.join(format!("{OLDER}{version}"))
    }

    /// Called once the trainer's state is on disk: writes the rest and gives the checkpoint its name.
    pub fn finish(self) -> Result<Checkpoint> {
        let rules_blake3 = blake3::hash(&self.rules).to_hex().to_string();
        let manifest = serde_json::to_vec_pretty(&Manifest { step: self.step, rules_blake3 })?;
        for (name, bytes) in [(RULES, &self.rules), (MANIFEST, &manifest)] {
            let path = self.part.join(name);
            write_flushed(&path, bytes).with_context(|| path.display().to_string())?;
        }
        if self.whole.exists() {
            // The same step saved again, after a resume: the state is the same.
            fs::remove_dir_all(&self.whole).with_context(|| self.whole.display().to_string())?;
        }
        fs::rename(&self.part, &self.whole).with_context(|| self.whole.display().to_string())?;
        Ok(Checkpoint { step: self.step, path: self.whole })
    }
}

fn write_flushed(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Checkpoint {
    /// All whole checkpoints, oldest first.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        if !folder.exists() {
            return Ok(Vec::new());
        }
        Ok(numbered(folder, PREFIX)?.into_iter().map(|(step, path)| Self { step, path }).collect())
    }

    /// The trainer's folder.
    pub fn trainer(&self) -> PathBuf {
        trainer_path(&self.path)
    }

    /// Weights that are older than the step, by version.
    pub fn older(&self) -> Result<Vec<(u64, PathBuf)>> {
        numbered(&self.path, OLDER)
    }

    /// The rules as they were. Errors name the file that is missing or was changed.
    pub fn rules(&self) -> Result<rounds::Rounds> {
        let path = self.path.join(RULES);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let manifest_path = self.path.join(MANIFEST);
        let text = fs::read(&manifest_path).with_context(|| manifest_path.display().to_string())?;
        let manifest: Manifest = serde_json::from_slice(&text).with_context(|| manifest_path.display().to_string())?;
        let given = blake3::hash(&bytes).to_hex().to_string();
        ensure!(
            manifest.rules_blake3 == given,
            "{}: blake3 is {given}, the manifest says {}",
            path.display(),
            manifest.rules_blake3
        );
        rounds::Rounds::from_bytes(&bytes).with_context(|| path.display().to_string())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        folder_bytes(&self.path)
    }
}

/// Removes all but the newest `keep` checkpoints, and what unfinished ones left behind.
pub fn prune(folder: &Path, keep: usize) -> Result<()> {
    let all = Checkpoint::all(folder)?;
    let surplus = all.len().saturating_sub(keep.max(1));
    for old in &all[..surplus] {
        fs::remove_dir_all(&old.path).with_context(|| old.path.display().to_string())?;
    }
    Ok(())
}

/// Entries of a folder that are called `prefix` and a number, in the order of the numbers.
fn numbered(folder: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix(prefix).and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn trainer_path(checkpoint: &Path) -> PathBuf {
    checkpoint.join("trainer")
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |data| data.len()),
        })
        .sum()
}
