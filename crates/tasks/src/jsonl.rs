//! Reads rows out of JSON lines, or out of one JSON list of rows.
//!
//! Promise: every refusal names the line and what is wrong with it; sizes are checked before
//! anything is parsed; numbers keep the digits of the file.
//! Takes: the whole file's bytes and the columns wanted. Gives: rows with line numbers.

use crate::columns::{Columns, FieldPath, Fields};
use crate::json::{self, Readable};
use crate::rows::{MAX_FIELD_CHARS, MAX_ROWS, Row};
use crate::{LineFault, TaskError};

/// The largest data file that is read, unpacked.
pub const MAX_FILE_BYTES: usize = 512 << 20;
/// The longest row that is parsed: a prompt and an answer as long as they may be, at four bytes a character.
pub(crate) const MAX_LINE_BYTES: usize = 2 * 4 * MAX_FIELD_CHARS;
/// Columns that a refusal lists.
const COLUMNS_LISTED: usize = 24;

/// The rows of a file of JSON lines, or of one JSON list. Blank lines are skipped, a byte-order mark
/// and CRLF are allowed, fields that are not asked for are ignored.
///
/// Errors: `ParquetBytes`, `FileTooLarge`, `TooManyRows`, `NoPromptField`, `SeveralAnswerFields`,
/// `Line` with the [`LineFault`].
pub(crate) fn read(bytes: &[u8], columns: &Columns) -> Result<Vec<Row>, TaskError> {
    let path = || columns.path.clone();
    if bytes.starts_with(b"PAR1") {
        return Err(TaskError::ParquetBytes { path: path() });
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(TaskError::FileTooLarge { path: path(), limit: MAX_FILE_BYTES, given: bytes.len() });
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = Reader { columns, fields: None, rows: Vec::new() };
    if bytes.trim_ascii_start().starts_with(b"[") {
        reader.list(bytes)?;
    } else {
        for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
            if !line.trim_ascii().is_empty() {
                reader.line(number, line)?;
            }
        }
    }
    Ok(reader.rows)
}

struct Reader<'c> {
    columns: &'c Columns,
    /// Settled by the first row.
    fields: Option<Fields>,
    rows: Vec<Row>,
}

impl Reader<'_> {
    fn fault(&self, line: u64, fault: LineFault) -> TaskError {
        TaskError::Line { path: self.columns.path.clone(), line, fault }
    }

    fn line(&mut self, number: u64, line: &[u8]) -> Result<(), TaskError> {
        self.check_room(number, line.len())?;
        let text = utf8(line).map_err(|fault| self.fault(number, fault))?;
        let readable = Readable::new(text);
        self.row(number, readable.text(), &readable)
    }

    /// One JSON list with a row in each element; lines are counted in the file.
    fn list(&mut self, bytes: &[u8]) -> Result<(), TaskError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let at = before.len() - before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            self.fault(1 + lines_in(before), LineFault::NotUtf8 { at })
        })?;
        let readable = Readable::new(text);
        let path = self.columns.path.clone();
        let bad = |error: serde_json::Error| TaskError::Line {
            path: path.clone(),
            line: error.line() as u64,
            fault: LineFault::BadJson { message: json::without_position(&error) },
        };
        let (mut line, mut seen) = (1, 0);
        json::elements(readable.text(), bad, |_, value| {
            let offset = readable.offset_of(value);
            line += lines_in(&bytes[seen..offset]);
            seen = offset;
            self.check_room(line, value.len())?;
            self.row(line, value, &readable)
        })
    }

    fn check_room(&self, line: u64, given: usize) -> Result<(), TaskError> {
        if self.rows.len() == MAX_ROWS {
            let (limit, given) = (MAX_ROWS, MAX_ROWS + 1);
            return Err(TaskError::TooManyRows { path: self.columns.path.clone(), limit, given });
        }
        match given > MAX_LINE_BYTES {
            true => Err(self.fault(line, LineFault::TooLong { limit: MAX_LINE_BYTES, given })),
            false => Ok(()),
        }
    }

    fn row(&mut self, line: u64, object: &str, file: &Readable<'_>) -> Result<(), TaskError> {
        let fields = match self.fields.take() {
            Some(fields) => fields,
            None => self.settle(line, object)?,
        };
        let row = fields.row_of(line, object, file).map_err(|fault| self.fault(line, fault))?;
        self.fields = Some(fields);
        self.rows.push(row);
        Ok(())
    }

    fn settle(&self, line: u64, object: &str) -> Result<Fields, TaskError> {
        // A first row that is no object is told from one without the columns.
        json::fields(object, &[]).map_err(|error| self.fault(line, LineFault::bad_json(error)))?;
        let has = |field: &FieldPath| !matches!(field.find(object), Ok(None));
        self.columns.fields(&has, &json::keys(object, COLUMNS_LISTED))
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

fn utf8(line: &[u8]) -> Result<&str, LineFault> {
    std::str::from_utf8(line).map_err(|error| LineFault::NotUtf8 { at: error.valid_up_to() })
}
