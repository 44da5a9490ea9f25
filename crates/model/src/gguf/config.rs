//! From the metadata of a GGUF file to the fields of a `config.json`.
//!
//! Promise: a key that changes the computation in a way we do not follow is refused; one that we do not know is told.

use serde_json::{Map, Value as Json, json};

use super::{
    bad_field,
    header::{Header, Value},
};
use crate::{
    config::{Family, ModelConfig},
    error::{ModelError, Result},
    rope::{Llama3Scaling, powers},
    warning::Warning,
};

/// The factors of Llama 3.1, 3.2 and 3.3 are those of this function of the old context.
const LLAMA3: Llama3Scaling =
    Llama3Scaling { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192 };
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";
const SUPPORTED: &str = "llama, qwen2, qwen3";

/// Keys under the architecture's name that are read here or say nothing about the computation.
const KNOWN: [&str; 23] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "tensor_data_layout",
    "vocab_size",
];
/// Keys that change the computation unless they have this value, and what they ask for.
const NEUTRAL: [(&str, f64, &str); 14] = [
    ("expert_count", 0.0, "a mixture of experts"),
    ("attention.sliding_window", 0.0, "sliding-window attention"),
    ("attention.causal", 1.0, "attention to later tokens"),
    ("attention.clamp_kqv", 0.0, "clamped attention"),
    ("attention.max_alibi_bias", 0.0, "ALiBi"),
    ("attention.scale", 0.0, "another attention scale"),
    ("attn_logit_softcapping", 0.0, "capped attention"),
    ("final_logit_softcapping", 0.0, "capped logits"),
    ("logit_scale", 1.0, "scaled logits"),
    ("embedding_scale", 1.0, "scaled embeddings"),
    ("residual_scale", 1.0, "scaled residuals"),
    ("nextn_predict_layers", 0.0, "layers that predict several tokens"),
    ("rope.scaling.yarn_ext_factor", 1.0, "another mixture of YaRN"),
    ("rope.scaling.yarn_log_multiplier", 0.0, "another sharpening of YaRN"),
];

pub(super) fn read(header: &Header) -> Result<(ModelConfig, Vec<Warning>)> {
    let family = family(header)?;
    let metadata = Fields { header, family };
    let warnings = metadata.check_keys()?;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Json| fields.insert(name.into(), value);
    put("model_type", json!(family.model_type()));
    put("vocab_size", json!(rows(header)?));
    put("hidden_size", json!(metadata.needed("embedding_length")?));
    put("intermediate_size", json!(metadata.needed("feed_forward_length")?));
    put("num_hidden_layers", json!(metadata.needed("block_count")?));
    put("num_attention_heads", json!(metadata.needed("attention.head_count")?));
    put("num_key_value_heads", json!(metadata.optional("attention.head_count_kv")?));
    put("head_dim", json!(metadata.head_dim()?));
    put("max_position_embeddings", json!(metadata.needed("context_length")?));
    put("rms_norm_eps", json!(metadata.number("attention.layer_norm_rms_epsilon")?));
    put("rope_theta", json!(metadata.number("rope.freq_base")?.unwrap_or(10_000.0)));
    put("tie_word_embeddings", json!(!header.tensors.contains_key("output.weight")));
    if family != Family::Qwen2 {
        put("attention_bias", json!(header.tensors.contains_key("blk.0.attn_q.bias")));
    }
    put("mlp_bias", json!(header.tensors.contains_key("blk.0.ffn_up.bias")));
    put("rope_scaling", metadata.scaling()?);
    for (name, key) in [("bos_token_id", "bos"), ("pad_token_id", "padding")] {
        put(name, json!(header.special_id(key)?));
    }
    let stops = ["eos", "eot", "eom"].map(|key| header.special_id(key));
    let stops = stops.into_iter().filter_map(Result::transpose).collect::<Result<Vec<u64>>>()?;
    put("eos_token_id", if stops.is_empty() { Json::Null } else { json!(stops) });
    fields.retain(|_, value| !value.is_null());
    if !fields.contains_key("rms_norm_eps") {
        return Err(bad_field(&metadata.key("attention.layer_norm_rms_epsilon"), "a number", "nothing"));
    }
    Ok((ModelConfig::from_fields(fields)?, warnings))
}

fn family(header: &Header) -> Result<Family> {
    let given = header.text("general.architecture")?;
    let families = [Family::Llama, Family::Qwen2, Family::Qwen3];
    families.into_iter().find(|family| given == Some(family.model_type())).ok_or_else(|| {
        ModelError::UnknownArchitecture {
            given: format!("{} (general.architecture)", given.unwrap_or("none")),
            supported: SUPPORTED,
        }
    })
}

/// Rows of the embedding.
fn rows(header: &Header) -> Result<usize> {
    let embedding = header
        .tensors
        .get("token_embd.weight")
        .ok_or_else(|| ModelError::MissingTensor { tensor: "token_embd.weight".into(), place: header.path.clone() })?;
    Ok(embedding.shape.first().copied().unwrap_or(0))
}

/// The keys under the architecture's name.
struct Fields<'a> {
    header: &'a Header,
    family: Family,
}

