//! Rows of a Parquet file: texts, numbers, nested columns and lists of messages.
//!
//! Promise: only the wanted columns are decoded, and what they decode to is counted before rows are
//! built of it, so that no small file becomes a large memory. Values go to `tasks` as JSON text, where
//! the same code judges them as in JSON lines.

use super::{DATASET_BYTES_MAX, DataError, ROWS_MAX};
use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, Decimal};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tasks::{Columns, FieldPath, Fields, Values};

/// Most values in the wanted columns of one file: each row with a prompt and an answer, or with a
/// few messages of two texts each.
const VALUES_MAX: u64 = 16 * ROWS_MAX;
/// Rows whose texts are looked at together while they are counted.
const COUNTED_ROWS: usize = 256;

/// Reads the wanted fields of every row.
///
/// The library is known to panic on some damaged files; a file is a stranger's, so that becomes an
/// error too.
pub(super) fn rows(path: &Path, columns: &Columns) -> Result<Vec<tasks::Row>, DataError> {
    catch_unwind(AssertUnwindSafe(|| read(path, columns))).unwrap_or_else(|_| Err(bad(path, "the file is damaged")))
}

fn read(path: &Path, columns: &Columns) -> Result<Vec<tasks::Row>, DataError> {
    let broken = |error: ParquetError| bad(path, error);
    let file = File::open(path).map_err(|source| super::unreadable(path, source))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let metadata = reader.metadata().file_metadata();
    let given = u64::try_from(metadata.num_rows()).unwrap_or(u64::MAX);
    if given > ROWS_MAX {
        return Err(DataError::TooManyRows { path: path.to_owned(), limit: ROWS_MAX, given });
    }
    let schema = metadata.schema();
    let known: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let fields = columns.fields(&|field| has(schema, field), &known)?;
    let has_tools = has(schema, &fields.tools);
    let projection = projection(path, schema, &fields, &known)?;
    check_sizes(path, &reader, &projection)?;
    let mut rows = Vec::new();
    for (row, number) in reader.get_row_iter(Some(projection)).map_err(broken)?.zip(1u64..) {
        let row = row.map_err(broken)?;
        let prompt = json_of(path, number, schema, &row, &fields.prompt)?;
        let answer = fields.answer.as_ref().map(|field| json_of(path, number, schema, &row, field)).transpose()?;
        let tools = has_tools.then(|| json_of(path, number, schema, &row, &fields.tools)).transpose()?;
        let row = fields.row(number, Values { prompt: &prompt, answer: answer.as_deref(), tools: tools.as_deref() });
        rows.push(row.map_err(|fault| DataError::BadRow { path: path.to_owned(), row: number, fault })?);
    }
    Ok(rows)
}

/// The top-level column that a field lies in: one of just its name before that of its first step.
fn root<'s>(schema: &'s Type, field: &FieldPath) -> Option<&'s Arc<Type>> {
    let column = |name: &str| schema.get_fields().iter().find(|column| column.name() == name);
    column(field.name()).or_else(|| column(&field.steps()[0]))
}

fn has(schema: &Type, field: &FieldPath) -> bool {
    let Some(root) = root(schema, field) else { return false };
    let steps = &field.steps()[1..];
    root.name() == field.name() || steps.iter().try_fold(root.clone(), |node, step| child(&node, step)).is_some()
}

/// The file's schema with only the wanted top-level columns, so that the others are not decoded.
fn projection(path: &Path, schema: &Type, fields: &Fields, known: &[String]) -> Result<Type, DataError> {
    let mut wanted = Vec::new();
    for field in std::iter::once(&fields.prompt).chain(&fields.answer) {
        let column = root(schema, field).ok_or_else(|| DataError::NoColumn {
            path: path.to_owned(),
            column: field.name().to_owned(),
            known: known.to_vec(),
        })?;
        wanted.push(column.name());
    }
    wanted.extend(root(schema, &fields.tools).map(|column| column.name()));
    let kept = schema.get_fields().iter().filter(|column| wanted.contains(&column.name())).cloned();
    Type::group_type_builder(schema.name()).with_fields(kept.collect()).build().map_err(|error| bad(path, error))
}

