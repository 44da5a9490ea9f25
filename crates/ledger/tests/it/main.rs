//! Tests of the ledger.

mod cases;
mod golden;
mod properties;
mod refusals;
mod rehearsal;
mod world;
mod yuma;
