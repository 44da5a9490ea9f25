//! The file in which a local chain lives on: one JSON line for each step.
//!
//! Promise: a line that is not whole is dropped, a line that was altered is refused with its number.
//! A line is `{"sum":"<16 digits>",<the step>}`; `sum` is the start of blake3 over what follows it, and
//! `block` the hash of the block that the step made, which covers the receipt and all blocks before.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Genesis, Outcome};
use crate::Head;

/// Version of the format.
const FORMAT: &str = "essaim chain 1";
/// Separates the hashes of local blocks from all others.
const BLOCK_CONTEXT: &str = "essaim 2026-11 block of a local chain";
/// Longest line: a contract of 48 KiB in hexadecimal digits fits four times.
const LINE_BYTES_MAX: usize = 1 << 20;
/// `{"sum":"0123456789abcdef",`
const PREFIX: &str = "{\"sum\":\"";
const SUM_DIGITS: usize = 16;

/// What happened on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// A transaction; `to` none deploys.
    Call { from: Address, to: Option<Address>, data: Bytes },
    /// The clock was set.
    Clock { time_s: u64 },
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    format: String,
    chain_id: u64,
    time_s: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    block: B256,
    #[serde(flatten)]
    step: Step,
}

/// Steps with the hash of the block that each made.
pub(super) type Steps = Vec<(Step, B256)>;

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// Two writers would tear the chain apart.
    #[error("{path} is open in another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A whole line is not what was written.
    #[error("{path}, line {line}: {cause}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
    /// The file is another chain's.
    #[error("{path} holds chain {given}, not chain {expected}", path = path.display())]
    OtherChain {
        /// The file.
        path: PathBuf,
        /// The chain that was meant.
        expected: u64,
        /// The chain of the file.
        given: u64,
    },
    /// Run again, a step gives something else.
    #[error("{path}, line {line}: recorded as block {recorded}, runs as {now}; written by another version?", path = path.display())]
    RunsDifferently {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Hash of the block then.
        recorded: B256,
        /// Hash of the block now.
        now: B256,
    },
    /// A transaction that makes a longer line than is read again.
    #[error("a transaction takes {given} bytes of the journal; a line has at most {limit}")]
    TooLong {
        /// Longest line.
        limit: usize,
        /// The line that it would be.
        given: usize,
    },
    /// The chain was opened for looking only.
    #[error("the chain was opened for reading only")]
    ReadOnly,
}

/// The file, open and locked.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or begins a journal and gives the steps in it.
    pub(super) fn open(path: &Path, genesis: Genesis) -> Result<(Self, Genesis, Steps), JournalError> {
        let fail = |cause| JournalError::File { path: path.into(), cause };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse { path: path.into() },
            TryLockError::Error(cause) => fail(cause),
        })?;
        let (first, steps, whole) = parse(path, &mut file)?;
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).map_err(fail)?;
        let mut journal = Self { file, path: path.into() };
        match first {
            Some(first) if first.chain_id != genesis.chain_id => {
                let (expected, given) = (genesis.chain_id, first.chain_id);
                Err(JournalError::OtherChain { path: path.into(), expected, given })
            }
            Some(first) => Ok((journal, Genesis { chain_id: first.chain_id, time_s: first.time_s }, steps)),
            None => {
                let Genesis { chain_id, time_s } = genesis;
                journal.write(&FirstLine { format: FORMAT.into(), chain_id, time_s })?;
                Ok((journal, genesis, steps))
            }
        }
    }

    /// Puts a step on disk.
    pub(super) fn append(&mut self, step: &Step, block: &B256) -> Result<(), JournalError> {
        self.write(&Line { block: *block, step: step.clone() })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let body = serde_json::to_string(line).expect("a step is JSON");
        let line = seal(&body);
        if line.len() > LINE_BYTES_MAX {
            return Err(JournalError::TooLong { limit: LINE_BYTES_MAX, given: line.len() });
        }
        let end = self.file.stream_position();
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|cause| {
            // Half a line must not be followed by a whole one.
            if let Ok(end) = end {
                let _ = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::End(0)));
            }
            JournalError::File { path: self.path.clone(), cause }
        })
    }
}