impl Fields<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family.model_type())
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        self.header.number(&self.key(name))
    }

    /// One number; a list with one for each layer only if all are equal.
    fn optional(&self, name: &str) -> Result<Option<u64>> {
        let key = self.key(name);
        if let Some(Value::Wholes(list)) = self.header.metadata.get(&key) {
            return match list.as_slice() {
                [first, rest @ ..] if *first >= 0 && rest.iter().all(|other| other == first) => Ok(Some(*first as u64)),
                _ => Err(bad_field(&key, "one number for all layers", format!("{list:?}"))),
            };
        }
        self.header.size(&key)
    }

    fn needed(&self, name: &str) -> Result<u64> {
        self.optional(name)?.ok_or_else(|| bad_field(&self.key(name), "a whole number", "nothing"))
    }

    /// Width of a head: of keys and values alike, and all of it rotated.
    fn head_dim(&self) -> Result<u64> {
        let heads = self.needed("attention.head_count")?;
        let plain = self.needed("embedding_length")?.checked_div(heads).unwrap_or(0);
        let key = self.optional("attention.key_length")?.unwrap_or(plain);
        for name in ["attention.value_length", "rope.dimension_count"] {
            match self.optional(name)? {
                Some(other) if other != key => {
                    return Err(bad_field(&self.key(name), &format!("the width of a head, {key}"), other));
                }
                _ => {}
            }
        }
        Ok(key)
    }

    fn check_keys(&self) -> Result<Vec<Warning>> {
        let prefix = self.key("");
        let mut unknown = Vec::new();
        for (key, value) in &self.header.metadata {
            let Some(name) = key.strip_prefix(&prefix) else { continue };
            let number = match value {
                Value::Whole(value) => Some(*value as f64),
                Value::Real(value) => Some(*value),
                Value::Truth(value) => Some(f64::from(u8::from(*value))),
                _ => None,
            };
            match NEUTRAL.iter().find(|(other, ..)| *other == name) {
                Some((_, neutral, _)) if number == Some(*neutral) => {}
                Some((.., feature)) => {
                    return Err(ModelError::Unsupported { field: key.clone(), given: value.to_string(), feature });
                }
                None if KNOWN.contains(&name) || name == "expert_used_count" => {}
                None => unknown.push(key.clone()),
            }
        }
        Ok(if unknown.is_empty() { Vec::new() } else { vec![Warning::UnknownKeys { keys: unknown }] })
    }

    /// `rope_scaling` of a config.json: from the tensor of factors where there is one, else from the metadata.
    fn scaling(&self) -> Result<Json> {
        let factor = self.number("rope.scaling.factor")?;
        let kind = match self.header.text(&self.key("rope.scaling.type"))? {
            Some(kind) => kind,
            // Old files have a factor alone.
            None if factor.is_some_and(|factor| factor != 1.0) => "linear",
            None => "none",
        };
        if let Some(tensor) = self.header.tensors.get(ROPE_FACTORS) {
            if kind != "none" {
                return Err(bad_field(&self.key("rope.scaling.type"), "none beside rope_freqs.weight", kind));
            }
            return self.factors(&self.header.values(tensor)?);
        }
        let original = self.optional("rope.scaling.original_context_length")?;
        match kind {
            "none" => Ok(match self.number("rope.scale_linear")? {
                Some(factor) if factor != 1.0 => json!({"rope_type": "linear", "factor": factor}),
                _ => Json::Null,
            }),
            "linear" => Ok(json!({"rope_type": "linear", "factor": factor})),
            "yarn" => self.yarn(factor, original),
            other => Err(ModelError::Unsupported {
                field: self.key("rope.scaling.type"),
                given: other.into(),
                feature: "a rotary type other than none, linear and yarn",
            }),
        }
    }

    /// llama.cpp sharpens attention as transformers does by default, times a factor of its own.
    fn yarn(&self, factor: Option<f64>, original: Option<u64>) -> Result<Json> {
        let mut fields = json!({
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": original,
            "beta_fast": self.number("rope.scaling.yarn_beta_fast")?,
            "beta_slow": self.number("rope.scaling.yarn_beta_slow")?,
        });
        let own = [self.number("rope.scaling.attn_factor")?, self.number("rope.scaling.yarn_attn_factor")?];
        let own: f64 = own.into_iter().flatten().product();
        if let (Some(factor), true) = (factor, own != 1.0) {
            fields["attention_factor"] = json!(own * (0.1 * libm::log(factor.max(1.0)) + 1.0));
        }
        Ok(fields)
    }

    /// Llama 3's settings where these are its factors, else the factors themselves.
    fn factors(&self, factors: &[f32]) -> Result<Json> {
        let theta = self.number("rope.freq_base")?.unwrap_or(10_000.0);
        let plain: Vec<f32> = powers(theta, 2 * factors.len()).iter().map(|power| 1.0 / power).collect();
        let largest = factors.iter().copied().fold(1.0, f32::max);
        let llama3 = Llama3Scaling { factor: largest.into(), ..LLAMA3 };
        let is_near = |(plain, factor): (&f32, &f32)| {
            let expected = plain / llama3.scaled(*plain);
            (expected - factor).abs() <= 1e-5 * expected
        };
        if plain.iter().zip(factors).all(is_near) {
            return Ok(json!({
                "rope_type": "llama3",
                "factor": llama3.factor,
                "low_freq_factor": llama3.low_freq_factor,
                "high_freq_factor": llama3.high_freq_factor,
                "original_max_position_embeddings": llama3.original_positions,
            }));
        }
        Ok(json!({
            "rope_type": "longrope",
            "short_factor": factors,
            "long_factor": factors,
            "attention_factor": 1.0,
        }))
    }
}
