//! Old rows of the log, packed: many events in one blob.
//!
//! Promise: packing changes no event, its number or its time; what unpacks is held to its limit before it is kept.
//! A pack is one transaction, so a killed process leaves the rows loose or packed, each once.
//! Layout: zstd of JSON lines `[at_ms, event]`, the first of which has the number `first_seq`.

use std::io::{self, Read};

use rusqlite::{Connection, OptionalExtension, params};

use super::{EventLog, StoreError, fault};
use crate::events::{Event, Recorded};

/// Rows in a pack.
const PACK_ROWS: u64 = 2048;
/// Rows that stay loose, where any SQLite tool reads them: the newest.
const LOOSE_ROWS: u64 = 2048;
/// zstd level of rows: they repeat themselves, and level 9 takes a fifth less room than level 3.
const ROWS_LEVEL: i32 = 9;
/// Most bytes that a pack unpacks to: a row has some hundred bytes, the terms of 65,536 parties 15 MB.
const PACK_BYTES_MAX: usize = 256 << 20;

pub(super) const LAYOUT: &str = "
    CREATE TABLE packed (
        first_seq INTEGER PRIMARY KEY, -- number of the first event
        row_count INTEGER NOT NULL,
        rows BLOB NOT NULL             -- zstd of lines `[at_ms,event]`
    ) STRICT;";

impl EventLog {
    /// Packs the oldest loose rows once there are enough of them. Errors: those of SQLite; then nothing has changed.
    pub(super) fn pack_if_due(&mut self) -> Result<(), StoreError> {
        if self.next_seq - self.first_loose < PACK_ROWS + LOOSE_ROWS {
            return Ok(());
        }
        pack(&self.connection, self.first_loose).map_err(|source| fault(&self.path, source))?;
        self.first_loose += PACK_ROWS;
        self.give_back_pages()
    }

    /// Calls `visit` with every packed event from number `from` on; `expected` is the number that comes next.
    pub(super) fn replay_packed<E: From<StoreError>>(
        &self,
        from: u64,
        expected: &mut u64,
        visit: &mut impl FnMut(Recorded) -> Result<(), E>,
    ) -> Result<(), E> {
        let sqlite = |source| E::from(fault(&self.path, source));
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT first_seq, row_count, rows FROM packed WHERE first_seq + row_count > ?1 ORDER BY first_seq",
            )
            .map_err(sqlite)?;
        let mut packs = select.query([from]).map_err(sqlite)?;
        while let Some(pack) = packs.next().map_err(sqlite)? {
            let first: u64 = pack.get(0).map_err(sqlite)?;
            let count: u64 = pack.get(1).map_err(sqlite)?;
            let packed = pack.get_ref(2).map_err(sqlite)?.as_blob().map_err(|error| self.bad_event(first, error))?;
            let lines = self.unpack(first, packed, PACK_BYTES_MAX)?;
            for (seq, line) in (first..).zip(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
                if seq < from {
                    continue;
                }
                self.in_turn(seq, expected)?;
                let (at_ms, event): (u64, Event) =
                    serde_json::from_slice(line).map_err(|error| self.bad_event(seq, error))?;
                visit(Recorded { seq, at_ms, event })?;
            }
            let (after, found) = (first.saturating_add(count), *expected);
            if after != found {
                return Err(self.bad_event(found, format!("its pack ends before event {after}")).into());
            }
        }
        Ok(())
    }

    /// What was packed. Errors: `UnpacksTooLarge`, `BadEvent`.
    pub(super) fn unpack(&self, seq: u64, packed: &[u8], limit: usize) -> Result<Vec<u8>, StoreError> {
        match unpacked(packed, limit).map_err(|error| self.bad_event(seq, error))? {
            Some(bytes) => Ok(bytes),
            None => Err(StoreError::UnpacksTooLarge { path: self.path.clone(), seq, limit }),
        }
    }
}

/// Number of the oldest event that is not packed, if there is one.
pub(super) fn first_loose(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    connection.query_row("SELECT min(seq) FROM events", [], |row| row.get(0)).optional().map(Option::flatten)
}

fn pack(connection: &Connection, first: u64) -> rusqlite::Result<()> {
    let end = first + PACK_ROWS;
    let transaction = connection.unchecked_transaction()?;
    let mut lines = Vec::new();
    {
        let mut select = transaction.prepare_cached("SELECT at_ms, event FROM events WHERE seq < ?1 ORDER BY seq")?;
        let mut rows = select.query([end])?;
        while let Some(row) = rows.next()? {
            let (at_ms, event): (u64, String) = (row.get(0)?, row.get(1)?);
            lines.extend_from_slice(format!("[{at_ms},{event}]\n").as_bytes());
        }
    }
    let packed = packed(&lines, ROWS_LEVEL);
    let insert = "INSERT INTO packed (first_seq, row_count, rows) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(insert)?.execute(params![first, PACK_ROWS, packed])?;
    transaction.prepare_cached("DELETE FROM events WHERE seq < ?1")?.execute([end])?;
    transaction.commit()
}

/// The bytes, packed by zstd.
pub(super) fn packed(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level).expect("zstd packs any bytes into a growing vector")
}

/// What was packed; none if it is more than `limit` bytes, of which no more are ever held.
fn unpacked(packed: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    zstd::Decoder::with_buffer(packed)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unpacks_to_more_than_the_limit_is_refused() {
        let bomb = packed(&vec![0; 1 << 20], 1);
        assert!(bomb.len() < 100);
        assert_eq!(unpacked(&bomb, 1 << 20).unwrap().unwrap().len(), 1 << 20);
        assert!(unpacked(&bomb, (1 << 20) - 1).unwrap().is_none());
        assert!(unpacked(b"not zstd at all", 100).is_err());
    }
}
