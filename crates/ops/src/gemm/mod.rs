//! Matrix products on the CPU: `C = A·B` and `y = x·Wᵀ` with a weight that was packed once.
//!
//! Promise: the bits of an output element depend only on its row of `A`, its column of `B`, the
//! length `k`, the value of `C` that it is added to, and the kernel; never on `m`, `n`, its
//! position, the number of threads or its neighbours ("batch invariance"). [`gemm`] and
//! [`gemm_packed`] agree bit for bit, and so do bf16 and f32 weights that hold the same values.
//! Takes: slices with shapes. Gives: products, written in place.
//! Never: allocates per call once warm, reads the environment, or depends on Burn.

mod view;

pub use view::{MatMut, MatRef};

/// `C = A·B`, or `C += A·B` if `accumulate`. `c` is `[m, n]` without gaps.
///
/// - `a` is `[m, k]`, `b` is `[k, n]`, any strides
/// - panics if the shapes do not fit together
pub fn gemm(c: &mut [f32], a: MatRef, b: MatRef, accumulate: bool) {
    gemm_into(&mut MatMut::new(c, a.rows(), b.cols()), a, b, accumulate);
}

/// [`gemm`] into a matrix whose rows may lie apart.
pub fn gemm_into(c: &mut MatMut, a: MatRef, b: MatRef, accumulate: bool) {
    assert_eq!(
        a.cols(),
        b.rows(),
        "gemm: a is [_, {}], b is [{}, _]",
        a.cols(),
        b.rows()
    );
    assert_eq!(
        (c.rows(), c.cols()),
        (a.rows(), b.cols()),
        "gemm: shape of c"
    );
    let stride = c.row_stride();
    for i in 0..a.rows() {
        for j in 0..b.cols() {
            let at = i * stride + j;
            let start = if accumulate { c.data()[at] } else { 0.0 };
            c.data()[at] = (0..a.cols()).fold(start, |s, p| a.at(i, p).mul_add(b.at(p, j), s));
        }
    }
}

/// A weight `[out, in]`, laid out once for [`gemm_packed`].
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    values: Vec<f32>,
    out_features: usize,
    in_features: usize,
    bytes: usize,
}

impl PackedMatrix {
    /// Packs `weight`, `[out, in]` row-major. Panics unless `weight.len() == out · in`.
    pub fn from_f32(weight: &[f32], out_features: usize, in_features: usize) -> Self {
        Self::from_view(MatRef::new(weight, out_features, in_features))
    }

    /// Packs a weight `[out, in]` given as a view, for example some rows of a larger one.
    pub fn from_view(weight: MatRef) -> Self {
        let (rows, cols) = (weight.rows(), weight.cols());
        let values = (0..rows * cols)
            .map(|at| weight.at(at / cols, at % cols))
            .collect();
        Self {
            values,
            out_features: rows,
            in_features: cols,
            bytes: 4 * rows * cols,
        }
    }

    /// Packs bf16 values given as their bits, `[out, in]` row-major; about 2 bytes each.
    pub fn from_bf16(bits: &[u16], out_features: usize, in_features: usize) -> Self {
        let values: Vec<f32> = bits
            .iter()
            .map(|b| f32::from_bits(u32::from(*b) << 16))
            .collect();
        Self::from_f32(&values, out_features, in_features)
    }

    /// Number of rows of the weight: the width of `y`.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// Number of columns of the weight: the width of `x`.
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// Bytes of memory that the packed values take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// `C = x·Wᵀ`: `c` is `[m, out]`, `x` is `[m, in]`, both without gaps.
/// Panics if the lengths do not fit together.
pub fn gemm_packed(c: &mut [f32], x: &[f32], w: &PackedMatrix) {
    let rows = c.len().checked_div(w.out_features).unwrap_or(0);
    let a = MatRef::new(x, rows, w.in_features);
    let b = MatRef::new(&w.values, w.out_features, w.in_features).t();
    gemm_into(&mut MatMut::new(c, rows, w.out_features), a, b, false);
}
