//! Everything that can be wrong with a record.
//!
//! Promise: each variant names the limit and the value that was given.

use thiserror::Error;

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The encoded record is larger than any honest one.
    #[error("record has {given} bytes, the limit is {limit}")]
    TooManyBytes {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes seen.
        given: usize,
    },
    /// The rollout is longer than any context.
    #[error("rollout has {given} tokens, the limit is {limit}")]
    TooManyTokens {
        /// Most tokens allowed, prompt and completion together.
        limit: usize,
        /// Tokens seen or announced.
        given: usize,
    },
    /// The group has too many rollouts.
    #[error("group has {given} samples, the limit is {limit}")]
    TooManySamples {
        /// Most samples allowed.
        limit: usize,
        /// Samples seen or announced.
        given: usize,
    },
    /// A lease asks for an empty group.
    #[error("lease {lease} asks for no sample")]
    NoSamples {
        /// The lease.
        lease: u64,
    },
    /// The record was written by another version of the protocol.
    #[error("record has format {given}, this program reads format {expected}")]
    UnknownFormat {
        /// Format that can be read.
        expected: u8,
        /// Format seen.
        given: u8,
    },
    /// The bytes hold another kind of record.
    #[error("record is of kind {given}, expected kind {expected}")]
    WrongKind {
        /// Kind asked for.
        expected: u8,
        /// Kind seen.
        given: u8,
    },
    /// The bytes end early or hold a value that no field can have.
    #[error("record is malformed at byte {offset} of {bytes}, in {field}")]
    Malformed {
        /// Field that was being read.
        field: &'static str,
        /// Position at which that field began.
        offset: usize,
        /// Length of the record.
        bytes: usize,
    },
    /// Bytes remain after the record.
    #[error("{given} bytes follow the end of the record")]
    TrailingBytes {
        /// Bytes left over.
        given: usize,
    },
    /// The record could have been written shorter, so it has two byte forms.
    #[error("record is not in its one canonical form")]
    NotCanonical,
    /// A per-token list has another length than the completion.
    #[error("{field} has {given} entries for {expected} completion tokens")]
    LengthMismatch {
        /// The list.
        field: &'static str,
        /// Tokens in the completion.
        expected: usize,
        /// Entries seen.
        given: usize,
    },
    /// A log-probability is infinite or not a number.
    #[error("log-probability of completion token {index} is not finite")]
    LogprobNotFinite {
        /// Position in the completion.
        index: usize,
    },
    /// A rollout sits in the group of another lease.
    #[error("rollout of lease {given} in the group of lease {expected}")]
    ForeignRollout {
        /// Lease of the group.
        expected: u64,
        /// Lease of the rollout.
        given: u64,
    },
    /// Sample indices must rise, and stay below the group size.
    #[error("sample index {given} is out of order or beyond the group size {group_size}")]
    SampleIndex {
        /// Rollouts the lease asked for.
        group_size: u32,
        /// Index seen.
        given: u32,
    },
    /// Two rollouts of one group answer different prompts.
    #[error("sample {sample_index} of lease {lease} answers another prompt than the first sample")]
    PromptMismatch {
        /// The lease.
        lease: u64,
        /// The first sample that differs.
        sample_index: u32,
    },
}
