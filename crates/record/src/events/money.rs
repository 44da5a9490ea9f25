//! Events about who is paid, and who loses stake. Amounts are micro-ESM: 1 ESM = 1,000,000.

use serde::{Deserialize, Serialize};

use protocol::Party;

/// An epoch of the ledger is closed: its budget is shared out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochClosed {
    /// Number of the epoch, from 0.
    pub epoch: u64,
    /// What it pays, to the last unit.
    pub budget: u64,
    /// Merkle root over what every account has earned since the run began, hexadecimal.
    pub root: String,
    /// The sum of that.
    pub lifetime_total: u64,
    /// Accounts that have earned anything since the run began.
    pub payees: u64,
}

/// An epoch's root is on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPosted {
    /// Number of the epoch.
    pub epoch: u64,
    /// Block that holds it.
    pub block: u64,
    /// Hash of the transaction, hexadecimal.
    pub transaction: String,
}

/// Stake was taken from a party that was fined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakeSlashed {
    /// Whose stake.
    pub party: Party,
    /// How much of it.
    pub amount: u64,
    /// Block in which it was taken.
    pub block: u64,
}

/// What everybody has earned and lost when the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaidOut {
    /// The chain that pays.
    pub chain_id: u64,
    /// Its address; absent for the chain inside this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_url: Option<String>,
    /// The contract that pays.
    pub rewards: String,
    /// Epochs closed.
    pub epochs: u64,
    /// The newest epoch on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posted: Option<u64>,
    /// Merkle root of the last epoch, hexadecimal.
    pub root: String,
    /// Budget of all epochs together.
    pub budget: u64,
    /// Stake that all parties together have lost.
    pub lost: u64,
    /// Everybody: workers, validators, trainer, treasury.
    pub rows: Vec<PayoutRow>,
    /// Time that ledger and chain took on the conductor's thread.
    pub seconds: f64,
    /// Time that the chain's own thread was busy beside it.
    pub chain_seconds: f64,
}

/// One payee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutRow {
    /// Who.
    pub who: Party,
    /// Where the money goes.
    pub account: String,
    /// What was counted: completion tokens of a worker, rollouts recomputed by a validator, steps of the trainer.
    pub units: u64,
    /// Lies found.
    pub faults: u64,
    /// Earned since the run began.
    pub earned: u64,
    /// Stake when the run began.
    pub stake: u64,
    /// Part of it that was taken.
    pub lost: u64,
    /// What it was fined for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl PayoutRow {
    /// What `units` counts; nothing for the treasury.
    pub fn unit(&self) -> &'static str {
        match self.who {
            Party::Worker(_) => "tokens",
            Party::Validator(_) => "checks",
            Party::Trainer => "steps",
            Party::Treasury => "",
        }
    }
}
