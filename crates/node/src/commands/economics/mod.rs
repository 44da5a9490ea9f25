//! `essaim economics`: whether honesty pays, by simulation of every strategy under every shipped preset.

mod plot;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sim::economy::{Crowd, EconomyOptions, EconomyReport, EconomyRow, Strategy, economy};

use super::progress::Progress;
use crate::cli::EconomicsArgs;
use crate::context::Context;
use crate::ending::Ending;
use record::output;
use record::summary::duration;

/// Simulates, prints the table, draws the picture if asked, and ends with a failure if a lie pays.
pub(crate) fn economics(args: &EconomicsArgs, context: &Context) -> Result<Ending> {
    let mut options = EconomyOptions::new(args.seeds);
    options.first_seed = args.seed;
    options.epochs = args.epochs;
    if let Some(name) = &args.preset {
        options.crowds.retain(|crowd| crowd.name == name.as_str());
    }
    let progress = Mutex::new(Progress::new("markets", Some(options.simulations()), context.global.quiet));
    let done = AtomicU64::new(0);
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        // A line of comfort: a poisoned lock is no reason to stop.
        if let Ok(mut progress) = progress.lock() {
            progress.set(done);
        }
    };
    let start = Instant::now();
    let report = economy(&options, &tell)?;
    drop(progress);
    if let Some(path) = &args.svg {
        let picture = plot::picture(&report);
        std::fs::write(path, picture).with_context(|| format!("could not write {}", path.display()))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let text = match context.global.json {
        true => serde_json::to_string_pretty(&document(&report, &options.crowds, seconds))? + "\n",
        false => format!("{report}\ntook {}\n", duration(seconds)),
    };
    output::print(&text)?;
    Ok(if report.is_good() { Ending::Done } else { Ending::Refuted })
}

/// The report as `--json` prints it. Amounts are micro-ESM, one for each seed.
fn document(report: &EconomyReport, crowds: &[Crowd], seconds: f64) -> Value {
    json!({
        "is_good": report.is_good(),
        "seconds": seconds,
        "seeds": report.seeds,
        "epochs": report.epochs,
        "presets": crowds.iter().map(preset).collect::<Vec<_>>(),
        "rows": report.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn preset(crowd: &Crowd) -> Value {
    json!({
        "name": crowd.name,
        "economy": crowd.economy,
        "workers": crowd.workers,
        "validators": crowd.validators,
        "groups_per_epoch": crowd.groups_per_epoch,
    })
}

fn row(row: &EconomyRow) -> Value {
    let numbers = |amounts: &[i128]| amounts.iter().map(|&amount| amount as i64).collect::<Vec<_>>(); // below 2^63
    let (percent, percent_best) = row.percent();
    json!({
        "preset": row.preset,
        "strategy": row.strategy.as_str(),
        "describe": row.strategy.describe(),
        "is_within_the_promise": !Strategy::BEYOND.contains(&row.strategy),
        "pays": row.pays(),
        "percent_of_honest": percent as i64,
        "percent_of_honest_luckiest": percent_best as i64,
        "profit": numbers(&row.profit),
        "profit_if_honest": numbers(&row.honest_profit),
        "paid": numbers(&row.paid),
        "stake_lost": numbers(&row.lost),
        "caught_epoch": row.caught,
        "lies_accepted": row.lies_accepted,
        "honest_fined": row.honest_fined,
        "leases_unanswered": row.unanswered,
        "running_profit": row.running.iter().map(|&(mine, honest)| [mine as i64, honest as i64]).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played() -> (EconomyReport, Vec<Crowd>) {
        let (crowds, strategies) = (vec![Crowd::local()], vec![Strategy::Int8, Strategy::PlantKnower]);
        let options = EconomyOptions { crowds, strategies, epochs: 2, ..EconomyOptions::new(1) };
        (economy(&options, &|| ()).unwrap(), options.crowds)
    }

    #[test]
    fn the_document_has_a_row_for_each_strategy_with_what_it_earned() {
        let (report, crowds) = played();
        let document = document(&report, &crowds, 1.0);
        assert_eq!(document["is_good"], true);
        assert_eq!(document["presets"][0]["economy"]["stake_worker"], 750_000_000);
        let row = &document["rows"][0];
        assert_eq!((&row["strategy"], &row["pays"]), (&json!("int8"), &json!(false)));
        assert_eq!(
            row["stake_lost"][0], 112_500_000,
            "three quarters of a fifth of the stake: a friend may have accused"
        );
        assert_eq!(row["running_profit"].as_array().unwrap().len(), 2);
        assert_eq!(document["rows"][1]["is_within_the_promise"], false);
    }

    #[test]
    fn the_picture_is_well_formed_even_of_nothing() {
        let (report, _) = played();
        let empty = EconomyReport { rows: Vec::new(), ..report.clone() };
        for picture in [plot::picture(&report), plot::picture(&empty)] {
            assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"), "{picture}");
            assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
            assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
        }
        assert!(plot::picture(&report).contains(">plant_knower</text>"));
    }
}
