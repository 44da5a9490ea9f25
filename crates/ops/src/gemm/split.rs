//! Splits f32 values into bf16 high and low parts and lays them out as AMX tiles.
//!
//! Promise: `hi = bf16(x)`, `lo = bf16(x - hi)`, both rounded to nearest even, subnormals taken
//! as 0; so `|x - hi - lo| ≤ 2⁻¹⁶·|x|`, and `lo = 0` when `x` is a bf16 value.
//! Takes: a matrix of lanes and steps. Gives: tiles, zero where the matrix has ended; rows of A that do not exist are not
//! written, for what is computed of them is thrown away.
//! Never: runs unless the processor has AVX-512 with bf16 (the callers checked).
//!
//! A *lane* is a row of A or a column of B; a *step* is one `k`. A tile covers 16 lanes and 32
//! steps as 16×16 words, each word the pair of steps `2p` and `2p + 1`.

use std::arch::x86_64::*;

use super::amx::{STEP, TILE};
use super::avx512::transpose16;
use super::view::MatRef;
use crate::memory::Line;

/// Floats between what is read and what is fetched for later.
const AHEAD: usize = 64;

/// Which of the two word orders a tile has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// `[lane][pair]`, for A.
    LaneRows,
    /// `[pair][lane]`, for B.
    PairRows,
}

/// Lays out rows of A, `[lanes, steps]`, as strips of 32 rows: `[strip][step block][hi hi lo lo]`.
///
/// # Safety
/// The processor has AVX-512 BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn strips(to: &mut [Line], a: MatRef) {
    // SAFETY: features as promised by the caller.
    unsafe { tiles(to, a, Order::LaneRows, true) };
}

/// Lays out columns of B, given as its transpose `b`: `[lanes, steps]`, as panels of 32:
/// `[panel][step block][hi hi lo lo]`, or `[hi hi]` when not `low`.
///
/// # Safety
/// The processor has AVX-512 BW and BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn panels(to: &mut [Line], b: MatRef, low: bool) {
    // SAFETY: features as promised by the caller.
    unsafe { tiles(to, b, Order::PairRows, low) };
}

/// Both layouts are groups of two tiles of lanes. Goes through memory as it lies: all groups of
/// a step block where the lanes of a step are neighbours, else all step blocks of a group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn tiles(to: &mut [Line], m: MatRef, order: Order, low: bool) {
    let lines = if low { 4 * TILE } else { 2 * TILE };
    let (groups, blocks) = (m.rows().div_ceil(2 * TILE), m.cols().div_ceil(STEP));
    let by_lanes = m.row_stride() == 1 && m.col_stride() != 1;
    for i in 0..groups * blocks {
        let (group, block) = if by_lanes { (i % groups, i / groups) } else { (i / blocks, i % blocks) };
        let to = &mut to[(group * blocks + block) * lines..][..lines];
        let (high, rest) = to.split_at_mut(2 * TILE);
        for tile in 0..2 {
            let lane = (2 * group + tile) * TILE;
            let high = &mut high[tile * TILE..][..TILE];
            let low = rest.get_mut(tile * TILE..(tile + 1) * TILE);
            // SAFETY: features as promised by the caller.
            unsafe { tile_pair(high, low, m, lane, block * STEP, order) };
        }
    }
}

