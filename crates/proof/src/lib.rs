//! What a rollout must show to be believed: the seeded noise that picks each token.
//!
//! Promise: the same bits on every machine. Integers only: no float, clock, environment, socket
//! or unordered map.
//! Takes: a rollout's seed, a position, and logits already scaled to Q32 integers.
//! Gives: the Gumbel noise of every token, the token that wins, and by how much another loses.
//! Never: reads a model or a weight.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

pub mod fixed;
pub mod noise;
pub mod token_rule;

pub use noise::{Noise, gumbel_q};
pub use token_rule::{EXCLUDED, ScaledLogits, Winner, margin, winner, winner_plain};
