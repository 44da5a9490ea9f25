//! The event log: one SQLite file per run, appended to by one process and read by anybody.
//!
//! Promise: an event that [`EventLog::append`] returned for survives the death of this process at
//! any later moment (SIGKILL included); a half-written event is never seen; sequence numbers have
//! no gaps. A full disk is an error that names the file, and the log stays readable.
//!
//! Why `rusqlite` and not `sqlx`: the log has one synchronous writer inside one process; an async
//! pool would add an executor and a second copy of every type for nothing. Any tool opens the file.
//!
//! Size: old rows are packed (`packed`), records are packed one by one (`payloads`) and dropped when the caller says
//! so; freed pages go back to the system at once.
//!
//! Durability: write-ahead log with `synchronous=NORMAL`. Every commit reaches the operating
//! system before `append` returns, so a killed process loses nothing. A power cut may lose the
//! last commits (never the file's soundness); a run then resumes from the checkpoint before them.

mod error;
mod packed;
mod payloads;

use crate::events::{Event, Recorded};
use error::fault;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub use error::StoreError;
pub use payloads::{PAYLOAD_BYTES_MAX, Payload};

/// Version of the table layout and of the events' meaning; raised when an old log no longer reads.
pub const SCHEMA_VERSION: i64 = 5;
/// Marks the file as ours (`PRAGMA application_id`): the letters `ESSA`.
const APPLICATION_ID: i64 = 0x4553_5341;

/// A run's log, open for writing or for reading only.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    connection: Connection,
    next_seq: u64,
    /// Number of the oldest event that is not packed; that of the next if all are.
    first_loose: u64,
    /// The folder of the copy that is read, removed with this.
    _copy: Option<TempDir>,
}

