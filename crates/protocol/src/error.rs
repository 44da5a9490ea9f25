//! Everything that can be wrong with a record.
//!
//! Promise: each variant names the limit and the value that was given.

use thiserror::Error;

use crate::identity::hex;
use crate::{Hash, PublicKey};

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
    /// A log-probability is above 0 by more than rounding.
    #[error("log-probability of completion token {index} is {}, it must not be above 0", f32::from_bits(*.given_bits))]
    LogprobTooLarge {
        /// Position in the completion.
        index: usize,
        /// Bits of the value seen.
        given_bits: u32,
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
    /// The activation proof is longer than that of the longest rollout.
    #[error("activation proof has {given} bytes, the limit is {limit}")]
    ProofTooLong {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes seen or announced.
        given: usize,
    },
    /// The fingerprint is longer than that of the longest rollout.
    #[error("fingerprint has {given} entries, the limit is {limit}")]
    FingerprintTooLong {
        /// Most entries allowed.
        limit: usize,
        /// Entries seen or announced.
        given: usize,
    },
    /// The batch of an update has too many groups.
    #[error("update has {given} leases, the limit is {limit}")]
    TooManyLeases {
        /// Most leases allowed.
        limit: usize,
        /// Leases seen or announced.
        given: usize,
    },
    /// A run has too many workers or validators.
    #[error("run has {given} {role}, the limit is {limit}")]
    TooManyParties {
        /// Workers or validators.
        role: &'static str,
        /// Most parties allowed.
        limit: usize,
        /// Parties seen or announced.
        given: usize,
    },
    /// A run has too many stop tokens.
    #[error("run has {given} stop tokens, the limit is {limit}")]
    TooManyStopTokens {
        /// Most stop tokens allowed.
        limit: usize,
        /// Stop tokens seen or announced.
        given: usize,
    },
    /// Two parties of one role have the same key.
    #[error("two of the {role} have the key {key}")]
    DoubleKey {
        /// Workers or validators.
        role: &'static str,
        /// The key.
        key: PublicKey,
    },
    /// A number in the run's terms is out of range.
    #[error("{term} is {given}, it must be in {least}..={most}")]
    TermRange {
        /// The term.
        term: &'static str,
        /// Least value allowed.
        least: u64,
        /// Largest value allowed.
        most: u64,
        /// Value seen.
        given: u64,
    },
    /// The temperature is negative, infinite or not a number.
    #[error("temperature is {}, it must be finite and not negative", f32::from_bits(*.given_bits))]
    Temperature {
        /// Bits of the value seen.
        given_bits: u32,
    },
    /// The record is signed by another party than the one who has to.
    #[error("{record} is signed by {given}, expected {expected}")]
    WrongSigner {
        /// Kind of record.
        record: &'static str,
        /// Who has to sign.
        expected: PublicKey,
        /// Who claims to have signed.
        given: PublicKey,
    },
    /// The signature does not belong to the record, the run and the signer.
    #[error("{record} does not bear the signature of {signer}")]
    BadSignature {
        /// Kind of record.
        record: &'static str,
        /// Who claims to have signed.
        signer: PublicKey,
    },
    /// A commitment answers another lease than it is sent with.
    #[error("commitment is to lease {given}, the lease is {expected}")]
    ForeignCommitment {
        /// The lease it is sent with.
        expected: u64,
        /// The lease it names.
        given: u64,
    },
    /// A commitment names another worker than the lease.
    #[error("commitment is by worker {given}, the lease is for worker {expected}")]
    ForeignWorker {
        /// The worker who has the lease.
        expected: u32,
        /// The worker who commits.
        given: u32,
    },
    /// The commitment counts other rollouts than there are.
    #[error("{given} rollouts were sent, {expected} were committed to")]
    RolloutCount {
        /// Rollouts committed to.
        expected: u32,
        /// Rollouts sent.
        given: usize,
    },
    /// The rollouts are not those that the worker committed to.
    #[error("rollouts hash to {}, committed was {}", hex(.given), hex(.expected))]
    RootMismatch {
        /// Root committed to.
        expected: Hash,
        /// Root of the rollouts sent.
        given: Hash,
    },
    /// The checked rollouts of a verdict are not in order.
    #[error("verdict lists sample {given} after sample {after}")]
    CheckedOrder {
        /// Sample before it.
        after: u32,
        /// Sample seen.
        given: u32,
    },
    /// A verdict is over another submission.
    #[error("verdict on lease {given} does not belong to this submission to lease {expected}")]
    ForeignVerdict {
        /// Lease of the submission.
        expected: u64,
        /// Lease of the verdict; the same if only the root differs.
        given: u64,
    },
    /// One validator has two verdicts on a submission.
    #[error("validator {validator} has two verdicts on the submission")]
    DoubleVerdict {
        /// The validator.
        validator: u32,
    },
    /// The sample was drawn from randomness that the worker could know.
    #[error("sample was drawn from beacon round {draw_round}, it must be later than round {lease_round} of the lease")]
    DrawTooEarly {
        /// Beacon round of the lease.
        lease_round: u64,
        /// Beacon round of the draw.
        draw_round: u64,
    },
    /// A verdict lists a rollout that the submission does not have.
    #[error("verdict lists sample {sample_index}, which the submission to lease {lease} lacks")]
    ForeignSample {
        /// Lease of the submission.
        lease: u64,
        /// Sample listed.
        sample_index: u32,
    },
    /// Not more validators found the submission valid than invalid.
    #[error("{valid} valid and {invalid} invalid verdicts do not admit the submission")]
    NotAdmitted {
        /// Verdicts that say valid.
        valid: usize,
        /// Verdicts that say invalid.
        invalid: usize,
    },
    /// The run has no such worker.
    #[error("run has {count} workers, there is no worker {given}")]
    UnknownWorker {
        /// Workers of the run.
        count: usize,
        /// Worker named.
        given: u32,
    },
    /// The run has no such validator.
    #[error("run has {count} validators, there is no validator {given}")]
    UnknownValidator {
        /// Validators of the run.
        count: usize,
        /// Validator named.
        given: u32,
    },
}
