//! The table of the strategies.
//!
//! Promise: a strategy pays if in any seed it earned as much as honesty, or more; then the report is not good.

use std::fmt;

use super::crowd::Crowd;
use super::income::Income;
use super::strategy::Strategy;

/// What came of all simulations.
#[derive(Clone, Debug)]
pub struct EconomyReport {
    /// One row per crowd and strategy.
    pub rows: Vec<EconomyRow>,
    /// Seeds of each row.
    pub seeds: u64,
    /// Epochs of each simulation.
    pub epochs: u64,
}

/// One strategy in one crowd, over all seeds. Amounts are sums over the friends and all epochs, in micro-ESM.
#[derive(Clone, Debug)]
pub struct EconomyRow {
    /// The preset's name.
    pub preset: &'static str,
    /// What the friends did.
    pub strategy: Strategy,
    /// Their profit, by seed.
    pub profit: Vec<i128>,
    /// What the same parties would have gained by honesty, by seed.
    pub honest_profit: Vec<i128>,
    /// What the ledger paid them, by seed.
    pub paid: Vec<i128>,
    /// Stake that they lost, by seed, less bounties that came back.
    pub lost: Vec<i128>,
    /// Epoch in which the first of them was fined, by seed.
    pub caught: Vec<Option<u64>>,
    /// Groups with a lie that were accepted, summed over seeds.
    pub lies_accepted: u64,
    /// Fines of parties that did not lie, summed over seeds.
    pub honest_fined: u64,
    /// Leases that nobody answered, summed over seeds.
    pub unanswered: u64,
    /// Profit so far after each epoch, summed over seeds: of the friends, and of the same when honest.
    pub running: Vec<(i128, i128)>,
}

impl EconomyRow {
    pub(super) fn new(crowd: &Crowd, strategy: Strategy) -> Self {
        Self {
            preset: crowd.name,
            strategy,
            profit: Vec::new(),
            honest_profit: Vec::new(),
            paid: Vec::new(),
            lost: Vec::new(),
            caught: Vec::new(),
            lies_accepted: 0,
            honest_fined: 0,
            unanswered: 0,
            running: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, crowd: &Crowd, income: &Income, honest: &Income) {
        let cast = self.strategy.cast(crowd.workers, crowd.validators);
        let (workers, validators) = (cast.workers as usize, cast.validators as usize);
        let first = crowd.workers as usize; // validators of the honest market begin here
        let mine = income.running_profit(|party| income.friends[party]);
        let theirs = honest.running_profit(|party| party < workers || (first..first + validators).contains(&party));
        let sum = |amounts: &[i128]| -> i128 {
            amounts.iter().zip(&income.friends).filter(|(_, friend)| **friend).map(|(amount, _)| amount).sum()
        };
        self.profit.push(mine.last().copied().unwrap_or(0));
        self.honest_profit.push(theirs.last().copied().unwrap_or(0));
        self.paid.push(sum(&income.paid));
        self.lost.push(sum(&income.lost));
        self.caught.push(income.caught);
        self.lies_accepted += income.lies_accepted;
        self.honest_fined += income.honest_fined;
        self.unanswered += income.unanswered;
        self.running.resize(mine.len(), (0, 0));
        for (sums, (mine, theirs)) in self.running.iter_mut().zip(mine.into_iter().zip(theirs)) {
            *sums = (sums.0 + mine, sums.1 + theirs);
        }
    }

    /// Whether it earned as much as honesty, or more, with any seed.
    #[must_use]
    pub fn pays(&self) -> bool {
        self.profit.iter().zip(&self.honest_profit).any(|(mine, honest)| mine >= honest)
    }

    /// Profit in hundredths of that of honesty, rounded down: the mean, and with the luckiest seed.
    #[must_use]
    pub fn percent(&self) -> (i128, i128) {
        let share = |mine: i128, honest: i128| (mine * 100).div_euclid(honest.max(1));
        let best = self.profit.iter().zip(&self.honest_profit).map(|(&mine, &honest)| share(mine, honest)).max();
        (share(self.profit.iter().sum(), self.honest_profit.iter().sum()), best.unwrap_or(0))
    }

    /// Mean over the seeds of amounts in whole ESM, rounded down.
    #[must_use]
    pub fn mean_esm(amounts: &[i128]) -> i128 {
        amounts.iter().sum::<i128>().div_euclid(amounts.len().max(1) as i128 * 1_000_000)
    }

    /// The median epoch of the first fine, counted from 1; none if most seeds saw none.
    #[must_use]
    pub fn caught_median(&self) -> Option<u64> {
        let mut epochs: Vec<u64> = self.caught.iter().map(|epoch| epoch.map_or(u64::MAX, |epoch| epoch + 1)).collect();
        epochs.sort_unstable();
        epochs.get(epochs.len() / 2).copied().filter(|&epoch| epoch < u64::MAX)
    }
}

impl EconomyReport {
    /// Whether honesty was the best reply: no strategy within the promise paid, and nobody honest was fined.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Rows within the promise that break it.
    pub fn failures(&self) -> impl Iterator<Item = &EconomyRow> {
        let within = |row: &&EconomyRow| !Strategy::BEYOND.contains(&row.strategy);
        self.rows.iter().filter(within).filter(|row| row.pays() || row.honest_fined > 0)
    }
}

impl fmt::Display for EconomyReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<8}{:<18}{:>12}{:>12}{:>10}{:>10}{:>12}{:>8}{:>11}",
            "preset",
            "strategy",
            "profit ESM",
            "if honest",
            "of honest",
            "luckiest",
            "stake lost",
            "caught",
            "lies paid"
        )?;
        for row in &self.rows {
            let (mean, best) = row.percent();
            let caught = row.caught_median().map_or_else(|| "never".to_owned(), |epoch| epoch.to_string());
            write!(
                out,
                "{:<8}{:<18}{:>12}{:>12}{:>9}%{:>9}%{:>12}{:>8}{:>11}",
                row.preset,
                row.strategy.as_str(),
                EconomyRow::mean_esm(&row.profit),
                EconomyRow::mean_esm(&row.honest_profit),
                mean,
                best,
                EconomyRow::mean_esm(&row.lost),
                caught,
                row.lies_accepted / self.seeds.max(1),
            )?;
            let beyond = Strategy::BEYOND.contains(&row.strategy);
            let note = match (row.pays(), beyond) {
                (true, true) => "  pays; no preset deters it",
                (true, false) => "  PAYS",
                (false, _) => "",
            };
            writeln!(out, "{note}")?;
            if row.honest_fined > 0 && !beyond {
                writeln!(out, "        {} honest parties were fined", row.honest_fined)?;
            }
        }
        writeln!(
            out,
            "\n{} epochs, {} seeds; means per seed over all parties that act as one. \"caught\" is the median epoch of the first fine.",
            self.epochs, self.seeds
        )
    }
}
