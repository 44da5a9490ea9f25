//! Everything that can be wrong with a log, and where.
//!
//! Promise: a fault names what was expected and what was given; an error says at which entry.

use protocol::{Check, LeaseId, Party, ProtocolError, ValidatorId};
use thiserror::Error;

use crate::Amount;
use crate::yuma::YumaError;

/// An entry that was refused, and its position in the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("entry {seq}: {fault}")]
pub struct LedgerError {
    /// Position of the entry: the first is 0. In a file, line `seq + 1`.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: Box<Fault>,
}

impl LedgerError {
    pub(crate) fn new(seq: u64, fault: impl Into<Fault>) -> Self {
        Self { seq, fault: Box::new(fault.into()) }
    }
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Fault {
    /// Longer than any line that a ledger writes; it was not parsed.
    #[error("the line has {given} bytes, the limit is {limit}")]
    LineTooLong { limit: usize, given: usize },
    /// Not JSON, or not the fields of a line.
    #[error("the line cannot be read: {why}")]
    Unreadable { why: String },
    /// The same content could be written otherwise: spaces, order, upper case.
    #[error("the line is not written in its one form")]
    NotCanonical,
    /// A line was dropped, doubled, or put elsewhere.
    #[error("the line numbers itself {given}, expected {expected}")]
    Reordered { expected: u64, given: u64 },
    /// Written by a version of the program with another form of the log.
    #[error("the log has form {given}, this program reads form {supported}")]
    OtherFormat { supported: u32, given: u32 },
    /// Every entry but a group's credit is signed by the orchestrator.
    #[error("the line bears no signature")]
    Unsigned,
    /// Not signed by the run's orchestrator, or altered since: it, or a credit since the signed line before.
    #[error("the orchestrator's signature is not on it and the lines since the last that it signed")]
    Forged,
    /// The log is empty.
    #[error("the log is empty")]
    Empty,
    /// The first entry does not open the ledger.
    #[error("the first entry must be `opened`")]
    NotOpened,
    /// Another entry opens the ledger again.
    #[error("the ledger was opened before")]
    OpenedTwice,
    /// Numbers of the economy that nobody can compute with.
    #[error(transparent)]
    Economy(#[from] EconomyError),
    /// The terms have other accounts than parties.
    #[error("{given} accounts for {expected} {role}")]
    AccountCount { role: &'static str, expected: usize, given: usize },
    /// A nested record is malformed, not signed by whom it should be, or about something else.
    #[error(transparent)]
    Record(#[from] ProtocolError),
    /// The party is not in the terms, or has no stake and cannot be fined.
    #[error("the run has no {party} with a stake")]
    UnknownParty { party: Party },
    /// A second group is credited on a lease, the same or another.
    #[error("lease {lease} was credited before")]
    CreditedTwice { lease: LeaseId },
    /// A liar is fined once.
    #[error("{party} was fined before")]
    FinedTwice { party: Party },
    /// A fine without what it needs: verdicts on the lease, one's own verdict, or a missed plant.
    #[error("{party} is fined for {check} without the evidence for it: {lacks}")]
    EvidenceMissing { party: Party, check: Check, lacks: &'static str },
    /// Verdicts that show something else than what the party is fined for.
    #[error("{party} is fined for {check}, and no verdict that counts accuses it of that")]
    EvidenceElsewhere { party: Party, check: Check },
    /// Evidence that does not show it.
    #[error("{party} is fined, {against} verdicts speak against it and {in_favour} for it")]
    NotConvicted { party: Party, against: usize, in_favour: usize },
    /// A planted lie is answered a second time.
    #[error("validator {validator} answered plant {plant} before")]
    PlantTwice { plant: u64, validator: ValidatorId },
    /// Steps are trained one after the other.
    #[error("step {given} was trained, expected step {expected}")]
    StepOrder { expected: u64, given: u64 },
    /// Epochs are closed one after the other.
    #[error("epoch {given} is closed, expected epoch {expected}")]
    EpochOrder { expected: u64, given: u64 },
    /// The entry claims another result than the one that follows from the log.
    #[error("epoch {epoch} has {field} {expected}, given is {given}")]
    WrongEpoch { epoch: u64, field: &'static str, expected: String, given: String },
    /// Posted before it was closed.
    #[error("epoch {given} is posted, {closed} epochs are closed")]
    PostedUnclosed { closed: u64, given: u64 },
    /// Posted twice, or an older epoch after a newer.
    #[error("epoch {given} is posted after epoch {newest}")]
    PostedBefore { newest: u64, given: u64 },
    /// Stake is taken without a fine, or a second time for one fine.
    #[error("{party} was not fined, or has paid for it")]
    SlashWithoutFine { party: Party },
    /// More stake is taken than there was.
    #[error("{given} is taken from {party}, its stake is {limit}")]
    SlashAboveStake { party: Party, limit: Amount, given: Amount },
    /// A sum is larger than 2^64 - 1 micro-ESM.
    #[error("{what} is larger than 64 bits hold")]
    Overflow { what: &'static str },
    /// The scores cannot be weighed.
    #[error(transparent)]
    Yuma(#[from] YumaError),
}

/// What is wrong with an economy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum EconomyError {
    /// A number that must not be 0.
    #[error("{field} is 0, at least 1 is needed")]
    Zero { field: &'static str },
    /// The pools are more or less than the budget.
    #[error("the split sums to {given} millionths, expected {expected}")]
    SplitSum { expected: u64, given: u64 },
    /// More than all of the stake.
    #[error("a slash of {given} millionths, at most {limit} is allowed")]
    SlashAboveOne { limit: u32, given: u32 },
    /// Numbers of Yuma.
    #[error(transparent)]
    Yuma(#[from] YumaError),
}
