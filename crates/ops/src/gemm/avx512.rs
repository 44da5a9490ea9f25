//! The f32 microkernel for AVX-512, and the 16×16 transposition that packing uses.
//!
//! Promise: as for `portable`, and the same bits.
//! Takes: up to 14 rows of A, a panel of 32 columns. Gives: up to 14×32 of C.
//! Never: runs unless the processor has AVX-512 (the callers checked).

use std::arch::x86_64::*;

use super::portable::Work;
use super::view::MatRef;

/// Rows per call: 14×2 sums, 2 vectors of B and 2 of A fill the 32 registers.
pub(super) const ROWS: usize = 14;
/// Columns of a panel: two registers.
pub(super) const WIDTH: usize = 32;

/// # Safety
/// The pointers of `work` must be valid for what [`Work`] says, `1 ≤ rows ≤ ROWS`,
/// `1 ≤ cols ≤ WIDTH`, and the processor must have AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(work: &Work) {
    // SAFETY: passed on from the caller; each arm computes exactly `rows` rows.
    unsafe {
        match work.rows {
            1 => tile::<1>(work),
            2 => tile::<2>(work),
            3 => tile::<3>(work),
            4 => tile::<4>(work),
            5 => tile::<5>(work),
            6 => tile::<6>(work),
            7 => tile::<7>(work),
            8 => tile::<8>(work),
            9 => tile::<9>(work),
            10 => tile::<10>(work),
            11 => tile::<11>(work),
            12 => tile::<12>(work),
            13 => tile::<13>(work),
            _ => tile::<ROWS>(work),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn tile<const M: usize>(work: &Work) {
    let keep = if work.cols == 32 { u32::MAX } else { (1u32 << work.cols) - 1 };
    let (left, right) = (keep as u16, (keep >> 16) as u16);
    let mut sum = [[_mm512_setzero_ps(); 2]; M];
    // SAFETY: `M` rows of A and the panel are valid (caller); C is touched through the masks of
    // its `cols` columns, `wrapping_add` only names addresses that a mask then leaves alone.
    unsafe {
        for (i, s) in sum.iter_mut().enumerate() {
            let c = work.c.wrapping_add(i * work.c_row);
            if work.load {
                s[0] = _mm512_maskz_loadu_ps(left, c);
                s[1] = _mm512_maskz_loadu_ps(right, c.wrapping_add(16));
            } else {
                _mm_prefetch::<_MM_HINT_T0>(c.cast());
                _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(16).cast());
            }
        }
        let (mut a, mut b) = (work.a, work.b);
        for _ in 0..work.k {
            let (b0, b1) = (_mm512_load_ps(b), _mm512_load_ps(b.add(16)));
            _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(512).cast());
            _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(528).cast());
            for (i, s) in sum.iter_mut().enumerate() {
                let a = _mm512_set1_ps(*a.add(i * work.a_row));
                s[0] = _mm512_fmadd_ps(a, b0, s[0]);
                s[1] = _mm512_fmadd_ps(a, b1, s[1]);
            }
            a = a.wrapping_add(work.a_step);
            b = b.wrapping_add(WIDTH);
        }
        for (i, s) in sum.iter().enumerate() {
            let c = work.c.wrapping_add(i * work.c_row);
            _mm512_mask_storeu_ps(c, left, s[0]);
            _mm512_mask_storeu_ps(c.wrapping_add(16), right, s[1]);
        }
    }
}

/// Transposes 16 rows of 16 words of 32 bits.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose16(rows: &mut [__m512i; 16]) {
    // Words, then pairs, then quarters, then halves change places; the indices are constants,
    // so everything stays in registers.
    let mut t = *rows;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut u = t;
    for i in 0..4 {
        u[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for i in 0..4 {
        let (a, b) = (u[i], u[i + 4]);
        t[i] = _mm512_shuffle_i32x4::<0x88>(a, b);
        t[i + 4] = _mm512_shuffle_i32x4::<0xdd>(a, b);
        let (a, b) = (u[i + 8], u[i + 12]);
        t[i + 8] = _mm512_shuffle_i32x4::<0x88>(a, b);
        t[i + 12] = _mm512_shuffle_i32x4::<0xdd>(a, b);
    }
    for i in 0..8 {
        rows[i] = _mm512_shuffle_i32x4::<0x88>(t[i], t[i + 8]);
        rows[i + 8] = _mm512_shuffle_i32x4::<0xdd>(t[i], t[i + 8]);
    }
}

/// Writes one panel `[k][32]` of f32 from lanes `lane..lane + 32` of `b`, `[lanes, steps]`, whose
/// steps are neighbours; zero where the lanes have ended.
///
/// # Safety
/// The processor has AVX-512 F. Panics unless `to` holds the panel and `b` has unit steps.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn panel(to: &mut [f32], b: MatRef, lane: usize) {
    assert!(b.col_stride() == 1 && to.len() == b.cols() * WIDTH, "panel of {} floats", to.len());
    let from = b.data().as_ptr();
    for half in 0..2 {
        let first = lane + half * 16;
        let lanes = b.rows().saturating_sub(first).min(16);
        for step in (0..b.cols()).step_by(16) {
            let steps = (b.cols() - step).min(16);
            let mask = ((1u32 << steps) - 1) as u16;
            let mut rows = [_mm512_setzero_si512(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                if i < lanes {
                    let at = from.wrapping_add((first + i) * b.row_stride() + step);
                    // SAFETY: the mask keeps to the steps that exist of a lane that exists.
                    *row = unsafe { _mm512_maskz_loadu_epi32(mask, at.cast()) };
                }
            }
            transpose16(&mut rows);
            for (p, row) in rows.iter().enumerate().take(steps) {
                let at = &mut to[(step + p) * WIDTH + half * 16..][..16];
                // SAFETY: `at` is 16 floats.
                unsafe { _mm512_storeu_si512(at.as_mut_ptr().cast(), *row) };
            }
        }
    }
}
