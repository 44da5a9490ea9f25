//! `essaim run`: one process that generates, trains, evaluates and keeps the record.
//!
//! Promise: a run that was killed at any moment goes on from its last checkpoint and its log, and
//! loses no group that came back; in sequential mode on the CPU it ends with the same weights.
//! Takes: a resolved run file. Gives: a folder with weights, log, metrics, summary and report.

pub mod checkpoint;
pub mod conductor;
pub mod evaluator;
pub mod groups;
pub mod journal;
pub mod learning;
pub mod measure;
pub mod messages;
pub mod prompting;
pub mod setup;
pub mod supervised;
pub mod trainer;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use burn::tensor::Device;
use model::{ModelConfig, ModelSnapshot, SaveOptions, Tokenizer, Transformer};
use rounds::Rounds;
use train::Trainer;

use crate::cli::{Context, Ending};
use crate::config::RunConfig;
use crate::events::{EvalStage, Event, Outcome, RunFinished, RunStarted};
use crate::machine::Machine;
use crate::run_dir::RunDir;
use crate::signal::Stop;
use crate::store::EventLog;
use checkpoint::{Checkpoint, Draft};
use conductor::{Conductor, Limits, Orders, Progress};
use evaluator::EvalSetup;
use groups::Groups;
use journal::Journal;
use messages::News;
use prompting::Prompting;
use trainer::AdvantageRule;
use worker::{WorkCount, WorkerSetup};

/// Where the run writes the final weights, inside its folder.
const MODEL_FOLDER: &str = "model";

/// A run's fixed parts.
struct Stage {
    config: RunConfig,
    dir: RunDir,
    device: Device,
    prompting: Arc<Prompting>,
    tokenizer: Arc<Tokenizer>,
    stop: Stop,
    start: Instant,
}

/// How a run ended that did not fail.
struct Ended {
    outcome: Outcome,
    steps: u64,
    /// The newest weights, if RL began.
    snapshot: Option<ModelSnapshot>,
}

/// A run between its preparation and its first order.
struct Ready {
    rounds: Rounds,
    trainer: Trainer,
    groups: Groups,
    /// Events of the rules that were logged after the checkpoint.
    replay: Vec<rounds::Event>,
}

/// Starts or goes on, and says how it ended.
pub(crate) fn run(config: RunConfig, dir: RunDir, resumed: bool, context: &Context) -> Result<Ending> {
    let outcome = if resumed { resume(config, dir, context) } else { begin(config, dir, context) }?;
    Ok(ending(outcome))
}

fn ending(outcome: Outcome) -> Ending {
    if outcome == Outcome::Interrupted { Ending::Interrupted } else { Ending::Done }
}

fn begin(config: RunConfig, dir: RunDir, context: &Context) -> Result<Outcome> {
    let (stage, model) = stage(config, dir, context.stop.clone())?;
    let mut journal = begin_journal(&stage, &model, stage.config.stop.steps, context)?;
    let ended = match prepare(&stage, model, &mut journal) {
        Ok(Some(ready)) => perform(&stage, ready, &mut journal),
        Ok(None) => Ok(Ended { outcome: Outcome::Interrupted, steps: 0, snapshot: None }),
        Err(error) => Err(error),
    };
    conclude(&stage, &mut journal, ended)
}

fn resume(config: RunConfig, dir: RunDir, context: &Context) -> Result<Outcome> {
    let checkpoint = Checkpoint::all(&dir.checkpoints())?.pop();
    let checkpoint = checkpoint.with_context(|| {
        format!("{} has no checkpoint: it ended before RL began, so start it anew", dir.path().display())
    })?;
    let (stage, model) = stage(config, dir, context.stop.clone())?;
    let log = EventLog::open(&stage.dir.events())?;
    let ready = recall(&stage, model, &checkpoint, &log)?;
    let mut journal = Journal::open(log, &stage.dir, &context.global);
    journal.record(Event::RunResumed { step: checkpoint.step })?;
    let ended = perform(&stage, ready, &mut journal);
    conclude(&stage, &mut journal, ended)
}

