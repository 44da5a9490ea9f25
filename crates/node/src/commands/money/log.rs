//! Reads a ledger's log from a file, line by line, with the position of the first bad entry in words.
//!
//! Promise: memory stays within one line and what the ledger keeps; a line that is too long is not read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use ledger::line::{LINE_BYTES_MAX, Line};
use ledger::{Entry, Ledger, LedgerError};
use protocol::{Hash, Party};
use serde::Serialize;

use crate::commands::progress::Progress;
use crate::run::payout::ledger_path;
use record::output;

/// Characters shown of what a bad entry says that it is.
const WHAT_CHARS_MAX: usize = 20;
/// Characters shown of what is wrong with it.
const FAULT_CHARS_MAX: usize = 500;
/// Bytes in the unit of the progress line.
const KIB: u64 = 1024;

/// A ledger that was rebuilt from its log.
pub(super) struct Rebuilt {
    /// The file.
    pub(super) path: PathBuf,
    /// The ledger.
    pub(super) ledger: Ledger,
    /// Hash of every line: what a poster may have put on the chain as the file's.
    pub(super) hashes: BTreeSet<Hash>,
    /// Hash of the line that fines each party.
    pub(super) fines: BTreeMap<Party, Hash>,
}

/// The first entry of a log that is refused.
#[derive(Debug, Serialize)]
pub(super) struct Bad {
    /// The file.
    path: PathBuf,
    /// Position of the entry; the first is 0.
    entry: u64,
    /// Its line; the first is 1.
    line: u64,
    /// What the entry says that it is, as far as it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// What is wrong with it.
    fault: String,
    /// Whether the line has no end: a process was killed while it wrote.
    is_cut_off: bool,
}

impl Bad {
    /// Where, and what is wrong.
    pub(super) fn in_words(&self) -> String {
        let what = self.what.as_ref().map_or(String::new(), |what| format!(" (`{what}`)"));
        let cut_off = match self.is_cut_off {
            true => "; the line is cut off: a process was killed while it wrote, and resuming its run repairs that",
            false => "",
        };
        let before = match self.entry {
            0 => "there is nothing before it".to_owned(),
            1 => "the entry before it is good".to_owned(),
            count => format!("the {count} entries before it are good"),
        };
        let Self { path, entry, line, fault, .. } = self;
        format!("{}, line {line}: entry {entry}{what} is bad: {fault}{cut_off}; {before}", path.display())
    }
}

/// The log that a word names: a file, or the one in a run's folder.
pub(super) fn locate(path: &Path) -> PathBuf {
    if path.is_dir() { ledger_path(path) } else { path.to_owned() }
}

/// Rebuilds a ledger that must be good. A line that a killed process has not finished was never acted on; it is
/// left out with a warning.
pub(super) fn read(path: &Path, quiet: bool) -> Result<Rebuilt> {
    let (rebuilt, bad) = rebuild(path, quiet)?;
    match (rebuilt, bad) {
        (Some(rebuilt), None) => Ok(rebuilt),
        (Some(rebuilt), Some(bad)) if bad.is_cut_off => {
            output::note(&format!("warning: {}", bad.in_words()));
            Ok(rebuilt)
        }
        (_, bad) => Err(anyhow!(bad.map_or_else(|| "the log is empty".to_owned(), |bad| bad.in_words()))),
    }
}

/// Rebuilds a ledger, or tells its first bad entry. The outer error is that of the file.
pub(super) fn judge(path: &Path, quiet: bool) -> Result<Result<Rebuilt, Bad>> {
    Ok(match rebuild(path, quiet)? {
        (Some(rebuilt), None) => Ok(rebuilt),
        (_, Some(bad)) => Err(bad),
        (None, None) => {
            let fault = "the log is empty".to_owned();
            Err(Bad { path: locate(path), entry: 0, line: 1, what: None, fault, is_cut_off: false })
        }
    })
}

/// What the entries before the first bad one add up to, and that one.
fn rebuild(path: &Path, quiet: bool) -> Result<(Option<Rebuilt>, Option<Bad>)> {
    let path = locate(path);
    let named = || format!("cannot read the ledger {}", path.display());
    let file = File::open(&path).with_context(named)?;
    let total = file.metadata().with_context(named)?.len();
    let mut progress = Progress::new("KiB of the ledger judged", Some(total / KIB), quiet);
    let mut lines = Lines { reader: BufReader::new(file), bytes: 0, is_whole: true };
    let (mut hashes, mut fines) = (BTreeSet::new(), BTreeMap::new());
    let mut ledger: Option<Ledger> = None;
    let (mut line, mut first_bad) = (Vec::new(), None);
    while lines.next(&mut line).with_context(named)? {
        let judged = match &mut ledger {
            Some(ledger) => ledger.apply(&line),
            None => Ledger::new(&line).map(|first| ledger = Some(first)),
        };
        if let Err(error) = judged {
            first_bad = Some(bad(&path, &error, &line, !lines.is_whole));
            break;
        }
        let Some(hash) = ledger.as_ref().map(Ledger::head) else { continue };
        hashes.insert(hash);
        if let Some(Entry::Fined { party, .. }) = fine(&line) {
            fines.insert(party, hash);
        }
        progress.set(lines.bytes / KIB);
    }
    Ok((ledger.map(|ledger| Rebuilt { path, ledger, hashes, fines }), first_bad))
}

/// A fine, if the line is one. Looking at the text first spares decoding each line twice.
fn fine(line: &[u8]) -> Option<Entry> {
    const MARK: &[u8] = b"\"what\":\"fined\"";
    let start = &line[..line.len().min(512)];
    start.windows(MARK.len()).any(|part| part == MARK).then(|| Line::decode(line, None).ok())?.map(|line| line.entry)
}

fn bad(path: &Path, error: &LedgerError, line: &[u8], is_cut_off: bool) -> Bad {
    let what = serde_json::from_slice::<serde_json::Value>(line).ok();
    let what = what.and_then(|line| match line.get("accepted") {
        Some(_) => Some("accepted".to_owned()),
        None => Some(printable(line.get("entry")?.get("what")?.as_str()?, WHAT_CHARS_MAX)),
    });
    let fault = printable(&error.fault.to_string(), FAULT_CHARS_MAX);
    Bad { path: path.to_owned(), entry: error.seq, line: error.seq + 1, what, fault, is_cut_off }
}

/// A stranger may have written the log: no control characters, no page of text.
fn printable(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// The lines of a log, one at a time.
struct Lines {
    reader: BufReader<File>,
    /// Bytes read so far.
    bytes: u64,
    /// Whether the last line ended with a line feed.
    is_whole: bool,
}

impl Lines {
    /// The next line without its line feed; false at the end. One that is too long is cut where the ledger
    /// refuses it.
    fn next(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool> {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 2;
        let bytes = self.reader.by_ref().take(limit).read_until(b'\n', line)?;
        self.bytes += bytes as u64;
        self.is_whole = line.pop_if(|byte| *byte == b'\n').is_some() || line.len() > LINE_BYTES_MAX;
        Ok(bytes > 0)
    }
}
