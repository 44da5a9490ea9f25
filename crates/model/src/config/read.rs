//! From the fields of `config.json` to a checked [`ModelConfig`].
//!
//! Promise: absent fields get the defaults of transformers; a field that would change the
//! computation in a way we do not follow is refused.

use serde_json::{Map, Value};

use super::{Family, ModelConfig, rope};
use crate::{
    error::{ModelError, Result},
    rope::Scaling,
};

const SUPPORTED: &str = "Qwen2ForCausalLM (qwen2), Qwen3ForCausalLM (qwen3), LlamaForCausalLM (llama)";

/// Largest sizes accepted, well above published models of these families (Qwen2.5-72B, Llama-3.1-405B).
/// A file cannot make the program reserve memory beyond what they imply.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Rows of the embedding.
    pub const VOCAB_SIZE: usize = 1 << 20;
    /// Width of the residual stream.
    pub const HIDDEN_SIZE: usize = 1 << 16;
    /// Width inside the feed-forward block.
    pub const INTERMEDIATE_SIZE: usize = 1 << 18;
    /// Decoder layers.
    pub const LAYERS: usize = 512;
    /// Query heads.
    pub const HEADS: usize = 1024;
    /// Width of one head.
    pub const HEAD_DIM: usize = 1024;
    /// Longest sequence, in tokens.
    pub const POSITIONS: usize = 1 << 21;
}

pub(super) fn read(source: Map<String, Value>) -> Result<ModelConfig> {
    let fields = Fields { map: &source, prefix: "" };
    let family = family(&fields)?;
    refuse_unsupported(&fields)?;
    let heads = fields.size("num_attention_heads")?;
    let hidden_size = fields.size("hidden_size")?;
    let max_positions = fields.size_or("max_position_embeddings", default_positions(family))?;
    let rope = rope::read(&fields, max_positions)?;
    let attention_bias = fields.flag("attention_bias")?;
    let config = ModelConfig {
        family,
        vocab_size: fields.size("vocab_size")?,
        hidden_size,
        intermediate_size: fields.size("intermediate_size")?,
        layers: fields.size("num_hidden_layers")?,
        heads,
        key_value_heads: fields.size_or("num_key_value_heads", heads)?,
        head_dim: head_dim(&fields, family, hidden_size, heads)?,
        max_positions: rope::positions(&rope, max_positions),
        rms_norm_eps: fields.number_or("rms_norm_eps", 1e-6)?,
        rope,
        tied: fields.flag("tie_word_embeddings")?,
        query_key_value_bias: family == Family::Qwen2 || attention_bias,
        attention_output_bias: family != Family::Qwen2 && attention_bias,
        feed_forward_bias: family == Family::Llama && fields.flag("mlp_bias")?,
        initializer_range: fields.number_or("initializer_range", 0.02)?,
        eos_ids: token_ids(fields.get("eos_token_id"), "eos_token_id")?,
        source: Map::new(),
    };
    config.validate()?;
    Ok(ModelConfig { source, ..config })
}

/// One id, a list of ids, or nothing, as `eos_token_id` may be; old files write -1 for nothing.
pub(crate) fn token_ids(value: Option<&Value>, field: &str) -> Result<Vec<u32>> {
    let one = |value: &Value| {
        value.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| bad(field, "token ids below 2^32", value))
    };
    let is_none = |value: &Value| value.as_i64() == Some(-1);
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().filter(|value| !is_none(value)).map(one).collect(),
        Some(value) if is_none(value) => Ok(Vec::new()),
        Some(value) => Ok(vec![one(value)?]),
    }
}

fn family(fields: &Fields) -> Result<Family> {
    let model_type = fields.text("model_type")?;
    let architectures = fields.get("architectures").map(ToString::to_string);
    let family = [Family::Qwen2, Family::Qwen3, Family::Llama]
        .into_iter()
        .find(|family| model_type == Some(family.model_type()))
        .filter(|family| match fields.get("architectures") {
            None => true,
            Some(Value::Array(list)) => list.is_empty() || list.iter().any(|name| is_decoder(name, *family)),
            Some(_) => false,
        });
    family.ok_or_else(|| ModelError::UnknownArchitecture {
        given: format!("{} (model_type {})", architectures.as_deref().unwrap_or("none"), model_type.unwrap_or("none")),
        supported: SUPPORTED,
    })
}

/// The language model, or its body alone, which a tied head makes whole.
fn is_decoder(name: &Value, family: Family) -> bool {
    let whole = family.architecture();
    name == whole || name == &whole.replace("ForCausalLM", "Model")
}

/// Fields that change the computation in ways the forward pass does not follow.
fn refuse_unsupported(fields: &Fields) -> Result<()> {
    let refuse = |field: &str, value: &Value, feature| {
        Err(ModelError::Unsupported { field: field.into(), given: value.to_string(), feature })
    };
    if fields.flag("use_sliding_window")? {
        return refuse("use_sliding_window", &Value::Bool(true), "sliding-window attention");
    }
    if let Some(value) = fields.get("layer_types") {
        let full =
            |value: &Value| value.as_array().is_some_and(|list| list.iter().all(|kind| kind == "full_attention"));
        if !full(value) {
            return refuse("layer_types", value, "attention other than full_attention");
        }
    }
    if let Some(value) = fields.get("quantization_config") {
        return refuse("quantization_config", value, "quantised weights");
    }
    match fields.get("hidden_act") {
        // Two names of one function.
        Some(value) if value != "silu" && value != "swish" => {
            return refuse("hidden_act", value, "an activation other than silu");
        }
        _ => {}
    }
    match fields.get("partial_rotary_factor") {
        Some(value) if value.as_f64() != Some(1.0) => {
            refuse("partial_rotary_factor", value, "rotation of a part of each head")
        }
        _ => Ok(()),
    }
}

