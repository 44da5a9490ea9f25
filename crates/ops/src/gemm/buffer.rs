//! Cache-line aligned memory, and a small store of it per thread.
//!
//! Promise: a buffer that is given back is lent again, so warm calls allocate nothing.
//! Takes: a number of lines. Gives: that many, with unspecified contents.
//! Never: holds a borrow while user code runs, so products may nest inside thread pools.

use std::cell::Cell;

use crate::memory::Line;

/// What a buffer is for: each use has its own store, so that sizes stay steady.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// The packed right-hand side, shared by the threads of one product.
    Right,
    /// One thread's packed rows of the left-hand side.
    Left,
    /// One thread's panel of bf16 weights, widened.
    Widened,
}

thread_local! {
    static STORE: [Cell<Vec<Line>>; 3] = const { [const { Cell::new(Vec::new()) }; 3] };
}

/// Lends `count` lines to `body`; their contents are whatever was there before.
pub(super) fn with_lines<R>(of: Use, count: usize, body: impl FnOnce(&mut [Line]) -> R) -> R {
    let mut lines = STORE.with(|s| s[of as usize].take());
    if lines.len() < count {
        lines.resize(count, Line::ZERO);
    }
    let result = body(&mut lines[..count]);
    STORE.with(|s| s[of as usize].set(lines));
    result
}
