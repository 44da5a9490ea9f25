//! Lays out the right-hand side of a product in panels of neighbouring columns.
//!
//! Promise: a panel holds `width` columns for every `k`, in the order in which its kernel reads
//! them, zero where the matrix has ended; the values are those given (AMX: their bf16 parts).
//! Takes: the transpose of B, `[lanes, steps]` as `split` names them. Gives: aligned lines.
//! Never: keeps a value that a kernel does not read.

use rayon::prelude::*;

use super::kernel::{self, Kernel};
use super::portable;
use super::view::MatRef;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, split};
use crate::memory::{Line, Memory};

/// How a panel is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[k][width]` of f32.
    Full { width: usize },
    /// `[k][width]` of bf16 bits, widened before use.
    Half { width: usize },
    /// `[k][8]` words of two bf16, widened in registers (see `avx2`).
    Woven,
    /// AMX tiles: `[k / 32][hi hi lo lo]`.
    Split,
    /// AMX tiles of values that are bf16 already: `[k / 32][hi hi]`.
    High,
}

/// Columns of an AMX panel; here because every target can name it.
const AMX_WIDTH: usize = 32;
const AMX_STEP: usize = 32;
const TILE_LINES: usize = 16;
/// Words of a line of a tile, one for each lane: two steps of it.
const TILE_WORDS: usize = 16;

impl Layout {
    /// The layout that `kernel` reads, for f32 values or for bf16 values.
    pub(super) fn of(kernel: Kernel, bf16: bool) -> Self {
        let width = match kernel {
            Kernel::Portable | Kernel::Avx2 | Kernel::Neon => portable::WIDTH,
            Kernel::Avx512 | Kernel::Amx => AMX_WIDTH,
        };
        match (kernel, bf16) {
            (Kernel::Amx, false) => Self::Split,
            (Kernel::Amx, true) => Self::High,
            (Kernel::Avx2, true) => Self::Woven,
            (_, false) => Self::Full { width },
            (_, true) => Self::Half { width },
        }
    }

    /// Whether it holds bf16 that the portable kernel could read.
    pub(super) fn is_half(self) -> bool {
        matches!(self, Self::Half { .. })
    }

    pub(super) fn width(self) -> usize {
        match self {
            Self::Full { width } | Self::Half { width } => width,
            Self::Woven => portable::WIDTH,
            Self::Split | Self::High => AMX_WIDTH,
        }
    }

    /// Lines from the start of a panel to its step `k` (AMX: a multiple of 32), and so the
    /// length of a panel of `k` steps.
    pub(super) fn lines(self, k: usize) -> usize {
        match self {
            Self::Full { width } => (k * width * 4).div_ceil(Line::BYTES),
            Self::Half { width } => (k * width * 2).div_ceil(Line::BYTES),
            Self::Woven => (k * portable::WIDTH * 2).div_ceil(Line::BYTES),
            Self::Split => k.div_ceil(AMX_STEP) * 4 * TILE_LINES,
            Self::High => k.div_ceil(AMX_STEP) * 2 * TILE_LINES,
        }
    }
}

/// A packed right-hand side `[k, n]`.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    pub(super) kernel: Kernel,
    pub(super) layout: Layout,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) lines: &'a [Line],
}

impl<'a> Panels<'a> {
    pub(super) fn count(&self) -> usize {
        self.n.div_ceil(self.layout.width())
    }

    /// The lines of panel `index` from step `step` on.
    pub(super) fn panel(&self, index: usize, step: usize) -> &'a [Line] {
        let lines = self.layout.lines(self.k);
        &self.lines[index * lines..][..lines][self.layout.lines(step)..]
    }
}

/// Lines that `fill` needs for a matrix of `lanes` columns and `steps` rows.
pub(super) fn lines_needed(layout: Layout, lanes: usize, steps: usize) -> usize {
    lanes.div_ceil(layout.width()) * layout.lines(steps)
}

/// Writes the panels of `b`, given as its transpose `[lanes, steps]`.
pub(super) fn fill(to: &mut [Line], kernel: Kernel, layout: Layout, b: MatRef) {
    match layout {
        Layout::Full { width } => full_panels(to, kernel, width, b),
        Layout::Half { .. } | Layout::Woven => unreachable!("bf16 panels of f32 kernels are filled from bits"),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: these layouts come from `Kernel::Amx`, which was found available.
        Layout::Split | Layout::High => unsafe { split::panels(to, b, layout == Layout::Split) },
        #[cfg(not(target_arch = "x86_64"))]
        Layout::Split | Layout::High => unreachable!("AMX layouts exist on x86-64 only"),
    }
}

