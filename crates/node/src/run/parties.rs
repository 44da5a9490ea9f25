//! Who takes part in a run, and the terms that all of them sign under.
//!
//! Promise: the same run file gives the same keys, so a run resumed signs as it did before; a key
//! never leaves the process.
//! Wallets follow from the same secret, each apart from its party's key: who signs verdicts and who moves money
//! need not be the same hand.
//! All parties of `essaim run` are threads of one process, so their keys are derived from the run's
//! seed: what the signatures show here is that every message is checked as it would be from a stranger.

use std::sync::Arc;

use anyhow::Result;
use chain::Wallet;
use model::{ModelConfig, Tokenizer};
use protocol::{BeaconTerms, DtypeTerm, Hash, Keypair, Party, RunTerms, SamplingTerms, ValidatorId, WorkerId};

use crate::config::{self, Dtype, RunConfig};

const NO_KEYS: &str = "the treasury is a contract and has no keys";
const SECRET_CONTEXT: &str = "essaim 2026 secret of a local run v1";

/// The keys of a local run.
pub struct Parties {
    secret: Hash,
    workers: u32,
    validators: u32,
}

impl Parties {
    /// The parties of a run file.
    pub fn of(config: &RunConfig) -> Self {
        let secret = blake3::derive_key(SECRET_CONTEXT, &config.run.seed.to_le_bytes());
        Self { secret, workers: config.workers.count, validators: config.verify.validators }
    }

    /// What keys and the local beacon are derived from.
    pub fn secret(&self) -> &Hash {
        &self.secret
    }

    /// Signs leases and orders.
    pub fn orchestrator(&self) -> Keypair {
        Keypair::derive(&self.secret, "orchestrator", 0)
    }

    /// Signs updates.
    pub fn trainer(&self) -> Keypair {
        Keypair::derive(&self.secret, "trainer", 0)
    }

    /// Signs submissions.
    pub fn worker(&self, id: WorkerId) -> Keypair {
        Keypair::derive(&self.secret, "worker", id)
    }

    /// Signs verdicts.
    pub fn validator(&self, id: ValidatorId) -> Keypair {
        Keypair::derive(&self.secret, "validator", id)
    }

    /// What a party signs messages with.
    ///
    /// # Panics
    /// For the treasury, which is a contract.
    pub fn keys(&self, party: Party) -> Keypair {
        match party {
            Party::Worker(id) => self.worker(id),
            Party::Validator(id) => self.validator(id),
            Party::Trainer => self.trainer(),
            Party::Treasury => panic!("{NO_KEYS}"),
        }
    }

    /// Pays stake, receives rewards, and, of a validator, signs rulings.
    ///
    /// # Panics
    /// For the treasury, which is a contract.
    pub fn wallet(&self, party: Party) -> Wallet {
        match party {
            Party::Worker(id) => Wallet::derive(&self.secret, "worker", id),
            Party::Validator(id) => Wallet::derive(&self.secret, "validator", id),
            Party::Trainer => Wallet::derive(&self.secret, "trainer", 0),
            Party::Treasury => panic!("{NO_KEYS}"),
        }
    }

    /// Deploys the contracts, and then may do nothing more.
    pub fn deployer_wallet(&self) -> Wallet {
        Wallet::derive(&self.secret, "deployer", 0)
    }

    /// Holds the first tokens and hands them out.
    pub fn holder_wallet(&self) -> Wallet {
        Wallet::derive(&self.secret, "holder", 0)
    }

    /// Schedules what the timelock may do.
    pub fn council_wallet(&self) -> Wallet {
        Wallet::derive(&self.secret, "council", 0)
    }

    /// May pause and cancel.
    pub fn guardian_wallet(&self) -> Wallet {
        Wallet::derive(&self.secret, "guardian", 0)
    }

    /// Posts roots, and accuses those that the rules have fined.
    pub fn orchestrator_wallet(&self) -> Wallet {
        Wallet::derive(&self.secret, "orchestrator", 0)
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> u32 {
        self.workers
    }

    /// How many validators there are.
    pub fn validator_count(&self) -> u32 {
        self.validators
    }

    /// What all parties agree on before the first lease.
    pub fn terms(
        &self,
        config: &RunConfig,
        model: &ModelConfig,
        tokenizer: &Tokenizer,
        beacon: BeaconTerms,
    ) -> Result<Arc<RunTerms>> {
        Ok(Arc::new(RunTerms {
            run_seed: protocol::run_seed(config.run.seed),
            orchestrator: self.orchestrator().public(),
            trainer: self.trainer().public(),
            workers: (0..self.workers).map(|id| self.worker(id).public()).collect(),
            validators: (0..self.validators).map(|id| self.validator(id).public()).collect(),
            group_size: u32::try_from(config.rollout.group_size)?,
            check_ppm: config::ppm(config.verify.check_fraction),
            probation_leases: config.verify.probation_groups,
            sampling: SamplingTerms {
                temperature: config.rollout.temperature,
                max_new_tokens: u32::try_from(config.rollout.max_new_tokens)?,
                context_max: u32::try_from(model.max_positions)?,
                vocabulary: u32::try_from(model.vocab_size)?,
                stop_tokens: tokenizer.stop_ids().to_vec(),
                dtype: match config.rollout.dtype {
                    Dtype::F32 => DtypeTerm::F32,
                    Dtype::Bf16 => DtypeTerm::Bf16,
                },
            },
            beacon,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config;

    #[test]
    fn every_party_has_a_wallet_of_its_own_which_follows_from_the_run_file() {
        let sets = vec!["workers.count=3".to_owned(), "verify.validators=3".to_owned()];
        let parties =
            || Parties::of(&config::resolve(&config::Sources { sets: sets.clone(), ..Default::default() }).unwrap());
        let roles = |parties: &Parties| {
            [
                parties.wallet(Party::Trainer),
                parties.orchestrator_wallet(),
                parties.deployer_wallet(),
                parties.holder_wallet(),
                parties.council_wallet(),
                parties.guardian_wallet(),
            ]
        };
        let all = |parties: &Parties| -> Vec<Wallet> {
            let workers = (0..3).map(|id| parties.wallet(Party::Worker(id)));
            let validators = (0..3).map(|id| parties.wallet(Party::Validator(id)));
            workers.chain(validators).chain(roles(parties)).collect()
        };
        let first = all(&parties());
        assert_eq!(first, all(&parties()));
        let accounts: BTreeSet<_> = first.iter().map(Wallet::address).collect();
        assert_eq!(accounts.len(), 3 + 3 + 6);
    }
}
