//! One answer down every path: packed, prefill and decode, chunked prefill, paged.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ops::{CacheView, CachedSegment, Heads, KvPool, Segments, host};

use crate::support::{assert_close, assert_same_bits, matrix, with_gradients};

const HEADS: Heads = Heads { query: 6, key_value: 2, head_dim: 20 };
const LENGTHS: [usize; 3] = [37, 1, 90];

struct Case {
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    segments: Segments,
}

impl Case {
    fn new() -> Self {
        let segments = Segments::from_lengths(&LENGTHS);
        let tokens = segments.tokens();
        Self {
            q: matrix(tokens, HEADS.query_width(), 1) * 3.0,
            k: matrix(tokens, HEADS.kv_width(), 2),
            v: matrix(tokens, HEADS.kv_width(), 3),
            segments,
        }
    }

    fn packed(&self) -> Vec<f32> {
        let [q, k, v] = [&self.q, &self.k, &self.v].map(Clone::clone);
        host::to_vec_f32(&ops::attention(q, k, v, &self.segments, HEADS))
    }

    /// Feeds every sequence in pieces (the next length for each step, cycling), several
    /// sequences per step, out of scattered blocks; gives the rows in packed order.
    fn cached(&self, pool: &mut KvPool, pieces: &[usize]) -> Vec<f32> {
        let tables: Vec<Arc<[u32]>> = scattered_blocks(&LENGTHS, pool.block_size());
        let width = HEADS.query_width();
        let mut result = vec![f32::NAN; self.segments.tokens() * width];
        let mut past = [0; LENGTHS.len()];
        for piece in pieces.iter().cycle() {
            let (mut view, mut rows) = (CacheView::default(), Vec::new());
            for (at, range) in self.segments.ranges().enumerate() {
                let count = (*piece).min(range.len() - past[at]);
                let first = range.start + past[at];
                view.segments.push(CachedSegment {
                    rows: rows.len()..rows.len() + count,
                    past: past[at],
                    blocks: tables[at].clone(),
                });
                rows.extend(first..first + count);
                past[at] += count;
            }
            if rows.is_empty() {
                return result;
            }
            let step = |x: &Tensor<2>| {
                let parts = rows.iter().map(|&row| x.clone().narrow(0, row, 1)).collect();
                Tensor::cat(parts, 0)
            };
            let out = ops::attention_cached(step(&self.q), step(&self.k), step(&self.v), pool, 1, &view, HEADS);
            let out = host::to_vec_f32(&out);
            for (row, out) in rows.iter().zip(out.chunks_exact(width)) {
                result[row * width..(row + 1) * width].copy_from_slice(out);
            }
        }
        unreachable!("the loop ends when no rows are left")
    }
}

/// Block tables that interleave the sequences and run backwards.
fn scattered_blocks(lengths: &[usize], block_size: usize) -> Vec<Arc<[u32]>> {
    let most = lengths.iter().max().unwrap().div_ceil(block_size);
    let count = lengths.len();
    let table = |at: usize| (0..most).rev().map(|b| (b * count + at) as u32).collect();
    (0..count).map(table).collect()
}

fn pool(block_size: usize) -> KvPool {
    let blocks = LENGTHS.len() * 90usize.div_ceil(block_size);
    KvPool::new(2, blocks, block_size, HEADS.kv_width(), &Device::flex())
}

#[test]
fn packed_prefill_decode_and_chunks_give_the_same_bits() {
    let case = Case::new();
    let packed = case.packed();
    for block_size in [1, 16, 23, 64] {
        for pieces in [&[90][..], &[1], &[30, 1, 1, 7], &[16]] {
            let cached = case.cached(&mut pool(block_size), pieces);
            assert_same_bits(&format!("{block_size} {pieces:?}"), &cached, &packed);
        }
    }
}

#[test]
fn a_sequence_alone_has_the_bits_it_has_in_a_batch() {
    let case = Case::new();
    let packed = case.packed();
    for range in case.segments.ranges() {
        let part = |x: &Tensor<2>| x.clone().narrow(0, range.start, range.len());
        let alone = Segments::from_lengths(&[range.len()]);
        let y = ops::attention(part(&case.q), part(&case.k), part(&case.v), &alone, HEADS);
        let span = range.start * HEADS.query_width()..range.end * HEADS.query_width();
        assert_same_bits("alone", &host::to_vec_f32(&y), &packed[span]);
    }
}

