//! The checks of a submission, one file for each thing that is looked at.
//!
//! Promise: a verdict is a function of the submission, the draw, the weights and the run's terms,
//! so two honest validators differ only where the tolerances do. Cheap checks look at every rollout
//! of a group, the others at those that were drawn.
//! Takes: a submission, and what one prefill says about it. Gives: the first check that fails, with
//! its limit and the value seen.
//! Never: decides who pays.

pub(crate) mod activation;
pub(crate) mod duplicate;
pub(crate) mod fingerprint;
pub(crate) mod record;
pub(crate) mod rollout;
pub(crate) mod tokens;

use std::collections::BTreeSet;

use protocol::{Check, Outcome, RejectReason, RunId, RunTerms, UncheckedCause};

use crate::Prompts;

/// The checks that a validator makes. All of them, but for tests that show what would get through
/// if one were missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSet(BTreeSet<Check>);

impl CheckSet {
    /// Every check there is.
    #[must_use]
    pub fn all() -> Self {
        Self(Check::ALL.into_iter().collect())
    }

    /// The same without one.
    #[must_use]
    pub fn without(mut self, check: Check) -> Self {
        self.0.remove(&check);
        self
    }

    /// Whether a check is made.
    #[must_use]
    pub fn contains(&self, check: Check) -> bool {
        self.0.contains(&check)
    }
}

impl Default for CheckSet {
    fn default() -> Self {
        Self::all()
    }
}

/// Why the checking of a submission ended early.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// A check ran and failed: the worker's fault.
    Invalid(RejectReason),
    /// A check could not run here: nobody's fault.
    Unchecked(UncheckedCause),
}

impl From<Finding> for Outcome {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Invalid(reason) => Self::Invalid(reason),
            Finding::Unchecked(cause) => Self::Unchecked(cause),
        }
    }
}

/// What the checks of one submission share.
pub(crate) struct Case<'a> {
    pub(crate) terms: &'a RunTerms,
    pub(crate) run: RunId,
    pub(crate) prompts: &'a dyn Prompts,
    pub(crate) set: &'a CheckSet,
}

impl Case<'_> {
    /// Fails with `reason` unless `holds`, or unless the check is not made.
    pub(crate) fn require(&self, holds: bool, reason: RejectReason) -> Result<(), Finding> {
        if holds || !self.set.contains(reason.check) {
            return Ok(());
        }
        Err(Finding::Invalid(reason))
    }
}

/// A reason about a whole submission.
pub(crate) fn of_group(check: Check, limit: i64, given: i64) -> RejectReason {
    RejectReason { check, sample_index: None, position: None, limit, given }
}

/// A reason about one rollout.
pub(crate) fn of_rollout(check: Check, sample_index: u32, limit: i64, given: i64) -> RejectReason {
    RejectReason { check, sample_index: Some(sample_index), position: None, limit, given }
}

/// A reason about one position of a rollout's completion.
pub(crate) fn at(check: Check, sample_index: u32, position: usize, limit: i64, given: i64) -> RejectReason {
    let position = u32::try_from(position).ok(); // completions are shorter than 2^32
    RejectReason { check, sample_index: Some(sample_index), position, limit, given }
}

/// A length as the number in a reason.
pub(crate) fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX) // saturates: it is only shown
}
