//! Property tests of the contracts: random histories against a model, invariants after every step.
//!
//! Each campaign counts what succeeded and what was refused, and fails below a floor: a campaign in which
//! nothing happens proves nothing. The seeded bugs of `contracts/mutants` must all be found by them.
//! More cases than the daily ones: `PROPTEST_CASES=2000 cargo test -p chain --test contracts`.

mod court;
mod court_model;
mod emission;
mod evm;
mod gas;
mod gas_rows;
mod merkle;
mod mutants;
mod play;
mod registry;
mod rewards;
mod vault;
mod world;
