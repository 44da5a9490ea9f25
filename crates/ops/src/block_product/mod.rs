//! Multiplies small blocks that sit in cache, on one thread.
//!
//! Promise: each element is one chain of fused multiply-adds over `k` in order, starting from
//! 0 or from what stands in `c`; so its bits depend on nothing else, and a product may be cut
//! along `m`, `n` or (accumulating) `k` anywhere without a change.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tiles;

use crate::vmath::Vectors;

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
    let c_start = c.as_mut_ptr();
    match crate::vmath::widest() {
        // SAFETY: these vectors exist here, and the lengths were checked above.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { tiles::avx512::product(c_start, c_row, size, a, b, into) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { tiles::avx2::product(c_start, c_row, size, a, b, into) },
        // SAFETY: as above; every processor of this kind has these vectors.
        #[cfg(target_arch = "aarch64")]
        Vectors::Target => unsafe { tiles::neon::product(c_start, c_row, size, a, b, into) },
        #[cfg(not(target_arch = "aarch64"))]
        Vectors::Target => plain((c, c_row), size, a, b, into),
    }
}

/// The promise written down; what runs where the processor has no vectors that we know.
#[cfg(any(test, not(target_arch = "aarch64")))]
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
                    #[cfg(target_arch = "x86_64")]
                    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                        let mut narrow = start.clone();
                        // SAFETY: the features were detected; `block_product` checked the lengths.
                        unsafe { tiles::avx2::product(narrow.as_mut_ptr(), n + 1, size, left, right, into) };
                        assert_eq!(narrow, slow, "{m} {n} {k}");
                    }
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
