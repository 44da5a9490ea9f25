//! The table of a sweep.
//!
//! Promise: every number counts what its heading says; a failure names the seed and the command that
//! shows it again.

use std::collections::BTreeMap;
use std::fmt;

use protocol::Check;

use crate::liars::{Cheat, Role};
use crate::network::Misfortunes;
use crate::simulation::Outcome;

/// What came of many simulations.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One row per cheat, in the order of the options.
    pub rows: Vec<Row>,
    /// Simulations in which something was not as it must be.
    pub failures: Vec<Failure>,
    /// What went wrong on the way, summed.
    pub misfortunes: Misfortunes,
    /// Simulations.
    pub simulations: u64,
    /// Groups that were trained on.
    pub groups_trained: u64,
    /// Verdicts that validators gave.
    pub verdicts: u64,
    /// Known-bad groups shown to validators.
    pub plants: u64,
    /// Rests that honest parties were sent to by misfortune; each ended.
    pub honest_rests: u64,
    /// Virtual time, summed, in milliseconds.
    pub virtual_ms: u64,
}

/// A simulation that broke a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// Its cheat.
    pub cheat: Option<Cheat>,
    /// What broke.
    pub what: String,
}

/// One cheat in all its simulations.
#[derive(Clone, Debug)]
pub struct Row {
    /// The cheat; none for a network of honest parties.
    pub cheat: Option<Cheat>,
    /// Simulations.
    pub simulations: u64,
    /// Liars that had occasion to lie.
    pub liars: u64,
    /// Liars that never had.
    pub idle_liars: u64,
    /// Liars caught, by the check that caught them.
    pub caught_by: BTreeMap<Check, u64>,
    /// Rollouts (of a worker), verdicts (of a validator) or steps (of the trainer) until each was caught.
    pub after: Vec<u64>,
    /// Rollouts of each liar that were never trained on: the work it threw away, beside its stake.
    pub wasted: Vec<u64>,
    /// Groups with a lie that were trained on before their maker was caught.
    pub lies_trained: u64,
}

impl Row {
    pub(crate) fn new(cheat: Option<Cheat>) -> Self {
        Self {
            cheat,
            simulations: 0,
            liars: 0,
            idle_liars: 0,
            caught_by: BTreeMap::new(),
            after: Vec::new(),
            wasted: Vec::new(),
            lies_trained: 0,
        }
    }

    /// Liars caught.
    #[must_use]
    pub fn caught(&self) -> u64 {
        self.caught_by.values().sum()
    }

    fn unit(&self) -> &'static str {
        match self.cheat.map(Cheat::role) {
            Some(Role::Validator) => "verdicts",
            Some(Role::Trainer) => "steps",
            _ => "rollouts",
        }
    }

    fn checks(&self) -> String {
        let mut checks: Vec<(&Check, &u64)> = self.caught_by.iter().collect();
        checks.sort_by_key(|&(check, count)| (std::cmp::Reverse(count), check));
        let words: Vec<String> = checks.iter().map(|(check, count)| format!("{check} {count}")).collect();
        words.join(", ")
    }
}

/// The middle value, the upper of two; 0 if there is none.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

impl Report {
    pub(crate) fn add(&mut self, row: usize, seed: u64, outcome: Outcome) {
        let cheat = self.rows[row].cheat;
        let failures = outcome.failures.into_iter().map(|what| Failure { seed, cheat, what });
        self.failures.extend(failures);
        self.misfortunes.add(&outcome.misfortunes);
        self.simulations += 1;
        self.groups_trained += outcome.groups_trained;
        self.verdicts += outcome.verdicts;
        self.plants += outcome.plants;
        self.honest_rests += outcome.honest_rests;
        self.virtual_ms += outcome.virtual_ms;
        let row = &mut self.rows[row];
        row.simulations += 1;
        row.liars += outcome.liars;
        row.idle_liars += outcome.idle_liars;
        row.lies_trained += outcome.lies_trained;
        for caught in outcome.caught {
            *row.caught_by.entry(caught.check).or_default() += 1;
            row.after.push(caught.after);
            row.wasted.push(caught.wasted);
        }
    }

    /// Whether every promise held in every simulation.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.cheat.map_or("none", Cheat::as_str);
        write!(f, "seed {}, cheat {name}: {}", self.seed, self.what)?;
        write!(f, "\n    essaim sim --seed {} --cheat {name} --trace", self.seed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>5} {:>11}  {:<8} {:>11} {:>7} {:>8}  caught by",
            "cheat", "runs", "caught", "after", "median, max", "wasted", "trained"
        )?;
        for row in &self.rows {
            write_row(f, row)?;
        }
        self.write_totals(f)?;
        for failure in &self.failures {
            write!(f, "\n{failure}")?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let name = row.cheat.map_or("none", Cheat::as_str);
    write!(f, "{name:<20} {:>5}", row.simulations)?;
    if row.cheat.is_none() {
        return writeln!(f);
    }
    let caught = format!("{}/{}", row.caught(), row.liars);
    let after = format!("{}, {}", median(&row.after), row.after.iter().max().copied().unwrap_or(0));
    let idle = match row.idle_liars {
        0 => String::new(),
        idle => format!("; {idle} had no occasion to lie"),
    };
    writeln!(
        f,
        " {caught:>11}  {:<8} {after:>11} {:>7} {:>8}  {}{idle}",
        row.unit(),
        median(&row.wasted),
        row.lies_trained,
        row.checks()
    )
}

impl Report {
    fn write_totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = &self.misfortunes;
        writeln!(
            f,
            "\n{} simulations, {} hours of virtual time: {} groups trained on, {} verdicts, {} plants",
            self.simulations,
            self.virtual_ms / 3_600_000,
            self.groups_trained,
            self.verdicts,
            self.plants
        )?;
        writeln!(
            f,
            "misfortune: of {} messages {} were lost, {} doubled, {} held up; {} crashes of the orchestrator, {} of others, \
             {} partitions, {} clock steps; honest parties rested {} times",
            m.sent,
            m.lost,
            m.doubled,
            m.delayed,
            m.orchestrator_crashes,
            m.other_crashes,
            m.partitions,
            m.clock_steps,
            self.honest_rests
        )?;
        write!(f, "failures: {}", self.failures.len())
    }
}
