//! Events about who handed in what, who checked it, and who was caught.

use protocol::{Check, Outcome, Party, RejectReason, RunTerms};
use serde::{Deserialize, Serialize};

/// What everybody in the run signs under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermsSet {
    /// Hash of the terms, hexadecimal: part of every signature.
    pub run: String,
    /// The terms.
    pub terms: Box<RunTerms>,
}

/// A signed submission that is not checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReceived {
    /// Number of the lease.
    pub lease: u64,
    /// Who answers it.
    pub worker: u32,
    /// Rollouts in it.
    pub rollouts: u32,
    /// Completion tokens in it.
    pub tokens: u64,
    /// Size of the record.
    pub bytes: u64,
}

/// A validator's verdict on a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictGiven {
    /// Number of the lease.
    pub lease: u64,
    /// Who made the group.
    pub worker: u32,
    /// Who judged it.
    pub validator: u32,
    /// Rollouts that the model was run over again.
    pub rollouts_checked: u32,
    /// Completion tokens of those.
    pub tokens_checked: u64,
    /// Rollouts in the group, all of which were checked for everything that needs no model.
    pub rollouts: u32,
    /// The judgement.
    pub outcome: Outcome,
}

/// A liar that was caught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fined {
    /// Who pays.
    pub party: Party,
    /// The lease that the lie is about, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u64>,
    /// The check that found it.
    pub check: Check,
    /// What was allowed and what was given, where the check counts something; see [`RejectReason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RejectReason>,
    /// In words.
    pub words: String,
    /// What the run file told it to do; absent if it was to be honest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cheat: Option<String>,
    /// Rollouts (of a worker) or verdicts (of a validator) handed in until it was caught, the one that gave it away included.
    pub handed_in: u64,
}
