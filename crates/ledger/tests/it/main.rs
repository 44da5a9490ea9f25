//! Tests of the ledger.

mod yuma;
