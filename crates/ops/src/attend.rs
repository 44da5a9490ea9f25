//! Attention of a few query rows over keys and values, the same for packed and cached use.
//!
//! Promise: a row's bits depend on its query and the keys and values it sees, in order; not on
//! how the keys are cut into runs, nor on the rows beside it.
//! How: scores are chains over the head dimension, the weighted sum is a chain over the keys
//! (see `block_product`), and the softmax sums by key index (see `rows::sum`).

use std::marker::PhantomData;
use std::ops::Range;

use crate::block_product::{Into, Left, Right, Size, block_product};
use crate::rows;
use crate::shapes::Heads;
use crate::vmath::{exp_f32, vectorized};

/// Query rows that are worked on together.
const ROWS_TOGETHER: usize = 8;

/// Keys and values of consecutive tokens that lie together, for one key/value head.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Keys transposed, `[head_dim, len]` with `key_step` between rows.
    pub(crate) keys: &'a [f32],
    pub(crate) key_step: usize,
    /// Values, `[len, head_dim]` with `value_step` between rows.
    pub(crate) values: &'a [f32],
    pub(crate) value_step: usize,
    pub(crate) len: usize,
}

/// An output that several threads write, each its own elements.
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: `slice` hands out disjoint ranges only (its contract), so threads never share one.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), life: PhantomData }
    }

    /// # Safety
    /// No two slices that live at the same time overlap.
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "outside the output");
        // SAFETY: inside the slice this was made from; disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Queries of consecutive tokens of one sequence.
pub(crate) struct Queries<'a> {
    /// All query rows of the batch, `[T, H*D]`.
    pub(crate) all: &'a [f32],
    /// Rows of the sequence in the batch.
    pub(crate) rows: Range<usize>,
    /// Tokens of the sequence before the first row.
    pub(crate) past: usize,
}

/// Where results go: attention output `[T, H*D]` and, if wanted, the log of each row's sum of
/// exponentials `[T, H]`.
pub(crate) struct Results<'a> {
    pub(crate) out: &'a Shared<'a>,
    pub(crate) log_sums: Option<&'a Shared<'a>>,
}

/// Working memory of one thread.
#[derive(Default)]
pub(crate) struct Scratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    out: Vec<f32>,
    sums: Vec<f32>,
    factors: Vec<f32>,
}

/// Grows a buffer without clearing what is there.
pub(crate) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Attention of one sequence's rows for the query heads of key/value head `kv_head`.
///
/// Row `i` sees the first `past + i + 1` keys of `runs`. Each call must have its own rows and
/// head, as it writes those of the results.
pub(crate) fn attend(
    queries: &Queries,
    runs: &[Run],
    heads: Heads,
    kv_head: usize,
    results: &Results,
    scratch: &mut Scratch,
) {
    let (group, dim) = (heads.group(), heads.head_dim);
    let tokens_together = (ROWS_TOGETHER / group).max(1);
    let width = group * dim;
    for first in queries.rows.clone().step_by(tokens_together) {
        let tokens = first..queries.rows.end.min(first + tokens_together);
        let seen = queries.past + tokens.end - queries.rows.start;
        let block = Block { tokens: tokens.len(), group, dim, seen };
        let q = sized(&mut scratch.queries, block.rows() * dim);
        for (token, q) in tokens.clone().zip(q.chunks_exact_mut(width)) {
            let start = token * heads.query_width() + kv_head * width;
            let source = &queries.all[start..start + width];
            q.iter_mut().zip(source).for_each(|(q, s)| *q = s * heads.scale());
        }
        let work = Work {
            scores: sized(&mut scratch.scores, block.rows() * block.stride()),
            out: sized(&mut scratch.out, block.rows() * dim),
            sums: sized(&mut scratch.sums, block.rows()),
            factors: sized(&mut scratch.factors, block.rows()),
        };
        block.attend(q, runs, work);
        let (out, sums) = (&scratch.out, &scratch.sums);
        for (at, token) in tokens.enumerate() {
            let start = token * heads.query_width() + kv_head * width;
            // SAFETY: each call has its own rows and head, so the ranges are disjoint.
            let to = unsafe { results.out.slice(start..start + width) };
            to.copy_from_slice(&out[at * width..(at + 1) * width]);
            if let Some(log_sums) = results.log_sums {
                let start = token * heads.query + kv_head * group;
                // SAFETY: as above.
                let to = unsafe { log_sums.slice(start..start + group) };
                to.copy_from_slice(&sums[at * group..(at + 1) * group]);
            }
        }
    }
}

