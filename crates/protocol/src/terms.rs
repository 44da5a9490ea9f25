//! What everybody in a run has agreed to before it starts.
//!
//! Promise: the run's id is the hash of its terms, so a signature made under other terms never verifies.

use serde::{Deserialize, Serialize};

use crate::constants::{
    PARTIES_PER_ROLE_MAX, PPM_ONE, RUN_ID_CONTEXT, SAMPLES_PER_GROUP_MAX, STOP_TOKENS_MAX, TOKENS_PER_ROLLOUT_MAX,
};
use crate::{BeaconTerms, PromptLease, ProtocolError, PublicKey, RunId, RunSeed, ValidatorId, WorkerId};

/// Number format in which workers hold the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtypeTerm {
    /// IEEE single precision.
    F32,
    /// The upper half of single precision.
    Bf16,
}

/// How every rollout is sampled. No worker may choose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingTerms {
    /// Logits are divided by it; 0 takes the likeliest token.
    pub temperature: f32,
    /// Most completion tokens.
    pub max_new_tokens: u32,
    /// Most tokens, prompt and completion together.
    pub context_max: u32,
    /// Token ids are below it.
    pub vocabulary: u32,
    /// Tokens that end a completion.
    pub stop_tokens: Vec<u32>,
    /// Number format of the weights.
    pub dtype: DtypeTerm,
}

impl SamplingTerms {
    /// Errors: `TermRange` for a number out of range, `TooManyStopTokens`, `Temperature`.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let tokens_max = TOKENS_PER_ROLLOUT_MAX as u64;
        within("max_new_tokens", 1, tokens_max, u64::from(self.max_new_tokens))?;
        within("context_max", 1, tokens_max, u64::from(self.context_max))?;
        within("vocabulary", 1, u64::from(u32::MAX), u64::from(self.vocabulary))?;
        let given = self.stop_tokens.len();
        if given > STOP_TOKENS_MAX {
            return Err(ProtocolError::TooManyStopTokens { limit: STOP_TOKENS_MAX, given });
        }
        let last = u64::from(self.vocabulary) - 1; // at least 1, checked above
        self.stop_tokens.iter().try_for_each(|&token| within("stop_tokens", 0, last, u64::from(token)))?;
        match self.temperature.is_finite() && self.temperature >= 0.0 {
            true => Ok(()),
            false => Err(ProtocolError::Temperature { given_bits: self.temperature.to_bits() }),
        }
    }
}

/// The terms of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunTerms {
    /// The run's randomness.
    pub run_seed: RunSeed,
    /// Who signs leases.
    pub orchestrator: PublicKey,
    /// Who signs updates.
    pub trainer: PublicKey,
    /// Who answers leases; the place in the list is the [`WorkerId`].
    pub workers: Vec<PublicKey>,
    /// Who judges; the place in the list is the [`ValidatorId`].
    pub validators: Vec<PublicKey>,
    /// Rollouts of one lease.
    pub group_size: u32,
    /// Share of the rollouts of a group that is recomputed, in millionths.
    pub check_ppm: u32,
    /// Leases of each worker, from its first, of which every rollout is recomputed.
    pub probation_leases: u32,
    /// How rollouts are sampled.
    pub sampling: SamplingTerms,
    /// Where randomness comes from.
    pub beacon: BeaconTerms,
}

impl RunTerms {
    /// `blake3_derive_key(context, the terms as postcard writes them)`.
    pub fn id(&self) -> RunId {
        let bytes = postcard::to_allocvec(self).expect("plain structs always serialise into a growing vector");
        blake3::derive_key(RUN_ID_CONTEXT, &bytes)
    }

    /// Share of the rollouts of this lease that is recomputed, in millionths: all of a worker's first leases,
    /// then `check_ppm`. Where nothing is recomputed, probation changes nothing.
    pub fn check_ppm_of(&self, lease: &PromptLease) -> u32 {
        match self.check_ppm > 0 && lease.worker_lease < u64::from(self.probation_leases) {
            true => PPM_ONE,
            false => self.check_ppm,
        }
    }

    /// Errors: `UnknownWorker`.
    pub fn worker(&self, worker: WorkerId) -> Result<&PublicKey, ProtocolError> {
        let count = self.workers.len();
        self.workers.get(worker as usize).ok_or(ProtocolError::UnknownWorker { count, given: worker })
    }

    /// Errors: `UnknownValidator`.
    pub fn validator(&self, validator: ValidatorId) -> Result<&PublicKey, ProtocolError> {
        let count = self.validators.len();
        self.validators.get(validator as usize).ok_or(ProtocolError::UnknownValidator { count, given: validator })
    }

    /// Errors: `TooManyParties`, `DoubleKey`, `TermRange`, and those of [`SamplingTerms::check`].
    pub fn check(&self) -> Result<(), ProtocolError> {
        check_keys("workers", &self.workers)?;
        check_keys("validators", &self.validators)?;
        within("group_size", 1, SAMPLES_PER_GROUP_MAX as u64, u64::from(self.group_size))?;
        within("check_ppm", 0, u64::from(PPM_ONE), u64::from(self.check_ppm))?;
        self.sampling.check()
    }
}

fn check_keys(role: &'static str, keys: &[PublicKey]) -> Result<(), ProtocolError> {
    let given = keys.len();
    if given > PARTIES_PER_ROLE_MAX {
        return Err(ProtocolError::TooManyParties { role, limit: PARTIES_PER_ROLE_MAX, given });
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ProtocolError::DoubleKey { role, key: pair[0] }),
        None => Ok(()),
    }
}

fn within(term: &'static str, least: u64, most: u64, given: u64) -> Result<(), ProtocolError> {
    match (least..=most).contains(&given) {
        true => Ok(()),
        false => Err(ProtocolError::TermRange { term, least, most, given }),
    }
}
