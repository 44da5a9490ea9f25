//! `essaim balance`: what an account holds, has at stake, has earned and can claim.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use chain::bindings::EssaimToken::EssaimTokenEvents;
use chain::{Address, Event, Filter};
use serde_json::json;

use super::account::{self, Names};
use super::place::{Access, Place};
use super::proofs::{self, Sources};
use super::words::{esm, facts, moment, some, table};
use super::{signer, wrong_usage};
use crate::cli::BalanceArgs;
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// Asks and prints.
pub(super) fn balance(args: &BalanceArgs, context: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    if args.all {
        return everybody(&place, context);
    }
    let account = match &args.account {
        Some(word) => account::find(word, &place)?,
        None => match signer::named(&args.signer, Some(&place))? {
            Some(wallet) => wallet.address(),
            None => return Err(wrong_usage("whose? an ACCOUNT, --all, or a wallet")),
        },
    };
    let sources = Sources { claims: args.claims.as_deref(), ledger: args.ledger.as_deref() };
    one(&place, account, sources, context)
}

fn one(place: &Place, account: Address, sources: Sources<'_>, context: &Context) -> Result<Ending> {
    let (contracts, chain) = (&place.contracts, &*place.chain);
    let holds = contracts.balance(chain, account)?;
    let position = contracts.position(chain, account)?;
    let claimed = contracts.claimed(chain, account)?;
    let live = contracts.live_root(chain)?;
    let quiet = context.global.quiet || context.global.json;
    let earned = match &live {
        Some(live) => proofs::find(place, sources, &live.root, live.epoch, quiet)?
            .filter(|proofs| proofs.root == live.root)
            .map(|proofs| proofs.claim(account).map_or(0, |claim| claim.lifetime)),
        None => None,
    };
    let due = earned.map(|earned| earned.saturating_sub(claimed));
    if context.global.json {
        let document = json!({
            "account": account.to_string(), "chain_id": chain.chain_id(), "holds": holds, "active": position.active,
            "leaving": position.leaving, "leave_at_s": position.leave_at_s, "reserved": position.reserved,
            "earned": earned, "claimed": claimed, "claimable": due, "epoch": live.map(|live| live.epoch),
        });
        output::print_line(&document.to_string())?;
        return Ok(Ending::Done);
    }
    let leaving = match position.leaving {
        0 => esm(0),
        leaving => format!("{}, withdrawn from {}", esm(leaving), moment(position.leave_at_s, place.now_s()?)),
    };
    let unknown = || "not known here: --claims or --ledger tells".to_owned();
    let earned = match (earned, live) {
        (Some(earned), Some(live)) => format!("{} by the root of epoch {}", esm(earned), live.epoch),
        (None, None) => "nothing: no root is live".to_owned(),
        _ => unknown(),
    };
    let head = format!("{}\n  on {}\n", Names::of(place)?.show(&account), place.name);
    let lines = [
        ("holds", esm(holds)),
        ("at stake", esm(position.active)),
        ("leaving", leaving),
        ("held back", format!("{} by accusations", esm(position.reserved))),
        ("earned", earned),
        ("claimed", esm(claimed)),
        ("can claim", due.map_or_else(unknown, esm)),
    ];
    output::print(&(head + &facts(&lines)))?;
    Ok(Ending::Done)
}

/// Everybody who ever got ESM, from the token's own events, and what they hold now.
fn everybody(place: &Place, context: &Context) -> Result<Ending> {
    let (contracts, chain) = (&place.contracts, &*place.chain);
    let names = Names::of(place)?;
    let mut rows = Vec::new();
    for account in holders(place)? {
        let holds = contracts.balance(chain, account)?;
        let position = contracts.position(chain, account)?;
        if holds > 0 || position.active + position.leaving > 0 {
            rows.push((account, holds, position.active + position.leaving));
        }
    }
    rows.sort_by_key(|(account, holds, _)| (std::cmp::Reverse(*holds), *account));
    let sum: u64 = rows.iter().map(|(_, holds, _)| holds).sum();
    let supply = contracts.total_supply(chain)?;
    if context.global.json {
        let holder = |(account, holds, stake): &(Address, u64, u64)| json!({ "account": account.to_string(), "name": names.name(account), "holds": holds, "stake": stake });
        let holders: Vec<_> = rows.iter().map(holder).collect();
        let document = json!({ "holders": holders, "sum": sum, "supply": supply, "is_good": sum == supply });
        output::print_line(&document.to_string())?;
    } else {
        let cells = |(account, holds, stake): &(Address, u64, u64)| {
            let stake = if *stake == 0 { "–".to_owned() } else { esm(*stake) };
            vec![names.name(account).unwrap_or("").to_owned(), account.to_string(), esm(*holds), stake]
        };
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        let sums = format!("  {} hold {}; there are {}", some(rows.len() as u64, "account"), esm(sum), esm(supply));
        output::print_line(&(table(&["who", "account", "#holds", "#of the vault's"], &cells) + &sums))?;
    }
    if sum != supply {
        bail!("what all hold is not all there is: {} and {}", esm(sum), esm(supply));
    }
    Ok(Ending::Done)
}

/// Accounts that tokens were ever sent to.
fn holders(place: &Place) -> Result<BTreeSet<Address>> {
    let at = &place.contracts.addresses;
    let to = place.chain.head()?.number;
    let logs = place.chain.logs(&Filter { addresses: vec![at.token], signatures: Vec::new(), from: at.block, to })?;
    let mut accounts = BTreeSet::new();
    for log in &logs {
        if let Some(Event::Token(EssaimTokenEvents::Transfer(transfer))) = place.contracts.event(log)? {
            accounts.insert(transfer.to);
        }
    }
    accounts.remove(&Address::ZERO);
    Ok(accounts)
}
