//! The right, and the duty, to make one group of rollouts.
//!
//! Promise: a lease together with the weights it names determines its rollouts completely.

use serde::{Deserialize, Serialize};

use crate::constants::SAMPLES_PER_GROUP_MAX;
use crate::{
    BeaconPoint, Domain, Hash, LeaseId, ProtocolError, RunSeed, Signable, TaskIndex, WeightVersion, WorkerId,
    rollout_seed,
};

/// One prompt handed to one worker, to be answered `group_size` times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptLease {
    /// Position in the run's contiguous count of leases.
    pub lease: LeaseId,
    /// Which of the run's tasks the prompt comes from.
    pub task: TaskIndex,
    /// Index of the item within the task's training items.
    pub item: u64,
    /// The weights that make every token of the group.
    pub weight_version: WeightVersion,
    /// Hash of those weights.
    pub weights: Hash,
    /// Rollouts asked for.
    pub group_size: u32,
    /// The run's randomness.
    pub run_seed: RunSeed,
    /// Who may do the work.
    pub worker: WorkerId,
    /// Position in the worker's own contiguous count of leases: a number that is missing was never answered.
    pub worker_lease: u64,
    /// Beacon point that the randomness is bound to.
    pub beacon: BeaconPoint,
}

impl Signable for PromptLease {
    const CONTEXT: &'static str = "essaim 2026 prompt lease v1";
    const NAME: &'static str = "prompt lease";
}

impl PromptLease {
    /// The seed of the sampling noise of sample `sample_index` of this lease.
    pub fn sample_seed(&self, domain: Domain, sample_index: u32) -> [u8; 32] {
        rollout_seed(
            domain.as_str(),
            &self.run_seed,
            &self.beacon,
            self.weight_version,
            self.worker,
            self.lease,
            sample_index,
        )
    }

    /// Errors: `NoSamples` if the group would be empty, `TooManySamples` if it is too large.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let given = self.group_size as usize;
        if given == 0 {
            return Err(ProtocolError::NoSamples { lease: self.lease });
        }
        if given > SAMPLES_PER_GROUP_MAX {
            return Err(ProtocolError::TooManySamples { limit: SAMPLES_PER_GROUP_MAX, given });
        }
        Ok(())
    }
}
