//! Reads every parameter of a layout from the weight files of a folder.
//!
//! Promise: no buffer is made before the file is seen to be long enough to fill it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use serde::Deserialize;

use super::{INDEX, SINGLE};
use crate::{
    error::{ModelError, Result},
    folder,
    layout::{Layout, ParamSpec},
};

/// Longest safetensors header, in bytes; the limit of the format's own library.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Longest shard index, in bytes. That of Llama-3.1-405B has about 100 000.
const INDEX_BYTES_MAX: u64 = 64 << 20;
const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// The values of every parameter of `layout`, in its order, as f32.
///
/// Errors: `MissingFile`, `MissingTensor`, `UnexpectedTensor`, `WrongShape`, `WrongDtype`,
/// `WrongFileLength`, `Malformed`, `ShardName`, `TiedHeadDiffers`, `FileTooLarge`, `Io`.
pub(crate) fn read(folder: &Path, layout: &Layout) -> Result<Vec<Vec<f32>>> {
    let (files, place) = open_all(folder)?;
    let tensors = by_name(&files);
    let found: Vec<&Stored> = layout.specs.iter().map(|spec| check(spec, &tensors, &place)).collect::<Result<_>>()?;
    refuse_extra(layout, &tensors)?;
    check_tied_head(layout, &tensors)?;
    found.par_iter().map(|stored| stored.values()).collect()
}

/// One tensor in one file, its place checked against the file's length.
struct Stored {
    path: PathBuf,
    name: String,
    info: TensorInfo,
    data_start: u64,
}

impl Stored {
    fn bytes(&self) -> Result<Vec<u8>> {
        let (begin, end) = self.info.data_offsets;
        let mut file = File::open(&self.path).map_err(ModelError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.data_start + begin as u64)).map_err(ModelError::io(&self.path))?;
        let mut bytes = vec![0; end - begin];
        file.read_exact(&mut bytes).map_err(ModelError::io(&self.path))?;
        Ok(bytes)
    }

    fn values(&self) -> Result<Vec<f32>> {
        let bytes = self.bytes()?;
        let pairs = || bytes.as_chunks().0.iter().copied();
        Ok(match self.info.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
            Dtype::BF16 => pairs().map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
            Dtype::F16 => pairs().map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
            other => return Err(self.wrong_dtype(other)),
        })
    }

    fn wrong_dtype(&self, given: Dtype) -> ModelError {
        ModelError::WrongDtype { path: self.path.clone(), tensor: self.name.clone(), given: format!("{given:?}") }
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of all weight files, and the place to name when one is missing.
fn open_all(folder: &Path) -> Result<(Vec<Stored>, PathBuf)> {
    let single = folder.join(SINGLE);
    if single.exists() {
        return Ok((open(&single)?, single));
    }
    let path = folder.join(INDEX);
    let Some(text) = folder::read_bounded(&path, INDEX_BYTES_MAX)? else {
        return Err(ModelError::MissingFile { folder: folder.into(), looked_for: format!("{SINGLE}, {INDEX}") });
    };
    let index: Index = serde_json::from_slice(&text).map_err(|error| ModelError::Malformed {
        path: path.clone(),
        expected: "a shard index",
        reason: error.to_string(),
    })?;
    let shards: BTreeSet<&String> = index.weight_map.values().collect();
    let mut stored = Vec::new();
    for shard in shards {
        stored.extend(open_shard(folder, &path, shard, &index.weight_map)?);
    }
    Ok((stored, folder.into()))
}

/// The tensors of one shard; every tensor that the index places there must be there.
fn open_shard(folder: &Path, index_path: &Path, shard: &str, map: &BTreeMap<String, String>) -> Result<Vec<Stored>> {
    let plain = Path::new(shard).file_name().is_some_and(|name| name == shard);
    if !plain {
        return Err(ModelError::ShardName { path: index_path.into(), given: shard.into() });
    }
    let path = folder.join(shard);
    if !path.exists() {
        return Err(ModelError::MissingFile { folder: folder.into(), looked_for: shard.into() });
    }
    let stored = open(&path)?;
    let names: BTreeSet<&str> = stored.iter().map(|tensor| tensor.name.as_str()).collect();
    match map.iter().find(|(name, file)| *file == shard && !names.contains(name.as_str())) {
        Some((name, _)) => Err(ModelError::MissingTensor { tensor: name.clone(), place: path }),
        None => Ok(stored),
    }
}

/// Reads the header of one safetensors file: 8 bytes of length, JSON, then the data to the end.
fn open(path: &Path) -> Result<Vec<Stored>> {
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
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io())?;
    let length = u64::from_le_bytes(length);
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
    let tensors = metadata.tensors().into_iter();
    Ok(tensors.map(|(name, info)| Stored { path: path.into(), name, info: info.clone(), data_start }).collect())
}

fn malformed(path: &Path, reason: String) -> ModelError {
    ModelError::Malformed { path: path.into(), expected: "safetensors", reason }
}

fn by_name(files: &[Stored]) -> BTreeMap<&str, &Stored> {
    files.iter().map(|stored| (stored.name.as_str(), stored)).collect()
}

fn check<'a>(spec: &ParamSpec, tensors: &BTreeMap<&str, &'a Stored>, place: &Path) -> Result<&'a Stored> {
    let stored = *tensors
        .get(spec.name.as_str())
        .ok_or_else(|| ModelError::MissingTensor { tensor: spec.name.clone(), place: place.into() })?;
    if stored.info.shape != spec.shape {
        return Err(ModelError::WrongShape {
            path: stored.path.clone(),
            tensor: spec.name.clone(),
            expected: spec.shape.clone(),
            given: stored.info.shape.clone(),
        });
    }
    match stored.info.dtype {
        Dtype::F32 | Dtype::BF16 | Dtype::F16 => Ok(stored),
        other => Err(stored.wrong_dtype(other)),
    }
}

/// Tensors without a place are refused, but for the frequency tables that old checkpoints store
/// and the second copy of a tied head.
fn refuse_extra(layout: &Layout, tensors: &BTreeMap<&str, &Stored>) -> Result<()> {
    let known: BTreeSet<&str> = layout.specs.iter().map(|spec| spec.name.as_str()).collect();
    let accepted = |name: &str| known.contains(name) || name.ends_with("rotary_emb.inv_freq") || name == HEAD;
    let extra: Vec<&&Stored> = tensors.values().filter(|stored| !accepted(&stored.name)).collect();
    match extra.first() {
        None => Ok(()),
        Some(first) => Err(ModelError::UnexpectedTensor {
            path: first.path.clone(),
            tensor: first.name.clone(),
            count: extra.len(),
        }),
    }
}

/// A tied model's file may hold the head again, but only with the same bytes.
fn check_tied_head(layout: &Layout, tensors: &BTreeMap<&str, &Stored>) -> Result<()> {
    if layout.head.is_some() {
        return Ok(());
    }
    match (tensors.get(HEAD), tensors.get(EMBEDDING)) {
        (Some(head), Some(embedding)) if head.bytes()? != embedding.bytes()? => {
            Err(ModelError::TiedHeadDiffers { path: head.path.clone() })
        }
        _ => Ok(()),
    }
}
