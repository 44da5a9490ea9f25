//! Who was paid, and who lost stake: the part of the summary about money.

use protocol::Party;
use std::fmt::Write;

use ledger::ESM;
use serde::Serialize;

use super::{count, duration};
use crate::events::{EpochClosed, PaidOut, PayoutRow, StakeSlashed};
use crate::view::RunView;

/// Rows printed of the table; the others are summed up in one line. The report and `summary.json` have all.
const ROWS_PRINTED: usize = 40;

/// The part of `summary.json` about money. Amounts are micro-ESM.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Payout {
    /// Epochs, in order.
    pub epochs: Vec<EpochClosed>,
    /// Stake taken, party by party.
    pub slashed: Vec<StakeSlashed>,
    /// What everybody has; absent if the run was killed or still goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_out: Option<Box<PaidOut>>,
}

impl Payout {
    /// `None` for a run without a ledger.
    pub(super) fn of(view: &RunView) -> Option<Self> {
        let money = &view.money;
        let is_empty = money.epochs.is_empty() && money.paid_out.is_none();
        (!is_empty).then(|| Self {
            epochs: money.epochs.values().cloned().collect(),
            slashed: money.slashed.values().cloned().collect(),
            paid_out: money.paid_out.clone(),
        })
    }

    /// The lines for people.
    pub(super) fn to_text(&self) -> String {
        match &self.paid_out {
            Some(paid) => format!("  payouts          {}\n{}", paid.in_words(), paid.table()),
            None => String::new(),
        }
    }
}

impl PaidOut {
    /// What was paid in all, and where it can be had.
    pub fn in_words(&self) -> String {
        let place = match &self.chain_url {
            Some(url) => url.clone(),
            None => "the chain in this process".to_owned(),
        };
        let posted = match self.posted {
            Some(epoch) => format!("epoch {epoch} is on {place}"),
            None => format!("nothing is on {place} yet"),
        };
        let lost = match self.lost {
            0 => String::new(),
            lost => format!("; {} of stake lost", esm(lost)),
        };
        let epochs = if self.epochs == 1 { "epoch" } else { "epochs" };
        format!("{} in {} {epochs}{lost}; {posted}; took {}", esm(self.budget), self.epochs, duration(self.seconds))
    }

    /// The table, one payee a line.
    fn table(&self) -> String {
        let heads = ["who", "did", "faults found", "earned ESM", "stake ESM", "lost ESM", "why"].map(str::to_owned);
        let shown = self.rows.iter().take(ROWS_PRINTED).map(PayoutRow::cells);
        let lines: Vec<[String; 7]> = std::iter::once(heads).chain(shown).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut text = String::new();
        for line in &lines {
            let mut row = String::new();
            for (column, cell) in line.iter().enumerate() {
                let width = widths[column];
                // Names and words stand left, numbers right.
                let _ = match column {
                    0 | 6 => write!(row, "{cell:<width$}   "),
                    _ => write!(row, "{cell:>width$}   "),
                };
            }
            let _ = writeln!(text, "    {}", row.trim_end());
        }
        if let Some(more) = self.rows.len().checked_sub(ROWS_PRINTED).filter(|more| *more > 0) {
            let rest: u64 = self.rows[ROWS_PRINTED..].iter().map(|row| row.earned).sum();
            let _ = writeln!(text, "    and {more} more with {}", esm(rest));
        }
        text
    }
}

impl PayoutRow {
    /// The cells of a row as people read them.
    fn cells(&self) -> [String; 7] {
        [
            self.who.to_string(),
            self.did(),
            some_count(self.faults),
            number(self.earned),
            some(self.stake),
            some(self.lost),
            self.why.clone().unwrap_or_default(),
        ]
    }

    /// What was counted, with its unit.
    pub fn did(&self) -> String {
        match self.who {
            Party::Treasury => String::new(),
            _ => format!("{} {}", count(self.units as f64), self.unit()),
        }
    }
}

fn some_count(value: u64) -> String {
    if value == 0 { "–".to_owned() } else { value.to_string() }
}

fn some(micro: u64) -> String {
    if micro == 0 { "–".to_owned() } else { number(micro) }
}

/// An amount, or a dash for nothing.
pub(crate) fn some_esm(micro: u64) -> String {
    if micro == 0 { "–".to_owned() } else { esm(micro) }
}

/// Micro-ESM as people read them: rounded down to a hundredth, thousands set apart.
pub(crate) fn esm(micro: u64) -> String {
    format!("{} ESM", number(micro))
}

fn number(micro: u64) -> String {
    let (whole, cents) = (micro / ESM, micro % ESM / 10_000);
    if whole == 0 && cents == 0 && micro > 0 {
        return "<0.01".to_owned();
    }
    let digits = whole.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for (index, digit) in digits[first..].chars().enumerate() {
        if index % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text}.{cents:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::network;
    use crate::summary::Summary;

    #[test]
    fn amounts_for_people() {
        let of = |micro: u64| esm(micro);
        assert_eq!((of(0), of(1), of(10_000)), ("0.00 ESM".into(), "<0.01 ESM".into(), "0.01 ESM".into()));
        assert_eq!((of(999_999_999), of(1_234_567_890_000)), ("999.99 ESM".into(), "1,234,567.89 ESM".into()));
        assert_eq!((of(u64::MAX), of(1_000 * ESM)), ("18,446,744,073,709.55 ESM".into(), "1,000.00 ESM".into()));
    }

    #[test]
    fn the_table_shows_who_earned_and_whose_stake_was_lost_for_what() {
        let summary = Summary::of(&network().view());
        let payout = summary.payout.as_ref().unwrap();
        let paid = payout.paid_out.as_ref().unwrap();
        let text = summary.to_text();
        let head = format!("  payouts          {} in {} epochs; {} of", esm(paid.budget), paid.epochs, esm(paid.lost));
        assert!(text.contains(&head), "{text}");
        let row = |who: Party| paid.rows.iter().find(|row| row.who == who).unwrap();
        let line = |who: &str| text.lines().find(|line| line.trim_start().starts_with(who)).unwrap().to_owned();
        let (liar, shown) = (row(Party::Worker(1)), line("worker 1  "));
        assert!(liar.lost > 0 && payout.slashed.iter().any(|slash| slash.amount == liar.lost));
        assert!(shown.ends_with(&format!("   {}   fake_reward: reward", number(liar.lost))), "{shown}");
        assert!(line("worker 0  ").contains(&row(Party::Worker(0)).did()), "{text}");
        let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("faults found")).collect();
        let end_of = |line: &str, head: &str| line.find(head).map(|at| line[..at].chars().count() + head.len());
        let lost = number(liar.lost);
        let place = table.iter().position(|line| *line == shown).unwrap();
        assert_eq!(end_of(table[0], "lost ESM"), end_of(table[place], &lost), "columns stand in line:\n{text}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["payout"]["paid_out"]["rows"][1]["lost"], liar.lost);
        assert_eq!(json["payout"]["paid_out"]["rows"][1]["who"], "worker 1");
    }
}
