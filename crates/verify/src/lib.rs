//! Makes rollouts that can be checked, and checks those of others.
//!
//! Promise: what an honest [`Worker`] sends, an honest validator finds valid, on whatever machine
//! and in whatever batch either of them computes.
//! Takes: signed leases, weights, and the bytes of messages. Gives: the bytes of the answers.
//! Never: opens a socket, looks at the clock, or decides who pays.

#![forbid(unsafe_code)]

mod actor;
mod checks;
mod countersign;
mod error;
mod held;
mod prefill;
mod prove;
mod sealed;
mod update;
mod validator;
mod weights;
mod worker;

pub use actor::{Answer, Prompts, ValidatorActor, WorkerActor};
pub use checks::CheckSet;
pub use checks::tokens::tempered_limit;
pub use countersign::Countersigner;
pub use error::VerifyError;
pub use prefill::{Recomputed, Row, prefill};
pub use prove::{Evidence, fingerprint, hidden_bits, prove};
pub use update::{Replay, describe_update};
pub use validator::{VERSIONS_HELD, Validator, ValidatorSetup};
pub use weights::weights_hash;
pub use worker::{Finished, Work, Worker, WorkerSetup};
