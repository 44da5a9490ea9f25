//! Gradients of packed causal attention.
//!
//! Promise: scores are computed again from q and k, block by block; nothing of size
//! `tokens x tokens` is held, only [`BLOCK`] rows of it per thread.
//!
//! With `P_ij = exp(s·q_i·k_j - log_sum_i)` for `j ≤ i`, `s = 1/sqrt(D)`, and
//! `δ_i = dy_i · y_i`:
//! `dV_j = Σ_i P_ij·dy_i`, `dS_ij = P_ij·(dy_i·v_j - δ_i)`,
//! `dq_i = s·Σ_j dS_ij·k_j`, `dk_j = s·Σ_i dS_ij·q_i`.
//! Source: FlashAttention-2, arXiv:2307.08691, section 2.2.

use std::ops::Range;

use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::attend::{Shared, sized, transpose};
use crate::attention::{Forward, Task};
use crate::block_product::{Into, Left, Right, Size, block_product};
use crate::recycle::Buffer;
use crate::rows;
use crate::vmath::{exp_f32, vectorized};

/// Query rows of one head that are worked on together.
const BLOCK: usize = 64;
/// Query rows within a block whose scores end at the same key; a divisor of [`BLOCK`].
const STRIP: usize = 8;

/// Gradients with respect to q, k and v. Each task has its own rows and key/value head.
pub(crate) fn gradients(forward: &Forward, tasks: Vec<Task>) -> (FlexTensor, FlexTensor, FlexTensor) {
    let heads = forward.heads;
    let tokens = forward.q.len() / heads.query_width();
    let mut dq = Buffer::new(tokens * heads.query_width());
    let mut dk = Buffer::new(tokens * heads.kv_width());
    let mut dv = Buffer::new(tokens * heads.kv_width());
    let shared = [&mut dq, &mut dk, &mut dv].map(|x| Shared::new(x));
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (rows, kv_head)| {
        let work = Work { forward, rows, kv_head };
        work.run(&shared, scratch);
    });
    (
        dq.into_tensor([tokens, heads.query_width()]),
        dk.into_tensor([tokens, heads.kv_width()]),
        dv.into_tensor([tokens, heads.kv_width()]),
    )
}

/// Working memory of one thread.
#[derive(Default)]
struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
    q: Vec<f32>,
    grad: Vec<f32>,
    dq: Vec<f32>,
    weights: Vec<f32>,
    dscores: Vec<f32>,
}

/// One sequence and one key/value head.
struct Work<'a> {
    forward: &'a Forward<'a>,
    rows: Range<usize>,
    kv_head: usize,
}

impl Work<'_> {
    fn run(&self, shared: &[Shared; 3], scratch: &mut Scratch) {
        let heads = self.forward.heads;
        let (len, dim, step) = (self.rows.len(), heads.head_dim, heads.kv_width());
        let start = self.rows.start * step + self.kv_head * dim;
        let keys = sized(&mut scratch.keys, len * dim);
        transpose(&self.forward.k[start..], step, dim, keys);
        let values = sized(&mut scratch.values, len * dim);
        transpose(&self.forward.v[start..], step, dim, values);
        sized(&mut scratch.dk, len * dim).fill(0.0);
        sized(&mut scratch.dv, len * dim).fill(0.0);
        for head in self.kv_head * heads.group()..(self.kv_head + 1) * heads.group() {
            for first in (0..len).step_by(BLOCK) {
                let block = Block { work: self, head, tokens: first..len.min(first + BLOCK) };
                block.run(&shared[0], scratch);
            }
        }
        for (to, from) in shared[1..].iter().zip([&scratch.dk, &scratch.dv]) {
            for (token, from) in from[..len * dim].chunks_exact(dim).enumerate() {
                let at = start + token * step;
                // SAFETY: each task has its own rows and head.
                unsafe { to.slice(at..at + dim) }.copy_from_slice(from);
            }
        }
    }
}

/// Some consecutive tokens of a sequence (counted from its start) and one query head.
struct Block<'a> {
    work: &'a Work<'a>,
    head: usize,
    tokens: Range<usize>,
}

