//! The nouns that every part of a run agrees on, one file per step of the data's way.
//!
//! Promise: a record has exactly one byte form. What decodes, encodes to the same bytes again; what
//! is too large or inconsistent is refused with a named error before memory is taken for it.
//! Takes: leases, rollouts and groups. Gives: their bytes, and the seeds that follow from them.
//! Never: computes with floats (log-probabilities are only carried), reads a clock, or does I/O.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod codec;
pub mod constants;
mod error;
mod ids;
mod lease;
mod rollout;
mod seed;

pub use codec::Record;
pub use error::ProtocolError;
pub use ids::{BeaconRound, LeaseId, RunSeed, StepNumber, TaskIndex, WeightVersion, WorkerId};
pub use lease::PromptLease;
pub use rollout::{FinishReason, Group, Rollout};
pub use seed::{Domain, rollout_seed, run_seed};