/// The high tile, and the low one if wanted, of lanes `lane..lane + 16`, steps `step..step + 32`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn tile_pair(high: &mut [Line], low: Option<&mut [Line]>, m: MatRef, lane: usize, step: usize, order: Order) {
    let lanes = m.rows().saturating_sub(lane).min(TILE);
    let steps = m.cols().saturating_sub(step).min(STEP);
    let mut unwanted = [Line::ZERO; TILE];
    let low = low.unwrap_or(&mut unwanted);
    let written = if order == Order::LaneRows { lanes } else { TILE };
    if lanes == 0 {
        high[..written].fill(Line::ZERO);
        low[..written].fill(Line::ZERO);
        return;
    }
    let from = m.data()[lane * m.row_stride() + step * m.col_stride()..].as_ptr();
    // SAFETY: the view holds `lanes × steps` elements from there on; strides are the view's.
    let natural = unsafe {
        if m.col_stride() == 1 {
            along_steps(&mut high[..written], low, from, m.row_stride(), lanes, steps);
            Order::LaneRows
        } else if m.row_stride() == 1 {
            along_lanes(high, low, from, m.col_stride(), lanes, steps);
            Order::PairRows
        } else {
            let mut copy = [0.0f32; TILE * STEP];
            for (i, row) in copy.chunks_exact_mut(STEP).take(lanes).enumerate() {
                for (p, x) in row.iter_mut().take(steps).enumerate() {
                    *x = m.at(lane + i, step + p);
                }
            }
            along_steps(&mut high[..written], low, copy.as_ptr(), STEP, lanes, steps);
            Order::LaneRows
        }
    };
    if natural != order {
        transpose(high);
        transpose(low);
    }
}

/// Words `[lane][pair]` from memory where the steps of a lane are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_steps(
    high: &mut [Line],
    low: &mut [Line],
    from: *const f32,
    stride: usize,
    lanes: usize,
    steps: usize,
) {
    let mask = if steps == STEP { u32::MAX } else { (1 << steps) - 1 };
    for (i, (high, low)) in high.iter_mut().zip(low).enumerate() {
        // A lane that does not exist is read through an empty mask, so as zeros.
        let mask = if i < lanes { mask } else { 0 };
        let row = from.wrapping_add(i * stride);
        // SAFETY: the mask keeps to the `steps` elements of lane `i`, which exist (caller).
        let (x0, x1) = unsafe {
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(AHEAD).cast());
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(AHEAD + 16).cast());
            let x0 = _mm512_maskz_loadu_ps(mask as u16, row);
            (x0, _mm512_maskz_loadu_ps((mask >> 16) as u16, row.wrapping_add(16)))
        };
        let (h, l) = split(x0, x1);
        store(high, h);
        store(low, l);
    }
}

/// Words `[pair][lane]` from memory where the lanes of a step are neighbours.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along_lanes(
    high: &mut [Line],
    low: &mut [Line],
    from: *const f32,
    stride: usize,
    lanes: usize,
    steps: usize,
) {
    let mask = ((1u32 << lanes) - 1) as u16;
    let weave = weave_index();
    for (i, (high, low)) in high.iter_mut().zip(low).enumerate() {
        let row = from.wrapping_add(2 * i * stride);
        let masks = (2 * i < steps, 2 * i + 1 < steps);
        // SAFETY: the masks keep to the `lanes` elements of steps that exist (caller).
        let (x0, x1) = unsafe {
            let next = row.wrapping_add(stride);
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(AHEAD).cast());
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(AHEAD).cast());
            let x0 = _mm512_maskz_loadu_ps(if masks.0 { mask } else { 0 }, row);
            (x0, _mm512_maskz_loadu_ps(if masks.1 { mask } else { 0 }, next))
        };
        let (h, l) = split(x0, x1);
        store(high, _mm512_permutexvar_epi16(weave, h));
        store(low, _mm512_permutexvar_epi16(weave, l));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut Line, words: __m512i) {
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { _mm512_store_si512((&raw mut *to).cast(), words) };
}

/// Swaps rows and columns of words in a tile.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(tile: &mut [Line]) {
    let mut rows = [_mm512_setzero_si512(); TILE];
    for (row, line) in rows.iter_mut().zip(&*tile) {
        // SAFETY: a line is 64 bytes, aligned to 64.
        *row = unsafe { _mm512_load_si512((&raw const *line).cast()) };
    }
    transpose16(&mut rows);
    for (line, row) in tile.iter_mut().zip(rows) {
        store(line, row);
    }
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
