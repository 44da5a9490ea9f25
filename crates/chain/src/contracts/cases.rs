//! Cases before the court.

use alloy_primitives::{Address, B256};

use super::views::amount;
use crate::ChainError;
use crate::bindings::IDisputeCourt;

/// What a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    /// A node's stake.
    Stake,
    /// A pending root.
    Root,
}

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// Brought, and not answered.
    Open,
    /// The accused has answered.
    Answered,
    /// Found guilty; there is time for an appeal.
    Guilty,
    /// The timelock looks at it again.
    Appealed,
    /// Over.
    Closed,
}

/// How a closed case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not guilty.
    Acquitted,
    /// Guilty; the stake is lost, or the root void.
    Convicted,
    /// Guilty, and not guilty on appeal.
    Overturned,
    /// Nobody ruled in time.
    Expired,
    /// Stopped by the guardian.
    Cancelled,
}

/// Everything about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its number.
    pub case: u64,
    /// What it is about.
    pub kind: CaseKind,
    /// Where it stands.
    pub state: CaseState,
    /// How it ended, once it is closed.
    pub outcome: Option<Outcome>,
    /// Who brought it.
    pub challenger: Address,
    /// Whose stake; zero in a case about a root.
    pub accused: Address,
    /// Number of the vault's slash, which `SlashExecuted` names; 0 in a case about a root.
    pub slash: u64,
    /// Stake at risk.
    pub amount: u64,
    /// What the challenger put down.
    pub bond: u64,
    /// What the accused put down to appeal.
    pub appeal_bond: u64,
    /// Last second of the accused's answer.
    pub answer_until_s: u64,
    /// Last second of the step that is due.
    pub deadline_s: u64,
    /// Epoch of the root, in a case about a root.
    pub epoch: u64,
    /// The root, in a case about a root.
    pub root: B256,
    /// Hash of the accusation.
    pub evidence: B256,
    /// Hash of the answer; zero if there was none.
    pub answer: B256,
}

/// A case as the contract tells it; none if there is no case of this number.
pub(super) fn read(case: u64, told: &IDisputeCourt::Case) -> Result<Option<Case>, ChainError> {
    if told.state == 0 {
        return Ok(None);
    }
    let unknown = |what, given: u8| ChainError::Decode { what, cause: format!("{given} is unknown") };
    Ok(Some(Case {
        case,
        kind: kind(told.kind).ok_or_else(|| unknown("a case's kind", told.kind))?,
        state: state(told.state).ok_or_else(|| unknown("a case's state", told.state))?,
        outcome: outcome(told.outcome),
        challenger: told.challenger,
        accused: told.accused,
        slash: told.slashId,
        amount: amount("a case's amount", told.amount)?,
        bond: amount("a case's bond", told.bond)?,
        appeal_bond: amount("an appeal's bond", told.appealBond)?,
        answer_until_s: told.answerUntil,
        deadline_s: told.deadline,
        epoch: told.epoch,
        root: told.root,
        evidence: told.evidence,
        answer: told.answer,
    }))
}

fn kind(number: u8) -> Option<CaseKind> {
    [CaseKind::Stake, CaseKind::Root].get(usize::from(number).checked_sub(1)?).copied()
}

fn state(number: u8) -> Option<CaseState> {
    use CaseState::{Answered, Appealed, Closed, Guilty, Open};
    [Open, Answered, Guilty, Appealed, Closed].get(usize::from(number).checked_sub(1)?).copied()
}

fn outcome(number: u8) -> Option<Outcome> {
    use Outcome::{Acquitted, Cancelled, Convicted, Expired, Overturned};
    [Acquitted, Convicted, Overturned, Expired, Cancelled].get(usize::from(number).checked_sub(1)?).copied()
}
