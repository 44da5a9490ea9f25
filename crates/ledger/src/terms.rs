//! What everybody in a run has agreed to about money, before anything is done.
//!
//! Promise: who signs, who is paid where, and how much, are all in the first entry of the log.

use protocol::{Party, Record, RunId, RunTerms};
use serde::{Deserialize, Serialize};

use crate::yuma::{CELLS_MAX, YumaError};
use crate::{Account, Economy, Fault, hex};

/// The terms of a ledger: its first entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerTerms {
    /// The terms of the run, with the keys of all who sign; in the log as the digits of the record.
    #[serde(with = "hex::record")]
    pub run: RunTerms,
    /// Number of the chain that pays.
    pub chain_id: u64,
    /// The contract that pays.
    pub rewards: Account,
    /// Accounts of the workers, in the order of the run's terms.
    pub workers: Vec<Account>,
    /// Accounts of the validators, in the order of the run's terms.
    pub validators: Vec<Account>,
    /// Account of the trainer.
    pub trainer: Account,
    /// Account that takes what nobody earned.
    pub treasury: Account,
    /// The numbers.
    pub economy: Economy,
}

impl LedgerTerms {
    /// Id of the run.
    pub fn run_id(&self) -> RunId {
        self.run.id()
    }

    /// Where a party is paid; none if there is no such party.
    pub fn account(&self, party: Party) -> Option<Account> {
        match party {
            Party::Worker(id) => self.workers.get(id as usize).copied(),
            Party::Validator(id) => self.validators.get(id as usize).copied(),
            Party::Trainer => Some(self.trainer),
            Party::Treasury => Some(self.treasury),
        }
    }

    /// All parties: workers, validators, trainer, treasury.
    pub fn parties(&self) -> impl Iterator<Item = Party> + use<> {
        // Lists of the run's terms are counted in 32 bits.
        let workers = (0..self.workers.len() as u32).map(Party::Worker);
        let validators = (0..self.validators.len() as u32).map(Party::Validator);
        workers.chain(validators).chain([Party::Trainer, Party::Treasury])
    }

    /// Errors: `AccountCount`, `Economy`, `Record` for run terms that are no good, `Yuma` if there are too
    /// many workers and validators to weigh.
    pub fn check(&self) -> Result<(), Fault> {
        self.run.encode()?; // checks the terms and their size
        let roles = [
            ("workers", self.run.workers.len(), self.workers.len()),
            ("validators", self.run.validators.len(), self.validators.len()),
        ];
        for (role, expected, given) in roles {
            if expected != given {
                return Err(Fault::AccountCount { role, expected, given });
            }
        }
        let given = self.workers.len().saturating_mul(self.validators.len());
        if given > CELLS_MAX {
            return Err(YumaError::TooManyScores { limit: CELLS_MAX, given }.into());
        }
        Ok(self.economy.check()?)
    }
}
