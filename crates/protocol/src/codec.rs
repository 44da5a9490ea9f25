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

use crate::constants::{BYTES_PER_RECORD_MAX, RECORD_FORMAT, SAMPLES_PER_GROUP_MAX, TOKENS_PER_ROLLOUT_MAX};
use crate::{Group, PromptLease, ProtocolError, Rollout};

/// A record with one byte form.
pub trait Record: Sized {
    /// Checks the record and writes it.
    ///
    /// Errors: those of the record's `check`, `TooManyBytes`.
    fn encode(&self) -> Result<Vec<u8>, ProtocolError>;

    /// Reads one whole record and checks it.
    ///
    /// Errors: `TooManyBytes`, `UnknownFormat`, `WrongKind`, `Malformed`, `TooManyTokens`,
    /// `TooManySamples`, `TrailingBytes`, `NotCanonical`, and those of the record's `check`.
    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError>;
}

/// What [`Record`] needs to know of each type; kept inside so that the set of records is closed.
trait Layout: Serialize + Sized {
    const KIND: u8;
    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError>;
    fn checked(&self) -> Result<(), ProtocolError>;
}

impl<T: Layout> Record for T {
    fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        self.checked()?;
        let bytes = postcard::to_extend(self, vec![RECORD_FORMAT, T::KIND])
            .expect("plain structs of numbers and lists always serialise into a growing vector");
        within_bytes(bytes.len())?;
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        within_bytes(bytes.len())?;
        let mut reader = Reader::open(bytes, T::KIND)?;
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

fn within_bytes(given: usize) -> Result<(), ProtocolError> {
    match given > BYTES_PER_RECORD_MAX {
        true => Err(ProtocolError::TooManyBytes { limit: BYTES_PER_RECORD_MAX, given }),
        false => Ok(()),
    }
}

impl Layout for PromptLease {
    const KIND: u8 = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        reader.take("lease") // fixed size, so nothing is allocated
    }

    fn checked(&self) -> Result<(), ProtocolError> {
        self.check()
    }
}

impl Layout for Rollout {
    const KIND: u8 = 2;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        Ok(Self {
            lease: reader.take("lease")?,
            sample_index: reader.take("sample_index")?,
            prompt_tokens: reader.take_tokens("prompt_tokens")?,
            completion_tokens: reader.take_tokens("completion_tokens")?,
            logprobs: reader.take_tokens("logprobs")?,
            weight_versions: reader.take_tokens("weight_versions")?,
            finish: reader.take("finish")?,
            reward_micro: reader.take("reward_micro")?,
            exact: reader.take("exact")?,
        })
    }

    fn checked(&self) -> Result<(), ProtocolError> {
        self.check()
    }
}

impl Layout for Group {
    const KIND: u8 = 3;

    fn read(reader: &mut Reader<'_>) -> Result<Self, ProtocolError> {
        let lease = PromptLease::read(reader)?;
        let count = reader.take_count("rollouts", |given| match given > SAMPLES_PER_GROUP_MAX {
            true => Err(ProtocolError::TooManySamples { limit: SAMPLES_PER_GROUP_MAX, given }),
            false => Ok(()),
        })?;
        let rollouts = (0..count).map(|_| Rollout::read(reader)).collect::<Result<_, _>>()?;
        Ok(Self { lease, rollouts })
    }

    fn checked(&self) -> Result<(), ProtocolError> {
        self.check()
    }
}

/// Reads postcard fields one by one, so that a length is seen before its list is made.
struct Reader<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8], expected: u8) -> Result<Self, ProtocolError> {
        let mut reader = Self { rest: bytes, bytes: bytes.len() };
        let format: u8 = reader.take("format")?;
        if format != RECORD_FORMAT {
            return Err(ProtocolError::UnknownFormat { expected: RECORD_FORMAT, given: format });
        }
        let given: u8 = reader.take("kind")?;
        match given == expected {
            true => Ok(reader),
            false => Err(ProtocolError::WrongKind { expected, given }),
        }
    }

    fn take<T: DeserializeOwned>(&mut self, field: &'static str) -> Result<T, ProtocolError> {
        let (value, rest) = postcard::take_from_bytes(self.rest).map_err(|_| self.malformed(field))?;
        self.rest = rest;
        Ok(value)
    }

    /// Reads a list length that passes `limit` and for which at least a byte per entry is left.
    fn take_count(
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

    fn take_tokens<T: DeserializeOwned>(&mut self, field: &'static str) -> Result<Vec<T>, ProtocolError> {
        let count = self.take_count(field, |given| match given > TOKENS_PER_ROLLOUT_MAX {
            true => Err(ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given }),
            false => Ok(()),
        })?;
        (0..count).map(|_| self.take(field)).collect()
    }

    fn malformed(&self, field: &'static str) -> ProtocolError {
        ProtocolError::Malformed { field, offset: self.bytes - self.rest.len(), bytes: self.bytes }
    }
}
