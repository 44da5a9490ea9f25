//! The event log: one SQLite file per run, appended to by one process and read by anybody.
//!
//! Promise: an event that [`EventLog::append`] returned for survives the death of this process at
//! any later moment (SIGKILL included); a half-written event is never seen; sequence numbers have
//! no gaps. A full disk is an error that names the file, and the log stays readable.
//!
//! Why `rusqlite` and not `sqlx`: the log has one synchronous writer inside one process; an async
//! pool would add an executor and a second copy of every type for nothing. Any tool opens the file.
//!
//! Durability: write-ahead log with `synchronous=NORMAL`. Every commit reaches the operating
//! system before `append` returns, so a killed process loses nothing. A power cut may lose the
//! last commits (never the file's soundness); a run then resumes from the checkpoint before them.

use crate::events::{Event, Recorded};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Version of the table layout and of the events' meaning; raised when an old log no longer reads.
pub const SCHEMA_VERSION: i64 = 3;
/// Marks the file as ours (`PRAGMA application_id`): the letters `ESSA`.
const APPLICATION_ID: i64 = 0x4553_5341;
/// Largest payload of one event; a group of 4096 rollouts of 4096 tokens is about 200 MB.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

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

/// A run's log, open for writing or for reading only.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    connection: Connection,
    next_seq: u64,
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
        let log = Self { path: path.to_owned(), connection, next_seq: 1, _copy: None };
        log.settings()?;
        let layout = format!(
            "BEGIN;
             CREATE TABLE events (
                 seq INTEGER PRIMARY KEY, -- from 1, without gaps
                 at_ms INTEGER NOT NULL,  -- UTC milliseconds since 1970
                 event TEXT NOT NULL,     -- JSON, its kind in the field `event`
                 payload BLOB             -- a signed record's bytes, where the event has one
             ) STRICT;
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
        let last: Option<u64> = connection
            .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))
            .map_err(|source| fault(path, source))?;
        Ok(Self { path: path.to_owned(), connection, next_seq: last.unwrap_or(0) + 1, _copy: None })
    }

    fn settings(&self) -> Result<(), StoreError> {
        // Wait for a reader's checkpoint for a bounded time instead of failing at once.
        let text = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;";
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
    pub fn append(&mut self, at_ms: u64, event: Event, payload: Option<&[u8]>) -> Result<Recorded, StoreError> {
        if let Some(given) = payload.map(<[u8]>::len).filter(|given| *given > PAYLOAD_BYTES_MAX) {
            return Err(StoreError::PayloadTooLarge { path: self.path.clone(), limit: PAYLOAD_BYTES_MAX, given });
        }
        let seq = self.next_seq;
        let json = serde_json::to_string(&event).map_err(|error| self.bad_event(seq, error))?;
        self.connection
            .prepare_cached("INSERT INTO events (seq, at_ms, event, payload) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut insert| insert.execute(params![seq, at_ms, json, payload]))
            .map_err(|source| fault(&self.path, source))?;
        self.next_seq += 1;
        Ok(Recorded { seq, at_ms, event })
    }

    /// Calls `visit` with every event from number `from` on, in order.
    ///
    /// Errors: `BadEvent` if one does not read or a number is missing; whatever `visit` returns.
    pub fn replay<E: From<StoreError>>(
        &self,
        from: u64,
        mut visit: impl FnMut(Recorded) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |source| E::from(fault(&self.path, source));
        let mut select = self
            .connection
            .prepare_cached("SELECT seq, at_ms, event FROM events WHERE seq >= ?1 ORDER BY seq")
            .map_err(sqlite)?;
        let mut rows = select.query([from]).map_err(sqlite)?;
        let mut expected = from.max(1);
        while let Some(row) = rows.next().map_err(sqlite)? {
            let seq: u64 = row.get(0).map_err(sqlite)?;
            if seq != expected {
                return Err(self.bad_event(expected, "it is missing").into());
            }
            expected += 1;
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

    /// The payload of an event, if it has one. Errors: `Sqlite`.
    pub fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached("SELECT payload FROM events WHERE seq = ?1")
            .and_then(|mut select| select.query_row([seq], |row| row.get(0)).optional())
            .map(Option::flatten)
            .map_err(|source| fault(&self.path, source))
    }

    fn bad_event(&self, seq: u64, reason: impl ToString) -> StoreError {
        StoreError::BadEvent { path: self.path.clone(), seq, reason: reason.to_string() }
    }
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

fn fault(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::NotALog { path, reason: source.to_string() }
        }
        _ => StoreError::Sqlite { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    fn warning(message: impl Into<String>) -> Event {
        Event::Warning { message: message.into() }
    }

    fn all(log: &EventLog, from: u64) -> Vec<Recorded> {
        let mut events = Vec::new();
        log.replay(from, |recorded| {
            events.push(recorded);
            Ok::<(), StoreError>(())
        })
        .unwrap();
        events
    }

    #[test]
    fn events_come_back_in_order_with_their_payloads_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let mut log = EventLog::create(&path).unwrap();
        log.append(10, warning("a"), None).unwrap();
        log.append(20, warning("b"), Some(b"bytes")).unwrap();
        drop(log);
        let mut log = EventLog::open(&path).unwrap();
        let third = log.append(30, warning("c"), None).unwrap();
        assert_eq!((third.seq, log.last_seq()), (3, 3));
        let read = EventLog::open_to_read(&path).unwrap();
        let messages: Vec<_> = all(&read, 2).into_iter().map(|r| (r.at_ms, r.event)).collect();
        assert_eq!(messages, [(20, warning("b")), (30, warning("c"))]);
        assert_eq!(read.payload(2).unwrap().as_deref(), Some(&b"bytes"[..]));
        assert_eq!(read.payload(1).unwrap(), None);
    }

    #[test]
    fn a_reader_cannot_write_and_a_second_log_is_not_made_over_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        drop(EventLog::create(&path).unwrap());
        let mut reader = EventLog::open_to_read(&path).unwrap();
        assert!(reader.append(1, warning("x"), None).is_err());
        assert!(matches!(EventLog::create(&path), Err(StoreError::Exists { .. })));
    }

    #[test]
    fn other_files_and_other_versions_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        assert!(matches!(EventLog::open(&path), Err(StoreError::NoLog { .. })));
        fs::write(&path, "this is no database, but long enough to look at".repeat(9)).unwrap();
        assert!(matches!(EventLog::open(&path), Err(StoreError::NotALog { .. })));
        fs::remove_file(&path).unwrap();
        let log = EventLog::create(&path).unwrap();
        log.connection.pragma_update(None, "user_version", 7).unwrap();
        drop(log);
        let message = EventLog::open(&path).unwrap_err().to_string();
        assert!(message.contains("version 7, this program reads version 3"), "{message}");
    }

    #[test]
    fn a_full_disk_is_named_and_leaves_the_log_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let mut log = EventLog::create(&path).unwrap();
        // SQLite answers SQLITE_FULL at this page limit exactly as it does when the disk is full.
        log.connection.pragma_update(None, "max_page_count", 8).unwrap();
        let payload = vec![1u8; 4096];
        let mut stored = 0;
        let error = loop {
            match log.append(1, warning("x"), Some(&payload)) {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 100, "the limit had no effect");
        };
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert!(error.to_string().contains("events.sqlite"));
        assert_eq!(all(&EventLog::open(&path).unwrap(), 1).len(), stored);
    }

    #[test]
    fn a_missing_event_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let mut log = EventLog::create(&path).unwrap();
        for _ in 0..3 {
            log.append(1, warning("x"), None).unwrap();
        }
        log.connection.execute("DELETE FROM events WHERE seq = 2", []).unwrap();
        let outcome = log.replay(1, |_| Ok::<(), StoreError>(()));
        assert!(matches!(outcome, Err(StoreError::BadEvent { seq: 2, .. })), "{outcome:?}");
    }

    /// The test runs itself as a child that appends without end, and kills it in the middle.
    #[test]
    fn what_append_returned_for_survives_sigkill() {
        const CHILD: &str = "ESSAIM_TEST_STORE_CHILD";
        if let Some(path) = std::env::var_os(CHILD) {
            let mut log = EventLog::create(Path::new(&path)).unwrap();
            for count in 1..1_000_000u64 {
                log.append(count, warning("group"), Some(&[7; 300])).unwrap();
                println!("\nappended {count}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "store::tests::what_append_returned_for_survives_sigkill"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("appended ")?.parse::<u64>().ok())
            .find(|count| *count >= 200);
        child.kill().unwrap();
        child.wait().unwrap();
        let told = told.expect("the child appended 200 events");
        let log = EventLog::open(&path).unwrap();
        assert!(log.last_seq() >= told, "{} of {told}", log.last_seq());
        assert_eq!(all(&log, 1).len() as u64, log.last_seq());
        assert_eq!(log.payload(told).unwrap(), Some(vec![7; 300]));
    }
}
