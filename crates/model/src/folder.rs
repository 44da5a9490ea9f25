//! Reading small files with a limit, and writing a whole folder or nothing.
//!
//! Promise: a folder written here appears under its name only when every byte of it is on disk.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use crate::error::{ModelError, Result};

/// The bytes of a file of at most `limit` bytes; `None` if there is no such file.
/// Errors: `FileTooLarge` before anything is allocated, `Io`.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ModelError::io(path)(error)),
    };
    let given = file.metadata().map_err(ModelError::io(path))?.len();
    if given > limit {
        return Err(ModelError::FileTooLarge { path: path.into(), limit, given });
    }
    let mut bytes = Vec::new();
    // `take` holds the limit even if the file grows meanwhile.
    file.take(limit).read_to_end(&mut bytes).map_err(ModelError::io(path))?;
    Ok(Some(bytes))
}

/// Writes a file and waits until it is on disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(ModelError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(ModelError::io(path))
}

/// Lets `fill` write files into a temporary folder beside `target`, then renames it to `target`.
/// If anything fails, or the machine stops, `target` does not exist; at most a folder whose name
/// begins with `.partial-` is left.
///
/// Errors: `TargetExists` unless `target` is absent or an empty folder; those of `fill`; `Io`.
pub(crate) fn write_whole(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(ModelError::io(parent))?;
    refuse_occupied(target)?;
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(parent).map_err(ModelError::io(parent))?;
    open_to_others(partial.path())?;
    fill(partial.path())?;
    sync_folder(partial.path())?;
    // Renaming onto an empty folder replaces it; onto a filled one fails, even one that came up just now.
    fs::rename(partial.path(), target).map_err(ModelError::io(target))?;
    // The folder is no longer under its temporary name, so there is nothing left to remove.
    let _ = partial.keep();
    sync_folder(parent)
}

fn refuse_occupied(target: &Path) -> Result<()> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(ModelError::TargetExists { path: target.into() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(ModelError::TargetExists { path: target.into() }),
    }
}

/// Temporary folders are private to their maker; a saved model is a folder like any other.
#[cfg(unix)]
fn open_to_others(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(ModelError::io(folder))
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) -> Result<()> {
    Ok(())
}

/// Makes the names in a folder durable; only Unix has the notion.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(ModelError::io(folder))?;
    }
    Ok(())
}
