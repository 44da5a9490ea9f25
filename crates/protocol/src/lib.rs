//! The nouns that every part of a run agrees on, one file per step of the data's way.
//!
//! Promise: a record has exactly one byte form. What decodes, encodes to the same bytes again; what
//! is too large or inconsistent is refused with a named error before memory is taken for it.
//! A signature holds for one record in one run; only a group with enough signed verdicts is a [`VerifiedGroup`].
//! Takes: leases, rollouts, commitments, verdicts, updates. Gives: their bytes, signatures and hashes, and the
//! seeds that follow from them.
//! Never: computes with floats (log-probabilities are only carried), reads a clock, or does I/O.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod beacon;
mod check;
mod codec;
pub mod constants;
mod error;
mod group;
mod identity;
mod ids;
mod layouts;
mod lease;
pub mod merkle;
mod order;
mod party;
mod plant;
mod rollout;
mod seed;
mod signed;
mod submission;
mod terms;
mod update;
mod verdict;
mod verified;

pub use beacon::{BeaconPoint, BeaconTerms};
pub use check::{Check, RejectReason};
pub use codec::{Record, record_kind};
pub use error::ProtocolError;
pub use group::Group;
pub use identity::{Keypair, PublicKey, Signature};
pub use ids::{
    BeaconRound, Hash, LeaseId, RunId, RunSeed, StepNumber, TaskIndex, ValidatorId, WeightVersion, WorkerId,
};
pub use lease::PromptLease;
pub use order::{CheckOrder, RevealOrder};
pub use party::{Party, UnknownParty};
pub use plant::PlantRequest;
pub use rollout::{FinishReason, Rollout};
pub use seed::{Domain, rollout_seed, run_seed};
pub use signed::{Signable, Signed};
pub use submission::{Commitment, Submission};
pub use terms::{DtypeTerm, RunTerms, SamplingTerms};
pub use update::Update;
pub use verdict::{CheckedRollout, Outcome, UncheckedCause, Verdict, VerdictReveal, VerdictSeal};
pub use verified::{VerifiedGroup, VerifiedRollout};
