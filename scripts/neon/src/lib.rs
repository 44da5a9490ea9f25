//! The matrix products and vector code of `crates/ops`, the same files, with the tests that are in them.
//! `scripts/test-neon.sh` compiles them for 64-bit ARM: without the tensor library that takes seconds.

#![allow(dead_code, reason = "the rest of the crate, which uses it, is not here")]

#[path = "../../../crates/ops/src/block_product/mod.rs"]
mod block_product;
#[path = "../../../crates/ops/src/gemm/mod.rs"]
pub mod gemm;
#[path = "../../../crates/ops/src/memory.rs"]
mod memory;
#[path = "../../../crates/ops/src/vmath.rs"]
mod vmath;
