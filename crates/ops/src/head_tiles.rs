//! Walks the logits of the output head tile by tile, forward and backward.
//!
//! Promise: at most [`TILE_ROWS`] x [`TILE_COLUMNS`] logits exist at a time (8 MiB), plus what
//! the matrix product packs. A row's result does not depend on the rows beside it: tiles are
//! cut along the vocabulary at fixed places and met in order.
//!
//! With `z_j = (hidden · W_j) / temperature`, `p = softmax(z)`, `L = log Σ exp(z)`, entropy `H`,
//! target `t`, and incoming gradients `g` of the log-probability and `h` of the entropy:
//! `dz_j = g·(δ_jt - p_j) - h·p_j·(z_j - L + H)`, then `dlogit = dz / temperature`,
//! `dhidden = Σ_j dlogit_j·W_j`, `dW_j = Σ_rows dlogit_j·hidden`.

use rayon::prelude::*;

use crate::gemm::{MatRef, PackedMatrix, gemm, gemm_packed};
use crate::recycle::Buffer;
use crate::rows::{self, rows_per_piece};
use crate::vmath::{exp_f32, vectorized};

/// Rows that are worked on together.
const TILE_ROWS: usize = 2048;
/// Vocabulary entries that are worked on together.
const TILE_COLUMNS: usize = 1024;
/// Logits of all columns at once when the weight is packed: 16 MiB.
const PACKED_LOGITS_MAX: usize = 4 << 20;

/// The output head `[V, d]`.
#[derive(Clone, Copy)]
pub(crate) enum Weight<'a> {
    Plain { values: &'a [f32], vocabulary: usize },
    Packed(&'a PackedMatrix),
}

/// What is scored: hidden `[T, d]`, targets and temperature `[T]`.
pub(crate) struct HeadInput<'a> {
    pub(crate) hidden: &'a [f32],
    pub(crate) weight: Weight<'a>,
    pub(crate) targets: &'a [u32],
    pub(crate) temperature: &'a [f32],
}

/// What the forward pass left and what comes back, `[T]` each.
pub(crate) struct RowGradients<'a> {
    pub(crate) log_sums: &'a [f32],
    pub(crate) entropies: &'a [f32],
    pub(crate) logprob_grads: &'a [f32],
    pub(crate) entropy_grads: &'a [f32],
}

/// Running sums over the vocabulary of one row: `sum = Σ exp(z - max)`,
/// `weighted = Σ exp(z - max)·(z - max)`.
#[derive(Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
    weighted: f32,
    target: f32,
}

impl Running {
    const EMPTY: Self = Self { max: f32::NEG_INFINITY, sum: 0.0, weighted: 0.0, target: 0.0 };

    /// Takes in one tile of logits, which it turns into tempered ones on the way.
    #[inline(always)]
    fn add(&mut self, logits: &mut [f32], temperature: f32) {
        logits.iter_mut().for_each(|z| *z /= temperature);
        let max = rows::max(logits).max(self.max);
        // Nothing was there before the first tile; -inf - max would also spoil `weighted`.
        if self.sum > 0.0 {
            let shift = self.max - max;
            let shrink = exp_f32(shift);
            self.weighted = shrink * (self.weighted + shift * self.sum);
            self.sum *= shrink;
        }
        self.max = max;
        let (sum, weighted) = rows::sum_pair(logits, |z, sum, weighted| {
            let (z, e) = (z - max, exp_f32(z - max));
            (sum + e, z.mul_add(e, weighted))
        });
        self.sum += sum;
        self.weighted += weighted;
    }

    /// Log-probability, entropy and log of the sum.
    fn finish(&self) -> [f32; 3] {
        let log_sum = self.sum.ln();
        let logprob = self.target - self.max - log_sum;
        let entropy = log_sum - self.weighted / self.sum;
        [logprob, entropy, self.max + log_sum]
    }
}

impl HeadInput<'_> {
    fn tokens(&self) -> usize {
        self.targets.len()
    }

    fn vocabulary(&self) -> usize {
        match self.weight {
            Weight::Plain { vocabulary, .. } => vocabulary,
            Weight::Packed(weight) => weight.out_features(),
        }
    }

    fn width(&self) -> usize {
        self.hidden.len() / self.tokens().max(1)
    }

    fn hidden_rows(&self, first: usize, count: usize) -> &[f32] {
        &self.hidden[first * self.width()..(first + count) * self.width()]
    }
}

/// Rows of a weight or of its gradient.
fn weight_rows(values: &[f32], first: usize, count: usize, width: usize) -> MatRef<'_> {
    MatRef::new(&values[first * width..(first + count) * width], count, width)
}

