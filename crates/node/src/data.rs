//! Reads the files that a run names: datasets as bytes, and hints for names that are a little off.
//!
//! Promise: a file is read whole or refused with its name, its size and the limit; nothing is
//! allocated before the size is known.

use std::path::Path;

/// The most similar file name in the folder of `path`, for "did you mean".
pub fn nearest_file(path: &Path) -> Option<String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    /// Names looked at; a hint is not worth reading a huge folder.
    const NAMES_MAX: usize = 10_000;
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .take(NAMES_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name()?.to_str()?;
    crate::config::nearest(wanted, &names).map(str::to_owned)
}
