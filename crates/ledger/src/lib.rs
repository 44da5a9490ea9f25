//! The book of a run: what was done, and so what is owed.
//!
//! Promise: integers only; the same entries give the same payouts on every machine.

#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

pub mod yuma;
