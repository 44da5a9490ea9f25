//! Splits f32 values into bf16 high and low parts and lays them out as AMX tiles.
//!
//! Promise: `hi = bf16(x)`, `lo = bf16(x - hi)`, both rounded to nearest even, subnormals taken
//! as 0; so `|x - hi - lo| ≤ 2⁻¹⁶·|x|`, and `lo = 0` when `x` is a bf16 value.
//! Takes: a matrix of lanes and steps. Gives: tiles, zero where the matrix has ended.
//! Never: runs unless the processor has AVX-512 with bf16 (the callers checked).
//!
//! A *lane* is a row of A or a column of B; a *step* is one `k`. A tile covers 16 lanes and 32
//! steps as 16×16 words, each word the pair of steps `2p` and `2p + 1`.

use std::arch::x86_64::*;

use super::amx::{STEP, STRIP_LINES, TILE};
use super::avx512::transpose16;
use super::buffer::Line;
use super::view::MatRef;

/// Which of the two word orders a tile has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// `[lane][pair]`, for A.
    LaneRows,
    /// `[pair][lane]`, for B.
    PairRows,
}

type Words = [__m512i; 16];

/// Lays out rows of A, `[lanes, steps]`, as strips of 32 rows: `[strip][step block][hi hi lo lo]`.
///
/// # Safety
/// The processor has AVX-512 BW and BF16. `to` has room for every strip.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn strips(to: &mut [Line], a: MatRef) {
    let blocks = a.cols().div_ceil(STEP);
    for (strip, to) in to.chunks_exact_mut(blocks * STRIP_LINES).enumerate() {
        for tile in 0..2 {
            let lanes = strip * 32 + tile * TILE;
            if lanes >= a.rows() && tile == 1 {
                continue; // the kernel for 16 rows does not read the second tile
            }
            for (block, to) in to.chunks_exact_mut(STRIP_LINES).enumerate() {
                // SAFETY: features as promised by the caller.
                let (hi, lo) = unsafe { split_tile(a, lanes, block * STEP, Order::LaneRows) };
                store(&mut to[tile * TILE..][..TILE], &hi);
                store(&mut to[(2 + tile) * TILE..][..TILE], &lo);
            }
        }
    }
}

