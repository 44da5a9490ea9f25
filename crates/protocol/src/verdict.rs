//! What a validator says about a submission, sealed first and opened later.
//!
//! Promise: a seal binds the whole signed verdict to one validator, so that nobody can wait for another's
//! verdict and repeat it; a verdict names the root it judges and the randomness that chose the sample.

use serde::{Deserialize, Serialize};

use crate::constants::{SAMPLES_PER_GROUP_MAX, SEAL_CONTEXT, TOKENS_PER_ROLLOUT_MAX};
use crate::rollout::check_logprobs;
use crate::{
    BeaconPoint, Hash, LeaseId, ProtocolError, PublicKey, Record, RejectReason, Signable, Signed, ValidatorId,
    WeightVersion,
};

/// Why a check could not run on this machine. Nobody pays; another validator is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncheckedCause {
    /// The validator does not hold the weights of the lease.
    WeightsMissing {
        /// The version that the lease names.
        version: WeightVersion,
    },
    /// The model could not be run.
    ModelFailed,
    /// The task gave no prompt or no grade.
    TaskFailed,
    /// The submission does not fit into the validator's memory.
    TooLarge,
}

/// What a validator found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every check ran and passed.
    Valid,
    /// A check ran and failed. The worker pays.
    Invalid(RejectReason),
    /// A check could not run here.
    Unchecked(UncheckedCause),
}

/// The validator's own numbers for one rollout of the sample. Maxima are over the rollout's chunks or tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckedRollout {
    /// Which rollout of the group.
    pub sample_index: u32,
    /// Largest count, in one chunk, of committed values whose exponent differs from the recomputed one.
    pub exponent_mismatches: u32,
    /// Largest mean mantissa error of a chunk, in thousandths.
    pub mantissa_mean_milli: u32,
    /// Largest median mantissa error of a chunk, in thousandths.
    pub mantissa_median_milli: u32,
    /// Largest count, in one chunk, of committed values with the other sign.
    pub sign_mismatches: u32,
    /// Relative distance of the fingerprints, in millionths.
    pub fingerprint_error_ppm: u32,
    /// Largest amount by which a token loses to the winner, 1e-6 nats; 0 or less if every token wins.
    pub margin_max_micro: i64,
    /// Tokens that do not win.
    pub tokens_lost: u32,
    /// Largest difference of a claimed log-probability from the recomputed one, 1e-6 nats.
    pub logprob_error_max_micro: i64,
    /// Mean difference of the log-probabilities, 1e-6 nats.
    pub logprob_error_mean_micro: i64,
    /// The validator's own log-probability of each completion token, natural log.
    pub logprobs: Vec<f32>,
}

impl CheckedRollout {
    /// Errors: `TooManyTokens`, `LogprobNotFinite`, `LogprobTooLarge`.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let given = self.logprobs.len();
        if given > TOKENS_PER_ROLLOUT_MAX {
            return Err(ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given });
        }
        check_logprobs(&self.logprobs)
    }
}

/// A validator's judgement of one submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The lease that the submission answers.
    pub lease: LeaseId,
    /// The root that the worker committed to.
    pub root: Hash,
    /// Who judges.
    pub validator: ValidatorId,
    /// Randomness, later than the commitment, that chose the sample.
    pub draw: BeaconPoint,
    /// Completion tokens of all rollouts of the group, as the validator counted them; the worker is paid by
    /// them. See [`crate::Submission::completion_tokens`].
    pub tokens: u64,
    /// Numbers of the rollouts that were drawn, by rising sample index.
    pub checked: Vec<CheckedRollout>,
    /// The judgement.
    pub outcome: Outcome,
}

impl Signable for Verdict {
    const CONTEXT: &'static str = "essaim 2026 verdict v1";
    const NAME: &'static str = "verdict";
}

impl Verdict {
    /// Errors: `TooManySamples`, `CheckedOrder`, and those of [`CheckedRollout::check`].
    pub fn check(&self) -> Result<(), ProtocolError> {
        let given = self.checked.len();
        if given > SAMPLES_PER_GROUP_MAX {
            return Err(ProtocolError::TooManySamples { limit: SAMPLES_PER_GROUP_MAX, given });
        }
        if let Some(pair) = self.checked.windows(2).find(|pair| pair[0].sample_index >= pair[1].sample_index) {
            return Err(ProtocolError::CheckedOrder { after: pair[0].sample_index, given: pair[1].sample_index });
        }
        self.checked.iter().try_for_each(CheckedRollout::check)
    }
}

/// A validator's word that it has reached a verdict, without saying which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictSeal {
    /// The lease judged.
    pub lease: LeaseId,
    /// The root judged.
    pub root: Hash,
    /// Who judges.
    pub validator: ValidatorId,
    /// `blake3_derive_key(context, validator's public key ‖ salt ‖ encoded signed verdict)`.
    pub seal: Hash,
}

impl Signable for VerdictSeal {
    const CONTEXT: &'static str = "essaim 2026 signed seal v1";
    const NAME: &'static str = "verdict seal";
}

/// The verdict behind a seal, with the salt that hid it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictReveal {
    /// The verdict.
    pub verdict: Signed<Verdict>,
    /// 32 bytes that only the validator knew.
    pub salt: Hash,
}

impl VerdictReveal {
    /// The seal that this reveal opens, for the validator with public key `key`.
    ///
    /// Errors: those of [`Verdict::check`].
    pub fn seal(&self, key: &PublicKey) -> Result<VerdictSeal, ProtocolError> {
        let mut hasher = blake3::Hasher::new_derive_key(SEAL_CONTEXT);
        hasher.update(&key.0).update(&self.salt).update(&self.verdict.encode()?);
        let Verdict { lease, root, validator, .. } = self.verdict.body;
        Ok(VerdictSeal { lease, root, validator, seal: *hasher.finalize().as_bytes() })
    }

    /// Whether this is what `seal` held, and the validator with public key `key` signed it. The signature
    /// itself is checked by [`Signed::verify`].
    pub fn opens(&self, seal: &VerdictSeal, key: &PublicKey) -> bool {
        self.verdict.signer == *key && self.seal(key).is_ok_and(|own| own == *seal)
    }
}
