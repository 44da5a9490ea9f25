//! What a worker sends back: the lease, its signed commitment, and the rollouts.
//!
//! Promise: a submission that passes [`Submission::check`] was asked for by the orchestrator, is answered
//! by the leased worker, and holds exactly the rollouts that the worker committed to.

use serde::{Deserialize, Serialize};

use crate::group::check_group;
use crate::{
    Group, Hash, Keypair, LeaseId, PromptLease, ProtocolError, PublicKey, Record, Rollout, RunId, Signable, Signed,
    WorkerId, merkle,
};

/// A worker's word that its answer to a lease is these rollouts and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// The lease answered.
    pub lease: LeaseId,
    /// Who answers.
    pub worker: WorkerId,
    /// Rollouts in the answer.
    pub rollout_count: u32,
    /// [`merkle::root`] over the encoded rollouts in their order.
    pub root: Hash,
}

impl Commitment {
    /// What the worker of `lease` signs if `rollouts` are its answer.
    ///
    /// Errors: those of [`Group::check`].
    pub fn to(lease: &PromptLease, rollouts: &[Rollout]) -> Result<Self, ProtocolError> {
        check_group(lease, rollouts)?;
        let rollout_count = rollouts.len() as u32; // at most the group size, which is a u32
        Ok(Self { lease: lease.lease, worker: lease.worker, rollout_count, root: rollouts_root(rollouts)? })
    }
}

impl Signable for Commitment {
    const CONTEXT: &'static str = "essaim 2026 commitment v1";
    const NAME: &'static str = "commitment";
}

/// A signed answer to a signed lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// What was asked, signed by the orchestrator.
    pub lease: Signed<PromptLease>,
    /// What was answered, signed by the worker.
    pub commitment: Signed<Commitment>,
    /// The answer.
    pub rollouts: Vec<Rollout>,
}

impl Submission {
    /// Commits to the rollouts and signs.
    ///
    /// Errors: those of [`Group::check`].
    pub fn new(
        run: &RunId,
        lease: Signed<PromptLease>,
        rollouts: Vec<Rollout>,
        keys: &Keypair,
    ) -> Result<Self, ProtocolError> {
        let commitment = Signed::new(Commitment::to(&lease.body, &rollouts)?, run, keys)?;
        Ok(Self { lease, commitment, rollouts })
    }

    /// Errors: `WrongSigner`, `BadSignature`, `ForeignCommitment`, `ForeignWorker`, `RolloutCount`,
    /// `RootMismatch`, and those of [`Group::check`].
    pub fn check(&self, run: &RunId, orchestrator: &PublicKey, worker: &PublicKey) -> Result<(), ProtocolError> {
        self.check_parts()?;
        self.lease.verify(run, orchestrator)?;
        self.commitment.verify(run, worker)?;
        let (expected, given) = (self.commitment.body.root, rollouts_root(&self.rollouts)?);
        match expected == given {
            true => Ok(()),
            false => Err(ProtocolError::RootMismatch { expected, given }),
        }
    }

    /// Whether the parts fit together; hashes and signatures are not looked at.
    pub(crate) fn check_parts(&self) -> Result<(), ProtocolError> {
        let (lease, commitment) = (&self.lease.body, &self.commitment.body);
        check_group(lease, &self.rollouts)?;
        if commitment.lease != lease.lease {
            return Err(ProtocolError::ForeignCommitment { expected: lease.lease, given: commitment.lease });
        }
        if commitment.worker != lease.worker {
            return Err(ProtocolError::ForeignWorker { expected: lease.worker, given: commitment.worker });
        }
        let (expected, given) = (commitment.rollout_count, self.rollouts.len());
        match expected as usize == given {
            true => Ok(()),
            false => Err(ProtocolError::RolloutCount { expected, given }),
        }
    }

    /// The root that the worker committed to.
    pub fn root(&self) -> &Hash {
        &self.commitment.body.root
    }

    /// Completion tokens of all rollouts: what a worker is paid for, if the group is accepted.
    pub fn completion_tokens(&self) -> u64 {
        self.rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum()
    }

    /// The answer without its signatures.
    pub fn group(&self) -> Group {
        self.clone().into_group()
    }

    /// The answer without its signatures.
    pub fn into_group(self) -> Group {
        Group { lease: self.lease.body, rollouts: self.rollouts }
    }
}

fn rollouts_root(rollouts: &[Rollout]) -> Result<Hash, ProtocolError> {
    let leaves: Vec<Hash> =
        rollouts.iter().map(|rollout| Ok(merkle::leaf(&rollout.encode()?))).collect::<Result<_, ProtocolError>>()?;
    Ok(merkle::root(&leaves))
}
