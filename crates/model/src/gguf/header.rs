//! The header of a GGUF file: metadata, and where each tensor is.
//!
//! Promise: nothing is reserved by a number of the file that the file's length does not bear out.
//! Source: `docs/gguf.md` of ggml. All numbers are little-endian:
//! "GGUF", version, number of tensors, number of entries; entries (name, type, value); tensors (name, number of
//! dimensions, dimensions from the fastest on, type, offset); padding to the alignment; the data.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use ops::host::Floats;

use super::{
    bad_field,
    blocks::{BlockType, READ},
};
use crate::{
    error::{ModelError, Result},
    folder,
};

const MAGIC: &[u8; 4] = b"GGUF";
/// Longest header, in bytes; tokens and merges of 256 000 tokens take about 10 MB.
const HEADER_BYTES_MAX: u64 = 256 << 20;
/// Most entries of metadata; files have about 40.
const ENTRIES_MAX: u64 = 1 << 16;
/// Most tensors; Llama-3.1-405B has 1138.
const TENSORS_MAX: u64 = 1 << 16;
/// Longest name of an entry or tensor, in bytes; the limit of the format.
const NAME_BYTES_MAX: u64 = (1 << 16) - 1;
/// Largest alignment of the data; files have 32.
const ALIGNMENT_MAX: u64 = 1 << 20;
const DIMENSIONS_MAX: u32 = 4;
/// Blocks that are read at once, so that a file's bytes take little memory beside the values.
const BLOCKS_READ: usize = 1 << 12;

/// One value of the metadata.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Whole(i64),
    Real(f64),
    Truth(bool),
    Text(String),
    Wholes(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Truth(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{:?}", value.chars().take(60).collect::<String>()),
            Self::Wholes(list) => write!(f, "a list of {} whole numbers", list.len()),
            Self::Reals(list) => write!(f, "a list of {} numbers", list.len()),
            Self::Texts(list) => write!(f, "a list of {} texts", list.len()),
        }
    }
}

/// One tensor, its place checked against the file's length.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Row-major, as in a Hugging Face file: the fastest dimension last.
    pub(super) shape: Vec<usize>,
    pub(super) kind: BlockType,
    start: u64,
    bytes: usize,
}

/// The header of one file.
pub(super) struct Header {
    pub(super) path: PathBuf,
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Header {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io = || ModelError::io(path);
        let file = File::open(path).map_err(io())?;
        let length = file.metadata().map_err(io())?.len();
        let mut reader = Reader { inner: BufReader::new(file), path, at: 0, length };
        let counts = reader.opening()?;
        let mut metadata = BTreeMap::new();
        for _ in 0..counts.entries {
            let name = reader.name()?;
            let value = reader.value()?;
            if metadata.insert(name.clone(), value).is_some() {
                return Err(reader.malformed(format!("it has two entries {name}")));
            }
        }
        refuse_split(&metadata)?;
        let mut tensors = Vec::new();
        for _ in 0..counts.tensors {
            tensors.push((reader.name()?, reader.tensor()?));
        }
        let alignment = alignment(&metadata)?;
        let data_start = reader.at.next_multiple_of(alignment);
        let mut placed = BTreeMap::new();
        for (name, tensor) in tensors {
            let tensor = place(path, &name, tensor, alignment, data_start, length)?;
            if placed.insert(name.clone(), tensor).is_some() {
                return Err(reader.malformed(format!("it has two tensors {name}")));
            }
        }
        Ok(Self { path: path.into(), metadata, tensors: placed })
    }

    /// The values of one tensor, rows laid end to end.
    pub(super) fn values(&self, tensor: &Tensor) -> Result<Floats> {
        let io = || ModelError::io(&self.path);
        let mut file = File::open(&self.path).map_err(io())?;
        file.seek(SeekFrom::Start(tensor.start)).map_err(io())?;
        let (block_values, block_bytes) = tensor.kind.block();
        let mut bytes = vec![0; tensor.bytes.min(BLOCKS_READ * block_bytes)];
        Floats::filled(tensor.shape.iter().product(), |values| {
            for values in values.chunks_mut(BLOCKS_READ * block_values) {
                let bytes = &mut bytes[..values.len() / block_values * block_bytes];
                file.read_exact(bytes).map_err(io())?;
                values.copy_from_slice(&tensor.kind.decode(bytes));
            }
            Ok(())
        })
    }

    /// A whole number that is not negative.
    pub(super) fn size(&self, field: &str) -> Result<Option<u64>> {
        match self.metadata.get(field) {
            None => Ok(None),
            Some(Value::Whole(value)) if *value >= 0 => Ok(Some(*value as u64)),
            Some(other) => Err(bad_field(field, "a whole number", other)),
        }
    }

