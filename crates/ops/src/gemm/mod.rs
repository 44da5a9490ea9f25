//! Matrix products on the CPU: `C = A·B` and `y = x·Wᵀ` with a weight that was packed once.
//!
//! Promise: the bits of an output element depend only on its row of `A`, its column of `B`, the
//! length `k`, the value of `C` that it is added to, and the kernel; never on `m`, `n`, its
//! position, the number of threads or its neighbours ("batch invariance"). [`gemm`] and
//! [`gemm_packed`] agree bit for bit, and so do bf16 and f32 weights that hold the same values.
//! Takes: slices with shapes. Gives: products, written in place.
//! Never: allocates per call once warm, reads the environment, or depends on Burn.
//!
//! All values are taken to be finite. NaN and infinity stay non-finite, but the AMX kernel may
//! turn infinity into NaN; it also takes subnormal parts as 0.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod buffer;
mod drive;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pack;
mod portable;
#[cfg(target_arch = "x86_64")]
mod split;
#[cfg(test)]
mod tests;
mod view;

pub use crate::memory::together;
use drive::Out;
#[cfg(target_arch = "x86_64")]
pub(crate) use kernel::is_chosen;
pub use kernel::{Kernel, KernelMissing, UnknownKernel, current, set_kernel};
pub use pack::{PackedMatrix, RightSide};
pub use view::{MatMut, MatRef};

/// Largest error of an element under [`Kernel::Amx`] beyond the rounding of the f32 sum, relative
/// to `Σ|a||b|` of that element: 2⁻¹⁶ from each split and 2⁻¹⁶ from the product of the low parts,
/// which is left out. Measured on random numbers: 1.9e-5 at `k = 1`, less with growing `k`; plain
/// bf16 has 6.5e-3.
pub const AMX_RELATIVE_ERROR: f64 = 3.0 / (1 << 16) as f64;

/// `C = A·B`, or `C += A·B` if `accumulate`. `c` is `[m, n]` without gaps.
///
/// - `a` is `[m, k]`, `b` is `[k, n]`, any strides
/// - panics if the shapes do not fit together
pub fn gemm(c: &mut [f32], a: MatRef, b: MatRef, accumulate: bool) {
    gemm_with(current(), &mut MatMut::new(c, a.rows(), b.cols()), a, b, accumulate);
}

/// [`gemm`] into a matrix whose rows may lie apart.
pub fn gemm_into(c: &mut MatMut, a: MatRef, b: MatRef, accumulate: bool) {
    gemm_with(current(), c, a, b, accumulate);
}

/// [`gemm_into`] with a stated kernel. Panics if this machine cannot run it.
pub fn gemm_with(kernel: Kernel, c: &mut MatMut, a: MatRef, b: MatRef, accumulate: bool) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    assert_eq!(k, b.rows(), "gemm: a is [{m}, {k}], b is [{}, {n}]", b.rows());
    assert_eq!((c.rows(), c.cols()), (m, n), "gemm: shape of c");
    assert!(kernel.is_available(), "the {kernel:?} matrix kernel does not run here");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            clear(c);
        }
        return;
    }
    let out = Out { stride: c.row_stride(), start: c.data().as_mut_ptr() };
    // SAFETY: `c` is borrowed for writing and is `[m, n]`.
    unsafe { drive::multiply(kernel, out, a, b, accumulate) };
}

fn clear(c: &mut MatMut) {
    let (cols, stride) = (c.cols(), c.row_stride());
    for row in 0..c.rows() {
        c.data()[row * stride..][..cols].fill(0.0);
    }
}

/// `C = x·Wᵀ`: `c` is `[m, out]`, `x` is `[m, in]`, both without gaps.
/// Panics if the lengths do not fit together.
pub fn gemm_packed(c: &mut [f32], x: &[f32], w: &PackedMatrix) {
    let n = w.out_features();
    let m = c.len().checked_div(n).unwrap_or(0);
    assert_eq!(c.len(), m * n, "c is not a whole number of rows of {n}");
    if m == 0 {
        return;
    }
    let a = MatRef::new(x, m, w.in_features());
    if w.in_features() == 0 {
        return c.fill(0.0);
    }
    let out = Out { start: c.as_mut_ptr(), stride: n };
    // SAFETY: `c` is borrowed for writing and holds `m` rows of `n`.
    unsafe { drive::multiply_packed(out, a, &w.panels()) };
}

/// `C = A·B`, or `C += A·B` if `accumulate`, on the caller's thread. `c` is `[m, n]`, without gaps.
/// Panics if the lengths do not fit together.
pub fn gemm_alone(c: &mut [f32], a: MatRef, b: &RightSide, accumulate: bool) {
    let (m, n) = (a.rows(), b.0.n);
    assert_eq!((c.len(), a.cols()), (m * n, b.0.k), "gemm_alone: [{m}, {}] times [{}, {n}]", a.cols(), b.0.k);
    if m == 0 || n == 0 {
        return;
    }
    assert!(b.0.k > 0, "a product over nothing");
    let out = Out { start: c.as_mut_ptr(), stride: n };
    // SAFETY: `c` is borrowed for writing and is `[m, n]`.
    unsafe { drive::multiply_blocks(out, a, &b.0, 0..b.0.count(), accumulate) };
}

/// Rows that [`gemm_alone`] works on at a time; some of them more are as fast.
pub fn rows_together() -> usize {
    drive::blocking(current()).rows
}
