//! Summaries of real runs.

use super::*;
use crate::events::Event;
use crate::recorded::{alone, network, supervised};

#[test]
fn a_summary_counts_what_the_events_say() {
    let run = network();
    let summary = Summary::of(&run.view());
    assert_eq!((summary.steps, summary.sft_steps, summary.resumed_count), (24, 120, 1));
    let accepted = || {
        run.events.iter().filter_map(|recorded| match &recorded.event {
            Event::GroupAccepted(group) => Some(group),
            _ => None,
        })
    };
    assert_eq!(summary.groups, accepted().count() as u64);
    assert_eq!(summary.tokens.generated_completion, accepted().map(|group| group.completion_tokens).sum::<u64>());
    let scores = &summary.scores["spell-backward"];
    let (before, after) = (scores.before_rl.as_ref().unwrap(), scores.after.as_ref().unwrap());
    assert_eq!((before.step, after.step), (0, 24));
    assert!((scores.gain.unwrap() - (after.exact_mean - before.exact_mean)).abs() < 1e-12);
    let json: serde_json::Value = serde_json::from_str(&run.file(crate::run_dir::summary_path)).unwrap();
    assert_eq!(json["outcome"], "steps_done");
    assert_eq!(json, serde_json::to_value(&summary).unwrap(), "the log alone gives the same summary");
}

#[test]
fn rates_are_of_wall_time_and_say_what_they_count() {
    let summary = Summary::of(&alone().view());
    let (tokens, rates) = (&summary.tokens, &summary.tokens_per_second);
    assert!(tokens.trained > tokens.trained_completion, "prompts are trained on too");
    let trained = tokens.trained as f64 / summary.phase_seconds.step;
    assert!((rates.trained.unwrap() - trained).abs() < 1e-9);
    assert!(
        rates.generated_completion.unwrap() * summary.phase_seconds.step <= tokens.generated_completion as f64 + 0.5
    );
    assert_eq!((rates.sft_trained, summary.sft_seconds), (None, None), "there was no supervised step");
    assert!(!summary.to_text().contains("supervised"));
}

#[test]
fn a_supervised_run_has_its_memory_rate_and_gain() {
    let summary = Summary::of(&supervised().view());
    assert_eq!((summary.steps, summary.sft_steps), (0, 6));
    assert!(summary.sft_seconds.unwrap() > 0.0 && summary.tokens_per_second.sft_trained.unwrap() > 0.0);
    assert!(summary.tokens.sft_trained > summary.tokens.sft_trained_completion);
    assert!(summary.peak_memory_bytes.is_none_or(|bytes| bytes > 1 << 20));
    assert_eq!(summary.peak_memory_bytes.is_some(), cfg!(target_os = "linux"));
    assert!(summary.scores["spell-backward"].gain.is_some() && summary.staleness.is_none());
    assert!(summary.to_text().contains("supervised       6 steps in "));
}

#[test]
fn a_run_without_events_has_a_summary_too() {
    let summary = Summary::of(&RunView::default());
    assert_eq!((summary.steps, summary.outcome.is_none(), summary.peak_memory_bytes), (0, true, None));
}

#[test]
fn numbers_for_people() {
    assert_eq!(duration(4.26), "4.3s");
    assert_eq!(duration(83.2), "1m23s");
    assert_eq!(duration(7322.0), "2h02m");
    assert_eq!((count(9999.0), count(12345.0), count(2.5e6)), ("9999".into(), "12.3k".into(), "2.50M".into()));
}
