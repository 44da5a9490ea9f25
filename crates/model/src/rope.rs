//! Rotary position embedding: how a configuration stretches it, and the table of angles that follows.
//!
//! Promise: frequencies have the bits of transformers', which computes them in f32; each step here rounds where
//! that one does.

use std::f32::consts::TAU;

use ops::RotaryTable;

use crate::config::ModelConfig;

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// How they are stretched for long contexts, where they are.
    pub scaling: Option<Scaling>,
}

/// How rotary frequencies are stretched for long contexts: `rope_type` in config.json.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Every frequency divided by a factor.
    Linear {
        /// By how much; at least 1.
        factor: f64,
    },
    /// NTK scaling with the sequence's length. Within `max_position_embeddings` it changes nothing, and
    /// longer sequences are refused: beyond it the frequencies of all tokens would change with each
    /// new token, so that a token's probability would depend on what comes after it.
    Dynamic {
        /// By how much the context could grow; at least 1.
        factor: f64,
    },
    /// Slow frequencies divided, fast ones kept, attention sharpened.
    Yarn(YarnScaling),
    /// Llama 3's: slow frequencies divided, fast ones kept.
    Llama3(Llama3Scaling),
    /// A divisor for each pair of elements: `longrope` with the same factors for short and long sequences.
    PerPair {
        /// The divisors, `[head_dim / 2]`.
        factors: Vec<f64>,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
    },
}

/// YaRN. Source: arXiv:2309.00071; `_compute_yarn_parameters` in transformers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YarnScaling {
    /// By how much slow frequencies are divided; at least 1.
    pub factor: f64,
    /// Context length before stretching.
    pub original_positions: usize,
    /// What cosines and sines are multiplied by.
    pub attention_factor: f64,
    /// Frequencies that turn at least this often within the old context stay.
    pub beta_fast: f64,
    /// Frequencies that turn at most this often are divided fully.
    pub beta_slow: f64,
    /// Whether the bounds between the two are rounded to whole pairs.
    pub truncate: bool,
}

/// Llama 3's stretching of the slow frequencies. Source: `_compute_llama3_parameters` in transformers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3Scaling {
    /// By how much slow frequencies are divided; at least 1.
    pub factor: f64,
    /// Waves longer than `original_positions / low_freq_factor` are slowed fully.
    pub low_freq_factor: f64,
    /// Waves shorter than `original_positions / high_freq_factor` stay.
    pub high_freq_factor: f64,
    /// Context length before stretching.
    pub original_positions: usize,
}

impl Rope {
    /// What cosines and sines are multiplied by.
    fn amplitude(&self) -> f32 {
        match &self.scaling {
            Some(Scaling::Yarn(yarn)) => yarn.attention_factor as f32,
            Some(Scaling::PerPair { attention_factor, .. }) => *attention_factor as f32,
            _ => 1.0,
        }
    }

    /// Radians per position of each pair, `[head_dim / 2]`.
    fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        let powers = powers(self.theta, head_dim);
        let plain = powers.iter().map(|power| 1.0 / power);
        match &self.scaling {
            None | Some(Scaling::Dynamic { .. }) => plain.collect(),
            Some(Scaling::Linear { factor }) => plain.map(|frequency| frequency / *factor as f32).collect(),
            Some(Scaling::Llama3(llama3)) => plain.map(|frequency| llama3.scaled(frequency)).collect(),
            Some(Scaling::Yarn(yarn)) => yarn.scaled(&powers, self.theta),
            Some(Scaling::PerPair { factors, .. }) => {
                powers.iter().zip(factors).map(|(power, factor)| 1.0 / (*factor as f32 * power)).collect()
            }
        }
    }
}

/// The table of all positions that the configuration allows.
pub(crate) fn rotary_table(config: &ModelConfig) -> RotaryTable {
    let table = RotaryTable::from_frequencies(config.max_positions, &config.rope.frequencies(config.head_dim));
    match config.rope.amplitude() {
        1.0 => table,
        amplitude => table.scaled(amplitude),
    }
}

