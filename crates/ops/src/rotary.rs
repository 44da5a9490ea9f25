//! Rotates queries and keys by their position.
//!
//! Promise: the pairing is the "rotate half" one of Hugging Face: element `i` turns with
//! element `i + head_dim / 2`.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::reference;

/// Cosines and sines for every position, `[positions, head_dim / 2]` each.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    cos: Arc<[f32]>,
    sin: Arc<[f32]>,
    half: usize,
}

impl RotaryTable {
    /// The table of plain rotary embeddings: frequency `i` is `theta^(-2i / head_dim)`.
    /// Source: RoFormer, arXiv:2104.09864, section 3.2.2.
    pub fn new(positions: usize, head_dim: usize, theta: f64) -> Self {
        let frequencies: Vec<f32> = (0..head_dim / 2)
            .map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64) as f32)
            .collect();
        Self::from_frequencies(positions, &frequencies)
    }

    /// The table for given frequencies in radians per position, one per pair.
    ///
    /// The angle `position · frequency` is rounded to f32 first, as in `transformers`.
    pub fn from_frequencies(positions: usize, frequencies: &[f32]) -> Self {
        let angles = |f: fn(f64) -> f64| -> Arc<[f32]> {
            (0..positions)
                .flat_map(|p| frequencies.iter().map(move |w| f64::from(p as f32 * w)))
                .map(|angle| f(angle) as f32)
                .collect()
        };
        Self {
            cos: angles(f64::cos),
            sin: angles(f64::sin),
            half: frequencies.len(),
        }
    }

    /// Cosines, `[positions, head_dim / 2]`.
    pub fn cos(&self) -> &[f32] {
        &self.cos
    }

    /// Sines, `[positions, head_dim / 2]`.
    pub fn sin(&self) -> &[f32] {
        &self.sin
    }

    /// Positions in the table.
    pub fn positions(&self) -> usize {
        self.cos.len().checked_div(self.half).unwrap_or(0)
    }
}

/// In each head: `y_i = x_i·cos_i - x_{i+h}·sin_i`, `y_{i+h} = x_{i+h}·cos_i + x_i·sin_i`,
/// `h = head_dim / 2`, angles of row `t` from `positions[t]`; x `[T, heads * head_dim]`.
///
/// # Panics
/// If the shapes do not fit or a position is outside the table.
pub fn rotary(
    x: Tensor<2>,
    positions: &Arc<[u32]>,
    table: &RotaryTable,
    head_dim: usize,
) -> Tensor<2> {
    let [tokens, width] = x.dims();
    assert_eq!(tokens, positions.len(), "rotary: one position per row");
    assert_eq!(
        head_dim,
        2 * table.half,
        "rotary: table of another head_dim"
    );
    assert!(
        width.is_multiple_of(head_dim),
        "rotary: rows of {width} do not divide into heads of {head_dim}"
    );
    if let Some(position) = positions.iter().find(|&&p| p as usize >= table.positions()) {
        panic!(
            "rotary: position {position} is outside the table of {}",
            table.positions()
        );
    }
    reference::rotary(x, positions, table, head_dim)
}
