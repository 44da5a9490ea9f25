//! Tests of the ledger.

mod cases;
mod golden;
mod properties;
mod refusals;
mod world;
mod yuma;
