//! Cuts a product into blocks that fit the caches, and hands them to threads.
//!
//! Promise: every element of C is written by one thread, block after block of `k` in rising
//! order; how C is cut changes no bit. Cuts of `k` are multiples of 32.
//! Takes: A as a view, B as panels. Gives: C.
//! Never: splits `k` between threads.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Use, with_lines};
use super::kernel::Kernel;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::pack::{self, Layout, Panels, widen};
use super::portable::{self, Work};
use super::view::MatRef;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512, split};

/// Below this many multiply-adds a product runs on the caller's thread: waking another costs
/// about as much as it would save.
const SERIAL_BELOW: usize = 1 << 19;
/// Rows of A per call of the AVX-512 kernel; here because every target can name it.
const AVX512_ROWS: usize = 14;
/// How much of each operand is worked on at a time.
pub(super) struct Blocking {
    /// Rows of A: packed, a block of them stays in L2.
    pub(super) rows: usize,
    /// Steps of `k`, a multiple of 32.
    depth: usize,
}

/// Measured best on a Xeon with 48 KiB of L1 and 2 MiB of L2 (2 cores, AMX at 1024³: 955 GFLOP/s
/// at 256 rows and depth 512, 845 at depth 256). Deeper blocks touch C less often; a panel of the
/// f32 kernels must about fit L1, tiles may come from L2.
pub(super) fn blocking(kernel: Kernel) -> Blocking {
    match kernel {
        Kernel::Portable | Kernel::Avx2 | Kernel::Neon => Blocking { rows: 120, depth: 448 },
        Kernel::Avx512 => Blocking { rows: 126, depth: 384 },
        Kernel::Amx => Blocking { rows: 256, depth: 512 },
    }
}

/// Steps per block when a single strip of rows uses each panel once.
const DEPTH_THIN: usize = 2048;
/// Up to this many strips of rows, widening bf16 weights anew for each is cheaper than a buffer (measured with AVX2 on
/// one core at n = 4864, k = 896, GFLOP/s in registers and through a buffer: 74 and 57 at 8 rows, 88 and 75 at 16, 86
/// and 97 at 64).
const IN_REGISTERS_STRIPS_MAX: usize = 4;
/// Columns of the right-hand side that are packed at a time.
const PACK_WIDTH: usize = 1024;
/// Row strides whose bytes are a multiple of this put all rows in the same few cache sets.
const ALIASING_FLOATS: usize = 512;

/// Where C lies: element `(i, j)` is at `start + i·stride + j`.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) start: *mut f32,
    pub(super) stride: usize,
}

// SAFETY: `multiply` gives every thread its own elements of C.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Out {
    pub(super) fn offset(self, row: usize, col: usize) -> Self {
        Self { start: self.start.wrapping_add(row * self.stride + col), ..self }
    }
}

/// `C = A·B`, or `C += A·B` if `load`, with B as it lies in memory. Each thread takes a rectangle
/// of C and packs what it needs for it: packing a little twice is cheaper than waiting for others
/// and fetching from their caches (measured: 877 against 674 GFLOP/s at 1024×896×896, AMX).
///
/// # Safety
/// `out` must be valid for `[a.rows(), b.cols()]`, and nobody else may touch it meanwhile.
pub(super) unsafe fn multiply(kernel: Kernel, out: Out, a: MatRef, b: MatRef, load: bool) {
    let layout = Layout::of(kernel, false);
    let units = [strip_rows(kernel), layout.width()];
    let threads = threads_for(a.rows() * a.cols() * b.cols());
    let grid = Grid::even(a.rows(), b.cols(), units, threads);
    grid.run(threads, |rows, cols| {
        let out = out.offset(rows.start, cols.start);
        let (a, b) = (a.row_range(rows), b.col_range(cols));
        // SAFETY: the rectangles cover C without overlap.
        unsafe { multiply_alone(kernel, out, a, b, load) };
    });
}

