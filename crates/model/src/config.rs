//! The shape of a model, as `config.json` of a Hugging Face folder tells it.
//!
//! Promise: a configuration that comes out of here is one that the forward pass computes rightly;
//! whatever it would compute wrongly is refused with the field's name.
//! Never: allocates by a number that the file gives, before that number is checked.

mod read;
mod rope;
mod write;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    error::{ModelError, Result},
    folder,
    layout::{Layout, ParamSpec},
    rope::Rope,
};

pub use read::Limits;
pub(crate) use read::token_ids;

/// Longest `config.json` that is read, in bytes. Published ones have a few thousand.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// The families of decoder that one forward pass covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Qwen2 and Qwen2.5: biases on q, k and v.
    Qwen2,
    /// Qwen3: RMS norm on each head of q and k; a head width of its own.
    Qwen3,
    /// Llama 2 and 3.
    Llama,
}

impl Family {
    /// `model_type` in config.json.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Llama => "llama",
        }
    }

    /// The entry of `architectures` in config.json.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Llama => "LlamaForCausalLM",
        }
    }
}

/// The sizes a person chooses for a new model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub key_value_heads: usize,
    /// Width of a head; `hidden_size / heads` where absent.
    #[serde(default)]
    pub head_dim: Option<usize>,
    /// Longest sequence, in tokens.
    pub max_positions: usize,
    /// Whether the output head is the embedding itself.
    pub tied: bool,
}

/// The shape of a model. Made by [`ModelConfig::new`], [`ModelConfig::parse`] or [`ModelConfig::load`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Which family.
    pub family: Family,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub key_value_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Longest sequence, in tokens; the rotary table has this many rows.
    pub max_positions: usize,
    /// ε inside the square root of the RMS norms.
    pub rms_norm_eps: f64,
    /// Rotary position embedding.
    pub rope: Rope,
    /// Whether the output head is the embedding itself.
    pub tied: bool,
    /// Whether q, k and v have biases.
    pub query_key_value_bias: bool,
    /// Whether the attention's output projection has a bias.
    pub attention_output_bias: bool,
    /// Whether the three feed-forward projections have biases.
    pub feed_forward_bias: bool,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Token ids that end a text, as far as config.json tells; [`crate::Tokenizer::eos_ids`] knows more.
    pub eos_ids: Vec<u32>,
    /// Every field of the file it came from, so that saving keeps those we do not use.
    source: Map<String, Value>,
}

impl ModelConfig {
    /// A fresh configuration of `family` with its usual biases, rotary base 10 000 and ε = 1e-6
    /// (the defaults of transformers).
    ///
    /// Errors: `ConfigField` if a size is zero, above [`Limits`], or does not divide.
    pub fn new(family: Family, sizes: &Sizes) -> Result<Self> {
        let head_dim = sizes.head_dim.unwrap_or_else(|| sizes.hidden_size.checked_div(sizes.heads).unwrap_or(0));
        let config = Self {
            family,
            vocab_size: sizes.vocab_size,
            hidden_size: sizes.hidden_size,
            intermediate_size: sizes.intermediate_size,
            layers: sizes.layers,
            heads: sizes.heads,
            key_value_heads: sizes.key_value_heads,
            head_dim,
            max_positions: sizes.max_positions,
            rms_norm_eps: 1e-6,
            rope: Rope { theta: 10_000.0, scaling: None },
            tied: sizes.tied,
            query_key_value_bias: family == Family::Qwen2,
            attention_output_bias: false,
            feed_forward_bias: false,
            initializer_range: 0.02,
            eos_ids: Vec::new(),
            source: Map::new(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Reads the text of a `config.json`.
    ///
    /// Errors: `UnknownArchitecture`, `Unsupported` (sliding window, quantisation, other activations or
    /// rotary types), `ConfigField`; `Malformed` (with `path` as given) if it is no JSON object.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let value: Value = serde_json::from_slice(text).map_err(|error| ModelError::Malformed {
            path: path.into(),
            expected: "JSON",
            reason: error.to_string(),
        })?;
        match value {
            Value::Object(fields) => Self::from_fields(fields),
            _ => Err(ModelError::Malformed {
                path: path.into(),
                expected: "a JSON object",
                reason: "it is another JSON value".into(),
            }),
        }
    }

    /// Reads the fields of a `config.json`. Errors: as [`ModelConfig::parse`].
    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self> {
        read::read(fields)
    }

    /// Reads `config.json` in `folder`. Errors: as [`ModelConfig::parse`], `MissingFile`, `Io`, `FileTooLarge`.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = folder::read_bounded(&path, CONFIG_BYTES_MAX)?
            .ok_or_else(|| ModelError::MissingFile { folder: folder.into(), looked_for: "config.json".into() })?;
        Self::parse(&text, &path)
    }

    /// The text of a `config.json` that transformers 4 and 5 both read, stored weights being `dtype`.
    pub fn to_json(&self, dtype: &str) -> String {
        write::write(self, dtype)
    }

    /// Checks every size against [`Limits`] and against each other.
    ///
    /// Errors: `ConfigField` with the field, what is accepted and what was found.
    pub fn validate(&self) -> Result<()> {
        read::validate(self)
    }

    /// Names and shapes of all parameters, in the order that every list of parameters keeps.
    pub fn layout(&self) -> Vec<ParamSpec> {
        Layout::new(self).specs
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together: one row of the key-value cache.
    pub fn key_value_width(&self) -> usize {
        self.key_value_heads * self.head_dim
    }

    /// Bytes that one token's row of one layer takes from the forward to the backward pass, in f32.
    ///
    /// `4 · (5d + 3q + 4k + 3f)`: the layer's input, both normed inputs, the sum behind the attention and the output (d
    /// wide); queries before and after the rotation and what attention gives (q); keys likewise, and values (k, about);
    /// gate, up and, in passes of few rows, their product (f). Head norms and the logs of attention's sums are left out.
    pub fn layer_activation_bytes(&self) -> u64 {
        let (query, key_value) = (self.heads * self.head_dim, self.key_value_width());
        let floats = 5 * self.hidden_size + 3 * query + 4 * key_value + 3 * self.intermediate_size;
        (floats * size_of::<f32>()) as u64
    }
}