/// [`fill`], panels side by side.
fn fill_side_by_side(to: &mut [Line], kernel: Kernel, layout: Layout, b: MatRef) {
    if to.is_empty() {
        return;
    }
    let width = layout.width();
    to.par_chunks_exact_mut(layout.lines(b.cols())).enumerate().for_each(|(index, to)| {
        let first = index * width;
        fill(to, kernel, layout, b.row_range(first..(first + width).min(b.rows())));
    });
}

fn full_panels(to: &mut [Line], kernel: Kernel, width: usize, b: MatRef) {
    let lines = Layout::Full { width }.lines(b.cols());
    if b.row_stride() == 1 && b.col_stride() != 1 {
        return match width {
            portable::WIDTH => panels_by_lanes::<{ portable::WIDTH }>(to, b),
            _ => panels_by_lanes::<AMX_WIDTH>(to, b),
        };
    }
    for (index, to) in to.chunks_exact_mut(lines).enumerate() {
        let to: &mut [f32] = bytemuck::cast_slice_mut(to);
        let lane = index * width;
        if let (Some(panel), 1) = (panel_by_steps(kernel), b.col_stride()) {
            // SAFETY: the kernel was found available, and the width is its own.
            unsafe { panel(to, b, lane) };
            continue;
        }
        to.fill(0.0);
        for (block, to) in to.chunks_mut(16 * width).enumerate() {
            for i in 0..(b.rows() - lane).min(width) {
                for (p, to) in to[i..].iter_mut().step_by(width).enumerate() {
                    *to = b.at(lane + i, block * 16 + p);
                }
            }
        }
    }
}

/// How a kernel has a panel written where the steps of a lane are neighbours, if it has a way of its own.
fn panel_by_steps(kernel: Kernel) -> Option<unsafe fn(&mut [f32], MatRef, usize)> {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => Some(avx2::panel),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => Some(avx512::panel),
        _ => None,
    }
}

/// Where the lanes of a step are neighbours: sixteen steps of every panel, then the next sixteen.
fn panels_by_lanes<const WIDTH: usize>(to: &mut [Line], b: MatRef) {
    let (to, _) = bytemuck::cast_slice_mut::<Line, f32>(to).as_chunks_mut::<WIDTH>();
    for first in (0..b.cols()).step_by(16) {
        for (index, to) in to.chunks_exact_mut(b.cols()).enumerate() {
            let lane = index * WIDTH;
            let lanes = (b.rows() - lane).min(WIDTH);
            for (p, to) in to.iter_mut().enumerate().skip(first).take(16) {
                let from = &b.data()[lane + p * b.col_stride()..][..lanes];
                match from.first_chunk() {
                    Some(whole) => *to = *whole,
                    None => {
                        to[..lanes].copy_from_slice(from);
                        to[lanes..].fill(0.0);
                    }
                }
            }
        }
    }
}

/// A right-hand side `[k, n]` in panels, for products of one thread each: [`super::gemm_alone`].
pub struct RightSide<'a>(pub(super) Panels<'a>);

impl<'a> RightSide<'a> {
    /// Floats of memory that [`RightSide::pack`] needs for a matrix of `k` rows and `n` columns.
    pub fn floats(k: usize, n: usize) -> usize {
        lines_needed(Layout::of(kernel::current(), false), n, k) * size_of::<Line>() / size_of::<f32>()
    }

    /// `k`.
    pub fn rows(&self) -> usize {
        self.0.k
    }

    /// Packs `b` for the current kernel. Panics unless `memory` has the length of [`RightSide::floats`] and is aligned to a
    /// cache line.
    pub fn pack(memory: &'a mut [f32], b: MatRef) -> Self {
        let kernel = kernel::current();
        let (layout, lanes) = (Layout::of(kernel, false), b.t());
        let lines: &mut [Line] = bytemuck::cast_slice_mut(memory);
        assert_eq!(
            lines.len(),
            lines_needed(layout, lanes.rows(), lanes.cols()),
            "lines for [{}, {}]",
            b.rows(),
            b.cols()
        );
        fill_side_by_side(lines, kernel, layout, lanes);
        Self(Panels { kernel, layout, n: lanes.rows(), k: lanes.cols(), lines })
    }
}

impl<'a> From<&'a PackedMatrix> for RightSide<'a> {
    /// The transpose of the weight.
    fn from(weight: &'a PackedMatrix) -> Self {
        Self(weight.panels())
    }
}

/// A weight `[out, in]`, laid out once for [`super::gemm_packed`]. It remembers the kernel that
/// was current when it was packed.
pub struct PackedMatrix {
    kernel: Kernel,
    layout: Layout,
    out_features: usize,
    in_features: usize,
    lines: Memory,
    /// What [`Self::row`] adds to the bits of each number; see [`Self::keep_rows`].
    rests: Option<Box<[i8]>>,
}

