//! One line of the log: an entry with its place and, unless it is a group's credit, the orchestrator's signature.
//!
//! Promise: a line has exactly one written form. Change a byte, drop, double or swap lines, and the changed line, or one
//! after it up to the next that is signed, is refused.
//! A signature covers all lines before it. A credit rests on what its worker and validators signed and is not signed
//! itself: nothing is paid before an epoch is closed, and that line is signed.
//! Layout: JSON without spaces, `{"seq":…,"entry":{…},"signature":"…"}` with bytes as lower-case hex, or
//! `{"seq":…,"accepted":"…"}` with what `accepted.rs` describes.

use protocol::{Hash, Keypair, PublicKey, RunId, RunTerms, Signature};
use serde::{Deserialize, Serialize};

use crate::{Entry, Fault, accepted};

/// Most bytes of a line. A verdict on 16 rollouts of 4,096 tokens takes 0.6 MB as hex; the terms of 65,536
/// workers and validators take 15 MB.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Context string of a signed line's digest (blake3 `derive_key`).
pub const LINE_CONTEXT: &str = "essaim 2026 ledger line v2";
/// Context string of the hash that stands for all lines up to one (blake3 `derive_key`).
pub const HEAD_CONTEXT: &str = "essaim 2026 ledger head v2";

/// What stands for the lines before the first.
pub const FIRST_PREVIOUS: Hash = [0; 32];
/// Version of the log's form: 1 named the line before in each line, and had a signature in each.
pub const FORMAT: u32 = 2;

/// An entry at its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Position in the log: the first is 0.
    pub seq: u64,
    /// What happened.
    pub entry: Entry,
    /// The orchestrator's, of every line but [`Entry::Accepted`]: ed25519 over
    /// `blake3_derive_key(context, run id ‖ seq as u64 ‖ head before ‖ the entry as written)`, numbers little-endian.
    pub signature: Option<Signature>,
}

/// A line as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "signature")]
    signature: Option<Signature>,
}

/// What only a line of the first form has.
#[derive(Deserialize)]
struct FirstForm {
    #[serde(rename = "previous")]
    _previous: String,
}

impl Line {
    /// An entry at its place, signed if it is to be.
    ///
    /// - `head`: [`head_after`] of the line before
    /// - errors: `Unreadable` if a nested record does not encode
    pub fn new(run: &RunId, seq: u64, head: Hash, entry: Entry, keys: &Keypair) -> Result<Self, Fault> {
        let signature = match &entry {
            Entry::Accepted { .. } => None,
            _ => Some(keys.sign(&digest(run, seq, &head, &written(&entry)?))),
        };
        Ok(Self { seq, entry, signature })
    }

    /// The line as it stands in the log, without a line feed.
    ///
    /// Errors: `Unreadable` if a nested record does not encode, `Record` for a verdict on another answer, `LineTooLong`.
    pub fn encode(&self) -> Result<String, Fault> {
        let &Self { seq, signature, .. } = self;
        let line = match &self.entry {
            Entry::Accepted { commitment, verdicts } => {
                let accepted = Some(accepted::encode(commitment, verdicts)?);
                Written { seq, accepted, entry: None, signature }
            }
            entry => Written { seq, accepted: None, entry: Some(entry.clone()), signature },
        };
        let line = written(&line)?;
        within(line.len())?;
        Ok(line)
    }

    /// Reads one line without its line feed. The signature is not looked at, see [`Self::is_signed_by`].
    ///
    /// - `terms`: the run's, without which a credit cannot be read
    /// - errors: `LineTooLong`, `Unreadable`, `OtherFormat`, `NotOpened` for a credit without terms, `Record` for one
    ///   that does not read, `Unsigned`, `NotCanonical`
    pub fn decode(bytes: &[u8], terms: Option<&RunTerms>) -> Result<Self, Fault> {
        within(bytes.len())?;
        let Written { seq, accepted, entry, signature } =
            serde_json::from_slice(bytes).map_err(|error| of_the_first_form(bytes).unwrap_or(unreadable(error)))?;
        let entry = match (accepted, entry) {
            (Some(text), None) => {
                let (commitment, verdicts) = accepted::decode(&text, terms.ok_or(Fault::NotOpened)?)?;
                Entry::Accepted { commitment, verdicts }
            }
            (None, Some(Entry::Accepted { .. })) => return Err(Fault::NotCanonical),
            (None, Some(_)) if signature.is_none() => return Err(Fault::Unsigned),
            (None, Some(entry)) => entry,
            _ => return Err(Fault::Unreadable { why: "neither an entry nor a credit, or both".to_owned() }),
        };
        let line = Self { seq, entry, signature };
        match line.encode()?.as_bytes() == bytes {
            true => Ok(line),
            false => Err(Fault::NotCanonical),
        }
    }

    /// Whether `key` signed this line for this run, after the lines that `head` stands for; of a line that bears no
    /// signature, whether it should bear none.
    pub fn is_signed_by(&self, run: &RunId, head: &Hash, key: &PublicKey) -> bool {
        match (&self.entry, &self.signature) {
            (Entry::Accepted { .. }, signature) => signature.is_none(),
            (_, None) => false,
            (entry, Some(signature)) => {
                written(entry).is_ok_and(|entry| key.signed(&digest(run, self.seq, head, &entry), signature))
            }
        }
    }
}

/// What stands for all lines up to this one: `blake3_derive_key(context, that of the line before ‖ this line's bytes)`.
pub fn head_after(head: &Hash, line: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(HEAD_CONTEXT);
    hasher.update(head).update(line);
    *hasher.finalize().as_bytes()
}

fn of_the_first_form(bytes: &[u8]) -> Option<Fault> {
    let first: Result<FirstForm, _> = serde_json::from_slice(bytes);
    first.is_ok().then_some(Fault::OtherFormat { supported: FORMAT, given: 1 })
}

fn digest(run: &RunId, seq: u64, head: &Hash, entry: &str) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(LINE_CONTEXT);
    hasher.update(run).update(&seq.to_le_bytes()).update(head).update(entry.as_bytes());
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

    pub(super) fn serialize<S: Serializer>(signature: &Option<Signature>, serializer: S) -> Result<S::Ok, S::Error> {
        match signature {
            Some(signature) => array::serialize(&signature.0, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Signature>, D::Error> {
        array::deserialize(deserializer).map(Signature).map(Some)
    }
}