/// Counts what the wanted columns hold before rows are made of it: first as the file declares it,
/// then page by page, then text by text, since one text of a dictionary may stand in every row.
fn check_sizes(path: &Path, reader: &dyn FileReader, projection: &Type) -> Result<(), DataError> {
    let broken = |error: ParquetError| bad(path, error);
    let schema = reader.metadata().file_metadata().schema_descr();
    let is_wanted = |leaf: &usize| {
        let root = schema.get_column_root(*leaf).name();
        projection.get_fields().iter().any(|column| column.name() == root)
    };
    let leaves: Vec<usize> = (0..schema.num_columns()).filter(is_wanted).collect();
    let mut count = Count { path, values: 0, bytes: 0, text_bytes: 0 };
    let groups = reader.metadata().row_groups();
    let declared = groups.iter().flat_map(|group| leaves.iter().map(|&leaf| group.column(leaf).uncompressed_size()));
    count.limit(declared.fold(0u64, |sum, size| sum.saturating_add(u64::try_from(size).unwrap_or(u64::MAX))))?;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(broken)?;
        for &leaf in &leaves {
            count.pages(group.get_column_page_reader(leaf).map_err(broken)?.as_mut())?;
            if let ColumnReader::ByteArrayColumnReader(column) = group.get_column_reader(leaf).map_err(broken)? {
                count.texts(column)?;
            }
        }
    }
    Ok(())
}

struct Count<'p> {
    path: &'p Path,
    values: u64,
    bytes: u64,
    text_bytes: u64,
}

impl Count<'_> {
    fn limit(&self, given: u64) -> Result<(), DataError> {
        match given > DATASET_BYTES_MAX {
            true => Err(DataError::TooLarge { path: self.path.to_owned(), limit: DATASET_BYTES_MAX, given }),
            false => Ok(()),
        }
    }

    fn pages(&mut self, pages: &mut dyn PageReader) -> Result<(), DataError> {
        while let Some(page) = pages.get_next_page().map_err(|error| bad(self.path, error))? {
            self.values += u64::from(page.num_values());
            self.bytes += page.buffer().len() as u64;
            self.limit(self.bytes)?;
            if self.values > VALUES_MAX {
                let (path, limit, given) = (self.path.to_owned(), VALUES_MAX, self.values);
                return Err(DataError::TooManyValues { path, limit, given });
            }
        }
        Ok(())
    }

    fn texts(&mut self, mut column: ColumnReaderImpl<ByteArrayType>) -> Result<(), DataError> {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        loop {
            let mut texts: Vec<ByteArray> = Vec::new();
            above.clear();
            below.clear();
            let read = column.read_records(COUNTED_ROWS, Some(&mut above), Some(&mut below), &mut texts);
            let (records, ..) = read.map_err(|error| bad(self.path, error))?;
            self.text_bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
            self.limit(self.text_bytes)?;
            if records == 0 {
                return Ok(());
            }
        }
    }
}

/// The JSON text of a field of one row; `null` where the way to it ends in nothing.
fn json_of(path: &Path, number: u64, schema: &Type, row: &Row, field: &FieldPath) -> Result<String, DataError> {
    let mut json = String::new();
    let written = match find(schema, row, field) {
        Some((kind, value)) => write_json(&kind, value, &mut json),
        None => write_json(schema, &Field::Null, &mut json),
    };
    written.map(|()| json).map_err(|given| {
        let (path, column) = (path.to_owned(), field.name().to_owned());
        DataError::BadValue { path, row: number, column, given }
    })
}

fn find<'r>(schema: &Type, row: &'r Row, field: &FieldPath) -> Option<(Arc<Type>, &'r Field)> {
    let root = root(schema, field)?;
    let steps = if root.name() == field.name() { &[] } else { &field.steps()[1..] };
    let value = row.get_column_iter().find(|(name, _)| *name == root.name())?.1;
    steps.iter().try_fold((root.clone(), value), |(kind, value), step| match value {
        Field::Group(row) => Some((child(&kind, step)?, row.get_column_iter().find(|(name, _)| *name == step)?.1)),
        Field::ListInternal(list) => Some((element(&kind), list.elements().get(step.parse::<usize>().ok()?)?)),
        _ => None,
    })
}

fn child(group: &Type, name: &str) -> Option<Arc<Type>> {
    let fields = if group.is_group() { group.get_fields() } else { &[] };
    fields.iter().find(|field| field.name() == name).cloned()
}

/// What a list holds: the one field of its repeated group, or in older files what is repeated itself.
fn element(list: &Type) -> Arc<Type> {
    let only = |kind: &Type| (kind.is_group() && kind.get_fields().len() == 1).then(|| kind.get_fields()[0].clone());
    let repeated = only(list).unwrap_or_else(|| Arc::new(list.clone()));
    only(&repeated).unwrap_or(repeated)
}

/// Whether a text is marked as JSON; `datasets` stores so what has another type in each row.
fn is_json(kind: &Type) -> bool {
    let info = kind.get_basic_info();
    info.converted_type() == ConvertedType::JSON || info.logical_type_ref() == Some(&LogicalType::Json)
}