impl EventLog {
    /// Makes a new, empty log. Errors: `Exists`, `DiskFull`, `Sqlite`.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let connection = Connection::open(path).map_err(|source| fault(path, source))?;
        let log = Self { path: path.to_owned(), connection, next_seq: 1, first_loose: 1, _copy: None };
        // Counts only while the file is empty: pages that are freed can be given back.
        let vacuum = log.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL");
        vacuum.map_err(|source| fault(path, source))?;
        log.settings()?;
        let (packed, payloads) = (packed::LAYOUT, payloads::LAYOUT);
        let layout = format!(
            "BEGIN;
             CREATE TABLE events (
                 seq INTEGER PRIMARY KEY, -- from 1, without gaps; the numbers before the first are in `packed`
                 at_ms INTEGER NOT NULL,  -- UTC milliseconds since 1970
                 event TEXT NOT NULL      -- JSON, its kind in the field `event`
             ) STRICT;
             {packed}
             {payloads}
             PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {SCHEMA_VERSION};
             COMMIT;"
        );
        let made = log.connection.execute_batch(&layout);
        made.map_err(|source| fault(path, source))?;
        Ok(log)
    }

    /// Opens a log to go on writing. Errors: `NoLog`, `NotALog`, `OtherVersion`, `Sqlite`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let log = Self::open_with(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        log.settings()?;
        Ok(log)
    }

    /// Opens a log for reading, beside a writer or after it, also where nothing can be written. Errors as
    /// [`EventLog::open`].
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        // Reading a write-ahead log needs its shared-memory file, which a reader makes if it is not there;
        // `query_only` keeps this connection from changing anything.
        let log = match Self::open_with(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            Err(StoreError::Sqlite { source, .. }) if cannot_write(&source) => Self::open_unwritable(path)?,
            opened => opened?,
        };
        let set = log.connection.pragma_update(None, "query_only", true);
        set.map_err(|source| fault(path, source))?;
        Ok(log)
    }

    /// Opens a log in a folder where no shared-memory file can be made.
    ///
    /// With events in its write-ahead file (its run was killed, or the folder was copied) it is read from a copy, for
    /// only a writer may put the two together. Else the file is all there is, and nobody changes it.
    fn open_unwritable(path: &Path) -> Result<Self, StoreError> {
        let ahead = write_ahead(path);
        if !fs::metadata(&ahead).is_ok_and(|file| file.len() > 0) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            return Self::open_with(path, Path::new(&immutable(path)), flags);
        }
        let failed = |source| StoreError::NoCopy { path: path.to_owned(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        let copy = folder.path().join("events.sqlite");
        fs::copy(path, &copy).map_err(failed)?;
        fs::copy(&ahead, write_ahead(&copy)).map_err(failed)?;
        let log = Self::open_with(path, &copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Ok(Self { _copy: Some(folder), ..log })
    }

    /// Opens the log `path`, which is to be found under the name `name`.
    fn open_with(path: &Path, name: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NoLog { path: path.to_owned() });
        }
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(name, flags).map_err(|source| fault(path, source))?;
        let number = |pragma: &str| -> Result<i64, StoreError> {
            connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(|source| fault(path, source))
        };
        let application = number("application_id")?;
        if application == 0 && number("schema_version")? == 0 {
            let ahead = write_ahead(path);
            let reason = format!("it is empty; the events may all be in {}, which was not copied", ahead.display());
            return Err(StoreError::NotALog { path: path.to_owned(), reason });
        }
        if application != APPLICATION_ID {
            return Err(StoreError::NotALog {
                path: path.to_owned(),
                reason: format!("application id {application:#x}, expected {APPLICATION_ID:#x}"),
            });
        }
        let given = number("user_version")?;
        if given != SCHEMA_VERSION {
            return Err(StoreError::OtherVersion { path: path.to_owned(), given, supported: SCHEMA_VERSION });
        }
        let next_seq = next_seq(&connection).map_err(|source| fault(path, source))?;
        let first_loose = packed::first_loose(&connection).map_err(|source| fault(path, source))?;
        let first_loose = first_loose.unwrap_or(next_seq);
        Ok(Self { path: path.to_owned(), connection, next_seq, first_loose, _copy: None })
    }

    fn settings(&self) -> Result<(), StoreError> {
        // Wait for a reader's checkpoint for a bounded time instead of failing at once.
        // What a large transaction leaves of the write-ahead file is given back.
        let text = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;
                    PRAGMA journal_size_limit = 4194304;";
        self.connection.execute_batch(text).map_err(|source| fault(&self.path, source))
    }

    /// Number of the last event; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Appends one event, with a payload where it has one, and returns it with its number.
    ///
    /// - `at_ms`: UTC milliseconds since 1970, from the caller
    /// - errors: `PayloadTooLarge`, `DiskFull`, `Sqlite`; then nothing was appended
    pub fn append(&mut self, at_ms: u64, event: Event, payload: Option<Payload<'_>>) -> Result<Recorded, StoreError> {
        if let Some(given) = payload.map(|payload| payload.bytes.len()).filter(|given| *given > PAYLOAD_BYTES_MAX) {
            return Err(StoreError::PayloadTooLarge { path: self.path.clone(), limit: PAYLOAD_BYTES_MAX, given });
        }
        self.pack_if_due()?;
        let seq = self.next_seq;
        let json = serde_json::to_string(&event).map_err(|error| self.bad_event(seq, error))?;
        self.insert(seq, at_ms, &json, payload).map_err(|source| fault(&self.path, source))?;
        self.next_seq += 1;
        Ok(Recorded { seq, at_ms, event })
    }

    fn insert(&self, seq: u64, at_ms: u64, json: &str, payload: Option<Payload<'_>>) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction
            .prepare_cached("INSERT INTO events (seq, at_ms, event) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, at_ms, json])?;
        payload.map_or(Ok(()), |payload| self.add_payload(seq, payload))?;
        transaction.commit()
    }

    /// Calls `visit` with every event from number `from` on, in order, as the log is now.
    ///
    /// Errors: `BadEvent` if one does not read or a number is missing; whatever `visit` returns.
    pub fn replay<E: From<StoreError>>(
        &self,
        from: u64,
        mut visit: impl FnMut(Recorded) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |source| E::from(fault(&self.path, source));
        // One view of both tables, whatever a writer packs in the meantime.
        let _view = self.connection.unchecked_transaction().map_err(sqlite)?;
        let mut expected = from.max(1);
        self.replay_packed(from, &mut expected, &mut visit)?;
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, at_ms, event FROM events WHERE seq >= ?1 ORDER BY seq")
            .map_err(sqlite)?;
        let mut rows = select.query([from]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let seq: u64 = row.get(0).map_err(sqlite)?;
            self.in_turn(seq, &mut expected)?;
            let json = row.get_ref(2).map_err(sqlite)?;
            let event = json
                .as_str()
                .map_err(|error| self.bad_event(seq, error))
                .and_then(|text| serde_json::from_str(text).map_err(|error| self.bad_event(seq, error)))?;
            let at_ms = row.get(1).map_err(sqlite)?;
            visit(Recorded { seq, at_ms, event })?;
        }
        Ok(())
    }

    /// Errors: `BadEvent` if the number is not the one that comes next.
    fn in_turn(&self, seq: u64, expected: &mut u64) -> Result<(), StoreError> {
        if seq != *expected {
            return Err(self.bad_event(*expected, "it is missing"));
        }
        *expected += 1;
        Ok(())
    }

    /// Shortens the file by the pages that nothing is on any more.
    fn give_back_pages(&self) -> Result<(), StoreError> {
        let vacuum = || {
            let mut vacuum = self.connection.prepare_cached("PRAGMA incremental_vacuum")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        vacuum().map_err(|source| fault(&self.path, source))
    }

    fn bad_event(&self, seq: u64, reason: impl ToString) -> StoreError {
        StoreError::BadEvent { path: self.path.clone(), seq, reason: reason.to_string() }
    }
}

/// Number of the event that comes next.
fn next_seq(connection: &Connection) -> rusqlite::Result<u64> {
    let text = "SELECT max(ifnull((SELECT max(seq) FROM events), 0),
                           ifnull((SELECT max(first_seq + row_count) - 1 FROM packed), 0)) + 1";
    connection.query_row(text, [], |row| row.get(0))
}

/// The write-ahead file of a log.
fn write_ahead(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-wal");
    name.into()
}

/// The name under which SQLite opens a file that nobody changes: `file:…?immutable=1`.
fn immutable(path: &Path) -> String {
    let mut name = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => name.push(char::from(*byte)),
            _ => drop(write!(name, "%{byte:02x}")),
        }
    }
    name + "?immutable=1"
}

/// Whether SQLite failed for want of a file beside the log that it could write.
fn cannot_write(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, PermissionDenied, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly | SystemIoFailure))
}

#[cfg(test)]
mod tests;
