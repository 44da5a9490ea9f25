//! Block products in registers: one text for every kind of vector.
//!
//! Promise: the bits of `plain`; nothing outside `m` rows and `n` columns of the result is touched.
//! Takes: pointers into slices whose lengths `block_product` has checked. Gives: the product.
//! Never: runs unless the processor has the vectors (the caller's promise).

/// Emits `product`. `whole` and `part` load all lanes or those of a mask, as do the two that store.
/// `rows` at a time are worked on, with `vectors` of columns: as many sums as the registers hold.
macro_rules! tiles {
    ($feature:literal, $lanes:literal, rows: $rows:literal, vectors: $vectors:literal) => {
        use crate::block_product::{Into, Left, Right, Size};

        const LANES: usize = $lanes;

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
        /// The processor has these vectors; `c`, `a` and `b` reach as far as the sizes say.
        #[allow(unreachable_patterns, reason = "one of the cases may be `$rows` itself")]
        #[target_feature(enable = $feature)]
        pub(in crate::block_product) unsafe fn product(
            c: *mut f32,
            c_row: usize,
            size: Size,
            a: Left,
            b: Right,
            into: Into,
        ) {
            let mut row = 0;
            while row < size.m {
                let left = size.m - row;
                let rows = if left >= $rows { $rows } else { 1 << left.ilog2() };
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
                        $rows => strip::<$rows>(place, size.n, $vectors),
                        4 => strip::<4>(place, size.n, 4),
                        2 => strip::<2>(place, size.n, 4),
                        _ => strip::<1>(place, size.n, 4),
                    }
                }
                row += rows;
            }
        }

        /// `R` rows over all `n` columns, at most `vectors` vectors of columns at a time.
        #[target_feature(enable = $feature)]
        unsafe fn strip<const R: usize>(mut place: Place, n: usize, vectors: usize) {
            let mut column = 0;
            while column < n {
                // Parts of like width: four vectors are two and two, where three and one would leave sums too few to
                // keep the processor busy.
                let left = (n - column).div_ceil(LANES);
                let width = (n - column).min(left.div_ceil(left.div_ceil(vectors)) * LANES);
                let count = width.div_ceil(LANES);
                let last = width - (count - 1) * LANES;
                // SAFETY: the last vector is masked to the columns that exist.
                unsafe {
                    match (count, last == LANES) {
                        (1, true) => tile::<R, 1, true>(place, LANES),
                        (2, true) => tile::<R, 2, true>(place, LANES),
                        (3, true) => tile::<R, 3, true>(place, LANES),
                        (_, true) => tile::<R, 4, true>(place, LANES),
                        (1, false) => tile::<R, 1, false>(place, last),
                        (2, false) => tile::<R, 2, false>(place, last),
                        (3, false) => tile::<R, 3, false>(place, last),
                        (_, false) => tile::<R, 4, false>(place, last),
                    }
                    place.c = place.c.add(width);
                }
                place.b = place.b.wrapping_add(width);
                column += width;
            }
        }

        /// `C` vectors of columns; the last has `last` of them, unless all are `WHOLE`.
        #[target_feature(enable = $feature)]
        #[inline]
        unsafe fn tile<const R: usize, const C: usize, const WHOLE: bool>(at: Place, last: usize) {
            let last = mask(last);
            let mut sums = [[zero(); C]; R];
            // SAFETY: rows, steps and masked columns lie inside the slices (checked by the caller).
            unsafe {
                if at.into == Into::Add {
                    for (r, sums) in sums.iter_mut().enumerate() {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            let from = at.c.add(r * at.c_row + v * LANES);
                            *sum = if WHOLE || v + 1 < C { load(from) } else { load_part(from, last) };
                        }
                    }
                }
                for p in 0..at.k {
                    let b = at.b.add(p * at.b_step);
                    let mut vectors = [zero(); C];
                    for (v, vector) in vectors.iter_mut().enumerate() {
                        let from = b.add(v * LANES);
                        *vector = if WHOLE || v + 1 < C { load(from) } else { load_part(from, last) };
                    }
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let factor = splat(*at.a.add(r * at.a_row + p * at.a_step));
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = add_product(factor, vector, *sum);
                        }
                    }
                }
                for (r, sums) in sums.iter().enumerate() {
                    for (v, sum) in sums.iter().enumerate() {
                        let to = at.c.add(r * at.c_row + v * LANES);
                        if WHOLE || v + 1 < C { store(to, *sum) } else { store_part(to, last, *sum) }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use std::arch::x86_64::{
        __m512, __mmask16, _mm512_fmadd_ps as add_product, _mm512_mask_storeu_ps as store_part, _mm512_maskz_loadu_ps,
        _mm512_set1_ps as splat, _mm512_setzero_ps as zero, _mm512_storeu_ps as store,
    };

    tiles!("avx512f", 16, rows: 8, vectors: 2);

    fn mask(lanes: usize) -> __mmask16 {
        u16::MAX >> (LANES - lanes)
    }

    /// Through a full mask, which costs nothing: in the dev profile a plain load is checked, in the innermost loop.
    ///
    /// # Safety
    /// 16 floats from `from` on are valid.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: passed on from the caller.
        unsafe { load_part(from, u16::MAX) }
    }

    /// # Safety
    /// As many floats from `from` on as the mask names are valid.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load_part(from: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: passed on from the caller.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use std::arch::x86_64::{
        __m256, __m256i, _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_fmadd_ps as add_product, _mm256_lddqu_si256,
        _mm256_maskload_ps as load_part, _mm256_maskstore_ps as store_part, _mm256_set1_epi32, _mm256_set1_ps as splat,
        _mm256_setr_epi32, _mm256_setzero_ps as zero, _mm256_storeu_ps as store,
    };

    tiles!("avx2,fma", 8, rows: 4, vectors: 3);

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mask(lanes: usize) -> __m256i {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes as i32), lane)
    }

    /// In the dev profile a plain load of floats is checked, in the innermost loop.
    ///
    /// # Safety
    /// 8 floats from `from` on are valid.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: passed on from the caller.
        _mm256_castsi256_ps(unsafe { _mm256_lddqu_si256(from.cast()) })
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) mod neon {
    use std::arch::aarch64::{float32x4_t, vdupq_n_f32 as splat, vfmaq_f32, vld1q_f32 as load, vst1q_f32 as store};

    tiles!("neon", 4, rows: 8, vectors: 2);

    fn zero() -> float32x4_t {
        // SAFETY: every processor of this kind has these vectors.
        unsafe { splat(0.0) }
    }

    fn mask(lanes: usize) -> usize {
        lanes
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn add_product(a: float32x4_t, b: float32x4_t, sum: float32x4_t) -> float32x4_t {
        vfmaq_f32(sum, a, b)
    }

    /// # Safety
    /// `lanes` floats from `from` on are valid.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_part(from: *const f32, lanes: usize) -> float32x4_t {
        let mut beside = [0.0f32; LANES];
        // SAFETY: at most as many as exist and as there is room for.
        unsafe {
            from.copy_to_nonoverlapping(beside.as_mut_ptr(), lanes.min(LANES));
            load(beside.as_ptr())
        }
    }

    /// # Safety
    /// As for [`load_part`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store_part(to: *mut f32, lanes: usize, values: float32x4_t) {
        let mut beside = [0.0f32; LANES];
        // SAFETY: at most as many as exist.
        unsafe {
            store(beside.as_mut_ptr(), values);
            beside.as_ptr().copy_to_nonoverlapping(to, lanes.min(LANES));
        }
    }
}
