//! `essaim eval`: scores of a model on held-out items.
//!
//! Promise: the same items, noise and grades as the evaluations within a run of the same settings,
//! so that its scores can be laid beside theirs. Which tasks are scored, from where, and whether they are asked through
//! the model's chat template, is said each time.

use super::progress::Progress;
use super::settings;
use crate::cli::EvalArgs;
use crate::config::{self, RunConfig, Sources};
use crate::context::Context;
use crate::ending::Ending;
use crate::run::chat;
use crate::run::evaluator::{self, EvalSample, EvalSetup};
use crate::run::setup;
use anyhow::Result;
use record::metrics::per_second;
use record::output;
use record::run_dir;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Folders above a model's in which its run is looked for: `RUN/model`, `RUN/checkpoints/step-N/older/M`.
const FOLDERS_UP_MAX: usize = 4;

/// Where the settings come from when no run file is named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// The run files named.
    Files(Vec<PathBuf>),
    /// The run whose folder the model is in.
    Run(PathBuf),
    /// The embedded default run.
    Embedded,
}

/// All scores, as `--json` prints them.
#[derive(Serialize)]
struct Report {
    model: String,
    /// The run files that name the tasks.
    tasks_from: String,
    tasks: Vec<Row>,
    /// Completion tokens of all tasks, which are generated side by side.
    tokens: u64,
    /// From the first prompt to the last grade.
    seconds: f64,
    tokens_per_second: f64,
    /// What was asked and answered, item by item.
    completions: Vec<Shown>,
}

/// One graded sample.
#[derive(Debug, Serialize)]
struct Shown {
    task: String,
    /// Which held-out item.
    item: u64,
    /// Which sample of the item, from 0.
    sample: u64,
    /// The item's text, without the chat template.
    prompt: String,
    completion: String,
    /// A completion that earns the whole reward.
    answer: String,
    /// 0 to 1.
    reward: f64,
    exact: bool,
    tokens: u64,
}

/// Scores on one task.
#[derive(Serialize)]
struct Row {
    task: String,
    /// Whether its prompts went through the model's chat template.
    chat: bool,
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
    let origin = origin(args);
    let mut config = config::resolve(&sources(args, context, &origin))?;
    if args.dry_run {
        settings::print(&config, context)?;
        return Ok(Ending::Done);
    }
    chat::keep_date(&mut config);
    if config.model.random.is_some() && !context.global.quiet {
        output::note("note: [model.random] has fresh weights; --model names trained ones");
    }
    let report = measure(&config, args, &origin, context)?;
    let text = if context.global.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        table(&report, context.global.quiet)
    };
    output::print(&text)?;
    Ok(Ending::Done)
}

/// Where the settings come from.
fn origin(args: &EvalArgs) -> Origin {
    if !args.config.files.is_empty() {
        return Origin::Files(args.config.files.clone());
    }
    let folder = args.config.model.as_ref().and_then(|model| std::fs::canonicalize(model).ok());
    let is_run = |folder: &&Path| run_dir::events_path(folder).is_file() && run_dir::config_path(folder).is_file();
    let run = folder.as_deref().and_then(|folder| folder.ancestors().take(FOLDERS_UP_MAX + 1).find(is_run));
    run.map_or(Origin::Embedded, |run| Origin::Run(run_dir::config_path(run)))
}

impl Origin {
    fn in_words(&self) -> String {
        match self {
            Self::Files(files) => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
            Self::Run(file) => file.display().to_string(),
            Self::Embedded => "the embedded default run".to_owned(),
        }
    }
}

fn sources(args: &EvalArgs, context: &Context, origin: &Origin) -> Sources {
    let mut sources = args.config.sources(&context.global);
    if let Origin::Run(file) = origin {
        sources.files = vec![file.clone()];
    }
    sources
}

fn measure(config: &RunConfig, args: &EvalArgs, origin: &Origin, context: &Context) -> Result<Report> {
    setup::use_threads(config.run.threads);
    let device = setup::device(config)?;
    let mut config = config.clone();
    let tasks = setup::run_tasks(&config, false)?;
    let (tokenizer, start) = setup::start(&config, &tasks)?;
    let has_template = tokenizer.has_chat_template();
    // The built-in task knows of no model.
    if has_template && *origin == Origin::Embedded {
        config.tasks.iter_mut().for_each(|task| task.chat = task.chat.or(Some(true)));
    }
    let config = &config;
    let (prompting, fitted) = setup::prompting(config, tokenizer, tasks, start.config())?;
    for left_out in fitted.left_out {
        output::note(&format!("warning: {left_out}"));
    }
    let names: Vec<String> = prompting.tasks().iter().map(|entry| entry.name.clone()).collect();
    let chats: Vec<bool> = prompting.tasks().iter().map(|entry| entry.chat).collect();
    if !context.global.quiet {
        output::note(&what_is_scored(&names, &chats, has_template, origin));
        chat::notes(&prompting).iter().for_each(|note| output::note(&format!("note: {note}")));
    }
    let setup = EvalSetup::of_run(config, prompting, start.config(), &device);
    let model = start.inference(setup.dtype, &device)?;
    let mut progress = Progress::new("samples", Some(setup.sample_count()), context.global.quiet);
    let start = Instant::now();
    let samples = evaluator::evaluate(&setup, model, 0, &mut |done| progress.set(done))?;
    let seconds = start.elapsed().as_secs_f64();
    drop(progress);
    let scores = evaluator::scores(&setup, &samples)?;
    let tokens = scores.iter().map(|score| score.tokens).sum();
    let wanted = args.show.unwrap_or(if context.global.json { u64::MAX } else { 0 });
    let chat_of = |task: &str| names.iter().zip(&chats).any(|(name, chat)| name == task && *chat);
    Ok(Report {
        model: model_name(config),
        tasks_from: origin.in_words(),
        tasks: scores.into_iter().map(|score| row(chat_of(&score.task), score)).collect(),
        tokens,
        seconds,
        tokens_per_second: per_second(tokens, seconds).unwrap_or(0.0), // it took time
        completions: shown(&setup, &samples, wanted),
    })
}

