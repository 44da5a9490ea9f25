//! The whole network in one thread from one seed, with faults and liars.
//!
//! Promise: a simulation is a function of its seed and cheat. Rules, desk, workers and validators are
//! the real ones; the model is a real transformer, only tiny; what is simulated is the network, the
//! clock, and misfortune.
//! Takes: [`Options`]. Gives: a [`Report`]: who was caught, by which check, after how many rollouts. What lies
//! earn is another question, simulated without a model: [`economy`].
//! Never: looks at a clock, opens a socket, or lets one simulation touch another.
#![forbid(unsafe_code)]

mod cast;
mod chance;
pub mod economy;
mod error;
mod letters;
pub mod liars;
mod memory;
mod network;
mod packet;
mod report;
mod simulation;
mod sweep;
mod world;

pub use error::SimError;
pub use network::{Faults, Misfortunes};
pub use report::{Failure, Report, Row};
pub use sweep::{Options, Trace, sweep, sweep_telling, trace};
