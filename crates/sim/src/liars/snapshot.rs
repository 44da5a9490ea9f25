//! Other weights made from the published ones: rounded, disturbed, or cut down.
//!
//! Promise: what comes out has a valid configuration and is a function of the arguments alone.

use std::sync::Arc;

use model::{ModelConfig, ModelSnapshot, ParamSpec};

/// Weights in one group of [`int4`] share a scale, as in GPTQ and AWQ with groups of 32.
pub const INT4_GROUP: usize = 32;

/// The model with the matrices of its layers rounded to 8 bits, one scale per output channel.
///
/// Per row `w` of a `[out, in]` matrix: `s = max|w| / 127`, `w' = s · round(w / s)`. Embedding, head, norms and biases
/// stay, as in LLM.int8 (arXiv:2208.07339).
pub fn int8(snapshot: &ModelSnapshot) -> ModelSnapshot {
    rounded(snapshot, usize::MAX, 127.0)
}

/// The model with the matrices of its layers rounded to 4 bits, one scale per [`INT4_GROUP`] weights of a row.
///
/// Per group: `s = max|w| / 7`, `w' = s · round(w / s)`, so 15 of the 16 codes are used.
pub fn int4(snapshot: &ModelSnapshot) -> ModelSnapshot {
    rounded(snapshot, INT4_GROUP, 7.0)
}

fn rounded(snapshot: &ModelSnapshot, group: usize, steps: f32) -> ModelSnapshot {
    changed(snapshot, |spec, values| {
        if !spec.name.ends_with("_proj.weight") {
            return;
        }
        for row in values.chunks_mut(spec.shape[1]) {
            row.chunks_mut(group).for_each(|weights| round_to_steps(weights, steps));
        }
    })
}

/// Rounds each weight to the nearest of `2·steps + 1` evenly spaced values that span the largest of them.
fn round_to_steps(weights: &mut [f32], steps: f32) {
    let largest = weights.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
    let scale = largest / steps;
    if scale > 0.0 {
        weights.iter_mut().for_each(|weight| *weight = (*weight / scale).round() * scale);
    }
}

