//! Proofs of what accounts have earned: the file they are in, and where a command finds them.
//!
//! Promise: a proof is compared with the root on the chain before anything is sent, so a stale one is told with
//! its epoch; whoever made the file need not be trusted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use chain::{Address, B256};
use ledger::{Account, Ledger, merkle};
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::{log, words};
use crate::run::payout::claims_path;
use crate::run_dir;

/// Largest file of proofs: those of a million accounts take 1.7 GB; this is for 65,536 parties.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// `claims.json`: the proofs of all accounts against one root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ClaimsFile {
    /// Chain that pays.
    pub(super) chain_id: u64,
    /// Contract that pays.
    pub(super) rewards: Account,
    /// The epoch whose root it is; none if no epoch was closed.
    pub(super) epoch: Option<u64>,
    /// The root.
    pub(super) root: B256,
    /// What each has earned since the beginning.
    pub(super) claims: Vec<PartyClaim>,
}

/// What one party's account has earned, with its proof.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartyClaim {
    /// Who.
    pub(super) party: String,
    /// Where it is paid.
    pub(super) account: Account,
    /// Earned since the beginning, micro-ESM.
    pub(super) lifetime: u64,
    /// Hashes from its leaf to the root, the lowest first.
    pub(super) proof: Vec<B256>,
}

impl ClaimsFile {
    /// The proofs after a closed epoch; none if there is no such epoch.
    pub(super) fn of(ledger: &Ledger, epoch: Option<u64>) -> Self {
        let report = epoch.and_then(|epoch| ledger.epochs().get(usize::try_from(epoch).ok()?));
        let claim = |(party, account): (String, Account)| {
            let claim = ledger.claim_at(epoch?, &account)?;
            let proof = claim.proof.iter().map(|hash| B256::from(*hash)).collect();
            Some(PartyClaim { party, account, lifetime: claim.lifetime, proof })
        };
        let parties = ledger.parties().iter().map(|(party, report)| (party.to_string(), report.account));
        Self {
            chain_id: ledger.terms().chain_id,
            rewards: ledger.terms().rewards,
            epoch: report.map(|report| report.epoch),
            root: B256::from(report.map_or([0; 32], |report| report.root)),
            claims: parties.filter_map(claim).collect(),
        }
    }

    /// Reads a file of proofs.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let named = || format!("cannot read the proofs of {}", path.display());
        let bytes = fs::metadata(path).with_context(named)?.len();
        ensure!(bytes <= FILE_BYTES_MAX, "{}: limit {FILE_BYTES_MAX} bytes, given {bytes}", path.display());
        serde_json::from_slice(&fs::read(path).with_context(named)?).with_context(named)
    }

    /// Writes them, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        Ok(run_dir::write_whole(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())?)
    }

    /// The claim of an account.
    pub(super) fn claim(&self, account: Address) -> Option<&PartyClaim> {
        self.claims.iter().find(|claim| claim.account.0 == account)
    }
}

/// Where proofs may come from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sources<'a> {
    /// A file of proofs.
    pub(super) claims: Option<&'a Path>,
    /// A ledger's log.
    pub(super) ledger: Option<&'a Path>,
}

/// The proofs against the root that is live; none if nothing here knows any.
///
/// A run's folder has proofs of its last epoch; if an earlier root is the live one, they are made from its log.
pub(super) fn find(
    place: &Place,
    sources: Sources<'_>,
    live: &B256,
    epoch: u64,
    quiet: bool,
) -> Result<Option<ClaimsFile>> {
    if let Some(path) = sources.claims {
        return ClaimsFile::read(path).map(Some);
    }
    if let Some(path) = sources.ledger {
        return Ok(Some(ClaimsFile::of(&log::read(path, quiet)?.ledger, Some(epoch))));
    }
    let Some(folder) = &place.run else { return Ok(None) };
    let file = claims_path(folder);
    if file.is_file() {
        let claims = ClaimsFile::read(&file)?;
        if claims.root == *live {
            return Ok(Some(claims));
        }
    }
    match place.ledger() {
        Some(path) => Ok(Some(ClaimsFile::of(&log::read(&path, quiet)?.ledger, Some(epoch)))),
        None => Ok(None),
    }
}

/// Whether a claim is proven against the root that is live. Errors: why it is not.
pub(super) fn check(place: &Place, claim: &PartyClaim, live: &B256) -> Result<()> {
    let at = &place.contracts.addresses;
    let leaf = merkle::leaf(at.chain_id, &Account(at.rewards.into()), &claim.account, claim.lifetime);
    let proof: Vec<[u8; 32]> = claim.proof.iter().map(|hash| hash.0).collect();
    if merkle::verify(&live.0, leaf, &proof) {
        return Ok(());
    }
    if let Some(pending) =
        place.contracts.pending_root(&*place.chain)?.filter(|root| merkle::verify(&root.root.0, leaf, &proof))
    {
        bail!(
            "the proof is of epoch {}, whose root is live from {}",
            pending.epoch,
            words::moment(pending.live_at_s, place.now_s()?)
        );
    }
    bail!(
        "the proof that {} has earned {} does not lead to the live root {}: it is of another epoch or was altered; \
         `essaim ledger show LOG --epoch N --claims FILE` makes the proofs of any epoch",
        claim.account,
        words::esm(claim.lifetime),
        words::short(live)
    );
}
