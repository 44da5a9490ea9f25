//! Tests of the ledger.

mod cases;
mod economy;
mod golden;
mod properties;
mod refusals;
mod rehearsal;
mod world;
mod yuma;
