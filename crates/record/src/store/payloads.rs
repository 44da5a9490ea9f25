//! Signed records beside the events that tell of them, until they are dropped.
//!
//! Promise: a payload comes back byte for byte, or not at all; dropping some is one transaction, and gives their room
//! back to the system.

use rusqlite::{OptionalExtension, params};

use super::packed::packed;
use super::{EventLog, StoreError, fault};

/// Largest payload of one event; a group of 4096 rollouts of 4096 tokens is about 200 MB.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;
/// zstd level of payloads: higher ones take 1 % less room.
const PAYLOAD_LEVEL: i32 = 1;

pub(super) const LAYOUT: &str = "
    CREATE TABLE payloads (
        seq INTEGER PRIMARY KEY,         -- number of the event
        lease INTEGER NOT NULL,          -- what it is about
        weight_version INTEGER NOT NULL, -- weights that the lease names
        record BLOB NOT NULL             -- zstd of the signed record's bytes
    ) STRICT;
    CREATE INDEX payloads_of_leases ON payloads (weight_version, lease);";

/// A signed record about a lease.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// The lease.
    pub lease: u64,
    /// The weights that it names, without which nobody can check the record again.
    pub weight_version: u64,
    /// The record.
    pub bytes: &'a [u8],
}

impl EventLog {
    /// The payload of an event; none if it has none, or has it no longer. Errors: `UnpacksTooLarge`, `BadEvent`, `Sqlite`.
    pub fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let packed: Option<Vec<u8>> = self
            .connection
            .prepare_cached("SELECT record FROM payloads WHERE seq = ?1")
            .and_then(|mut select| select.query_row([seq], |row| row.get(0)).optional())
            .map_err(|source| fault(&self.path, source))?;
        packed.map(|packed| self.unpack(seq, &packed, PAYLOAD_BYTES_MAX)).transpose()
    }

    /// Drops the payloads of leases that name a version older than `oldest`, but for those that `keeps` names.
    ///
    /// Errors: `DiskFull`, `Sqlite`; then none is dropped.
    pub fn drop_payloads(&mut self, oldest: u64, keeps: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        self.drop_rows(oldest, keeps).map_err(|source| fault(&self.path, source))?;
        self.give_back_pages()
    }

    fn drop_rows(&self, oldest: u64, keeps: impl Fn(u64) -> bool) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut leases: Vec<(u64, u64)> = transaction
            .prepare_cached("SELECT DISTINCT weight_version, lease FROM payloads WHERE weight_version < ?1")?
            .query_map([oldest], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        leases.retain(|(_, lease)| !keeps(*lease));
        {
            let mut delete =
                transaction.prepare_cached("DELETE FROM payloads WHERE weight_version = ?1 AND lease = ?2")?;
            for (version, lease) in leases {
                delete.execute([version, lease])?;
            }
        }
        transaction.commit()
    }

    pub(super) fn add_payload(&self, seq: u64, payload: Payload<'_>) -> rusqlite::Result<()> {
        let Payload { lease, weight_version, bytes } = payload;
        self.connection
            .prepare_cached("INSERT INTO payloads (seq, lease, weight_version, record) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![seq, lease, weight_version, packed(bytes, PAYLOAD_LEVEL)])
            .map(drop)
    }
}
