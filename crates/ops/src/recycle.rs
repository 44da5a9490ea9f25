//! Hands out buffers of floats and takes them back for the next tensor.
//!
//! Promise: a buffer is initialised memory of at least the length asked for, aligned to a
//! cache line; what stands in it is unspecified. At most [`RETAINED_BYTES_MAX`] bytes wait
//! for reuse; what is beyond goes back to the allocator.
//! Why: a training step makes and drops the same few large tensors again and again. Fresh
//! memory must be cleared page by page by the kernel; memory that comes back need not be.

use std::mem::MaybeUninit;
use std::sync::Mutex;

use burn::tensor::{DType, Shape};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

/// Bytes that may wait for reuse.
pub const RETAINED_BYTES_MAX: usize = 1 << 30;

/// Buffers below this many cache lines (16 KiB) are left to the allocator.
const LINES_MIN: usize = 256;
const LINE_FLOATS: usize = 16;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE_FLOATS]);

/// Buffers that wait, with their sizes in lines; the newest, warmest one is last.
struct Shelf {
    waiting: Vec<Vec<Line>>,
    lines: usize,
}

static SHELF: Mutex<Shelf> = Mutex::new(Shelf { waiting: Vec::new(), lines: 0 });

/// A buffer of `len` floats that returns to the shelf when dropped.
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// `len` floats of unspecified value.
    pub(crate) fn new(len: usize) -> Self {
        let count = rounded_lines(len.div_ceil(LINE_FLOATS));
        let lines = reuse(count).unwrap_or_else(|| vec![Line([0.0; LINE_FLOATS]); count]);
        Self { lines, len }
    }

    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(0.0);
        buffer
    }

    /// The buffer as a tensor; it returns to the shelf when the last tensor lets go of it.
    ///
    /// # Panics
    /// If the shape does not have `len` elements.
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> FlexTensor {
        let shape = shape.into();
        assert_eq!(shape.num_elements(), self.len, "buffer of another length");
        let bytes = self.len * size_of::<f32>();
        // SAFETY: the first `bytes` bytes of the buffer are initialised floats.
        let bytes = unsafe { Bytes::from_controller(Box::new(self), bytes) };
        FlexTensor::new(bytes, Layout::contiguous(shape), DType::F32)
    }
}

/// Rounds up so that only a quarter is wasted and sizes repeat.
fn rounded_lines(lines: usize) -> usize {
    let step = (lines.next_power_of_two() / 8).max(1);
    lines.next_multiple_of(step)
}

fn reuse(count: usize) -> Option<Vec<Line>> {
    if count < LINES_MIN {
        return None;
    }
    let mut shelf = SHELF.lock().expect("no code panics while it holds the shelf");
    let at = shelf.waiting.iter().rposition(|lines| lines.len() == count)?;
    shelf.lines -= count;
    Some(shelf.waiting.remove(at))
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines.len() < LINES_MIN {
            return;
        }
        let mut shelf = SHELF.lock().expect("no code panics while it holds the shelf");
        if (shelf.lines + lines.len()) * size_of::<Line>() <= RETAINED_BYTES_MAX {
            shelf.lines += lines.len();
            shelf.waiting.push(lines);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl AllocationController for Buffer {
    fn alloc_align(&self) -> usize {
        align_of::<Line>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.lines);
        let (start, len) = (bytes.as_mut_ptr(), bytes.len());
        // SAFETY: same memory and layout; the caller promises to write initialised bytes only.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.cast(), len) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.lines);
        // SAFETY: initialised bytes are valid `MaybeUninit` bytes.
        Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_tensor_gives_its_memory_to_the_next_of_its_size() {
        // An odd size that no other test uses, so that other threads do not take it first.
        let len = 1_234_567;
        let mut buffer = Buffer::new(len);
        buffer.fill(7.0);
        let tensor = buffer.into_tensor([len]);
        let address = tensor.bytes().as_ptr();
        let twin = tensor.clone();
        drop(tensor);
        assert_ne!(Buffer::new(len).as_ptr().cast(), address, "still in use");
        assert_eq!(twin.storage::<f32>()[len - 1], 7.0);
        drop(twin);
        assert_eq!(Buffer::new(len).as_ptr().cast(), address);
    }

    #[test]
    fn rounding_wastes_at_most_a_quarter_and_keeps_sizes_few() {
        for lines in 1..5000 {
            let rounded = rounded_lines(lines);
            assert!(rounded >= lines && rounded * 4 <= lines * 5 + 4, "{lines} {rounded}");
            assert_eq!(rounded_lines(rounded), rounded);
        }
    }

    #[test]
    fn a_tensor_of_a_recycled_buffer_can_be_read_and_copied_out() {
        let mut buffer = Buffer::zeroed(10_000);
        buffer[9_999] = 3.0;
        let tensor = buffer.into_tensor([100, 100]);
        let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
        assert_eq!((values[0], values[9_999]), (0.0, 3.0));
    }
}
