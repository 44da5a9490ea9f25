//! Two columns of a Parquet file as rows of text.

use super::{DataError, ROWS_MAX};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tasks::Columns;

/// Reads `(prompt, answer)` of every row; the answer is empty where the task wants none.
///
/// The library is known to panic on some damaged files; a file is a stranger's, so that becomes an
/// error too.
pub(super) fn rows(path: &Path, columns: &Columns) -> Result<Vec<(String, String)>, DataError> {
    catch_unwind(AssertUnwindSafe(|| read(path, columns))).unwrap_or_else(|_| Err(bad(path, "the file is damaged")))
}

fn read(path: &Path, columns: &Columns) -> Result<Vec<(String, String)>, DataError> {
    let broken = |error: ParquetError| bad(path, error);
    let file = File::open(path).map_err(|source| super::unreadable(path, source))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let metadata = reader.metadata().file_metadata();
    let given = u64::try_from(metadata.num_rows()).unwrap_or(u64::MAX);
    if given > ROWS_MAX {
        return Err(DataError::TooManyRows { path: path.to_owned(), limit: ROWS_MAX, given });
    }
    let wanted: Vec<&str> =
        std::iter::once(columns.prompt_field.as_str()).chain(columns.answer_field.as_deref()).collect();
    let projection = projection(path, metadata.schema(), &wanted)?;
    let mut rows = Vec::new();
    let found = reader.get_row_iter(Some(projection)).map_err(broken)?;
    for (row, number) in found.zip(1u64..) {
        let row = row.map_err(broken)?;
        let value = |name: &str| {
            row.get_column_iter()
                .find(|(column, _)| *column == name)
                .map(|(_, field)| text(path, number, name, field))
                .transpose()
                .map(Option::unwrap_or_default)
        };
        let answer = columns.answer_field.as_deref().map_or(Ok(String::new()), value)?;
        rows.push((value(&columns.prompt_field)?, answer));
    }
    Ok(rows)
}

/// The file's schema with only the wanted top-level columns, so that the others are not decoded.
fn projection(path: &Path, schema: &Type, wanted: &[&str]) -> Result<Type, DataError> {
    let fields: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|field| wanted.contains(&field.name())).cloned().collect();
    for column in wanted {
        if !fields.iter().any(|field| field.name() == *column) {
            let known = schema.get_fields().iter().map(|field| field.name().to_owned());
            return Err(DataError::NoColumn {
                path: path.to_owned(),
                column: (*column).to_owned(),
                known: known.collect(),
            });
        }
    }
    Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(|error| bad(path, error))
}

fn text(path: &Path, row: u64, column: &str, field: &Field) -> Result<String, DataError> {
    match field {
        Field::Str(text) => Ok(text.clone()),
        Field::Byte(_) | Field::Short(_) | Field::Int(_) | Field::Long(_) => Ok(field.to_string()),
        Field::UByte(_) | Field::UShort(_) | Field::UInt(_) | Field::ULong(_) => Ok(field.to_string()),
        Field::Float(number) => Ok(number.to_string()),
        Field::Double(number) => Ok(number.to_string()),
        other => Err(DataError::BadValue {
            path: path.to_owned(),
            row,
            column: column.to_owned(),
            given: other.to_string().chars().take(60).collect(),
        }),
    }
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
            prompt_field: "prompt".to_owned(),
            answer_field: Some(answer.to_owned()),
        }
    }

    #[test]
    fn rows_are_read_in_both_usual_compressions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        for compression in [Compression::SNAPPY, Compression::ZSTD(Default::default())] {
            write(&path, &[Some(10), Some(20)], compression);
            let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
            let read = rows(&path, &columns(&path, "answer")).unwrap();
            assert_eq!(read, [pair("p0", "10"), pair("p1", "20")]);
        }
    }

    #[test]
    fn a_null_an_absent_column_and_a_cut_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        write(&path, &[Some(10), None], Compression::SNAPPY);
        let message = |answer: &str| rows(&path, &columns(&path, answer)).unwrap_err().to_string();
        assert!(message("answer").contains("row 2: column `answer` holds null"));
        let absent = message("anwser");
        assert!(absent.contains("no column `anwser`, did you mean `answer`?; columns: id"), "{absent}");
        let bytes = fs::read(&path).unwrap();
        for kept in [4, 20, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..kept]).unwrap();
            assert!(rows(&path, &columns(&path, "answer")).is_err(), "{kept} bytes were accepted");
        }
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