/// The tasks, where they come from, and how they are asked, in a line.
fn what_is_scored(names: &[String], chats: &[bool], has_template: bool, origin: &Origin) -> String {
    let mut text = format!("note: scoring {} of {}", names.join(", "), origin.in_words());
    if *origin == Origin::Embedded {
        text += " (no run file is named)";
    }
    text += match (has_template, chats.iter().all(|chat| *chat)) {
        (true, true) => "; asked through the model's chat template",
        (true, false) if chats.iter().any(|chat| *chat) => {
            "; tasks without chat = true are asked without the model's chat template"
        }
        (true, false) => "; asked without the model's chat template, which chat = true in [[tasks]] uses",
        (false, _) => "; the model has no chat template",
    };
    text
}

/// What was asked and answered on the first `items` items of all.
fn shown(setup: &EvalSetup, samples: &[EvalSample], items: u64) -> Vec<Shown> {
    let per_item = u64::from(setup.samples.max(1));
    let count = usize::try_from(items.saturating_mul(per_item)).unwrap_or(usize::MAX);
    let show = |(number, sample): (u64, &EvalSample)| {
        let entry = &setup.prompting.tasks()[sample.task];
        Shown {
            task: entry.name.clone(),
            item: sample.item.index,
            sample: number % per_item,
            prompt: sample.item.prompt.clone(),
            completion: sample.completion.clone(),
            answer: entry.task.oracle(&sample.item),
            reward: sample.grade.reward_micro as f64 / 1e6,
            exact: sample.grade.exact,
            tokens: sample.tokens as u64,
        }
    };
    (0..).zip(samples).take(count).map(show).collect()
}

fn row(chat: bool, score: crate::run::messages::TaskScore) -> Row {
    Row {
        chat,
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

impl Shown {
    fn to_text(&self) -> String {
        let Self { task, item, sample, prompt, completion, answer, reward, exact, tokens } = self;
        let exact = if *exact { ", exact" } else { "" };
        format!(
            "--- {task}, item {item}, sample {sample}\nprompt      {prompt:?}\ncompletion  {completion:?} ({tokens} tokens)\n\
             answer      {answer:?}\ngrade       {reward:.4}{exact}\n"
        )
    }
}

fn table(report: &Report, quiet: bool) -> String {
    let shown: String = report.completions.iter().map(|sample| sample.to_text() + "\n").collect();
    let names = report.tasks.iter().map(|row| row.task.chars().count());
    let width = names.max().unwrap_or(0).max("task".len());
    let mut text = shown;
    text += &format!(
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
    use crate::cli::ConfigArgs;

    #[test]
    fn the_model_named_replaces_that_of_the_run_file() {
        let args = |model: &str| EvalArgs {
            config: ConfigArgs { model: Some(model.to_owned()), ..ConfigArgs::default() },
            ..EvalArgs::default()
        };
        let of = |args: &EvalArgs| sources(args, &Context::default(), &origin(args));
        let section = |model: &str| config::resolve(&of(&args(model))).unwrap().model;
        let path = section("/no/such \"folder\"");
        assert_eq!(path.path.as_deref(), Some(Path::new("/no/such \"folder\"")));
        assert!(path.random.is_none() && path.hub.is_none());
        assert_eq!(section("Qwen/Qwen3-0.6B").hub.as_deref(), Some("Qwen/Qwen3-0.6B"));
    }

    #[test]
    fn the_table_has_a_line_per_task() {
        let row = Row {
            task: "spell-backward".into(),
            chat: false,
            items: 128,
            samples: 4,
            exact_mean: 0.5,
            pass_at_k: 0.75,
            reward_mean: 0.625,
            tokens_mean: 4.0,
        };
        let report = Report {
            model: String::new(),
            tasks_from: String::new(),
            tasks: vec![row],
            tokens: 2048,
            seconds: 2.0,
            tokens_per_second: 1024.0,
            completions: Vec::new(),
        };
        let text = table(&report, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "spell-backward     128        4  0.5000  0.7500  0.6250     4.0");
        assert_eq!(lines[2], "2048 tokens in 2.0 s: 1024 tokens/s");
        assert_eq!(lines[0].len(), lines[1].len());
    }
}
