//! `essaim ledger audit`: every number of a ledger again, from its log alone.
//!
//! Promise: exit code 1 at the first entry that is refused, with its position; with a chain, also if a root that
//! was posted there is not the one that follows from the log.

use anyhow::Result;
use chain::bindings::EpochRewards;
use chain::{B256, Event, Filter};
use ledger::EpochReport;
use serde::Serialize;
use serde_json::json;

use super::log::{self, Rebuilt};
use super::place::{Access, Place};
use super::show;
use super::words::{esm, short};
use crate::cli::{AuditArgs, PlaceArgs};
use crate::context::Context;
use crate::ending::Ending;

/// A root that was posted on the chain.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PostedRoot {
    /// Its epoch.
    pub(super) epoch: u64,
    /// The root.
    pub(super) root: B256,
    /// Sum of all lifetimes, micro-ESM.
    pub(super) lifetime_total: u64,
    /// Hash of the ledger's line with which it was posted.
    pub(super) file_hash: B256,
    /// Where the log can be had.
    pub(super) uri: String,
    /// When it is live, if nobody stops it.
    pub(super) live_at_s: u64,
    /// Block that holds it.
    pub(super) block: u64,
    /// The transaction.
    pub(super) transaction: B256,
    /// Whether it was dropped before it was live.
    pub(super) voided: bool,
}

/// All roots that were ever posted, the oldest first.
pub(super) fn posted(place: &Place) -> Result<Vec<PostedRoot>> {
    use EpochRewards::EpochRewardsEvents::{RootPosted, RootVoided};
    let at = &place.contracts.addresses;
    let to = place.chain.head()?.number;
    let logs = place.chain.logs(&Filter { addresses: vec![at.rewards], signatures: Vec::new(), from: at.block, to })?;
    let mut roots: Vec<PostedRoot> = Vec::new();
    for log in &logs {
        match place.contracts.event(log)? {
            Some(Event::Rewards(RootPosted(posted))) => roots.push(PostedRoot {
                epoch: posted.epoch,
                root: posted.root,
                lifetime_total: u64::try_from(posted.lifetimeTotal).unwrap_or(u64::MAX),
                file_hash: posted.fileHash,
                uri: posted.uri,
                live_at_s: posted.liveAt,
                block: log.block,
                transaction: log.transaction,
                voided: false,
            }),
            Some(Event::Rewards(RootVoided(voided))) => {
                let same = |root: &&mut PostedRoot| root.epoch == voided.epoch && root.root == voided.root;
                roots.iter_mut().filter(same).for_each(|root| root.voided = true);
            }
            _ => {}
        }
    }
    Ok(roots)
}

/// Audits, prints, and ends with a failure if anything is not as it must be.
pub(super) fn audit(args: &AuditArgs, context: &Context) -> Result<Ending> {
    let place = match &args.chain {
        Some(chain) => {
            let place = PlaceArgs { chain: chain.clone(), addresses: args.addresses.clone(), confirmations: None };
            Some(Place::open(&place, Access::Look)?)
        }
        None => None,
    };
    let rebuilt = match log::judge(&args.log, context.global.quiet || context.global.json)? {
        Ok(rebuilt) => rebuilt,
        Err(bad) => {
            context.answer(|| json!({ "is_good": false, "bad": bad }), || bad.in_words() + "\n")?;
            return Ok(Ending::Refuted);
        }
    };
    let compared = place.as_ref().map(|place| compare(&rebuilt, place)).transpose()?;
    let is_good = compared.as_ref().is_none_or(|compared| compared.faults.is_empty());
    let document = || {
        let report = rebuilt.ledger.report();
        let orchestrator = hex::encode(rebuilt.ledger.terms().run.orchestrator.0);
        json!({ "is_good": is_good, "orchestrator": orchestrator, "report": report, "chain": compared })
    };
    context.answer(document, || text(&rebuilt, compared.as_ref(), context.global.quiet))?;
    Ok(if is_good { Ending::Done } else { Ending::Refuted })
}

/// What a ledger and a chain say of the same epochs.
#[derive(Debug, Serialize)]
struct Compared {
    /// The chain.
    chain: String,
    /// Roots on the chain that follow from the log.
    agree: u64,
    /// What does not.
    faults: Vec<String>,
}

fn compare(rebuilt: &Rebuilt, place: &Place) -> Result<Compared> {
    let terms = rebuilt.ledger.terms();
    let mut compared = Compared { chain: place.name.clone(), agree: 0, faults: Vec::new() };
    let (chain_id, rewards) = (place.chain.chain_id(), place.contracts.addresses.rewards);
    if terms.chain_id != chain_id || terms.rewards.0 != rewards {
        compared.faults.push(format!(
            "the ledger is paid by {} on chain {}, not by {rewards} on chain {chain_id}",
            terms.rewards, terms.chain_id
        ));
        return Ok(compared);
    }
    let roots = posted(place)?;
    for root in roots.iter().filter(|root| !root.voided) {
        match fault(rebuilt, root) {
            Some(fault) => compared.faults.push(fault),
            None => compared.agree += 1,
        }
    }
    let lacks = |epoch: &&EpochReport| epoch.posted.is_some() && !roots.iter().any(|root| root.epoch == epoch.epoch);
    for epoch in rebuilt.ledger.epochs().iter().filter(lacks) {
        compared.faults.push(format!("epoch {} is posted by the ledger, and not on the chain", epoch.epoch));
    }
    Ok(compared)
}

/// Why a root on the chain does not follow from the log.
fn fault(rebuilt: &Rebuilt, root: &PostedRoot) -> Option<String> {
    let number = root.epoch;
    let index = usize::try_from(number).ok();
    let Some(epoch) = index.and_then(|index| rebuilt.ledger.epochs().get(index)) else {
        return Some(format!("epoch {number} is on the chain, and not closed in the log: the log was cut short"));
    };
    if B256::from(epoch.root) != root.root {
        let ours = B256::from(epoch.root);
        return Some(format!("epoch {number} has root {} on the chain, {} by the log", root.root, ours));
    }
    if epoch.lifetime_total != root.lifetime_total {
        let (theirs, ours) = (esm(root.lifetime_total), esm(epoch.lifetime_total));
        return Some(format!("epoch {number} pays {theirs} in all on the chain, {ours} by the log"));
    }
    let known = rebuilt.hashes.contains(&root.file_hash.0);
    (!known)
        .then(|| format!("epoch {number} names a log with a line {}, which is not in this one", short(&root.file_hash)))
}

fn text(rebuilt: &Rebuilt, compared: Option<&Compared>, quiet: bool) -> String {
    let mut text = format!("{}: every entry is good\n", rebuilt.path.display());
    if !quiet {
        text += &show::overview(&rebuilt.ledger);
    }
    match compared {
        None => {}
        Some(compared) if compared.faults.is_empty() => {
            text += &format!("{}: {} posted there follow from the log\n", compared.chain, roots(compared.agree));
        }
        Some(compared) => {
            for fault in &compared.faults {
                text += &format!("{}: {fault}\n", compared.chain);
            }
        }
    }
    text
}

fn roots(count: u64) -> String {
    if count == 1 { "1 root".to_owned() } else { format!("all {count} roots") }
}
