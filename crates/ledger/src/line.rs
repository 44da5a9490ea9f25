//! One line of the log: an entry with its place and the orchestrator's signature.
//!
//! Promise: a line has exactly one written form. Change a byte, drop, double or swap lines, and the line after
//! the change (or the changed one) is refused.
//! Layout: JSON without spaces, `{"seq":…,"previous":"…","entry":{…},"signature":"…"}`, bytes as lower-case hex.

use protocol::{Hash, Keypair, PublicKey, RunId, Signature};
use serde::{Deserialize, Serialize};

use crate::{Entry, Fault, hex};

/// Most bytes of a line. A verdict on 16 rollouts of 4,096 tokens takes 0.6 MB as hex; the terms of 65,536
/// workers and validators take 15 MB.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Context string of a line's digest (blake3 `derive_key`).
pub const LINE_CONTEXT: &str = "essaim 2026 ledger line v1";

/// What the first line names as the line before it.
pub const FIRST_PREVIOUS: Hash = [0; 32];

/// A signed entry at its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Position in the log: the first is 0.
    pub seq: u64,
    /// blake3 of the line before, without its line feed; zeros in the first line.
    #[serde(with = "hex::array")]
    pub previous: Hash,
    /// What happened.
    pub entry: Entry,
    /// The orchestrator's: ed25519 over
    /// `blake3_derive_key(context, run id ‖ seq as u64 ‖ previous ‖ the entry as written)`, numbers little-endian.
    #[serde(with = "signature")]
    pub signature: Signature,
}

impl Line {
    /// An entry, signed.
    ///
    /// Errors: `Unreadable` if a nested record does not encode.
    pub fn new(run: &RunId, seq: u64, previous: Hash, entry: Entry, keys: &Keypair) -> Result<Self, Fault> {
        let signature = keys.sign(&digest(run, seq, &previous, &written(&entry)?));
        Ok(Self { seq, previous, entry, signature })
    }

    /// The line as it stands in the log, without a line feed.
    ///
    /// Errors: `Unreadable` if a nested record does not encode, `LineTooLong`.
    pub fn encode(&self) -> Result<String, Fault> {
        let line = written(self)?;
        within(line.len())?;
        Ok(line)
    }

    /// Reads one line without its line feed. The signature is not looked at, see [`Self::is_signed_by`].
    ///
    /// Errors: `LineTooLong`, `Unreadable`, `NotCanonical`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        within(bytes.len())?;
        let line: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        match written(&line)?.as_bytes() == bytes {
            true => Ok(line),
            false => Err(Fault::NotCanonical),
        }
    }

    /// Whether `key` signed this line for this run.
    pub fn is_signed_by(&self, run: &RunId, key: &PublicKey) -> bool {
        let entry = written(&self.entry);
        entry.is_ok_and(|entry| key.signed(&digest(run, self.seq, &self.previous, &entry), &self.signature))
    }
}

/// Hash of a line's bytes, which the next line names.
pub fn line_hash(bytes: &[u8]) -> Hash {
    *blake3::hash(bytes).as_bytes()
}

fn digest(run: &RunId, seq: u64, previous: &Hash, entry: &str) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(LINE_CONTEXT);
    hasher.update(run).update(&seq.to_le_bytes()).update(previous).update(entry.as_bytes());
    *hasher.finalize().as_bytes()
}

fn written(part: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(part).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Fault {
    Fault::Unreadable { why: error.to_string() }
}

fn within(given: usize) -> Result<(), Fault> {
    match given > LINE_BYTES_MAX {
        true => Err(Fault::LineTooLong { limit: LINE_BYTES_MAX, given }),
        false => Ok(()),
    }
}

/// A signature as 128 digits.
mod signature {
    use protocol::Signature;
    use serde::{Deserializer, Serializer};

    use crate::hex::array;

    pub(super) fn serialize<S: Serializer>(signature: &Signature, serializer: S) -> Result<S::Ok, S::Error> {
        array::serialize(&signature.0, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signature, D::Error> {
        array::deserialize(deserializer).map(Signature)
    }
}
