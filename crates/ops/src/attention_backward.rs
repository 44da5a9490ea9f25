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
use crate::attention::Forward;
use crate::block_product::{Into, Left, Right, Size, block_product};
use crate::recycle::Buffer;
use crate::rows;
use crate::shapes::Sequence;
use crate::vmath::{exp_f32, vectorized};

/// Query rows of one head that are worked on together.
const BLOCK: usize = 64;
/// Query rows within a block whose scores end at the same key; a divisor of [`BLOCK`].
const STRIP: usize = 8;

/// Gradients with respect to q, k and v. Each task has a key/value head and sequences whose rows no other task has with
/// that head: one, followed by those that continue it.
pub(crate) fn gradients(forward: &Forward, tasks: Vec<(Vec<Sequence>, usize)>) -> (FlexTensor, FlexTensor, FlexTensor) {
    let heads = forward.heads;
    let tokens = forward.q.len() / heads.query_width();
    let mut dq = Buffer::new(tokens * heads.query_width());
    let mut dk = Buffer::new(tokens * heads.kv_width());
    let mut dv = Buffer::new(tokens * heads.kv_width());
    let shared = [&mut dq, &mut dk, &mut dv].map(|x| Shared::new(x));
    tasks.into_par_iter().for_each_init(Scratch::default, |scratch, (family, kv_head)| {
        for sequence in family {
            let work = Work { forward, sequence, kv_head };
            work.run(&shared, scratch);
        }
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

/// One sequence and one key/value head. Tokens are counted from the start of its past.
struct Work<'a> {
    forward: &'a Forward<'a>,
    sequence: Sequence,
    kv_head: usize,
}

impl Work<'_> {
    fn run(&self, shared: &[Shared; 3], scratch: &mut Scratch) {
        let heads = self.forward.heads;
        let (past, len, dim) = (self.past(), self.len(), heads.head_dim);
        for (from, to) in [(self.forward.k, &mut scratch.keys), (self.forward.v, &mut scratch.values)] {
            let to = sized(to, len * dim);
            for (rows, first) in [(&self.sequence.past, 0), (&self.sequence.rows, past)] {
                let size = [rows.len(), dim];
                transpose(&from[self.start(rows)..], heads.kv_width(), size, &mut to[first..], len);
            }
        }
        sized(&mut scratch.dk, len * dim).fill(0.0);
        sized(&mut scratch.dv, len * dim).fill(0.0);
        for head in self.kv_head * heads.group()..(self.kv_head + 1) * heads.group() {
            for first in (past..len).step_by(BLOCK) {
                let block = Block { work: self, head, tokens: first..len.min(first + BLOCK) };
                block.run(&shared[0], scratch);
            }
        }
        for (to, from) in shared[1..].iter().zip([&scratch.dk, &scratch.dv]) {
            let (before, own) = from[..len * dim].split_at(past * dim);
            self.write(&self.sequence.rows, own, to, |to, from| *to = from);
            self.write(&self.sequence.past, before, to, |to, from| *to += from);
        }
    }

    fn past(&self) -> usize {
        self.sequence.past.len()
    }

    /// Tokens, those of the past among them.
    fn len(&self) -> usize {
        self.past() + self.sequence.rows.len()
    }

    /// Where the first of these rows stands in `[T, KV*D]`, for this head.
    fn start(&self, rows: &Range<usize>) -> usize {
        rows.start * self.forward.heads.kv_width() + self.kv_head * self.forward.heads.head_dim
    }

    fn write(&self, rows: &Range<usize>, from: &[f32], to: &Shared, write: impl Fn(&mut f32, f32)) {
        let (dim, step) = (self.forward.heads.head_dim, self.forward.heads.kv_width());
        for (token, from) in from.chunks_exact(dim).enumerate() {
            let at = self.start(rows) + token * step;
            // SAFETY: each task has its own rows and head.
            let to = unsafe { to.slice(at..at + dim) };
            to.iter_mut().zip(from).for_each(|(to, from)| write(to, *from));
        }
    }
}

/// Some consecutive tokens of a sequence and one query head.
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
        let start = self.row(token) * self.work.forward.heads.query_width() + self.head * self.dim();
        start..start + self.dim()
    }

    fn row(&self, token: usize) -> usize {
        self.work.sequence.rows.start + token - self.work.past()
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
        let (dim, stride, len) = (self.dim(), self.stride(), self.work.len());
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
                    let log_sum = forward.log_sums[self.row(token) * forward.heads.query + self.head];
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
        let (heads, past) = (self.work.forward.heads, self.work.past());
        let dq = sized(&mut scratch.dq, count * dim);
        for strip in (0..count).step_by(STRIP) {
            let end = count.min(strip + STRIP);
            let own = (&self.work.sequence.rows, past, self.tokens.start + end - past, Into::Add);
            for (rows, first, k, into) in [(&self.work.sequence.past, 0, past, Into::Overwrite), own] {
                let into = if past == 0 { Into::Overwrite } else { into };
                let size = Size { m: end - strip, n: dim, k };
                let left = Left { data: &scratch.dscores[strip * stride + first..], row: stride, step: 1 };
                let right = Right { data: &self.work.forward.k[self.work.start(rows)..], step: heads.kv_width() };
                block_product((&mut dq[strip * dim..], dim), size, left, right, into);
            }
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
