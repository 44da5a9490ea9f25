//! The ledger's log as a file: one signed line after the other.
//!
//! Promise: a line that [`Book::append`] returned for survives the death of this process at any later moment;
//! a line cut off by a kill was never acted on, and is dropped; every line is judged again when the file is opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ledger::line::{LINE_BYTES_MAX, Line};
use ledger::{Amount, Entry, Ledger, LedgerError, LedgerTerms};
use protocol::{Hash, Keypair, Party};

use record::run_dir;

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
    /// Bytes of the lines that are whole.
    bytes: u64,
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
        Ok(Self { ledger, file, bytes: text.len() as u64, path: path.to_owned(), keys, fines: BTreeMap::new() })
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
            let terms = ledger.as_ref().map(|ledger| (&ledger.terms().run, ledger.head()));
            let Some((terms, head)) = terms else { continue };
            if let Entry::Fined { party, .. } = Line::decode(&line, Some(terms))?.entry {
                fines.insert(party, head);
            }
            whole += line.len() as u64 + 1;
        }
        let Some(ledger) = ledger else { bail!("{}: the ledger has no first line", path.display()) };
        file.set_len(whole).with_context(named)?; // what a kill cut off
        Ok(Self { ledger, file, bytes: whole, path: path.to_owned(), keys, fines })
    }

    /// Judges an entry, signs it, and writes it down.
    ///
    /// Errors: `LedgerError` for an entry that is refused, and then nothing has changed; whatever the system says,
    /// and then this book is not to be used any more: its file ends with the line before.
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
        let bytes = self.bytes;
        let written = whole_or_not(&mut self.file, line.as_bytes(), |file| file.set_len(bytes));
        written.with_context(|| self.path.display().to_string())?;
        self.bytes += line.len() as u64;
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

/// Writes a line; one that is cut off is taken back, so that no other line is glued to it.
fn whole_or_not<F: Write>(
    file: &mut F,
    line: &[u8],
    take_back: impl FnOnce(&mut F) -> std::io::Result<()>,
) -> std::io::Result<()> {
    file.write_all(line).inspect_err(|_| {
        // If this fails too, the half line is dropped when the file is opened again; the first error is the one to tell.
        let _ = take_back(file);
    })
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

#[cfg(test)]
impl Book {
    /// The same book on a disk that takes nothing any more.
    pub(super) fn on_a_full_disk(mut self) -> Self {
        self.file = OpenOptions::new().read(true).open(&self.path).unwrap();
        self
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.1.saturating_sub(self.0.len()).min(bytes.len()) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                room => self.0.write(&bytes[..room]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_on_a_full_disk_is_taken_back() {
        let mut disk = Disk(b"first\n".to_vec(), 10);
        let failed = whole_or_not(&mut disk, b"second\n", |disk| {
            assert_eq!(disk.0, b"first\nseco");
            disk.0.truncate(6);
            Ok(())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.0, b"first\n");
        whole_or_not(&mut disk, b"2\n", |_| panic!("it was written")).unwrap();
        assert_eq!(disk.0, b"first\n2\n");
    }
}
