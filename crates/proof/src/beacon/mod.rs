//! Public randomness that nobody in the run can choose.
//!
//! Promise: a beacon point is verified before it is given out; a bad one gets a named error.
//! Takes: a secret for a local chain, or a signature of the drand network. Gives: beacon points.
//! Never: fetches anything, reads a clock, or falls back to another source.

mod chain;
pub mod drand;

pub use chain::{HashChain, STEPS_MAX, verify_chain};

use thiserror::Error;

/// Why a beacon point was refused or cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BeaconError {
    /// The chain has no such round; rounds count from 1.
    #[error("the beacon has rounds 1 to {limit}, asked for {given}")]
    NoSuchRound {
        /// Last round.
        limit: u64,
        /// Round asked for.
        given: u64,
    },
    /// The point is older than one that is known already.
    #[error("beacon round {given} comes before the known round {known}")]
    Backwards {
        /// Latest verified round.
        known: u64,
        /// Round given.
        given: u64,
    },
    /// Too many rounds lie between the point and the known one to be hashed through.
    #[error("beacon round {given} is past {limit}, as far as one check goes")]
    TooFar {
        /// Last round that can be checked from the known one.
        limit: u64,
        /// Round given.
        given: u64,
    },
    /// The randomness does not hash back to the known point.
    #[error("the randomness of beacon round {round} does not lead back to round {known}")]
    NotOnChain {
        /// Round of the point.
        round: u64,
        /// Round it was checked against.
        known: u64,
    },
    /// The signature or the signature before it has no such length on this chain.
    #[error("{field} of beacon round {round} has {given} bytes, {expected} are due")]
    SignatureLength {
        /// Which of the two.
        field: &'static str,
        /// Round it is for.
        round: u64,
        /// Bytes due.
        expected: usize,
        /// Bytes seen.
        given: usize,
    },
    /// The signature is no point of its curve.
    #[error("the signature of beacon round {round} is no point of its curve")]
    SignaturePoint {
        /// Round it is for.
        round: u64,
    },
    /// The signature is not of this round by this network.
    #[error("the signature of beacon round {round} does not verify")]
    SignatureWrong {
        /// Round it is for.
        round: u64,
    },
}
