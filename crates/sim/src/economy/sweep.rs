//! Every strategy in every crowd, with many seeds.
//!
//! Promise: the report depends on the options alone. A strategy is compared with what the same parties earn
//! with the same seed when they are honest.

use rayon::prelude::*;

use super::crowd::Crowd;
use super::income::Income;
use super::market::Market;
use super::strategy::Strategy;
use super::{EconomyError, EconomyReport, EconomyRow};

/// What to simulate.
#[derive(Clone, Debug)]
pub struct EconomyOptions {
    /// The crowds, each with its preset.
    pub crowds: Vec<Crowd>,
    /// The strategies.
    pub strategies: Vec<Strategy>,
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Epochs of each simulation.
    pub epochs: u64,
}

impl EconomyOptions {
    /// All shipped presets, all strategies, seeds 0, 1, …, and 100 epochs.
    #[must_use]
    pub fn new(seeds: u64) -> Self {
        let strategies = Strategy::WITHIN.into_iter().chain(Strategy::BEYOND).collect();
        Self { crowds: Crowd::all(), strategies, first_seed: 0, seeds, epochs: 100 }
    }

    /// Simulations that this takes.
    #[must_use]
    pub fn simulations(&self) -> u64 {
        let strategies = self.strategies.iter().filter(|&&strategy| strategy != Strategy::Honest).count() as u64;
        self.seeds * self.crowds.len() as u64 * (strategies + 1)
    }
}

/// Simulates all of it; `tell` hears after each simulation.
///
/// Errors: `Ledger` if a preset is not one.
pub fn economy(options: &EconomyOptions, tell: &(dyn Fn() + Sync)) -> Result<EconomyReport, EconomyError> {
    let play = |crowd: &Crowd, strategy, seed| {
        let income = Market::new(crowd, strategy, seed)?.run(options.epochs);
        tell();
        income
    };
    let seeds: Vec<u64> = (options.first_seed..options.first_seed + options.seeds).collect();
    let mut rows = Vec::new();
    for crowd in &options.crowds {
        let honest: Result<Vec<Income>, _> =
            seeds.par_iter().map(|&seed| play(crowd, Strategy::Honest, seed)).collect();
        let honest = honest?;
        let others = options.strategies.iter().filter(|&&strategy| strategy != Strategy::Honest);
        let jobs: Vec<(Strategy, u64)> = others.flat_map(|&one| seeds.iter().map(move |&seed| (one, seed))).collect();
        let played: Result<Vec<_>, EconomyError> = jobs
            .par_iter()
            .map(|&(strategy, seed)| play(crowd, strategy, seed).map(|income| (strategy, seed, income)))
            .collect();
        let mut of_crowd: Vec<EconomyRow> = Vec::new();
        for (strategy, seed, income) in played? {
            if of_crowd.last().is_none_or(|row| row.strategy != strategy) {
                of_crowd.push(EconomyRow::new(crowd, strategy));
            }
            let row = of_crowd.last_mut().expect("pushed just before");
            row.add(crowd, &income, &honest[(seed - options.first_seed) as usize]);
        }
        rows.append(&mut of_crowd);
    }
    Ok(EconomyReport { rows, seeds: options.seeds, epochs: options.epochs })
}
