//! The f32 microkernel for AVX2 with fused multiply-add, and the packing that goes with it.
//!
//! Promise: as for `portable`, and the same bits; bf16 weights are widened, which rounds nothing.
//! Takes: up to 6 rows of A, a panel of 16 columns, f32 or woven bf16. Gives: up to 6×16 of C.
//! Never: runs unless the processor has AVX2 and FMA (the callers checked).
//!
//! Woven: a step of a panel is 8 words, word `j` holds column `j` in its lower and column `j + 8`
//! in its upper half. Then one load, one shift and one mask give both vectors of the step.

use std::arch::asm;
use std::arch::x86_64::*;

use super::portable::{ROWS, WIDTH, Work, by_rows};
use super::view::MatRef;

/// Columns of a register.
const LANES: usize = 8;
/// Bytes between the part of a panel that is read and the part that is fetched.
const AHEAD: usize = 1024;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Steps between two jumps.
const UNROLLED: usize = 4;

/// # Safety
/// The pointers of `work` must be valid for what [`Work`] says, `1 ≤ rows ≤ ROWS`,
/// `1 ≤ cols ≤ WIDTH`, and the processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn full(work: &Work) {
    // SAFETY: passed on from the caller.
    unsafe { by_step::<false>(work) }
}

/// The same with `work.b` pointing to a woven panel of bf16.
///
/// # Safety
/// As for [`full`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn half(work: &Work) {
    // SAFETY: passed on from the caller.
    unsafe { by_step::<true>(work) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn by_step<const HALF: bool>(work: &Work) {
    // SAFETY: passed on from the caller; as many rows are computed as there are, and each arm goes by the distance that
    // `work` names.
    unsafe {
        match work.a_step {
            1 => by_rows!(work, tile, HALF, 1),
            ROWS => by_rows!(work, tile, HALF, ROWS),
            other => unreachable!("rows of A with steps {other} apart"),
        }
    }
}

/// 6×2 sums, 2 vectors of B and one of A take 15 of the 16 registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const M: usize, const HALF: bool, const STEP: usize>(work: &Work) {
    let mut sum = [[_mm256_setzero_ps(); 2]; M];
    // SAFETY: `M` rows of A, the panel and `cols` columns of C are valid (caller).
    unsafe {
        for (i, s) in sum.iter_mut().enumerate() {
            if work.load {
                *s = load(work.c.wrapping_add(i * work.c_row), work.cols);
            }
            let next = work.next.wrapping_add(i * work.c_row);
            _mm_prefetch::<_MM_HINT_T0>(next.cast());
            _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(WIDTH - 1).cast());
        }
        let bytes = if HALF { 2 * WIDTH } else { 4 * WIDTH };
        let (mut a, mut b) = (work.a, work.b.cast::<u8>());
        let mut far = apart(a.wrapping_add(3 * work.a_row));
        let mut fetch = work.fetch;
        // Several steps in one go leave the units that multiply less of the counting.
        for _ in 0..work.k / UNROLLED {
            _mm_prefetch::<_MM_HINT_T1>(fetch.cast());
            fetch = fetch.wrapping_add(LINE);
            for p in 0..UNROLLED {
                let (a, far) = (a.wrapping_add(p * STEP), far.wrapping_add(p * STEP));
                sum = step::<M, HALF>(sum, [a, far], work.a_row, b.wrapping_add(p * bytes));
            }
            a = a.wrapping_add(UNROLLED * STEP);
            far = far.wrapping_add(UNROLLED * STEP);
            b = b.wrapping_add(UNROLLED * bytes);
        }
        for _ in 0..work.k % UNROLLED {
            sum = step::<M, HALF>(sum, [a, far], work.a_row, b);
            a = a.wrapping_add(STEP);
            far = far.wrapping_add(STEP);
            b = b.wrapping_add(bytes);
        }
        for (i, s) in sum.iter().enumerate() {
            store(work.c.wrapping_add(i * work.c_row), work.cols, *s);
        }
    }
}

/// The same pointer, of which the compiler no longer knows how it was come by. Else it reaches six rows by six additions
/// one after the other, as long a chain as the products of a step take.
#[inline(always)]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "nothing is read or written")]
fn apart(mut pointer: *const f32) -> *const f32 {
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags)) };
    pointer
}

/// One step of `k` more in every sum.
///
/// # Safety
/// `M` floats from `a[0]` on, `row` apart, and a step of the panel from `b` on are valid; `a[1]` is the fourth of them.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const M: usize, const HALF: bool>(
    mut sum: [[__m256; 2]; M],
    a: [*const f32; 2],
    row: usize,
    b: *const u8,
) -> [[__m256; 2]; M] {
    // SAFETY: passed on from the caller.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD).cast());
        let b = if HALF { widened(b.cast()) } else { [_mm256_load_ps(b.cast()), _mm256_load_ps(b.add(32).cast())] };
        for (i, s) in sum.iter_mut().enumerate() {
            let at = a[i / 3].wrapping_add(i % 3 * row);
            let a = _mm256_broadcastss_ps(_mm_load_ss(at));
            *s = [_mm256_fmadd_ps(a, b[0], s[0]), _mm256_fmadd_ps(a, b[1], s[1])];
        }
    }
    sum
}

