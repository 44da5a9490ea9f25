//! `report.html`: the run in one page that needs nothing else.
//!
//! Promise: made from the view alone (so `essaim report` can make it again from the log); no
//! script, no network, no outside file, which the page's own security policy enforces; every text
//! is escaped; light or dark as the reader's system is.

mod chart;
mod curriculum;
mod html;
mod payout;
mod trust;

use crate::events::{EvalStage, Outcome, RolloutText, StepMetrics};
use crate::metrics::per_second;
use crate::summary::{Summary, count, duration};
use crate::view::RunView;
use chart::{Chart, Look, Series, number};
use html::{escape, shorten, table};
use std::fmt::Write;

/// Characters shown of a prompt or completion.
const TEXT_CHARS_MAX: usize = 600;
/// Points in the run from which rollouts are shown.
const SAMPLED_STEPS_SHOWN: usize = 5;

/// The whole page.
pub fn html(view: &RunView) -> String {
    let summary = Summary::of(view);
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} · essaim</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        escape(&summary.name),
        include_str!("style.css"),
    );
    page += &header(&summary);
    page += &tiles(&summary);
    page += &section("Learning", &charts(&learning(view)));
    page += &section("Curriculum", &curriculum::section(view, &summary));
    page += &section("Verification", &trust::section(view, &summary));
    page += &section("Payouts", &payout::section(&summary));
    page += &section("Held-out scores", &scores(view));
    page += &section("Training", &charts(&training(view)));
    page += &section("Time", &time(&summary));
    page += &section("Sample rollouts", &samples(view));
    page += &section("Warnings", &warnings(view));
    page += &section("Settings and machine", &settings(view, &summary));
    page += "</main>\n</body>\n</html>\n";
    page
}

/// A heading and its content; nothing if there is no content.
fn section(title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section>\n<h2>{}</h2>\n{content}\n</section>\n", escape(title))
}

fn header(summary: &Summary) -> String {
    let (class, outcome) = match &summary.outcome {
        None => ("", "not finished".to_owned()),
        Some(outcome @ Outcome::Failed(_)) => ("bad", outcome.label()),
        Some(outcome @ (Outcome::StepsDone | Outcome::TargetReached | Outcome::Plateau | Outcome::Solved)) => {
            ("good", outcome.label())
        }
        Some(outcome) => ("", outcome.label()),
    };
    let resumed = match summary.resumed_count {
        0 => String::new(),
        times => format!(", resumed {times}×"),
    };
    format!(
        "<header>\n<h1>{}<span class=\"badge {class}\">{}</span></h1>\n<p class=\"soft\">{} parameters, {} steps in {}{resumed}</p>\n</header>\n",
        escape(&summary.name),
        escape(&outcome),
        count(summary.parameter_count as f64),
        summary.steps,
        duration(summary.seconds),
    )
}

fn tiles(summary: &Summary) -> String {
    let mut tiles: Vec<(String, String)> = Vec::new();
    for (task, scores) in &summary.scores {
        let before = scores.before_rl.as_ref().or(scores.start.as_ref());
        if let (Some(before), Some(after)) = (before, &scores.after) {
            let values = format!("{:.3} → {:.3}", before.exact_mean, after.exact_mean);
            tiles.push((values, format!("held-out exact before → after RL, {task}")));
        }
    }
    let tokens = &summary.tokens;
    tiles.extend([
        (count(tokens.generated as f64), "tokens generated".to_owned()),
        (count(tokens.trained as f64), "tokens trained on".to_owned()),
        (count(summary.tokens_trained_per_second), "trained tokens per second".to_owned()),
        (
            format!("{:.2} / {}", summary.staleness.mean, number(summary.staleness.max)),
            "staleness mean / largest, versions".to_owned(),
        ),
        caught(summary),
        (format!("{} MiB", summary.peak_memory_bytes >> 20), "largest memory".to_owned()),
    ]);
    let tile = |(value, label): &(String, String)| {
        let class = if value.contains('→') { "tile wide" } else { "tile" };
        format!("<div class=\"{class}\"><b>{}</b><span>{}</span></div>", escape(value), escape(label))
    };
    format!("<div class=\"tiles\">{}</div>\n", tiles.iter().map(tile).collect::<String>())
}

