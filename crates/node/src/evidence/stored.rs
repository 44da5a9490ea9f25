//! The file that holds one group: `essaim verify RUN --lease N --export FILE`.
//!
//! A JSON document: the run's terms and run file as they are in its log, and the signed records as
//! base64 of their one byte form (see `protocol`), so that every signature can be checked again.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::{BeaconPoint, ProtocolError, Record, RunTerms, Signed, Submission, Verdict};
use serde::{Deserialize, Serialize};

use record::events::Fined;
use record::run_dir::{self, RunDirError};

/// First field of the file.
const FORMAT: &str = "essaim stored group, version 1";
/// Largest file that is read: the largest record as base64, and room for the rest.
pub const FILE_BYTES_MAX: u64 = (Submission::BYTES_MAX as u64).div_ceil(3) * 4 + (16 << 20);
/// Most verdicts on one group.
const VERDICTS_MAX: usize = 1024;

/// What can be wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any that this program writes.
    #[error("{} has {given} bytes, more than the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes read at most.
        limit: u64,
        /// Bytes of the file.
        given: u64,
    },
    /// The file is something else.
    #[error("{} is not a stored group: {reason}", path.display())]
    NotAGroup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A record in the file does not decode.
    #[error("{}: the {record} does not read", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record.
        record: &'static str,
        /// Why.
        source: Box<ProtocolError>,
    },
    /// The file could not be put in its place.
    #[error(transparent)]
    Unwritten(#[from] RunDirError),
}

/// One group with all that was said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredGroup {
    /// The resolved run file: tasks and the shape of the model.
    pub config_toml: String,
    /// What everybody in the run signed under.
    pub terms: RunTerms,
    /// Lease, commitment and rollouts.
    pub submission: Submission,
    /// The beacon point that drew the sample, if it came to that.
    pub draw: Option<BeaconPoint>,
    /// The verdicts that validators opened.
    pub verdicts: Vec<Signed<Verdict>>,
    /// The fine that followed, if one did.
    pub fined: Option<Fined>,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    config_toml: String,
    terms: RunTerms,
    draw: Option<BeaconPoint>,
    fined: Option<Fined>,
    verdicts: Vec<String>,
    submission: String,
}

fn bad_record(path: &Path, record: &'static str, source: ProtocolError) -> StoredError {
    StoredError::Record { path: path.to_owned(), record, source: source.into() }
}

impl StoredGroup {
    /// Writes the file, whole or not at all.
    ///
    /// Errors: `Record` if a record has no byte form, `Unwritten`.
    pub fn write(&self, path: &Path) -> Result<(), StoredError> {
        let bad = |record| move |source: ProtocolError| bad_record(path, record, source);
        let encode = |verdict: &Signed<Verdict>| verdict.encode().map(|bytes| STANDARD.encode(bytes));
        let document = Document {
            format: FORMAT.to_owned(),
            config_toml: self.config_toml.clone(),
            terms: self.terms.clone(),
            draw: self.draw,
            fined: self.fined.clone(),
            verdicts: self.verdicts.iter().map(encode).collect::<Result<_, _>>().map_err(bad("verdict"))?,
            submission: STANDARD.encode(self.submission.encode().map_err(bad("submission"))?),
        };
        // The document holds only numbers, text and lists, which JSON can always hold.
        let text = serde_json::to_string_pretty(&document).expect("a stored group is JSON") + "\n";
        Ok(run_dir::write_whole(path, text.as_bytes())?)
    }

    /// Reads a file. Errors: `Io`, `TooLarge`, `NotAGroup`, `Record`.
    pub fn read(path: &Path) -> Result<Self, StoredError> {
        let io = |source| StoredError::Io { path: path.to_owned(), source };
        let given = std::fs::metadata(path).map_err(io)?.len();
        if given > FILE_BYTES_MAX {
            return Err(StoredError::TooLarge { path: path.to_owned(), limit: FILE_BYTES_MAX, given });
        }
        let no_group = |reason: String| StoredError::NotAGroup { path: path.to_owned(), reason };
        let document: Document =
            serde_json::from_slice(&std::fs::read(path).map_err(io)?).map_err(|error| no_group(error.to_string()))?;
        if document.format != FORMAT {
            return Err(no_group(format!("its format is {:?}, this program reads {FORMAT:?}", document.format)));
        }
        if document.verdicts.len() > VERDICTS_MAX {
            return Err(no_group(format!("{} verdicts, limit {VERDICTS_MAX}", document.verdicts.len())));
        }
        document.terms.check().map_err(|error| no_group(format!("its terms: {error}")))?;
        let bytes = |text: &str| STANDARD.decode(text).map_err(|error| no_group(error.to_string()));
        let bad = |record| move |source: ProtocolError| bad_record(path, record, source);
        let verdict = |text: &String| Signed::decode(&bytes(text)?).map_err(bad("verdict"));
        Ok(Self {
            submission: Submission::decode(&bytes(&document.submission)?).map_err(bad("submission"))?,
            verdicts: document.verdicts.iter().map(verdict).collect::<Result<_, _>>()?,
            config_toml: document.config_toml,
            terms: document.terms,
            draw: document.draw,
            fined: document.fined,
        })
    }
}