/// Ones where a column exists, for the masked loads and stores of eight.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(cols: usize) -> __m256i {
    let column = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(cols.min(LANES) as i32), column)
}

/// # Safety
/// `cols` floats from `c` on are valid.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(c: *const f32, cols: usize) -> [__m256; 2] {
    let right = c.wrapping_add(LANES);
    // SAFETY: whole registers where all columns exist, else through the masks of those that do.
    unsafe {
        if cols == WIDTH {
            [_mm256_loadu_ps(c), _mm256_loadu_ps(right)]
        } else {
            let masks = [mask(cols), mask(cols.saturating_sub(LANES))];
            [_mm256_maskload_ps(c, masks[0]), _mm256_maskload_ps(right, masks[1])]
        }
    }
}

/// # Safety
/// As for [`load`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn store(c: *mut f32, cols: usize, values: [__m256; 2]) {
    let right = c.wrapping_add(LANES);
    // SAFETY: as in `load`.
    unsafe {
        if cols == WIDTH {
            _mm256_storeu_ps(c, values[0]);
            _mm256_storeu_ps(right, values[1]);
        } else {
            _mm256_maskstore_ps(c, mask(cols), values[0]);
            _mm256_maskstore_ps(right, mask(cols.saturating_sub(LANES)), values[1]);
        }
    }
}

/// The two vectors of a woven step.
///
/// # Safety
/// Eight words from `words` on are valid, and aligned to 32 bytes as every step of a panel is.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widened(words: *const __m256i) -> [__m256; 2] {
    // SAFETY: passed on from the caller.
    let both = unsafe { _mm256_load_si256(words) };
    let upper = _mm256_and_si256(both, _mm256_set1_epi32(0xffff_0000_u32 as i32));
    [_mm256_castsi256_ps(_mm256_slli_epi32::<16>(both)), _mm256_castsi256_ps(upper)]
}

/// A woven panel as f32. Panics unless `to` holds as many values as `from`.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn widen(to: &mut [f32], from: &[u32]) {
    assert_eq!(to.len(), 2 * from.len(), "a widened panel");
    for (to, from) in to.chunks_exact_mut(WIDTH).zip(from.chunks_exact(LANES)) {
        // SAFETY: both chunks have the lengths that are touched.
        unsafe { store(to.as_mut_ptr(), WIDTH, widened(from.as_ptr().cast())) };
    }
}

/// Writes one panel `[k][16]` of f32 from lanes `lane..lane + 16` of `b`, `[lanes, steps]`, whose
/// steps are neighbours; zero where the lanes have ended.
///
/// # Safety
/// The processor has AVX2. Panics unless `to` holds the panel and `b` has unit steps.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn panel(to: &mut [f32], b: MatRef, lane: usize) {
    assert!(b.col_stride() == 1 && to.len() == b.cols() * WIDTH, "panel of {} floats", to.len());
    let from = b.data().as_ptr();
    for half in 0..2 {
        let first = lane + half * LANES;
        let lanes = b.rows().saturating_sub(first).min(LANES);
        for step in (0..b.cols()).step_by(LANES) {
            let steps = (b.cols() - step).min(LANES);
            let mut rows = [_mm256_setzero_ps(); LANES];
            for (i, row) in rows.iter_mut().enumerate().take(lanes) {
                let at = from.wrapping_add((first + i) * b.row_stride() + step);
                // SAFETY: the mask keeps to the steps that exist of a lane that exists.
                *row =
                    unsafe { if steps == LANES { _mm256_loadu_ps(at) } else { _mm256_maskload_ps(at, mask(steps)) } };
            }
            for (p, row) in transpose8(rows).into_iter().enumerate().take(steps) {
                let at = &mut to[(step + p) * WIDTH + half * LANES..][..LANES];
                // SAFETY: `at` is 8 floats.
                unsafe { _mm256_storeu_ps(at.as_mut_ptr(), row) };
            }
        }
    }
}

/// Transposes 8 rows of 8 floats.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose8(rows: [__m256; LANES]) -> [__m256; LANES] {
    // Floats, then pairs, then halves change places.
    let (mut t, mut u) = (rows, rows);
    for i in 0..4 {
        t[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    for i in 0..2 {
        u[4 * i] = _mm256_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm256_shuffle_ps::<0xee>(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm256_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm256_shuffle_ps::<0xee>(t[4 * i + 1], t[4 * i + 3]);
    }
    for i in 0..4 {
        t[i] = _mm256_permute2f128_ps::<0x20>(u[i], u[i + 4]);
        t[i + 4] = _mm256_permute2f128_ps::<0x31>(u[i], u[i + 4]);
    }
    t
}
