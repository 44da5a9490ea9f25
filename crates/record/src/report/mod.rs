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

use crate::events::{EvalFinished, EvalStage, Graded, Outcome, RolloutText, StepMetrics};
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

/// A part of the page under its own heading; not shown where there is nothing to show.
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: &'static str,
    /// What stands under it; empty if there is nothing.
    pub(crate) content: fn(&RunView, &Summary) -> String,
}

/// All sections, in order.
pub(crate) const SECTIONS: &[Section] = &[
    Section { title: "Learning", content: |view, _| charts(&learning(view)) },
    Section { title: "Curriculum", content: curriculum::section },
    Section { title: "Verification", content: trust::section },
    Section { title: "Payouts", content: |_, summary| payout::section(summary) },
    Section { title: "Held-out scores", content: |view, _| scores(view) },
    Section { title: "Training", content: |view, _| charts(&training(view)) },
    Section { title: "Time", content: |_, summary| time(summary) },
    Section { title: "Sample rollouts", content: |view, _| samples(view) },
    Section { title: "Warnings", content: |view, _| warnings(view) },
    Section { title: "Settings and machine", content: settings },
];

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
    for Section { title, content } in SECTIONS {
        page += &section(title, &content(view, &summary));
    }
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
    let rates = &summary.tokens_per_second;
    let at = |rate: Option<f64>| rate.map_or(String::new(), |rate| format!(", {} a second", count(rate)));
    let mut tile = |value: String, label: String| tiles.push((value, label));
    if summary.sft_steps > 0 {
        let label = format!("prompt and completion tokens trained on, supervised{}", at(rates.sft_trained));
        tile(count(tokens.sft_trained as f64), label);
    }
    if let Some(staleness) = &summary.staleness {
        let label = format!("completion tokens generated{}", at(rates.generated_completion));
        tile(count(tokens.generated_completion as f64), label);
        let label = format!("prompt and completion tokens trained on in RL{}", at(rates.trained));
        tile(count(tokens.trained as f64), label);
        let ages = format!("{:.2} / {}", staleness.mean, number(staleness.max));
        tile(ages, "age of what is trained on, mean / largest, weight versions".to_owned());
        let (value, label) = caught(summary);
        tile(value, label);
    }
    if let Some(bytes) = summary.peak_memory_bytes {
        let predicted = summary.predicted_memory_bytes;
        let predicted =
            predicted.map_or(String::new(), |bytes| format!(", {} MB predicted", bytes.div_ceil(1_000_000)));
        tile(format!("{} MB", bytes.div_ceil(1_000_000)), format!("largest memory{predicted}"));
    }
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

