use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn warning(message: impl Into<String>) -> Event {
    Event::Warning { message: message.into() }
}

fn record(bytes: &[u8]) -> Payload<'_> {
    Payload { lease: 1, weight_version: 0, bytes }
}

/// Bytes that do not pack.
fn noise(count: usize) -> Vec<u8> {
    let mut random = 1u64;
    let next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 56) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
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
    log.append(20, warning("b"), Some(record(b"bytes"))).unwrap();
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
    assert!(message.contains("version 7, this program reads version 5"), "{message}");
}

#[test]
fn a_log_of_the_version_before_is_refused_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.sqlite");
    let connection = Connection::open(&path).unwrap();
    let layout = "CREATE TABLE events (seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, event TEXT NOT NULL, payload BLOB) STRICT;
                  INSERT INTO events VALUES (1, 5, '{\"event\":\"warning\",\"message\":\"a\"}', NULL);
                  PRAGMA user_version = 4;";
    connection.execute_batch(layout).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    drop(connection);
    for error in [EventLog::open(&path).unwrap_err(), EventLog::open_to_read(&path).unwrap_err()] {
        assert!(error.to_string().contains("version 4, this program reads version 5"), "{error}");
    }
}

#[test]
fn packed_rows_are_the_rows_that_were_appended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.sqlite");
    let mut log = EventLog::create(&path).unwrap();
    for count in 1..=7000u64 {
        log.append(count * 3, warning(format!("line\nof \"{count}\"")), None).unwrap();
    }
    let loose = |log: &EventLog| -> u64 {
        log.connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(loose(&log), 7000 - 2 * 2048);
    drop(log);
    let mut log = EventLog::open(&path).unwrap();
    assert_eq!((log.last_seq(), log.first_loose), (7000, 4097));
    log.append(1, warning("last"), None).unwrap();
    for from in [1, 2048, 2049, 4000, 4097, 6999] {
        let events = all(&log, from);
        assert_eq!(events.len() as u64, 7001 - from + 1);
        for (seq, recorded) in (from..=7000).zip(&events) {
            assert_eq!((recorded.seq, recorded.at_ms), (seq, seq * 3));
            assert_eq!(recorded.event, warning(format!("line\nof \"{seq}\"")));
        }
    }
    // A pack that is lost is noticed.
    log.connection.execute("DELETE FROM packed WHERE first_seq = 2049", []).unwrap();
    let outcome = log.replay(1, |_| Ok::<(), StoreError>(()));
    assert!(matches!(outcome, Err(StoreError::BadEvent { seq: 2049, .. })), "{outcome:?}");
}

#[test]
fn dropped_payloads_give_their_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.sqlite");
    let size = || fs::metadata(&path).unwrap().len();
    let mut log = EventLog::create(&path).unwrap();
    let bytes = noise(5000);
    for lease in 0..400u64 {
        let payload = Payload { lease, weight_version: lease / 100, bytes: &bytes };
        log.append(lease, warning("group"), Some(payload)).unwrap();
    }
    drop(log);
    let before = size();
    assert!(before > 400 * 5000, "{before}");
    let mut log = EventLog::open(&path).unwrap();
    log.drop_payloads(3, |lease| lease == 7).unwrap();
    drop(log);
    assert!(size() < before / 3, "{} of {before}", size());
    let log = EventLog::open(&path).unwrap();
    let held: Vec<u64> = (1..=400).filter(|seq| log.payload(*seq).unwrap().is_some()).collect();
    assert_eq!(
        held,
        [8].into_iter().chain(301..=400).collect::<Vec<u64>>(),
        "the event of lease 7, and those of version 3"
    );
    assert_eq!(all(&log, 1).len(), 400);
}

#[test]
fn a_full_disk_is_named_and_leaves_the_log_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.sqlite");
    let mut log = EventLog::create(&path).unwrap();
    // SQLite answers SQLITE_FULL at this page limit exactly as it does when the disk is full.
    log.connection.pragma_update(None, "max_page_count", 12).unwrap();
    let payload = noise(4096);
    let mut stored = 0;
    let error = loop {
        match log.append(1, warning("x"), Some(record(&payload))) {
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
            log.append(count, warning("group"), Some(record(&[7; 300]))).unwrap();
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
