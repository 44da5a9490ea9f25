//! Reads the files that a run names: datasets as bytes or rows, and hints for names a little off.
//!
//! Promise: a file is read whole or refused with its name, the limit and the value seen; nothing
//! is allocated before the size is known. JSON goes to `tasks` as bytes, unpacked if it was packed;
//! Parquet and CSV are turned into rows here, because `tasks` must not depend on a file format library.

mod csv_rows;
#[cfg(feature = "parquet")]
mod parquet_rows;
mod unpacked;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::similar::{hint, nearest};
use tasks::{Columns, LineFault, Task, TaskError, TaskSpec};

/// Largest dataset file; one that is not Parquet is held to [`tasks::MAX_FILE_BYTES`].
pub const DATASET_BYTES_MAX: u64 = 2 << 30;
/// Most rows taken from one dataset file.
pub const ROWS_MAX: u64 = 4_000_000;
/// The first bytes of a Parquet file, whatever its name.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// Why a dataset file was refused.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read.
    #[error("{}: {source}{}", path.display(), hint(nearest.as_deref()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// The most similar file name in the same folder.
        nearest: Option<String>,
    },
    /// The file is larger than the limit.
    #[error("{} is too large: limit {limit} bytes, given {given} or more", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: u64,
        /// Bytes found.
        given: u64,
    },
    /// The file has more rows than the limit.
    #[error("{} has too many rows: limit {limit}, given {given}", path.display())]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// Rows allowed.
        limit: u64,
        /// Rows found.
        given: u64,
    },
    /// A column that the task needs is not there.
    #[error("{} has no column `{column}`{}; columns: {}", path.display(), hint(nearest(column, known)), listed(known))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns found.
        known: Vec<String>,
    },
    /// The wanted columns hold more values than the limit.
    #[error("{} has too many values in the columns that are read: limit {limit}, given at least {given}", path.display())]
    TooManyValues {
        /// The file.
        path: PathBuf,
        /// Values allowed.
        limit: u64,
        /// Values counted when it was refused.
        given: u64,
    },
    /// A row is wrong.
    #[error("{}, row {row}: {fault}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The file does not unpack, or is not what its name says.
    #[error("{} is not readable as {what}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The format.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A value is not text, a number or a list of messages.
    #[error("{}, row {row}: column `{column}` holds {given}, expected text, a number or a list of messages", path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: u64,
        /// The column.
        column: String,
        /// What was found.
        given: String,
    },
    /// The file is damaged or of another format.
    #[error("{} is not a readable Parquet file: {reason}", path.display())]
    BadParquet {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The program was built without the Parquet reader.
    #[error("{} is a Parquet file; this program was built without the feature `parquet`", path.display())]
    NoParquet {
        /// The file.
        path: PathBuf,
    },
    /// The task refuses its settings or its rows.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Names with commas between; one whose blanks at the ends would not be seen is put in quotes.
fn listed(names: &[String]) -> String {
    let shown = |name: &String| if name.trim() == name { name.clone() } else { format!("{name:?}") };
    names.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Builds a task, reading its file if it has one. Paths are relative to the current folder.
pub fn build_task(spec: &TaskSpec) -> Result<Box<dyn Task>, DataError> {
    let Some(columns) = spec.columns() else {
        let no_file = |_: &str| Err("the task takes no file".to_owned());
        return Ok(tasks::build(spec, &no_file)?);
    };
    let path = Path::new(&columns.path);
    check_size(path)?;
    if is_parquet(path)? {
        return Ok(tasks::build_from_rows(spec, rows(path, &columns)?)?);
    }
    let bytes = unpacked::read(path)?;
    if let Some(delimiter) = csv_rows::delimiter(path) {
        return Ok(tasks::build_from_rows(spec, csv_rows::rows(path, &bytes, delimiter, &columns)?)?);
    }
    Ok(tasks::build_from_bytes(spec, &bytes)?)
}

#[cfg(feature = "parquet")]
fn rows(path: &Path, columns: &Columns) -> Result<Vec<tasks::Row>, DataError> {
    parquet_rows::rows(path, columns)
}

#[cfg(not(feature = "parquet"))]
fn rows(path: &Path, _columns: &Columns) -> Result<Vec<tasks::Row>, DataError> {
    Err(DataError::NoParquet { path: path.to_owned() })
}

fn check_size(path: &Path) -> Result<(), DataError> {
    let given = fs::metadata(path).map_err(|source| unreadable(path, source))?.len();
    if given > DATASET_BYTES_MAX {
        return Err(DataError::TooLarge { path: path.to_owned(), limit: DATASET_BYTES_MAX, given });
    }
    Ok(())
}

fn is_parquet(path: &Path) -> Result<bool, DataError> {
    let mut start = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut start))
        .map_err(|source| unreadable(path, source))?;
    Ok(start == PARQUET_MAGIC)
}