/// Errors: a value that JSON has no form for, in words.
fn write_json(kind: &Type, field: &Field, json: &mut String) -> Result<(), String> {
    match field {
        Field::Null => *json += "null",
        Field::Str(text) if is_json(kind) => {
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| shown(&format!("broken JSON {text}")))?;
            *json += text;
        }
        Field::Str(text) => *json += &quoted(text),
        Field::Bool(flag) => *json += &flag.to_string(),
        Field::Byte(_) | Field::Short(_) | Field::Int(_) | Field::Long(_) => *json += &field.to_string(),
        Field::UByte(_) | Field::UShort(_) | Field::UInt(_) | Field::ULong(_) => *json += &field.to_string(),
        // NaN and the infinities too, which `tasks` tells from numbers.
        Field::Float16(number) => *json += &constant(f64::from(*number), number.to_string()),
        Field::Float(number) => *json += &constant(f64::from(*number), number.to_string()),
        Field::Double(number) => *json += &constant(*number, number.to_string()),
        Field::ListInternal(list) => {
            let kind = element(kind);
            let values = list.elements().iter().map(|value| (None, kind.clone(), value));
            write_all(values, ('[', ']'), json)?;
        }
        Field::Group(row) => {
            let kind = |name: &str| child(kind, name).unwrap_or_else(|| Arc::new(kind.clone()));
            let entries = row.get_column_iter().map(|(name, value)| (Some(name.clone()), kind(name), value));
            write_all(entries, ('{', '}'), json)?;
        }
        // A Decimal of Python's prints the same digits.
        Field::Decimal(number) => *json += &decimal(number).ok_or("a decimal of too many digits")?,
        other => return Err(shown(&in_words(other))),
    }
    Ok(())
}

/// All digits of the column's scale, as `1.50`. Nothing if there are more than any writer makes.
fn decimal(number: &Decimal) -> Option<String> {
    const BYTES_MAX: usize = 64;
    let bytes = number.data();
    let scale = usize::try_from(number.scale()).ok().filter(|scale| *scale <= 3 * BYTES_MAX)?;
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut rest: Vec<u8> = bytes.iter().map(|byte| if is_negative { !byte } else { *byte }).collect();
    if rest.len() > BYTES_MAX {
        return None;
    }
    if is_negative {
        // The two's complement is one more than the inverted bits.
        for byte in rest.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) || digits.len() <= scale {
        let remainder = rest.iter_mut().fold(0u32, |left, byte| {
            let whole = left * 256 + u32::from(*byte);
            *byte = (whole / 10) as u8; // below 256, as what is left is below 10
            whole % 10
        });
        digits.push(char::from(b'0' + remainder as u8));
    }
    let mut text: String = digits.iter().skip(scale).rev().collect();
    if is_negative {
        text.insert(0, '-');
    }
    if scale > 0 {
        text.push('.');
        text.extend(digits[..scale].iter().rev());
    }
    Some(text)
}

/// What a value is that JSON has no form for.
fn in_words(field: &Field) -> String {
    match field {
        Field::Bytes(_) => "bytes (type binary; a text's column is marked as one, as `string` is)".to_owned(),
        Field::MapInternal(_) => "a map".to_owned(),
        Field::Date(_) => format!("the date {field}"),
        other => format!("the time {other}"),
    }
}

fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}

fn write_all<'f>(
    entries: impl Iterator<Item = (Option<String>, Arc<Type>, &'f Field)>,
    (open, close): (char, char),
    json: &mut String,
) -> Result<(), String> {
    json.push(open);
    for (at, (name, kind, value)) in entries.enumerate() {
        if at > 0 {
            json.push(',');
        }
        if let Some(name) = name {
            *json += &quoted(&name);
            json.push(':');
        }
        write_json(&kind, value, json)?;
    }
    json.push(close);
    Ok(())
}

