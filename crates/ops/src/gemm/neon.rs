//! The f32 microkernel for NEON.
//!
//! Promise: as for `portable`, and the same bits; bf16 weights are widened, which rounds nothing.
//! Takes: up to 6 rows of A, a panel of 16 columns, f32 or bf16. Gives: up to 6×16 of C.
//! Never: is compiled for processors other than AArch64, all of which have NEON.

use std::arch::aarch64::*;

use super::portable::{WIDTH, Work, by_rows};

/// Columns of a register.
const LANES: usize = 4;
/// Registers of a step of a panel.
const VECTORS: usize = WIDTH / LANES;

/// # Safety
/// The pointers of `work` must be valid for what [`Work`] says, `1 ≤ rows ≤ ROWS`,
/// `1 ≤ cols ≤ WIDTH`.
pub(super) unsafe fn full(work: &Work) {
    // SAFETY: passed on from the caller; as many rows are computed as there are.
    unsafe { by_rows!(work, tile, false) }
}

/// The same with `work.b` pointing to a panel of bf16.
///
/// # Safety
/// As for [`full`].
pub(super) unsafe fn half(work: &Work) {
    // SAFETY: as above.
    unsafe { by_rows!(work, tile, true) }
}

/// 6×4 sums, 4 vectors of B and one of A take 29 of the 32 registers.
#[inline]
unsafe fn tile<const M: usize, const HALF: bool>(work: &Work) {
    // SAFETY: `M` rows of A, the panel and `cols` columns of C are valid (caller).
    unsafe {
        let mut sum = [[vdupq_n_f32(0.0); VECTORS]; M];
        if work.load {
            for (i, s) in sum.iter_mut().enumerate() {
                *s = load(work.c.wrapping_add(i * work.c_row), work.cols);
            }
        }
        let bytes = if HALF { 2 * WIDTH } else { 4 * WIDTH };
        let (mut a, mut b) = (work.a, work.b.cast::<u8>());
        for _ in 0..work.k {
            let vectors = if HALF { widened(b.cast()) } else { whole(b.cast()) };
            for (i, s) in sum.iter_mut().enumerate() {
                let a = vld1q_dup_f32(a.add(i * work.a_row));
                for (sum, b) in s.iter_mut().zip(vectors) {
                    *sum = vfmaq_f32(*sum, a, b);
                }
            }
            a = a.wrapping_add(work.a_step);
            b = b.wrapping_add(bytes);
        }
        for (i, s) in sum.iter().enumerate() {
            store(work.c.wrapping_add(i * work.c_row), work.cols, *s);
        }
    }
}

/// # Safety
/// 16 floats from `from` on are valid.
#[inline]
unsafe fn whole(from: *const f32) -> [float32x4_t; VECTORS] {
    // SAFETY: passed on from the caller.
    std::array::from_fn(|v| unsafe { vld1q_f32(from.add(v * LANES)) })
}

/// # Safety
/// 16 bf16 from `bits` on are valid.
#[inline]
unsafe fn widened(bits: *const u16) -> [float32x4_t; VECTORS] {
    // SAFETY: passed on from the caller.
    unsafe {
        let (left, right) = (vld1q_u16(bits), vld1q_u16(bits.add(2 * LANES)));
        [
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(left))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(left)),
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(right))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(right)),
        ]
    }
}

/// # Safety
/// `cols ≤ 16` floats from `c` on are valid.
#[inline]
unsafe fn load(c: *const f32, cols: usize) -> [float32x4_t; VECTORS] {
    // SAFETY: as many are touched as exist.
    unsafe {
        if cols == WIDTH {
            return whole(c);
        }
        let mut beside = [0.0f32; WIDTH];
        c.copy_to_nonoverlapping(beside.as_mut_ptr(), cols);
        whole(beside.as_ptr())
    }
}

/// # Safety
/// As for [`load`].
#[inline]
unsafe fn store(c: *mut f32, cols: usize, values: [float32x4_t; VECTORS]) {
    // SAFETY: as many are touched as exist.
    unsafe {
        let mut beside = [0.0f32; WIDTH];
        let to = if cols == WIDTH { c } else { beside.as_mut_ptr() };
        for (v, value) in values.into_iter().enumerate() {
            vst1q_f32(to.add(v * LANES), value);
        }
        if cols < WIDTH {
            beside.as_ptr().copy_to_nonoverlapping(c, cols);
        }
    }
}