fn stage(config: RunConfig, dir: RunDir, stop: Stop) -> Result<(Stage, Transformer)> {
    let start = Instant::now();
    setup::use_threads(&config);
    let device = setup::device(&config)?;
    let tasks = setup::run_tasks(&config, true)?;
    let (tokenizer, model) = setup::model(&config, &tasks, &device.clone().autodiff())?;
    let prompting = setup::prompting(&config, tokenizer.clone(), tasks)?;
    Ok((Stage { config, dir, device, prompting, tokenizer, stop, start }, model))
}

/// The journal of a new run, its first event written.
fn begin_journal(stage: &Stage, model: &Transformer, steps_max: u64, context: &Context) -> Result<Journal> {
    let mut journal = Journal::open(EventLog::create(&stage.dir.events())?, &stage.dir, &context.global);
    journal.record(Event::RunStarted(RunStarted {
        name: stage.config.run.name.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        config_toml: stage.config.to_toml()?,
        steps_max,
        sft_steps_max: stage.config.sft.steps,
        parameter_count: model.params().count() as u64,
        machine: Machine::here(&stage.config.run.device),
    }))?;
    Ok(journal)
}

/// Measures, warms up, and writes the checkpoint that every later resume can fall back on.
/// `None` if a person stopped it before RL.
fn prepare(stage: &Stage, model: Transformer, journal: &mut Journal) -> Result<Option<Ready>> {
    let mut model = model;
    if stage.config.sft.steps > 0 {
        evaluate_now(stage, &model.snapshot(), 0, EvalStage::Start, journal)?;
        let (warm, whole) = learning::warm_up(&stage.config, &stage.prompting, model, journal, &stage.stop)?;
        if !whole {
            return Ok(None);
        }
        model = warm;
    }
    let trainer = learning::rl_trainer(&stage.config, model)?;
    let rounds = Rounds::new(setup::rules(&stage.config, &stage.prompting)?)?;
    let draft = Draft::begin(&stage.dir.checkpoints(), 0, rounds.to_bytes())?;
    trainer.save(&draft.trainer())?;
    draft.finish()?;
    Ok(Some(Ready { rounds, trainer, groups: Groups::default(), replay: Vec::new() }))
}

/// Brings back the state of a checkpoint and what the log has after it.
fn recall(stage: &Stage, model: Transformer, checkpoint: &Checkpoint, log: &EventLog) -> Result<Ready> {
    let rounds = checkpoint.rules()?;
    let wanted = setup::rules(&stage.config, &stage.prompting)?;
    ensure!(
        *rounds.config() == wanted,
        "the settings of {} were changed: a run goes on with the rules it began with",
        stage.dir.path().display()
    );
    let mut trainer = learning::rl_trainer(&stage.config, model)?;
    trainer.load(&checkpoint.trainer())?;
    let (mut replay, mut logged, mut position) = (Vec::new(), BTreeMap::new(), 0);
    log.replay(1, |recorded| {
        match recorded.event {
            Event::GroupAccepted(group) => drop(logged.insert(group.lease, recorded.seq)),
            Event::Rules { rules } => {
                if position >= rounds.events_taken() {
                    replay.push(rules);
                }
                position += 1;
            }
            _ => {}
        }
        anyhow::Ok(())
    })?;
    Ok(Ready { rounds, trainer, groups: Groups::resumed(logged), replay })
}

/// Starts the threads, conducts, and ends them.
fn perform(stage: &Stage, ready: Ready, journal: &mut Journal) -> Result<Ended> {
    let (news_to, news) = channel();
    let snapshot = ready.trainer.snapshot();
    let work = Arc::new(WorkCount::default());
    let (orders, threads) = start_threads(stage, ready.trainer, &ready.rounds, &work, news_to)?;
    let limits = Limits {
        reward_target: stage.config.stop.reward_target.map(f64::from),
        time: stage.config.stop.seconds_max.map(Duration::from_secs),
    };
    let mut conductor = Conductor {
        rounds: ready.rounds,
        journal,
        groups: ready.groups,
        prompting: stage.prompting.clone(),
        snapshot,
        eval_snapshots: BTreeMap::new(),
        orders,
        news,
        work,
        stop: stage.stop.clone(),
        limits,
        checkpoints: stage.dir.checkpoints(),
        keep: stage.config.checkpoint.keep,
        steps_max: stage.config.stop.steps,
        progress: Progress::default(),
    };
    let outcome = conductor.replay(ready.replay).and_then(|()| conductor.run());
    let (steps, snapshot) = (conductor.rounds.steps_trained(), conductor.snapshot.clone());
    // Hanging up ends the threads; an error of theirs has reached the conductor as news.
    drop(conductor);
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    Ok(Ended { outcome: outcome?, steps, snapshot: Some(snapshot) })
}

