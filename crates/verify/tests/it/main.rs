//! Worker, prefill and validator against each other on a tiny model.

mod prefill;
mod worker;
mod world;
