//! What everybody has at the end, and the proofs to claim it with.
//!
//! Promise: made from the ledger alone; whoever has `claims.json` can claim for any account, with any wallet.

use protocol::Party;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use ledger::{Ledger, PartyReport};

use crate::claims::ClaimsFile;
use record::events::{PaidOut, PayoutRow};

/// Everybody's row.
pub(super) fn of(ledger: &Ledger, cheats: &BTreeMap<Party, String>, spared: &BTreeMap<Party, String>) -> PaidOut {
    let terms = ledger.terms();
    let rows: Vec<PayoutRow> = ledger.parties().iter().map(|(who, report)| row(*who, report, cheats, spared)).collect();
    PaidOut {
        chain_id: terms.chain_id,
        chain_url: None,
        rewards: terms.rewards.to_string(),
        epochs: ledger.epoch(),
        posted: ledger.posted(),
        root: format!("0x{}", hex::encode(ledger.root())),
        budget: ledger.lifetime_total(),
        lost: rows.iter().map(|row| row.lost).sum(),
        rows,
        seconds: 0.0,
        chain_seconds: 0.0,
    }
}

fn row(
    who: Party,
    report: &PartyReport,
    cheats: &BTreeMap<Party, String>,
    spared: &BTreeMap<Party, String>,
) -> PayoutRow {
    let units = match who {
        Party::Worker(_) => report.tokens,
        Party::Validator(_) => report.checks,
        Party::Trainer => report.steps,
        Party::Treasury => 0,
    };
    PayoutRow {
        who,
        account: report.account.to_string(),
        units,
        faults: report.faults,
        earned: report.earned,
        stake: report.stake.saturating_add(report.slashed),
        lost: report.slashed,
        why: why(report, cheats.get(&who), spared.get(&who)),
    }
}

/// What a party was fined for, in words.
fn why(report: &PartyReport, cheat: Option<&String>, spared: Option<&String>) -> Option<String> {
    let check = report.fines.first()?;
    let told = cheat.map_or("not told to lie", String::as_str);
    let spared = spared.map_or(String::new(), |why| format!(" (keeps its stake: {why})"));
    Some(format!("{told}: {check}{spared}"))
}

/// Writes the proofs of the last closed epoch, whole or not at all.
pub(super) fn write_claims(path: &Path, ledger: &Ledger) -> Result<()> {
    ClaimsFile::of(ledger, ledger.epoch().checked_sub(1)).write(path)
}