fn unreadable(path: &Path, source: std::io::Error) -> DataError {
    DataError::Unreadable { path: path.to_owned(), source, nearest: nearest_file(path) }
}

/// The most similar file name in the folder of `path`, for "did you mean".
pub fn nearest_file(path: &Path) -> Option<String> {
    /// Names looked at; a hint is not worth reading a huge folder.
    const NAMES_MAX: usize = 10_000;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let wanted = path.file_name()?.to_str()?;
    let names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .take(NAMES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != wanted)
        .collect();
    nearest(wanted, &names).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tasks::{Dataset, Grader, Split};

    fn dataset(path: &Path) -> TaskSpec {
        TaskSpec::Dataset(Dataset {
            path: path.display().to_string(),
            prompt_field: None,
            answer_field: None,
            grader: Grader::Exact,
        })
    }

    #[test]
    fn json_lines_become_a_task_and_a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sums.jsonl");
        let line = |n: u32| format!("{{\"prompt\":\"{n}+1=\",\"answer\":\"{}\"}}\n", n + 1);
        let mut text: String = (0..40).map(line).collect();
        fs::write(&path, &text).unwrap();
        let task = build_task(&dataset(&path)).unwrap();
        let item = task.item(0, Split::Train, 0).unwrap();
        assert!(task.grade(&item, &item.answer).exact);
        text.push_str("{\"prompt\": oops}\n");
        fs::write(&path, &text).unwrap();
        let message = build_task(&dataset(&path)).err().unwrap().to_string();
        assert!(message.contains("sums.jsonl") && message.contains("41"), "{message}");
    }

    #[test]
    fn quotes_that_readers_understand_differently_are_refused_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let rows: String = (0..40).map(|n| format!("\"{n}, \"\"twice\"\"\nis?\",\"{}\"\r\n", 2 * n)).collect();
        let plain: String = (0..40).map(|n| format!("{n} \"twice\",{}\n", 2 * n)).collect();
        let build = |name: &str, text: String| {
            fs::write(folder.path().join(name), text).unwrap();
            build_task(&dataset(&folder.path().join(name))).map(|_| ()).map_err(|error| error.to_string())
        };
        for good in [&rows, &plain] {
            assert_eq!(build("a.csv", format!("prompt,answer\n{good}")), Ok(()));
        }
        for (name, row, fault) in [
            ("a.csv", "7,\"14\n8,16\n", "line 42: a quote opens a value and none closes it"),
            ("a.csv", "\"7 \\\"twice\\\"\",14\n", "line 42: text follows the quote"),
            ("a.tsv", "\"7\t14\n\"8\t16\n", "line 43: text follows the quote that closes a value begun on line 42"),
        ] {
            let head = format!("prompt,answer\n{plain}");
            let head = if name == "a.tsv" { head.replace(',', "\t") } else { head };
            let said = build(name, head + row).unwrap_err();
            assert!(said.contains(fault), "{said}");
        }
    }

    #[test]
    fn a_missing_dataset_hints_at_the_nearest_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train.jsonl"), "").unwrap();
        let message = build_task(&dataset(&folder.path().join("trian.jsonl"))).err().unwrap().to_string();
        assert!(message.contains("did you mean `train.jsonl`?"), "{message}");
    }
}
