//! The `essaim` binary: everything is in the library.

use std::process::ExitCode;

/// Training allocates and frees large buffers all the time; the system's allocator hands such
/// pages back and has them cleared again, which showed as a tenth of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_pages();
    node::program::main()
}

/// Lets mimalloc keep freed pages for 100 s (ten times this delay) rather than 0.1 s: pages that went back to the system
/// must be cleared again. 10 s were too few for a step of a 135M model, which took 21.5 s with them and 18.7 s with 100 s,
/// in 4 % more memory (`docs/experiments.md`).
fn keep_freed_pages() {
    /// `mi_option_purge_delay` of mimalloc 2, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: no other thread runs yet, and an unknown option is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000) };
}
