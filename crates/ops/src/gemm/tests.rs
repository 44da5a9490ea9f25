//! Products against f64, and the promises about bits.

use proptest::prelude::*;

use super::*;

/// Numbers in [-1, 1) that fill the whole mantissa.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn available() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|k| k.is_available())
}

fn product(kernel: Kernel, a: MatRef, b: MatRef) -> Vec<f32> {
    let mut c = vec![f32::NAN; a.rows() * b.cols()];
    gemm_with(kernel, &mut MatMut::new(&mut c, a.rows(), b.cols()), a, b, false);
    c
}

/// Largest `|c - exact| / Σ|a||b|` over the elements of `c`.
fn relative_error(c: &[f32], a: MatRef, b: MatRef) -> f64 {
    let mut worst = 0.0f64;
    for i in 0..a.rows() {
        for j in 0..b.cols() {
            let (mut exact, mut size) = (0.0f64, f64::MIN_POSITIVE);
            for p in 0..a.cols() {
                let product = f64::from(a.at(i, p)) * f64::from(b.at(p, j));
                exact += product;
                size += product.abs();
            }
            worst = worst.max((f64::from(c[i * b.cols() + j]) - exact).abs() / size);
        }
    }
    worst
}

/// What a kernel may be off by: rounding of a sum of `k` terms, and the split for AMX.
fn tolerance(kernel: Kernel, k: usize) -> f64 {
    let rounding = (k + 1) as f64 * f64::from(f32::EPSILON) / 2.0;
    if kernel == Kernel::Amx { AMX_RELATIVE_ERROR + rounding } else { rounding }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The four ways in which the two operands can lie in memory, plus one with gaps everywhere.
fn operand(data: &[f32], rows: usize, cols: usize, way: usize) -> MatRef<'_> {
    match way {
        0 => MatRef::new(&data[..rows * cols], rows, cols),
        1 => MatRef::new(&data[..rows * cols], cols, rows).t(),
        _ => MatRef::strided(data, rows, cols, 2 * cols + 1, 2),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kernel_agrees_with_f64(
        m in 0usize..70, n in 0usize..70, k in 0usize..90, ways in (0usize..3, 0usize..3), seed: u64,
    ) {
        let (a, b) = (values(m * (2 * k + 1), seed), values(k * (2 * n + 1), !seed));
        let (a, b) = (operand(&a, m, k, ways.0), operand(&b, k, n, ways.1));
        for kernel in available() {
            let error = relative_error(&product(kernel, a, b), a, b);
            prop_assert!(error <= tolerance(kernel, k), "{kernel:?} {m}x{n}x{k}: {error:e}");
        }
    }

    #[test]
    fn an_element_has_the_same_bits_alone_and_in_any_company(
        m in 1usize..80, n in 1usize..80, k in 1usize..600, ways in (0usize..3, 0usize..3), seed: u64,
    ) {
        let (a, b) = (values(m * (2 * k + 1), seed), values(k * (2 * n + 1), !seed));
        let (a, b) = (operand(&a, m, k, ways.0), operand(&b, k, n, ways.1));
        let (i, j) = (seed as usize % m, (seed >> 32) as usize % n);
        for kernel in available() {
            let whole = product(kernel, a, b);
            let alone = product(kernel, a.row_range(i..i + 1), b.col_range(j..j + 1));
            prop_assert_eq!(whole[i * n + j].to_bits(), alone[0].to_bits());
            let lower = product(kernel, a.row_range(i..m), b.col_range(j..n));
            for row in i..m {
                prop_assert_eq!(
                    bits(&whole[row * n + j..(row + 1) * n]),
                    bits(&lower[(row - i) * (n - j)..(row - i + 1) * (n - j)])
                );
            }
        }
    }

    #[test]
    fn packed_weights_give_the_bits_of_gemm(
        m in 0usize..40, n in 0usize..100, k in 0usize..300, seed: u64,
    ) {
        let x = values(m * k, seed);
        let half: Vec<u16> = values(n * k, !seed).iter().map(|v| (v.to_bits() >> 16) as u16).collect();
        let wide: Vec<f32> = half.iter().map(|h| pack::widen(*h)).collect();
        let full = values(n * k, seed ^ 5);
        let (a, full, wide) = (MatRef::new(&x, m, k), MatRef::new(&full, n, k), MatRef::new(&wide, n, k));
        for kernel in available() {
            let cases = [
                (full, PackedMatrix::from_view_with(kernel, full)),
                (wide, PackedMatrix::from_view_with(kernel, wide)),
                (wide, PackedMatrix::from_bf16_with(kernel, &half, n, k)),
            ];
            for (w, packed) in cases {
                let mut c = vec![f32::NAN; m * n];
                gemm_packed(&mut c, &x, &packed);
                prop_assert_eq!(bits(&c), bits(&product(kernel, a, w.t())), "{:?}", kernel);
            }
        }
    }

    #[test]
    fn accumulation_goes_on_from_what_c_holds(
        m in 1usize..40, n in 1usize..40, split in 1usize..4, seed: u64,
    ) {
        // The steps before and after a multiple of 32 make one chain with the steps of the whole.
        let k = split * 32 + 17;
        let (a, b) = (values(m * k, seed), values(k * n, !seed));
        let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
        for kernel in available() {
            let mut c = product(kernel, a.col_range(0..split * 32), b.row_range(0..split * 32));
            gemm_with(
                kernel,
                &mut MatMut::new(&mut c, m, n),
                a.col_range(split * 32..k),
                b.row_range(split * 32..k),
                true,
            );
            prop_assert_eq!(bits(&c), bits(&product(kernel, a, b)));
        }
    }
}

#[test]
fn a_small_product_worked_by_hand() {
    // [1 2; 3 4] · [5 6; 7 8] = [19 22; 43 50], every number exact in bf16.
    let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
    for kernel in available() {
        let c = product(kernel, MatRef::new(&a, 2, 2), MatRef::new(&b, 2, 2));
        assert_eq!(c, [19.0, 22.0, 43.0, 50.0], "{kernel:?}");
    }
    let mut c = [100.0; 4];
    gemm(&mut c, MatRef::new(&a, 2, 2), MatRef::new(&b, 2, 2).t(), true);
    assert_eq!(c, [117.0, 123.0, 139.0, 153.0]);
}

#[test]
fn threads_and_large_shapes_change_no_bits() {
    // Larger than one pack of the right-hand side and than one block in every direction.
    let (m, n, k) = (300, 1100, 2100);
    let (a, b) = (values(m * k, 1), values(n * k, 2));
    let (a, b) = (MatRef::new(&a, k, m).t(), MatRef::new(&b, n, k).t());
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap(); // small counts always build
    for kernel in available().filter(|k| *k != Kernel::Portable) {
        let one = pool(1).install(|| product(kernel, a, b));
        let five = pool(5).install(|| product(kernel, a, b));
        assert!(bits(&one) == bits(&five), "{kernel:?}");
        let corner = (a.row_range(290..300), b.col_range(1090..1100));
        let alone = product(kernel, corner.0, corner.1);
        assert_eq!(bits(&one[299 * n + 1090..]), bits(&alone[90..]), "{kernel:?}");
        assert!(relative_error(&alone, corner.0, corner.1) < tolerance(kernel, k));
    }
}

#[test]
fn columns_outside_a_strided_result_are_left_alone() {
    let (a, b) = (values(5 * 7, 1), values(7 * 3, 2));
    for kernel in available() {
        let mut c = vec![9.0; 5 * 8];
        let (a, b) = (MatRef::new(&a, 5, 7), MatRef::new(&b, 7, 3));
        gemm_with(kernel, &mut MatMut::strided(&mut c, 5, 3, 8), a, b, false);
        let tight = product(kernel, a, b);
        for (row, tight) in c.chunks(8).zip(tight.chunks(3)) {
            assert_eq!((&row[..3], &row[3..]), (tight, &[9.0; 5][..]), "{kernel:?}");
        }
    }
}

/// What every f32 kernel promises: one chain of fused multiply-adds over `k` in rising order.
fn chain(a: MatRef, b: MatRef) -> Vec<f32> {
    let element = |i, j| (0..a.cols()).fold(0.0f32, |sum, p| a.at(i, p).mul_add(b.at(p, j), sum));
    (0..a.rows()).flat_map(|i| (0..b.cols()).map(move |j| element(i, j))).collect()
}

/// The kernels that are to give the bits of [`chain`].
fn fused() -> impl Iterator<Item = Kernel> {
    let plain = cfg!(target_arch = "x86_64").then_some(Kernel::Portable);
    available().filter(move |kernel| *kernel != Kernel::Amx && Some(*kernel) != plain)
}

#[test]
fn the_f32_kernels_give_the_bits_of_one_chain_of_fused_products() {
    for (m, n, k) in [(37, 75, 900), (1, 16, 33), (5, 17, 4), (6, 40, 2500), (13, 8, 385), (84, 33, 40)] {
        let (a, b) = (values(m * k, 3), values(k * n, 4));
        let (along, across) = (MatRef::new(&a, m, k), MatRef::new(&a, k, m).t());
        let (by_steps, by_lanes) = (MatRef::new(&b, k, n), MatRef::new(&b, n, k).t());
        for (a, b) in [(along, by_steps), (along, by_lanes), (across, by_steps), (across, by_lanes)] {
            let expected = bits(&chain(a, b));
            for kernel in fused() {
                assert_eq!(bits(&product(kernel, a, b)), expected, "{kernel} {m}x{n}x{k}");
            }
        }
    }
}

#[test]
fn bf16_weights_give_the_bits_of_the_chain_for_few_rows_and_for_many() {
    let (n, k) = (53, 401);
    let half: Vec<u16> = values(n * k, 7).iter().map(|v| (v.to_bits() >> 16) as u16).collect();
    let wide: Vec<f32> = half.iter().map(|h| pack::widen(*h)).collect();
    for m in [1, 2, 3, 4, 5, 6, 7, 12, 13, 40] {
        let x = values(m * k, 8);
        let expected = bits(&chain(MatRef::new(&x, m, k), MatRef::new(&wide, n, k).t()));
        for kernel in fused() {
            let mut c = vec![f32::NAN; m * n];
            gemm_packed(&mut c, &x, &PackedMatrix::from_bf16_with(kernel, &half, n, k));
            assert_eq!(bits(&c), expected, "{kernel}, {m} rows");
        }
    }
}

#[test]
fn plain_bf16_would_not_pass_as_amx() {
    // The tolerance must tell the three passes from one: bf16 inputs alone are far outside.
    let round = |v: &f32| pack::widen(((v.to_bits() + 0x7fff + ((v.to_bits() >> 16) & 1)) >> 16) as u16);
    for k in [1, 32, 512] {
        let (a, b) = (values(64 * k, 5), values(64 * k, 6));
        let (a16, b16): (Vec<f32>, Vec<f32>) = (a.iter().map(round).collect(), b.iter().map(round).collect());
        let plain = product(Kernel::Portable, MatRef::new(&a16, 64, k), MatRef::new(&b16, 64, k).t());
        let (a, b) = (MatRef::new(&a, 64, k), MatRef::new(&b, 64, k).t());
        let error = relative_error(&plain, a, b);
        assert!(error > 2.0 * tolerance(Kernel::Amx, k), "k = {k}: {error:e}");
        if Kernel::Amx.is_available() {
            let error = relative_error(&product(Kernel::Amx, a, b), a, b);
            assert!(error < AMX_RELATIVE_ERROR, "k = {k}: {error:e}");
        }
    }
}

#[test]
fn a_packed_row_is_what_was_packed() {
    for kernel in available() {
        for (rows, width) in [(1, 1), (33, 31), (70, 96), (45, 65)] {
            let wide = values(rows * width, 7);
            let packed = PackedMatrix::from_view_with(kernel, MatRef::new(&wide, rows, width));
            let halves: Vec<u16> = wide.iter().map(|value| half::bf16::from_f32(*value).to_bits()).collect();
            let half = PackedMatrix::from_bf16_with(kernel, &halves, rows, width);
            let rounded = PackedMatrix::rounded_with(kernel, MatRef::new(&wide, rows, width));
            let (mut row, mut half_row, mut rounded_row) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
            for at in 0..rows {
                packed.row(at, &mut row);
                half.row(at, &mut half_row);
                rounded.row(at, &mut rounded_row);
                assert_eq!(half_row, rounded_row, "{kernel:?}");
                let range = at * width..(at + 1) * width;
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= b.abs() * 2f32.powi(-16);
                let exact = kernel != Kernel::Amx;
                assert!(
                    row.iter().zip(&wide[range.clone()]).all(|(a, b)| a == b || !exact && near((a, b))),
                    "{kernel:?}"
                );
                assert!(half_row.iter().zip(&halves[range]).all(|(a, b)| *a == pack::widen(*b)), "{kernel:?}");
            }
        }
    }
}

#[test]
fn rows_are_kept_bit_for_bit_where_that_takes_a_byte_a_number() {
    let (rows, width) = (45, 65);
    let smallest = 2f32.powi(-110);
    for kernel in available() {
        let mut wide = values(rows * width, 7);
        wide[..5].copy_from_slice(&[0.0, f32::MAX / 2.0, -smallest * 1.234_567, smallest, 1.0 + f32::EPSILON]);
        let pack = |wide: &[f32]| PackedMatrix::from_view_with(kernel, MatRef::new(wide, rows, width));
        let mut packed = pack(&wide);
        assert!(packed.keep_rows(&wide), "{kernel:?}");
        let mut row = vec![0.0; width];
        for (at, wide) in wide.chunks_exact(width).enumerate() {
            packed.row(at, &mut row);
            assert!(row.iter().zip(wide).all(|(a, b)| a.to_bits() == b.to_bits()), "{kernel:?}");
        }
        let kept = packed.bytes() - pack(&wide).bytes();
        assert_eq!(kept, if kernel == Kernel::Amx { rows * width } else { 0 }, "{kernel:?}");
        for refused in [-0.0, f32::INFINITY, 1e-37] {
            wide[0] = refused;
            let mut packed = pack(&wide);
            let keeps = packed.keep_rows(&wide);
            assert_eq!(keeps, kernel != Kernel::Amx, "{kernel:?}, {refused:e}");
        }
    }
}

#[test]
fn bf16_weights_take_half_the_memory() {
    let bits = vec![0x3f80; 64 * 128];
    for kernel in available() {
        let wide = PackedMatrix::from_view_with(kernel, MatRef::new(&[1.0; 64 * 128], 64, 128));
        let half = PackedMatrix::from_bf16_with(kernel, &bits, 64, 128);
        assert_eq!((wide.bytes(), half.bytes()), (4 * 64 * 128, 2 * 64 * 128), "{kernel:?}");
    }
}

#[test]
#[should_panic(expected = "a is [2, 3], b is [2, 3]")]
fn shapes_that_do_not_fit_are_refused() {
    let x = [0.0; 6];
    gemm(&mut [0.0; 6], MatRef::new(&x, 2, 3), MatRef::new(&x, 2, 3), false);
}
