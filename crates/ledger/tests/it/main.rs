//! Tests of the ledger.

mod cases;
mod properties;
mod refusals;
mod world;
mod yuma;