    /// The id in `tokenizer.ggml.NAME_token_id`; -1, also as 32 bits without a sign, is none.
    pub(super) fn special_id(&self, name: &str) -> Result<Option<u64>> {
        let field = format!("tokenizer.ggml.{name}_token_id");
        match self.metadata.get(&field) {
            Some(Value::Whole(-1 | 0xffff_ffff)) => Ok(None),
            _ => self.size(&field),
        }
    }

    pub(super) fn number(&self, field: &str) -> Result<Option<f64>> {
        match self.metadata.get(field) {
            None => Ok(None),
            Some(Value::Real(value)) => Ok(Some(*value)),
            Some(Value::Whole(value)) => Ok(Some(*value as f64)),
            Some(other) => Err(bad_field(field, "a number", other)),
        }
    }

    pub(super) fn truth(&self, field: &str) -> Result<Option<bool>> {
        match self.metadata.get(field) {
            None => Ok(None),
            Some(Value::Truth(value)) => Ok(Some(*value)),
            Some(other) => Err(bad_field(field, "true or false", other)),
        }
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&str>> {
        match self.metadata.get(field) {
            None => Ok(None),
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(other) => Err(bad_field(field, "a text", other)),
        }
    }

    pub(super) fn texts(&self, field: &str) -> Result<Option<&[String]>> {
        match self.metadata.get(field) {
            None => Ok(None),
            Some(Value::Texts(list)) => Ok(Some(list)),
            Some(other) => Err(bad_field(field, "a list of texts", other)),
        }
    }
}

/// A model cut into several files says so in each.
fn refuse_split(metadata: &BTreeMap<String, Value>) -> Result<()> {
    match metadata.get("split.count") {
        Some(Value::Whole(count)) if *count > 1 => Err(ModelError::Unsupported {
            field: "split.count".into(),
            given: count.to_string(),
            feature: "a model in several files (join them with `llama-gguf-split --merge`)",
        }),
        _ => Ok(()),
    }
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64> {
    match metadata.get("general.alignment") {
        None => Ok(32),
        Some(Value::Whole(value)) if (8..=ALIGNMENT_MAX as i64).contains(value) && value % 8 == 0 => Ok(*value as u64),
        Some(other) => {
            Err(bad_field("general.alignment", &format!("a multiple of 8 from 8 to {ALIGNMENT_MAX}"), other))
        }
    }
}

/// A tensor as the header tells it.
struct Told {
    dimensions: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn place(path: &Path, name: &str, told: Told, alignment: u64, data_start: u64, length: u64) -> Result<Tensor> {
    let malformed = |reason: String| malformed(path, format!("tensor {name} {reason}"));
    let kind = BlockType::of(told.kind).map_err(|given| ModelError::WrongDtype {
        path: path.into(),
        tensor: name.into(),
        given,
        read: READ,
    })?;
    let (block_values, block_bytes) = kind.block();
    let row = told.dimensions.first().copied().unwrap_or(1);
    if !row.is_multiple_of(block_values as u64) {
        return Err(malformed(format!("has rows of {row} values, which are no whole blocks of {block_values}")));
    }
    if !told.offset.is_multiple_of(alignment) {
        return Err(malformed(format!("begins at {}, which is no multiple of {alignment}", told.offset)));
    }
    let values = told.dimensions.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let bytes = values.and_then(|values| (values / block_values as u64).checked_mul(block_bytes as u64));
    let bytes = bytes.ok_or_else(|| malformed("has more values than can be counted".into()))?;
    let start = data_start.saturating_add(told.offset);
    let expected = start.saturating_add(bytes);
    if expected > length {
        return Err(ModelError::WrongFileLength { path: path.into(), expected, given: length });
    }
    // What fits into the file fits into a usize.
    let shape = told.dimensions.iter().rev().map(|size| *size as usize).collect();
    Ok(Tensor { shape, kind, start, bytes: bytes as usize })
}

fn malformed(path: &Path, reason: String) -> ModelError {
    ModelError::Malformed { path: path.into(), expected: "a GGUF file", reason }
}

struct Counts {
    tensors: u64,
    entries: u64,
}

struct Reader<'a> {
    inner: BufReader<File>,
    path: &'a Path,
    at: u64,
    length: u64,
}

impl Reader<'_> {
    fn opening(&mut self) -> Result<Counts> {
        let magic = self.array::<4>()?;
        if magic != *MAGIC {
            let mut start = magic.to_vec();
            start.extend(self.array::<8>().unwrap_or_default());
            folder::refuse_pointer(self.path, &start)?;
            let shown = String::from_utf8_lossy(&start).into_owned();
            return Err(self.malformed(format!("it begins with {shown:?} and not with GGUF")));
        }
        let version = u32::from_le_bytes(self.array()?);
        if !(2..=3).contains(&version) {
            let big_endian = if (2..=3).contains(&version.swap_bytes()) { " (a big-endian file)" } else { "" };
            return Err(self.malformed(format!("its version is {version}{big_endian}; versions 2 and 3 are read")));
        }
        Ok(Counts {
            tensors: self.count("tensors", TENSORS_MAX)?,
            entries: self.count("entries of metadata", ENTRIES_MAX)?,
        })
    }

    fn count(&mut self, what: &str, limit: u64) -> Result<u64> {
        let given = u64::from_le_bytes(self.array()?);
        if given > limit {
            return Err(self.malformed(format!("it claims {given} {what}, more than the limit of {limit}")));
        }
        Ok(given)
    }

    /// Checks that `bytes` more are in the file, and that the header stays within its limit.
    fn reach(&mut self, bytes: u64) -> Result<()> {
        let end = self.at.saturating_add(bytes);
        if end > self.length {
            return Err(self.malformed(format!(
                "its header goes on to byte {end} or further, but the file has {} bytes",
                self.length
            )));
        }
        if end > HEADER_BYTES_MAX {
            return Err(self.malformed(format!("its header is longer than the limit of {HEADER_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.reach(N as u64)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(ModelError::io(self.path))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn text(&mut self, limit: u64) -> Result<String> {
        let length = u64::from_le_bytes(self.array()?);
        if length > limit {
            return Err(self.malformed(format!("a text has {length} bytes, more than the limit of {limit}")));
        }
        self.reach(length)?;
        // As long as the file at most, and bounded by the limit of the header.
        let mut bytes = vec![0; length as usize];
        self.inner.read_exact(&mut bytes).map_err(ModelError::io(self.path))?;
        self.at += length;
        String::from_utf8(bytes).map_err(|error| self.malformed(format!("a text is no UTF-8: {error}")))
    }

    fn name(&mut self) -> Result<String> {
        self.text(NAME_BYTES_MAX)
    }

    fn value(&mut self) -> Result<Value> {
        match u32::from_le_bytes(self.array()?) {
            9 => self.list(),
            kind => self.single(kind),
        }
    }

    fn single(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            6 => Value::Real(decimal(f32::from_le_bytes(self.array()?))),
            12 => Value::Real(f64::from_le_bytes(self.array()?)),
            7 => Value::Truth(self.array::<1>()? != [0]),
            8 => Value::Text(self.text(HEADER_BYTES_MAX)?),
            kind => Value::Whole(self.whole(kind)?),
        })
    }

    fn whole(&mut self, kind: u32) -> Result<i64> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => u32::from_le_bytes(self.array()?).into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            10 => {
                let value = u64::from_le_bytes(self.array()?);
                i64::try_from(value).map_err(|_| self.malformed(format!("it holds the number {value}, above 2^63")))?
            }
            11 => i64::from_le_bytes(self.array()?),
            other => return Err(self.malformed(format!("it holds a value of the unknown type {other}"))),
        })
    }

