//! Every event, metric, chart, section and number of the summary is made by a real run.
//!
//! A new one without a run that makes it fails here: either let a recorded run make it, or leave it out.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use rounds::DropReason;

use crate::events::{EvalStage, Event};
use crate::metrics::{EVAL_METRICS, METRICS, Points, SFT_METRICS};
use crate::report;
use crate::summary::Summary;

/// Names that serde knows for the variants of an enum: it lists them when it is given another.
fn variants<T: DeserializeOwned>(json: &str) -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(json).err().expect("no variant has this name").to_string();
    let (_, list) = error.split_once("expected one of ").expect(&error);
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn missing(wanted: &BTreeSet<String>, seen: &BTreeSet<String>) -> Vec<String> {
    wanted.difference(seen).cloned().collect()
}

#[test]
fn every_kind_of_event_is_made_by_a_real_run() {
    let name = |recorded: &Recorded| serde_json::to_value(recorded).unwrap()["event"].as_str().unwrap().to_owned();
    let seen = all().iter().flat_map(|run| &run.events).map(name).collect();
    let wanted = variants::<Event>(r#"{"event":"?"}"#);
    assert!(wanted.len() > 20, "{wanted:?}");
    assert_eq!(missing(&wanted, &seen), [""; 0]);
}

/// Reasons that a small run has by chance only: every validator must fail on a group, a worker must say that it
/// cannot, or a group must be left over when the last batch is taken.
const RARE: [&str; 3] = ["unchecked", "failed", "cancelled"];

#[test]
fn every_reason_to_drop_a_group_and_every_stage_of_an_evaluation_is_made_by_a_real_run() {
    let word = |value: Value| match value {
        Value::String(word) => word,
        other => other.as_object().unwrap().keys().next().unwrap().clone(), // with its numbers
    };
    let (mut reasons, mut stages): (BTreeSet<String>, BTreeSet<String>) = Default::default();
    for recorded in all().iter().flat_map(|run| &run.events) {
        match &recorded.event {
            Event::GroupDropped { reason, .. } => drop(reasons.insert(word(serde_json::to_value(reason).unwrap()))),
            Event::EvalFinished(eval) => drop(stages.insert(word(serde_json::to_value(eval.stage).unwrap()))),
            _ => {}
        }
    }
    reasons.extend(RARE.map(str::to_owned));
    assert_eq!(missing(&variants::<DropReason>(r#""?""#), &reasons), [""; 0]);
    assert_eq!(missing(&variants::<EvalStage>(r#""?""#), &stages), [""; 0]);
}

/// Values of every name over all runs.
fn published() -> BTreeMap<String, BTreeSet<u64>> {
    let mut values: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for run in all() {
        let mut points = Points::default();
        for point in run.events.iter().filter_map(|recorded| points.of(&recorded.event)) {
            for (name, value) in point.numbers {
                assert!(value.is_finite(), "{name}: {value}");
                values.entry(name).or_default().insert(value.to_bits());
            }
        }
    }
    values
}

#[test]
fn every_metric_is_measured_in_a_real_run_and_is_no_constant() {
    let published = published();
    let scored = |name: &str| {
        let (task, k) = ("spell-backward", "2");
        name.replace("{task}", task).replace("{k}", k)
    };
    let names = METRICS.iter().map(|m| m.name.to_owned()).chain(SFT_METRICS.iter().map(|m| m.name.to_owned()));
    let names = names.chain(EVAL_METRICS.iter().map(|m| scored(m.name)));
    let is_dead = |name: &String| match published.get(name) {
        None => true,
        // The largest memory of a process never falls, and other tests of this one may have held more before.
        Some(_) if name.ends_with("perf/peak_memory") => false,
        Some(values) => values.len() < 2,
    };
    let dead: Vec<String> = names.filter(is_dead).collect();
    assert_eq!(dead, [""; 0], "never measured, or always the same");
}

#[test]
fn no_name_has_two_values_at_one_step() {
    for run in all() {
        let mut seen = BTreeSet::new();
        for line in run.file(run_dir::metrics_path).lines() {
            let line: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
            let step = line.get("step").or(line.get("sft/step")).unwrap().as_u64().unwrap();
            let names = line.keys().filter(|name| !matches!(name.as_str(), "step" | "sft/step" | "time"));
            for name in names {
                assert!(seen.insert((step, name.clone())), "{name} twice at step {step}");
            }
        }
        assert!(!seen.is_empty());
    }
}

#[test]
fn every_section_and_every_curve_of_the_report_is_drawn_of_a_real_run() {
    let (mut sections, mut curves): (BTreeSet<&str>, BTreeSet<(&str, &str)>) = Default::default();
    for run in all() {
        let view = run.view();
        let summary = Summary::of(&view);
        let filled = report::SECTIONS.iter().filter(|section| !(section.content)(&view, &summary).is_empty());
        sections.extend(filled.map(|section| section.title));
        for chart in report::charts_of(&view) {
            let drawn = chart.series.iter().filter(|series| series.points.iter().any(|point| point.1 != 0.0));
            curves.extend(drawn.map(|series| (chart.title, series.label)));
        }
    }
    let empty: Vec<&str> = report::SECTIONS.iter().map(|s| s.title).filter(|title| !sections.contains(title)).collect();
    assert_eq!(empty, [""; 0]);
    let wanted = report::charts_of(&network().view());
    let wanted = wanted.iter().flat_map(|chart| chart.series.iter().map(|series| (chart.title, series.label)));
    assert_eq!(wanted.filter(|curve| !curves.contains(curve)).collect::<Vec<_>>(), [("", ""); 0]);
}

/// Rightly 0 in these runs: nobody honest is fined, liars are caught before the first step, and what comes before the
/// first step knows nothing and has no steps behind it. Groups that nobody judged are left over by chance only, and a run as
/// short as these may score at the end what it scored at the start.
const ZERO: [&str; 8] = [
    ".gain",
    "verification.groups.unchecked",
    "verification.honest_fined",
    "verification.caught[].step",
    "before_rl.step",
    "start.step",
    "start.exact_mean",
    "start.pass_at_k",
];

#[test]
fn every_number_of_the_summary_is_measured_in_a_real_run() {
    let (mut names, mut filled): (BTreeSet<String>, BTreeSet<String>) = Default::default();
    for run in all() {
        let summary: Value = serde_json::from_str(&run.file(run_dir::summary_path)).unwrap();
        numbers(&summary, "", &mut |name, number| {
            // One task of several may score at the end what it scored at the start.
            let general = name.replace("spell-backward-2", "spell-backward");
            names.insert(general.clone());
            if number != 0.0 {
                filled.insert(general);
            }
            assert!(number != 0.0 || number.is_sign_positive(), "{name} is -0");
        });
    }
    assert!(names.len() > 60, "{names:?}");
    names.retain(|name| !ZERO.iter().any(|zero| name.ends_with(zero)));
    assert_eq!(missing(&names, &filled), [""; 0], "always 0");
}

fn numbers(value: &Value, name: &str, found: &mut impl FnMut(&str, f64)) {
    match value {
        Value::Number(number) => found(name.trim_start_matches('.'), number.as_f64().unwrap()),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| numbers(value, &format!("{name}.{key}"), found)),
        Value::Array(list) => list.iter().for_each(|value| numbers(value, &format!("{name}[]"), found)),
        _ => {}
    }
}

#[test]
fn a_real_run_says_who_waited_for_what_and_seldom() {
    for run in [network(), alone()] {
        let waited: Vec<(&str, &str, f64)> = run
            .events
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::Waited { who, on, seconds } => Some((who.as_str(), on.as_str(), *seconds)),
                _ => None,
            })
            .collect();
        let of = |name: &str| waited.iter().filter(|(who, ..)| *who == name).map(|wait| wait.2).sum::<f64>();
        assert!(of("trainer") > 0.0 && of("workers") > 0.0 && of("validators") > 0.0, "{waited:?}");
        let view = run.view();
        let party = |count: u64| view.seconds() * count as f64;
        assert!(of("trainer") <= party(1) && of("workers") <= party(view.trust.workers), "{waited:?}");
        // A wait is told every 5 seconds at most, and once more at the end of each process.
        let tellings = view.seconds() / 5.0 + 2.0;
        assert!((waited.len() as f64) <= tellings * 16.0, "{} in {:.0} s", waited.len(), view.seconds());
    }
    // Step by step, workers wait while the trainer trains; with strangers, the trainer waits for groups.
    let keys = |run: &Recording| run.view().waits.into_keys().collect::<BTreeSet<_>>();
    let pair = |who: &str, on: &str| (who.to_owned(), on.to_owned());
    assert!(keys(alone()).contains(&pair("workers", "the trainer")), "{:?}", keys(alone()));
    assert!(keys(network()).contains(&pair("trainer", "generation")), "{:?}", keys(network()));
}
