//! Weights of a Hugging Face folder: `model.safetensors`, or shards with an index.
//!
//! Promise: what is read has exactly the tensors and shapes that the configuration asks for, and
//! each file the length that its header says; what is written reads back with the same values.
//! Files are read, not mapped: a mapped file that shrinks kills the program instead of giving an error.

mod names;
mod read;
mod write;

use std::sync::Arc;

use ops::host::Floats;
use serde::{Deserialize, Serialize};

use crate::{config::ModelConfig, error::Result, warning::Warning};

pub(crate) use read::open;
pub(crate) use write::write;

/// Weights in files that were checked: every tensor is there, with its shape and in a format that is read.
pub(crate) struct StoredWeights {
    pub(crate) config: Arc<ModelConfig>,
    pub(crate) warnings: Vec<Warning>,
    tensors: Box<ReadTensor>,
}

/// The values of parameter `i` of the configuration's layout, flat, as f32.
type ReadTensor = dyn Fn(usize) -> Result<Floats> + Send + Sync;

impl StoredWeights {
    pub(crate) fn new(
        config: ModelConfig,
        warnings: Vec<Warning>,
        tensors: impl Fn(usize) -> Result<Floats> + Send + Sync + 'static,
    ) -> Self {
        Self { config: Arc::new(config), warnings, tensors: Box::new(tensors) }
    }

    /// Errors: `Io`; the file may have changed since it was opened.
    pub(crate) fn read(&self, index: usize) -> Result<Floats> {
        (self.tensors)(index)
    }
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// How the numbers of a model are stored, on disk or packed for inference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightDtype {
    /// 32 bits each, exact.
    #[default]
    F32,
    /// 16 bits each: f32 rounded to nearest, ties to even, to 8 bits of precision.
    Bf16,
}

impl WeightDtype {
    /// The name in config.json.
    pub(crate) fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
        }
    }

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}
