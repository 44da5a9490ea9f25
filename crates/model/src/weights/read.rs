//! Reads every parameter of a configuration from the safetensors files of a folder.
//!
//! Promise: no buffer is made before the file is seen to be long enough to fill it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use ops::host::Floats;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;

use super::{
    INDEX, SINGLE, StoredWeights,
    names::{self, EMBEDDING, HEAD},
};
use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    folder,
    layout::{Layout, ParamSpec},
    warning::Warning,
};

/// Longest safetensors header, in bytes; the limit of the format's own library.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Values that are read at once, so that a file's bytes take little memory beside them.
const BLOCK_VALUES: usize = 1 << 18;
/// Longest shard index, in bytes. That of Llama-3.1-405B has about 100 000.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// The files with every parameter of `config`. Names may lack the `model.` in front or have more there, and
/// heads that are no language model's are passed over; both are told. A head that is said to be tied but stored with
/// other values than the embedding makes the model untied, as in transformers.
///
/// Errors: `MissingFile`, `OtherWeights`, `MissingTensor`, `UnexpectedTensor`, `WrongShape`, `WrongDtype`,
/// `WrongFileLength`, `Malformed`, `ShardName`, `LfsPointer`, `FileTooLarge`, `Io`.
pub(crate) fn open(folder: &Path, mut config: ModelConfig) -> Result<StoredWeights> {
    let files = Files::open(folder)?;
    let names::Named { mut tensors, mut warnings } = names::resolve(files.tensors)?;
    if config.tied {
        tie(&mut config, &mut tensors, &mut warnings)?;
    }
    let layout = Layout::new(&config);
    let place = |name: &str| files.index.get(name).map_or(files.place.clone(), |shard| folder.join(shard));
    let check = |spec| check(spec, &tensors, place);
    let found: Vec<Stored> = layout.specs.iter().map(|spec| check(spec).cloned()).collect::<Result<_>>()?;
    refuse_extra(&layout, &tensors)?;
    Ok(StoredWeights::new(config, warnings, move |index| found[index].values()))
}

/// One tensor in one file, its place checked against the file's length.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) path: PathBuf,
    info: TensorInfo,
    data_start: u64,
}

impl Stored {
    /// Zeros for a format that [`check`] refuses.
    fn values(&self) -> Result<Floats> {
        let (begin, end) = self.info.data_offsets;
        let mut file = File::open(&self.path).map_err(ModelError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.data_start + begin as u64)).map_err(ModelError::io(&self.path))?;
        let count: usize = self.info.shape.iter().product();
        let size = (end - begin) / count.max(1);
        Floats::filled(count, |values| {
            let mut bytes = vec![0; size * BLOCK_VALUES.min(count)];
            for values in values.chunks_mut(BLOCK_VALUES) {
                let bytes = &mut bytes[..size * values.len()];
                file.read_exact(bytes).map_err(ModelError::io(&self.path))?;
                decode(self.info.dtype, bytes, values);
            }
            Ok(())
        })
    }
}