impl PackedMatrix {
    /// Packs `weight`, `[out, in]` row-major. Panics unless `weight.len() == out · in`.
    pub fn from_f32(weight: &[f32], out_features: usize, in_features: usize) -> Self {
        Self::from_view(MatRef::new(weight, out_features, in_features))
    }

    /// Packs a weight `[out, in]` given as a view, for example some rows of a larger one.
    pub fn from_view(weight: MatRef) -> Self {
        Self::from_view_with(kernel::current(), weight)
    }

    /// [`PackedMatrix::from_view`] for a stated kernel. Panics if this machine cannot run it.
    pub fn from_view_with(kernel: Kernel, weight: MatRef) -> Self {
        let mut packed = Self::empty(kernel, false, weight.rows(), weight.cols());
        fill_side_by_side(&mut packed.lines, kernel, packed.layout, weight);
        packed
    }

    /// Packs `weight`, `[out, in]` row-major, rounded to bf16; about 2 bytes each. Panics unless
    /// `weight.len() == out · in`.
    pub fn from_f32_rounded(weight: &[f32], out_features: usize, in_features: usize) -> Self {
        Self::rounded_with(kernel::current(), MatRef::new(weight, out_features, in_features))
    }

    pub(super) fn rounded_with(kernel: Kernel, weight: MatRef) -> Self {
        let steps = weight.cols();
        let mut packed = Self::empty(kernel, true, weight.rows(), steps);
        if packed.lines.is_empty() {
            return packed;
        }
        let (layout, width) = (packed.layout, packed.layout.width());
        let panels = packed.lines.par_chunks_exact_mut(layout.lines(steps));
        panels.enumerate().for_each(|(index, to)| {
            let first = index * width;
            let rows = weight.row_range(first..(first + width).min(weight.rows()));
            let bits = |i: usize| half::bf16::from_f32(rows.at(i / steps, i % steps)).to_bits();
            let bits: Vec<u16> = (0..rows.rows() * steps).map(bits).collect();
            fill_from_bits(to, kernel, layout, &bits, steps);
        });
        packed
    }

    /// Packs bf16 values given as their bits, `[out, in]` row-major, for a stated kernel. Panics if this machine cannot run
    /// it, or unless `bits.len() == out · in`.
    pub fn from_bf16_with(kernel: Kernel, bits: &[u16], out_features: usize, in_features: usize) -> Self {
        let given = bits.len();
        assert_eq!(given, out_features * in_features, "[{out_features}, {in_features}] got {given}");
        let mut packed = Self::empty(kernel, true, out_features, in_features);
        if packed.lines.is_empty() {
            return packed;
        }
        let (layout, width) = (packed.layout, packed.layout.width());
        let rows = bits.par_chunks(width * in_features);
        let panels = packed.lines.par_chunks_exact_mut(layout.lines(in_features));
        panels.zip(rows).for_each(|(to, bits)| fill_from_bits(to, kernel, layout, bits, in_features));
        packed
    }

    fn empty(kernel: Kernel, bf16: bool, out_features: usize, in_features: usize) -> Self {
        assert!(kernel.is_available(), "the {kernel:?} matrix kernel does not run here");
        let layout = Layout::of(kernel, bf16);
        let lines = Memory::beside_others(lines_needed(layout, out_features, in_features));
        Self { kernel, layout, out_features, in_features, lines, rests: None }
    }

    /// Number of rows of the weight: the width of `y`.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// Number of columns of the weight: the width of `x`.
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// The kernel that multiplies with it.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Bytes of memory that the packed values take.
    pub fn bytes(&self) -> usize {
        self.lines.len() * Line::BYTES + self.rests.as_ref().map_or(0, |rests| rests.len())
    }

    /// Makes [`Self::row`] give `weight`, `[out, in]` row-major, bit for bit: where that differs from the sum of two bf16
    /// parts by some places of the last bit, they are kept in a byte for each number. `false`, and nothing is kept, if they
    /// are too many: of some numbers below 2⁻¹¹⁰, of -0, of what is not finite.
    ///
    /// # Panics
    /// Unless `weight.len() == out · in`.
    pub(crate) fn keep_rows(&mut self, weight: &[f32]) -> bool {
        let (given, width) = (weight.len(), self.in_features);
        assert_eq!(given, self.out_features * width, "[{}, {width}] got {given}", self.out_features);
        self.rests = None;
        if given == 0 || matches!(self.layout, Layout::Full { .. }) {
            return true;
        }
        let mut rests = vec![0i8; given].into_boxed_slice();
        let rows = rests.par_chunks_mut(width).zip(weight.par_chunks(width)).enumerate();
        let kept = rows.try_for_each_init(
            || vec![0.0f32; width],
            |sums, (row, (rests, weight))| {
                self.sums(row, sums);
                rests.iter_mut().zip(weight.iter().zip(sums)).try_for_each(|(rest, (value, sum))| {
                    *rest = i8::try_from(i64::from(value.to_bits()) - i64::from(sum.to_bits())).ok()?;
                    Some(())
                })
            },
        );
        self.rests = kept.map(|()| rests).filter(|rests| rests.iter().any(|rest| *rest != 0));
        kept.is_some()
    }

