//! Small JSON files, whole or not there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

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

/// Writes beside the file and puts the result in its place, so that a kill leaves the old file or the new one.
pub(crate) fn save(path: &Path, content: &impl Serialize) -> Result<(), ChainError> {
    let mut text = serde_json::to_vec_pretty(content).expect("names, numbers and strings are JSON");
    text.push(b'\n');
    let beside = path.with_extension("writing");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, path)).map_err(|cause| fail(path, cause))
}

fn fail(path: &Path, cause: impl ToString) -> ChainError {
    ChainError::File { path: path.into(), cause: cause.to_string() }
}