fn default_positions(family: Family) -> usize {
    match family {
        Family::Llama => 2048,
        Family::Qwen2 | Family::Qwen3 => 32_768,
    }
}

/// Qwen3's default is 128 whatever the width; the others divide the width by the heads.
fn head_dim(fields: &Fields, family: Family, hidden_size: usize, heads: usize) -> Result<usize> {
    if fields.get("head_dim").is_some() {
        return fields.size("head_dim");
    }
    if family == Family::Qwen3 {
        return Ok(128);
    }
    if heads == 0 || !hidden_size.is_multiple_of(heads) {
        return Err(bad("hidden_size", &format!("a multiple of num_attention_heads = {heads}"), hidden_size));
    }
    Ok(hidden_size / heads)
}

pub(super) fn validate(config: &ModelConfig) -> Result<()> {
    size_within("vocab_size", config.vocab_size, Limits::VOCAB_SIZE)?;
    size_within("hidden_size", config.hidden_size, Limits::HIDDEN_SIZE)?;
    size_within("intermediate_size", config.intermediate_size, Limits::INTERMEDIATE_SIZE)?;
    size_within("num_hidden_layers", config.layers, Limits::LAYERS)?;
    size_within("num_attention_heads", config.heads, Limits::HEADS)?;
    size_within("num_key_value_heads", config.key_value_heads, Limits::HEADS)?;
    size_within("head_dim", config.head_dim, Limits::HEAD_DIM)?;
    size_within("max_position_embeddings", config.max_positions, Limits::POSITIONS)?;
    if !config.heads.is_multiple_of(config.key_value_heads) {
        return Err(bad(
            "num_key_value_heads",
            &format!("a divisor of num_attention_heads = {}", config.heads),
            config.key_value_heads,
        ));
    }
    if !config.head_dim.is_multiple_of(2) {
        return Err(bad("head_dim", "an even number (rotary halves)", config.head_dim));
    }
    in_range("rms_norm_eps", config.rms_norm_eps, 0.0, 1.0)?;
    in_range("initializer_range", config.initializer_range, 0.0, 10.0)?;
    rope::check(&config.rope)?;
    if let Some(Scaling::PerPair { factors, .. }) = &config.rope.scaling
        && factors.len() != config.head_dim / 2
    {
        return Err(bad("long_factor", &format!("head_dim / 2 = {} numbers", config.head_dim / 2), factors.len()));
    }
    match config.eos_ids.iter().find(|&&id| id as usize >= config.vocab_size) {
        Some(id) => Err(bad("eos_token_id", &format!("ids below vocab_size = {}", config.vocab_size), id)),
        None => Ok(()),
    }
}

pub(super) fn size_within(field: &str, given: usize, limit: usize) -> Result<()> {
    if given == 0 || given > limit {
        return Err(bad(field, &format!("a whole number from 1 to {limit}"), given));
    }
    Ok(())
}

pub(super) fn in_range(field: &str, given: f64, low: f64, high: f64) -> Result<()> {
    if !(low..=high).contains(&given) {
        return Err(bad(field, &format!("a number from {low:e} to {high:e}"), given));
    }
    Ok(())
}

pub(super) fn bad(field: &str, expected: &str, given: impl ToString) -> ModelError {
    ModelError::ConfigField { field: field.into(), expected: expected.into(), given: given.to_string() }
}

/// Fields of one JSON object; `null` counts as absent, as in transformers.
pub(super) struct Fields<'a> {
    pub(super) map: &'a Map<String, Value>,
    pub(super) prefix: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, field: &str, expected: &str) -> ModelError {
        let given = self.get(field).map_or_else(|| "nothing".into(), ToString::to_string);
        bad(&format!("{}{field}", self.prefix), expected, given)
    }

    pub(super) fn size(&self, field: &str) -> Result<usize> {
        let value = self.get(field).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
        value.ok_or_else(|| self.wrong(field, "a whole number"))
    }

    pub(super) fn size_or(&self, field: &str, default: usize) -> Result<usize> {
        self.get(field).map_or(Ok(default), |_| self.size(field))
    }

    pub(super) fn number(&self, field: &str) -> Result<f64> {
        self.get(field).and_then(Value::as_f64).ok_or_else(|| self.wrong(field, "a number"))
    }

    pub(super) fn number_or(&self, field: &str, default: f64) -> Result<f64> {
        self.get(field).map_or(Ok(default), |_| self.number(field))
    }

    /// Absent means false, as for every flag in these families.
    pub(super) fn flag(&self, field: &str) -> Result<bool> {
        let value = self.get(field).map_or(Some(false), Value::as_bool);
        value.ok_or_else(|| self.wrong(field, "true or false"))
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&'a str>> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(field, "a text")),
        }
    }

    pub(super) fn object(&self, field: &str) -> Result<Option<&'a Map<String, Value>>> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => value.as_object().map(Some).ok_or_else(|| self.wrong(field, "an object")),
        }
    }
}