fn decode(dtype: Dtype, bytes: &[u8], values: &mut [f32]) {
    fn each<const N: usize>(bytes: &[u8], values: &mut [f32], number: impl Fn([u8; N]) -> f32) {
        values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, bytes)| *value = number(*bytes));
    }
    match dtype {
        Dtype::F32 => each(bytes, values, f32::from_le_bytes),
        Dtype::BF16 => each(bytes, values, |pair| bf16::from_le_bytes(pair).to_f32()),
        Dtype::F16 => each(bytes, values, |pair| f16::from_le_bytes(pair).to_f32()),
        Dtype::F64 => each(bytes, values, |number| f64::from_le_bytes(number) as f32),
        _ => {}
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of all weight files by their stored names.
struct Files {
    tensors: BTreeMap<String, Stored>,
    /// What the shard index says of each tensor.
    index: BTreeMap<String, String>,
    /// The file or folder to name when a tensor is missing.
    place: PathBuf,
}

impl Files {
    fn open(folder: &Path) -> Result<Self> {
        folder::refuse_adapter(folder)?;
        let single = folder.join(SINGLE);
        if single.exists() {
            return Ok(Self { tensors: open_file(&single)?.collect(), index: BTreeMap::new(), place: single });
        }
        let path = folder.join(INDEX);
        let Some(text) = folder::read_bounded(&path, INDEX_BYTES_MAX)? else {
            return Err(folder::no_weights(folder, &format!("{SINGLE}, {INDEX}")));
        };
        let Index { weight_map: index } = serde_json::from_slice(&text).map_err(|error| ModelError::Malformed {
            path: path.clone(),
            expected: "a shard index",
            reason: error.to_string(),
        })?;
        let mut shards: Vec<&String> = index.values().collect();
        shards.sort();
        shards.dedup();
        let mut tensors = BTreeMap::new();
        for shard in shards {
            for (name, stored) in open_shard(folder, &path, shard)? {
                // Of two copies the one that the index names counts.
                if !tensors.contains_key(&name) || index.get(&name) == Some(shard) {
                    tensors.insert(name, stored);
                }
            }
        }
        Ok(Self { tensors, index, place: folder.into() })
    }
}

fn open_shard(folder: &Path, index_path: &Path, shard: &str) -> Result<impl Iterator<Item = (String, Stored)>> {
    let plain = Path::new(shard).file_name().is_some_and(|name| name == shard);
    if !plain {
        return Err(ModelError::ShardName { path: index_path.into(), given: shard.into() });
    }
    let path = folder.join(shard);
    if !path.exists() {
        return Err(ModelError::MissingFile { folder: folder.into(), looked_for: shard.into() });
    }
    open_file(&path)
}

/// Reads the header of one safetensors file: 8 bytes of length, JSON, then the data to the end.
fn open_file(path: &Path) -> Result<impl Iterator<Item = (String, Stored)> + use<>> {
    let io = || ModelError::io(path);
    let mut file = File::open(path).map_err(io())?;
    let given = file.metadata().map_err(io())?.len();
    let at_least = |expected| {
        if given < expected {
            return Err(ModelError::WrongFileLength { path: path.into(), expected, given });
        }
        Ok(())
    };
    at_least(8)?;
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(io())?;
    folder::refuse_pointer(path, &start)?;
    if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return Err(malformed(path, format!("it begins with the text {:?}", String::from_utf8_lossy(&start))));
    }
    let length = u64::from_le_bytes(start);
    if length > HEADER_BYTES_MAX {
        let reason = format!("its header claims {length} bytes, more than the limit of {HEADER_BYTES_MAX}");
        return Err(malformed(path, reason));
    }
    let data_start = 8 + length;
    at_least(data_start)?;
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(io())?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| malformed(path, error.to_string()))?;
    let expected = data_start.saturating_add(metadata.data_len() as u64);
    if given != expected {
        return Err(ModelError::WrongFileLength { path: path.into(), expected, given });
    }
    let path = path.to_owned();
    let stored = move |(name, info): (String, &TensorInfo)| {
        (name, Stored { path: path.clone(), info: info.clone(), data_start })
    };
    let tensors: Vec<(String, Stored)> = metadata.tensors().into_iter().map(stored).collect();
    Ok(tensors.into_iter())
}

fn malformed(path: &Path, reason: String) -> ModelError {
    ModelError::Malformed { path: path.into(), expected: "safetensors", reason }
}

fn check<'a>(
    spec: &ParamSpec,
    tensors: &'a BTreeMap<String, Stored>,
    place: impl Fn(&str) -> PathBuf,
) -> Result<&'a Stored> {
    let missing = || ModelError::MissingTensor { tensor: spec.name.clone(), place: place(&spec.name) };
    let stored = tensors.get(&spec.name).ok_or_else(missing)?;
    if stored.info.shape != spec.shape {
        return Err(ModelError::WrongShape {
            path: stored.path.clone(),
            tensor: spec.name.clone(),
            expected: spec.shape.clone(),
            given: stored.info.shape.clone(),
        });
    }
    match stored.info.dtype {
        Dtype::F64 | Dtype::F32 | Dtype::BF16 | Dtype::F16 => Ok(stored),
        other => Err(ModelError::WrongDtype {
            path: stored.path.clone(),
            tensor: spec.name.clone(),
            given: format!("{other:?}"),
            read: "F64, F32, BF16 and F16",
        }),
    }
}

fn refuse_extra(layout: &Layout, tensors: &BTreeMap<String, Stored>) -> Result<()> {
    let known = |name: &str| layout.specs.iter().any(|spec| spec.name == name) || name == HEAD;
    let extra: Vec<_> = tensors.iter().filter(|(name, _)| !known(name)).collect();
    match extra.first() {
        None => Ok(()),
        Some((name, stored)) => {
            Err(ModelError::UnexpectedTensor { path: stored.path.clone(), tensor: (*name).clone(), count: extra.len() })
        }
    }
}

/// What a tied model's file may hold: the embedding, the head, or both. Two that differ are no tie.
fn tie(config: &mut ModelConfig, tensors: &mut BTreeMap<String, Stored>, warnings: &mut Vec<Warning>) -> Result<()> {
    let Some(head) = tensors.get(HEAD) else { return Ok(()) };
    match tensors.get(EMBEDDING) {
        Some(embedding) if head.info.shape != embedding.info.shape || head.values()? != embedding.values()? => {
            config.tied = false;
            warnings.push(Warning::TiedHeadDiffers { path: head.path.clone() });
        }
        Some(_) => {}
        None => {
            let head = tensors.remove(HEAD).expect("it was there just now");
            tensors.insert(EMBEDDING.into(), head);
        }
    }
    Ok(())
}
