//! Tests of the ledger.

mod cases;
mod economy;
mod evidence;
mod golden;
mod properties;
mod refusals;
mod rehearsal;
mod world;
mod yuma;
