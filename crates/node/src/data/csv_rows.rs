//! Rows of a file of comma- or tab-separated columns with a line of names at its top.
//!
//! Promise: a value is the text of the file, blanks and leading zeros included; nothing is taken for
//! a number or for missing because of how it looks. A row with more or fewer values than names is refused.

use super::{DataError, ROWS_MAX};
use std::path::Path;
use tasks::{Columns, FieldPath, LineFault, Row, Values};

/// What separates values, by the file's name; none for a file of another kind.
pub(super) fn delimiter(path: &Path) -> Option<u8> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "csv" => Some(b','),
        "tsv" => Some(b'\t'),
        _ => None,
    }
}

/// Reads the wanted columns of every row.
pub(super) fn rows(path: &Path, bytes: &[u8], delimiter: u8, columns: &Columns) -> Result<Vec<Row>, DataError> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    check_quotes(path, bytes, delimiter)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let bad = |error: csv::Error| damaged(path, error.to_string());
    let known: Vec<String> = reader.headers().map_err(bad)?.iter().map(str::to_owned).collect();
    let fields = columns.fields(&|field| known.iter().any(|name| name == field.name()), &known)?;
    let prompt = place(path, &fields.prompt, &known)?;
    let answer = fields.answer.as_ref().map(|field| place(path, field, &known)).transpose()?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(bad)?;
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() as u64 == ROWS_MAX {
            return Err(DataError::TooManyRows { path: path.to_owned(), limit: ROWS_MAX, given: ROWS_MAX + 1 });
        }
        let json = |place: usize| serde_json::Value::from(record.get(place).unwrap_or_default()).to_string();
        let (prompt, answer) = (json(prompt), answer.map(json));
        let row = fields.row(line, Values { prompt: &prompt, answer: answer.as_deref(), tools: None });
        rows.push(row.map_err(|fault: LineFault| DataError::Task(line_error(path, line, fault)))?);
    }
    Ok(rows)
}

/// Refuses quotes that readers understand differently: a value that begins with a quote must end with one, just before
/// the next separator or the end of the line (RFC 4180). Else a forgotten quote would take the rows behind it for text.
fn check_quotes(path: &Path, bytes: &[u8], delimiter: u8) -> Result<(), DataError> {
    let (mut line, mut at, mut at_start) = (1u64, 0, true);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == b'"' && at_start {
            let opened = line;
            loop {
                let Some(length) = bytes[at..].iter().position(|&byte| byte == b'"') else {
                    return Err(damaged(path, format!("line {opened}: a quote opens a value and none closes it")));
                };
                line += bytes[at..at + length].iter().filter(|&&byte| byte == b'\n').count() as u64;
                at += length + 1;
                match bytes.get(at) {
                    Some(b'"') => at += 1,
                    None | Some(b'\n' | b'\r') => break,
                    Some(&next) if next == delimiter => break,
                    Some(_) => {
                        let reason = format!(
                            "line {line}: text follows the quote that closes a value begun on line {opened}; a quote within a \
                             quoted value is written twice"
                        );
                        return Err(damaged(path, reason));
                    }
                }
            }
        }
        at_start = byte == delimiter || byte == b'\n' || byte == b'\r';
        line += u64::from(byte == b'\n');
    }
    Ok(())
}

fn line_error(path: &Path, line: u64, fault: LineFault) -> tasks::TaskError {
    tasks::TaskError::Line { path: path.display().to_string(), line, fault }
}

/// Where a column stands. Errors: `NoColumn`, `Damaged` if two columns have its name.
fn place(path: &Path, field: &FieldPath, known: &[String]) -> Result<usize, DataError> {
    let mut places = (0..known.len()).filter(|&place| known[place] == field.name());
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(damaged(path, format!("two columns are called `{}`", field.name()))),
        (None, _) => {
            let (column, known) = (field.name().to_owned(), known.to_vec());
            Err(DataError::NoColumn { path: path.to_owned(), column, known })
        }
    }
}

fn damaged(path: &Path, reason: String) -> DataError {
    DataError::Damaged { path: path.to_owned(), what: "separated columns", reason }
}
