//! `claims.json`: what everybody has earned, with the proofs that the contract asks for.
//!
//! Promise: made from the ledger alone; whoever has the file can claim for any account, with any wallet, and need
//! not trust who made it, since each proof leads to a root that is on the chain or is worth nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chain::{Address, B256};
use ledger::{Account, Ledger, PartyReport, merkle};
use protocol::{Hash, Party};
use serde::{Deserialize, Serialize};

use record::run_dir;

/// Largest file of proofs: those of a million accounts take 1.7 GB; this is for 65,536 parties.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// `claims.json`: the proofs of all accounts against one root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClaimsFile {
    /// Chain that pays.
    pub(crate) chain_id: u64,
    /// Contract that pays.
    pub(crate) rewards: Account,
    /// The epoch whose root it is; none if no epoch was closed.
    pub(crate) epoch: Option<u64>,
    /// The root.
    pub(crate) root: B256,
    /// What each has earned since the beginning.
    pub(crate) claims: Vec<PartyClaim>,
}

/// What one party's account has earned, with its proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartyClaim {
    /// Who.
    pub(crate) party: String,
    /// Where it is paid.
    pub(crate) account: Account,
    /// Earned since the beginning, micro-ESM.
    pub(crate) lifetime: u64,
    /// Hashes from its leaf to the root, the lowest first.
    pub(crate) proof: Vec<B256>,
}

impl ClaimsFile {
    /// The proofs after a closed epoch; none if there is no such epoch.
    pub(crate) fn of(ledger: &Ledger, epoch: Option<u64>) -> Self {
        let terms = ledger.terms();
        let report = epoch.and_then(|epoch| ledger.epochs().get(usize::try_from(epoch).ok()?));
        let lifetimes = report.and_then(|report| ledger.lifetimes_at(report.epoch)).unwrap_or_default();
        let proofs = merkle::proofs(&merkle::leaves(terms.chain_id, &terms.rewards, &lifetimes));
        let proven: BTreeMap<&Account, (u64, Vec<Hash>)> =
            lifetimes.iter().zip(proofs).map(|((account, lifetime), proof)| (account, (*lifetime, proof))).collect();
        let claim = |(party, report): (&Party, &PartyReport)| {
            let (lifetime, proof) = proven.get(&report.account)?;
            let proof = proof.iter().map(|hash| B256::from(*hash)).collect();
            Some(PartyClaim { party: party.to_string(), account: report.account, lifetime: *lifetime, proof })
        };
        Self {
            chain_id: terms.chain_id,
            rewards: terms.rewards,
            epoch: report.map(|report| report.epoch),
            root: B256::from(report.map_or([0; 32], |report| report.root)),
            claims: ledger.parties().iter().filter_map(claim).collect(),
        }
    }

    /// Reads a file of proofs.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let named = || format!("cannot read the proofs of {}", path.display());
        let bytes = fs::metadata(path).with_context(named)?.len();
        ensure!(bytes <= FILE_BYTES_MAX, "{}: limit {FILE_BYTES_MAX} bytes, given {bytes}", path.display());
        serde_json::from_slice(&fs::read(path).with_context(named)?).with_context(named)
    }

    /// Writes them, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        Ok(run_dir::write_whole(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())?)
    }

    /// The claim of an account.
    pub(crate) fn claim(&self, account: Address) -> Option<&PartyClaim> {
        self.claims.iter().find(|claim| claim.account.0 == account)
    }
}
