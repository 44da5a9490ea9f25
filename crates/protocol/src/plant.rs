//! What the orchestrator asks of a worker when it means to show a validator known-bad work.
//!
//! Promise: a commitment that a plant request covers is no word of its worker's: whoever shows it as a lie is
//! answered with the request, which only the orchestrator can have signed.

use serde::{Deserialize, Serialize};

use crate::{Commitment, Signable, Verdict};

/// "Sign this commitment. It is a plant, made of your own answer to that lease, and is no word of yours."
///
/// The worker keeps the signed request as long as anybody may accuse it: it is its defence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlantRequest {
    /// What the worker is to sign: its lease and name, and a root over rollouts that it did not make.
    pub commitment: Commitment,
}

impl PlantRequest {
    /// Whether this commitment is the plant's.
    #[must_use]
    pub fn covers(&self, commitment: &Commitment) -> bool {
        self.commitment == *commitment
    }

    /// Whether this verdict is on the plant, and so no evidence against its worker.
    #[must_use]
    pub fn answers(&self, verdict: &Verdict) -> bool {
        (self.commitment.lease, self.commitment.root) == (verdict.lease, verdict.root)
    }
}

impl Signable for PlantRequest {
    const CONTEXT: &'static str = "essaim 2026 plant request v1";
    const NAME: &'static str = "plant request";
}
