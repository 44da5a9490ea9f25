//! From what a person wants to transactions: shown, tried or agreed to, sent, told.
//!
//! Promise: nothing is sent without `--yes` or a person's yes on a terminal; a dry run sends nothing; the steps
//! that were sent before one that failed are told.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Result;
use chain::{Call, ChainError, Receipt, Wallet};
use serde_json::{Map, Value, json};

use super::place::{Access, Place};
use super::{refusal, signer, words, wrong_usage};
use crate::cli::{Context, Ending, SendArgs};

/// One transaction.
pub(super) struct Step {
    /// What it does.
    pub(super) words: String,
    /// The call.
    pub(super) call: Call,
}

impl Step {
    pub(super) fn new(words: impl Into<String>, call: Call) -> Self {
        Self { words: words.into(), call }
    }
}

/// What is to be done, in one or more transactions, each resting on the one before.
pub(super) struct Act {
    /// What a person is asked to agree to.
    pub(super) words: String,
    /// The transactions.
    pub(super) steps: Vec<Step>,
    /// What `--json` tells besides.
    pub(super) facts: Value,
}

/// How things stand after it.
#[derive(Default)]
pub(super) struct After {
    /// For people.
    pub(super) lines: Vec<(&'static str, String)>,
    /// For programs.
    pub(super) facts: Value,
}

/// What one step came to.
struct Told {
    words: String,
    gas: Option<u64>,
    receipt: Option<Receipt>,
}

/// Opens the place and the wallet of a command that sends.
pub(super) fn open(send: &SendArgs) -> Result<(Place, Wallet)> {
    if !send.dry_run && !send.yes && !std::io::stdin().is_terminal() {
        return Err(nobody_to_ask());
    }
    let place = Place::open(&send.place, if send.dry_run { Access::Try } else { Access::Act })?;
    let wallet = signer::wallet(&send.signer, &place)?;
    Ok((place, wallet))
}

fn nobody_to_ask() -> anyhow::Error {
    wrong_usage("there is no terminal to ask on: --yes sends without asking, --dry-run only tries")
}

/// Does it, or tries it, and tells how things stand after it.
pub(super) fn carry_out(
    place: &mut Place,
    wallet: &Wallet,
    act: &Act,
    send: &SendArgs,
    context: &Context,
    after: &dyn Fn(&Place) -> Result<After>,
) -> Result<Ending> {
    let is_told = !context.global.json && !context.global.quiet;
    if is_told {
        println!("{}\n  by {wallet}, on {}", act.words, place.name);
    }
    if !send.dry_run && !send.yes && !agreed(&question(act, place, is_told))? {
        eprintln!("nothing was sent");
        return Ok(Ending::Interrupted);
    }
    let price_wei = place.chain.gas_price_wei()?;
    let mut told = Vec::new();
    for (index, step) in act.steps.iter().enumerate() {
        let done = match send.dry_run && !place.is_local {
            true => estimate(place, wallet, step, index),
            false => perform(place, wallet, step),
        };
        let done = done.map_err(|error| {
            let words = position(act, index, send.dry_run, &error);
            refusal::explain(error, place.now_s().ok()).context(words)
        })?;
        if is_told {
            println!("{}", line(&done, index, price_wei, send.dry_run));
        }
        told.push(done);
    }
    // On a chain behind an address nothing has changed by a dry run.
    let after = if send.dry_run && !place.is_local { After::default() } else { after(place)? };
    match context.global.json {
        true => println!("{}", document(place, wallet, act, &told, send.dry_run, &after)),
        false => {
            print!("{}", words::facts(&after.lines));
            if send.dry_run && is_told {
                println!("dry run: nothing was sent");
            }
        }
    }
    Ok(Ending::Done)
}

/// What a person is asked, who may not have seen yet what it is about.
fn question(act: &Act, place: &Place, is_told: bool) -> String {
    let count = words::some(act.steps.len() as u64, "transaction");
    match is_told {
        true => format!("send {count}?"),
        false => format!("{}, on {}: send {count}?", act.words, place.name),
    }
}

/// Asks on the terminal; anything but yes is no.
pub(super) fn agreed(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(nobody_to_ask());
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Sends a step, on the chain or on a copy of it.
fn perform(place: &mut Place, wallet: &Wallet, step: &Step) -> Result<Told, ChainError> {
    let receipt = place.chain.send(wallet, step.call.clone())?;
    Ok(Told { words: step.words.clone(), gas: Some(receipt.gas_used), receipt: Some(receipt) })
}

/// What a step would take; one that rests on another cannot be tried before that is sent.
fn estimate(place: &Place, wallet: &Wallet, step: &Step, index: usize) -> Result<Told, ChainError> {
    let gas = match index {
        0 => Some(place.chain.estimate(wallet.address(), &step.call)?),
        _ => None,
    };
    Ok(Told { words: step.words.clone(), gas, receipt: None })
}

/// Where in the act it went wrong, and what is known of the step's transaction.
fn position(act: &Act, index: usize, is_dry: bool, error: &ChainError) -> String {
    let what = &act.steps[index].words;
    let step = format!("step {} of {}", index + 1, act.steps.len());
    let before = if index == 0 { "" } else { "; the steps before it were done" };
    match error {
        ChainError::Reverted { .. } | ChainError::Halted { .. } | ChainError::NoGas { .. } if is_dry => {
            format!("this would be refused: {what}")
        }
        _ if is_dry => format!("this could not be tried: {what}"),
        ChainError::Reverted { transaction: Some(hash), .. } => {
            format!("{step} was sent and refused ({what}): its gas is spent, in transaction {hash}{before}")
        }
        ChainError::Stuck { .. } | ChainError::Uncertain { .. } => {
            format!("it is not known whether {step} was done ({what}){before}")
        }
        _ if index == 0 => format!("nothing was sent: {what}"),
        _ => format!("{step} was not sent ({what}){before}"),
    }
}

fn line(told: &Told, index: usize, price_wei: u128, is_dry: bool) -> String {
    let mut text = format!("  {}. {}", index + 1, told.words);
    match told.gas {
        Some(gas) => text += &format!(": {} gas", words::count(gas)),
        None => text += ": rests on the step before, so it can be tried only after it",
    }
    if let Some(gas) = told.gas.filter(|_| price_wei > 0) {
        // For people, who need no more than three digits of it.
        text += &format!(" ({:.3e} of the chain's coin)", gas as f64 * price_wei as f64 / 1e18);
    }
    match &told.receipt {
        Some(receipt) if !is_dry => {
            text + &format!(", block {}, transaction {}", receipt.block, words::short(&receipt.transaction))
        }
        _ => text,
    }
}

fn document(place: &Place, wallet: &Wallet, act: &Act, told: &[Told], is_dry: bool, after: &After) -> Value {
    let step = |told: &Told| {
        let mut step = json!({ "what": told.words, "gas": told.gas });
        if let Some(receipt) = told.receipt.as_ref().filter(|_| !is_dry) {
            step["transaction"] = json!(receipt.transaction);
            step["block"] = json!(receipt.block);
        }
        step
    };
    let mut document = json!({
        "act": act.words,
        "dry_run": is_dry,
        "from": wallet.address().to_string(),
        "chain_id": place.chain.chain_id(),
        "steps": told.iter().map(step).collect::<Vec<_>>(),
    });
    let more = [&act.facts, &after.facts].into_iter().filter_map(Value::as_object);
    let more: Map<String, Value> = more.flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    document.as_object_mut().expect("an object was just made").extend(more);
    document
}

#[cfg(test)]
mod tests {
    use chain::{B256, Revert, StuckCause};

    use super::*;

    #[test]
    fn what_was_handed_over_is_never_told_as_not_sent() {
        let step = |words: &str| Step::new(words, Call::to(chain::Address::ZERO, Vec::new()));
        let steps = vec![step("approve"), step("stake")];
        let act = Act { words: "stake".into(), steps, facts: Value::Null };
        let (transaction, nonce) = (B256::repeat_byte(7), 3);
        let stuck = ChainError::Stuck { transaction, nonce, seconds: 300, cause: StuckCause::Queued };
        let uncertain =
            ChainError::Uncertain { host: "host".into(), transaction, nonce, cause: "the line is dead".into() };
        for error in [stuck, uncertain] {
            let words = position(&act, 1, false, &error);
            assert_eq!(words, "it is not known whether step 2 of 2 was done (stake); the steps before it were done");
        }
        let failed = |transaction| ChainError::Reverted { reason: Revert::new(chain::Bytes::new()), transaction };
        let words = position(&act, 0, false, &failed(Some(transaction)));
        assert!(words.starts_with("step 1 of 2 was sent and refused (approve)"), "{words}");
        assert!(words.contains(&transaction.to_string()), "{words}");
        assert_eq!(position(&act, 0, false, &failed(None)), "nothing was sent: approve");
        assert_eq!(position(&act, 0, true, &failed(None)), "this would be refused: approve");
        let busy = ChainError::Busy { account: chain::Address::ZERO, waiting: 1, seconds: 300 };
        assert_eq!(position(&act, 1, false, &busy), "step 2 of 2 was not sent (stake); the steps before it were done");
        assert_eq!(position(&act, 0, true, &busy), "this could not be tried: approve");
    }
}
