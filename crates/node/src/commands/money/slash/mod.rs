//! `essaim slash`: cases about stake, from the accusation to the end.

mod ruling;
mod tell;

use anyhow::{Context as _, Result, bail, ensure};
use chain::contracts::{Case, CaseKind, Outcome};
use chain::{Address, B256, Wallet};
use ledger::{Account, PartyReport, keccak256};
use protocol::Party;
use serde_json::json;

use super::account::{self, Names};
use super::act::{self, Act, After, Step};
use super::epoch::ledger;
use super::log::Rebuilt;
use super::place::Place;
use super::stake::enough;
use super::words::{esm, short};
use super::wrong_usage;
use crate::cli::{AnswerArgs, CaseActArgs, EvidenceArgs, OpenArgs, SlashCommand};
use crate::context::Context;
use crate::ending::Ending;

/// Largest file of evidence that is hashed.
const EVIDENCE_BYTES_MAX: u64 = 1 << 30;

/// Runs one of the commands about cases.
pub(super) fn slash(command: &SlashCommand, context: &Context) -> Result<Ending> {
    match command {
        SlashCommand::List(args) => tell::list(args, context),
        SlashCommand::Show(args) => tell::show(args, context),
        SlashCommand::Open(args) => open(args, context),
        SlashCommand::Answer(args) => answer(args, context),
        SlashCommand::Sign(args) => ruling::sign(args, context),
        SlashCommand::Rule(args) => ruling::rule(args, context),
        SlashCommand::Appeal(args) => appeal(args, context),
        SlashCommand::Execute(args) => act_on(args, context, Closing::Execute),
        SlashCommand::Expire(args) => act_on(args, context, Closing::Expire),
        SlashCommand::Cancel(args) => act_on(args, context, Closing::Cancel),
    }
}

/// The hash that goes on the chain for what was named; none if nothing was.
pub(super) fn evidence(args: &EvidenceArgs) -> Result<Option<B256>> {
    let Some(path) = &args.evidence_file else { return Ok(args.evidence) };
    let named = || format!("cannot read the evidence {}", path.display());
    let bytes = std::fs::metadata(path).with_context(named)?.len();
    ensure!(bytes <= EVIDENCE_BYTES_MAX, "{}: limit {EVIDENCE_BYTES_MAX} bytes, given {bytes}", path.display());
    Ok(Some(B256::from(keccak256(&std::fs::read(path).with_context(named)?))))
}

/// Lets the court take a bond, if it may not yet.
pub(super) fn bond_steps(place: &Place, wallet: &Wallet, bond: u64) -> Result<Vec<Step>> {
    let court = place.contracts.addresses.court;
    let allowed = place.contracts.allowance(&*place.chain, wallet.address(), court)?;
    let approve =
        || Step::new(format!("let the court take the bond of {}", esm(bond)), place.contracts.approve(court, bond));
    Ok((allowed < bond).then(approve).into_iter().collect())
}

/// The case of this number.
fn case(place: &Place, number: u64) -> Result<Case> {
    place.contracts.case(&*place.chain, number)?.with_context(|| format!("there is no case {number}"))
}

/// Accuses.
fn open(args: &OpenArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let accused = account::find(&args.accused, &place)?;
    let given = evidence(&args.evidence)?;
    let fine = match (args.amount, given) {
        (Some(_), Some(_)) => None, // nothing is left for the ledger to say
        _ => fine(&place, args, accused, context)?,
    };
    let amount = args.amount.or(fine.as_ref().map(|fine| fine.amount));
    let evidence = given.or(fine.as_ref().map(|fine| fine.evidence));
    let (Some(amount), Some(evidence)) = (amount, evidence) else {
        return Err(wrong_usage(
            "how much, and what for? AMOUNT with --evidence or --evidence-file, or a ledger that holds the fine",
        ));
    };
    ensure!(amount > 0, "the fine costs no stake");
    if fine.is_some() {
        not_tried(&place, accused, &evidence)?;
    }
    let position = place.contracts.position(&*place.chain, accused)?;
    let free = position.active.saturating_add(position.leaving);
    ensure!(free >= amount, "{accused} has {} of stake, given {}", esm(free), esm(amount));
    let bond = place.contracts.bond_for(&*place.chain, amount)?;
    enough(&place, wallet.address(), bond, "for the bond")?;
    let names = Names::of(&place)?;
    let reason = fine.map_or(String::new(), |fine| format!(" for {}", fine.check));
    let words = format!("accuse {}{reason} over {} with a bond of {}", names.show(&accused), esm(amount), esm(bond));
    let mut steps = bond_steps(&place, &wallet, bond)?;
    steps.push(Step::new("bring the case", place.contracts.open_case(accused, amount, evidence)));
    let facts = json!({ "accused": accused.to_string(), "amount": amount, "bond": bond, "evidence": evidence });
    act::carry_out(&mut place, &wallet, &Act { words, steps, facts }, &args.send, context, &newest)
}

