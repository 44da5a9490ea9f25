//! Whether the hidden states are those of the unquantised weights, to a few parts in ten thousand.
//!
//! Promise: one number for a rollout, relative to the validator's own fingerprint.

use proof::fingerprint::{PROJECTIONS, error_ppm};
use proof::tolerances::FINGERPRINT_ERROR_MAX_PPM;
use protocol::{Check, Rollout};

use super::{Case, Finding, of_rollout, whole};

/// Whether the fingerprint has its numbers for each token, before anything is computed.
///
/// Errors: `ProofFormat`.
pub(crate) fn length(case: &Case, rollout: &Rollout) -> Result<(), Finding> {
    let limit = whole(rollout.completion_tokens.len().saturating_mul(PROJECTIONS));
    let given = whole(rollout.fingerprint.len());
    case.require(limit == given, of_rollout(Check::ProofFormat, rollout.sample_index, limit, given))
}

/// Distance in parts per million of one's own; of fingerprints that cannot be compared, as large as can be.
pub(crate) fn distance(rollout: &Rollout, own: &[i16]) -> u32 {
    error_ppm(&rollout.fingerprint, own).unwrap_or(u32::MAX)
}

/// Errors: `Fingerprint`.
pub(crate) fn judge(case: &Case, sample: u32, error_ppm: u32) -> Result<(), Finding> {
    let (limit, given) = (FINGERPRINT_ERROR_MAX_PPM, error_ppm);
    case.require(given <= limit, of_rollout(Check::Fingerprint, sample, limit.into(), given.into()))
}
