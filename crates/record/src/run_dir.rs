//! The folder of one run, and where things are in it.
//!
//! Promise: a new run never writes into a folder that holds another; one process at a time owns a
//! run folder (a lock that the system drops when the process dies, however it dies).

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a run folder.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The folder holds a run already.
    #[error("{} holds a run already: use --resume, or another --out", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to resume.
    #[error("no run to resume in {}", path.display())]
    NoRun {
        /// The folder searched.
        path: PathBuf,
    },
    /// Another process is at work in it.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl RunDirError {
    /// Whether it is for want of permission to write there.
    pub fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }
}

/// Runs of one name that are told apart by a number; more is surely a mistake.
const SAME_NAME_MAX: u32 = 10_000;

/// A run folder, owned by this process until dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Makes `out_dir/name`, or `out_dir/name-2`, `-3`, … if that is taken.
    pub fn create(out_dir: &Path, name: &str) -> Result<Self, RunDirError> {
        let numbered = (2..=SAME_NAME_MAX).map(|number| format!("{name}-{number}"));
        for name in std::iter::once(name.to_owned()).chain(numbered) {
            match Self::create_at(&out_dir.join(name)) {
                Err(RunDirError::Taken { .. } | RunDirError::InUse { .. }) => continue,
                other => return other,
            }
        }
        Err(RunDirError::Taken { path: out_dir.join(name) })
    }

    /// Makes exactly this folder; it may exist if it holds no run.
    pub fn create_at(path: &Path) -> Result<Self, RunDirError> {
        fs::create_dir_all(path).map_err(|source| io_error(path, source))?;
        let dir = Self::lock(path)?;
        if dir.events().exists() {
            return Err(RunDirError::Taken { path: path.to_owned() });
        }
        Ok(dir)
    }

    /// Takes over the folder of a run that is to be resumed.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        if !path.join(EVENTS).is_file() {
            return Err(RunDirError::NoRun { path: path.to_owned() });
        }
        Self::lock(path)
    }

    /// The run under `out_dir` that was written to last.
    pub fn latest(out_dir: &Path) -> Result<PathBuf, RunDirError> {
        let none = || RunDirError::NoRun { path: out_dir.to_owned() };
        let written = |path: &Path| {
            // While a run goes on, its newest events are in the write-ahead file.
            [path.join(EVENTS), path.join(format!("{EVENTS}-wal"))]
                .iter()
                .filter_map(|file| fs::metadata(file).ok()?.modified().ok())
                .max()
        };
        fs::read_dir(out_dir)
            .map_err(|_| none())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| Some((written(&path)?, path)))
            .max()
            .map(|(_, path)| path)
            .ok_or_else(none)
    }

    fn lock(path: &Path) -> Result<Self, RunDirError> {
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(|source| io_error(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(RunDirError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io_error(&lock_path, source)),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The event log.
    pub fn events(&self) -> PathBuf {
        events_path(&self.path)
    }

    /// The resolved run file.
    pub fn config(&self) -> PathBuf {
        config_path(&self.path)
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// The Hugging Face folder of the final weights.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }
}

const EVENTS: &str = "events.sqlite";

/// The event log of a run folder.
pub fn events_path(run: &Path) -> PathBuf {
    run.join(EVENTS)
}

/// The resolved run file of a run folder.
pub fn config_path(run: &Path) -> PathBuf {
    run.join("config.toml")
}

/// One line of numbers per step.
pub fn metrics_path(run: &Path) -> PathBuf {
    run.join("metrics.jsonl")
}

/// The folder to point TensorBoard at.
pub fn tensorboard_path(run: &Path) -> PathBuf {
    run.join("tensorboard")
}

/// The run in numbers.
pub fn summary_path(run: &Path) -> PathBuf {
    run.join("summary.json")
}

/// The run in pictures.
pub fn report_path(run: &Path) -> PathBuf {
    run.join("report.html")
}

/// Writes a file so that a reader finds the old content or the new, never a part; see [`chain::write_whole`].
///
/// Errors: whatever the system says, with the file named.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    chain::write_whole(path, bytes).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> RunDirError {
    RunDirError::Io { path: path.to_owned(), source }
}

/// Removes what [`RunDir::create`] and the settings have put into a folder in which no run began; leaves what else is there.
pub fn discard_unused(folder: &Path) {
    if events_path(folder).exists() {
        return;
    }
    for file in [config_path(folder), folder.join("lock")] {
        // What cannot be removed stays; the error that is told is why the run did not begin.
        let _ = fs::remove_file(file);
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EventLog;

    #[test]
    fn a_second_run_of_the_same_name_gets_a_number() {
        let out = tempfile::tempdir().unwrap();
        let first = RunDir::create(out.path(), "a").unwrap();
        drop(EventLog::create(&first.events()).unwrap());
        let second = RunDir::create(out.path(), "a").unwrap();
        assert_eq!(second.path(), out.path().join("a-2"));
        drop(first);
        assert!(matches!(RunDir::create_at(&out.path().join("a")), Err(RunDirError::Taken { .. })));
    }

    #[test]
    fn one_owner_at_a_time_and_none_without_a_run() {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("a");
        assert!(matches!(RunDir::open(&path), Err(RunDirError::NoRun { .. })));
        let owner = RunDir::create_at(&path).unwrap();
        drop(EventLog::create(&owner.events()).unwrap());
        assert!(matches!(RunDir::open(&path), Err(RunDirError::InUse { .. })));
        drop(owner);
        assert!(RunDir::open(&path).is_ok());
        assert_eq!(RunDir::latest(out.path()).unwrap(), path);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("summary.json");
        write_whole(&path, b"old").unwrap();
        // A folder where the part file should go makes the write fail.
        fs::create_dir(out.path().join("summary.json.part")).unwrap();
        assert!(write_whole(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }
}
