//! Accounts as people name them: an address, or a party of the run.

use protocol::Party;
use std::collections::BTreeMap;

use anyhow::Result;
use chain::{Address, Wallet};
use ledger::Account;

use super::place::Place;
use super::wrong_usage;
use crate::run::parties::Parties;

/// Words that name a party of a run.
const PARTIES: &str = "worker:N, validator:N, trainer, orchestrator, holder, guardian, council, deployer, treasury";

/// The account that a word names.
pub(super) fn find(word: &str, place: &Place) -> Result<Address> {
    if word.starts_with("0x") {
        return address(word);
    }
    if word == "treasury" {
        return Ok(place.contracts.addresses.treasury);
    }
    let Some(parties) = place.parties()? else {
        return Err(wrong_usage(format!(
            "{word} may be a party of a run; with an address of a chain, accounts are 0x…"
        )));
    };
    Ok(wallet(word, &parties)?.address())
}

/// An account's address, with its checksum looked at.
pub(super) fn address(word: &str) -> Result<Address> {
    let account: Account = word.parse().map_err(|error| wrong_usage(format!("{error}")))?;
    Ok(Address::from(account.0))
}

/// The wallet of a party of a run.
pub(super) fn wallet(word: &str, parties: &Parties) -> Result<Wallet> {
    let unknown = || wrong_usage(format!("the run has no party {word:?}; parties are {PARTIES}, accounts are 0x…"));
    let wallet = match word.split_once(':') {
        Some((role, number)) => {
            let id: u32 = number.parse().map_err(|_| unknown())?;
            match role {
                "worker" if id < parties.worker_count() => parties.wallet(Party::Worker(id)),
                "validator" if id < parties.validator_count() => parties.wallet(Party::Validator(id)),
                _ => return Err(unknown()),
            }
        }
        None => match word {
            "trainer" => parties.wallet(Party::Trainer),
            "orchestrator" => parties.orchestrator_wallet(),
            "holder" => parties.holder_wallet(),
            "guardian" => parties.guardian_wallet(),
            "council" => parties.council_wallet(),
            "deployer" => parties.deployer_wallet(),
            _ => return Err(unknown()),
        },
    };
    Ok(wallet)
}

/// Names of the accounts that are known here: the contracts, and the parties of the run.
pub(super) struct Names(BTreeMap<Address, String>);

impl Names {
    /// Everybody who is known at this place.
    pub(super) fn of(place: &Place) -> Result<Self> {
        let at = &place.contracts.addresses;
        let contracts = [
            (at.token, "the token"),
            (at.vault, "the vault (stakes)"),
            (at.rewards, "the rewards contract (not claimed)"),
            (at.court, "the court (bonds)"),
            (at.treasury, "the treasury"),
            (at.emission, "the emission"),
            (at.registry, "the registry"),
            (at.timelock, "the timelock"),
        ];
        let mut names: BTreeMap<Address, String> =
            contracts.into_iter().map(|(address, name)| (address, name.to_owned())).collect();
        if let Some(parties) = place.parties()? {
            let workers = (0..parties.worker_count()).map(|id| format!("worker:{id}"));
            let validators = (0..parties.validator_count()).map(|id| format!("validator:{id}"));
            let others = ["trainer", "orchestrator", "holder", "guardian", "council", "deployer"].map(str::to_owned);
            for word in workers.chain(validators).chain(others) {
                names.insert(wallet(&word, &parties)?.address(), word);
            }
        }
        Ok(Self(names))
    }

    /// The name of an account, if it has one here.
    pub(super) fn name(&self, account: &Address) -> Option<&str> {
        self.0.get(account).map(String::as_str)
    }

    /// An account for people: `worker:3 (0x…)`, or the address alone.
    pub(super) fn show(&self, account: &Address) -> String {
        match self.name(account) {
            Some(name) => format!("{name} ({account})"),
            None => account.to_string(),
        }
    }

    /// The same where there is little room.
    pub(super) fn brief(&self, account: &Address) -> String {
        match self.name(account) {
            Some(name) => name.to_owned(),
            None => account.to_string(),
        }
    }
}
