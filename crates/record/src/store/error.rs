//! What can go wrong with the event log.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no log where one was expected.
    #[error("no run in {}: {} is missing", folder(path).display(), path.display())]
    NoLog {
        /// Where the log should be.
        path: PathBuf,
    },
    /// There is a log where a new one was to be made.
    #[error("{} exists already: resume that run or choose another folder", path.display())]
    Exists {
        /// The log found.
        path: PathBuf,
    },
    /// The file is not an event log of this program.
    #[error("{} is not an event log: {reason}", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The log was written by a version of the program with another layout.
    #[error("{} has event log version {given}, this program reads version {supported}", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        given: i64,
        /// Version of this program.
        supported: i64,
    },
    /// No room is left.
    #[error("the disk is full: {} cannot grow; all events before this one are safe", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// A payload is larger than the limit.
    #[error("event payload too large for {}: limit {limit} bytes, given {given}", path.display())]
    PayloadTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: usize,
        /// Bytes given.
        given: usize,
    },
    /// A packed row or payload is larger than any that is written.
    #[error("{}: what is packed under event {seq} is larger than the limit of {limit} bytes", path.display())]
    UnpacksTooLarge {
        /// The file.
        path: PathBuf,
        /// Number of the event.
        seq: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// A stored event does not read back.
    #[error("{}: event {seq} does not read: {reason}", path.display())]
    BadEvent {
        /// The file.
        path: PathBuf,
        /// Number of the event.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// A log that can be read only from a copy, which could not be made.
    #[error("{} has a write-ahead file in a folder that cannot be written, and could not be copied: {source}", path.display())]
    NoCopy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else that SQLite says.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

pub(super) fn fault(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::NotALog { path, reason: source.to_string() }
        }
        _ => StoreError::Sqlite { path, source },
    }
}
