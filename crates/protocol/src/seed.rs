//! Derives the seed of a rollout from everything that fixes the rollout.
//!
//! Promise: equal fields give equal seeds on every machine; fields that differ anywhere give
//! unrelated seeds, because every field has its own length-prefixed place in the hash.
//! Never: draws from a stream that is shared with another rollout.

use crate::constants::{ROLLOUT_SEED_CONTEXT, RUN_SEED_CONTEXT};
use crate::{BeaconPoint, LeaseId, RunSeed, WeightVersion, WorkerId};

/// What a rollout is for. Two uses of one lease number never share noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// Rollouts that the trainer learns from.
    Train,
    /// Rollouts on held-out items that only measure.
    Eval,
    /// Text made for a person.
    Generate,
}

impl Domain {
    /// The word that goes into the hash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
            Self::Generate => "generate",
        }
    }
}

/// The run's 32 bytes from the number a person wrote in the run file.
///
/// `blake3_derive_key("essaim 2025 run seed v1", seed as 8 little-endian bytes)`
pub fn run_seed(seed: u64) -> RunSeed {
    blake3::derive_key(RUN_SEED_CONTEXT, &seed.to_le_bytes())
}

/// The seed of one rollout: `blake3_derive_key(context, field_1 ‖ … ‖ field_8)`.
///
/// Each field is `length as u32 little-endian ‖ bytes`; numbers are little-endian in their own
/// width. The order is domain, run, beacon round, beacon randomness, weight
/// version, worker, lease, sample index. Nobody knows the randomness before the beacon's round, so nobody
/// can try leases until one suits.
///
/// ```
/// let run = protocol::run_seed(7);
/// let beacon = protocol::BeaconPoint::NONE;
/// let a = protocol::rollout_seed("train", &run, &beacon, 3, 0, 41, 0);
/// assert_ne!(a, protocol::rollout_seed("train", &run, &beacon, 3, 0, 41, 1));
/// ```
pub fn rollout_seed(
    domain: &str,
    run: &RunSeed,
    beacon: &BeaconPoint,
    weight_version: WeightVersion,
    worker: WorkerId,
    lease: LeaseId,
    sample_index: u32,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(ROLLOUT_SEED_CONTEXT);
    let fields: [&[u8]; 8] = [
        domain.as_bytes(),
        run,
        &beacon.round.to_le_bytes(),
        &beacon.randomness,
        &weight_version.to_le_bytes(),
        &worker.to_le_bytes(),
        &lease.to_le_bytes(),
        &sample_index.to_le_bytes(),
    ];
    for field in fields {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX); // a domain is a short word
        hasher.update(&length.to_le_bytes());
        hasher.update(field);
    }
    *hasher.finalize().as_bytes()
}
