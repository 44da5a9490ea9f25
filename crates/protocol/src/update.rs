//! The trainer's word on what a step did.
//!
//! Promise: whoever replays the step from the same groups and the same state must get `state_after`.

use serde::{Deserialize, Serialize};

use crate::constants::{BATCH_CONTEXT, LEASES_PER_UPDATE_MAX};
use crate::{Hash, LeaseId, ProtocolError, Signable, StepNumber};

/// One step of training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Which step.
    pub step: StepNumber,
    /// The groups learned from, in their order in the batch.
    pub leases: Vec<LeaseId>,
    /// [`Update::batch_hash`] of the roots of those groups.
    pub batch: Hash,
    /// Hash of weights and optimiser before the step.
    pub state_before: Hash,
    /// Hash of weights and optimiser after the step.
    pub state_after: Hash,
    /// Hash of the weights published after the step.
    pub weights: Hash,
}

impl Signable for Update {
    const CONTEXT: &'static str = "essaim 2026 update v1";
    const NAME: &'static str = "update";
}

impl Update {
    /// `blake3_derive_key(context, root_1 ‖ … ‖ root_n)`, the roots in the order of the batch.
    pub fn batch_hash(roots: &[Hash]) -> Hash {
        blake3::derive_key(BATCH_CONTEXT, roots.as_flattened())
    }

    /// Errors: `TooManyLeases`.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let given = self.leases.len();
        match given > LEASES_PER_UPDATE_MAX {
            true => Err(ProtocolError::TooManyLeases { limit: LEASES_PER_UPDATE_MAX, given }),
            false => Ok(()),
        }
    }
}