/// Log-probabilities then entropies into `scores` `[2, T]`, logs of the sums into `log_sums`.
pub(crate) fn score(input: &HeadInput, scores: &mut [f32], log_sums: &mut [f32]) {
    let (logprobs, entropies) = scores.split_at_mut(input.tokens());
    let rows_together = match input.weight {
        Weight::Plain { .. } => TILE_ROWS,
        Weight::Packed(_) => (PACKED_LOGITS_MAX / input.vocabulary()).clamp(1, TILE_ROWS),
    };
    for first in (0..input.tokens()).step_by(rows_together) {
        let count = rows_together.min(input.tokens() - first);
        let mut running = vec![Running::EMPTY; count];
        match input.weight {
            Weight::Plain { values, .. } => score_tiles(input, values, first, &mut running),
            Weight::Packed(weight) => {
                let vocabulary = weight.out_features();
                let mut logits = Buffer::new(count * vocabulary);
                gemm_packed(&mut logits, input.hidden_rows(first, count), weight);
                take_in(input, (&mut logits, vocabulary), first, 0, &mut running);
            }
        }
        for (row, running) in running.iter().enumerate() {
            let at = first + row;
            [logprobs[at], entropies[at], log_sums[at]] = running.finish();
        }
    }
}

fn score_tiles(input: &HeadInput, values: &[f32], first: usize, running: &mut [Running]) {
    let (width, count) = (input.width(), running.len());
    let hidden = MatRef::new(input.hidden_rows(first, count), count, width);
    let mut tile = Buffer::new(count * TILE_COLUMNS.min(input.vocabulary()));
    for column in (0..input.vocabulary()).step_by(TILE_COLUMNS) {
        let columns = TILE_COLUMNS.min(input.vocabulary() - column);
        let logits = &mut tile[..count * columns];
        gemm(logits, hidden, weight_rows(values, column, columns, width).t(), false);
        take_in(input, (logits, columns), first, column, running);
    }
}

/// Adds logits of the columns from `column` on to the running sums, always in steps of
/// [`TILE_COLUMNS`], whatever stands in `logits`.
fn take_in(
    input: &HeadInput,
    (logits, columns): (&mut [f32], usize),
    first: usize,
    column: usize,
    running: &mut [Running],
) {
    let piece = rows_per_piece(running.len(), columns);
    running.par_chunks_mut(piece).zip(logits.par_chunks_mut(piece * columns)).enumerate().for_each(
        |(at, (running, logits))| {
            let rows = first + at * piece..;
            vectorized(
                #[inline(always)]
                || {
                    for (row, (running, logits)) in rows.zip(running.iter_mut().zip(logits.chunks_exact_mut(columns))) {
                        for tile in logits.chunks_mut(TILE_COLUMNS) {
                            running.add(tile, input.temperature[row]);
                        }
                        let target = (input.targets[row] as usize).checked_sub(column);
                        if let Some(z) = target.and_then(|target| logits.get(target)) {
                            running.target = *z;
                        }
                    }
                },
            );
        },
    );
}

/// Writes the gradients with respect to hidden and weight over what stands there.
pub(crate) fn gradients(input: &HeadInput, rows: &RowGradients, dhidden: &mut [f32], dweight: &mut [f32]) {
    let Weight::Plain { values, vocabulary } = input.weight else {
        unreachable!("a packed weight records no gradients")
    };
    let width = input.width();
    if input.tokens() == 0 {
        dweight.fill(0.0);
    }
    let largest = TILE_ROWS.min(input.tokens()) * TILE_COLUMNS.min(vocabulary);
    let mut tile = Buffer::new(largest);
    for first in (0..input.tokens()).step_by(TILE_ROWS) {
        let count = TILE_ROWS.min(input.tokens() - first);
        let hidden = MatRef::new(input.hidden_rows(first, count), count, width);
        let dhidden = &mut dhidden[first * width..(first + count) * width];
        for column in (0..vocabulary).step_by(TILE_COLUMNS) {
            let columns = TILE_COLUMNS.min(vocabulary - column);
            let weight = weight_rows(values, column, columns, width);
            let logits = &mut tile[..count * columns];
            gemm(logits, hidden, weight.t(), false);
            rows.turn_into_gradients(input, logits, first, column);
            let dlogits = MatRef::new(logits, count, columns);
            gemm(dhidden, dlogits, weight, column > 0);
            let dweight = &mut dweight[column * width..(column + columns) * width];
            gemm(dweight, dlogits.t(), hidden, first > 0);
        }
    }
}

impl RowGradients<'_> {
    /// Replaces the logits of a tile by their gradients.
    fn turn_into_gradients(&self, input: &HeadInput, logits: &mut [f32], first: usize, column: usize) {
        let columns = TILE_COLUMNS.min(input.vocabulary() - column);
        rows::for_each(logits, columns, |range, logits| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, logits) in range.zip(logits.chunks_exact_mut(columns)) {
                        self.turn_row(input, logits, first + row, column);
                    }
                },
            );
        });
    }

    #[inline(always)]
    fn turn_row(&self, input: &HeadInput, logits: &mut [f32], row: usize, column: usize) {
        let (temperature, log_sum) = (input.temperature[row], self.log_sums[row]);
        let (g, h) = (self.logprob_grads[row], self.entropy_grads[row]);
        let entropy = self.entropies[row];
        for z in logits.iter_mut() {
            let log_p = *z / temperature - log_sum;
            *z = -exp_f32(log_p) * (g + h * (log_p + entropy)) / temperature;
        }
        let target = (input.targets[row] as usize).checked_sub(column);
        if let Some(dlogit) = target.and_then(|target| logits.get_mut(target)) {
            *dlogit += g / temperature;
        }
    }
}