/// Lays out one panel of 32 columns of B, given as its transpose `b`: `[lanes, steps]`, from lane
/// `lane` on: `[step block][hi hi lo lo]`, or `[hi hi]` when not `low`.
///
/// # Safety
/// The processor has AVX-512 BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn panel(to: &mut [Line], b: MatRef, lane: usize, low: bool) {
    let lines = if low { 4 * TILE } else { 2 * TILE };
    for (block, to) in to.chunks_exact_mut(lines).enumerate() {
        for tile in 0..2 {
            let lanes = lane + tile * TILE;
            // SAFETY: features as promised by the caller.
            let (hi, lo) = unsafe { split_tile(b, lanes, block * STEP, Order::PairRows) };
            store(&mut to[tile * TILE..][..TILE], &hi);
            if low {
                store(&mut to[(2 + tile) * TILE..][..TILE], &lo);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn store(to: &mut [Line], words: &Words) {
    assert_eq!(to.len(), TILE, "a tile is 16 lines");
    for (line, words) in to.iter_mut().zip(words) {
        // SAFETY: a line is 64 bytes, aligned to 64.
        unsafe { _mm512_store_si512((&raw mut *line).cast(), *words) };
    }
}

/// High and low tiles of lanes `lane..lane + 16`, steps `step..step + 32`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn split_tile(m: MatRef, lane: usize, step: usize, order: Order) -> (Words, Words) {
    let lanes = m.rows().saturating_sub(lane).min(TILE);
    let steps = m.cols().saturating_sub(step).min(STEP);
    if lanes == 0 || steps == 0 {
        return ([_mm512_setzero_si512(); 16], [_mm512_setzero_si512(); 16]);
    }
    let from = m.data()[lane * m.row_stride() + step * m.col_stride()..].as_ptr();
    // SAFETY: the view holds `lanes × steps` elements from there on; strides are the view's.
    let ((mut hi, mut lo), natural) = unsafe {
        if m.col_stride() == 1 {
            (
                along_steps(from, m.row_stride(), lanes, steps),
                Order::LaneRows,
            )
        } else if m.row_stride() == 1 {
            (
                along_lanes(from, m.col_stride(), lanes, steps),
                Order::PairRows,
            )
        } else {
            let mut copy = [0.0f32; TILE * STEP];
            for (i, row) in copy.chunks_exact_mut(STEP).take(lanes).enumerate() {
                for (p, x) in row.iter_mut().take(steps).enumerate() {
                    *x = m.at(lane + i, step + p);
                }
            }
            (
                along_steps(copy.as_ptr(), STEP, lanes, steps),
                Order::LaneRows,
            )
        }
    };
    if natural != order {
        transpose16(&mut hi);
        transpose16(&mut lo);
    }
    (hi, lo)
}

/// Words `[lane][pair]` from memory where the steps of a lane are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_steps(
    from: *const f32,
    stride: usize,
    lanes: usize,
    steps: usize,
) -> (Words, Words) {
    let mask = if steps == STEP {
        u32::MAX
    } else {
        (1 << steps) - 1
    };
    let (mut hi, mut lo) = ([_mm512_setzero_si512(); 16], [_mm512_setzero_si512(); 16]);
    for i in 0..16 {
        if i < lanes {
            let row = from.wrapping_add(i * stride);
            // SAFETY: the mask keeps to the `steps` elements of lane `i`, which exist (caller).
            let (x0, x1) = unsafe {
                let x0 = _mm512_maskz_loadu_ps(mask as u16, row);
                (
                    x0,
                    _mm512_maskz_loadu_ps((mask >> 16) as u16, row.wrapping_add(16)),
                )
            };
            (hi[i], lo[i]) = split(x0, x1);
        }
    }
    (hi, lo)
}

/// Words `[pair][lane]` from memory where the lanes of a step are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_lanes(
    from: *const f32,
    stride: usize,
    lanes: usize,
    steps: usize,
) -> (Words, Words) {
    let mask = ((1u32 << lanes) - 1) as u16;
    let weave = weave_index();
    let (mut hi, mut lo) = ([_mm512_setzero_si512(); 16], [_mm512_setzero_si512(); 16]);
    for i in 0..16 {
        if 2 * i < steps {
            let row = from.wrapping_add(2 * i * stride);
            let second = if 2 * i + 1 < steps { mask } else { 0 };
            // SAFETY: the masks keep to the `lanes` elements of steps that exist (caller).
            let (x0, x1) = unsafe {
                let x0 = _mm512_maskz_loadu_ps(mask, row);
                (x0, _mm512_maskz_loadu_ps(second, row.wrapping_add(stride)))
            };
            let (h, l) = split(x0, x1);
            hi[i] = _mm512_permutexvar_epi16(weave, h);
            lo[i] = _mm512_permutexvar_epi16(weave, l);
        }
    }
    (hi, lo)
}

/// 32 values as bf16, `x0` in the lower half: high parts, low parts.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn split(x0: __m512, x1: __m512) -> (__m512i, __m512i) {
    let hi = as_words(_mm512_cvtne2ps_pbh(x1, x0));
    let rest0 = _mm512_sub_ps(x0, widen(_mm512_castsi512_si256(hi)));
    let rest1 = _mm512_sub_ps(x1, widen(_mm512_extracti64x4_epi64::<1>(hi)));
    (hi, as_words(_mm512_cvtne2ps_pbh(rest1, rest0)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen(bits: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn as_words(values: __m512bh) -> __m512i {
    // SAFETY: both are 64 bytes without padding, any bits are valid.
    unsafe { std::mem::transmute(values) }
}

/// Takes `[x0 lanes, x1 lanes]` to pairs `x0₀ x1₀ x0₁ x1₁ …`.
#[inline]
#[target_feature(enable = "avx512f")]
fn weave_index() -> __m512i {
    let index: [u16; 32] = std::array::from_fn(|i| (i / 2 + 16 * (i % 2)) as u16);
    // SAFETY: 64 bytes are read from an array of 64 bytes.
    unsafe { _mm512_loadu_si512(index.as_ptr().cast()) }
}
