//! Public randomness that nobody knows before its round.
//!
//! Promise: a point is a round and its 32 bytes; who made them, and how they are checked, is said in the
//! run's terms and done in `proof`.

use serde::{Deserialize, Serialize};

use crate::{BeaconRound, Hash};

/// One output of the randomness beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BeaconPoint {
    /// Round of the beacon; later rounds are known later.
    pub round: BeaconRound,
    /// What the beacon said in that round.
    pub randomness: Hash,
}

impl BeaconPoint {
    /// The point of rollouts that nobody checks: evaluation and chat.
    pub const NONE: Self = Self { round: 0, randomness: [0; 32] };
}

/// Which beacon a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeaconTerms {
    /// A chain of hashes made by the run's owner before the run, revealed backwards.
    HashChain {
        /// The published end of the chain.
        anchor: Hash,
        /// How many points there are.
        length: u64,
    },
    /// A chain of the drand network.
    Drand {
        /// Hash of the chain's parameters.
        chain: Hash,
    },
}
