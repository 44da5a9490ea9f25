//! Rotary frequencies of a configuration.
//!
//! Promise: equal to transformers' to the last bits of f32.

use ops::RotaryTable;

use crate::config::{Llama3Scaling, ModelConfig};

/// The table of all positions that the configuration allows.
pub(crate) fn rotary_table(config: &ModelConfig) -> RotaryTable {
    RotaryTable::from_frequencies(config.max_positions, &frequencies(config))
}

/// `f_i = theta^(-2i / head_dim)`, radians per position, then Llama 3's scaling where set.
fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let exponent = |pair: usize| f64::from((2 * pair) as f32 / config.head_dim as f32);
    (0..config.head_dim / 2)
        .map(|pair| 1.0 / libm::pow(config.rope.theta, exponent(pair)))
        .map(|plain| config.rope.scaling.map_or(plain, |scaling| scaled(plain, &scaling)) as f32)
        .collect()
}

/// With wave length `λ = 2π / f` and old context `c`:
/// - `λ < c / high`: `f` stays
/// - `λ > c / low`: `f / factor`
/// - between: `(1 - s) · f / factor + s · f`, `s = (c / λ - low) / (high - low)`
///
/// Source: `_compute_llama3_parameters` of transformers.
fn scaled(frequency: f64, scaling: &Llama3Scaling) -> f64 {
    let context = scaling.original_positions as f64;
    let wave = std::f64::consts::TAU / frequency;
    if wave < context / scaling.high_freq_factor {
        return frequency;
    }
    if wave > context / scaling.low_freq_factor {
        return frequency / scaling.factor;
    }
    let span = scaling.high_freq_factor - scaling.low_freq_factor;
    let smooth = (context / wave - scaling.low_freq_factor) / span;
    (1.0 - smooth) * frequency / scaling.factor + smooth * frequency
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALING: Llama3Scaling =
        Llama3Scaling { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192 };

    #[test]
    fn fast_waves_stay_slow_waves_are_divided_and_the_middle_is_mixed() {
        // Waves shorter than 8192 / 4 = 2048 stay, longer than 8192 / 1 are divided by 8.
        let of_wave = |wave: f64| std::f64::consts::TAU / wave;
        assert_eq!(scaled(of_wave(2000.0), &SCALING), of_wave(2000.0));
        assert_eq!(scaled(of_wave(9000.0), &SCALING), of_wave(9000.0) / 8.0);
        // Wave 4096: s = (8192 / 4096 - 1) / (4 - 1) = 1/3, so f · (2/3 / 8 + 1/3) = f · 5/12.
        let middle = scaled(of_wave(4096.0), &SCALING);
        assert!((middle / of_wave(4096.0) - 5.0 / 12.0).abs() < 1e-12, "got {middle}");
    }
}