/// Liars caught, and the fines of those who were not told to lie.
fn caught(summary: &Summary) -> (String, String) {
    let checks = &summary.verification;
    let caught = checks.liars_caught();
    match checks.liars {
        0 => (checks.honest_fined.to_string(), "parties fined".to_owned()),
        all => (format!("{caught} of {all} / {}", checks.honest_fined), "liars caught / honest fined".to_owned()),
    }
}

fn charts(charts: &[Chart]) -> String {
    let figures: String = charts.iter().map(Chart::to_html).collect();
    if figures.is_empty() {
        return figures;
    }
    format!("<div class=\"charts\">{figures}</div>")
}

/// One number of every step as a curve.
fn curve(view: &RunView, label: &'static str, look: Look, value: fn(&StepMetrics) -> f64) -> Series {
    let points = view.steps.iter().map(|(step, m)| (*step as f64, value(m))).collect();
    Series { label, points, look }
}

fn learning(view: &RunView) -> Vec<Chart> {
    let held_out = |label, value: fn(&crate::events::EvalFinished) -> f64| {
        // The score before the warm-up has no place on an axis of RL steps; the table has it.
        let evals = view.evals.iter().filter(|eval| eval.stage != EvalStage::Start);
        let mut points: Vec<(f64, f64)> = Vec::new();
        // With several tasks, the mean of the scores at the same step.
        for (step, group) in by_step(evals) {
            points.push((step, group.iter().map(|eval| value(eval)).sum::<f64>() / group.len() as f64));
        }
        Series { label, points, look: Look::Dots }
    };
    let several = if view.eval_tasks().len() > 1 { ", mean over tasks" } else { "" };
    vec![
        Chart {
            title: "Reward",
            note: "mean over all rollouts of a step, refused groups too, 0 to 1".to_owned(),
            series: vec![
                curve(view, "reward", Look::Smoothed, |m| m.reward_all_mean.unwrap_or(m.reward.mean)),
                curve(view, "exact in the batch", Look::Smoothed, |m| m.exact_share),
            ],
            span: Some((0.0, 1.0)),
        },
        Chart {
            title: "Held-out score",
            note: format!("items never trained on{several}"),
            series: vec![
                held_out("exact (avg@k)", |eval| eval.exact_mean),
                held_out("reward", |eval| eval.reward_mean),
            ],
            span: Some((0.0, 1.0)),
        },
    ]
}

/// Evaluations by step, in the order of the steps.
fn by_step<'a>(
    evals: impl Iterator<Item = &'a crate::events::EvalFinished>,
) -> Vec<(f64, Vec<&'a crate::events::EvalFinished>)> {
    let mut groups: std::collections::BTreeMap<u64, Vec<_>> = Default::default();
    for eval in evals {
        let group: &mut Vec<&crate::events::EvalFinished> = groups.entry(eval.step).or_default();
        // The final score replaces one made at the same step.
        group.retain(|other| other.task != eval.task);
        group.push(eval);
    }
    groups.into_iter().map(|(step, group)| (step as f64, group)).collect()
}

