//! `essaim sim`: the whole network in this process, from seeds, with faults and liars.

use std::sync::Mutex;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};
use sim::liars::Cheat;
use sim::{Failure, Faults, Options, Report, Row};

use super::progress::Progress;
use crate::cli::{CheatWord, SimArgs};
use crate::context::Context;
use crate::ending::Ending;
use record::output;
use record::summary::duration;

/// Seeds where neither `--seeds` nor `--seed` is given.
const SEEDS: u64 = 20;
/// Simulates, prints the table, and ends with a failure if any promise broke.
pub(crate) fn sim(args: &SimArgs, context: &Context) -> Result<Ending> {
    if args.trace {
        return trace(args, context);
    }
    let mut options = Options::new(args.seeds.unwrap_or(if args.seed.is_some() { 1 } else { SEEDS }));
    options.first_seed = args.seed.unwrap_or(0);
    if !args.cheat.is_empty() {
        options.cheats = args.cheat.iter().map(|word| word.0).collect();
    }
    options.threads = args.threads.map_or(options.threads, usize::from);
    let simulations = options.seeds.saturating_mul(options.cheats.len() as u64);
    let progress = Mutex::new(Progress::new("simulations", Some(simulations), context.global.quiet));
    let start = Instant::now();
    let tell = |done: u64| {
        // A line of comfort: a poisoned lock is no reason to stop.
        if let Ok(mut progress) = progress.lock() {
            progress.set(done);
        }
    };
    let report = sim::sweep_telling(&options, &tell)?;
    drop(progress);
    let seconds = start.elapsed().as_secs_f64();
    let text = match context.global.json {
        true => serde_json::to_string_pretty(&document(&report, seconds))? + "\n",
        false => format!("{report}\ntook {}\n", duration(seconds)),
    };
    output::print(&text)?;
    Ok(ending(&report))
}

/// One simulation, line by line.
fn trace(args: &SimArgs, context: &Context) -> Result<Ending> {
    let cheat = match args.cheat.as_slice() {
        [] => None,
        [word] => word.0,
        _ => anyhow::bail!("--trace: shows one simulation, so it takes one --cheat, given {}", args.cheat.len()),
    };
    let start = Instant::now();
    let trace = sim::trace(args.seed.unwrap_or(0), cheat, Faults::ALL)?;
    let text = match context.global.json {
        true => {
            let mut document = document(&trace.report, start.elapsed().as_secs_f64());
            document["trace"] = json!(trace.lines);
            serde_json::to_string_pretty(&document)? + "\n"
        }
        false => format!("{}\n\n{}\n", trace.lines.join("\n"), trace.report),
    };
    output::print(&text)?;
    Ok(ending(&trace.report))
}

fn ending(report: &Report) -> Ending {
    if report.is_good() { Ending::Done } else { Ending::Refuted }
}

/// The report as `--json` prints it.
fn document(report: &Report, seconds: f64) -> Value {
    let luck = &report.misfortunes;
    json!({
        "is_good": report.is_good(),
        "simulations": report.simulations,
        "seconds": seconds,
        "virtual_ms": report.virtual_ms,
        "groups_trained": report.groups_trained,
        "verdicts": report.verdicts,
        "plants": report.plants,
        "honest_rests": report.honest_rests,
        "misfortunes": {
            "messages": luck.sent,
            "lost": luck.lost,
            "doubled": luck.doubled,
            "delayed": luck.delayed,
            "orchestrator_crashes": luck.orchestrator_crashes,
            "other_crashes": luck.other_crashes,
            "partitions": luck.partitions,
            "clock_steps": luck.clock_steps,
        },
        "cheats": report.rows.iter().map(row).collect::<Vec<_>>(),
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let mut value = json!({
        "cheat": name(row.cheat),
        "simulations": row.simulations,
        "liars": row.liars,
        "idle_liars": row.idle_liars,
        "caught": row.caught(),
        "caught_by": row.caught_by.iter().map(|(check, count)| (check.to_string(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "after": spread(&row.after),
        "wasted": spread(&row.wasted),
        "lies_trained": row.lies_trained,
    });
    if let Some(cheat) = row.cheat {
        value["describe"] = json!(cheat.describe());
        value["expected"] = json!(cheat.expected());
    }
    value
}

/// Median (the upper of two) and largest; null for none.
fn spread(values: &[u64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    json!({ "median": sorted.get(sorted.len() / 2), "max": sorted.last() })
}

fn failure(failure: &Failure) -> Value {
    let name = name(failure.cheat);
    json!({
        "seed": failure.seed,
        "cheat": name,
        "what": failure.what,
        "replay": format!("essaim sim --seed {} --cheat {name} --trace", failure.seed),
    })
}

fn name(cheat: Option<Cheat>) -> &'static str {
    CheatWord(cheat).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_with_the_line_that_shows_it_again() {
        let broken = Failure { seed: 41, cheat: Some(Cheat::BestOfN), what: "it was not caught".to_owned() };
        assert_eq!(failure(&broken)["replay"], "essaim sim --seed 41 --cheat best_of_n --trace");
        let report = Report { failures: vec![broken], ..Report::default() };
        assert_eq!((ending(&report), ending(&Report::default())), (Ending::Refuted, Ending::Done));
        assert_eq!(document(&report, 1.0)["is_good"], false);
    }
}
