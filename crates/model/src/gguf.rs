//! Models in one GGUF file, as llama.cpp keeps them: weights, shape, tokenizer and chat template.
//!
//! Promise: the model that transformers reads from the same file, in f32; saved, it is an ordinary Hugging Face
//! folder. Every length, count, offset and alignment of the file is checked before memory is taken for it.
//! No crate reads it: those that parse trust the counts of the file (ggus, gguf-rs reserve memory by them), and the
//! only complete decoder of blocks comes with a tensor library of its own (candle-core).

mod blocks;
mod config;
mod header;
mod tokenizer;
mod weights;

use std::path::Path;

use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    tokenizer::Tokenizer,
    warning::Warning,
    weights::StoredWeights,
};

use header::Header;

/// One open GGUF file: its header, checked against the file's length.
pub(crate) struct Gguf {
    header: Header,
}

impl Gguf {
    /// Reads the header of a file.
    ///
    /// Errors: `Malformed`, `WrongFileLength`, `LfsPointer`, `WrongDtype`, `Io`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { header: Header::open(path)? })
    }

    /// The shape of the model, and what of it was passed over.
    ///
    /// Errors: `UnknownArchitecture`, `Unsupported`, `ConfigField`.
    pub(crate) fn config(&self) -> Result<(ModelConfig, Vec<Warning>)> {
        config::read(&self.header)
    }

    /// Tokenizer and chat template.
    ///
    /// Errors: `ConfigField`, `Unsupported`, `Malformed`.
    pub(crate) fn tokenizer(&self) -> Result<(Tokenizer, Vec<Warning>)> {
        tokenizer::read(&self.header)
    }

    /// The weights, still in the file.
    ///
    /// Errors: those of [`Gguf::config`], `MissingTensor`, `UnexpectedTensor`, `WrongShape`.
    pub(crate) fn weights(self) -> Result<StoredWeights> {
        let (config, warnings) = self.config()?;
        let found = weights::find_all(&self.header, &config)?;
        let read = move |index: usize| weights::read(&self.header, &found[index]);
        Ok(StoredWeights::new(config, warnings, read))
    }
}

/// A field of the file's metadata that is not as expected.
fn bad_field(field: &str, expected: &str, given: impl ToString) -> ModelError {
    ModelError::ConfigField { field: field.into(), expected: expected.into(), given: given.to_string() }
}