/// Every chart of the page.
#[cfg(test)]
pub(crate) fn charts_of(view: &RunView) -> Vec<Chart> {
    learning(view).into_iter().chain(training(view)).collect()
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

/// The same of numbers that not every step has.
fn some_curve(view: &RunView, label: &'static str, look: Look, value: fn(&StepMetrics) -> Option<f64>) -> Series {
    let points = view.steps.iter().filter_map(|(step, m)| Some((*step as f64, value(m)?))).collect();
    Series { label, points, look }
}

fn all(view: &RunView, label: &'static str, value: fn(&Graded) -> f64) -> Series {
    let point = |(step, m): (&u64, &StepMetrics)| Some((*step as f64, value(m.all.as_ref()?)));
    Series { label, points: view.steps.iter().filter_map(point).collect(), look: Look::Smoothed }
}

fn learning(view: &RunView) -> Vec<Chart> {
    let held_out = |label, value: fn(&EvalFinished) -> f64| {
        // Scores around a warm-up have no place on an axis of RL steps; the table has them.
        let is_rl = |eval: &&EvalFinished| !matches!(eval.stage, EvalStage::Start | EvalStage::AfterSft);
        let evals = view.evals.iter().filter(is_rl);
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
            title: "Training reward",
            note: "of training items: mean over the rollouts of all groups since the last step, 0 to 1".to_owned(),
            series: vec![all(view, "reward", |all| all.reward_mean), all(view, "exact", |all| all.exact_share)],
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
fn by_step<'a>(evals: impl Iterator<Item = &'a EvalFinished>) -> Vec<(f64, Vec<&'a EvalFinished>)> {
    let mut groups: std::collections::BTreeMap<u64, Vec<_>> = Default::default();
    for eval in evals {
        let group: &mut Vec<&EvalFinished> = groups.entry(eval.step).or_default();
        // The final score replaces one made at the same step.
        group.retain(|other| other.task != eval.task);
        group.push(eval);
    }
    groups.into_iter().map(|(step, group)| (step as f64, group)).collect()
}

fn training(view: &RunView) -> Vec<Chart> {
    let sft = view.sft.iter().map(|step| (step.step as f64, step.learnt.loss)).collect();
    let chart = |title, note: &str, series, span| Chart { title, note: note.to_owned(), series, span };
    vec![
        chart(
            "Loss",
            "its size says little in RL: it starts near 0 and may rise while the reward does",
            vec![curve(view, "loss", Look::Smoothed, |m| m.learnt.loss)],
            None,
        ),
        chart(
            "Entropy",
            "nats per completion token; near 0 means nothing is tried any more",
            vec![curve(view, "entropy", Look::Smoothed, |m| m.learnt.policy.entropy)],
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
            "tokens per second of wall time",
            vec![
                some_curve(view, "trained on: prompts and completions", Look::Smoothed, |m| {
                    per_second(m.tokens_trained(), m.time.step)
                }),
                some_curve(view, "generated: completions", Look::Smoothed, |m| {
                    per_second(m.tokens_generated(), m.time.step)
                }),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Groups",
            "shares of all groups that passed their checks",
            vec![
                all(view, "every rollout exact", |all| all.solved_all_share),
                all(view, "no rollout exact", |all| all.solved_none_share),
                all(view, "equal rewards: nothing to learn", |all| all.equal_rewards_share),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Completion length",
            "tokens, all groups",
            vec![
                all(view, "mean", |all| all.completion_length.mean),
                all(view, "longest", |all| all.completion_length.max),
            ],
            Some((0.0, 1.0)),
        ),
        chart(
            "Gradient norm",
            "before clipping",
            vec![curve(view, "norm", Look::Smoothed, |m| m.learnt.grad_norm)],
            Some((0.0, 0.1)),
        ),
        chart(
            "Engine against trainer",
            "KL estimate per token, nats; rises when rollouts are stale",
            vec![curve(view, "mismatch KL", Look::Smoothed, |m| m.learnt.policy.mismatch_kl)],
            None,
        ),
        chart(
            "Time per step",
            "seconds",
            vec![
                curve(view, "step", Look::Smoothed, |m| m.time.step),
                curve(view, "generate, all workers together", Look::Smoothed, |m| m.time.generate),
                curve(view, "forward and backward", Look::Smoothed, |m| m.time.forward_backward),
                curve(view, "wait for a batch", Look::Smoothed, |m| m.time.wait_for_batch),
            ],
            Some((0.0, 0.01)),
        ),
        chart(
            "Supervised loss",
            "nats per completion token",
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
                EvalStage::Start => "at the start".to_owned(),
                EvalStage::AfterSft => format!("after {} supervised steps", eval.step),
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
    let one_by_one = [
        ("wait for a batch", phase.wait_for_batch),
        ("forward, backward, optimiser", phase.forward_backward),
        ("copy and hash new weights", phase.snapshot_weights),
        ("write checkpoints", phase.save_ckpt),
    ];
    let trainer = bars(&one_by_one, phase.step, |seconds| format!("{:.0} %", 100.0 * seconds / phase.step));
    let together = [("workers", phase.generate), ("validators", phase.validate)];
    let busy = bars(&together, phase.step, |seconds| format!("{:.2} at once", seconds / phase.step));
    let waits: Vec<Vec<String>> =
        summary.wait_seconds.iter().map(|(who, seconds)| vec![escape(who), duration(*seconds)]).collect();
    let waits = if waits.is_empty() { String::new() } else { table(&["who for what", "#time"], &waits) };
    let parts = [
        (format!("The trainer, of {} between the first step and the last", duration(phase.step)), trainer),
        ("Workers and validators: busy seconds of all together, and how many were busy at once".to_owned(), busy),
        ("Who waited for what; workers and validators all of them together".to_owned(), waits),
    ];
    let shown = parts.into_iter().filter(|(_, content)| !content.is_empty());
    shown.map(|(title, content)| format!("<h3 style=\"margin:18px 0 8px\">{}</h3>{content}", escape(&title))).collect()
}

/// Seconds as bars, relative to `whole` or the longest; nothing where all are 0.
fn bars(rows: &[(&str, f64)], whole: f64, share: impl Fn(f64) -> String) -> String {
    let longest = rows.iter().map(|row| row.1).fold(whole, f64::max);
    let bar = |(label, seconds): &(&str, f64)| {
        format!(
            "<div class=\"bar\"><span>{}</span><div><i style=\"width:{:.2}%\"></i></div><em>{} · {}</em></div>",
            escape(label),
            100.0 * seconds / longest,
            duration(*seconds),
            share(*seconds)
        )
    };
    let bars: String = rows.iter().filter(|row| row.1 > 0.0).map(bar).collect();
    if bars.is_empty() { bars } else { format!("<div class=\"card bars\">{bars}</div>") }
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
    let memory = machine.memory_bytes.map(|bytes| format!(" {:.0} GiB,", bytes as f64 / (1u64 << 30) as f64));
    let line = format!(
        "{cpu}, {} cores,{} {}, device {}; essaim {}",
        machine.cores,
        memory.unwrap_or_default(),
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
mod tests;
