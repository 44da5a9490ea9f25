//! What the orchestrator asks of a validator.
//!
//! Promise: an order to check carries all that a verdict depends on but the weights.

use serde::{Deserialize, Serialize};

use crate::{BeaconPoint, LeaseId, Submission};

/// Judge this submission and seal the verdict. The orchestrator's signature is the one on the lease inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckOrder {
    /// What to judge.
    pub submission: Submission,
    /// Randomness, later than the commitment, that chooses the sample.
    pub draw: BeaconPoint,
}

/// Open the seal of this lease; all of its validators have sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevealOrder {
    /// The lease judged.
    pub lease: LeaseId,
}
