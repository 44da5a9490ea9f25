//! Memory in cache lines: small pieces from the allocator, large ones straight from the system.
//!
//! Promise: aligned to a cache line; zeros at first. A large piece goes back to the system in the moment in which it is
//! dropped, by whatever thread. Allocators keep such memory for the thread that asked for it first: worker, validator and
//! trainer take turns, so that a process held what each had needed at most, all at once.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use memmap2::{Advice, MmapMut, MmapRaw};

/// One cache line, of whatever it is that is stored.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u32; 16]);

impl Line {
    pub(crate) const BYTES: usize = 64;
    pub(crate) const ZERO: Self = Self([0; 16]);
}

/// From this many lines on (1.5 MiB) memory comes from the system. Smaller pieces lie closer together in the allocator's,
/// on large pages: with a bound of 1 MiB, that of the matrices of a small model, training at d=256 is 8 % slower, with one
/// of 2 MiB a run of SmolLM2-135M takes 0.24 GB more.
const MAPPED_LINES_MIN: usize = (3 << 19) / Line::BYTES;

/// See the module.
pub(crate) struct Memory(Held);

enum Held {
    Allocated(Vec<Line>),
    Mapped(MmapMut),
    Part(Part),
}

/// A large page of most processors.
const PAGE_BYTES: usize = 2 << 20;

/// Lines of a region that nobody else has.
struct Part {
    _region: Arc<MmapRaw>,
    start: *mut Line,
    count: usize,
}

// SAFETY: a part is memory of its own; the region only keeps it mapped.
unsafe impl Send for Part {}
// SAFETY: as above.
unsafe impl Sync for Part {}

/// Room that is handed out from its beginning to its end, once.
struct Region {
    bytes: Arc<MmapRaw>,
    /// What is left.
    start: *mut Line,
    count: usize,
}

thread_local! {
    static REGION: RefCell<Option<Region>> = const { RefCell::new(None) };
}

/// Packed matrices that `make` makes on this thread lie one behind the other, on large pages where the system has them,
/// and go back to it when the last of them is dropped; those that go beyond `bytes` lie by themselves. On one virtual machine
/// two threads read 23 GB/s of large pages, and 0.4 to 5 GB/s of small ones.
pub fn together<R>(bytes: usize, make: impl FnOnce() -> R) -> R {
    /// Puts back what was there, also when `make` panics.
    struct Outer(Option<Region>);
    impl Drop for Outer {
        fn drop(&mut self) {
            REGION.set(self.0.take());
        }
    }
    let _outer = Outer(REGION.replace(Region::new(bytes)));
    make()
}

impl Region {
    /// `None` if the system refuses; then every piece asks by itself.
    fn new(bytes: usize) -> Option<Self> {
        let bytes = bytes.checked_next_multiple_of(PAGE_BYTES)?;
        let mapped = MmapMut::map_anon(bytes.checked_add(PAGE_BYTES)?).ok()?;
        let _ = mapped.advise(Advice::HugePage); // a wish
        let mapped = Arc::new(MmapRaw::from(mapped));
        let start = mapped.as_mut_ptr();
        let start = start.wrapping_add(start.align_offset(PAGE_BYTES)).cast();
        Some(Self { bytes: mapped, start, count: bytes / Line::BYTES })
    }

    fn take(&mut self, count: usize) -> Option<Part> {
        let left = self.count.checked_sub(count)?;
        let part = Part { _region: self.bytes.clone(), start: self.start, count };
        (self.start, self.count) = (self.start.wrapping_add(count), left);
        Some(part)
    }
}

impl Memory {
    /// `count` lines of zeros for what is kept as long as its neighbours; see [`together`].
    pub(crate) fn beside_others(count: usize) -> Self {
        let part = REGION.with_borrow_mut(|region| region.as_mut().and_then(|region| region.take(count)));
        part.map_or_else(|| Self::zeroed(count), |part| Self(Held::Part(part)))
    }

    /// `count` lines of zeros. Large memory takes room where it is written to.
    pub(crate) fn zeroed(count: usize) -> Self {
        // Where the system refuses, the allocator has the last word.
        let mapped = (count >= MAPPED_LINES_MIN).then(|| MmapMut::map_anon(count * Line::BYTES).ok()).flatten();
        Self(match mapped {
            None => Held::Allocated(bytemuck::zeroed_vec(count)),
            Some(bytes) => {
                // Fewer and larger pages are a wish; without them everything works as well.
                let _ = bytes.advise(Advice::HugePage);
                Held::Mapped(bytes)
            }
        })
    }
}

impl Deref for Memory {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        match &self.0 {
            Held::Allocated(lines) => lines,
            Held::Mapped(bytes) => bytemuck::cast_slice(bytes),
            // SAFETY: inside a mapping that the part keeps, aligned, zero at first, handed out once.
            Held::Part(part) => unsafe { std::slice::from_raw_parts(part.start, part.count) },
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [Line] {
        match &mut self.0 {
            Held::Allocated(lines) => lines,
            Held::Mapped(bytes) => bytemuck::cast_slice_mut(bytes),
            // SAFETY: as above, and borrowed for writing.
            Held::Part(part) => unsafe { std::slice::from_raw_parts_mut(part.start, part.count) },
        }
    }
}

/// Zeros of which perhaps only some are used; they take room where they are written to.
pub(crate) struct SparseFloats {
    memory: Memory,
    len: usize,
}

impl SparseFloats {
    pub(crate) fn zeroed(len: usize) -> Self {
        Self { memory: Memory::zeroed((len * size_of::<f32>()).div_ceil(Line::BYTES)), len }
    }
}

impl Deref for SparseFloats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.memory)[..self.len]
    }
}

impl DerefMut for SparseFloats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.memory)[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_memory_is_aligned_and_zero() {
        for count in [0, 1, MAPPED_LINES_MIN - 1, MAPPED_LINES_MIN, MAPPED_LINES_MIN + 7] {
            let mut memory = Memory::zeroed(count);
            assert_eq!((memory.len(), memory.as_ptr().addr() % Line::BYTES), (count, 0));
            assert_eq!(matches!(memory.0, Held::Mapped(_)), count >= MAPPED_LINES_MIN);
            assert!(bytemuck::cast_slice::<Line, u32>(&memory).iter().all(|&word| word == 0));
            memory.fill(Line([7; 16]));
        }
    }

    #[test]
    fn what_is_made_together_lies_together_and_outlives_its_making() {
        let is_part = |memory: &Memory| matches!(memory.0, Held::Part(_));
        let mut made = together(3 * Line::BYTES, || {
            let inner = together(1, || Memory::beside_others(5));
            assert!(is_part(&inner));
            [Memory::beside_others(1), Memory::beside_others(2), Memory::beside_others(PAGE_BYTES), inner]
        });
        assert_eq!(made.each_ref().map(is_part), [true, true, false, true], "the third goes beyond");
        assert_eq!((made[0].as_ptr().addr() % PAGE_BYTES, made[0].as_ptr().wrapping_add(1)), (0, made[1].as_ptr()));
        made[1].fill(Line([7; 16]));
        assert_eq!((made[0][0].0, made[1][1].0, made[3][4].0), ([0; 16], [7; 16], [0; 16]));
        assert!(!is_part(&Memory::beside_others(1)), "nothing is made together any more");
    }
}
