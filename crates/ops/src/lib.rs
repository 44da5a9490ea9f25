//! (under construction)

pub mod gemm;
