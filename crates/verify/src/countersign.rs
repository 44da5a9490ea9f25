//! A worker's signature under planted work.
//!
//! Promise: signs nothing but what the orchestrator has signed before as a plant, in this worker's own name, on
//! a lease that this worker has answered. Whoever shows the signature as a lie is answered with the request.
//! Takes: encoded requests. Gives: encoded signed commitments.
//! Never: signs twice on its own; the same request gives the same bytes.

use std::collections::VecDeque;

use protocol::{Keypair, LeaseId, PlantRequest, PublicKey, Record, RunId, Signed, WorkerId};

use crate::{VerifyError, WorkerSetup};

/// Answered leases that are remembered. Plants are made of the newest groups, and a worker seldom has as many.
const ANSWERED_MAX: usize = 1024;

/// What a worker needs to sign plants: its name and key, and which leases it has answered.
pub struct Countersigner {
    run: RunId,
    orchestrator: PublicKey,
    keys: Keypair,
    id: WorkerId,
    answered: VecDeque<LeaseId>,
}

impl Countersigner {
    /// For the worker of this setup, who has answered nothing yet.
    #[must_use]
    pub fn new(setup: &WorkerSetup) -> Self {
        let (run, orchestrator) = (setup.terms.id(), setup.terms.orchestrator);
        Self { run, orchestrator, keys: setup.keys.clone(), id: setup.id, answered: VecDeque::new() }
    }

    /// The worker has answered a lease. The oldest is forgotten beyond a bound.
    pub fn answered(&mut self, lease: LeaseId) {
        if self.answered.contains(&lease) {
            return;
        }
        self.answered.push_back(lease);
        if self.answered.len() > ANSWERED_MAX {
            self.answered.pop_front();
        }
    }

    /// The worker's signed commitment, encoded, for an encoded signed [`PlantRequest`].
    ///
    /// Errors: `Protocol` if it is not the orchestrator's, `OtherWorker`, `NotAnswered`.
    pub fn countersign(&self, request: &[u8]) -> Result<Vec<u8>, VerifyError> {
        let request: Signed<PlantRequest> = Signed::decode(request)?;
        let commitment = &request.verify(&self.run, &self.orchestrator)?.commitment;
        if commitment.worker != self.id {
            return Err(VerifyError::OtherWorker { expected: self.id, given: commitment.worker });
        }
        if !self.answered.contains(&commitment.lease) {
            return Err(VerifyError::NotAnswered { lease: commitment.lease });
        }
        Ok(Signed::new(commitment.clone(), &self.run, &self.keys)?.encode()?)
    }
}
