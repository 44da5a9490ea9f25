//! Posting an epoch's root exactly once.
//!
//! Promise: called again after a kill at any point, it posts what is missing and nothing twice. The chain is
//! asked first, and the contracts refuse a second root or budget for an epoch whatever we believe.

use alloy_primitives::B256;
use alloy_sol_types::SolEvent as _;

use crate::bindings::EpochRewards;
use crate::contracts::{Contracts, EpochToPost};
use crate::{Chain, ChainError, Filter, Wallet};

/// What became of an epoch's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Block of the root.
    pub block: u64,
    /// Transaction of the root.
    pub transaction: B256,
    /// When it becomes live, if nobody challenges it, in seconds.
    pub live_at_s: u64,
    /// Whether it was there already: an earlier try had posted it and was killed before it could say so.
    pub already: bool,
    /// Whether it was voided since. The epoch stays spent; the next root carries what it would have paid.
    pub voided: bool,
}

/// Mints the budgets up to an epoch and posts its root, unless that has been done.
///
/// Errors: `NotYet` while the root before it or its budget waits for its time; `EpochTaken` if another root
/// was posted for it, which means that two ledgers are being kept.
pub fn settle_epoch(
    chain: &mut dyn Chain,
    contracts: &Contracts,
    poster: &Wallet,
    post: &EpochToPost,
) -> Result<Settled, ChainError> {
    chain.idle(poster.address())?; // what a killed try may have left under way
    if contracts.next_epoch(chain)? > post.epoch {
        return already(chain, contracts, post);
    }
    release(chain, contracts, poster, post.epoch)?;
    if let Some(pending) = contracts.pending_root(chain)? {
        let what = "a root can be posted when the one before it is live";
        return Err(ChainError::NotYet { what, ready_at_s: pending.live_at_s, now_s: chain.head()?.time_s });
    }
    let receipt = chain.send(poster, contracts.post_root(post))?;
    let Some(found) = find(chain, contracts, post.epoch, receipt.block)? else {
        let cause = format!("no event for epoch {} in block {}", post.epoch, receipt.block);
        return Err(ChainError::Inconsistent { what: "posting a root", cause });
    };
    same_root(&found, post)?;
    let Found { block, transaction, live_at_s, .. } = found;
    Ok(Settled { block, transaction, live_at_s, already: false, voided: false })
}

/// Mints the budgets that are missing. Anybody may; what another has minted meanwhile is not minted again.
fn release(chain: &mut dyn Chain, contracts: &Contracts, payer: &Wallet, epoch: u64) -> Result<(), ChainError> {
    loop {
        let next = contracts.next_release(chain)?;
        if next > epoch {
            return Ok(());
        }
        let (now_s, ready_at_s) = (chain.head()?.time_s, contracts.release_at_s(chain, next)?);
        if now_s < ready_at_s {
            return Err(ChainError::NotYet { what: "an epoch's budget", ready_at_s, now_s });
        }
        match chain.send(payer, contracts.release(next)) {
            // Another was quicker: look again.
            Err(ChainError::Reverted { .. }) if contracts.next_release(chain)? > next => (),
            sent => drop(sent?),
        }
    }
}

/// The epoch is behind the contract: with this root, or another.
fn already(chain: &dyn Chain, contracts: &Contracts, post: &EpochToPost) -> Result<Settled, ChainError> {
    let Some(found) = find(chain, contracts, post.epoch, contracts.addresses.block)? else {
        return Err(ChainError::EpochTaken { epoch: post.epoch, posted: None, ours: post.root });
    };
    same_root(&found, post)?;
    let Found { block, transaction, live_at_s, .. } = found;
    let voided = !logs(chain, contracts, EpochRewards::RootVoided::SIGNATURE_HASH, post.epoch, block)?.is_empty();
    Ok(Settled { block, transaction, live_at_s, already: true, voided })
}

struct Found {
    root: B256,
    lifetime_total: u128,
    live_at_s: u64,
    block: u64,
    transaction: B256,
}

fn same_root(found: &Found, post: &EpochToPost) -> Result<(), ChainError> {
    if found.root == post.root && found.lifetime_total == u128::from(post.lifetime_total) {
        return Ok(());
    }
    Err(ChainError::EpochTaken { epoch: post.epoch, posted: Some(found.root), ours: post.root })
}

/// The root that was posted for an epoch, in or after a block.
fn find(chain: &dyn Chain, contracts: &Contracts, epoch: u64, from: u64) -> Result<Option<Found>, ChainError> {
    let logs = logs(chain, contracts, EpochRewards::RootPosted::SIGNATURE_HASH, epoch, from)?;
    let Some(log) = logs.last() else { return Ok(None) };
    let posted = EpochRewards::RootPosted::decode_raw_log(&log.topics, &log.data)
        .map_err(|cause| ChainError::Decode { what: "RootPosted", cause: cause.to_string() })?;
    Ok(Some(Found {
        root: posted.root,
        lifetime_total: posted.lifetimeTotal,
        live_at_s: posted.liveAt,
        block: log.block,
        transaction: log.transaction,
    }))
}

/// Events of an epoch, whose number is their first indexed field.
fn logs(
    chain: &dyn Chain,
    contracts: &Contracts,
    signature: B256,
    epoch: u64,
    from: u64,
) -> Result<Vec<crate::Log>, ChainError> {
    let to = chain.head()?.number;
    let filter = Filter { addresses: vec![contracts.addresses.rewards], signatures: vec![signature], from, to };
    let mut logs = chain.logs(&filter)?;
    let wanted = B256::from(alloy_primitives::U256::from(epoch));
    logs.retain(|log| log.topics.get(1) == Some(&wanted));
    Ok(logs)
}