/// Python's name of a number that JSON has none for, else its digits.
fn constant(number: f64, digits: String) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => digits,
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn bad(path: &Path, reason: impl ToString) -> DataError {
    DataError::BadParquet { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::fs;

    /// A file with the columns `id` (number), `prompt` (text) and `answer` (number or null).
    fn write(path: &Path, answers: &[Option<i64>], compression: Compression) {
        let schema = "message rows { required int64 id; required binary prompt (UTF8); optional int64 answer; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (0..answers.len() as i64).collect();
        let prompts: Vec<ByteArray> = ids.iter().map(|id| format!("p{id}").as_str().into()).collect();
        let values: Vec<i64> = answers.iter().copied().flatten().collect();
        let present: Vec<i16> = answers.iter().map(|a| i16::from(a.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&prompts, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&values, Some(&present), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    fn columns(path: &Path, answer: &str) -> Columns {
        Columns {
            path: path.display().to_string(),
            prompt_field: Some("prompt".to_owned()),
            answer: tasks::AnswerSource::Field(answer.to_owned()),
        }
    }

    #[test]
    fn rows_are_read_in_every_compression() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(Default::default()),
            Compression::BROTLI(Default::default()),
            Compression::ZSTD(Default::default()),
            Compression::LZ4_RAW,
            // Hadoop's framing, which Python no longer writes.
            Compression::LZ4,
        ] {
            write(&path, &[Some(10), Some(20)], compression);
            let read = rows(&path, &columns(&path, "answer")).unwrap();
            assert_eq!(read, [tasks::Row::text(1, "p0", "10"), tasks::Row::text(2, "p1", "20")]);
        }
    }

    #[test]
    fn a_null_an_absent_column_and_a_cut_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        write(&path, &[Some(10), None], Compression::SNAPPY);
        let message = |answer: &str| rows(&path, &columns(&path, answer)).unwrap_err().to_string();
        assert!(message("answer").contains("row 2: field \"answer\" must be text"));
        let absent = message("anwser");
        assert!(absent.contains("no column `anwser`, did you mean `answer`?; columns: id"), "{absent}");
        let bytes = fs::read(&path).unwrap();
        for kept in [4, 20, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..kept]).unwrap();
            assert!(rows(&path, &columns(&path, "answer")).is_err(), "{kept} bytes were accepted");
        }
    }

    #[test]
    fn one_text_of_a_dictionary_that_stands_in_every_row_is_counted_in_every_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let schema = "message rows { required binary prompt (UTF8); required binary answer (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_dictionary_page_size_limit(64 << 20)
            .build();
        let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let long: ByteArray = vec![b'x'; 16 << 20].into();
        for _ in 0..2 {
            let mut column = group.next_column().unwrap().unwrap();
            for _ in 0..200 {
                column.typed::<ByteArrayType>().write_batch(std::slice::from_ref(&long), None, None).unwrap();
            }
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
        let refused = rows(&path, &columns(&path, "answer")).unwrap_err();
        assert!(matches!(refused, DataError::TooLarge { limit: DATASET_BYTES_MAX, .. }), "{refused}");
    }

    #[test]
    fn decimals_keep_every_digit() {
        let of = |bytes: &[u8], scale| decimal(&Decimal::from_bytes(bytes.to_vec().into(), 76, scale));
        assert_eq!(of(&[0, 150], 2).unwrap(), "1.50");
        assert_eq!(of(&[0xff, 0x6a], 2).unwrap(), "-1.50");
        assert_eq!(of(&[0xff], 2).unwrap(), "-0.01");
        assert_eq!(of(&[0], 0).unwrap(), "0");
        assert_eq!(of(&[0], 3).unwrap(), "0.000");
        assert_eq!(of(&[0x80], 0).unwrap(), "-128");
        assert_eq!(of(&[0x80, 0], 1).unwrap(), "-3276.8");
        assert_eq!(of(&[], 1).unwrap(), "0.0");
        // 2^127 - 1
        let most = [&[0x7f][..], &[0xff; 15]].concat();
        assert_eq!(of(&most, 0).unwrap(), "170141183460469231731687303715884105727");
        assert_eq!(of(&most, 38).unwrap(), "1.70141183460469231731687303715884105727");
        assert!(of(&[1; 65], 0).is_none() && of(&[1], 1000).is_none());
        assert_eq!(decimal(&Decimal::from_i64(-700, 10, 2)).unwrap(), "-7.00");
    }

    #[test]
    fn answers_of_a_decimal_column_are_numbers_and_bytes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let schema = "message rows { required binary prompt (UTF8); required int64 answer (DECIMAL(10,2)); \
                      required binary raw; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&["p0".into(), "p1".into()], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[4200, -5], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&["q0".into(), "q1".into()], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let read = rows(&path, &columns(&path, "answer")).unwrap();
        assert_eq!(read, [tasks::Row::text(1, "p0", "42.00"), tasks::Row::text(2, "p1", "-0.05")]);
        let refused = rows(&path, &columns(&path, "raw")).unwrap_err().to_string();
        assert!(refused.contains("column `raw` holds bytes (type binary"), "{refused}");
    }

    #[test]
    fn a_flipped_byte_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        write(&path, &[Some(10), Some(20)], Compression::SNAPPY);
        let bytes = fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x41;
            fs::write(&path, &damaged).unwrap();
            // Some flips change a value or a name that nobody checks; what counts is that we return.
            let _ = rows(&path, &columns(&path, "answer"));
        }
    }
}
