//! The page's section about money: who earned what, and whose stake was lost for which lie.

use super::html::{escape, table};
use crate::events::{EpochClosed, PaidOut, PayoutRow};
use crate::summary::{Payout, Summary, esm, some_esm};
use protocol::Party;

/// Epochs shown one by one; of more, the first and the last.
const EPOCHS_SHOWN: usize = 24;

/// The whole section; nothing for a run without a ledger.
pub(super) fn section(summary: &Summary) -> String {
    let Some(payout) = &summary.payout else { return String::new() };
    let Some(paid) = &payout.paid_out else {
        return format!("<p class=\"soft\">Nothing is settled yet.</p>{}", epochs(payout));
    };
    let rows: Vec<Vec<String>> = paid.rows.iter().map(|row| self::row(row, paid)).collect();
    let heads = ["who", "#did", "#faults found", "#earned", "", "#stake", "#stake lost", "for what"];
    format!(
        "{}{}<h3 style=\"margin:18px 0 8px\">Epochs</h3>{}{}",
        verdict(paid),
        table(&heads, &rows),
        epochs(payout),
        proofs(paid)
    )
}

/// The finding in a sentence or two.
fn verdict(paid: &PaidOut) -> String {
    let lost = match paid.lost {
        0 => "Nobody lost stake.".to_owned(),
        lost => format!("<span class=\"bad\">Stake lost by liars: {}.</span>", esm(lost)),
    };
    let honest = paid.rows.iter().any(|row| row.lost > 0 && row.why.is_none());
    let unexplained = if honest { " <span class=\"bad\">Some of it without a reason.</span>" } else { "" };
    format!(
        "<p style=\"margin-bottom:10px\">{} paid for verified work, to the last unit of every epoch's budget. {lost}{unexplained}</p>",
        esm(paid.budget)
    )
}

fn row(row: &PayoutRow, paid: &PaidOut) -> Vec<String> {
    let most = paid.rows.iter().map(|row| row.earned).max().unwrap_or(0).max(1);
    // For the width of a bar only.
    let width = 100.0 * row.earned as f64 / most as f64;
    let bar = format!("<span class=\"share\"><i style=\"width:{width:.1}%\"></i></span>");
    let lost = match row.lost {
        0 => some_esm(0),
        lost => format!("<b class=\"bad\">−{}</b>", esm(lost)),
    };
    let faults = if row.faults == 0 { "–".to_owned() } else { row.faults.to_string() };
    let name = match row.who {
        Party::Treasury => "treasury<div class=\"soft\">its share, and what nobody earned</div>".to_owned(),
        who => who.to_string(),
    };
    let why = row.why.as_deref().map_or(String::new(), |why| format!("<span class=\"bad\">{}</span>", escape(why)));
    vec![name, row.did(), faults, esm(row.earned), bar, some_esm(row.stake), lost, why]
}

fn epochs(payout: &Payout) -> String {
    let all = &payout.epochs;
    let cells = |epoch: &EpochClosed| {
        let short = epoch.root.get(..18).unwrap_or(&epoch.root);
        vec![
            epoch.epoch.to_string(),
            esm(epoch.budget),
            esm(epoch.lifetime_total),
            epoch.payees.to_string(),
            format!("<code title=\"{0}\">{1}…</code>", escape(&epoch.root), escape(short)),
        ]
    };
    let mut rows: Vec<Vec<String>> = all.iter().take(EPOCHS_SHOWN).map(cells).collect();
    if all.len() > EPOCHS_SHOWN {
        let left_out = all.len() - EPOCHS_SHOWN - 1;
        rows.push(vec![format!("… {left_out} more"), String::new(), String::new(), String::new(), String::new()]);
        rows.extend(all.last().map(cells));
    }
    if rows.is_empty() {
        return String::new();
    }
    table(&["epoch", "#budget", "#paid since the beginning", "#payees", "root"], &rows)
}

fn proofs(paid: &PaidOut) -> String {
    let place = match &paid.chain_url {
        Some(url) => format!("behind {}", escape(url)),
        None => "inside the run (<code>chain.jsonl</code>)".to_owned(),
    };
    format!(
        "<p class=\"soft\" style=\"margin-top:10px\">Contract <code>{}</code> on chain {}, {place}. The proofs to claim with are in \
         <code>claims.json</code>; <code>ledger.jsonl</code> holds every fact behind these numbers, signed.</p>",
        escape(&paid.rewards),
        paid.chain_id,
    )
}