/// Memory of a block: `[rows, stride]`, `[rows, dim]`, `[rows]`, `[rows]`.
struct Work<'a> {
    scores: &'a mut [f32],
    out: &'a mut [f32],
    sums: &'a mut [f32],
    factors: &'a mut [f32],
}

/// A few tokens times the heads of a group; row `r` belongs to token `r / group`.
struct Block {
    tokens: usize,
    group: usize,
    dim: usize,
    /// Keys that the last token sees; earlier tokens see one less each.
    seen: usize,
}

impl Block {
    fn rows(&self) -> usize {
        self.tokens * self.group
    }

    /// Distance between rows of scores.
    fn stride(&self) -> usize {
        self.seen.next_multiple_of(16)
    }

    fn seen_by(&self, row: usize) -> usize {
        self.seen + 1 + row / self.group - self.tokens
    }

    /// Fills `out` (`[rows, dim]`) and the logs of the sums of exponentials.
    fn attend(&self, q: &[f32], runs: &[Run], work: Work) {
        let Work { scores, out, sums, factors } = work;
        let (m, dim, stride) = (self.rows(), self.dim, self.stride());
        for (run, keys) in self.cut(runs) {
            let size = Size { m, n: keys.len(), k: dim };
            let left = Left { data: q, row: dim, step: 1 };
            let right = Right { data: run.keys, step: run.key_step };
            block_product((&mut scores[keys.start..], stride), size, left, right, Into::Overwrite);
        }
        vectorized(
            #[inline(always)]
            || {
                for (row, scores) in scores.chunks_exact_mut(stride).enumerate() {
                    let (seen, unseen) = scores.split_at_mut(self.seen_by(row));
                    let largest = rows::max(seen);
                    seen.iter_mut().for_each(|s| *s = exp_f32(*s - largest));
                    unseen.fill(0.0);
                    let sum = rows::sum(seen);
                    sums[row] = largest + sum.ln();
                    factors[row] = 1.0 / sum;
                }
            },
        );
        for (run, keys) in self.cut(runs) {
            let into = if keys.start == 0 { Into::Overwrite } else { Into::Add };
            let size = Size { m, n: dim, k: keys.len() };
            let left = Left { data: &scores[keys.start..], row: stride, step: 1 };
            let right = Right { data: run.values, step: run.value_step };
            block_product((out, dim), size, left, right, into);
        }
        for (out, factor) in out.chunks_exact_mut(dim).zip(factors) {
            out.iter_mut().for_each(|out| *out *= *factor);
        }
    }

    /// The runs up to the last key seen, with the keys that each holds.
    fn cut<'r>(&self, runs: &'r [Run<'r>]) -> impl Iterator<Item = (Run<'r>, Range<usize>)> {
        let (mut start, seen) = (0, self.seen);
        runs.iter().map_while(move |run| {
            let keys = start..seen.min(start + run.len);
            start = keys.end;
            (!keys.is_empty()).then_some((*run, keys))
        })
    }
}

/// Copies rows `[len, dim]`, `step` apart, transposed to `[dim, len]`, `to_step` apart.
pub(crate) fn transpose(from: &[f32], step: usize, [len, dim]: [usize; 2], to: &mut [f32], to_step: usize) {
    if len == 0 {
        return;
    }
    for d in 0..dim {
        let to = &mut to[d * to_step..d * to_step + len];
        for (to, from) in to.iter_mut().zip(from[d..].iter().step_by(step)) {
            *to = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_turns_rows_into_columns() {
        // Two of three columns of [1 2 _; 3 4 _; 5 6 _].
        let mut to = [0.0; 7];
        transpose(&[1., 2., 0., 3., 4., 0., 5., 6.], 3, [3, 2], &mut to, 4);
        assert_eq!(to, [1., 3., 5., 0., 2., 4., 6.]);
    }
}
