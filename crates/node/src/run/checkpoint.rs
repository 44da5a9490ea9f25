//! Checkpoints: `checkpoints/step-N/` with the trainer's state, the rules' state, the
//! older weights that leases under way name, and a manifest.
//!
//! Promise: a folder named `step-N` is whole. It is written as `step-N.part` and renamed when the
//! last byte is flushed, and renamed back before it is removed; what a killed process left behind under another name is
//! never read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model::ModelSnapshot;
use serde::{Deserialize, Serialize};

use super::older;

const RULES: &str = "rounds.bin";
const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "step-";
const OLDER: &str = "weights-";
const PART: &str = ".part";
const DELTA: &str = ".delta";
/// What the trainer says of its own files, with their hashes.
const TRAINER: &str = "trainer.json";
/// Version of the folder's layout; 1 had older weights as folders of their own, 2 no hash of what the trainer says.
const FORMAT: u32 = 3;

/// What a checkpoint says of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// See [`FORMAT`].
    format: u32,
    /// Steps behind it.
    step: u64,
    /// blake3 of the rules' state, hexadecimal.
    rules_blake3: String,
    /// The same of the trainer's counters and the hashes of its tensors.
    trainer_blake3: String,
}

/// What all layouts but the first say.
#[derive(Deserialize)]
struct Layout {
    #[serde(default = "first_format")]
    format: u32,
}

fn first_format() -> u32 {
    1
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
        let part = folder.join(format!("{PREFIX}{step}{PART}"));
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

    /// Where weights that are older than the step are written; the file does not exist yet.
    pub fn older(&self, version: u64) -> PathBuf {
        self.part.join(format!("{OLDER}{version}{DELTA}"))
    }

    /// Called once the trainer's state is on disk: writes the rest and gives the checkpoint its name.
    pub fn finish(self) -> Result<Checkpoint> {
        let manifest = Manifest {
            format: FORMAT,
            step: self.step,
            rules_blake3: hash_of(&self.rules),
            trainer_blake3: hash_of(&read(&self.trainer().join(TRAINER))?),
        };
        let manifest = serde_json::to_vec_pretty(&manifest)?;
        for (name, bytes) in [(RULES, &self.rules), (MANIFEST, &manifest)] {
            let path = self.part.join(name);
            write_flushed(&path, bytes).with_context(|| path.display().to_string())?;
        }
        flush_names(&self.part)?;
        let whole = Checkpoint { step: self.step, path: self.whole };
        if whole.path.exists() {
            // The same step saved again, after a resume. The run went on from what is there, for one that it did not go
            // on from is discarded; so it is as good, and it may be the only one: there is no moment without it.
            fs::remove_dir_all(&self.part).with_context(|| self.part.display().to_string())?;
            return Ok(whole);
        }
        fs::rename(&self.part, &whole.path).with_context(|| whole.path.display().to_string())?;
        flush_names(whole.path.parent().expect("a checkpoint lies in a folder"))?;
        Ok(whole)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The file's bytes, if they have this hash.
fn same_hash(path: &Path, expected: &str) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    let given = hash_of(&bytes);
    ensure!(given == expected, "{}: blake3 is {given}, the manifest says {expected}", path.display());
    Ok(bytes)
}

/// Brings the names in a folder to the disk.
fn flush_names(folder: &Path) -> Result<()> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| folder.display().to_string())
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
        Ok(numbered(folder, PREFIX, "")?.into_iter().map(|(step, path)| Self { step, path }).collect())
    }

    /// The trainer's folder.
    pub fn trainer(&self) -> PathBuf {
        trainer_path(&self.path)
    }

    /// Weights that are older than the step, by version.
    pub fn older(&self) -> Result<Vec<(u64, PathBuf)>> {
        numbered(&self.path, OLDER, DELTA)
    }

    /// Calls `visit` with the older weights down to version `oldest`, the newest first; `weights` are the trainer's.
    ///
    /// Errors name the file that does not read.
    pub fn read_older(
        &self,
        weights: &ModelSnapshot,
        oldest: u64,
        visit: impl FnMut(u64, &ModelSnapshot),
    ) -> Result<()> {
        let mut files = self.older()?;
        files.retain(|(version, _)| *version >= oldest);
        older::read(&files, (&self.trainer(), self.step, weights), visit)
    }

    /// The oldest version whose weights it has.
    pub fn oldest_version(&self) -> Result<u64> {
        Ok(self.older()?.first().map_or(self.step, |(version, _)| (*version).min(self.step)))
    }

    /// The rules as they were. Errors name the file that is missing or was changed, the trainer's files among them.
    pub fn rules(&self) -> Result<rounds::Rounds> {
        let path = self.path.join(MANIFEST);
        let text = read(&path)?;
        let Layout { format: given } = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        ensure!(given == FORMAT, "{}: checkpoint format {given}, this program reads {FORMAT}", path.display());
        let manifest: Manifest = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        let (given, expected) = (manifest.step, self.step);
        ensure!(given == expected, "{}: it is of step {given}, its folder of step {expected}", path.display());
        same_hash(&self.trainer().join(TRAINER), &manifest.trainer_blake3)?;
        let path = self.path.join(RULES);
        let rules = rounds::Rounds::from_bytes(&same_hash(&path, &manifest.rules_blake3)?);
        let rules = rules.with_context(|| path.display().to_string())?;
        let given = rules.steps_trained();
        ensure!(given == expected, "{}: {given} steps are behind it, not {expected}", path.display());
        Ok(rules)
    }

    /// Gives up its name: it is not read any more, and removed with what unfinished ones left behind.
    pub fn discard(&self) -> Result<()> {
        let mut part = self.path.clone().into_os_string();
        part.push(PART);
        let part = PathBuf::from(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| part.display().to_string())?;
        }
        fs::rename(&self.path, &part).with_context(|| self.path.display().to_string())?;
        flush_names(self.path.parent().expect("a checkpoint lies in a folder"))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        folder_bytes(&self.path)
    }
}

/// Removes all but the newest `keep` checkpoints, and what unfinished ones left behind; none may be under way.
pub fn prune(folder: &Path, keep: usize) -> Result<()> {
    let all = Checkpoint::all(folder)?;
    let surplus = all.len().saturating_sub(keep.max(1));
    all[..surplus].iter().try_for_each(Checkpoint::discard)?;
    unfinished(folder)?.iter().try_for_each(|part| fs::remove_dir_all(part).with_context(|| part.display().to_string()))
}

/// Checkpoints that were not finished, or not wholly removed.
fn unfinished(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.with_context(|| folder.display().to_string())?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(PREFIX) && name.ends_with(PART)
    });
    Ok(paths)
}

/// Entries of a folder that are called `prefix`, a number and `suffix`, in the order of the numbers.
fn numbered(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(prefix).and_then(|name| name.strip_suffix(suffix));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
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
