//! `essaim eval`: scores of a model on held-out items.
//!
//! Promise: the same items, noise and grades as the evaluations within a run of the same settings,
//! so that its scores can be laid beside theirs.

use super::progress::Progress;
use super::settings;
use crate::cli::{Context, Ending, EvalArgs};
use crate::config::{self, RunConfig, Sources};
use crate::metrics::per_second;
use crate::run::chat;
use crate::run::evaluator::{self, EvalSetup};
use crate::run::setup;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// All scores, as `--json` prints them.
#[derive(Serialize)]
struct Report {
    model: String,
    tasks: Vec<Row>,
    /// Completion tokens of all tasks, which are generated side by side.
    tokens: u64,
    /// From the first prompt to the last grade.
    seconds: f64,
    tokens_per_second: f64,
}

/// Scores on one task.
#[derive(Serialize)]
struct Row {
    task: String,
    items: u64,
    samples: u64,
    /// avg@k.
    exact_mean: f64,
    pass_at_k: f64,
    reward_mean: f64,
    tokens_mean: f64,
}

/// Evaluates and prints the scores.
pub(crate) fn eval(args: &EvalArgs, context: &Context) -> Result<Ending> {
    let mut config = config::resolve(&sources(args, context))?;
    if args.dry_run {
        settings::print(&config, context)?;
        return Ok(Ending::Done);
    }
    chat::keep_date(&mut config);
    if config.model.random.is_some() && !context.global.quiet {
        eprintln!("note: [model.random] has fresh weights; --model names trained ones");
    }
    let report = measure(&config, context)?;
    let text = if context.global.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        table(&report, context.global.quiet)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Ending::Done)
}

/// The settings with `--model` in place of the whole `[model]` section.
fn sources(args: &EvalArgs, context: &Context) -> Sources {
    let mut sources = args.config.sources(&context.global);
    if let Some(model) = &args.model {
        let key = if Path::new(model).exists() || is_path(model) { "path" } else { "hub" };
        let name = toml::Value::String(model.clone());
        // Before the options of the command line, so that `--set model.template_args...` reaches this model.
        sources.sets.insert(0, format!("model={{ {key} = {name} }}"));
    }
    sources
}

/// Hub names begin with a letter or digit and have one `/`.
fn is_path(name: &str) -> bool {
    name.starts_with(['/', '.', '~']) || name.matches('/').count() != 1
}

fn measure(config: &RunConfig, context: &Context) -> Result<Report> {
    setup::use_threads(config);
    let device = setup::device(config)?;
    let tasks = setup::run_tasks(config, false)?;
    let (tokenizer, model) = setup::model(config, &tasks, &device)?;
    let prompting = setup::prompting(config, tokenizer, tasks)?;
    if !context.global.quiet {
        chat::notes(&prompting).iter().for_each(|note| eprintln!("note: {note}"));
    }
    let snapshot = model.snapshot();
    drop(model);
    let setup = EvalSetup::of_run(config, prompting, snapshot.config(), &device);
    let mut progress = Progress::new("samples", Some(setup.sample_count()), context.global.quiet);
    let start = Instant::now();
    let samples = evaluator::evaluate(&setup, &snapshot, 0, &mut |done| progress.set(done))?;
    let seconds = start.elapsed().as_secs_f64();
    let scores = evaluator::scores(&setup, &samples)?;
    let tokens = scores.iter().map(|score| score.tokens).sum();
    Ok(Report {
        model: model_name(config),
        tasks: scores.into_iter().map(row).collect(),
        tokens,
        seconds,
        tokens_per_second: per_second(tokens, seconds),
    })
}

fn row(score: crate::run::messages::TaskScore) -> Row {
    Row {
        tokens_mean: score.tokens as f64 / (score.items * score.samples).max(1) as f64,
        task: score.task,
        items: score.items,
        samples: score.samples,
        exact_mean: score.exact_mean,
        pass_at_k: score.pass_at_k,
        reward_mean: score.reward_mean,
    }
}

fn model_name(config: &RunConfig) -> String {
    let model = &config.model;
    let path = model.path.as_ref().map(|path| path.display().to_string());
    path.or_else(|| model.hub.clone()).unwrap_or_else(|| "random".to_owned())
}

fn table(report: &Report, quiet: bool) -> String {
    let names = report.tasks.iter().map(|row| row.task.chars().count());
    let width = names.max().unwrap_or(0).max("task".len());
    let mut text = format!(
        "{:width$}  {:>6}  {:>7}  {:>6}  {:>6}  {:>6}  {:>6}\n",
        "task", "items", "k", "avg@k", "pass@k", "reward", "tokens"
    );
    for row in &report.tasks {
        text += &format!(
            "{:width$}  {:>6}  {:>7}  {:>6.4}  {:>6.4}  {:>6.4}  {:>6.1}\n",
            row.task, row.items, row.samples, row.exact_mean, row.pass_at_k, row.reward_mean, row.tokens_mean
        );
    }
    if !quiet {
        text +=
            &format!("{} tokens in {:.1} s: {:.0} tokens/s\n", report.tokens, report.seconds, report.tokens_per_second);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_named_replaces_that_of_the_run_file() {
        let args = |model: &str| EvalArgs { model: Some(model.to_owned()), ..EvalArgs::default() };
        let section = |model: &str| config::resolve(&sources(&args(model), &Context::default())).unwrap().model;
        let path = section("/no/such \"folder\"");
        assert_eq!(path.path.as_deref(), Some(Path::new("/no/such \"folder\"")));
        assert!(path.random.is_none() && path.hub.is_none());
        assert_eq!(section("Qwen/Qwen3-0.6B").hub.as_deref(), Some("Qwen/Qwen3-0.6B"));
    }

    #[test]
    fn the_table_has_a_line_per_task() {
        let row = Row {
            task: "spell-backward".into(),
            items: 128,
            samples: 4,
            exact_mean: 0.5,
            pass_at_k: 0.75,
            reward_mean: 0.625,
            tokens_mean: 4.0,
        };
        let report =
            Report { model: String::new(), tasks: vec![row], tokens: 2048, seconds: 2.0, tokens_per_second: 1024.0 };
        let text = table(&report, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "spell-backward     128        4  0.5000  0.7500  0.6250     4.0");
        assert_eq!(lines[2], "2048 tokens in 2.0 s: 1024 tokens/s");
        assert_eq!(lines[0].len(), lines[1].len());
    }
}
