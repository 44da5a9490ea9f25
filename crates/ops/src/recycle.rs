//! Hands out buffers of floats and takes them back for the next tensor.
//!
//! Promise: a buffer is initialised memory of at least the length asked for, aligned to a
//! cache line; what stands in it is unspecified. As many bytes as [`retain_at_most`] says wait
//! for reuse; when more come, those that waited longest go back where they came from.
//! Why: a training step makes and drops the same few large tensors again and again. Fresh
//! memory must be cleared page by page by the kernel; memory that comes back need not be.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use burn::tensor::{DType, Shape};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

use crate::memory::{Line, Memory};

/// Bytes that may wait for reuse.
static RETAINED_BYTES_MAX: AtomicUsize = AtomicUsize::new(1 << 30);

/// Bytes of gradients of parameters that may wait for the next step's.
static RETAINED_GRADIENT_BYTES_MAX: AtomicUsize = AtomicUsize::new(0);

/// From now on at most so many bytes of buffers wait for reuse in this process. More of them save time, as fresh memory
/// must be cleared; each of them is one that nobody else has.
pub fn retain_at_most(bytes: usize) {
    RETAINED_BYTES_MAX.store(bytes, Ordering::Relaxed);
}

/// The same of the gradients of parameters, of which none wait before this is called: between two steps they take room
/// that generation could use. A step of a model of 494M parameters takes 14 % longer without, on a virtual machine that
/// clears 0.3 GB/s.
pub fn retain_gradients_at_most(bytes: usize) {
    RETAINED_GRADIENT_BYTES_MAX.store(bytes, Ordering::Relaxed);
}

/// Buffers of fewer (16 KiB) or more (128 MiB) cache lines are left to the allocator.
const LINES_RECYCLED: RangeInclusive<usize> = 256..=2 << 20;
/// Shorter buffers (2 MiB) are handed on however long they last: a fresh page costs more than they weigh. A training step
/// of 4 layers of d=256 is 3 % slower without.
const LASTING_FLOATS_MIN: usize = 1 << 19;
const LINE_FLOATS: usize = Line::BYTES / size_of::<f32>();

/// Buffers that wait, and the lines they have together; the newest, warmest one is last.
struct Shelf {
    waiting: VecDeque<Memory>,
    lines: usize,
}

impl Shelf {
    const EMPTY: Self = Self { waiting: VecDeque::new(), lines: 0 };

    /// The newest buffer of that many lines, or of a quarter more: batches of a run differ in length.
    fn take(&mut self, count: usize) -> Option<Memory> {
        let fits = |lines: &Memory| (count..=count + count / 4).contains(&lines.len());
        let exact = self.waiting.iter().rposition(|lines| lines.len() == count);
        let at = exact.or_else(|| self.waiting.iter().rposition(fits))?;
        self.lines -= self.waiting[at].len();
        self.waiting.remove(at)
    }

    /// Puts a buffer up; gives those that no longer fit under the limit, oldest first.
    fn put(&mut self, lines: Memory, lines_max: usize) -> Vec<Memory> {
        self.lines += lines.len();
        self.waiting.push_back(lines);
        let mut leaving = Vec::new();
        while self.lines > lines_max
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.lines -= oldest.len();
            leaving.push(oldest);
        }
        leaving
    }
}

static PASSING: Mutex<Shelf> = Mutex::new(Shelf::EMPTY);
static GRADIENTS: Mutex<Shelf> = Mutex::new(Shelf::EMPTY);

/// What a buffer is for, which says where it goes when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// A result that the next operations take: it waits for reuse.
    Passing,
    /// The gradient of a large parameter: it waits for the next step's.
    Gradient,
    /// What is kept long, as a weight: back where it came from.
    Lasting,
}

impl Use {
    /// Where buffers of so many lines wait, and how many bytes of them may.
    fn shelf(self, lines: usize) -> Option<(&'static Mutex<Shelf>, usize)> {
        match self {
            Self::Passing => {
                LINES_RECYCLED.contains(&lines).then(|| (&PASSING, RETAINED_BYTES_MAX.load(Ordering::Relaxed)))
            }
            Self::Gradient => Some((&GRADIENTS, RETAINED_GRADIENT_BYTES_MAX.load(Ordering::Relaxed))),
            Self::Lasting => None,
        }
    }

    /// One that waits.
    fn reused(self, lines: usize) -> Option<Memory> {
        let (shelf, _) = self.shelf(lines)?;
        held(shelf).take(lines)
    }
}

