//! Decoder language models: Qwen2, Qwen3 and Llama, their weight files and their tokenizers.
//!
//! Promise: one forward pass for training, validation and generation; logits equal those of
//! transformers within 1e-4 in f32; a folder written here loads there, and the other way round.
//! Takes: Hugging Face folders, GGUF files, hub names, or sizes and a seed. Gives: hidden states and folders.
//! Never: runs code from a model folder, or takes a half-written folder for a whole one.

#![forbid(unsafe_code)]

mod config;
mod error;
mod folder;
mod forward;
mod gguf;
pub mod hub;
mod inference;
mod init;
mod layout;
mod params;
mod rope;
mod tokenizer;
mod transformer;
mod warning;
mod weights;

pub use config::{Family, Limits, ModelConfig, Sizes};
pub use error::{ModelError, Result};
pub use inference::InferenceModel;
pub use layout::ParamSpec;
pub use params::{ModelSnapshot, Param, Params};
pub use rope::{Llama3Scaling, Rope, Scaling, YarnScaling};
pub use tokenizer::{CHARACTERS_MAX, ChatArgs, EOS_TOKEN, Message, PAD_TOKEN, SystemRole, Tokenizer};
pub use transformer::{Loaded, Opened, SaveOptions, StageParams, StoredModel, Transformer, load, open};
pub use warning::Warning;
pub use weights::WeightDtype;
