//! `essaim claim`: takes what the ledger owes, for oneself or for others.

use anyhow::{Context as _, Result, anyhow, bail};
use chain::contracts::LiveRoot;
use chain::{Address, B256, Wallet};
use ledger::Account;
use serde_json::json;

use super::account::{self, Names};
use super::act::{self, Act, After, Step};
use super::place::Place;
use super::proofs::{self, Sources};
use super::words::{esm, moment, some};
use super::wrong_usage;
use crate::claims::PartyClaim;
use crate::cli::ClaimArgs;
use crate::context::Context;
use crate::ending::Ending;

/// Looks up the proofs, compares them with the live root, and claims.
pub(super) fn claim(args: &ClaimArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let live = live(&place)?;
    let wanted = wanted(args, &place, &wallet, &live, context.global.quiet || context.global.json)?;
    let mut due: Vec<(PartyClaim, u64)> = Vec::new();
    for claim in wanted {
        proofs::check(&place, &claim, &live.root)?;
        let claimed = place.contracts.claimed(&*place.chain, Address::from(claim.account.0))?;
        match claim.lifetime.saturating_sub(claimed) {
            0 if args.all => {}
            0 => bail!("nothing is due to {}: all {} that it has earned were paid", claim.account, esm(claimed)),
            amount => due.push((claim, amount)),
        }
    }
    if due.is_empty() {
        bail!("nothing is due to anybody under the root of epoch {}", live.epoch);
    }
    let names = Names::of(&place)?;
    let step = |(claim, amount): &(PartyClaim, u64)| {
        let account = Address::from(claim.account.0);
        let call = place.contracts.claim(account, claim.lifetime, &claim.proof);
        Step::new(format!("{} for {}", esm(*amount), names.brief(&account)), call)
    };
    let steps: Vec<Step> = due.iter().map(step).collect();
    let total: u64 = due.iter().map(|(_, amount)| amount).sum();
    let words = match due.as_slice() {
        [(claim, amount)] => format!("claim {} for {}", esm(*amount), names.show(&Address::from(claim.account.0))),
        all => format!("claim {} for {}", esm(total), some(all.len() as u64, "account")),
    };
    let claims: Vec<_> =
        due.iter().map(|(claim, amount)| json!({ "account": claim.account, "paid": amount })).collect();
    let facts = json!({ "epoch": live.epoch, "root": live.root, "claims": claims, "paid": total });
    let accounts: Vec<Address> = due.iter().map(|(claim, _)| Address::from(claim.account.0)).collect();
    act::carry_out(&mut place, &wallet, &Act { words, steps, facts }, &args.send, context, &|place| {
        after(place, &names, &accounts)
    })
}

fn after(place: &Place, names: &Names, accounts: &[Address]) -> Result<After> {
    let [account] = accounts else { return Ok(After::default()) };
    let holds = place.contracts.balance(&*place.chain, *account)?;
    let lines = vec![("then", format!("{} holds {}", names.brief(account), esm(holds)))];
    Ok(After { lines, facts: json!({ "holds": holds }) })
}

/// The root against which claims are paid.
fn live(place: &Place) -> Result<LiveRoot> {
    if let Some(live) = place.contracts.live_root(&*place.chain)? {
        return Ok(live);
    }
    Err(match place.contracts.pending_root(&*place.chain)? {
        Some(pending) => anyhow!(
            "nothing can be claimed before the root of epoch {} is live: {}",
            pending.epoch,
            moment(pending.live_at_s, place.now_s()?)
        ),
        None => anyhow!("nothing can be claimed: no root was posted yet"),
    })
}

/// The claims that were asked for, with their proofs.
fn wanted(args: &ClaimArgs, place: &Place, wallet: &Wallet, live: &LiveRoot, quiet: bool) -> Result<Vec<PartyClaim>> {
    let account = match &args.account {
        Some(word) => account::find(word, place)?,
        None => wallet.address(),
    };
    if let (Some(lifetime), Some(proof)) = (args.lifetime, &args.proof) {
        let claim =
            PartyClaim { party: String::new(), account: Account(account.into()), lifetime, proof: hashes(proof)? };
        return Ok(vec![claim]);
    }
    let sources = Sources { claims: args.claims.as_deref(), ledger: args.ledger.as_deref() };
    let found = proofs::find(place, sources, &live.root, live.epoch, quiet)?;
    let found = found.ok_or_else(|| {
        wrong_usage(
            "where are the proofs? --claims FILE, --ledger LOG, or --lifetime with --proof as they were printed",
        )
    })?;
    let at = &place.contracts.addresses;
    if found.chain_id != at.chain_id || at.rewards != found.rewards.0 {
        bail!(
            "the proofs are for contract {} on chain {}, not for {} on chain {}",
            found.rewards,
            found.chain_id,
            at.rewards,
            at.chain_id
        );
    }
    if args.all {
        return Ok(found.claims);
    }
    let nothing = || format!("{account} has earned nothing by epoch {}", live.epoch);
    Ok(vec![found.claim(account).with_context(nothing)?.clone()])
}

/// A proof as it was printed.
fn hashes(text: &str) -> Result<Vec<B256>> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(|_| wrong_usage(format!("--proof: {word:?} is no hash of 0x and 64 digits"))))
        .collect()
}
