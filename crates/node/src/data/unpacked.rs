//! A data file's bytes, unpacked where gzip or zstd packed them.
//!
//! Promise: what a packed file unpacks to is held to the limit of a plain one, and never read beyond it.

use super::{DataError, unreadable};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Beginnings of files that hold no rows that could be read, and what to do instead.
const OTHER_FILES: [(&[u8], &str); 10] = [
    (b"version https://git-lfs", "it is a Git LFS pointer: `git lfs pull` fetches the file that it stands for"),
    (b"ARROW1", "it is an Arrow file: to_parquet or to_json of `datasets` writes one that is read"),
    (b"\xff\xff\xff\xff", "it is an Arrow file: to_parquet or to_json of `datasets` writes one that is read"),
    (b"PK\x03\x04", "it is a zip archive: unpack it"),
    (b"\xfd7zXZ", "it is packed by xz: unpack it, or pack it by gzip or zstd"),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"{\0", UTF_16),
    (b"\0{", UTF_16),
    (b"BZh", "it is packed by bzip2: unpack it, or pack it by gzip or zstd"),
];
const UTF_16: &str = "its text is UTF-16: save it as UTF-8";
/// Bytes at the start that tell what a file is.
const START_BYTES: u64 = 32;

/// The bytes of the file. Packed ones are known by their first bytes, whatever the name.
/// Errors: `Unreadable`, `TooLarge`, `Damaged`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let open = || File::open(path).map_err(|source| unreadable(path, source));
    let mut start = Vec::new();
    open()?.take(START_BYTES).read_to_end(&mut start).map_err(|source| unreadable(path, source))?;
    if let Some((_, reason)) = OTHER_FILES.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(DataError::Damaged { path: path.to_owned(), what: "rows", reason: (*reason).to_owned() });
    }
    let file = BufReader::new(open()?);
    let damaged = |what: &'static str| {
        move |error: std::io::Error| DataError::Damaged { path: path.to_owned(), what, reason: error.to_string() }
    };
    if start.starts_with(GZIP_MAGIC) {
        all(path, flate2::bufread::MultiGzDecoder::new(file), damaged("gzip"))
    } else if start.starts_with(ZSTD_MAGIC) {
        let decoder = zstd::Decoder::with_buffer(file).map_err(damaged("zstd"))?;
        all(path, decoder, damaged("zstd"))
    } else {
        all(path, file, |source| unreadable(path, source))
    }
}

/// Everything that `reader` gives, up to the limit.
fn all(path: &Path, reader: impl Read, error: impl Fn(std::io::Error) -> DataError) -> Result<Vec<u8>, DataError> {
    let limit = tasks::MAX_FILE_BYTES as u64;
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(error)?;
    let given = bytes.len() as u64;
    match given > limit {
        true => Err(DataError::TooLarge { path: path.to_owned(), limit, given }),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_small_file_that_unpacks_to_too_much_is_refused_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.jsonl.gz");
        let mut packed = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let blanks = vec![b' '; 1 << 20];
        for _ in 0..=tasks::MAX_FILE_BYTES >> 20 {
            packed.write_all(&blanks).unwrap();
        }
        packed.finish().unwrap();
        let limit = tasks::MAX_FILE_BYTES as u64;
        assert!(
            matches!(read(&path), Err(DataError::TooLarge { limit: l, given, .. }) if (l, given) == (limit, limit + 1))
        );
    }

    #[test]
    fn files_of_other_kinds_and_cut_ones_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(refused(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n").contains("git lfs pull"));
        assert!(refused(b"\xff\xff\xff\xff\x78\x01").contains("Arrow"));
        assert!(refused(b"\xff\xfe{\0").contains("UTF-16") && refused(b"{\0\"\0").contains("UTF-16"));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[b'x'; 100]).unwrap();
        let packed = packed.finish().unwrap();
        assert!(refused(&packed[..packed.len() - 6]).contains("not readable as gzip"));
        let packed = zstd::encode_all(&[b'x'; 100][..], 1).unwrap();
        assert!(refused(&packed[..packed.len() - 3]).contains("not readable as zstd"));
    }
}
