//! `essaim ledger show`: what a ledger adds up to, as tables.

use anyhow::{Context as _, Result, ensure};
use chain::B256;
use ledger::{Account, EpochReport, Ledger, PartyReport, Payout, Pool};
use protocol::Party;
use serde_json::{Value, json};

use super::log;
use super::words::{count, esm, facts, short, some, table};
use super::wrong_usage;
use crate::claims::ClaimsFile;
use crate::cli::ShowArgs;
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// Epochs that are listed one by one; of more, the first and the last.
const EPOCHS_SHOWN: usize = 40;

/// Rebuilds the ledger and prints what was asked for.
pub(super) fn show(args: &ShowArgs, context: &Context) -> Result<Ending> {
    let rebuilt = log::read(&args.log, context.global.quiet || context.global.json)?;
    let ledger = &rebuilt.ledger;
    if let Some(epoch) = args.epoch {
        let closed = ledger.epoch();
        ensure!(epoch < closed, "epoch {epoch} is not closed: {} are", some(closed, "epoch"));
    }
    if let Some(file) = &args.claims {
        let claims = ClaimsFile::of(ledger, args.epoch.or(ledger.epoch().checked_sub(1)));
        claims.write(file)?;
        if !context.global.json && !context.global.quiet {
            output::note(&format!("{} written to {}", some(claims.claims.len() as u64, "proof"), file.display()));
        }
    }
    let (document, text) = match (&args.account, args.epoch) {
        (Some(word), epoch) => one_account(ledger, word, epoch)?,
        (None, Some(epoch)) => one_epoch(ledger, epoch)?,
        (None, None) => (serde_json::to_value(ledger.report())?, overview(ledger)),
    };
    context.answer(|| document, || text)?;
    Ok(Ending::Done)
}

/// The whole ledger: who signs it, epochs, parties.
pub(super) fn overview(ledger: &Ledger) -> String {
    let terms = ledger.terms();
    let posted = match ledger.posted() {
        Some(epoch) => format!("epoch {epoch} is the newest on the chain"),
        None => "none is on the chain".to_owned(),
    };
    let head = facts(&[
        ("run", short(&B256::from(ledger.run_id()))),
        ("signed by", format!("key {} (compare it with the one you know)", hex::encode(terms.run.orchestrator.0))),
        ("paid by", format!("contract {} on chain {}", terms.rewards, terms.chain_id)),
        ("entries", entries(ledger)),
        ("epochs", format!("{} closed; {posted}; {} since", ledger.epoch(), some(ledger.steps_open(), "step"))),
        ("earned", format!("{} by {}", esm(ledger.lifetime_total()), some(ledger.lifetimes().len() as u64, "account"))),
    ]);
    format!("{head}\n{}\n{}", epochs(ledger.epochs()), parties(ledger))
}

fn entries(ledger: &Ledger) -> String {
    let hash = short(&B256::from(ledger.head()));
    let unsigned = match ledger.unsigned() {
        0 => String::new(),
        number => format!("; it has not signed the last {} yet", count(number)),
    };
    format!("{}, hash {hash}{unsigned}", count(ledger.entries()))
}

fn epochs(epochs: &[EpochReport]) -> String {
    if epochs.is_empty() {
        return "  no epoch is closed yet\n".to_owned();
    }
    let cells = |epoch: &EpochReport| {
        let posted = epoch.posted.map_or("–".to_owned(), |(block, _)| format!("block {block}"));
        vec![
            epoch.epoch.to_string(),
            epoch.steps.to_string(),
            esm(epoch.budget),
            esm(epoch.lifetime_total),
            epoch.payees.to_string(),
            short(&B256::from(epoch.root)),
            posted,
        ]
    };
    let mut rows: Vec<Vec<String>> = epochs.iter().take(EPOCHS_SHOWN).map(cells).collect();
    if let Some(last) = epochs.get(EPOCHS_SHOWN..).and_then(<[_]>::last) {
        rows.push(vec!["…".to_owned()]);
        rows.push(cells(last));
    }
    table(&["#epoch", "#steps", "#budget", "#earned since the beginning", "#payees", "root", "on the chain"], &rows)
}