    /// One row of the weight, `[in]`: the values that it was packed from, of f32 for AMX the sum of their two bf16 parts
    /// unless `keep_rows` kept what that leaves.
    ///
    /// # Panics
    /// If there is no such row, or `to` has another length.
    pub fn row(&self, row: usize, to: &mut [f32]) {
        self.sums(row, to);
        if let Some(rests) = &self.rests {
            let rests = &rests[row * self.in_features..(row + 1) * self.in_features];
            let restored = |value: f32, rest: i8| f32::from_bits(value.to_bits().wrapping_add_signed(rest.into()));
            to.iter_mut().zip(rests).for_each(|(to, rest)| *to = restored(*to, *rest));
        }
    }

    fn sums(&self, row: usize, to: &mut [f32]) {
        assert!(row < self.out_features && to.len() == self.in_features, "row {row} into {} floats", to.len());
        let width = self.layout.width();
        let (panel, lane) = (self.panels().panel(row / width, 0), row % width);
        match self.layout {
            Layout::Full { .. } => gather(to, bytemuck::cast_slice(panel), lane, width, |value: f32| value),
            Layout::Half { .. } => gather(to, bytemuck::cast_slice(panel), lane, width, widen),
            Layout::Woven => gather(to, bytemuck::cast_slice(panel), woven_place(lane), width, widen),
            Layout::Split | Layout::High => gather_from_tiles(to, panel, lane, self.layout.lines(AMX_STEP)),
        }
    }

    pub(super) fn panels(&self) -> Panels<'_> {
        Panels {
            kernel: self.kernel,
            layout: self.layout,
            n: self.out_features,
            k: self.in_features,
            lines: &self.lines,
        }
    }
}

/// Every `width`-th number from `lane` on.
fn gather<T: Copy>(to: &mut [f32], panel: &[T], lane: usize, width: usize, value: impl Fn(T) -> f32) {
    for (to, number) in to.iter_mut().zip(panel[lane..].iter().step_by(width)) {
        *to = value(*number);
    }
}

/// The f32 of the same value.
pub(super) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn half_panel(to: &mut [Line], width: usize, bits: &[u16], steps: usize) {
    let to: &mut [u16] = bytemuck::cast_slice_mut(to);
    for (i, lane) in bits.chunks_exact(steps).enumerate() {
        for (to, bits) in to[i..].iter_mut().step_by(width).zip(lane) {
            *to = *bits;
        }
    }
}

/// One lane of AMX tiles, `tiles` lines for each 32 steps.
fn gather_from_tiles(to: &mut [f32], panel: &[Line], lane: usize, tiles: usize) {
    let first = lane / TILE_WORDS * TILE_LINES;
    let words = |line: &Line| bytemuck::cast_ref::<Line, [[u16; 2]; TILE_WORDS]>(line)[lane % TILE_WORDS].map(widen);
    for (to, block) in to.chunks_mut(AMX_STEP).zip(panel.chunks_exact(tiles)) {
        for (i, to) in to.chunks_mut(2).enumerate() {
            let high = words(&block[first + i]);
            let low = block.get(2 * TILE_LINES + first + i).map_or([0.0; 2], words);
            to.iter_mut().zip(high.iter().zip(low)).for_each(|(to, (high, low))| *to = high + low);
        }
    }
}

/// A panel of bf16 values, `[lanes, steps]` as their bits.
fn fill_from_bits(to: &mut [Line], kernel: Kernel, layout: Layout, bits: &[u16], steps: usize) {
    match layout {
        Layout::Half { width } => half_panel(to, width, bits, steps),
        Layout::Woven => woven_panel(to, bits, steps),
        Layout::Full { .. } | Layout::Split | Layout::High => {
            let wide: Vec<f32> = bits.iter().map(|b| widen(*b)).collect();
            fill(to, kernel, layout, MatRef::new(&wide, bits.len() / steps, steps));
        }
    }
}

/// Where column `i` stands among the bf16 of a step.
fn woven_place(i: usize) -> usize {
    i % 8 * 2 + i / 8
}

/// Column `j < 8` is the lower half of word `j` of a step, column `j + 8` the upper half.
fn woven_panel(to: &mut [Line], bits: &[u16], steps: usize) {
    let to: &mut [u16] = bytemuck::cast_slice_mut(to);
    for (i, lane) in bits.chunks_exact(steps).enumerate() {
        for (to, bits) in to[woven_place(i)..].iter_mut().step_by(portable::WIDTH).zip(lane) {
            *to = *bits;
        }
    }
}