/// The steps of a journal that another process may be writing.
pub(super) fn read(path: &Path) -> Result<(Genesis, Steps), JournalError> {
    let fail = |cause| JournalError::File { path: path.into(), cause };
    let mut file = File::open(path).map_err(fail)?;
    let (first, steps, _) = parse(path, &mut file)?;
    let first = first.ok_or_else(|| JournalError::Damaged { path: path.into(), line: 1, cause: "empty".into() })?;
    Ok((Genesis { chain_id: first.chain_id, time_s: first.time_s }, steps))
}

/// `{"a":1}` as `{"sum":"…","a":1}` and a line's end.
fn seal(body: &str) -> String {
    let rest = &body[1..];
    format!("{PREFIX}{}\",{rest}\n", sum(rest))
}

fn sum(rest: &str) -> String {
    blake3::hash(rest.as_bytes()).to_hex()[..SUM_DIGITS].to_owned()
}

/// Gives the first line, the steps, and how many bytes the whole lines take.
fn parse(path: &Path, file: &mut File) -> Result<(Option<FirstLine>, Steps, u64), JournalError> {
    let mut reader = BufReader::new(file);
    let (mut first, mut steps, mut whole) = (None, Vec::new(), 0u64);
    for number in 1.. {
        let damaged = |cause: String| JournalError::Damaged { path: path.into(), line: number, cause };
        let mut line = Vec::new();
        let taken = reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line);
        taken.map_err(|cause| JournalError::File { path: path.into(), cause })?;
        if line.last() != Some(&b'\n') {
            if line.len() == LINE_BYTES_MAX {
                return Err(damaged(format!("longer than {LINE_BYTES_MAX} bytes")));
            }
            break; // the end, or what a kill left of a line
        }
        let body = unseal(&line).map_err(damaged)?;
        if number == 1 {
            first = Some(first_line(&body).map_err(damaged)?);
        } else {
            let Line { block, step } = serde_json::from_str(&body).map_err(|cause| damaged(cause.to_string()))?;
            steps.push((step, block));
        }
        whole += line.len() as u64;
    }
    Ok((first, steps, whole))
}

fn unseal(line: &[u8]) -> Result<String, String> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?.trim_end_matches('\n');
    let sealed = line.strip_prefix(PREFIX).and_then(|line| line.split_once("\","));
    let (given, rest) = sealed.ok_or("no check sum at its start")?;
    if given != sum(rest) {
        return Err("the check sum differs".into());
    }
    Ok(format!("{{{rest}"))
}

fn first_line(body: &str) -> Result<FirstLine, String> {
    let first: FirstLine = serde_json::from_str(body).map_err(|cause| cause.to_string())?;
    if first.format != FORMAT {
        return Err(format!("format `{}` instead of `{FORMAT}`", first.format));
    }
    Ok(first)
}

/// Hash of the first block.
pub(super) fn genesis_hash(genesis: &Genesis) -> B256 {
    let mut hasher = blake3::Hasher::new_derive_key(BLOCK_CONTEXT);
    hasher.update(&genesis.chain_id.to_le_bytes()).update(&genesis.time_s.to_le_bytes());
    B256::from(*hasher.finalize().as_bytes())
}

/// Hash of the block that a step makes: over the block before, the step, and all that came of it.
pub(super) fn block_hash(last: &Head, step: &Step, outcome: Option<&Outcome>) -> B256 {
    let mut hasher = blake3::Hasher::new_derive_key(BLOCK_CONTEXT);
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    field(last.hash.as_slice());
    match step {
        Step::Clock { time_s } => field(&time_s.to_le_bytes()),
        Step::Call { from, to, data } => {
            field(from.as_slice());
            field(to.as_ref().map_or(&[], |to| to.as_slice()));
            field(data);
        }
    }
    if let Some(outcome) = outcome {
        field(&outcome.gas_used.to_le_bytes());
        field(outcome.contract.as_ref().map_or(&[], |to| to.as_slice()));
        field(&outcome.output);
        for log in &outcome.logs {
            field(log.address.as_slice());
            log.topics().iter().for_each(|topic| field(topic.as_slice()));
            field(&log.data.data);
        }
    }
    B256::from(*hasher.finalize().as_bytes())
}
