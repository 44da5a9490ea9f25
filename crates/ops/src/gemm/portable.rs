//! The f32 microkernel in plain Rust, and the description of a microkernel's work.
//!
//! Promise: `c[i][j]` gets one chain of multiply-adds over `k` in rising order.
//! Takes: rows of A in place or packed, one panel of B. Gives: up to `ROWS × WIDTH` of C.
//! Never: reads a row of A past `rows` or writes a column of C past `cols`.

/// One microkernel call: `c[rows, cols] (+)= a[rows, k] · b[k, panel width]`.
pub(super) struct Work {
    /// Element `(i, p)` of A is at `a + i·a_row + p·a_step`.
    pub(super) a: *const f32,
    pub(super) a_row: usize,
    pub(super) a_step: usize,
    /// A whole panel: `k` rows of the panel width, without gaps.
    pub(super) b: *const f32,
    pub(super) k: usize,
    /// Element `(i, j)` of C is at `c + i·c_row + j`.
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Start from what C holds instead of from 0.
    pub(super) load: bool,
}

/// Rows per call.
pub(super) const ROWS: usize = 6;
/// Columns of a panel.
pub(super) const WIDTH: usize = 16;

/// Whether the build target itself has fused multiply-add.
const TARGET_HAS_FMA: bool = cfg!(any(target_feature = "fma", not(target_arch = "x86_64")));

/// # Safety
/// The pointers of `work` must be valid for what [`Work`] says, and `1 ≤ rows ≤ ROWS`,
/// `1 ≤ cols ≤ WIDTH`.
pub(super) unsafe fn plain(work: &Work) {
    // SAFETY: passed on from the caller.
    unsafe { by_rows::<TARGET_HAS_FMA>(work) }
}

/// # Safety
/// As for [`plain`]; the processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(work: &Work) {
    // SAFETY: passed on from the caller.
    unsafe { by_rows::<true>(work) }
}

#[inline(always)]
unsafe fn by_rows<const FUSED: bool>(work: &Work) {
    // SAFETY: passed on from the caller; each arm computes exactly `rows` rows.
    unsafe {
        match work.rows {
            1 => tile::<1, FUSED>(work),
            2 => tile::<2, FUSED>(work),
            3 => tile::<3, FUSED>(work),
            4 => tile::<4, FUSED>(work),
            5 => tile::<5, FUSED>(work),
            _ => tile::<ROWS, FUSED>(work),
        }
    }
}

#[inline(always)]
unsafe fn tile<const M: usize, const FUSED: bool>(work: &Work) {
    let mut sum = [[0.0f32; WIDTH]; M];
    // SAFETY: `M` rows of `cols` elements of C, `M` rows of A and the panel are valid (caller).
    unsafe {
        if work.load {
            for (i, row) in sum.iter_mut().enumerate() {
                let from = std::slice::from_raw_parts(work.c.add(i * work.c_row), work.cols);
                row[..work.cols].copy_from_slice(from);
            }
        }
        for p in 0..work.k {
            let b = &*work.b.add(p * WIDTH).cast::<[f32; WIDTH]>();
            for (i, row) in sum.iter_mut().enumerate() {
                let a = *work.a.add(i * work.a_row + p * work.a_step);
                for (s, b) in row.iter_mut().zip(b) {
                    *s = if FUSED {
                        a.mul_add(*b, *s)
                    } else {
                        a * *b + *s
                    };
                }
            }
        }
        for (i, row) in sum.iter().enumerate() {
            let to = std::slice::from_raw_parts_mut(work.c.add(i * work.c_row), work.cols);
            to.copy_from_slice(&row[..work.cols]);
        }
    }
}
