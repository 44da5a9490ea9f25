//! Writes every parameter of a layout as safetensors, in shards where one file would grow too large.
//!
//! Promise: file names, index and `format` entry are those that transformers reads.

use std::{borrow::Cow, collections::HashMap, fs::File, path::Path};

use half::bf16;
use rayon::prelude::*;
use safetensors::{Dtype, View};
use serde_json::json;

use super::{INDEX, SINGLE, WeightDtype};
use crate::{
    error::{ModelError, Result},
    folder,
    layout::ParamSpec,
};

/// Writes `values[i]` as parameter `specs[i]` into `folder`, each file on disk when this returns.
/// A shard holds at most `shard_bytes_max` bytes of data unless one tensor alone is larger.
pub(crate) fn write(
    folder: &Path,
    specs: &[ParamSpec],
    values: &[impl AsRef<[f32]>],
    dtype: WeightDtype,
    shard_bytes_max: u64,
) -> Result<()> {
    let outgoing: Vec<Outgoing> =
        specs.iter().zip(values).map(|(spec, values)| Outgoing { spec, values: values.as_ref(), dtype }).collect();
    let shards = split(&outgoing, shard_bytes_max);
    if let [_] = shards.as_slice() {
        return write_file(&folder.join(SINGLE), &outgoing);
    }
    let mut map = serde_json::Map::new();
    for (number, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        write_file(&folder.join(&name), shard)?;
        map.extend(shard.iter().map(|tensor| (tensor.spec.name.clone(), json!(name))));
    }
    let total: usize = outgoing.iter().map(Outgoing::bytes).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": map});
    folder::write_synced(&folder.join(INDEX), format!("{index:#}\n").as_bytes())
}

/// Cuts the list, in order, into runs of at most `shard_bytes_max` bytes.
fn split<'a, 'b>(tensors: &'b [Outgoing<'a>], shard_bytes_max: u64) -> Vec<&'b [Outgoing<'a>]> {
    let mut shards = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, tensor) in tensors.iter().enumerate() {
        let more = tensor.bytes() as u64;
        if bytes > 0 && bytes + more > shard_bytes_max {
            shards.push(&tensors[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += more;
    }
    shards.push(&tensors[begin..]);
    shards
}

fn write_file(path: &Path, tensors: &[Outgoing]) -> Result<()> {
    // The library makes its files readable by their maker alone; this one has what the person's umask leaves.
    let made = File::create(path).and_then(|file| file.metadata()).map_err(ModelError::io(path))?;
    // Older transformers refuse files without this entry.
    let note = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let named = tensors.iter().map(|tensor| (tensor.spec.name.as_str(), tensor));
    safetensors::serialize_to_file(named, Some(note), path).map_err(|error| ModelError::Malformed {
        path: path.into(),
        expected: "safetensors to write",
        reason: error.to_string(),
    })?;
    let file = File::open(path).map_err(ModelError::io(path))?;
    file.set_permissions(made.permissions()).and_then(|()| file.sync_all()).map_err(ModelError::io(path))
}

struct Outgoing<'a> {
    spec: &'a ParamSpec,
    values: &'a [f32],
    dtype: WeightDtype,
}

impl Outgoing<'_> {
    fn bytes(&self) -> usize {
        self.values.len() * self.dtype.bytes()
    }
}

impl View for &Outgoing<'_> {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            WeightDtype::F32 => Dtype::F32,
            WeightDtype::Bf16 => Dtype::BF16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.bytes()];
        match self.dtype {
            WeightDtype::F32 => fill(&mut bytes, self.values, f32::to_le_bytes),
            WeightDtype::Bf16 => fill(&mut bytes, self.values, |value| bf16::from_f32(value).to_le_bytes()),
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes()
    }
}

/// Writes each value as `N` bytes, on all cores.
fn fill<const N: usize>(bytes: &mut [u8], values: &[f32], encode: fn(f32) -> [u8; N]) {
    let pairs = bytes.as_chunks_mut::<N>().0.par_iter_mut().zip(values);
    pairs.for_each(|(bytes, value)| *bytes = encode(*value));
}
