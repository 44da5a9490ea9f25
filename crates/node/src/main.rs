//! The `essaim` binary: everything is in the library.

use std::process::ExitCode;

/// Training allocates and frees large buffers all the time; the system's allocator hands such
/// pages back and has them cleared again, which showed as a tenth of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    node::cli::main()
}
