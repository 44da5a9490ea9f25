//! All answers to one lease.
//!
//! Promise: a checked group holds distinct samples of one prompt, in the order of their sample index.

use serde::{Deserialize, Serialize};

use crate::{PromptLease, ProtocolError, Rollout};

/// All rollouts of one lease, in the order of their sample index. Samples that failed are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What was asked for.
    pub lease: PromptLease,
    /// What came back.
    pub rollouts: Vec<Rollout>,
}

impl Group {
    /// Checks the lease, every rollout, and that they belong together.
    ///
    /// Errors: those of [`PromptLease::check`] and [`Rollout::check`], `ForeignRollout`,
    /// `SampleIndex`, `PromptMismatch`.
    pub fn check(&self) -> Result<(), ProtocolError> {
        check_group(&self.lease, &self.rollouts)
    }
}

/// See [`Group::check`].
pub(crate) fn check_group(lease: &PromptLease, rollouts: &[Rollout]) -> Result<(), ProtocolError> {
    lease.check()?;
    let mut lowest_allowed = 0;
    for rollout in rollouts {
        check_member(lease, rollout, lowest_allowed)?;
        let (sample_index, first) = (rollout.sample_index, &rollouts[0]);
        if rollout.prompt_tokens != first.prompt_tokens {
            return Err(ProtocolError::PromptMismatch { lease: lease.lease, sample_index });
        }
        lowest_allowed = sample_index + 1; // below group_size, so it cannot overflow
    }
    Ok(())
}

fn check_member(lease: &PromptLease, rollout: &Rollout, lowest_allowed: u32) -> Result<(), ProtocolError> {
    rollout.check()?;
    let &PromptLease { lease: expected, group_size, .. } = lease;
    if rollout.lease != expected {
        return Err(ProtocolError::ForeignRollout { expected, given: rollout.lease });
    }
    let given = rollout.sample_index;
    match given < lowest_allowed || given >= group_size {
        true => Err(ProtocolError::SampleIndex { group_size, given }),
        false => Ok(()),
    }
}