/// [`multiply`] on this thread, packing a part of B at a time.
unsafe fn multiply_alone(kernel: Kernel, out: Out, a: MatRef, b: MatRef, load: bool) {
    let layout = Layout::of(kernel, false);
    for col in (0..b.cols()).step_by(PACK_WIDTH) {
        let cols = col..(col + PACK_WIDTH).min(b.cols());
        let depth = blocking(kernel).depth;
        for step in (0..b.rows()).step_by(depth) {
            let steps = step..(step + depth).min(b.rows());
            let lanes = b.row_range(steps.clone()).col_range(cols.clone()).t();
            let (n, k) = (cols.len(), steps.len());
            with_lines(Use::Right, pack::lines_needed(layout, n, k), |lines| {
                pack::fill(lines, kernel, layout, lanes);
                let b = Panels { kernel, layout, n, k, lines };
                let (a, load) = (a.col_range(steps), load || step > 0);
                // SAFETY: passed on from the caller.
                unsafe { multiply_blocks(out.offset(0, col), a, &b, 0..b.count(), load) };
            });
        }
    }
}

/// `C = A·B` with B packed before.
///
/// # Safety
/// `out` must be valid for `[a.rows(), b.n]`, and nobody else may touch it meanwhile.
pub(super) unsafe fn multiply_packed(out: Out, a: MatRef, b: &Panels) {
    assert_eq!(a.cols(), b.k, "inner lengths");
    let width = b.layout.width();
    let threads = threads_for(a.rows() * a.cols() * b.n);
    let grid = Grid::streaming(a.rows(), b.n, b.kernel, threads);
    grid.run(threads, |rows, cols| {
        let out = out.offset(rows.start, cols.start);
        let panels = cols.start / width..cols.end.div_ceil(width);
        // SAFETY: the rectangles cover C without overlap.
        unsafe { multiply_blocks(out, a.row_range(rows), b, panels, false) };
    });
}

/// Rows of A times some panels on this thread, one block of rows after the other.
///
/// # Safety
/// `out` must be valid for the rows of A and the columns of the panels, and nobody else may touch it meanwhile.
pub(super) unsafe fn multiply_blocks(out: Out, a: MatRef, b: &Panels, panels: Range<usize>, load: bool) {
    let strips = a.rows().div_ceil(strip_rows(b.kernel));
    let blocks = a.rows().div_ceil(blocking(b.kernel).rows);
    let height = strips.div_ceil(blocks) * strip_rows(b.kernel);
    for row in (0..a.rows()).step_by(height) {
        let a = a.row_range(row..(row + height).min(a.rows()));
        let block = Block { out: out.offset(row, 0), a, b, panels: panels.clone(), load };
        // SAFETY: passed on from the caller.
        unsafe { block.run() };
    }
}

/// Threads that a product of so many multiply-adds is worth.
fn threads_for(work: usize) -> usize {
    if work < SERIAL_BELOW { 1 } else { rayon::current_num_threads() }
}

/// Rows of A per microkernel call.
fn strip_rows(kernel: Kernel) -> usize {
    match kernel {
        Kernel::Portable | Kernel::Avx2 | Kernel::Neon => portable::ROWS,
        Kernel::Avx512 => AVX512_ROWS,
        Kernel::Amx => 32,
    }
}

/// How C is cut into rectangles, in units of microkernel calls.
struct Grid {
    size: [usize; 2],
    step: [usize; 2],
}

impl Grid {
    /// One rectangle per thread, shaped so that the busiest thread has the least to do.
    fn even(m: usize, n: usize, units: [usize; 2], threads: usize) -> Self {
        let [rows, cols] = [m.div_ceil(units[0]), n.div_ceil(units[1])];
        // Packing one unit of lanes takes about as long as multiplying three units of C.
        let cost = |by: usize| {
            let (r, c) = (rows.div_ceil(by), cols.div_ceil(threads / by));
            r * c + 3 * (r + c)
        };
        let by = (1..=threads).min_by_key(|by| cost(*by)).unwrap_or(1);
        let step = [rows.div_ceil(by) * units[0], cols.div_ceil(threads / by) * units[1]];
        Self { size: [m, n], step }
    }

