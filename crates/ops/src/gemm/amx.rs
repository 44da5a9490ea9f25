//! The microkernel on AMX tiles: bf16 pairs multiplied, f32 sums.
//!
//! Promise: for each block of 32 steps of `k`, in rising order, an element gets
//! `hi·hi`, then `lo·hi`, then `hi·lo` (A's part named first); the last is left out when B has
//! no low parts, which changes no bit because it would add zeros.
//! Takes: strips of A and panels of B laid out by `split`. Gives: up to 32×32 of C.
//! Never: leaves tiles configured after [`with_tiles`] returns.
//!
//! Source: Intel 64 and IA-32 Software Developer's Manual, vol. 2, TDPBF16PS: tile A is 16 rows
//! of 32 bf16, tile B is 16 rows of 16 pairs, `C[m][n] += Σ_pairs a₀b₀ + a₁b₁`.

use std::arch::asm;

use crate::memory::Line;

/// Rows per call: two tiles.
pub(super) const ROWS: usize = 32;
/// Columns of a panel: two tiles.
pub(super) const WIDTH: usize = 32;
/// Steps of `k` in one tile.
pub(super) const STEP: usize = 32;
/// Lines of one tile.
pub(super) const TILE: usize = 16;
/// Lines of A per strip and step: high 0, high 1, low 0, low 1.
pub(super) const STRIP_LINES: usize = 4 * TILE;

/// `c[rows, cols] (+)= strip · panel` over `steps` blocks of 32.
pub(super) struct Work {
    pub(super) strip: *const Line,
    pub(super) panel: *const Line,
    /// Whether the panel has low parts: 4 tiles per step, else 2.
    pub(super) low: bool,
    pub(super) steps: usize,
    /// Element `(i, j)` of C is at `c + i·c_row + j`.
    pub(super) c: *mut f32,
    pub(super) c_row: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) load: bool,
    /// Lines that a later call will read: each step brings eight of them nearer.
    pub(super) fetch: *const Line,
}

/// Palette 1: eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: TileConfig = TileConfig {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Runs `body` with the tiles configured. `body` must not hand control to other users of tiles.
///
/// # Safety
/// The processor must have AMX and the process leave to use it.
pub(super) unsafe fn with_tiles(body: impl FnOnce()) {
    // SAFETY: reads 64 bytes of a static; changes only tile state, which Rust code never uses.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, preserves_flags)) };
    body();
    // SAFETY: puts the tile state back to its initial value.
    unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
}

/// # Safety
/// Inside [`with_tiles`]. `strip` holds `steps · STRIP_LINES` lines, `panel` `steps` times 4 or 2
/// tiles, C is valid for `rows × cols`, `1 ≤ rows ≤ 32`, `1 ≤ cols ≤ 32`, `steps ≥ 1`.
pub(super) unsafe fn multiply(work: &Work) {
    let full_rows = work.rows == ROWS || work.rows == ROWS / 2;
    // SAFETY: passed on from the caller; a ragged edge goes through `edge`.
    unsafe {
        if full_rows && work.cols == WIDTH {
            tiles(work);
        } else {
            edge(work);
        }
    }
}

/// A call whose C is not made of whole tiles: computed in a square beside it.
#[cold]
unsafe fn edge(work: &Work) {
    let mut square = [Line::ZERO; 2 * ROWS];
    let beside = square.as_mut_ptr().cast::<f32>();
    // SAFETY: `square` is 32×32 floats; C is valid for `rows × cols` (caller).
    unsafe {
        if work.load {
            for i in 0..work.rows {
                let row = work.c.add(i * work.c_row);
                row.copy_to_nonoverlapping(beside.add(i * WIDTH), work.cols);
            }
        }
        tiles(&Work { c: beside, c_row: WIDTH, cols: WIDTH, ..*work });
        for i in 0..work.rows {
            let row = work.c.add(i * work.c_row);
            beside.add(i * WIDTH).copy_to_nonoverlapping(row, work.cols);
        }
    }
}

