//! Worker, prefill and validator against each other on a tiny model.

mod judged;
mod messages;
mod prefill;
mod tampered;
mod worker;
mod world;
mod wrong_inputs;