    /// For a packed B: rows are cut while there are enough of them, else columns, and then into
    /// more parts than threads so that a late thread does not hold up the rest. Two threads that
    /// share three strips of rows would have two and one; only AMX, which splits its rows anew for
    /// each part of the columns, cuts so few.
    fn streaming(m: usize, n: usize, kernel: Kernel, threads: usize) -> Self {
        let units = [strip_rows(kernel), Layout::of(kernel, false).width()];
        let [rows, cols] = [m.div_ceil(units[0]), n.div_ceil(units[1])];
        let whole = m.div_ceil(blocking(kernel).rows);
        let few = whole == 1 && kernel != Kernel::Amx;
        let blocks = if few { 1 } else { whole.next_multiple_of(threads).min(rows) };
        let parts = if blocks >= threads { 1 } else { (4 * threads).div_ceil(blocks) };
        let step = [rows.div_ceil(blocks) * units[0], cols.div_ceil(parts) * units[1]];
        Self { size: [m, n], step }
    }

    fn run(&self, threads: usize, one: impl Fn(Range<usize>, Range<usize>) + Sync) {
        let across = self.size[1].div_ceil(self.step[1]);
        let tasks = self.size[0].div_ceil(self.step[0]) * across;
        let cut = |at: usize, axis: usize| {
            let start = at * self.step[axis];
            start..(start + self.step[axis]).min(self.size[axis])
        };
        let one = |task: usize| one(cut(task / across, 0), cut(task % across, 1));
        if threads == 1 || tasks == 1 {
            (0..tasks).for_each(one);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(one);
        }
    }
}

/// One thread's share: some rows of A times some panels of B.
struct Block<'a> {
    out: Out,
    a: MatRef<'a>,
    b: &'a Panels<'a>,
    panels: Range<usize>,
    load: bool,
}

