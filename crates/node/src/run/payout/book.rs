//! The ledger's log as a file: one signed line after the other.
//!
//! Promise: a line that [`Book::append`] returned for survives the death of this process at any later moment;
//! a line cut off by a kill was never acted on, and is dropped; every line is judged again when the file is opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ledger::line::{LINE_BYTES_MAX, Line, line_hash};
use ledger::{Amount, Entry, Ledger, LedgerError, LedgerTerms, Party};
use protocol::{Hash, Keypair};

use crate::run_dir;

/// Where the ledger of a run folder is.
pub fn ledger_path(run: &Path) -> PathBuf {
    run.join("ledger.jsonl")
}

/// How an entry becomes a line.
type Judge = fn(&mut Ledger, Entry, &Keypair) -> Result<String, LedgerError>;

/// A ledger and its file.
pub struct Book {
    ledger: Ledger,
    file: File,
    path: PathBuf,
    keys: Keypair,
    /// Hash of the line that fines each party.
    fines: BTreeMap<Party, Hash>,
}

impl Book {
    /// Opens a new ledger, with every stake that was seen: whole or not at all.
    pub fn create(path: &Path, keys: Keypair, terms: LedgerTerms, stakes: &[(Party, Amount, u64)]) -> Result<Self> {
        let (mut ledger, first) = Ledger::open(terms, &keys)?;
        let mut text = first + "\n";
        for &(party, stake, block) in stakes {
            text += &ledger.append(Entry::StakeSeen { party, stake, block }, &keys)?;
            text.push('\n');
        }
        run_dir::write_whole(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { ledger, file, path: path.to_owned(), keys, fines: BTreeMap::new() })
    }

    /// Takes up a ledger that another process left.
    ///
    /// Errors: the first line that the ledger refuses, with its number; whatever the system says.
    pub fn open(path: &Path, keys: Keypair) -> Result<Self> {
        let named = || path.display().to_string();
        let file = OpenOptions::new().read(true).append(true).open(path).with_context(named)?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut whole) = (Vec::new(), 0u64);
        let mut ledger: Option<Ledger> = None;
        let mut fines = BTreeMap::new();
        while read_line(&mut reader, &mut line).with_context(named)? {
            let number = ledger.as_ref().map_or(1, |ledger| ledger.entries() + 1);
            let judged = match &mut ledger {
                Some(ledger) => ledger.apply(&line),
                None => Ledger::new(&line).map(|first| ledger = Some(first)),
            };
            judged.with_context(|| format!("{}, line {number}", path.display()))?;
            if let Entry::Fined { party, .. } = Line::decode(&line)?.entry {
                fines.insert(party, line_hash(&line));
            }
            whole += line.len() as u64 + 1;
        }
        let Some(ledger) = ledger else { bail!("{}: the ledger has no first line", path.display()) };
        file.set_len(whole).with_context(named)?; // what a kill cut off
        Ok(Self { ledger, file, path: path.to_owned(), keys, fines })
    }

    /// Judges an entry, signs it, and writes it down.
    pub fn append(&mut self, entry: Entry) -> Result<()> {
        self.write(entry, Ledger::append)
    }

    /// The same for an entry whose nested records were verified just now.
    pub fn append_verified(&mut self, entry: Entry) -> Result<()> {
        self.write(entry, Ledger::append_verified)
    }

    fn write(&mut self, entry: Entry, judge: Judge) -> Result<()> {
        let fined = match &entry {
            Entry::Fined { party, .. } => Some(*party),
            _ => None,
        };
        let line = judge(&mut self.ledger, entry, &self.keys)? + "\n";
        self.file.write_all(line.as_bytes()).with_context(|| self.path.display().to_string())?;
        if let Some(party) = fined {
            self.fines.insert(party, self.ledger.head());
        }
        Ok(())
    }

    /// What the lines add up to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Who was fined, with the hash of the line that says so and what it rests on.
    pub fn fines(&self) -> &BTreeMap<Party, Hash> {
        &self.fines
    }
}

/// The next whole line without its line feed; false at the end, or at a line without one. A line that is too
/// long is cut where the ledger refuses it.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 2;
    reader.by_ref().take(limit).read_until(b'\n', line)?;
    let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
    Ok(is_whole || line.len() > LINE_BYTES_MAX)
}
