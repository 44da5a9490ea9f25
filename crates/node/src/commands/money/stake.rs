//! `essaim stake`, `unstake` and `chain transfer`: ESM that goes in, comes out, and changes hands.

use anyhow::{Result, bail, ensure};
use chain::Address;
use serde_json::json;

use super::account::{self, Names};
use super::act::{self, Act, After, Step};
use super::place::Place;
use super::words::{esm, moment, span};
use super::wrong_usage;
use crate::cli::{StakeArgs, TransferArgs, UnstakeArgs};
use crate::context::Context;
use crate::ending::Ending;

/// Puts ESM at stake, in one transaction: the permission to take it is signed along.
pub(super) fn stake(args: &StakeArgs, context: &Context) -> Result<Ending> {
    some_amount(args.amount)?;
    let (mut place, wallet) = act::open(&args.send)?;
    let own = wallet.address();
    let staker = args.account.as_ref().map(|word| account::find(word, &place)).transpose()?.unwrap_or(own);
    enough(&place, own, args.amount, "to stake")?;
    let names = Names::of(&place)?;
    let (contracts, chain) = (place.contracts, &*place.chain);
    let amount = esm(args.amount);
    let steps = if staker == own {
        vec![Step::new(
            format!("put {amount} into the vault"),
            contracts.stake_with_permit(chain, &wallet, args.amount)?,
        )]
    } else {
        let vault = contracts.addresses.vault;
        let mut steps = Vec::new();
        if contracts.allowance(chain, own, vault)? < args.amount {
            steps.push(Step::new(format!("let the vault take {amount}"), contracts.approve(vault, args.amount)));
        }
        steps.push(Step::new(format!("put {amount} into the vault"), contracts.stake_for(staker, args.amount)));
        steps
    };
    let words = format!("stake {amount} as {}", names.show(&staker));
    let act = Act { words, steps, facts: json!({ "account": staker.to_string(), "amount": args.amount }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| position(place, staker))
}

/// Begins to leave, takes out what has left, or stays.
pub(super) fn unstake(args: &UnstakeArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let own = wallet.address();
    let position_now = place.contracts.position(&*place.chain, own)?;
    let (words, step, amount) = if let Some(amount) = args.amount {
        some_amount(amount)?;
        let active = position_now.active;
        ensure!(amount <= active, "{own} has {} at stake, given {}", esm(active), esm(amount));
        let words = format!("begin to leave with {}", esm(amount));
        (words, Step::new("start the cooldown", place.contracts.request_leave(amount)), amount)
    } else {
        ensure!(position_now.leaving > 0, "nothing of {own} is leaving: `essaim unstake AMOUNT` begins it");
        let leaving = position_now.leaving;
        match args.cancel {
            true => {
                let words = format!("put {} that are leaving back to work", esm(leaving));
                (words, Step::new("stay", place.contracts.cancel_leave()), leaving)
            }
            false => {
                let free = ready(&place, position_now)?;
                (
                    format!("withdraw {}", esm(free)),
                    Step::new("take it out of the vault", place.contracts.withdraw()),
                    free,
                )
            }
        }
    };
    let facts = json!({ "account": own.to_string(), "amount": amount });
    let act = Act { words, steps: vec![step], facts };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| position(place, own))
}

/// What can be withdrawn now. Errors: why nothing can.
fn ready(place: &Place, position: chain::contracts::Position) -> Result<u64> {
    let now_s = place.now_s()?;
    if now_s < position.leave_at_s {
        bail!(
            "{} can be withdrawn from {}{}",
            esm(position.leaving),
            moment(position.leave_at_s, now_s),
            match place.is_local {
                true => format!("; `essaim chain advance {}s` lets that time pass", position.leave_at_s - now_s),
                false => String::new(),
            }
        );
    }
    // An accusation takes from what is at work first.
    let all = position.active.saturating_add(position.leaving);
    let free = position.leaving.min(all.saturating_sub(position.reserved));
    ensure!(free > 0, "an open accusation holds {} back", esm(position.reserved));
    Ok(free)
}

/// How an account's stake stands.
fn position(place: &Place, account: Address) -> Result<After> {
    let position = place.contracts.position(&*place.chain, account)?;
    let mut lines = vec![("at stake", esm(position.active))];
    if position.leaving > 0 {
        let now_s = place.now_s()?;
        let wait = match position.leave_at_s.checked_sub(now_s) {
            Some(seconds) if seconds > 0 => format!("; --withdraw works in {}", span(seconds)),
            _ => "; --withdraw takes it out".to_owned(),
        };
        lines.push(("leaving", esm(position.leaving) + &wait));
    }
    if position.reserved > 0 {
        lines.push(("held back", format!("{} by accusations", esm(position.reserved))));
    }
    let holds = place.contracts.balance(&*place.chain, account)?;
    lines.push(("holds", esm(holds)));
    Ok(After { lines, facts: stake_facts(position, holds) })
}

fn stake_facts(position: chain::contracts::Position, holds: u64) -> serde_json::Value {
    json!({
        "active": position.active,
        "leaving": position.leaving,
        "reserved": position.reserved,
        "leave_at_s": position.leave_at_s,
        "holds": holds,
    })
}

/// Hands ESM to another account.
pub(super) fn transfer(args: &TransferArgs, context: &Context) -> Result<Ending> {
    some_amount(args.amount)?;
    let (mut place, wallet) = act::open(&args.send)?;
    let to = account::find(&args.to, &place)?;
    enough(&place, wallet.address(), args.amount, "to hand over")?;
    let names = Names::of(&place)?;
    let words = format!("hand {} to {}", esm(args.amount), names.show(&to));
    let steps = vec![Step::new("transfer", place.contracts.transfer(to, args.amount))];
    let act = Act { words, steps, facts: json!({ "to": to.to_string(), "amount": args.amount }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| {
        let holds = place.contracts.balance(&*place.chain, to)?;
        Ok(After {
            lines: vec![("then", format!("{} holds {}", names.brief(&to), esm(holds)))],
            facts: json!({ "holds": holds }),
        })
    })
}

fn some_amount(amount: u64) -> Result<()> {
    if amount == 0 { Err(wrong_usage("an amount of 0 ESM moves nothing")) } else { Ok(()) }
}

/// Whether an account holds what it is going to spend.
pub(super) fn enough(place: &Place, account: Address, needed: u64, what_for: &str) -> Result<()> {
    let holds = place.contracts.balance(&*place.chain, account)?;
    ensure!(holds >= needed, "{account} holds {}, and {} are needed {what_for}", esm(holds), esm(needed));
    Ok(())
}
