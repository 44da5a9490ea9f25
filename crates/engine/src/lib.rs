//! Generates completions for many prompts at once.
//!
//! Promise: a completion is a function of (weights, prompt, sampling, seed): on the CPU the same bits
//! alone, in a batch, with a shared prompt, in chunks, after losing its blocks, or while newer weights
//! come in, if the request names its weights.
//! Takes: token ids and seeds. Gives: token ids, log-probabilities, weight versions, hidden states.
//! Never: opens a socket, looks at the clock, or works unless [`Engine::step`] is called.

#![forbid(unsafe_code)]

pub mod block_pool;
mod engine;
mod error;
mod lanes;
mod models;
mod request;
mod sample;
mod schedule;
mod sequence;
mod stop;

pub use engine::{Engine, EngineConfig, EngineStats, QUEUE_LEN_MAX};
pub use error::EngineError;
pub use request::{Completion, Request, Sampling, TEMPERATURE_MAX, TEMPERATURE_MIN};
pub use sample::{TemperedLogits, best_candidate, candidate_logprob, question, scaled_logit, tempered_logprob};
pub use stop::Detokenize;
