//! Names for the numbers that travel.
//!
//! Promise: each identifier has one meaning and one unit, written here.

/// Counter of leases within a run: the first is 0 and none is skipped.
pub type LeaseId = u64;

/// Version of the weights: 0 before training; trainer step `n` makes version `n`.
pub type WeightVersion = u64;

/// Number of a trainer step. The first is 1, so that step `n` makes [`WeightVersion`] `n`.
pub type StepNumber = u64;

/// Position of a task in the run's list of tasks, from 0.
pub type TaskIndex = u32;

/// Number of a worker within the run, from 0.
pub type WorkerId = u32;

/// Round of the randomness beacon that a lease is bound to; 0 where no beacon is needed.
pub type BeaconRound = u64;

/// Number of a validator within the run, from 0.
pub type ValidatorId = u32;

/// A blake3 hash.
pub type Hash = [u8; 32];

/// Hash of the run's terms; every signature is bound to it. See [`crate::RunTerms::id`].
pub type RunId = Hash;

/// The 32 bytes from which all randomness of a run follows. See [`crate::run_seed`].
pub type RunSeed = [u8; 32];