fn parties(ledger: &Ledger) -> String {
    let row = |(party, report): (&Party, &PartyReport)| {
        let fines: Vec<String> = report.fines.iter().map(ToString::to_string).collect();
        vec![
            party.to_string(),
            report.account.to_string(),
            did(*party, report),
            nothing_as_dash(report.faults, count),
            esm(report.earned),
            nothing_as_dash(report.stake.saturating_add(report.slashed), esm),
            nothing_as_dash(report.slashed, esm),
            fines.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = ledger.parties().iter().map(row).collect();
    table(&["who", "account", "#did", "#faults found", "#earned", "#stake", "#lost", "fined for"], &rows)
}

fn did(party: Party, report: &PartyReport) -> String {
    match party {
        Party::Worker(_) => some(report.tokens, "token"),
        Party::Validator(_) => some(report.checks, "check"),
        Party::Trainer => some(report.steps, "step"),
        Party::Treasury => String::new(),
    }
}

fn nothing_as_dash(number: u64, show: impl Fn(u64) -> String) -> String {
    if number == 0 { "–".to_owned() } else { show(number) }
}

/// Who was paid what in an epoch, for what.
fn one_epoch(ledger: &Ledger, number: u64) -> Result<(Value, String)> {
    let index = usize::try_from(number)?;
    let epoch = ledger.epochs().get(index).context("the epoch is closed")?;
    let row = |payout: &Payout| {
        vec![
            payout.party.to_string(),
            payout.account.to_string(),
            pool(payout.pool).to_owned(),
            units(payout),
            esm(payout.amount),
        ]
    };
    let rows: Vec<Vec<String>> = epoch.payouts.iter().map(row).collect();
    let head = format!(
        "epoch {number}: {} for {}, root {}\n",
        esm(epoch.budget),
        some(epoch.steps, "step"),
        B256::from(epoch.root)
    );
    Ok((serde_json::to_value(epoch)?, head + &table(&["who", "account", "pool", "#for", "#paid"], &rows)))
}

/// What a payment was for. Workers' shares are of their tokens, unless validators differ about them.
fn units(payout: &Payout) -> String {
    match payout.pool {
        Pool::Workers => count(payout.units),
        Pool::Checks => some(payout.units, "point"),
        // For people: units of 2^-32 as per cent.
        Pool::Dividends => format!("{:.2} %", payout.units as f64 * 100.0 / 2f64.powi(32)),
        Pool::Trainer => some(payout.units, "step"),
        Pool::Treasury => String::new(),
    }
}

fn pool(pool: Pool) -> &'static str {
    match pool {
        Pool::Workers => "workers",
        Pool::Checks => "checks",
        Pool::Dividends => "dividends",
        Pool::Trainer => "trainer",
        Pool::Treasury => "treasury",
    }
}

/// What one account has earned, epoch by epoch, with its proof.
fn one_account(ledger: &Ledger, word: &str, epoch: Option<u64>) -> Result<(Value, String)> {
    let account = account(ledger, word)?;
    let last = epoch.or(ledger.epoch().checked_sub(1));
    let claim = last.and_then(|epoch| ledger.claim_at(epoch, &account));
    let upto = |report: &&EpochReport| last.is_some_and(|last| report.epoch <= last);
    let earned = |report: &EpochReport| -> u64 {
        report.payouts.iter().filter(|payout| payout.account == account).map(|payout| payout.amount).sum()
    };
    let by_epoch: Vec<(u64, u64)> =
        ledger.epochs().iter().filter(upto).map(|report| (report.epoch, earned(report))).collect();
    let parties: Vec<String> = ledger
        .parties()
        .iter()
        .filter(|(_, report)| report.account == account)
        .map(|(party, _)| party.to_string())
        .collect();
    let document = json!({
        "account": account,
        "parties": parties,
        "epoch": last,
        "epochs": by_epoch.iter().map(|(epoch, earned)| json!({ "epoch": epoch, "earned": earned })).collect::<Vec<_>>(),
        "claim": claim,
    });
    let mut text =
        format!("{account} ({})\n", if parties.is_empty() { "no party".to_owned() } else { parties.join(", ") });
    let rows: Vec<Vec<String>> = by_epoch.iter().map(|(epoch, earned)| vec![epoch.to_string(), esm(*earned)]).collect();
    text += &table(&["#epoch", "#earned"], &rows);
    text += &match claim {
        None => "  has earned nothing\n".to_owned(),
        Some(claim) => {
            let proof: Vec<String> = claim.proof.iter().map(|hash| B256::from(*hash).to_string()).collect();
            format!(
                "\n  what to claim with:\n  --account {account} --lifetime {} --proof {}\n",
                esm(claim.lifetime).trim_end_matches(" ESM"),
                if proof.is_empty() { "''".to_owned() } else { proof.join(",") }
            )
        }
    };
    Ok((document, text))
}

/// An account by its address, or by its party: `worker:3` or `worker 3`.
fn account(ledger: &Ledger, word: &str) -> Result<Account> {
    if word.starts_with("0x") {
        return word.parse().map_err(|error| wrong_usage(format!("{error}")));
    }
    let party: Party = word
        .replacen(':', " ", 1)
        .parse()
        .map_err(|_| wrong_usage(format!("{word:?} is no account: 0x…, worker:N, validator:N, trainer, treasury")))?;
    ledger.terms().account(party).with_context(|| format!("the run has no {party}"))
}
