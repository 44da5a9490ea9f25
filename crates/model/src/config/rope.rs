//! The rotary settings of `config.json`, in the forms of transformers 4 and 5.

use serde_json::{Map, Value};

use super::read::{Fields, Limits, bad, in_range, size_within};
use crate::{
    error::{ModelError, Result},
    rope::{Llama3Scaling, Rope, Scaling, YarnScaling},
};

const KINDS: &str = "a rotary type other than default, linear, dynamic, yarn, llama3 and longrope";

/// transformers 4 writes `rope_theta` and `rope_scaling`; transformers 5 writes `rope_parameters` with both
/// inside. Where several are present, the order is that of transformers 5: a filled `rope_scaling` before
/// `rope_parameters`, and a `rope_theta` inside before one outside.
pub(super) fn read(fields: &Fields, max_positions: usize) -> Result<Rope> {
    let outer = fields.number_or("rope_theta", 10_000.0)?;
    let filled = |name| fields.object(name).map(|object| object.filter(|map| !map.is_empty()));
    let (prefix, map) = match filled("rope_scaling")? {
        Some(map) => ("rope_scaling.", map),
        None => match filled("rope_parameters")? {
            Some(map) => ("rope_parameters.", map),
            None => return checked(Rope { theta: outer, scaling: None }),
        },
    };
    refuse_parts(map, prefix)?;
    let inner = Fields { map, prefix };
    let theta = inner.number_or("rope_theta", outer)?;
    let original = match fields.get("original_max_position_embeddings") {
        Some(_) => fields.size("original_max_position_embeddings")?,
        None => inner.size_or("original_max_position_embeddings", max_positions)?,
    };
    checked(Rope { theta, scaling: scaling(&inner, original, max_positions)? })
}

/// Settings by layer, and of a part of each head, are those of other families.
fn refuse_parts(map: &Map<String, Value>, prefix: &str) -> Result<()> {
    let refused = |name: &str, value: &Value, feature| {
        Err(ModelError::Unsupported { field: format!("{prefix}{name}"), given: value.to_string(), feature })
    };
    if let Some((name, value)) = map.iter().find(|(_, value)| value.is_object()) {
        return refused(name, value, "rotary settings by layer type");
    }
    match map.get("partial_rotary_factor") {
        Some(value) if !value.is_null() && value.as_f64() != Some(1.0) => {
            refused("partial_rotary_factor", value, "rotation of a part of each head")
        }
        _ => Ok(()),
    }
}

fn scaling(fields: &Fields, original: usize, max_positions: usize) -> Result<Option<Scaling>> {
    let kind = match fields.text("rope_type")? {
        Some(kind) => kind,
        None => fields.text("type")?.unwrap_or("default"),
    };
    Ok(Some(match kind {
        "default" => return Ok(None),
        "linear" => Scaling::Linear { factor: fields.number("factor")? },
        "dynamic" => Scaling::Dynamic { factor: fields.number("factor")? },
        "yarn" => Scaling::Yarn(yarn(fields, original, max_positions)?),
        "llama3" => Scaling::Llama3(Llama3Scaling {
            factor: fields.number("factor")?,
            low_freq_factor: fields.number("low_freq_factor")?,
            high_freq_factor: fields.number("high_freq_factor")?,
            original_positions: original,
        }),
        "longrope" => per_pair(fields, original, max_positions)?,
        other => {
            let field = format!("{}rope_type", fields.prefix);
            return Err(ModelError::Unsupported { field, given: other.into(), feature: KINDS });
        }
    }))
}

