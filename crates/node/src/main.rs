//! The `essaim` binary.
fn main() {}