    /// A list grows as it is read, so its length takes no memory that the file does not fill.
    fn list(&mut self) -> Result<Value> {
        let kind = u32::from_le_bytes(self.array()?);
        let count = u64::from_le_bytes(self.array()?);
        // Each element has a byte at least.
        self.reach(count)?;
        Ok(match kind {
            6 | 12 => Value::Reals((0..count).map(|_| self.real(kind)).collect::<Result<_>>()?),
            7 => Value::Wholes((0..count).map(|_| self.whole(0)).collect::<Result<_>>()?),
            8 => Value::Texts((0..count).map(|_| self.text(HEADER_BYTES_MAX)).collect::<Result<_>>()?),
            9 => return Err(self.malformed("it holds a list of lists".into())),
            _ => Value::Wholes((0..count).map(|_| self.whole(kind)).collect::<Result<_>>()?),
        })
    }

    fn real(&mut self, kind: u32) -> Result<f64> {
        Ok(if kind == 6 { f32::from_le_bytes(self.array()?).into() } else { f64::from_le_bytes(self.array()?) })
    }

    fn tensor(&mut self) -> Result<Told> {
        let count = u32::from_le_bytes(self.array()?);
        if count > DIMENSIONS_MAX {
            return Err(self.malformed(format!("a tensor has {count} dimensions, more than {DIMENSIONS_MAX}")));
        }
        let dimensions = (0..count).map(|_| Ok(u64::from_le_bytes(self.array()?))).collect::<Result<_>>()?;
        Ok(Told { dimensions, kind: u32::from_le_bytes(self.array()?), offset: u64::from_le_bytes(self.array()?) })
    }

    fn malformed(&self, reason: String) -> ModelError {
        malformed(self.path, reason)
    }
}

/// The shortest decimal that has these bits, as the file's maker wrote it: 1e-5, and not 9.999999747378752e-6.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}
