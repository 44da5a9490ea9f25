//! Rebuilds every number from the log alone.
//!
//! Promise: a log that passes was written in this order by the run's orchestrator, and each payout follows from its
//! entries by the rules. It takes no other file, and trusts no number that it can compute. Tokens, checks, and fines
//! with verdicts follow from records that workers and validators signed.
//! The orchestrator's word alone: fines without verdicts (`withheld`, `malformed`, `signature`, `limits`,
//! `samples_missing`, `vocabulary`, `proof_format`, `prompt`, `weight_version`, `lease`, `duplicate`,
//! `seal_mismatch`, `update_replay`), answers to plants, steps trained, what it read from the chain (stakes, posts,
//! slashes), whose a lease was, which draw was due, and that nothing was left out. Reasons: `docs/ledger.md`.

use std::collections::BTreeMap;

use protocol::{Check, Hash, Party, RunId};
use serde::{Serialize, Serializer};

use crate::{Account, Amount, Fault, Ledger, LedgerError, Payout, hex};

/// What a log adds up to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditReport {
    /// Id of the run.
    #[serde(with = "hex::array")]
    pub run: RunId,
    /// Chain that pays.
    pub chain_id: u64,
    /// Contract that pays.
    pub rewards: Account,
    /// Lines of the log.
    pub entries: u64,
    /// Lines at the end that the orchestrator has not signed yet: credits, which its next line covers.
    pub unsigned: u64,
    /// What stands for all lines.
    #[serde(with = "hex::array")]
    pub head: Hash,
    /// Closed epochs.
    pub epochs: Vec<EpochReport>,
    /// Merkle root of the last of them; zeros if there is none.
    #[serde(with = "hex::array")]
    pub root: Hash,
    /// What has been paid in all.
    pub lifetime_total: Amount,
    /// What each account has earned since the run began.
    pub accounts: BTreeMap<Account, Amount>,
    /// What each party has done.
    pub parties: BTreeMap<Party, PartyReport>,
    /// Steps trained since the last epoch was closed; they are not paid yet.
    pub steps_open: u64,
}

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochReport {
    /// Number of the epoch; the first is 0.
    pub epoch: u64,
    /// Steps trained in it.
    pub steps: u64,
    /// What it paid, to the last unit.
    pub budget: Amount,
    /// Merkle root over the lifetimes after it.
    #[serde(with = "hex::array")]
    pub root: Hash,
    /// Their sum.
    pub lifetime_total: Amount,
    /// How many they are.
    pub payees: u64,
    /// Who was paid how much for what.
    pub payouts: Vec<Payout>,
    /// Block and transaction that hold the root, once it is on the chain.
    #[serde(serialize_with = "block_and_transaction")]
    pub posted: Option<(u64, Hash)>,
}

/// What a party has done, earned and lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartyReport {
    /// Where it is paid.
    pub account: Account,
    /// Completion tokens of accepted groups.
    pub tokens: u64,
    /// Accepted groups.
    pub groups: u64,
    /// Rollouts recomputed for verdicts that held.
    pub checks: u64,
    /// Faults found: workers fined on its verdict, and planted lies.
    pub faults: u64,
    /// Planted lies that it called valid.
    pub plants_missed: u64,
    /// Steps trained.
    pub steps: u64,
    /// Checks that it was fined for.
    pub fines: Vec<Check>,
    /// Stake when last seen, less what was taken since.
    pub stake: Amount,
    /// Stake taken.
    pub slashed: Amount,
    /// Paid in closed epochs.
    pub earned: Amount,
}

impl PartyReport {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            tokens: 0,
            groups: 0,
            checks: 0,
            faults: 0,
            plants_missed: 0,
            steps: 0,
            fines: Vec::new(),
            stake: 0,
            slashed: 0,
            earned: 0,
        }
    }
}

/// Rebuilds a ledger from its lines (without line feeds) and says what it adds up to.
///
/// Errors: the first entry that is refused.
pub fn audit<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<AuditReport, LedgerError> {
    Ok(Ledger::replay(lines)?.report())
}

impl Ledger {
    /// Rebuilds a ledger from its lines, without their line feeds.
    ///
    /// Errors: the first entry that is refused; `Empty`.
    pub fn replay<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Result<Self, LedgerError> {
        let mut lines = lines.into_iter();
        let first = lines.next().ok_or_else(|| LedgerError::new(0, Fault::Empty))?;
        let mut ledger = Self::new(first.as_ref())?;
        for line in lines {
            ledger.apply(line.as_ref())?;
        }
        Ok(ledger)
    }

    /// What the ledger adds up to.
    pub fn report(&self) -> AuditReport {
        AuditReport {
            run: self.run_id(),
            chain_id: self.terms().chain_id,
            rewards: self.terms().rewards,
            entries: self.entries(),
            unsigned: self.unsigned(),
            head: self.head(),
            epochs: self.epochs().to_vec(),
            root: self.root(),
            lifetime_total: self.lifetime_total(),
            accounts: self.lifetimes().clone(),
            parties: self.parties().clone(),
            steps_open: self.steps_open(),
        }
    }
}

fn block_and_transaction<S: Serializer>(posted: &Option<(u64, Hash)>, serializer: S) -> Result<S::Ok, S::Error> {
    posted.map(|(block, transaction)| (block, hex::encode(&transaction))).serialize(serializer)
}