impl Block<'_> {
    fn dim(&self) -> usize {
        self.work.forward.heads.head_dim
    }

    /// Distance between rows of weights.
    fn stride(&self) -> usize {
        self.tokens.end.next_multiple_of(16)
    }

    /// Where a token's vector of this head stands in `[T, H*D]`.
    fn place(&self, token: usize) -> Range<usize> {
        let row = self.work.rows.start + token;
        let start = row * self.work.forward.heads.query_width() + self.head * self.dim();
        start..start + self.dim()
    }

    fn run(&self, shared_dq: &Shared, scratch: &mut Scratch) {
        let (count, dim, scale) = (self.tokens.len(), self.dim(), self.work.forward.heads.scale());
        let forward = self.work.forward;
        let q = sized(&mut scratch.q, count * dim);
        let grad = sized(&mut scratch.grad, count * dim);
        for (at, token) in self.tokens.clone().enumerate() {
            let (to, place) = (at * dim..(at + 1) * dim, self.place(token));
            let source = &forward.q[place.clone()];
            q[to.clone()].iter_mut().zip(source).for_each(|(q, s)| *q = s * scale);
            grad[to].copy_from_slice(&forward.grad[place]);
        }
        sized(&mut scratch.weights, count * self.stride());
        sized(&mut scratch.dscores, count * self.stride());
        for strip in (0..count).step_by(STRIP) {
            self.weights(strip..count.min(strip + STRIP), scratch);
        }
        self.query_gradient(shared_dq, scratch);
        self.add_key_and_value_gradients(scratch);
    }

    /// `P` and `dS` for some rows of the block, up to the last key that any of them sees.
    fn weights(&self, strip: Range<usize>, scratch: &mut Scratch) {
        let (dim, stride, len) = (self.dim(), self.stride(), self.work.rows.len());
        let seen = self.tokens.start + strip.end;
        let size = Size { m: strip.len(), n: seen, k: dim };
        let span = strip.start * stride..strip.end * stride;
        let weights = &mut scratch.weights[span.clone()];
        let dscores = &mut scratch.dscores[span];
        let factor = |data| Left { data, row: dim, step: 1 };
        let left = factor(&scratch.q[strip.start * dim..]);
        let right = Right { data: &scratch.keys, step: len };
        block_product((weights, stride), size, left, right, Into::Overwrite);
        let left = factor(&scratch.grad[strip.start * dim..]);
        let right = Right { data: &scratch.values, step: len };
        block_product((dscores, stride), size, left, right, Into::Overwrite);
        let forward = self.work.forward;
        let grad = &scratch.grad[strip.start * dim..];
        let rows = weights.chunks_exact_mut(stride).zip(dscores.chunks_exact_mut(stride));
        vectorized(
            #[inline(always)]
            || {
                for (at, (weights, dscores)) in rows.enumerate() {
                    let token = self.tokens.start + strip.start + at;
                    let row = self.work.rows.start + token;
                    let log_sum = forward.log_sums[row * forward.heads.query + self.head];
                    let out = &forward.out[self.place(token)];
                    let delta = rows::dot(&grad[at * dim..(at + 1) * dim], out);
                    let pairs = weights[..=token].iter_mut().zip(&mut dscores[..=token]);
                    for (weight, dscore) in pairs {
                        *weight = exp_f32(*weight - log_sum);
                        *dscore = *weight * (*dscore - delta);
                    }
                    weights[token + 1..seen].fill(0.0);
                    dscores[token + 1..seen].fill(0.0);
                }
            },
        );
    }

    fn query_gradient(&self, shared_dq: &Shared, scratch: &mut Scratch) {
        let (count, dim, stride) = (self.tokens.len(), self.dim(), self.stride());
        let heads = self.work.forward.heads;
        let start = self.work.rows.start * heads.kv_width() + self.work.kv_head * dim;
        let dq = sized(&mut scratch.dq, count * dim);
        for strip in (0..count).step_by(STRIP) {
            let end = count.min(strip + STRIP);
            let size = Size { m: end - strip, n: dim, k: self.tokens.start + end };
            let left = Left { data: &scratch.dscores[strip * stride..], row: stride, step: 1 };
            let right = Right { data: &self.work.forward.k[start..], step: heads.kv_width() };
            block_product((&mut dq[strip * dim..], dim), size, left, right, Into::Overwrite);
        }
        for (token, dq) in self.tokens.clone().zip(dq.chunks_exact(dim)) {
            // SAFETY: each task has its own rows and heads.
            let to = unsafe { shared_dq.slice(self.place(token)) };
            to.iter_mut().zip(dq).for_each(|(to, dq)| *to = dq * heads.scale());
        }
    }

    /// Adds the terms of this block's queries. Keys inside the block are seen only by queries
    /// from their own strip on.
    fn add_key_and_value_gradients(&self, scratch: &mut Scratch) {
        let (count, dim, stride) = (self.tokens.len(), self.dim(), self.stride());
        let before = (0..self.tokens.start, 0);
        let inside = (0..count).step_by(STRIP).map(|strip| {
            let end = count.min(strip + STRIP);
            (self.tokens.start + strip..self.tokens.start + end, strip)
        });
        for (keys, first) in std::iter::once(before).chain(inside) {
            let size = Size { m: keys.len(), n: dim, k: count - first };
            let outputs =
                [(&mut scratch.dv, &scratch.weights, &scratch.grad), (&mut scratch.dk, &scratch.dscores, &scratch.q)];
            for (sum, weights, vectors) in outputs {
                let left = Left { data: &weights[first * stride + keys.start..], row: 1, step: stride };
                let right = Right { data: &vectors[first * dim..], step: dim };
                block_product((&mut sum[keys.start * dim..], dim), size, left, right, Into::Add);
            }
        }
    }
}