impl Block<'_> {
    /// # Safety
    /// `out` is valid for this block and touched by nobody else; the kernel is available.
    unsafe fn run(self) {
        // SAFETY: the kernel of a `Panels` was found available when it was made.
        unsafe {
            match self.b.kernel {
                Kernel::Portable => self.floats(portable::plain),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 if self.in_registers() => self.floats(avx2::half),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx2 => self.floats(avx2::full),
                #[cfg(target_arch = "x86_64")]
                Kernel::Avx512 => self.floats(avx512::avx512),
                #[cfg(target_arch = "x86_64")]
                Kernel::Amx => self.tiles(),
                #[cfg(target_arch = "aarch64")]
                Kernel::Neon if self.in_registers() => self.floats(neon::half),
                #[cfg(target_arch = "aarch64")]
                Kernel::Neon => self.floats(neon::full),
                _ => unreachable!("this kernel does not exist on this kind of processor"),
            }
        }
    }

    /// Whether bf16 weights are widened in the kernel's registers, strip by strip, instead of once into a buffer.
    fn in_registers(&self) -> bool {
        let can = self.b.layout == Layout::Woven || (self.b.kernel == Kernel::Neon && self.b.layout.is_half());
        can && self.a.rows() <= IN_REGISTERS_STRIPS_MAX * portable::ROWS
    }

    /// Steps at a time. A single strip uses each panel once, so its panels need not fit a cache
    /// unless they are widened there first.
    fn depth(&self, strips: usize) -> usize {
        match self.b.layout {
            Layout::Half { .. } | Layout::Woven if !self.in_registers() => blocking(self.b.kernel).depth,
            _ if strips == 1 => DEPTH_THIN,
            _ => blocking(self.b.kernel).depth,
        }
    }

    /// Columns of C that panel `index` fills.
    fn cols(&self, index: usize) -> usize {
        let width = self.b.layout.width();
        (self.b.n - index * width).min(width)
    }

    unsafe fn floats(self, kernel: unsafe fn(&Work)) {
        let rows = self.a.rows();
        let strips = rows.div_ceil(strip_rows(self.b.kernel));
        // Strips of like height: 16 rows are 8 + 8, not 14 + 2. Those that are copied step by step are whole, so that
        // kernels know how far apart their steps are.
        let whole = self.a.col_stride() != 1;
        let height = if whole { strip_rows(self.b.kernel) } else { rows.div_ceil(strips) };
        let width = self.b.layout.width();
        for step in (0..self.b.k).step_by(self.depth(strips)) {
            let k = (self.b.k - step).min(self.depth(strips));
            let a = self.a.col_range(step..step + k);
            let load = self.load || step > 0;
            with_rows(a, height, |at| {
                for index in self.panels.clone() {
                    let panel = self.b.panel(index, step).as_ptr();
                    let behind = panel.wrapping_add(self.b.layout.lines(k));
                    self.with_panel(index, step, k, |b| {
                        for (strip, first) in (0..rows).step_by(height).enumerate() {
                            let place = index - self.panels.start;
                            let out = self.out.offset(first, place * width);
                            let next = match first + height < rows {
                                true => self.out.offset(first + height, place * width),
                                false => self.out.offset(0, (place + 1) * width),
                            };
                            // A quarter of the panel that lies behind, if there are strips enough to hide that: weights
                            // that fit no cache would else be waited for by the first strip of each panel.
                            let is_early = strips > 1 && strip < 4;
                            let fetch = if is_early { behind.wrapping_add(strip * k / 4) } else { panel };
                            let work = Work {
                                a: at.start.wrapping_add(strip * at.strip),
                                a_row: at.row,
                                a_step: at.step,
                                b,
                                k,
                                c: out.start,
                                c_row: out.stride,
                                next: next.start,
                                fetch: fetch.cast(),
                                rows: (rows - first).min(height),
                                cols: self.cols(index),
                                load,
                            };
                            // SAFETY: all pointers follow from the views and from `out`.
                            unsafe { kernel(&work) };
                        }
                    });
                }
            });
        }
    }

    /// Gives `body` steps `step..step + k` of a panel in the form that the kernel reads.
    fn with_panel(&self, index: usize, step: usize, k: usize, body: impl FnOnce(*const f32)) {
        let lines = self.b.panel(index, step);
        match self.b.layout {
            Layout::Half { width } if !self.in_registers() => with_lines(Use::Widened, k * width / 16, |wide| {
                let wide: &mut [f32] = bytemuck::cast_slice_mut(wide);
                let bits: &[u16] = bytemuck::cast_slice(lines);
                crate::vmath::vectorized(
                    #[inline(always)]
                    || wide.iter_mut().zip(bits).for_each(|(w, b)| *w = widen(*b)),
                );
                body(wide.as_ptr());
            }),
            #[cfg(target_arch = "x86_64")]
            Layout::Woven if !self.in_registers() => with_lines(Use::Widened, k, |wide| {
                let words: &[u32] = bytemuck::cast_slice(lines);
                // SAFETY: this layout belongs to the AVX2 kernel, which was found available.
                unsafe { avx2::widen(bytemuck::cast_slice_mut(wide), &words[..k * portable::WIDTH / 2]) };
                body(wide.as_ptr().cast());
            }),
            _ => body(lines.as_ptr().cast()),
        }
    }

    #[cfg(target_arch = "x86_64")]
    unsafe fn tiles(self) {
        let rows = self.a.rows();
        let strips = rows.div_ceil(amx::ROWS);
        for step in (0..self.b.k).step_by(self.depth(strips)) {
            let k = (self.b.k - step).min(self.depth(strips));
            let steps = k.div_ceil(amx::STEP);
            let a = self.a.col_range(step..step + k);
            let strip_lines = steps * amx::STRIP_LINES;
            with_lines(Use::Left, strips * strip_lines, |left| {
                // SAFETY: AMX implies the features; the buffer has room for the strips.
                unsafe { split::strips(left, a) };
                let body = || {
                    for index in self.panels.clone() {
                        let next = (index + 1).min(self.panels.end - 1);
                        let fetch = self.b.panel(next, step).as_ptr();
                        for strip in 0..strips {
                            let out = self.out.offset(strip * amx::ROWS, (index - self.panels.start) * amx::WIDTH);
                            let work = amx::Work {
                                strip: left[strip * strip_lines..].as_ptr(),
                                panel: self.b.panel(index, step).as_ptr(),
                                low: self.b.layout == Layout::Split,
                                fetch: fetch.wrapping_add(strip * steps * 8),
                                steps,
                                c: out.start,
                                c_row: out.stride,
                                rows: (rows - strip * amx::ROWS).min(amx::ROWS),
                                cols: self.cols(index),
                                load: self.load || step > 0,
                            };
                            // SAFETY: tiles are configured; pointers follow from buffer and panel.
                            unsafe { amx::multiply(&work) };
                        }
                    }
                };
                // SAFETY: the kernel is available, and `body` calls nothing that uses tiles.
                unsafe { amx::with_tiles(body) };
            });
        }
    }
}

