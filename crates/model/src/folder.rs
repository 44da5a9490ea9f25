//! Reading small files with a limit, and writing a whole folder or nothing.
//!
//! Promise: a folder written here appears under its name only when every byte of it is on disk.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use tempfile::TempDir;

use crate::error::{ModelError, Result};

/// How a Git LFS pointer begins.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// How the file of an adapter's weights begins.
const ADAPTER: &str = "adapter_model.";

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
    refuse_pointer(path, &bytes)?;
    Ok(Some(bytes))
}

/// Errors: `LfsPointer` if these first bytes of a file are those of a Git LFS pointer, as a clone without
/// `git lfs` leaves it.
pub(crate) fn refuse_pointer(path: &Path, start: &[u8]) -> Result<()> {
    let known = &LFS_POINTER[..start.len().clamp(8, LFS_POINTER.len())];
    if start.starts_with(known) {
        return Err(ModelError::LfsPointer { path: path.into() });
    }
    Ok(())
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok())
}

/// Errors: `AdapterBeside` if the folder of a whole model holds an adapter too, which transformers would load instead.
pub(crate) fn refuse_adapter(folder: &Path) -> Result<()> {
    let whole = names(folder).any(|name| name.starts_with("model.safetensors"));
    match names(folder).find(|name| name.starts_with(ADAPTER)) {
        Some(found) if whole => Err(ModelError::AdapterBeside { folder: folder.into(), found }),
        _ => Ok(()),
    }
}

/// The error for a folder without safetensors, which says what there is instead.
pub(crate) fn no_weights(folder: &Path, looked_for: &str) -> ModelError {
    let mut found: Vec<(String, &str)> =
        names(folder).filter_map(|name| advice(&name).map(|advice| (name, advice))).collect();
    found.sort();
    match found.into_iter().next() {
        None => ModelError::MissingFile { folder: folder.into(), looked_for: looked_for.into() },
        Some((found, advice)) => {
            ModelError::OtherWeights { folder: folder.into(), looked_for: looked_for.into(), found, advice }
        }
    }
}

fn advice(name: &str) -> Option<&'static str> {
    let ends = |end: &str| name.ends_with(end);
    if ends(".gguf") {
        return Some("name that file itself");
    }
    if name.starts_with(ADAPTER) {
        return Some("an adapter is not a model; merge it into its base model and save that");
    }
    if name.starts_with("pytorch_model") && (ends(".bin") || ends(".bin.index.json")) || ends(".pth") || ends(".pt") {
        return Some("pickled weights can run code and are not read; load them with transformers and save them again");
    }
    if ends(".h5") || ends(".msgpack") || ends(".onnx") {
        return Some("weights of another framework are not read; load them with transformers and save them again");
    }
    None
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
    let partial = partial_in(parent)?;
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

/// Makes a temporary folder in `parent`. They are private to their maker otherwise; a saved model is a folder like any
/// other, with what the person's umask leaves.
fn partial_in(parent: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".partial-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent).map_err(ModelError::io(parent))
}

/// Makes the names in a folder durable; only Unix has the notion.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|file| file.sync_all()).map_err(ModelError::io(folder))?;
    }
    Ok(())
}
