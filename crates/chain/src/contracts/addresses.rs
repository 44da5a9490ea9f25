//! Where the contracts of one deployment are: a small JSON file that anyone may read.

use std::path::Path;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{Chain, ChainError, files};

/// Longest addresses file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The contracts of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The chain they are on.
    pub chain_id: u64,
    /// The block of the first of them; no event is older.
    pub block: u64,
    /// ESM.
    pub token: Address,
    /// Peer keys and their owners.
    pub registry: Address,
    /// Stake.
    pub vault: Address,
    /// Epoch roots and claims.
    pub rewards: Address,
    /// Accusations.
    pub court: Address,
    /// What losers pay.
    pub treasury: Address,
    /// Mints each epoch's budget.
    pub emission: Address,
    /// Holds every administrative role.
    pub timelock: Address,
}

impl Addresses {
    /// Reads an addresses file. Errors: `File`.
    pub fn load(path: &Path) -> Result<Self, ChainError> {
        files::load(path, FILE_BYTES_MAX)
    }

    /// Writes an addresses file, whole or not at all. Errors: `File`.
    pub fn save(&self, path: &Path) -> Result<(), ChainError> {
        files::save(path, self, FILE_BYTES_MAX)
    }

    /// Every contract with its name.
    pub fn named(&self) -> [(&'static str, Address); 8] {
        [
            ("EssaimToken", self.token),
            ("NodeRegistry", self.registry),
            ("StakeVault", self.vault),
            ("EpochRewards", self.rewards),
            ("DisputeCourt", self.court),
            ("Treasury", self.treasury),
            ("EmissionSchedule", self.emission),
            ("EssaimTimelock", self.timelock),
        ]
    }

    /// Whether `chain` is the chain they are on, and has them. Errors: `WrongChain`, `NoContract`.
    pub fn check(&self, chain: &dyn Chain) -> Result<(), ChainError> {
        let given = chain.chain_id();
        if given != self.chain_id {
            return Err(ChainError::WrongChain { host: chain.name(), expected: self.chain_id, given });
        }
        for (contract, address) in self.named() {
            if !chain.has_code(address)? {
                return Err(ChainError::NoContract { contract, address });
            }
        }
        Ok(())
    }
}
