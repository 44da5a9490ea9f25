//! Multiplies small blocks that sit in cache, on one thread.
//!
//! Promise: each element is one chain of fused multiply-adds over `k` in order, starting from
//! 0 or from what stands in `c`; so its bits depend on nothing else, and a product may be cut
//! along `m`, `n` or (accumulating) `k` anywhere without a change.

/// Left factor `[m, k]`: element `(i, p)` is `data[i * row + p * step]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) step: usize,
}

/// Right factor `[k, n]`: element `(p, j)` is `data[p * step + j]`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) step: usize,
}

/// Sizes of a product: `[m, k] · [k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

/// Whether to add to what stands in the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    Overwrite,
    Add,
}

/// `c = a · b` or `c += a · b`; element `(i, j)` of the result is `c[i * c_row + j]`.
///
/// # Panics
/// If a slice is too short for the sizes.
pub(crate) fn block_product((c, c_row): (&mut [f32], usize), size: Size, a: Left, b: Right, into: Into) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    assert!(c.len() >= (m - 1) * c_row + n, "block_product: c too short");
    if k > 0 {
        let last = (m - 1) * a.row + (k - 1) * a.step;
        assert!(a.data.len() > last, "block_product: a too short");
        assert!(b.data.len() >= (k - 1) * b.step + n, "block_product: b too short");
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was detected and the lengths were checked above.
        return unsafe { wide::product(c.as_mut_ptr(), c_row, size, a, b, into) };
    }
    crate::vmath::vectorized(
        #[inline(always)]
        || plain((c, c_row), size, a, b, into),
    );
}

#[inline(always)]
fn plain((c, c_row): (&mut [f32], usize), size: Size, a: Left, b: Right, into: Into) {
    for i in 0..size.m {
        let row = &mut c[i * c_row..i * c_row + size.n];
        if into == Into::Overwrite {
            row.fill(0.0);
        }
        for p in 0..size.k {
            let factor = a.data[i * a.row + p * a.step];
            let b = &b.data[p * b.step..p * b.step + size.n];
            for (c, b) in row.iter_mut().zip(b) {
                *c = factor.mul_add(*b, *c);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    use super::{Into, Left, Right, Size};

    const LANES: usize = 16;

    /// Where a tile reads and writes.
    #[derive(Clone, Copy)]
    struct Place {
        c: *mut f32,
        c_row: usize,
        a: *const f32,
        a_row: usize,
        a_step: usize,
        b: *const f32,
        b_step: usize,
        k: usize,
        into: Into,
    }

    /// # Safety
    /// The processor has AVX-512 F; `c`, `a` and `b` reach as far as the sizes say.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn product(c: *mut f32, c_row: usize, size: Size, a: Left, b: Right, into: Into) {
        let mut row = 0;
        while row < size.m {
            let left = size.m - row;
            let rows = if left >= 8 { 8 } else { 1 << left.ilog2() };
            let place = Place {
                // SAFETY: `row < m`; the caller promises that far.
                c: unsafe { c.add(row * c_row) },
                c_row,
                a: a.data.as_ptr().wrapping_add(row * a.row),
                a_row: a.row,
                a_step: a.step,
                b: b.data.as_ptr(),
                b_step: b.step,
                k: size.k,
                into,
            };
            // SAFETY: as promised by the caller; `rows <= m - row`.
            unsafe {
                match rows {
                    8 => strip::<8>(place, size.n, 2),
                    4 => strip::<4>(place, size.n, 4),
                    2 => strip::<2>(place, size.n, 4),
                    _ => strip::<1>(place, size.n, 4),
                }
            }
            row += rows;
        }
    }

    /// `R` rows over all `n` columns, at most `vectors` vectors of columns at a time.
    #[target_feature(enable = "avx512f")]
    unsafe fn strip<const R: usize>(mut place: Place, n: usize, vectors: usize) {
        let mut column = 0;
        while column < n {
            let width = (n - column).min(vectors * LANES);
            let count = width.div_ceil(LANES);
            let mask = u16::MAX >> (count * LANES - width);
            // SAFETY: the last vector is masked to the columns that exist.
            unsafe {
                match count {
                    1 => tile::<R, 1>(place, mask),
                    2 => tile::<R, 2>(place, mask),
                    3 => tile::<R, 3>(place, mask),
                    _ => tile::<R, 4>(place, mask),
                }
                place.c = place.c.add(width);
            }
            place.b = place.b.wrapping_add(width);
            column += width;
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn tile<const R: usize, const C: usize>(at: Place, last: __mmask16) {
        let mask = |vector: usize| if vector + 1 == C { last } else { u16::MAX };
        let mut sums = [[_mm512_setzero_ps(); C]; R];
        // SAFETY: rows, steps and masked columns lie inside the slices (checked by the caller).
        unsafe {
            if at.into == Into::Add {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_maskz_loadu_ps(mask(v), at.c.add(r * at.c_row + v * LANES));
                    }
                }
            }
            for p in 0..at.k {
                let b = at.b.add(p * at.b_step);
                let mut vectors = [_mm512_setzero_ps(); C];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = _mm512_maskz_loadu_ps(mask(v), b.add(v * LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor = _mm512_set1_ps(*at.a.add(r * at.a_row + p * at.a_step));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = _mm512_fmadd_ps(factor, vector, *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    _mm512_mask_storeu_ps(at.c.add(r * at.c_row + v * LANES), mask(v), *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let next = |x: &mut u32| {
            *x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*x >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        std::iter::successors(Some(seed), |_| None)
            .flat_map(|seed| {
                let mut state = seed;
                std::iter::from_fn(move || next(&mut state))
            })
            .take(count)
            .collect()
    }

    #[test]
    fn a_product_worked_by_hand() {
        // [1 2; 3 4] · [5 6; 7 8] = [19 22; 43 50]
        let (a, b) = ([1., 2., 3., 4.], [5., 6., 7., 8.]);
        let mut c = [0.0; 4];
        let size = Size { m: 2, n: 2, k: 2 };
        let left = Left { data: &a, row: 2, step: 1 };
        let right = Right { data: &b, step: 2 };
        block_product((&mut c, 2), size, left, right, Into::Overwrite);
        assert_eq!(c, [19., 22., 43., 50.]);
    }

    #[test]
    fn any_sizes_and_strides_give_the_bits_of_the_plain_chain() {
        for (m, n, k) in [(1, 1, 1), (7, 33, 5), (8, 32, 64), (13, 70, 3), (2, 16, 0), (30, 100, 9)] {
            let (a, b) = (numbers((m + 2) * (k + 3), 1), numbers(k.max(1) * (n + 5), 2));
            let start = numbers(m * (n + 1), 3);
            let right = Right { data: &b, step: n + 5 };
            let size = Size { m, n, k };
            let by_rows = Left { data: &a, row: k + 3, step: 1 };
            let by_columns = Left { data: &a, row: 1, step: m + 2 };
            for left in [by_rows, by_columns] {
                for into in [Into::Overwrite, Into::Add] {
                    let (mut fast, mut slow) = (start.clone(), start.clone());
                    block_product((&mut fast, n + 1), size, left, right, into);
                    plain((&mut slow, n + 1), size, left, right, into);
                    assert_eq!(fast, slow, "{m} {n} {k}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a too short")]
    fn short_slices_are_refused() {
        let size = Size { m: 2, n: 1, k: 2 };
        let left = Left { data: &[1.0; 3], row: 2, step: 1 };
        let right = Right { data: &[1.0; 2], step: 1 };
        block_product((&mut [0.0; 2], 1), size, left, right, Into::Overwrite);
    }
}