/// Where the rows of a block of A lie: strip `s`, row `i`, step `p` is at
/// `start + s·strip + i·row + p·step`.
struct Rows {
    start: *const f32,
    strip: usize,
    row: usize,
    step: usize,
}

/// Gives `body` the rows of `a` in strips of `height`: in place where their steps are neighbours
/// and the stride is kind to the cache, else copied.
fn with_rows(a: MatRef, height: usize, body: impl FnOnce(Rows)) {
    let (rows, k) = (a.rows(), a.cols());
    if a.col_stride() == 1 {
        if !a.row_stride().is_multiple_of(ALIASING_FLOATS) || rows <= 4 {
            let start = a.data().as_ptr();
            return body(Rows { start, strip: height * a.row_stride(), row: a.row_stride(), step: 1 });
        }
        let row = k.next_multiple_of(16) + 16;
        return with_lines(Use::Left, rows * row / 16, |lines| {
            let to: &mut [f32] = bytemuck::cast_slice_mut(lines);
            for (i, to) in to.chunks_exact_mut(row).enumerate() {
                to[..k].copy_from_slice(&a.data()[i * a.row_stride()..][..k]);
            }
            body(Rows { start: to.as_ptr(), strip: height * row, row, step: 1 });
        });
    }
    let strip = height * k;
    with_lines(Use::Left, (rows.div_ceil(height) * strip).div_ceil(16), |lines| {
        let to: &mut [f32] = bytemuck::cast_slice_mut(lines);
        if a.row_stride() == 1 {
            strips_by_steps(to, a, height);
        } else {
            for (i, p) in (0..rows).flat_map(|i| (0..k).map(move |p| (i, p))) {
                to[i / height * strip + p * height + i % height] = a.at(i, p);
            }
        }
        body(Rows { start: to.as_ptr(), strip, row: 1, step: height });
    })
}

/// Copies `a`, whose rows are neighbours, into strips `[steps][height]`.
fn strips_by_steps(to: &mut [f32], a: MatRef, height: usize) {
    match height {
        portable::ROWS => strips_of::<{ portable::ROWS }>(to, a),
        _ => strips_of::<AVX512_ROWS>(to, a),
    }
}

/// The rows of one step of `a` after the other; rows must be neighbours.
fn steps_of(a: MatRef<'_>) -> impl Iterator<Item = &[f32]> {
    (0..a.cols()).map(move |p| &a.data()[p * a.col_stride()..][..a.rows()])
}

/// [`strips_by_steps`] with a height that the compiler knows, so that a copy is a few moves.
fn strips_of<const HEIGHT: usize>(to: &mut [f32], a: MatRef) {
    for (p, from) in steps_of(a).enumerate() {
        let (whole, rest) = from.as_chunks::<HEIGHT>();
        for (s, from) in whole.iter().enumerate() {
            to[(s * a.cols() + p) * HEIGHT..][..HEIGHT].copy_from_slice(from);
        }
        if !rest.is_empty() {
            to[(whole.len() * a.cols() + p) * HEIGHT..][..rest.len()].copy_from_slice(rest);
        }
    }
}
