//! The `essaim` binary: everything is in the library.

use std::process::ExitCode;

/// Training allocates and frees large buffers all the time; the system's allocator hands such
/// pages back and has them cleared again, which showed as a tenth of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_pages();
    node::cli::main()
}

/// Lets mimalloc keep freed pages for 100 s (ten times this delay) rather than 0.1 s: pages that went back to the system
/// must be cleared again, and a training step of a 135M model takes 15 s.
fn keep_freed_pages() {
    /// `mi_option_purge_delay` of mimalloc 2, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: no other thread runs yet, and an unknown option is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 10_000) };
}