/// `theta^(2i / head_dim)` of each pair, in f32 as torch has it: base and exponent rounded, then the power.
pub(crate) fn powers(theta: f64, head_dim: usize) -> Vec<f32> {
    let exponent = |pair: usize| f64::from((2 * pair) as f32 / head_dim as f32);
    (0..head_dim / 2).map(|pair| libm::pow(f64::from(theta as f32), exponent(pair)) as f32).collect()
}

impl Llama3Scaling {
    /// With wave length `λ = 2π / f` and old context `c`:
    /// - `λ < c / high`: `f` stays
    /// - `λ > c / low`: `f / factor`
    /// - between: `(1 - s) · f / factor + s · f`, `s = (c / λ - low) / (high - low)`
    pub(crate) fn scaled(&self, frequency: f32) -> f32 {
        let (factor, context) = (self.factor as f32, self.original_positions as f64);
        let wave = TAU / frequency;
        if wave < (context / self.high_freq_factor) as f32 {
            return frequency;
        }
        if wave > (context / self.low_freq_factor) as f32 {
            return frequency / factor;
        }
        let span = (self.high_freq_factor - self.low_freq_factor) as f32;
        let smooth = (context as f32 / wave - self.low_freq_factor as f32) / span;
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}

impl YarnScaling {
    /// `keep · f + (1 - keep) · f / factor`, where `keep` falls from 1 to 0 between the pair that turns
    /// `beta_fast` times within the old context and the one that turns `beta_slow` times.
    fn scaled(&self, powers: &[f32], theta: f64) -> Vec<f32> {
        let (low, high) = self.bounds(2 * powers.len(), theta);
        let span = (high - low) as f32;
        let keep = |pair: usize| 1.0 - ((pair as f32 - low as f32) / span).clamp(0.0, 1.0);
        let mixed = |(pair, power): (usize, &f32)| {
            let stretched = 1.0 / (self.factor as f32 * power);
            stretched * (1.0 - keep(pair)) + 1.0 / power * keep(pair)
        };
        powers.iter().enumerate().map(mixed).collect()
    }

    /// The pairs between which frequencies are mixed. The pair that turns `n` times within `c` positions is
    /// `d · ln(c / 2πn) / (2 · ln theta)`.
    fn bounds(&self, head_dim: usize, theta: f64) -> (f64, f64) {
        let width = head_dim as f64;
        let pair = |turns: f64| {
            let context = self.original_positions as f64;
            width * libm::log(context / (turns * std::f64::consts::TAU)) / (2.0 * libm::log(theta))
        };
        let (mut low, mut high) = (pair(self.beta_fast), pair(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(width - 1.0));
        // As transformers does, so that the span is never nothing.
        (low, if low == high { high + 0.001 } else { high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA3: Llama3Scaling =
        Llama3Scaling { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192 };

    #[test]
    fn fast_waves_stay_slow_waves_are_divided_and_the_middle_is_mixed() {
        // Waves shorter than 8192 / 4 = 2048 stay, longer than 8192 / 1 are divided by 8.
        let of_wave = |wave: f32| TAU / wave;
        assert_eq!(LLAMA3.scaled(of_wave(2000.0)), of_wave(2000.0));
        assert_eq!(LLAMA3.scaled(of_wave(9000.0)), of_wave(9000.0) / 8.0);
        // Wave 4096: s = (8192 / 4096 - 1) / (4 - 1) = 1/3, so f · (2/3 / 8 + 1/3) = f · 5/12.
        let middle = LLAMA3.scaled(of_wave(4096.0));
        assert!((middle / of_wave(4096.0) - 5.0 / 12.0).abs() < 1e-6, "got {middle}");
    }

    #[test]
    fn yarn_keeps_the_first_pair_and_divides_the_last() {
        let yarn = YarnScaling {
            factor: 4.0,
            original_positions: 32_768,
            attention_factor: 1.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
        };
        let rope = |scaling| Rope { theta: 1e6, scaling };
        let (plain, scaled) = (rope(None).frequencies(128), rope(Some(Scaling::Yarn(yarn))).frequencies(128));
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 4.0 / plain[63] - 1.0).abs() < 1e-6);
        // 128 · ln(32768 / 64π) / (2 · ln 10^6) = 23.6 and, for one turn, 39.6.
        assert_eq!(yarn.bounds(128, 1e6), (23.0, 40.0));
    }
}
