//! The tensors of a GGUF file in the order and form of a configuration's layout.

use std::path::Path;

use ops::host::Floats;

use super::{
    config::ROPE_FACTORS,
    header::{Header, Tensor},
};
use crate::{
    config::{Family, ModelConfig},
    error::{ModelError, Result},
    layout::{Layout, ParamSpec},
};

/// Parts of a layer's names in a Hugging Face file and here.
const PARTS: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// A tensor of the file that is a parameter.
pub(super) struct Found {
    tensor: Tensor,
    shape: Vec<usize>,
    interleaved_heads: Option<usize>,
}

/// The tensor of every parameter of `config`, in the order of its layout.
pub(super) fn find_all(header: &Header, config: &ModelConfig) -> Result<Vec<Found>> {
    let specs = Layout::new(config).specs;
    let names: Vec<String> = specs.iter().map(|spec| name_of(&spec.name)).collect();
    let extra: Vec<&String> =
        header.tensors.keys().filter(|name| !names.contains(name) && *name != ROPE_FACTORS).collect();
    if let Some(first) = extra.first() {
        let (path, tensor) = (header.path.clone(), (*first).clone());
        return Err(ModelError::UnexpectedTensor { path, tensor, count: extra.len() });
    }
    let found = |(spec, name): (&ParamSpec, &String)| {
        let tensor = find(header, spec, name)?.clone();
        Ok(Found { tensor, shape: spec.shape.clone(), interleaved_heads: interleaved_heads(config, &spec.name) })
    };
    specs.iter().zip(&names).map(found).collect()
}

/// The values of a parameter, as f32.
pub(super) fn read(header: &Header, found: &Found) -> Result<Floats> {
    let values = header.values(&found.tensor)?;
    Ok(match found.interleaved_heads {
        Some(heads) => halves_apart(&values, heads, &found.shape).into(),
        None => values,
    })
}

/// The name in a GGUF file of a parameter: `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`.
fn name_of(name: &str) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let layer = stem.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let part = layer.and_then(|(layer, part)| Some((layer, PARTS.iter().find(|(other, _)| *other == part)?.1)));
    match (stem, part) {
        (_, Some((layer, part))) => format!("blk.{layer}.{part}.{kind}"),
        ("model.embed_tokens", _) => format!("token_embd.{kind}"),
        ("model.norm", _) => format!("output_norm.{kind}"),
        ("lm_head", _) => format!("output.{kind}"),
        // The layout has no others.
        _ => name.into(),
    }
}

fn find<'a>(header: &'a Header, spec: &ParamSpec, name: &str) -> Result<&'a Tensor> {
    let path: &Path = &header.path;
    let missing = || ModelError::MissingTensor { tensor: name.into(), place: path.into() };
    let tensor = header.tensors.get(name).ok_or_else(missing)?;
    if tensor.shape != spec.shape {
        return Err(ModelError::WrongShape {
            path: path.into(),
            tensor: name.into(),
            expected: spec.shape.clone(),
            given: tensor.shape.clone(),
        });
    }
    Ok(tensor)
}

/// How many heads a parameter has whose rows llama.cpp's converter reorders: q and k of Llama, since its rotation
/// turns neighbours, and not halves, against each other.
fn interleaved_heads(config: &ModelConfig, name: &str) -> Option<usize> {
    match config.family {
        Family::Llama if name.contains(".q_proj.") => Some(config.heads),
        Family::Llama if name.contains(".k_proj.") => Some(config.key_value_heads),
        _ => None,
    }
}

/// Row `2i + j` of each head becomes row `j · half + i`, `j` being 0 or 1.
fn halves_apart(values: &[f32], heads: usize, shape: &[usize]) -> Vec<f32> {
    let rows = shape[0];
    let width = values.len() / rows;
    let (head_dim, mut out) = (rows / heads, Vec::with_capacity(values.len()));
    for row in 0..rows {
        let (head, within) = (row / head_dim, row % head_dim);
        let (j, i) = (within / (head_dim / 2), within % (head_dim / 2));
        let from = (head * head_dim + 2 * i + j) * width;
        out.extend_from_slice(&values[from..from + width]);
    }
    out
}