/// A prompt of 37 tokens with completions of 20, 0 and 66, another sequence between them, and a prompt that nobody
/// continues; then the same with a copy of the prompt for each completion, by rows of the first.
fn shared_and_copied() -> (Segments, Segments, Vec<usize>) {
    let lengths = [37, 20, 9, 0, 66, 5];
    let shared = Segments::from_lengths(&lengths).continuing([None, Some(0), None, Some(0), Some(0), None]);
    let rows: Vec<_> = shared.ranges().collect();
    let past = |at: usize| if [1, 3, 4].contains(&at) { rows[0].clone() } else { 0..0 };
    let whole: Vec<Vec<usize>> = (0..lengths.len()).map(|at| past(at).chain(rows[at].clone()).collect()).collect();
    let copied = Segments::from_lengths(&whole.iter().map(Vec::len).collect::<Vec<_>>());
    (shared, copied, whole.concat())
}

fn chosen(x: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let count = rows.len();
    x.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &x.device().inner()))
}

#[test]
fn a_past_that_sequences_share_gives_the_bits_of_a_copy_for_each() {
    let (shared, copied, rows) = shared_and_copied();
    let tokens = shared.tokens();
    let q = matrix(tokens, HEADS.query_width(), 1) * 3.0;
    let (k, v) = (matrix(tokens, HEADS.kv_width(), 2), matrix(tokens, HEADS.kv_width(), 3));
    let y = ops::attention(q.clone(), k.clone(), v.clone(), &shared, HEADS);
    let [q, k, v] = [&q, &k, &v].map(|x| chosen(x, &rows));
    let copies = host::to_vec_f32(&ops::attention(q, k, v, &copied, HEADS));
    assert_same_bits("copies", &host::to_vec_f32(&chosen(&y, &rows)), &copies);
}

#[test]
fn gradients_through_a_shared_past_are_the_sums_of_those_of_its_copies() {
    let (shared, copied, rows) = shared_and_copied();
    let tokens = shared.tokens();
    let inputs = [
        matrix(tokens, HEADS.query_width(), 1) * 3.0,
        matrix(tokens, HEADS.kv_width(), 2),
        matrix(tokens, HEADS.kv_width(), 3),
    ];
    // Both give rows of copies, so that both have the same gradients coming in.
    let once = with_gradients(&inputs, |[q, k, v]| chosen(&ops::attention(q, k, v, &shared, HEADS), &rows));
    let often = with_gradients(&inputs, |inputs| {
        let [q, k, v] = inputs.each_ref().map(|x| chosen(x, &rows));
        ops::attention(q, k, v, &copied, HEADS)
    });
    for (at, (once, often)) in once.iter().zip(&often).enumerate() {
        assert_close(&format!("gradient {at}"), once, often, 1e-5);
    }
}

#[test]
#[should_panic(expected = "sequence 2 cannot continue sequence 1")]
fn what_continues_is_not_continued() {
    let _ = Segments::from_lengths(&[2, 1, 1]).continuing([None, Some(0), Some(1)]);
}

#[test]
fn the_pool_of_tensors_gives_the_same_numbers() {
    let case = Case::new();
    let mut pool = KvPool::of_tensors(2, 18, 16, HEADS.kv_width(), &Device::flex());
    let cached = case.cached(&mut pool, &[30, 1, 1, 7]);
    assert_close("tensors", &cached, &case.packed(), 1e-5);
}

#[test]
fn a_reused_block_shows_nothing_of_its_last_owner() {
    let case = Case::new();
    let mut used = pool(16);
    let fresh = case.cached(&mut used, &[90]);
    assert_same_bits("again", &case.cached(&mut used, &[5]), &fresh);
}

#[test]
#[should_panic(expected = "do not hold")]
fn a_block_table_that_is_too_short_is_refused() {
    let view = CacheView { segments: vec![CachedSegment { rows: 0..2, past: 15, blocks: [0].into() }] };
    let (q, kv) = (matrix(2, HEADS.query_width(), 1), matrix(2, HEADS.kv_width(), 2));
    ops::attention_cached(q, kv.clone(), kv, &mut pool(16), 0, &view, HEADS);
}
