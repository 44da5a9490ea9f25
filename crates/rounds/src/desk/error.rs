//! What the desk refuses, and which of it is a lie.
//!
//! Promise: an error maps to a check only if nobody but the sender can have caused it.

use protocol::{Check, LeaseId, ProtocolError, RejectReason, ValidatorId, WeightVersion, WorkerId};
use thiserror::Error;

use crate::Event;

/// Why the desk did not take or give something.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum DeskError {
    /// A record is malformed, too large, or not signed by whom it should be.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The lease was withdrawn, overdue, trained on, or never given.
    #[error("lease {lease} is not open")]
    LeaseEnded { lease: LeaseId },
    /// A second answer to one lease.
    #[error("lease {lease} was answered before")]
    AnsweredBefore { lease: LeaseId },
    /// The worker was fined before; nothing it sends is read.
    #[error("worker {worker} was fined before")]
    Banned { worker: WorkerId },
    /// A worker answers a lease that was made out to another.
    #[error("lease {lease} is for worker {expected}, worker {given} answers it")]
    OtherWorkersLease { lease: LeaseId, expected: WorkerId, given: WorkerId },
    /// An answer that holds nothing.
    #[error("no rollout came for lease {lease}, {expected} were asked for")]
    NoRollouts { lease: LeaseId, expected: u32 },
    /// A token claims other weights than the lease names.
    #[error("a token of lease {lease} claims weights {given}, the lease names {expected}")]
    OtherWeights { lease: LeaseId, expected: WeightVersion, given: WeightVersion },
    /// There is no submission to check, to train on, or to judge.
    #[error("there is no submission to lease {lease}")]
    NoSubmission { lease: LeaseId },
    /// The sample must be drawn from randomness that is later than the lease's.
    #[error("lease {lease} is bound to beacon round {lease_round}, its sample cannot be drawn from round {draw_round}")]
    DrawTooEarly { lease: LeaseId, lease_round: u64, draw_round: u64 },
    /// The validator was not asked, or is asked no longer.
    #[error("validator {validator} was not asked about lease {lease}")]
    NotAsked { lease: LeaseId, validator: ValidatorId },
    /// A seal cannot be opened before it is made.
    #[error("validator {validator} has not sealed its verdict on lease {lease}")]
    NotSealed { lease: LeaseId, validator: ValidatorId },
    /// A verdict came before it was asked for, or a second time.
    #[error("validator {validator} was not asked to open its seal on lease {lease}")]
    NotToBeOpened { lease: LeaseId, validator: ValidatorId },
    /// A signature under work that was not planted, or is no more, or in another's name.
    #[error("worker {worker} was not asked to sign such a plant on lease {lease}")]
    NotPlanted { lease: LeaseId, worker: WorkerId },
    /// A validator speaks in another's name.
    #[error("validator {given} sends what validator {expected} should")]
    OtherValidator { expected: ValidatorId, given: ValidatorId },
    /// The verdict is not the sealed one.
    #[error("the verdict of validator {validator} on lease {lease} is not the one that it sealed")]
    SealBroken { lease: LeaseId, validator: ValidatorId },
    /// The verdict rests on other randomness than was given.
    #[error("the verdict of validator {validator} on lease {lease} rests on beacon round {given}, due was {expected}")]
    OtherDraw { lease: LeaseId, validator: ValidatorId, expected: u64, given: u64 },
    /// The verdict's numbers are not those of the drawn rollouts.
    #[error("the verdict of validator {validator} on lease {lease} lists other rollouts than were drawn")]
    OtherSample { lease: LeaseId, validator: ValidatorId },
    /// The verdict says valid, and counts other completion tokens than there are; the worker is paid by them.
    #[error(
        "the verdict of validator {validator} on lease {lease} counts {given} completion tokens, there are {expected}"
    )]
    TokensMiscounted { lease: LeaseId, validator: ValidatorId, expected: u64, given: u64 },
    /// The verdict says valid, and its numbers say otherwise.
    #[error("validator {validator} calls lease {lease} valid, but by its own numbers: {reason}")]
    NumbersDisagree { lease: LeaseId, validator: ValidatorId, reason: RejectReason },
}

impl DeskError {
    /// The check that the sender of the refused bytes failed; none if it may have done no wrong.
    pub fn lie(&self) -> Option<Check> {
        match self {
            Self::Protocol(error) => Some(protocol_lie(error)),
            Self::OtherWorkersLease { .. } => Some(Check::Lease),
            Self::NoRollouts { .. } => Some(Check::SamplesMissing),
            Self::OtherWeights { .. } => Some(Check::WeightVersion),
            Self::OtherValidator { .. } => Some(Check::Signature),
            Self::SealBroken { .. } | Self::OtherDraw { .. } => Some(Check::SealMismatch),
            Self::OtherSample { .. } | Self::TokensMiscounted { .. } | Self::NumbersDisagree { .. } => {
                Some(Check::Malformed)
            }
            Self::LeaseEnded { .. }
            | Self::AnsweredBefore { .. }
            | Self::Banned { .. }
            | Self::NoSubmission { .. }
            | Self::DrawTooEarly { .. }
            | Self::NotAsked { .. }
            | Self::NotSealed { .. }
            | Self::NotPlanted { .. }
            | Self::NotToBeOpened { .. } => None,
        }
    }
}

/// Bytes over a reliable, authenticated channel are as the sender wrote them.
fn protocol_lie(error: &ProtocolError) -> Check {
    match error {
        ProtocolError::TooManyBytes { .. }
        | ProtocolError::TooManyTokens { .. }
        | ProtocolError::TooManySamples { .. }
        | ProtocolError::ProofTooLong { .. }
        | ProtocolError::FingerprintTooLong { .. } => Check::Limits,
        ProtocolError::WrongSigner { .. } | ProtocolError::BadSignature { .. } | ProtocolError::RootMismatch { .. } => {
            Check::Signature
        }
        ProtocolError::ForeignRollout { .. }
        | ProtocolError::ForeignCommitment { .. }
        | ProtocolError::ForeignWorker { .. } => Check::Lease,
        ProtocolError::PromptMismatch { .. } => Check::Prompt,
        _ => Check::Malformed,
    }
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What the rules should hear, if it was a lie.
    pub event: Option<Event>,
    /// Why.
    pub why: Box<DeskError>,
}

impl Refused {
    pub(super) fn harmless(why: DeskError) -> Self {
        Self { event: None, why: why.into() }
    }

    pub(super) fn worker(worker: WorkerId, lease: Option<LeaseId>, why: DeskError) -> Self {
        Self { event: why.lie().map(|check| Event::WorkerLied { worker, lease, check }), why: why.into() }
    }

    pub(super) fn validator(validator: ValidatorId, lease: Option<LeaseId>, why: DeskError) -> Self {
        let lie = why.lie().zip(lease);
        let event = lie.map(|(check, lease)| Event::VerdictFailed { lease, validator, check: Some(check) });
        Self { event, why: why.into() }
    }
}