/// The model with each matrix disturbed: `w' = w + share · rms(w) · n`, `n` uniform in ±√3 (variance 1) from `seed`.
pub fn disturbed(snapshot: &ModelSnapshot, share: f32, seed: u64) -> ModelSnapshot {
    let mut index = 0u64;
    changed(snapshot, |spec, values| {
        index += 1;
        if spec.shape.len() < 2 {
            return;
        }
        let mut noise = Noise { stream: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index };
        let rms = (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt();
        values.iter_mut().for_each(|value| *value += share * rms * noise.next());
    })
}

/// SplitMix64; source: `java.util.SplittableRandom`.
struct Noise {
    stream: u64,
}

impl Noise {
    fn next(&mut self) -> f32 {
        self.stream = self.stream.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.stream;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        let unit = (bits >> 40) as f32 / (1u64 << 24) as f32;
        (unit * 2.0 - 1.0) * 3f32.sqrt()
    }
}

/// A model of half the depth and half the width inside its feed-forward blocks: the first half of the layers (at least
/// one), and of their neurons the first half. Its hidden states keep their width.
pub fn halved(snapshot: &ModelSnapshot) -> ModelSnapshot {
    let whole = snapshot.config();
    let mut config = ModelConfig::clone(whole);
    config.layers = (whole.layers / 2).max(1);
    config.intermediate_size = (whole.intermediate_size / 2).max(1);
    let whole_specs = whole.layout();
    let specs = config.layout();
    let values = specs.iter().map(|spec| {
        let place = whole_specs.iter().position(|other| other.name == spec.name);
        let place = place.expect("our bug: a smaller model has a parameter that the whole one lacks");
        top_left(&snapshot.values()[place], &whole_specs[place].shape, &spec.shape)
    });
    let values = values.collect();
    ModelSnapshot::new(Arc::new(config), values).expect("our bug: a valid model lost its validity by being halved")
}

/// The first `to[0]` rows of the first `to[1]` columns; of a vector its first `to[0]` numbers.
fn top_left(values: &[f32], from: &[usize], to: &[usize]) -> Vec<f32> {
    match (from, to) {
        ([_, columns], [rows, kept]) => {
            values.chunks(*columns).take(*rows).flat_map(|row| &row[..*kept]).copied().collect()
        }
        _ => values[..to.iter().product()].to_vec(),
    }
}

/// A copy whose parameters went through `change`.
fn changed(snapshot: &ModelSnapshot, mut change: impl FnMut(&ParamSpec, &mut [f32])) -> ModelSnapshot {
    let specs = snapshot.config().layout();
    let mut values = snapshot.to_vecs();
    specs.iter().zip(&mut values).for_each(|(spec, values)| change(spec, values));
    ModelSnapshot::new(snapshot.config().clone(), values).expect("our bug: a change of values changed a shape")
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use model::{Family, Sizes, Transformer};

    use super::*;

    fn snapshot() -> ModelSnapshot {
        let sizes = Sizes {
            vocab_size: 12,
            hidden_size: 48,
            intermediate_size: 64,
            layers: 2,
            heads: 2,
            key_value_heads: 1,
            head_dim: None,
            max_positions: 32,
            tied: true,
        };
        let config = Arc::new(ModelConfig::new(Family::Qwen3, &sizes).unwrap());
        Transformer::random(config, 3, &Device::flex()).unwrap().snapshot()
    }

    fn named<'a>(snapshot: &'a ModelSnapshot, name: &str) -> (&'a [f32], Vec<usize>) {
        let specs = snapshot.config().layout();
        let place = specs.iter().position(|spec| spec.name == name).unwrap();
        (&snapshot.values()[place], specs[place].shape.clone())
    }

    #[test]
    fn weights_are_rounded_to_the_nearest_step_of_their_scale() {
        // Scale 1.27 / 127 = 0.01: 0.014 -> 1 step, 0.016 -> 2 steps, the largest stays.
        let mut row = [1.27, 0.014, -0.016, 0.0];
        round_to_steps(&mut row, 127.0);
        for (given, expected) in row.iter().zip([1.27, 0.01, -0.02, 0.0]) {
            assert!((given - expected).abs() < 1e-6, "{given} is not {expected}");
        }
        let mut nothing = [0.0, -0.0];
        round_to_steps(&mut nothing, 7.0);
        assert_eq!(nothing, [0.0, 0.0]);
    }

    #[test]
    fn eight_bits_leave_255_values_per_row_and_four_leave_15_per_group() {
        let whole = snapshot();
        let name = "model.layers.1.mlp.up_proj.weight";
        for (rounded, group, most) in [(int8(&whole), 48, 255), (int4(&whole), INT4_GROUP, 15)] {
            let (values, shape) = named(&rounded, name);
            assert_eq!(shape, [64, 48]);
            for row in values.chunks(48) {
                for weights in row.chunks(group) {
                    let mut distinct: Vec<u32> = weights.iter().map(|x| (x + 0.0).to_bits()).collect();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert!(distinct.len() <= most);
                }
            }
            assert_ne!(values, named(&whole, name).0);
        }
        // Of 48 weights, 4 bits leave few values; 8 bits would leave nearly all apart.
        let first: Vec<u32> = named(&int4(&whole), name).0[..INT4_GROUP].iter().map(|x| (x + 0.0).to_bits()).collect();
        let distinct: std::collections::BTreeSet<_> = first.into_iter().collect();
        assert!(distinct.len() <= 15, "{}", distinct.len());
    }

    #[test]
    fn rounding_leaves_embedding_and_norms_alone() {
        let whole = snapshot();
        let rounded = int4(&whole);
        for name in ["model.embed_tokens.weight", "model.norm.weight", "model.layers.0.self_attn.q_norm.weight"] {
            assert_eq!(named(&whole, name).0, named(&rounded, name).0, "{name}");
        }
    }

    #[test]
    fn the_smaller_model_is_the_top_left_of_the_whole_one() {
        let whole = snapshot();
        let small = halved(&whole);
        assert_eq!((small.config().layers, small.config().intermediate_size), (1, 32));
        let (down, shape) = named(&small, "model.layers.0.mlp.down_proj.weight");
        let (whole_down, _) = named(&whole, "model.layers.0.mlp.down_proj.weight");
        assert_eq!(shape, [48, 32]);
        assert_eq!(down[..32], whole_down[..32]);
        assert_eq!(down[32..64], whole_down[64..96]);
    }

    #[test]
    fn disturbed_weights_differ_by_the_share_that_was_asked_for() {
        let whole = snapshot();
        let other = disturbed(&whole, 0.1, 7);
        let name = "model.embed_tokens.weight";
        let (a, b) = (named(&whole, name).0, named(&other, name).0);
        let rms = |x: &mut dyn Iterator<Item = f32>| (x.map(|x| x * x).sum::<f32>() / a.len() as f32).sqrt();
        let share = rms(&mut a.iter().zip(b).map(|(a, b)| a - b)) / rms(&mut a.iter().copied());
        // 576 numbers: the share is 0.1 to within a few hundredths of itself.
        assert!((share - 0.1).abs() < 0.01, "{share}");
        assert_eq!(named(&disturbed(&whole, 0.1, 7), name).0, b);
    }
}
