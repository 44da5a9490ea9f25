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
    /// Where the next call will write: its lines may be brought nearer. Need not be valid.
    pub(super) next: *const f32,
    /// Lines that a later call will read, one for each four steps: they may be brought nearer. Need not be valid.
    pub(super) fetch: *const u8,
    /// Start from what C holds instead of from 0.
    pub(super) load: bool,
}

/// Rows per call.
pub(super) const ROWS: usize = 6;
/// Columns of a panel.
pub(super) const WIDTH: usize = 16;

/// `$tile::<rows, ..>(work)` with a number of rows that the compiler knows.
macro_rules! by_rows {
    ($work:expr, $tile:ident, $($argument:tt),+) => {
        match $work.rows {
            1 => $tile::<1, $($argument),+>($work),
            2 => $tile::<2, $($argument),+>($work),
            3 => $tile::<3, $($argument),+>($work),
            4 => $tile::<4, $($argument),+>($work),
            5 => $tile::<5, $($argument),+>($work),
            _ => $tile::<{ $crate::gemm::portable::ROWS }, $($argument),+>($work),
        }
    };
}
pub(super) use by_rows;

/// Whether the build target itself has fused multiply-add.
const TARGET_HAS_FMA: bool = cfg!(any(target_feature = "fma", not(target_arch = "x86_64")));

/// # Safety
/// The pointers of `work` must be valid for what [`Work`] says, and `1 ≤ rows ≤ ROWS`,
/// `1 ≤ cols ≤ WIDTH`.
pub(super) unsafe fn plain(work: &Work) {
    // SAFETY: passed on from the caller; as many rows are computed as there are.
    unsafe { by_rows!(work, tile, TARGET_HAS_FMA) }
}

/// Eight floats that the compiler keeps in one register (or two).
#[derive(Clone, Copy)]
struct Eight([f32; 8]);

impl Eight {
    /// `self + a·b`, lane by lane.
    #[inline(always)]
    fn add_product<const FUSED: bool>(self, a: f32, b: Self) -> Self {
        Self(std::array::from_fn(|i| match FUSED {
            true => a.mul_add(b.0[i], self.0[i]),
            false => a * b.0[i] + self.0[i],
        }))
    }
}

#[inline(always)]
unsafe fn tile<const M: usize, const FUSED: bool>(work: &Work) {
    let mut edge = [[0.0f32; WIDTH]; M];
    // SAFETY: `M` rows of `cols` elements of C, `M` rows of A and the panel are valid (caller).
    unsafe {
        if work.load {
            for (i, row) in edge.iter_mut().enumerate() {
                let from = std::slice::from_raw_parts(work.c.add(i * work.c_row), work.cols);
                row[..work.cols].copy_from_slice(from);
            }
        }
        let mut sum: [[Eight; 2]; M] = edge.map(|row| [0, 8].map(|at| Eight(std::array::from_fn(|i| row[at + i]))));
        for p in 0..work.k {
            let [b0, b1] = *work.b.add(p * WIDTH).cast::<[Eight; 2]>();
            for (i, row) in sum.iter_mut().enumerate() {
                let a = *work.a.add(i * work.a_row + p * work.a_step);
                row[0] = row[0].add_product::<FUSED>(a, b0);
                row[1] = row[1].add_product::<FUSED>(a, b1);
            }
        }
        for (i, row) in sum.iter().enumerate() {
            let both: [f32; WIDTH] = std::array::from_fn(|j| row[j / 8].0[j % 8]);
            let to = std::slice::from_raw_parts_mut(work.c.add(i * work.c_row), work.cols);
            to.copy_from_slice(&both[..work.cols]);
        }
    }
}
