//! One answer to a lease, and the group of all answers to it.
//!
//! Promise: a checked record is consistent: every completion token has its log-probability and the
//! version of the weights that made it, and a group holds distinct samples of one prompt.

use serde::{Deserialize, Serialize};

use crate::constants::TOKENS_PER_ROLLOUT_MAX;
use crate::{LeaseId, PromptLease, ProtocolError, WeightVersion};

/// Why a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FinishReason {
    /// The model produced a stop token; it is the last token of the completion.
    StopToken,
    /// The text came to contain a stop string.
    StopString,
    /// The limit of new tokens or of the context was reached.
    Length,
    /// Nobody wants the rollout any more.
    Cancelled,
}

/// One sampled completion with what the trainer needs to learn from it.
///
/// `logprobs` and `weight_versions` are `[completion tokens]`. Log-probabilities are natural logs
/// under the tempered policy that sampled the token; they are carried here, never computed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// The lease it answers.
    pub lease: LeaseId,
    /// Its place in the group, below the lease's `group_size`.
    pub sample_index: u32,
    /// Token ids of the prompt.
    pub prompt_tokens: Vec<u32>,
    /// Token ids of the completion.
    pub completion_tokens: Vec<u32>,
    /// Log-probability of each completion token, natural log.
    pub logprobs: Vec<f32>,
    /// Version of the weights that produced each completion token.
    pub weight_versions: Vec<WeightVersion>,
    /// Why it ended.
    pub finish: FinishReason,
    /// The grader's reward; 1,000,000 is a whole reward.
    pub reward_micro: i64,
    /// Whether the grader found the answer exactly right.
    pub exact: bool,
}

impl Rollout {
    /// The oldest weights in the completion; none if the completion is empty.
    pub fn weight_version_min(&self) -> Option<WeightVersion> {
        self.weight_versions.iter().copied().min()
    }

    /// Errors: `TooManyTokens`, `LengthMismatch`, `LogprobNotFinite`.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let completion = self.completion_tokens.len();
        let given = self.prompt_tokens.len().saturating_add(completion);
        if given > TOKENS_PER_ROLLOUT_MAX {
            return Err(ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given });
        }
        let lists = [("logprobs", self.logprobs.len()), ("weight_versions", self.weight_versions.len())];
        for (field, given) in lists {
            if given != completion {
                return Err(ProtocolError::LengthMismatch { field, expected: completion, given });
            }
        }
        match self.logprobs.iter().position(|logprob| !logprob.is_finite()) {
            Some(index) => Err(ProtocolError::LogprobNotFinite { index }),
            None => Ok(()),
        }
    }
}

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
        self.lease.check()?;
        let mut lowest_allowed = 0;
        for rollout in &self.rollouts {
            self.check_member(rollout, lowest_allowed)?;
            lowest_allowed = rollout.sample_index + 1; // below group_size, so it cannot overflow
        }
        Ok(())
    }

    fn check_member(&self, rollout: &Rollout, lowest_allowed: u32) -> Result<(), ProtocolError> {
        rollout.check()?;
        let PromptLease { lease, group_size, .. } = self.lease;
        let sample_index = rollout.sample_index;
        if rollout.lease != lease {
            return Err(ProtocolError::ForeignRollout { expected: lease, given: rollout.lease });
        }
        if sample_index < lowest_allowed || sample_index >= group_size {
            return Err(ProtocolError::SampleIndex { group_size, given: sample_index });
        }
        if rollout.prompt_tokens != self.rollouts[0].prompt_tokens {
            return Err(ProtocolError::PromptMismatch { lease, sample_index });
        }
        Ok(())
    }
}
