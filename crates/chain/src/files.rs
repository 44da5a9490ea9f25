//! Small JSON files, whole or not there.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::ChainError;

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn load<T: DeserializeOwned>(path: &Path, bytes_max: u64) -> Result<T, ChainError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut text));
    read.map_err(|cause| fail(path, cause))?;
    if text.len() as u64 > bytes_max {
        return Err(fail(path, format!("longer than {bytes_max} bytes")));
    }
    serde_json::from_slice(&text).map_err(|cause| fail(path, cause))
}

/// Writes a file so that a reader, or who comes after a kill, finds the old content or the new, never a part.
///
/// The bytes go to `path` + `.part`, which is renamed once it is whole and flushed.
/// Errors: whatever the system says; the part is removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    });
    written.inspect_err(|_| {
        // The part is useless either way; the first error is the one to tell.
        let _ = fs::remove_file(&part);
    })
}

/// Writes a file as [`write_whole`] does. What [`load`] would find too long is refused, and the old file stays.
pub(crate) fn save(path: &Path, content: &impl Serialize, bytes_max: u64) -> Result<(), ChainError> {
    let mut text = serde_json::to_vec_pretty(content).expect("names, numbers and strings are JSON");
    text.push(b'\n');
    if text.len() as u64 > bytes_max {
        return Err(fail(path, format!("{} bytes would be longer than {bytes_max} bytes", text.len())));
    }
    write_whole(path, &text).map_err(|cause| fail(path, cause))
}

fn fail(path: &Path, cause: impl ToString) -> ChainError {
    ChainError::File { path: path.into(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_back_is_not_written_over_what_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.json");
        save(&path, &[1, 2], 20).unwrap();
        let error = save(&path, &[1_000_000; 5], 20).unwrap_err();
        assert!(error.to_string().contains("longer than 20 bytes"), "{error}");
        assert_eq!(load::<[u32; 2]>(&path, 20).unwrap(), [1, 2]);
    }
}