fn training(view: &RunView) -> Vec<Chart> {
    let sft = view.sft.iter().map(|step| (step.step as f64, step.loss)).collect();
    let chart = |title, note: &str, series, span| Chart { title, note: note.to_owned(), series, span };
    vec![
        chart(
            "Loss",
            "its size says little in RL: it starts near 0 and may rise while the reward does",
            vec![curve(view, "loss", Look::Smoothed, |m| m.loss)],
            None,
        ),
        chart(
            "Entropy",
            "nats per completion token; near 0 means nothing is tried any more",
            vec![curve(view, "entropy", Look::Smoothed, |m| m.entropy)],
            Some((0.0, 0.1)),
        ),
        chart(
            "Staleness",
            "age of the batch in weight versions",
            vec![
                curve(view, "mean", Look::Line, |m| m.staleness.mean),
                curve(view, "largest", Look::Line, |m| m.staleness.max),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Throughput",
            "tokens per second",
            vec![
                curve(view, "trained, per wall second", Look::Smoothed, |m| per_second(m.tokens_trained, m.time.step)),
                curve(view, "generated, per busy second", Look::Smoothed, |m| {
                    per_second(m.tokens_generated, m.time.generate)
                }),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Groups",
            "share of all groups that came back",
            vec![
                curve(view, "all exact", Look::Smoothed, |m| m.solved_all),
                curve(view, "none exact", Look::Smoothed, |m| m.solved_none),
                curve(view, "equal rewards", Look::Smoothed, |m| m.equal_rewards_share),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Completion length",
            "tokens",
            vec![
                curve(view, "mean", Look::Smoothed, |m| m.completion_length.mean),
                curve(view, "longest", Look::Line, |m| m.completion_length.max),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Gradient norm",
            "before clipping",
            vec![curve(view, "norm", Look::Smoothed, |m| m.grad_norm)],
            Some((0.0, 0.1)),
        ),
        chart(
            "Engine against trainer",
            "KL estimate per token, nats; rises when rollouts are stale",
            vec![curve(view, "mismatch KL", Look::Smoothed, |m| m.mismatch_kl)],
            None,
        ),
        chart(
            "Time per step",
            "seconds",
            vec![
                curve(view, "step", Look::Smoothed, |m| m.time.step),
                curve(view, "generate (overlaps in async mode)", Look::Smoothed, |m| m.time.generate),
                curve(view, "forward and backward", Look::Smoothed, |m| m.time.forward_backward),
                curve(view, "wait for a batch", Look::Smoothed, |m| m.time.wait_for_batch),
            ],
            Some((0.0, 0.01)),
        ),
        chart(
            "Warm-up loss",
            "supervised, nats per target token",
            vec![Series { label: "loss", points: sft, look: Look::Smoothed }],
            Some((0.0, 0.1)),
        ),
    ]
}

fn scores(view: &RunView) -> String {
    let rows: Vec<Vec<String>> = view
        .evals
        .iter()
        .map(|eval| {
            let stage = match eval.stage {
                EvalStage::Start => "untrained".to_owned(),
                EvalStage::BeforeRl => "before RL".to_owned(),
                EvalStage::During => format!("step {}", eval.step),
                EvalStage::Final => format!("final (step {})", eval.step),
            };
            vec![
                stage,
                escape(&eval.task),
                format!("{:.3}", eval.exact_mean),
                format!("{:.3}", eval.pass_at_k),
                format!("{:.3}", eval.reward_mean),
                eval.items.to_string(),
                eval.samples.to_string(),
                duration(eval.seconds),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["when", "task", "#exact (avg@k)", "#pass@k", "#reward", "#items", "#k", "#time"];
    table(&heads, &rows)
}

fn time(summary: &Summary) -> String {
    let phase = &summary.phase_seconds;
    let rows = [
        ("generate (overlaps)", phase.generate, "overlap"),
        ("validate (overlaps)", phase.validate, "overlap"),
        ("forward and backward", phase.forward_backward, ""),
        ("optimiser", phase.optimizer, ""),
        ("pack", phase.pack, ""),
        ("wait for a batch", phase.wait_for_batch, ""),
        ("hand over weights", phase.broadcast_weights, ""),
        ("write checkpoints", phase.save_ckpt, ""),
        ("warm-up", summary.sft_seconds, ""),
    ];
    let longest = rows.iter().map(|row| row.1).fold(phase.step, f64::max);
    if longest <= 0.0 {
        return String::new();
    }
    let bar = |(label, seconds, class): &(&str, f64, &str)| {
        format!(
            "<div class=\"bar {class}\"><span>{}</span><div><i style=\"width:{:.2}%\"></i></div><em>{} · {:.0}%</em></div>",
            escape(label),
            100.0 * seconds / longest,
            duration(*seconds),
            100.0 * seconds / longest
        )
    };
    let bars: String = rows.iter().filter(|row| row.1 > 0.0).map(bar).collect();
    let waits: Vec<Vec<String>> =
        summary.wait_seconds.iter().map(|(who, seconds)| vec![escape(who), duration(*seconds)]).collect();
    let waits = if waits.is_empty() {
        String::new()
    } else {
        format!("<h3 style=\"margin:18px 0 8px\">Who waited for what</h3>{}", table(&["who for what", "#time"], &waits))
    };
    format!(
        "<p class=\"soft\" style=\"margin-bottom:10px\">All RL steps took {}; shares are of the longest of these.</p>\
         <div class=\"card bars\">{bars}</div>{waits}",
        duration(phase.step)
    )
}

fn samples(view: &RunView) -> String {
    let steps: Vec<(&u64, &Vec<RolloutText>)> = view.samples.iter().collect();
    if steps.is_empty() {
        return String::new();
    }
    let shown = steps.len().min(SAMPLED_STEPS_SHOWN);
    let mut rows = Vec::new();
    for place in 0..shown {
        // Evenly spread, with the first and the last among them.
        let index = if shown == 1 { 0 } else { place * (steps.len() - 1) / (shown - 1) };
        let (step, texts) = steps[index];
        for text in texts {
            rows.push(sample_row(*step, text));
        }
    }
    table(&["after step", "prompt", "completion", "#reward"], &rows)
}

fn sample_row(step: u64, text: &RolloutText) -> Vec<String> {
    let code = |text: &str| format!("<code>{}</code>", escape(&shorten(text, TEXT_CHARS_MAX)));
    let class = if text.exact { "good" } else { "bad" };
    let reward = text.reward_micro as f64 / 1e6;
    let mark = if text.exact { "✓" } else { "✗" };
    vec![
        step.to_string(),
        code(&text.prompt),
        code(&text.completion),
        format!("<span class=\"{class}\">{reward:.2} {mark}</span>"),
    ]
}

fn warnings(view: &RunView) -> String {
    if view.warnings.is_empty() {
        return String::new();
    }
    let items: String =
        view.warnings.iter().map(|warning| format!("<li>{}</li>", escape(&shorten(warning, TEXT_CHARS_MAX)))).collect();
    let more = match view.warnings_count - view.warnings.len() as u64 {
        0 => String::new(),
        more => format!("<li class=\"soft\">and {more} more</li>"),
    };
    format!("<div class=\"card\"><ul>{items}{more}</ul></div>")
}

fn settings(view: &RunView, summary: &Summary) -> String {
    let machine = &summary.machine;
    let cpu = if machine.cpu.is_empty() { "processor unknown" } else { &machine.cpu };
    let line = format!(
        "{cpu}, {} cores, {:.0} GiB, {}, device {}; essaim {}",
        machine.cores,
        machine.memory_bytes as f64 / (1u64 << 30) as f64,
        machine.system,
        machine.device,
        summary.program_version
    );
    let config = view.started.as_ref().map_or("", |started| &started.config_toml);
    format!(
        "<p class=\"soft\">{}</p>\n<details><summary>Resolved run file</summary><pre>{}</pre></details>",
        escape(&line),
        escape(config)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;
    use crate::view::tests::fold;

    #[test]
    fn the_page_needs_nothing_from_outside_and_escapes_what_models_write() {
        let page = html(&fold(&synthetic::run(200)));
        for outside in ["http://", "https://", "<script", "src=", "url(", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("c&lt;b&gt;a &amp; &quot;x&quot;"));
        assert!(page.contains("&lt;8 tokens&gt; &amp; were cut"));
        assert!(page.contains("0.210 → 0.97"));
        assert!(page.contains("2 of 3 liars were caught.") && page.contains("Honest parties fined: 0."));
        assert!(page.contains("the fingerprint is off by 0.009120, allowed 0.001500"));
        assert!(page.contains("Not caught: worker 9 (best_of_n)."));
        assert!(page.contains("is no record &lt;i&gt;"));
        assert!(page.contains("<h2>Payouts</h2>") && page.contains("Stake lost by liars: 600.00 ESM."));
        assert!(page.contains("<b class=\"bad\">−200.00 ESM</b>") && page.contains("malformed &lt;i&gt;"));
        assert_eq!(page.matches("<svg").count(), 12);
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        if let Some(path) = std::env::var_os("ESSAIM_TEST_REPORT") {
            std::fs::write(path, page).unwrap();
        }
    }

    #[test]
    fn tags_are_closed_in_order() {
        let page = html(&fold(&synthetic::run(60)));
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
            if matches!(name, "!doctype" | "meta") || tag.ends_with('/') {
                continue;
            }
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn a_run_that_never_began_has_a_page_too() {
        let page = html(&RunView::default());
        assert!(page.contains("not finished") && !page.contains("<svg"));
    }
}
