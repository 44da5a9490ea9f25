//! Reads rows of text out of JSON lines.
//!
//! Promise: every refusal names the line and what is wrong with it; sizes are checked before
//! anything is parsed; numbers keep the digits of the file.
//! Takes: the whole file's bytes and one or two field names. Gives: rows with line numbers.

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rows::{MAX_ROWS, NumberedRow};
use crate::{LineFault, TaskError};

/// The largest data file that is read.
pub(crate) const MAX_FILE_BYTES: usize = 512 << 20;
/// The longest line that is parsed.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;

/// The rows of a JSON-lines file. Blank lines are skipped, a byte-order mark and CRLF are allowed,
/// fields that are not asked for are ignored. Without an answer field the answers are empty.
///
/// Errors: `ParquetBytes`, `FileTooLarge`, `TooManyRows`, `Line` with the [`LineFault`].
pub(crate) fn read(
    path: &str,
    bytes: &[u8],
    prompt_field: &str,
    answer_field: Option<&str>,
) -> Result<Vec<NumberedRow>, TaskError> {
    if bytes.starts_with(b"PAR1") {
        return Err(TaskError::ParquetBytes { path: path.to_owned() });
    }
    if bytes.len() > MAX_FILE_BYTES {
        let (limit, given) = (MAX_FILE_BYTES, bytes.len());
        return Err(TaskError::FileTooLarge { path: path.to_owned(), limit, given });
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut rows = Vec::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = at as u64 + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if rows.len() == MAX_ROWS {
            let (limit, given) = (MAX_ROWS, MAX_ROWS + 1);
            return Err(TaskError::TooManyRows { path: path.to_owned(), limit, given });
        }
        let (prompt, answer) = read_line(line, prompt_field, answer_field).map_err(|fault| TaskError::Line {
            path: path.to_owned(),
            line: number,
            fault,
        })?;
        rows.push(NumberedRow { line: number, prompt, answer });
    }
    Ok(rows)
}

fn read_line(line: &[u8], prompt_field: &str, answer_field: Option<&str>) -> Result<(String, String), LineFault> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineFault::TooLong { limit: MAX_LINE_BYTES, given: line.len() });
    }
    let text = std::str::from_utf8(line).map_err(|error| LineFault::NotUtf8 { at: error.valid_up_to() })?;
    let fields = [Some(prompt_field), answer_field];
    let mut json = serde_json::Deserializer::from_str(text);
    let bad_json = |error: serde_json::Error| LineFault::BadJson { message: without_position(&error) };
    let found = json.deserialize_map(Fields { names: fields }).map_err(bad_json)?;
    json.end().map_err(bad_json)?;
    let take = |slot: usize, name: &str| text_of(name, &found[slot]);
    let answer = answer_field.map_or(Ok(String::new()), |name| take(1, name))?;
    Ok((take(0, prompt_field)?, answer))
}

/// The JSON reader's message with the column but without "line 1", since every line is read alone.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    format!("{message} (column {})", error.column())
}

/// What was found for one wanted field.
#[derive(Default)]
enum Found<'a> {
    #[default]
    Nothing,
    Once(&'a RawValue),
    Twice,
}

fn text_of(name: &str, found: &Found<'_>) -> Result<String, LineFault> {
    let field = name.to_owned();
    let raw = match found {
        Found::Nothing => return Err(LineFault::MissingField { field }),
        Found::Twice => return Err(LineFault::DuplicateField { field }),
        Found::Once(raw) => raw.get(),
    };
    let found = match raw.as_bytes().first() {
        Some(b'"') => {
            return serde_json::from_str(raw).map_err(|error| LineFault::BadJson { message: without_position(&error) });
        }
        Some(b'-' | b'0'..=b'9') => return Ok(raw.to_owned()),
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b'n') => "null",
        _ => "a truth value",
    };
    Err(LineFault::NotText { field, found })
}

/// Collects the wanted fields of one JSON object without building the others.
struct Fields<'n> {
    names: [Option<&'n str>; 2],
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = [Found<'de>; 2];

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object with the fields of one row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Self::Value::default();
        while let Some(key) = map.next_key::<String>()? {
            if !self.names.contains(&Some(&key)) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw = map.next_value::<&RawValue>()?;
            for (slot, name) in found.iter_mut().zip(self.names) {
                if name == Some(&key) {
                    *slot = match slot {
                        Found::Nothing => Found::Once(raw),
                        _ => Found::Twice,
                    };
                }
            }
        }
        Ok(found)
    }
}
