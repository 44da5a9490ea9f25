//! Splits work over rows between threads, and sums in a fixed order.
//!
//! Promise: what a row's result is never depends on how the rows were split.

use std::ops::Range;

use rayon::prelude::*;

/// Below this many touched floats one thread is faster than waking another.
const PARALLEL_FLOATS_MIN: usize = 32 * 1024;

/// Rows per piece so that a piece is worth a thread's while, `width` floats touched per row.
pub(crate) fn rows_per_piece(rows: usize, width: usize) -> usize {
    let enough = PARALLEL_FLOATS_MIN.div_ceil(2 * width.max(1));
    let fair = rows.div_ceil(4 * rayon::current_num_threads());
    enough.max(fair).max(1)
}

/// Calls `f(range, piece)` for pieces of `out` (`[rows, width]`), in parallel if worth it.
pub(crate) fn for_each(out: &mut [f32], width: usize, f: impl Fn(Range<usize>, &mut [f32]) + Send + Sync) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / width;
    let piece = rows_per_piece(rows, width);
    if piece >= rows {
        return f(0..rows, out);
    }
    out.par_chunks_mut(piece * width).enumerate().for_each(|(at, out)| {
        let start = at * piece;
        f(start..start + out.len() / width, out);
    });
}

/// As [`for_each`], with two outputs of the same number of rows.
pub(crate) fn for_each2(
    (first, first_width): (&mut [f32], usize),
    (second, second_width): (&mut [f32], usize),
    f: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Send + Sync,
) {
    if first.is_empty() {
        return;
    }
    let rows = first.len() / first_width;
    let piece = rows_per_piece(rows, first_width + second_width);
    if piece >= rows {
        return f(0..rows, first, second);
    }
    first.par_chunks_mut(piece * first_width).zip(second.par_chunks_mut(piece * second_width)).enumerate().for_each(
        |(at, (first, second))| {
            let start = at * piece;
            f(start..start + first.len() / first_width, first, second);
        },
    );
}

/// Column sums of `[rows, width]` where `add(row, sums)` adds one row's terms.
///
/// Rows are summed in blocks of fixed size and the blocks in order, so the result depends on
/// the rows alone.
pub(crate) fn column_sums(rows: usize, sums: &mut [f32], add: impl Fn(Range<usize>, &mut [f32]) + Send + Sync) {
    const BLOCK_ROWS: usize = 512;
    sums.fill(0.0);
    if rows <= BLOCK_ROWS {
        return add(0..rows, sums);
    }
    let width = sums.len();
    let partial: Vec<Vec<f32>> = (0..rows.div_ceil(BLOCK_ROWS))
        .into_par_iter()
        .map(|block| {
            let mut sums = vec![0.0; width];
            let start = block * BLOCK_ROWS;
            add(start..rows.min(start + BLOCK_ROWS), &mut sums);
            sums
        })
        .collect();
    for partial in partial {
        sums.iter_mut().zip(&partial).for_each(|(s, p)| *s += p);
    }
}

const LANES: usize = 16;

/// `Σ_i f(a_i, b_i)`: 16 running sums by position, then a fixed tree. The order depends on
/// the length alone. Call it inside [`crate::vmath::vectorized`].
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = f(a[lane], b[lane], lanes[lane]);
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] = f(*a, *b, lanes[lane]);
    }
    tree_sum(lanes)
}

/// Two sums in one pass: `f` adds the terms of an element to both. The order of [`sum2`].
#[inline(always)]
pub(crate) fn sum_pair(a: &[f32], f: impl Fn(f32, f32, f32) -> (f32, f32)) -> (f32, f32) {
    let (mut first, mut second) = ([0.0f32; LANES], [0.0f32; LANES]);
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for a in chunks {
        for lane in 0..LANES {
            (first[lane], second[lane]) = f(a[lane], first[lane], second[lane]);
        }
    }
    for (lane, a) in rest.iter().enumerate() {
        (first[lane], second[lane]) = f(*a, first[lane], second[lane]);
    }
    (tree_sum(first), tree_sum(second))
}

/// Sum of 16 numbers by halves.
#[inline(always)]
pub(crate) fn tree_sum(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `a · b`, in the order of [`sum2`].
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum2(a, b, |a, b, sum| a.mul_add(b, sum))
}

/// `Σ_i a_i`, in the order of [`sum2`].
#[inline(always)]
pub(crate) fn sum(a: &[f32]) -> f32 {
    sum2(a, a, |a, _, sum| sum + a)
}

/// The largest element, or minus infinity.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(chunk[lane], lanes[lane]);
        }
    }
    let best = lanes.into_iter().fold(f32::NEG_INFINITY, larger);
    rest.iter().copied().fold(best, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_every_element_once() {
        for len in [0, 1, 15, 16, 17, 100] {
            let a: Vec<f32> = (1..=len).map(|i| i as f32).collect();
            let (n, total) = (len as f32, (len * (len + 1) / 2) as f32);
            assert_eq!(sum(&a), total);
            let pair = sum_pair(&a, |a, x, y| (x + a, y + 2.0 * a));
            assert_eq!(pair, (total, 2.0 * total));
            assert_eq!(dot(&a, &a), n * (n + 1.0) * (2.0 * n + 1.0) / 6.0);
            assert_eq!(max(&a), if len == 0 { f32::NEG_INFINITY } else { n });
        }
    }

    #[test]
    fn every_row_is_visited_once_whatever_the_split() {
        for rows in [1, 7, 5000] {
            let width = 33;
            let mut out = vec![-1.0; rows * width];
            for_each(&mut out, width, |range, piece| {
                for (row, piece) in range.zip(piece.chunks_exact_mut(width)) {
                    piece.iter_mut().for_each(|x| *x += 1.0 + row as f32);
                }
            });
            for (row, values) in out.chunks_exact(width).enumerate() {
                assert!(values.iter().all(|&x| x == row as f32));
            }
        }
    }

    #[test]
    fn column_sums_add_all_blocks() {
        let mut sums = [9.0; 2];
        column_sums(1300, &mut sums, |rows, sums| {
            for row in rows {
                sums[0] += 1.0;
                sums[1] += (row % 2) as f32;
            }
        });
        assert_eq!(sums, [1300.0, 650.0]);
    }
}
