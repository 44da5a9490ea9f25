//! Turns records into bytes and back.
//!
//! Promise: decoding takes memory only for lengths that were checked against their limit and against
//! the bytes that are really there; a record that decodes has been checked and is canonical.
//! Takes: bytes from a log or a peer. Gives: a checked record or a named error.
//!
//! Layout: `format: u8`, `kind: u8`, then the fields in their order as postcard 1.x writes them
//! (integers as varints, floats as 4 little-endian bytes, lists with their length in front).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ProtocolError;
use crate::constants::RECORD_FORMAT;

/// A record with one byte form.
pub trait Record: Sized {
    /// Second byte of the record's bytes. A signed record has the highest bit set.
    const KIND: u8;
    /// Most bytes of its encoding.
    const BYTES_MAX: usize;

    /// Checks the record and writes it.
    ///
    /// Errors: those of the record's `check`, `TooManyBytes`.
    fn encode(&self) -> Result<Vec<u8>, ProtocolError>;

    /// Reads one whole record and checks it.
    ///
    /// Errors: `TooManyBytes`, `UnknownFormat`, `WrongKind`, `Malformed`, `TrailingBytes`, `NotCanonical`,
    /// `TooMany…` for a list that announces too many entries, and those of the record's `check`.
    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError>;
}

/// What [`Record`] needs to know of each type; kept inside so that the set of records is closed.
pub(crate) trait Layout: Serialize + Sized {
    const TAG: u8;
    const LIMIT: usize;
    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError>;
    fn checked(&self) -> Result<(), ProtocolError>;
}

/// Which kind of record the bytes hold, to compare with [`Record::KIND`].
///
/// Errors: `Malformed` if there are fewer than two bytes, `UnknownFormat`.
pub fn record_kind(bytes: &[u8]) -> Result<u8, ProtocolError> {
    Reader { rest: bytes, bytes: bytes.len() }.head()
}

impl<T: Layout> Record for T {
    const KIND: u8 = T::TAG;
    const BYTES_MAX: usize = T::LIMIT;

    fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        self.checked()?;
        let bytes = postcard::to_extend(self, vec![RECORD_FORMAT, T::TAG])
            .expect("plain structs of numbers and lists always serialise into a growing vector");
        within_bytes(T::LIMIT, bytes.len())?;
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        within_bytes(T::LIMIT, bytes.len())?;
        let mut reader = Reader::open(bytes, T::TAG)?;
        let record = T::read(&mut reader)?;
        if !reader.rest.is_empty() {
            return Err(ProtocolError::TrailingBytes { given: reader.rest.len() });
        }
        if record.encode()? != bytes {
            return Err(ProtocolError::NotCanonical);
        }
        Ok(record)
    }
}

fn within_bytes(limit: usize, given: usize) -> Result<(), ProtocolError> {
    match given > limit {
        true => Err(ProtocolError::TooManyBytes { limit, given }),
        false => Ok(()),
    }
}

/// Reads postcard fields one by one, so that a length is seen before its list is made.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8], expected: u8) -> Result<Self, ProtocolError> {
        let mut reader = Self { rest: bytes, bytes: bytes.len() };
        let given = reader.head()?;
        match given == expected {
            true => Ok(reader),
            false => Err(ProtocolError::WrongKind { expected, given }),
        }
    }

    /// Reads the format and gives the kind.
    fn head(&mut self) -> Result<u8, ProtocolError> {
        let format: u8 = self.take("format")?;
        match format == RECORD_FORMAT {
            true => self.take("kind"),
            false => Err(ProtocolError::UnknownFormat { expected: RECORD_FORMAT, given: format }),
        }
    }

    /// Reads a value of bounded size: a number, an enum, or a struct of such.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, field: &'static str) -> Result<T, ProtocolError> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|_| self.malformed(field))?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads a list length that passes `limit` and for which at least a byte per entry is left.
    pub(crate) fn take_count(
        &mut self,
        field: &'static str,
        limit: impl Fn(usize) -> Result<(), ProtocolError>,
    ) -> Result<usize, ProtocolError> {
        let announced: u64 = self.take(field)?;
        let count = usize::try_from(announced).unwrap_or(usize::MAX);
        limit(count)?;
        match count > self.rest.len() {
            true => Err(self.malformed(field)),
            false => Ok(count),
        }
    }

    /// Reads a list of values of bounded size.
    pub(crate) fn take_list<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
        limit: impl Fn(usize) -> Result<(), ProtocolError>,
    ) -> Result<Vec<T>, ProtocolError> {
        let count = self.take_count(field, limit)?;
        (0..count).map(|_| self.take(field)).collect()
    }

    fn malformed(&self, field: &'static str) -> ProtocolError {
        ProtocolError::Malformed { field, offset: self.bytes - self.rest.len(), bytes: self.bytes }
    }
}
