//! From what a person wants to transactions: shown, tried or agreed to, sent, told.
//!
//! Promise: nothing is sent without `--yes` or a person's yes on a terminal; a dry run sends nothing; the steps
//! that were sent before one that failed are told. Output never cuts an act in two: its first words are printed
//! before anything is sent, and if they cannot be, nothing is; from then on every step is sent, and what cannot be
//! printed is told on standard error.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Result;
use chain::{Call, ChainError, Receipt, Wallet};
use serde_json::{Map, Value, json};

use super::place::{Access, Place};
use super::{refusal, signer, words, wrong_usage};
use crate::cli::SendArgs;
use crate::context::Context;
use crate::ending::Ending;
use record::output::{self, OutputError};

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

/// What is printed of an act while it is carried out: lines, or with `--json` one document, bit by bit.
pub(super) struct Telling {
    is_json: bool,
    /// Whether a person reads along.
    is_told: bool,
    /// The first fields of the document, once they are printed.
    first: Option<Map<String, Value>>,
    /// The first failure to print.
    fault: Option<OutputError>,
}

impl Telling {
    pub(super) fn new(context: &Context) -> Self {
        let (is_json, is_quiet) = (context.global.json, context.global.quiet);
        Self { is_json, is_told: !is_json && !is_quiet, first: None, fault: None }
    }

    /// Begins the document. Errors: standard output takes nothing, so nothing should be sent.
    pub(super) fn open(&mut self, place: &Place, wallet: &Wallet, send: &SendArgs) -> Result<(), OutputError> {
        if self.first.is_none() {
            let fields = [
                ("dry_run", json!(send.dry_run)),
                ("from", json!(wallet.address().to_string())),
                ("chain_id", json!(place.chain.chain_id())),
            ];
            let first: Map<_, _> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            if self.is_json {
                let text = json!(first).to_string();
                self.print(&text[..text.len() - 1]); // the brace comes with the rest
            }
            self.first = Some(first);
        }
        self.check()
    }

    /// Prints a line for whoever reads along.
    pub(super) fn line(&mut self, line: &str) {
        if self.is_told {
            self.print(&format!("{line}\n"));
        }
    }

    /// Ends the document, or tells people how things stand. Gives the whole document.
    fn close(&mut self, rest: &Map<String, Value>, lines: &[(&str, String)]) -> String {
        match self.is_json {
            true => self.print(&format!(",{}\n", &json!(rest).to_string()[1..])),
            false => self.print(&words::facts(lines)),
        }
        let fields = self.first.iter().flatten().chain(rest);
        json!(fields.collect::<BTreeMap<_, _>>()).to_string()
    }

    /// Prints; after a failure nothing more, for a gap would not be seen.
    fn print(&mut self, text: &str) {
        if self.fault.is_none() {
            self.fault = output::print(text).err();
        }
    }

    /// What stands against printing.
    pub(super) fn check(&mut self) -> Result<(), OutputError> {
        self.fault.take().map_or(Ok(()), Err)
    }
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
    carry_on(Telling::new(context), place, wallet, act, send, after)
}

/// The same where some of it is told already.
pub(super) fn carry_on(
    mut telling: Telling,
    place: &mut Place,
    wallet: &Wallet,
    act: &Act,
    send: &SendArgs,
    after: &dyn Fn(&Place) -> Result<After>,
) -> Result<Ending> {
    telling.line(&format!("{}\n  by {wallet}, on {}", act.words, place.name));
    telling.check()?;
    if !send.dry_run && !send.yes && !agreed(&question(act, place, telling.is_told && !output::is_closed()))? {
        output::note("nothing was sent");
        return Ok(Ending::Interrupted);
    }
    let price_wei = place.chain.gas_price_wei()?;
    telling.open(place, wallet, send)?;
    let mut told = Vec::new();
    let done = steps(place, wallet, act, send.dry_run, &mut |done, index| {
        telling.line(&line(&done, index, price_wei, send.dry_run));
        told.push(done);
    });
    let after = match done {
        Ok(()) => stand(place, send, after),
        Err(ref error) => After { lines: Vec::new(), facts: json!({ "error": output::message(error) }) },
    };
    let document = telling.close(&rest(act, &told, send.dry_run, &after), &after.lines);
    if send.dry_run || told.is_empty() {
        done?; // nothing was sent
        telling.line("dry run: nothing was sent");
        telling.check()?;
        return Ok(Ending::Done);
    }
    let untold = output::done(telling.check(), &document);
    if let (Err(_), Err(untold)) = (&done, &untold) {
        output::note(&untold.to_string()); // the error to end with is that of the step
    }
    done?;
    untold?;
    Ok(Ending::Done)
}

/// How things stand after all was done. That this cannot be asked undoes nothing, so it is a warning.
fn stand(place: &Place, send: &SendArgs, after: &dyn Fn(&Place) -> Result<After>) -> After {
    if send.dry_run && !place.is_local {
        return After::default(); // nothing has changed there
    }
    after(place).unwrap_or_else(|error| {
        let error = output::message(&error);
        output::note(&format!("warning: every step went through; how things stand now could not be asked: {error}"));
        After::default()
    })
}

/// Sends or tries one step after the other. Errors: the first that fails, with its place in the act.
fn steps(place: &mut Place, wallet: &Wallet, act: &Act, is_dry: bool, told: &mut dyn FnMut(Told, usize)) -> Result<()> {
    for (index, step) in act.steps.iter().enumerate() {
        let done = match is_dry && !place.is_local {
            true => estimate(place, wallet, step, index),
            false => perform(place, wallet, step),
        };
        let done = done.map_err(|error| {
            let words = position(act, index, is_dry, &error);
            refusal::explain(error, place.now_s().ok()).context(words)
        })?;
        told(done, index);
    }
    Ok(())
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
    output::ask(&format!("{question} [y/N] "))?;
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

/// The rest of the document. Of an act that failed half-way it has the steps that were done.
fn rest(act: &Act, told: &[Told], is_dry: bool, after: &After) -> Map<String, Value> {
    let step = |told: &Told| {
        let mut step = json!({ "what": told.words, "gas": told.gas });
        if let Some(receipt) = told.receipt.as_ref().filter(|_| !is_dry) {
            step["transaction"] = json!(receipt.transaction);
            step["block"] = json!(receipt.block);
        }
        step
    };
    let own = json!({ "act": act.words, "steps": told.iter().map(step).collect::<Vec<_>>() });
    let fields = [&own, &act.facts, &after.facts].into_iter().filter_map(Value::as_object).flatten();
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
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
