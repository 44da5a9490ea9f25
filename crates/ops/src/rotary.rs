//! Rotates queries and keys by their position.
//!
//! Promise: the pairing is the "rotate half" one of Hugging Face: element `i` turns with
//! element `i + head_dim / 2`.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::flex::{dense, dims2, floats, parents, register};
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::rows;
use crate::vmath::vectorized;

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
        let frequencies: Vec<f32> =
            (0..head_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64) as f32).collect();
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
        Self { cos: angles(f64::cos), sin: angles(f64::sin), half: frequencies.len() }
    }

    /// The same angles with every cosine and sine times `amplitude`, so that what is rotated grows by it.
    pub fn scaled(mut self, amplitude: f32) -> Self {
        for table in [&mut self.cos, &mut self.sin] {
            *table = table.iter().map(|value| value * amplitude).collect();
        }
        self
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
pub fn rotary(x: Tensor<2>, positions: &Arc<[u32]>, table: &RotaryTable, head_dim: usize) -> Tensor<2> {
    let [tokens, width] = x.dims();
    assert_eq!(tokens, positions.len(), "rotary: one position per row");
    assert_eq!(head_dim, 2 * table.half, "rotary: table of another head_dim");
    assert!(width.is_multiple_of(head_dim), "rotary: rows of {width} do not divide into heads of {head_dim}");
    if let Some(position) = positions.iter().find(|&&p| p as usize >= table.positions()) {
        panic!("rotary: position {position} is outside the table of {}", table.positions());
    }
    kernels(&x.device()).rotary(x, positions, table, head_dim)
}

pub(crate) fn fused(x: Tensor<2>, positions: &Arc<[u32]>, table: &RotaryTable) -> Tensor<2> {
    let turn = Turn { positions: positions.clone(), table: table.clone(), sign: 1.0 };
    Tensor::from_dispatch(<Dispatch as RotaryOps>::rotate(x.into_dispatch(), turn))
}

/// How far and which way to turn each row.
#[derive(Clone, Debug)]
pub struct Turn {
    positions: Arc<[u32]>,
    table: RotaryTable,
    /// 1 turns forward, -1 back.
    sign: f32,
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait RotaryOps: Backend {
    /// See [`rotary()`]. The gradient is turned back by the same angle.
    fn rotate(x: FloatTensor<Self>, turn: Turn) -> FloatTensor<Self>;
}

impl RotaryOps for Flex {
    fn rotate(x: FlexTensor, turn: Turn) -> FlexTensor {
        let mut x = dense(x);
        let shape @ [tokens, width] = dims2(&x);
        if let Some(values) = x.try_storage_mut::<f32>() {
            rows::for_each(values, width, |range, x| turn.rows(range.start, width, x));
            return x;
        }
        let mut out = Buffer::new(tokens * width);
        let xs = floats(&x);
        rows::for_each(&mut out, width, |range, y| {
            y.copy_from_slice(&xs[range.start * width..range.end * width]);
            turn.rows(range.start, width, y);
        });
        out.into_tensor(shape)
    }
}

impl Turn {
    /// Turns whole rows in place; the first one is row `first` of the batch.
    fn rows(&self, first: usize, width: usize, values: &mut [f32]) {
        let half = self.table.half;
        vectorized(
            #[inline(always)]
            || {
                for (row, values) in values.chunks_exact_mut(width).enumerate() {
                    let start = self.positions[first + row] as usize * half;
                    let cos = &self.table.cos[start..start + half];
                    let sin = &self.table.sin[start..start + half];
                    for head in values.chunks_exact_mut(2 * half) {
                        turn_head(head, cos, sin, self.sign);
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn turn_head(head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (low, high) = head.split_at_mut(cos.len());
    for ((low, high), (&c, &s)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
        let (a, b, s) = (*low, *high, sign * s);
        *low = a * c - b * s;
        *high = b * c + a * s;
    }
}

#[derive(Debug)]
struct RotateBackward;

impl<B: RotaryOps> Backward<B, 1> for RotateBackward {
    type State = Turn;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let back = Turn { sign: -ops.state.sign, ..ops.state };
        register::<B, 1>(grads, parents, [Some(B::rotate(grad, back))]);
    }
}

impl<B: RotaryOps, C: CheckpointStrategy> RotaryOps for Autodiff<B, C> {
    fn rotate(x: FloatTensor<Self>, turn: Turn) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match RotateBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::rotate(x, turn.clone());
                prep.finish(turn, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::rotate(x, turn)),
        }
    }
}
