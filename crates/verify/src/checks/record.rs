//! Whether the submission is what it says it is: signed, bound to its lease, complete.
//!
//! Promise: what holds here can be laid at the worker's door, for it is over the worker's signature.

use protocol::{Check, ProtocolError, RejectReason, Submission};

use super::{Case, Finding, of_group, whole};

/// Signatures, root, the parts' fit, and the number of samples.
///
/// Errors: `Signature`, `Lease`, `Limits`, `Malformed`, `Prompt`, `SamplesMissing`.
pub(crate) fn check(case: &Case, submission: &Submission) -> Result<(), Finding> {
    let lease = &submission.lease.body;
    let checked = case
        .terms
        .worker(lease.worker)
        .and_then(|worker| submission.check(&case.run, &case.terms.orchestrator, worker));
    if let Err(error) = checked {
        case.require(false, reason(&error))?;
    }
    let (limit, given) = (lease.group_size, submission.rollouts.len());
    case.require(limit as usize == given, of_group(Check::SamplesMissing, limit.into(), whole(given)))
}

/// The check that an inconsistent submission fails.
fn reason(error: &ProtocolError) -> RejectReason {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    match *error {
        ProtocolError::ForeignCommitment { expected, given } | ProtocolError::ForeignRollout { expected, given } => {
            of_group(Check::Lease, number(expected), number(given))
        }
        ProtocolError::RolloutCount { expected, given } => {
            of_group(Check::SamplesMissing, expected.into(), whole(given))
        }
        ProtocolError::PromptMismatch { sample_index, .. } => {
            RejectReason { sample_index: Some(sample_index), ..of_group(Check::Prompt, 0, -1) }
        }
        ProtocolError::TooManyBytes { limit, given }
        | ProtocolError::TooManyTokens { limit, given }
        | ProtocolError::TooManySamples { limit, given }
        | ProtocolError::ProofTooLong { limit, given }
        | ProtocolError::FingerprintTooLong { limit, given } => of_group(Check::Limits, whole(limit), whole(given)),
        ProtocolError::WrongSigner { .. }
        | ProtocolError::BadSignature { .. }
        | ProtocolError::ForeignWorker { .. }
        | ProtocolError::UnknownWorker { .. }
        | ProtocolError::RootMismatch { .. } => of_group(Check::Signature, 0, 0),
        _ => of_group(Check::Malformed, 0, 0),
    }
}
