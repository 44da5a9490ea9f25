//! Writes a trainer's state to a folder and reads it back.
//!
//! Promise: what is read is bit for bit what was written, or a named error; a folder that exists is whole, because
//! it gets its name last. A load that fails changes nothing.
//! The folder: `weights` (f32), `moment1`, `moment2` (f32 or bf16; all `.safetensors`) and `trainer.json` with counters
//! and hashes.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use model::Param;
use ops::host::RawNumbers;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, View};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};
use crate::optimizer::MomentsDtype;
use crate::trainer::Trainer;

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const HEADER: &str = "trainer.json";
const TENSOR_FILES: [&str; 3] = ["weights.safetensors", "moment1.safetensors", "moment2.safetensors"];
/// Longest header that is read, in bytes; real ones have a few hundred.
const HEADER_BYTES_MAX: u64 = 1 << 16;
/// Longest header of a tensor file, in bytes: the limit of the format's own library.
const TENSOR_HEADER_BYTES_MAX: u64 = 100_000_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    version: u64,
    updates: u64,
    tokens_seen: u64,
    /// BLAKE3 of each tensor file, in the order of [`TENSOR_FILES`].
    blake3: [String; 3],
}

impl Trainer {
    /// Writes weights, both moments and all counters to a new folder.
    ///
    /// Errors: `TargetExists`, `Io`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            return Err(TrainError::TargetExists { path: folder.to_owned() });
        }
        let partial = partial_path(folder);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(at(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(at(&partial))?;
        let written = self.write_files(&partial).and_then(|()| rename_synced(&partial, folder));
        if written.is_err() {
            // The first error is the one to report; what is left here is never taken for a checkpoint.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    /// Takes over the state that [`Trainer::save`] wrote for the same model.
    ///
    /// One tensor at a time takes the place of the present one, so that no second state is held.
    ///
    /// Errors: `Io`, `Damaged`, `WrongModel`, `WrongMoments`; all but files that change or vanish while they are read are
    /// found before anything of this trainer is touched.
    pub fn load(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(HEADER);
        let size = fs::metadata(&path).map_err(at(&path))?.len();
        if size > HEADER_BYTES_MAX {
            return Err(damaged(&path, format!("{size} bytes, more than the limit of {HEADER_BYTES_MAX}")));
        }
        let text = fs::read(&path).map_err(at(&path))?;
        let header: Header = serde_json::from_slice(&text).map_err(|error| damaged(&path, error.to_string()))?;
        if header.format != FORMAT {
            return Err(damaged(&path, format!("format {}, this program reads {FORMAT}", header.format)));
        }
        let open = |index: usize| self.open_file(folder, index, &header.blake3[index]);
        let files = [open(0)?, open(1)?, open(2)?];
        let device = self.model.device();
        for (place, param) in self.model.params_mut().list.iter_mut().enumerate() {
            let [weights, first, second] = [0, 1, 2].map(|index| files[index].read(place));
            param.value = weights?.into_tensor(&device);
            self.optimizer.first[place] = first?.into_tensor(&device);
            self.optimizer.second[place] = second?.into_tensor(&device);
        }
        self.optimizer.updates = header.updates;
        (self.version, self.tokens_seen) = (header.version, header.tokens_seen);
        Ok(())
    }

    fn write_files(&self, folder: &Path) -> Result<()> {
        let params = &self.model.params().list;
        let mut hashes = Vec::new();
        for (index, name) in TENSOR_FILES.iter().enumerate() {
            let path = folder.join(name);
            let tensors = params.iter().enumerate().map(|(place, param)| {
                let tensor = match index {
                    0 => &param.value,
                    1 => &self.optimizer.first[place],
                    _ => &self.optimizer.second[place],
                };
                (&param.name, Stored { shape: &param.shape, values: RawNumbers::of(tensor) })
            });
            safetensors::serialize_to_file(tensors, None, &path).map_err(|error| unwritten(&path, error))?;
            hashes.push(hash(&path)?);
            File::open(&path).and_then(|file| file.sync_all()).map_err(at(&path))?;
        }
        let header = Header {
            format: FORMAT,
            version: self.version,
            updates: self.optimizer.updates,
            tokens_seen: self.tokens_seen,
            blake3: hashes.try_into().expect("one hash for each of three files"),
        };
        let path = folder.join(HEADER);
        let text = serde_json::to_vec_pretty(&header).expect("numbers and strings always serialise");
        fs::write(&path, text).map_err(at(&path))?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(at(&path))
    }

    /// Checks hash, names and shapes of a file, and finds the place of each parameter's numbers.
    fn open_file(&self, folder: &Path, index: usize, expected: &str) -> Result<TensorFile> {
        let path = folder.join(TENSOR_FILES[index]);
        let given = hash(&path)?;
        if given != expected {
            return Err(damaged(&path, format!("its hash is {given}, written was {expected}")));
        }
        let (data_start, metadata) = read_metadata(&path)?;
        let format = if index == 0 { MomentsDtype::F32 } else { self.config().optimizer.moments_dtype };
        let params = &self.model.params().list;
        let wrong = |reason| TrainError::WrongModel { path: path.clone(), reason };
        let count = metadata.tensors().len();
        if count != params.len() {
            return Err(wrong(format!("{count} tensors, the model has {}", params.len())));
        }
        let place = |param: &Param| {
            let info = metadata.info(&param.name).ok_or_else(|| wrong(format!("no tensor {}", param.name)))?;
            if info.shape != param.shape {
                return Err(wrong(format!("{} is {:?}, expected {:?}", param.name, info.shape, param.shape)));
            }
            if info.dtype != written(format.dtype()) {
                let given = format!("{:?}", info.dtype);
                return Err(match index {
                    0 => wrong(format!("{} is {given}, expected F32", param.name)),
                    _ => TrainError::WrongMoments { path: path.clone(), expected: format, given },
                });
            }
            Ok((data_start + info.data_offsets.0 as u64, info.shape.iter().product()))
        };
        let places = params.iter().map(place).collect::<Result<_>>()?;
        Ok(TensorFile { path: path.clone(), dtype: format.dtype(), places })
    }
}

/// A file that was checked: where each parameter's numbers begin, and how many there are.
struct TensorFile {
    path: PathBuf,
    dtype: DType,
    places: Vec<(u64, usize)>,
}

impl TensorFile {
    fn read(&self, place: usize) -> Result<RawNumbers> {
        let (start, count) = self.places[place];
        let mut file = File::open(&self.path).map_err(at(&self.path))?;
        file.seek(SeekFrom::Start(start)).map_err(at(&self.path))?;
        RawNumbers::filled(self.dtype, count, |bytes| file.read_exact(bytes).map_err(at(&self.path)))
    }
}

/// The header of a safetensors file whose hash is right, and where its numbers begin.
fn read_metadata(path: &Path) -> Result<(u64, Metadata)> {
    let mut file = File::open(path).map_err(at(path))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(at(path))?;
    let length = u64::from_le_bytes(length);
    if length > TENSOR_HEADER_BYTES_MAX {
        return Err(damaged(path, format!("a header of {length} bytes, limit {TENSOR_HEADER_BYTES_MAX}")));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(at(path))?;
    let metadata = serde_json::from_slice(&header).map_err(|error| damaged(path, error.to_string()))?;
    Ok((8 + length, metadata))
}

/// The numbers of a tensor as they are written, little-endian as this machine has them.
struct Stored<'a> {
    shape: &'a [usize],
    values: RawNumbers,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        written(self.values.dtype())
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.values)
    }

    fn data_len(&self) -> usize {
        self.values.len()
    }
}

/// The file's name of a format that a trainer's state has.
fn written(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::BF16 => Dtype::BF16,
        other => unreachable!("no weight and no moment is {other:?}"),
    }
}

fn partial_path(folder: &Path) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    folder.with_file_name(format!(".{name}.partial"))
}

fn rename_synced(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(at(to))?;
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))
}

fn hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(at(path))?;
    io::copy(&mut file, &mut hasher).map_err(at(path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TrainError + '_ {
    move |source| TrainError::Io { path: path.to_owned(), source }
}

fn unwritten(path: &Path, error: SafeTensorError) -> TrainError {
    let source = match error {
        SafeTensorError::IoError(source) => source,
        other => io::Error::other(other.to_string()),
    };
    TrainError::Io { path: path.to_owned(), source }
}

fn damaged(path: &Path, reason: String) -> TrainError {
    TrainError::Damaged { path: path.to_owned(), reason }
}
