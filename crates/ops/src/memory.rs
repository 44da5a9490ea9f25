//! Memory in cache lines: small pieces from the allocator, large ones straight from the system.
//!
//! Promise: aligned to a cache line; zeros at first. A large piece goes back to the system in the moment in which it is
//! dropped, by whatever thread. Allocators keep such memory for the thread that asked for it first: worker, validator and
//! trainer take turns, so that a process held what each had needed at most, all at once.

use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut};

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
}

impl Memory {
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
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [Line] {
        match &mut self.0 {
            Held::Allocated(lines) => lines,
            Held::Mapped(bytes) => bytemuck::cast_slice_mut(bytes),
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
}
