//! Fresh weights from a seed.
//!
//! Promise: the same configuration and seed give the same bits on every machine, whatever the
//! number of threads, and a tensor's values do not depend on the other tensors.

use rayon::prelude::*;

use crate::{
    config::ModelConfig,
    layout::{Layout, ParamSpec, Start},
};

/// Numbers that one task makes; also the period of the counter. Even, as they come in pairs.
const BLOCK: usize = 1 << 14;

/// The values of every parameter of `layout`, as transformers starts them:
/// normal(0, `initializer_range`) for matrices, 1 for gains, 0 for biases.
pub(crate) fn random(config: &ModelConfig, layout: &Layout, seed: u64) -> Vec<Vec<f32>> {
    layout
        .specs
        .iter()
        .map(|spec| match spec.start {
            Start::One => vec![1.0; spec.numel()],
            Start::Zero => vec![0.0; spec.numel()],
            Start::Normal => normal(spec, config.initializer_range, seed),
        })
        .collect()
}

fn normal(spec: &ParamSpec, deviation: f64, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; spec.numel()];
    let key = tensor_key(&spec.name, seed);
    values.par_chunks_mut(BLOCK).enumerate().for_each(|(block, values)| fill(&key, block, deviation, values));
    values
}

fn tensor_key(name: &str, seed: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("essaim fresh weights v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Box and Muller's transform of the words of BLAKE3's output stream at this block:
/// `sqrt(-2 ln u) · (cos 2πv, sin 2πv)`, `u` in (0, 1], `v` in [0, 1).
/// The logarithm and the circle functions are libm's own, since those of the platform differ in the last bit.
fn fill(key: &[u8; 32], block: usize, deviation: f64, values: &mut [f32]) {
    let mut stream = blake3::Hasher::new_keyed(key).update(&(block as u64).to_le_bytes()).finalize_xof();
    let mut unit = || {
        let mut word = [0; 8];
        stream.fill(&mut word);
        // The top 53 bits, so that every value is a double.
        (u64::from_le_bytes(word) >> 11) as f64 / (1u64 << 53) as f64
    };
    for pair in values.chunks_mut(2) {
        let radius = deviation * libm::sqrt(-2.0 * libm::log(1.0 - unit()));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * unit());
        let both = [radius * cos, radius * sin];
        for (value, number) in pair.iter_mut().zip(both) {
            *value = number as f32;
        }
    }
}