fn yarn(fields: &Fields, original: usize, max_positions: usize) -> Result<YarnScaling> {
    let factor = fields.number_or("factor", max_positions as f64 / original as f64)?;
    // Nought counts as absent, as in transformers.
    let filled = |field, default| Ok(Some(fields.number_or(field, default)?).filter(|&number| number != 0.0));
    let sharpening = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * libm::log(factor) + 1.0 };
    let usual = match (filled("mscale", 0.0)?, filled("mscale_all_dim", 0.0)?) {
        (Some(part), Some(all)) => sharpening(part) / sharpening(all),
        _ => sharpening(1.0),
    };
    Ok(YarnScaling {
        factor,
        original_positions: original,
        attention_factor: fields.number_or("attention_factor", usual)?,
        beta_fast: filled("beta_fast", 32.0)?.unwrap_or(32.0),
        beta_slow: filled("beta_slow", 1.0)?.unwrap_or(1.0),
        // A null is no `True` either.
        truncate: fields.map.get("truncate").is_none_or(|value| value == &Value::Bool(true)),
    })
}

/// `longrope`, where short and long sequences have the same factors and nothing depends on the length.
fn per_pair(fields: &Fields, original: usize, max_positions: usize) -> Result<Scaling> {
    let list = |field: &str| {
        let list = fields.get(field).and_then(Value::as_array);
        let numbers = list.and_then(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
        numbers.ok_or_else(|| fields.wrong(field, "a list of numbers"))
    };
    let (short, long) = (list("short_factor")?, list("long_factor")?);
    if short != long {
        return Err(ModelError::Unsupported {
            field: format!("{}rope_type", fields.prefix),
            given: "longrope".into(),
            feature: "frequencies that change with the length of the sequence",
        });
    }
    let factor = fields.number_or("factor", max_positions as f64 / original as f64)?;
    let usual = if factor <= 1.0 { 1.0 } else { (1.0 + libm::log(factor) / libm::log(original as f64)).sqrt() };
    Ok(Scaling::PerPair { factors: short, attention_factor: fields.number_or("attention_factor", usual)? })
}

/// The longest sequence: what the file says, or, for YaRN, the old context times the factor where that is more
/// (Qwen's files keep `max_position_embeddings` at the old context).
pub(super) fn positions(rope: &Rope, max_positions: usize) -> usize {
    match &rope.scaling {
        // Factors and lengths are checked to be small, and a cast of what is too large stops at the largest number.
        Some(Scaling::Yarn(yarn)) => max_positions.max((yarn.original_positions as f64 * yarn.factor) as usize),
        _ => max_positions,
    }
}

fn checked(rope: Rope) -> Result<Rope> {
    check(&rope)?;
    Ok(rope)
}

pub(super) fn check(rope: &Rope) -> Result<()> {
    let positive = |field: &str, value: f64| in_range(field, value, f64::MIN_POSITIVE, 1e12);
    let stretch = |factor: f64| in_range("factor", factor, 1.0, 1e6);
    let original = |given| size_within("original_max_position_embeddings", given, Limits::POSITIONS);
    positive("rope_theta", rope.theta)?;
    match &rope.scaling {
        None => Ok(()),
        Some(Scaling::Linear { factor } | Scaling::Dynamic { factor }) => stretch(*factor),
        Some(Scaling::Yarn(yarn)) => {
            stretch(yarn.factor)?;
            original(yarn.original_positions)?;
            positive("attention_factor", yarn.attention_factor)?;
            in_range("beta_slow", yarn.beta_slow, f64::MIN_POSITIVE, yarn.beta_fast)?;
            in_range("beta_fast", yarn.beta_fast, yarn.beta_slow, 1e6)?;
            // The bounds divide by its logarithm.
            in_range("rope_theta", rope.theta, 1.001, 1e12)
        }
        Some(Scaling::Llama3(llama3)) => {
            stretch(llama3.factor)?;
            original(llama3.original_positions)?;
            positive("low_freq_factor", llama3.low_freq_factor)?;
            positive("high_freq_factor", llama3.high_freq_factor)?;
            if llama3.low_freq_factor >= llama3.high_freq_factor {
                let limit = format!("less than high_freq_factor = {}", llama3.high_freq_factor);
                return Err(bad("low_freq_factor", &limit, llama3.low_freq_factor));
            }
            Ok(())
        }
        Some(Scaling::PerPair { factors, attention_factor }) => {
            positive("attention_factor", *attention_factor)?;
            factors.iter().try_for_each(|factor| positive("long_factor", *factor))
        }
    }
}