fn held(shelf: &'static Mutex<Shelf>) -> MutexGuard<'static, Shelf> {
    shelf.lock().expect("no code panics while it holds the shelf")
}

/// A buffer of `len` floats that waits for reuse when dropped, unless it was made to last.
pub(crate) struct Buffer {
    lines: Memory,
    len: usize,
    purpose: Use,
}

impl Buffer {
    /// `len` floats of unspecified value.
    pub(crate) fn new(len: usize) -> Self {
        let count = rounded_lines(len.div_ceil(LINE_FLOATS));
        Self::of(Use::Passing, count, len)
    }

    /// `len` zeros for what is kept long, as a weight: it would wait on the shelf for most of a step, and goes back where
    /// it came from.
    pub(crate) fn lasting(len: usize) -> Self {
        if len < LASTING_FLOATS_MIN {
            return Self::zeroed(len);
        }
        Self::of(Use::Lasting, len.div_ceil(LINE_FLOATS), len)
    }

    /// `len` floats of unspecified value for the gradient of a parameter, which waits for the optimiser; see
    /// [`retain_gradients_at_most`].
    pub(crate) fn gradient(len: usize) -> Self {
        if len < LASTING_FLOATS_MIN {
            return Self::new(len);
        }
        Self::of(Use::Gradient, len.div_ceil(LINE_FLOATS), len)
    }

    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let count = rounded_lines(len.div_ceil(LINE_FLOATS));
        let used = Use::Passing.reused(count).map(|mut lines| {
            lines.fill(Line::ZERO);
            lines
        });
        Self { lines: used.unwrap_or_else(|| Memory::zeroed(count)), len, purpose: Use::Passing }
    }

    fn of(purpose: Use, count: usize, len: usize) -> Self {
        let lines = purpose.reused(count).unwrap_or_else(|| Memory::zeroed(count));
        Self { lines, len, purpose }
    }

    /// The buffer as a tensor; it returns to the shelf when the last tensor lets go of it.
    ///
    /// # Panics
    /// If the shape does not have `len` elements.
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> FlexTensor {
        self.into_tensor_of(DType::F32, shape)
    }

    /// The same in another format of numbers, for which any bits will do; the buffer is as many floats long as they take.
    pub(crate) fn into_tensor_of(self, dtype: DType, shape: impl Into<Shape>) -> FlexTensor {
        let shape = shape.into();
        let bytes = shape.num_elements() * dtype.size();
        assert_eq!(bytes.div_ceil(size_of::<f32>()), self.len, "buffer of another length");
        // SAFETY: the first `bytes` bytes of the buffer are initialised.
        let bytes = unsafe { Bytes::from_controller(Box::new(self), bytes) };
        FlexTensor::new(bytes, Layout::contiguous(shape), dtype)
    }
}

/// Rounds up by a quarter at most, and 1 MiB at most, so that sizes repeat.
fn rounded_lines(lines: usize) -> usize {
    let step = (lines.next_power_of_two() / 8).clamp(1, (1 << 20) / Line::BYTES);
    lines.next_multiple_of(step)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = std::mem::replace(&mut self.lines, Memory::zeroed(0));
        if let Some((shelf, bytes_max)) = self.purpose.shelf(lines.len()) {
            let leaving = held(shelf).put(lines, bytes_max / Line::BYTES);
            drop(leaving); // after the lock was let go, so that nobody waits for it
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
    /// What is shared is copied when it is changed; Burn's own copy knows no alignment to cache lines.
    fn duplicate(&self) -> Option<Box<dyn AllocationController>> {
        let mut copy = Self::of(self.purpose, self.lines.len(), self.len);
        copy.copy_from_slice(self);
        Some(Box::new(copy))
    }

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
    fn gradients_wait_only_where_that_is_asked_for() {
        let len = 3_456_789_usize; // a size that no other test uses
        let waiting =
            || held(&GRADIENTS).waiting.iter().filter(|lines| lines.len() == len.div_ceil(LINE_FLOATS)).count();
        drop(Buffer::gradient(len));
        assert_eq!(waiting(), 0);
        retain_gradients_at_most(usize::MAX);
        let first = Buffer::gradient(len);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(waiting(), 1);
        assert_eq!(Buffer::gradient(len).as_ptr(), address);
        retain_gradients_at_most(0);
        drop(Buffer::gradient(len));
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn a_full_shelf_lets_go_of_what_waited_longest() {
        let buffer = Memory::zeroed;
        let mut shelf = Shelf::EMPTY;
        for count in [3, 4, 3] {
            assert!(shelf.put(buffer(count), 10).is_empty());
        }
        let leaving = shelf.put(buffer(5), 10);
        assert_eq!(leaving.iter().map(|lines| lines.len()).collect::<Vec<_>>(), [3, 4]);
        assert_eq!((shelf.lines, shelf.take(2).is_none(), shelf.take(6).is_none()), (8, true, true));
        assert_eq!(
            (shelf.take(3).unwrap().len(), shelf.take(4).unwrap().len()),
            (3, 5),
            "a quarter more serves as well"
        );
        assert_eq!(shelf.lines, 0);
        assert_eq!(shelf.put(buffer(11), 10).len(), 1, "more than fits at all");
    }

    #[test]
    fn a_used_buffer_comes_back_as_zeros_when_zeros_are_asked_for() {
        let len = 2_345_678; // a size that no other test uses
        let mut buffer = Buffer::new(len);
        buffer.fill(7.0);
        drop(buffer);
        assert!(Buffer::zeroed(len).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn rounding_wastes_at_most_a_quarter_and_keeps_sizes_few() {
        for lines in (1..5000).chain([8_508_416]) {
            let rounded = rounded_lines(lines);
            assert!(rounded >= lines && rounded * 4 <= lines * 5 + 4, "{lines} {rounded}");
            assert!(rounded - lines < 16_384, "1 MiB");
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