/// A fine is tried once. A case on which nobody ruled, or that was stopped, does not count.
fn not_tried(place: &Place, accused: Address, evidence: &B256) -> Result<()> {
    for number in 1..=place.contracts.case_count(&*place.chain)? {
        let case = case(place, number)?;
        let counts = !matches!(case.outcome, Some(Outcome::Expired | Outcome::Cancelled));
        ensure!(
            !(counts && case.accused == accused && case.evidence == *evidence),
            "case {number} is about the same fine: {}; AMOUNT with --evidence accuses all the same",
            tell::state(&case, place.now_s()?)
        );
    }
    Ok(())
}

/// How the newest case stands.
fn newest(place: &Place) -> Result<After> {
    let number = place.contracts.case_count(&*place.chain)?;
    standing(place, number)
}

fn standing(place: &Place, number: u64) -> Result<After> {
    let case = case(place, number)?;
    let lines = vec![("case", format!("{number}, {}", tell::state(&case, place.now_s()?)))];
    Ok(After { lines, facts: json!({ "case": tell::facts(&case) }) })
}

/// What a ledger says of a liar.
struct Fine {
    check: String,
    amount: u64,
    evidence: B256,
}

/// The fine of an account in the ledger; none without a ledger. Errors if the ledger knows of no fine.
fn fine(place: &Place, args: &OpenArgs, accused: Address, context: &Context) -> Result<Option<Fine>> {
    let quiet = context.global.quiet || context.global.json;
    let Some(Rebuilt { ledger, fines, .. }) = ledger(place, args.ledger.as_deref(), quiet)? else { return Ok(None) };
    let is_accused = |(_, report): &(&Party, &PartyReport)| report.account == Account(accused.into());
    let (party, report) =
        ledger.parties().iter().find(is_accused).with_context(|| format!("the ledger knows no {accused}"))?;
    let slash = &ledger.terms().economy.slash;
    let stake = report.stake.saturating_add(report.slashed);
    let costs = |check: &protocol::Check| (slash.amount(*check, stake), *check);
    let worst = report.fines.iter().map(costs).max_by_key(|(amount, _)| *amount);
    match (worst, fines.get(party)) {
        (Some((amount, check)), Some(hash)) => {
            Ok(Some(Fine { check: check.to_string(), amount, evidence: B256::from(*hash) }))
        }
        _ => bail!("by the ledger {party} was fined for nothing"),
    }
}

/// The accused's answer.
fn answer(args: &AnswerArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let number = args.case;
    case(&place, number)?;
    let answer = evidence(&args.evidence)?
        .ok_or_else(|| wrong_usage("what is the answer? --evidence HASH or --evidence-file FILE"))?;
    let words = format!("answer case {number} with {}", short(&answer));
    let steps = vec![Step::new("answer", place.contracts.respond(number, answer))];
    let act = Act { words, steps, facts: json!({ "answer": answer }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| standing(place, number))
}

/// The convicted's appeal, with a bond as large as the challenger's.
fn appeal(args: &AnswerArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let number = args.case;
    let bond = case(&place, number)?.bond;
    let reasons = evidence(&args.evidence)?
        .ok_or_else(|| wrong_usage("what are the reasons? --evidence HASH or --evidence-file FILE"))?;
    enough(&place, wallet.address(), bond, "for the bond of the appeal")?;
    let mut steps = bond_steps(&place, &wallet, bond)?;
    steps.push(Step::new("appeal", place.contracts.appeal(number, reasons)));
    let words = format!("appeal in case {number} with a bond of {}", esm(bond));
    let act = Act { words, steps, facts: json!({ "bond": bond, "reasons": reasons }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| standing(place, number))
}

/// The ways to close a case without a ruling.
#[derive(Clone, Copy)]
enum Closing {
    Execute,
    Expire,
    Cancel,
}

fn act_on(args: &CaseActArgs, context: &Context, closing: Closing) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let number = args.case;
    let now = case(&place, number)?;
    let about = match now.kind {
        CaseKind::Stake => format!("{} of {}", esm(now.amount), Names::of(&place)?.show(&now.accused)),
        CaseKind::Root => format!("the root of epoch {}", now.epoch),
    };
    let (words, step, call) = match closing {
        Closing::Execute => {
            (format!("carry out case {number}"), "take the stake", place.contracts.execute_case(number))
        }
        Closing::Expire => {
            (format!("close case {number}, on which nobody ruled"), "close it", place.contracts.expire_case(number))
        }
        Closing::Cancel => (format!("stop case {number}"), "stop it", place.contracts.cancel_case(number)),
    };
    let act = Act { words: format!("{words}: {about}"), steps: vec![Step::new(step, call)], facts: json!({}) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| standing(place, number))
}
