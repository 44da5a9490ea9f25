//! What a rollout must show to be believed, and the dice by which it is checked.
//!
//! Promise: the same bits on every machine. Integers only: no float, clock, environment, socket
//! or unordered map. Bytes of a stranger get a named error, never a panic.
//! Takes: a rollout's seed, a position, and logits already scaled to Q32 integers; bf16 bit
//! patterns of hidden states; points of a randomness beacon.
//! Gives: the Gumbel noise of every token and the token that wins ([`token_rule`]), proofs of
//! activations and how far they are from one's own ([`toploc`], [`fingerprint`]), who checks what
//! ([`draw`]), and beacon points that were verified ([`beacon`]).
//! Never: reads a model or a weight.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

pub mod beacon;
pub mod draw;
mod error;
pub mod fingerprint;
pub mod fixed;
pub mod noise;
pub mod token_rule;
pub mod tolerances;
pub mod toploc;

pub use error::ProofError;
pub use noise::{Noise, gumbel_q};
pub use token_rule::{EXCLUDED, ScaledLogits, Winner, margin, winner, winner_among, winner_plain};
