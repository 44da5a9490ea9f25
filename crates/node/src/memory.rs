//! Memory that the allocator keeps.

/// Gives freed memory back to the system. Reading a tokenizer leaves as much of it as the tokenizer takes, which weights in
/// their own mappings could not use again. Does nothing where mimalloc is not the allocator.
pub fn release_freed() {
    // SAFETY: mimalloc may be asked at any time, by any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
