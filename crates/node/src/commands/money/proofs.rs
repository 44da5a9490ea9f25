//! Where a command finds the proof of what an account has earned, and whether it is one.
//!
//! Promise: a proof is compared with the root on the chain before anything is sent, so a stale one is told with
//! its epoch; whoever made the file need not be trusted.

use std::path::Path;

use anyhow::{Result, bail};
use chain::B256;
use ledger::{Account, merkle};

use super::place::Place;
use super::{log, words};
use crate::claims::{ClaimsFile, PartyClaim};
use crate::run::payout::claims_path;

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
