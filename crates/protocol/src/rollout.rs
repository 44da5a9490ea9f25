//! One answer to a lease.
//!
//! Promise: a checked record is consistent: every completion token has its log-probability and the
//! version of the weights that made it, and no list is longer than its limit.

use serde::{Deserialize, Serialize};

use crate::constants::{ACTIVATION_PROOF_BYTES_MAX, FINGERPRINT_ENTRIES_MAX, LOGPROB_MAX, TOKENS_PER_ROLLOUT_MAX};
use crate::{LeaseId, ProtocolError, WeightVersion};

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
    /// Activation proofs of the completion, joined, as `proof::toploc` writes them; empty where nobody checks.
    pub activation_proof: Vec<u8>,
    /// Projections of the activations, as `proof::fingerprint` lays them out; empty where nobody checks.
    pub fingerprint: Vec<i16>,
}

impl Rollout {
    /// The oldest weights in the completion; none if the completion is empty.
    pub fn weight_version_min(&self) -> Option<WeightVersion> {
        self.weight_versions.iter().copied().min()
    }

    /// Errors: `TooManyTokens`, `LengthMismatch`, `ProofTooLong`, `FingerprintTooLong`, `LogprobNotFinite`,
    /// `LogprobTooLarge`.
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
        check_proof_bytes(self.activation_proof.len())?;
        check_fingerprint_entries(self.fingerprint.len())?;
        check_logprobs(&self.logprobs)
    }
}

/// Errors: `LogprobNotFinite`, `LogprobTooLarge`.
pub(crate) fn check_logprobs(logprobs: &[f32]) -> Result<(), ProtocolError> {
    match logprobs.iter().position(|logprob| !logprob.is_finite() || *logprob > LOGPROB_MAX) {
        Some(index) if logprobs[index].is_finite() => {
            Err(ProtocolError::LogprobTooLarge { index, given_bits: logprobs[index].to_bits() })
        }
        Some(index) => Err(ProtocolError::LogprobNotFinite { index }),
        None => Ok(()),
    }
}

pub(crate) fn check_proof_bytes(given: usize) -> Result<(), ProtocolError> {
    match given > ACTIVATION_PROOF_BYTES_MAX {
        true => Err(ProtocolError::ProofTooLong { limit: ACTIVATION_PROOF_BYTES_MAX, given }),
        false => Ok(()),
    }
}

pub(crate) fn check_fingerprint_entries(given: usize) -> Result<(), ProtocolError> {
    match given > FINGERPRINT_ENTRIES_MAX {
        true => Err(ProtocolError::FingerprintTooLong { limit: FINGERPRINT_ENTRIES_MAX, given }),
        false => Ok(()),
    }
}
