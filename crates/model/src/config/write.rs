//! From a [`ModelConfig`] to the text of `config.json`.
//!
//! Promise: fields that came from a file and that we do not use are kept; those we use are written
//! where transformers 4 looks and where transformers 5 looks.

use serde_json::{Map, Value, json};

use super::{Family, ModelConfig};
use crate::rope::Scaling;

pub(super) fn write(config: &ModelConfig, dtype: &str) -> String {
    let mut fields = config.source.clone();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.into(), value);
    };
    put("architectures", json!([config.family.architecture()]));
    put("model_type", json!(config.family.model_type()));
    put("vocab_size", json!(config.vocab_size));
    put("hidden_size", json!(config.hidden_size));
    put("intermediate_size", json!(config.intermediate_size));
    put("num_hidden_layers", json!(config.layers));
    put("num_attention_heads", json!(config.heads));
    put("num_key_value_heads", json!(config.key_value_heads));
    put("head_dim", json!(config.head_dim));
    put("max_position_embeddings", json!(config.max_positions));
    put("rms_norm_eps", json!(config.rms_norm_eps));
    put("tie_word_embeddings", json!(config.tied));
    put("hidden_act", json!("silu"));
    put("initializer_range", json!(config.initializer_range));
    if config.family != Family::Qwen2 {
        put("attention_bias", json!(config.attention_output_bias));
    }
    if config.family == Family::Llama {
        put("mlp_bias", json!(config.feed_forward_bias));
    }
    match config.eos_ids.as_slice() {
        [] => {}
        [one] => put("eos_token_id", json!(one)),
        several => put("eos_token_id", json!(several)),
    }
    put("dtype", json!(dtype));
    put("torch_dtype", json!(dtype));
    put_rope(config, &mut fields);
    // Pretty printing of a map of plain JSON values has no way to fail.
    serde_json::to_string_pretty(&fields).expect("a JSON object can be printed") + "\n"
}

fn put_rope(config: &ModelConfig, fields: &mut Map<String, Value>) {
    let mut scaling = match &config.rope.scaling {
        None => json!({"rope_type": "default"}),
        Some(scaling) => scaling_fields(scaling),
    };
    let old = if config.rope.scaling.is_some() { scaling.clone() } else { Value::Null };
    scaling["rope_theta"] = json!(config.rope.theta);
    // Outside, it would go before the one inside.
    fields.remove("original_max_position_embeddings");
    fields.insert("rope_theta".into(), json!(config.rope.theta));
    fields.insert("rope_scaling".into(), old);
    fields.insert("rope_parameters".into(), scaling);
}

fn scaling_fields(scaling: &Scaling) -> Value {
    match scaling {
        Scaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        Scaling::Dynamic { factor } => json!({"rope_type": "dynamic", "factor": factor}),
        Scaling::Yarn(yarn) => json!({
            "rope_type": "yarn",
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_positions,
            "attention_factor": yarn.attention_factor,
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "truncate": yarn.truncate,
        }),
        Scaling::Llama3(llama3) => json!({
            "rope_type": "llama3",
            "factor": llama3.factor,
            "low_freq_factor": llama3.low_freq_factor,
            "high_freq_factor": llama3.high_freq_factor,
            "original_max_position_embeddings": llama3.original_positions,
        }),
        Scaling::PerPair { factors, attention_factor } => json!({
            "rope_type": "longrope",
            "short_factor": factors,
            "long_factor": factors,
            "attention_factor": attention_factor,
        }),
    }
}
