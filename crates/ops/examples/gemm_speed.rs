//! Prints how fast each matrix kernel is, in GFLOP/s (2·m·n·k operations per product).
//!
//! `cargo run --release -p ops --example gemm_speed [part of a case's name [kernel]]`
//! The counterpart for PyTorch is `examples/gemm_speed_torch.py`.

use std::time::{Duration, Instant};

use ops::gemm::{Kernel, MatMut, MatRef, PackedMatrix, gemm_packed, gemm_with};

/// `[m, n, k]` of `C = A·Bᵀ`, as in the forward pass of a linear layer.
const SHAPES: [[usize; 3]; 9] = [
    [4096, 128, 128],
    [4096, 512, 128],
    [4096, 256, 1024],
    [128, 512, 4096],
    [1024, 896, 896],
    [1024, 4864, 896],
    [1024, 896, 4864],
    [1024, 1024, 1024],
    [2048, 2048, 2048],
];
/// Rows of x against a packed weight `[4864, 896]`.
const DECODE_ROWS: [usize; 5] = [1, 4, 16, 64, 1024];

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    println!("{:<34} {}", "", Kernel::ALL.map(|k| format!("{:>10}", format!("{k:?}"))).concat());
    for [m, n, k] in SHAPES {
        let (a, b) = (values(m * k, 1), values(n * k, 2));
        let (plain_a, plain_b) = (MatRef::new(&a, m, k), MatRef::new(&b, n, k).t());
        let (turned_a, turned_b) = (MatRef::new(&a, k, m).t(), MatRef::new(&b, k, n));
        let pairs = [("x·Wᵀ", plain_a, plain_b), ("dY·W", plain_a, turned_b), ("dYᵀ·X", turned_a, turned_b)];
        for (name, a, b) in pairs {
            let mut c = vec![0.0; m * n];
            report(&only, &format!("{m}x{n}x{k} {name}"), m * n * k, |kernel| {
                best_time(|| gemm_with(kernel, &mut MatMut::new(&mut c, m, n), a, b, false))
            });
        }
    }
    let [n, k] = [4864, 896];
    let weight = values(n * k, 3);
    let bits: Vec<u16> = weight.iter().map(|x| (x.to_bits() >> 16) as u16).collect();
    for m in DECODE_ROWS {
        let x = values(m * k, 4);
        let mut c = vec![0.0; m * n];
        for kind in ["f32", "bf16"] {
            report(&only, &format!("{m}x{n}x{k} packed {kind}"), m * n * k, |kernel| {
                let w = match kind {
                    "f32" => PackedMatrix::from_view_with(kernel, MatRef::new(&weight, n, k)),
                    _ => PackedMatrix::from_bf16_with(kernel, &bits, n, k),
                };
                best_time(|| gemm_packed(&mut c, &x, &w))
            });
        }
    }
}

/// Numbers in [-1, 1) from a small generator; their values do not matter, only that they vary.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Prints one line: the best of several runs for every kernel that this machine has.
fn report(only: &str, name: &str, mul_adds: usize, mut time: impl FnMut(Kernel) -> Duration) {
    if !name.contains(only) {
        return;
    }
    print!("{name:<34} ");
    for kernel in Kernel::ALL {
        let wanted = std::env::args().nth(2).is_none_or(|name| name == format!("{kernel:?}"));
        if wanted && kernel.is_available() {
            print!("{:>10.1}", 2.0 * mul_adds as f64 / time(kernel).as_secs_f64() / 1e9);
        } else {
            print!("{:>10}", "-");
        }
    }
    println!();
}

fn best_time(mut run: impl FnMut()) -> Duration {
    let (mut best, begin) = (Duration::MAX, Instant::now());
    while begin.elapsed() < Duration::from_millis(120) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}