fn start_threads(
    stage: &Stage,
    trainer: Trainer,
    rounds: &Rounds,
    work: &Arc<WorkCount>,
    news: Sender<News>,
) -> Result<(Orders, Vec<JoinHandle<()>>)> {
    let (worker_to, worker_orders) = channel();
    let (trainer_to, trainer_orders) = channel();
    let (evaluator_to, evaluator_orders) = channel();
    let snapshot = trainer.snapshot();
    let worker = WorkerSetup {
        prompting: stage.prompting.clone(),
        sampling: setup::sampling(&stage.config, &stage.tokenizer),
        engine: setup::engine(&stage.config, snapshot.config()),
        dtype: setup::dtype(&stage.config),
        device: stage.device.clone(),
        snapshot: snapshot.clone(),
        version: rounds.version_published(),
        count: work.clone(),
    };
    let eval = eval_setup(stage, snapshot.config());
    let rule =
        AdvantageRule { scale: setup::advantage_scale(&stage.config), temperature: stage.config.rollout.temperature };
    let (worker_news, trainer_news) = (news.clone(), news.clone());
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| thread::Builder::new().name(name.to_owned()).spawn(body);
    let threads = vec![
        spawn("worker", Box::new(move || worker::run(worker, worker_orders, worker_news)))?,
        spawn("trainer", Box::new(move || trainer::run(trainer, rule, trainer_orders, trainer_news)))?,
        spawn("evaluator", Box::new(move || evaluator::run(&eval, evaluator_orders, news)))?,
    ];
    Ok((Orders { worker: worker_to, trainer: trainer_to, evaluator: evaluator_to }, threads))
}

fn eval_setup(stage: &Stage, model: &ModelConfig) -> EvalSetup {
    EvalSetup::of_run(&stage.config, stage.prompting.clone(), model, &stage.device)
}

/// An evaluation that nothing overlaps: before RL, and after an early end.
fn evaluate_now(
    stage: &Stage,
    snapshot: &ModelSnapshot,
    step: u64,
    when: EvalStage,
    journal: &mut Journal,
) -> Result<()> {
    let start = Instant::now();
    let setup = eval_setup(stage, snapshot.config());
    let samples = evaluator::evaluate(&setup, snapshot, step, &mut |_| ())?;
    for score in evaluator::scores(&setup, &samples)? {
        journal.record(Event::EvalFinished(score.event(when, step, start.elapsed().as_secs_f64())))?;
    }
    Ok(())
}

/// Writes what a finished run leaves behind, whatever way it ended.
fn conclude(stage: &Stage, journal: &mut Journal, ended: Result<Ended>) -> Result<Outcome> {
    let (outcome, steps, error) = match ended {
        Ok(ended) => match leave_model(stage, &ended, journal) {
            Ok(()) => (ended.outcome, ended.steps, None),
            Err(error) => (Outcome::Failed(format!("{error:#}")), ended.steps, Some(error)),
        },
        Err(error) => (Outcome::Failed(format!("{error:#}")), 0, Some(error)),
    };
    journal.record(Event::RunFinished(RunFinished {
        outcome: outcome.clone(),
        steps,
        seconds: stage.start.elapsed().as_secs_f64(),
        model_path: stage.dir.model().exists().then(|| MODEL_FOLDER.to_owned()),
    }))?;
    match error {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}

/// The final score, where the rules did not see to it, and the Hugging Face folder.
fn leave_model(stage: &Stage, ended: &Ended, journal: &mut Journal) -> Result<()> {
    let Some(snapshot) = &ended.snapshot else { return Ok(()) };
    if matches!(ended.outcome, Outcome::TargetReached | Outcome::TimeUp | Outcome::Solved) {
        evaluate_now(stage, snapshot, ended.steps, EvalStage::Final, journal)?;
    }
    let folder = stage.dir.model();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let options = SaveOptions { tokenizer: Some(&stage.tokenizer), ..SaveOptions::default() };
    Ok(Transformer::from_snapshot(snapshot, &stage.device).save(&folder, &options)?)
}