/// Emits one asm block: sums in (from C or zero), the loop over steps, sums out.
macro_rules! tile_loop {
    ($work:expr, sums: [$($zero:literal, $from:literal, $to:literal;)+], body: [$($line:expr,)+],
     panel_step: $panel_step:literal) => {
        asm!(
            "test {load:e}, {load:e}",
            "jz 2f",
            $($from,)+
            "jmp 3f",
            "2:",
            $($zero,)+
            "3:",
            $($line,)+
            "add {a}, 4096",
            "add {f}, 512",
            concat!("add {b}, ", $panel_step),
            "dec {steps}",
            "jnz 3b",
            $($to,)+
            a = inout(reg) $work.strip => _,
            b = inout(reg) $work.panel => _,
            f = inout(reg) $work.fetch => _,
            steps = inout(reg) $work.steps => _,
            c0 = in(reg) $work.c,
            c1 = in(reg) $work.c.wrapping_add(16 * $work.c_row),
            row = in(reg) 4 * $work.c_row,
            line = in(reg) Line::BYTES,
            load = in(reg) u32::from($work.load),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// Asks for two lines that a later call will read.
macro_rules! fetch {
    ($instruction:literal, $from:literal, $first:literal) => {
        concat!($instruction, " [", $from, " + ", $first, "]\n", $instruction, " [", $from, " + ", $first, " + 64]",)
    };
}

/// Tiles 0 to 3 are the sums `[0,0] [0,1] [1,0] [1,1]`, 4 and 5 hold A, 6 and 7 hold B.
unsafe fn tiles(work: &Work) {
    // SAFETY: the loads stay inside strip, panel and C by the caller's promise.
    unsafe {
        match (work.rows > TILE, work.low) {
            (true, true) => two_rows_split(work),
            (true, false) => two_rows_high(work),
            (false, true) => one_row_split(work),
            (false, false) => one_row_high(work),
        }
    }
}

unsafe fn two_rows_split(work: &Work) {
    // SAFETY: see `tiles`.
    unsafe {
        tile_loop!(work, sums: [
            "tilezero tmm0", "tileloadd tmm0, [{c0} + {row}]", "tilestored [{c0} + {row}], tmm0";
            "tilezero tmm1", "tileloadd tmm1, [{c0} + {row} + 64]", "tilestored [{c0} + {row} + 64], tmm1";
            "tilezero tmm2", "tileloadd tmm2, [{c1} + {row}]", "tilestored [{c1} + {row}], tmm2";
            "tilezero tmm3", "tileloadd tmm3, [{c1} + {row} + 64]", "tilestored [{c1} + {row} + 64], tmm3";
        ], body: [
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm4, [{a} + {line}]",
            "tileloadd tmm5, [{a} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            fetch!("prefetcht1", "{f}", "0"),
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            fetch!("prefetcht1", "{f}", "128"),
            "tdpbf16ps tmm1, tmm4, tmm7",
            fetch!("prefetcht1", "{f}", "256"),
            "tileloadd tmm4, [{a} + {line} + 2048]",
            "tdpbf16ps tmm3, tmm5, tmm7",
            fetch!("prefetcht1", "{f}", "384"),
            "tileloadd tmm5, [{a} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm4, [{a} + {line}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tileloadd tmm6, [{b} + {line} + 2048]",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tileloadd tmm5, [{a} + {line} + 1024]",
            "tileloadd tmm7, [{b} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
        ], panel_step: "4096")
    }
}

unsafe fn two_rows_high(work: &Work) {
    // SAFETY: see `tiles`.
    unsafe {
        tile_loop!(work, sums: [
            "tilezero tmm0", "tileloadd tmm0, [{c0} + {row}]", "tilestored [{c0} + {row}], tmm0";
            "tilezero tmm1", "tileloadd tmm1, [{c0} + {row} + 64]", "tilestored [{c0} + {row} + 64], tmm1";
            "tilezero tmm2", "tileloadd tmm2, [{c1} + {row}]", "tilestored [{c1} + {row}], tmm2";
            "tilezero tmm3", "tileloadd tmm3, [{c1} + {row} + 64]", "tilestored [{c1} + {row} + 64], tmm3";
        ], body: [
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm4, [{a} + {line}]",
            "tileloadd tmm5, [{a} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            fetch!("prefetcht1", "{f}", "0"),
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            fetch!("prefetcht1", "{f}", "128"),
            "tdpbf16ps tmm1, tmm4, tmm7",
            fetch!("prefetcht1", "{f}", "256"),
            "tileloadd tmm4, [{a} + {line} + 2048]",
            "tdpbf16ps tmm3, tmm5, tmm7",
            fetch!("prefetcht1", "{f}", "384"),
            "tileloadd tmm5, [{a} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
        ], panel_step: "2048")
    }
}

unsafe fn one_row_split(work: &Work) {
    // SAFETY: see `tiles`.
    unsafe {
        tile_loop!(work, sums: [
            "tilezero tmm0", "tileloadd tmm0, [{c0} + {row}]", "tilestored [{c0} + {row}], tmm0";
            "tilezero tmm1", "tileloadd tmm1, [{c0} + {row} + 64]", "tilestored [{c0} + {row} + 64], tmm1 # {c1}";
        ], body: [
            "tileloadd tmm4, [{a} + {line}]",
            "tileloadd tmm5, [{a} + {line} + 2048]",
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tileloadd tmm2, [{b} + {line} + 2048]",
            "tileloadd tmm3, [{b} + {line} + 3072]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            fetch!("prefetcht0", "{b}", "16384 + 0"),
            fetch!("prefetcht0", "{b}", "16384 + 128"),
            fetch!("prefetcht0", "{b}", "16384 + 256"),
            fetch!("prefetcht0", "{b}", "16384 + 384"),
            fetch!("prefetcht0", "{b}", "16384 + 512"),
            fetch!("prefetcht0", "{b}", "16384 + 640"),
            "tdpbf16ps tmm1, tmm4, tmm7",
            fetch!("prefetcht0", "{b}", "16384 + 768"),
            fetch!("prefetcht0", "{b}", "16384 + 896"),
            fetch!("prefetcht0", "{b}", "16384 + 1024"),
            fetch!("prefetcht0", "{b}", "16384 + 1152"),
            fetch!("prefetcht0", "{b}", "16384 + 1280"),
            fetch!("prefetcht0", "{b}", "16384 + 1408"),
            "tdpbf16ps tmm0, tmm5, tmm6",
            fetch!("prefetcht0", "{b}", "16384 + 1536"),
            fetch!("prefetcht0", "{b}", "16384 + 1664"),
            fetch!("prefetcht0", "{b}", "16384 + 1792"),
            fetch!("prefetcht0", "{b}", "16384 + 1920"),
            fetch!("prefetcht0", "{b}", "16384 + 2048"),
            fetch!("prefetcht0", "{b}", "16384 + 2176"),
            "tdpbf16ps tmm1, tmm5, tmm7",
            fetch!("prefetcht0", "{b}", "16384 + 2304"),
            fetch!("prefetcht0", "{b}", "16384 + 2432"),
            fetch!("prefetcht0", "{b}", "16384 + 2560"),
            fetch!("prefetcht0", "{b}", "16384 + 2688"),
            fetch!("prefetcht0", "{b}", "16384 + 2816"),
            fetch!("prefetcht0", "{b}", "16384 + 2944"),
            "tdpbf16ps tmm0, tmm4, tmm2",
            fetch!("prefetcht0", "{b}", "16384 + 3072"),
            fetch!("prefetcht0", "{b}", "16384 + 3200"),
            fetch!("prefetcht0", "{b}", "16384 + 3328"),
            fetch!("prefetcht0", "{b}", "16384 + 3456"),
            fetch!("prefetcht0", "{b}", "16384 + 3584"),
            fetch!("prefetcht0", "{b}", "16384 + 3712"),
            "tdpbf16ps tmm1, tmm4, tmm3",
            fetch!("prefetcht0", "{b}", "16384 + 3840"),
            fetch!("prefetcht0", "{b}", "16384 + 3968"),
        ], panel_step: "4096")
    }
}

unsafe fn one_row_high(work: &Work) {
    // SAFETY: see `tiles`.
    unsafe {
        tile_loop!(work, sums: [
            "tilezero tmm0", "tileloadd tmm0, [{c0} + {row}]", "tilestored [{c0} + {row}], tmm0";
            "tilezero tmm1", "tileloadd tmm1, [{c0} + {row} + 64]", "tilestored [{c0} + {row} + 64], tmm1 # {c1}";
        ], body: [
            "tileloadd tmm4, [{a} + {line}]",
            "tileloadd tmm5, [{a} + {line} + 2048]",
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            fetch!("prefetcht0", "{b}", "16384 + 0"),
            fetch!("prefetcht0", "{b}", "16384 + 128"),
            fetch!("prefetcht0", "{b}", "16384 + 256"),
            fetch!("prefetcht0", "{b}", "16384 + 384"),
            "tdpbf16ps tmm1, tmm4, tmm7",
            fetch!("prefetcht0", "{b}", "16384 + 512"),
            fetch!("prefetcht0", "{b}", "16384 + 640"),
            fetch!("prefetcht0", "{b}", "16384 + 768"),
            fetch!("prefetcht0", "{b}", "16384 + 896"),
            "tdpbf16ps tmm0, tmm5, tmm6",
            fetch!("prefetcht0", "{b}", "16384 + 1024"),
            fetch!("prefetcht0", "{b}", "16384 + 1152"),
            fetch!("prefetcht0", "{b}", "16384 + 1280"),
            fetch!("prefetcht0", "{b}", "16384 + 1408"),
            "tdpbf16ps tmm1, tmm5, tmm7",
            fetch!("prefetcht0", "{b}", "16384 + 1536"),
            fetch!("prefetcht0", "{b}", "16384 + 1664"),
            fetch!("prefetcht0", "{b}", "16384 + 1792"),
            fetch!("prefetcht0", "{b}", "16384 + 1920"),
        ], panel_step: "2048")
    }
}
