//! The optimiser's moments, read piece by piece from the folder that the trainer has written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

const FILES: [&str; 2] = ["moment1.safetensors", "moment2.safetensors"];
/// Longest header that is read, in bytes: some hundred a tensor.
const HEADER_BYTES_MAX: u64 = 64 << 20;

/// Both moments of every parameter.
pub(super) struct Moments([Tensors; 2]);

impl Moments {
    pub(super) fn open(trainer: &Path) -> Result<Self> {
        let [first, second] = FILES.map(|name| Tensors::open(&trainer.join(name)));
        Ok(Self([first?, second?]))
    }

    /// Numbers `start..start + count` of both moments of a parameter.
    pub(super) fn read(&mut self, name: &str, start: usize, count: usize) -> Result<[&[f32]; 2]> {
        let [first, second] = &mut self.0;
        Ok([first.read(name, start, count)?, second.read(name, start, count)?])
    }
}

/// What a safetensors file says of a tensor.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    data_offsets: [u64; 2],
}

/// A safetensors file of f32 or bf16 tensors.
struct Tensors {
    path: PathBuf,
    file: File,
    /// Where the numbers begin.
    data: u64,
    entries: BTreeMap<String, Entry>,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl Tensors {
    fn open(path: &Path) -> Result<Self> {
        let open = || {
            let mut file = File::open(path)?;
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let length = u64::from_le_bytes(length);
            ensure!(length <= HEADER_BYTES_MAX, "a header of {length} bytes, limit {HEADER_BYTES_MAX}");
            let mut header = Vec::new();
            file.by_ref().take(length).read_to_end(&mut header)?;
            let mut tensors: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)?;
            tensors.remove("__metadata__");
            let entry = |(name, value)| Ok((name, serde_json::from_value(value)?));
            let entries = tensors.into_iter().map(entry).collect::<Result<_>>()?;
            let (bytes, values) = (Vec::new(), Vec::new());
            Ok(Self { path: path.to_owned(), file, data: 8 + length, entries, bytes, values })
        };
        open().with_context(|| path.display().to_string())
    }

    fn read(&mut self, name: &str, start: usize, count: usize) -> Result<&[f32]> {
        let named = || format!("{}, tensor {name}", self.path.display());
        let entry = self.entries.get(name).with_context(named)?;
        let width = match entry.dtype.as_str() {
            "F32" => 4,
            "BF16" => 2,
            other => bail!("{}: moments of {other}, expected F32 or BF16", named()),
        };
        let ([begin, end], (start, length)) = (entry.data_offsets, ((width * start) as u64, width * count));
        let fits = begin.checked_add(start + length as u64).is_some_and(|last| last <= end);
        ensure!(fits, "{}: {count} numbers of {} are not there", named(), entry.dtype);
        self.bytes.resize(length, 0);
        self.file.seek(SeekFrom::Start(self.data + begin + start)).with_context(named)?;
        self.file.read_exact(&mut self.bytes).with_context(named)?;
        self.values.clear();
        match width {
            4 => self.values.extend(self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            // bf16 is the upper half of f32.
            _ => self.values.extend(
                self.bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16)),
            ),
        }
        Ok(&self.values)
    }
}
