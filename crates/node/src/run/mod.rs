//! `essaim run`: one process that generates, trains, evaluates and keeps the record.
//!
//! Promise: nothing is trained on that did not pass its checks. A run that was killed at any moment
//! goes on from its last checkpoint and its log, and loses no group that came back; in sequential
//! mode on the CPU, with a beacon of its own, it ends with the same weights.
//! Takes: a resolved run file. Gives: a folder with weights, log, metrics, summary and report.

pub mod actors;
pub mod cast;
pub mod chat;
pub mod checkpoint;
pub mod conductor;
pub mod evaluator;
pub mod fitting;
pub mod journal;
pub mod learning;
pub mod measure;
pub mod memory;
pub mod messages;
pub mod older;
pub mod parties;
pub mod payout;
pub mod prompting;
mod resume;
pub mod setup;
pub mod shelf;
pub mod supervised;
pub mod trainer;
pub mod versions;
pub mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use burn::tensor::Device;
use model::{InferenceModel, ModelConfig, ModelSnapshot, SaveOptions, Tokenizer, Transformer};
use protocol::RunTerms;
use rounds::Rounds;
use rounds::desk::Desk;
use train::Trainer;

use crate::beacon::{self, Beacon};
use crate::clock::now_ms;
use crate::config::{EconomyPreset, RunConfig};
use crate::context::Context;
use crate::ending::{Ending, WrongUsage};
use crate::signal::Stop;
use actors::WorkCount;
use cast::Cast;
use checkpoint::Draft;
use conductor::{Conductor, Limits, Logged, Progress, Tally, Weights};
use evaluator::EvalSetup;
use fitting::LeftOut;
use journal::Journal;
use memory::{Kind, MemoryPlan};
use messages::{BANK_ORDERS_MAX, News, QueueSizes};
use parties::Parties;
use payout::{Bank, BankOrder, Book, Ground, Paymaster};
use prompting::Prompting;
use record::events::{EvalStage, Event, Outcome, RunFinished, RunStarted, TermsSet};
use record::machine::{self, Machine};
use record::output;
use record::run_dir::{self, RunDir};
use record::store::EventLog;
use shelf::Shelf;
use versions::Versions;

/// Where the run writes the final weights, inside its folder.
const MODEL_FOLDER: &str = "model";

/// A run's fixed parts.
struct Stage {
    config: RunConfig,
    dir: RunDir,
    device: Device,
    prompting: Arc<Prompting>,
    /// Rows that are too long for the model.
    left_out: Vec<LeftOut>,
    memory: MemoryPlan,
    tokenizer: Arc<Tokenizer>,
    parties: Parties,
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
    terms: Arc<RunTerms>,
    trainer: Trainer,
    beacon: Box<dyn Beacon>,
    versions: Versions<Weights>,
    shelf: Shelf,
    tally: Tally,
    /// The ledger and the chain; none for a run without them.
    money: Option<(Book, Ground)>,
    /// What the log has after the checkpoint.
    logged: Logged,
    /// What the rules hear first, if the run is to be longer than planned.
    extended: Option<rounds::Event>,
}

/// Starts or goes on, and says how it ended.
pub(crate) fn run(config: RunConfig, dir: RunDir, resumed: bool, context: &Context) -> Result<Ending> {
    let outcome = if resumed { resume::resume(config, dir, context) } else { begin(config, dir, context) }?;
    ending(outcome)
}

/// How the command ends: the one place where a run's end becomes an exit code. A run that failed is an error, as
/// what stops a run is, although its end is whole and on record.
fn ending(outcome: Outcome) -> Result<Ending> {
    match outcome {
        Outcome::StepsDone | Outcome::TargetReached | Outcome::Plateau | Outcome::Solved | Outcome::TimeUp => {
            Ok(Ending::Done)
        }
        Outcome::Interrupted => Ok(Ending::Interrupted),
        Outcome::Failed(why) => Err(anyhow!("the run failed: {why}")),
    }
}

fn begin(config: RunConfig, dir: RunDir, context: &Context) -> Result<Outcome> {
    let (stage, model) = new_stage(config, Kind::Rl, dir, context.stop.clone())?;
    let mut journal = begin_journal(&stage, &model, stage.config.stop.steps, context)?;
    let ended = match prepare(&stage, model, &mut journal) {
        Ok(Some(ready)) => perform(&stage, ready, &mut journal, QueueSizes::of(&stage.config)),
        Ok(None) => Ok(Ended { outcome: Outcome::Interrupted, steps: 0, snapshot: None }),
        Err(error) => Err(error),
    };
    conclude(&stage, &mut journal, ended)
}

/// As [`stage`] for a new run, of whose folder nothing is left if it cannot begin.
fn new_stage(config: RunConfig, kind: Kind, dir: RunDir, stop: Stop) -> Result<(Stage, Transformer)> {
    let path = dir.path().to_owned();
    stage(config, kind, dir, stop).inspect_err(|_| run_dir::discard_unused(&path))
}

fn stage(mut config: RunConfig, kind: Kind, dir: RunDir, stop: Stop) -> Result<(Stage, Transformer)> {
    let start = Instant::now();
    setup::use_threads(config.run.threads);
    let device = setup::device(&config)?;
    let tasks = setup::run_tasks(&config, true)?;
    let (tokenizer, weights) = setup::start(&config, &tasks)?;
    let (prompting, fitted) = setup::prompting(&config, tokenizer, tasks, weights.config())?;
    let facts = memory::Facts::now(kind, weights.config(), &fitted);
    let memory = memory::settle(&mut config, facts)?;
    if let Some(refusal) = memory::refusal(&config, facts, &memory) {
        return Err(refusal.into());
    }
    let [activations, gradients] = memory.reused(&config).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    ops::recycle::retain_at_most(activations);
    ops::recycle::retain_gradients_at_most(gradients);
    let model = weights.transformer(&device.clone().autodiff())?;
    let (tokenizer, left_out) = (prompting.tokenizer().clone(), fitted.left_out);
    let parties = Parties::of(&config);
    Ok((Stage { config, dir, device, prompting, left_out, memory, tokenizer, parties, stop, start }, model))
}

/// What is known of a run's memory before it begins.
pub(crate) enum Planned {
    /// The plan, and why the run would be refused, if it would.
    Memory(MemoryPlan, Option<WrongUsage>),
    /// None can be made, and why.
    Unknown(String),
}

/// The memory plan of a run that is not begun; settles in `config` what [`memory::settle`] does. Nothing is fetched.
///
/// Errors: `WrongUsage` where the limit is above what the machine has; a device or kernel that is not there.
pub(crate) fn planned(config: &mut RunConfig, kind: Kind) -> Result<Planned> {
    setup::device(config)?;
    if let Some(name) = &config.model.hub {
        return Ok(Planned::Unknown(format!("the shape of {name} is known once a run has fetched it")));
    }
    let opened = || {
        let tasks = setup::run_tasks(config, true)?;
        let (tokenizer, start) = setup::start(config, &tasks)?;
        let (_, fitted) = setup::prompting(config, tokenizer, tasks, start.config())?;
        anyhow::Ok((start, fitted))
    };
    let (start, fitted) = match opened() {
        Ok(opened) => opened,
        Err(error) => return Ok(Planned::Unknown(output::message(&error))),
    };
    let facts = memory::Facts::now(kind, start.config(), &fitted);
    let plan = memory::settle(config, facts)?;
    let refusal = memory::refusal(config, facts, &plan);
    Ok(Planned::Memory(plan, refusal))
}

/// The journal of a new run, its first event written.
fn begin_journal(stage: &Stage, model: &Transformer, steps_max: u64, context: &Context) -> Result<Journal> {
    let mut journal = Journal::open(EventLog::create(&stage.dir.events())?, &stage.dir, &context.global);
    journal.record(Event::RunStarted(RunStarted {
        name: stage.config.run.name.clone(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        config_toml: RunConfig { chain: stage.config.chain.shown(), ..stage.config.clone() }.to_toml()?,
        steps_max,
        sft_steps_max: stage.config.sft.steps,
        parameter_count: model.params().count() as u64,
        predicted_memory_bytes: Some(stage.memory.peak_bytes),
        machine: Machine::here(&stage.config.run.device),
    }))?;
    let left_out = stage.left_out.iter().map(ToString::to_string);
    for message in left_out.chain(chat::notes(&stage.prompting)) {
        journal.record(Event::Warning { message })?;
    }
    let harmful = stage.config.harmful_rates(model.params().count());
    harmful.into_iter().try_for_each(|message| journal.record(Event::Warning { message }))?;
    Ok(journal)
}

/// Measures, warms up, and writes the checkpoint that every later resume can fall back on.
/// `None` if a person stopped it before RL.
fn prepare(stage: &Stage, model: Transformer, journal: &mut Journal) -> Result<Option<Ready>> {
    deter(stage, journal)?;
    let mut model = model;
    if stage.config.sft.steps > 0 {
        evaluate_now(stage, &model.snapshot(), 0, EvalStage::Start, journal)?;
        let (warm, whole) = learning::warm_up(&stage.config, &stage.prompting, model, journal, &stage.stop)?;
        if !whole {
            return Ok(None);
        }
        model = warm;
    }
    let terms = agree(stage, &model, journal)?;
    let money = match stage.config.economy.enabled {
        true => Some(payout::begin(&stage.config, stage.dir.path(), &stage.parties, &terms)?),
        false => None,
    };
    let trainer = learning::rl_trainer(&stage.config, model)?;
    let mut beacon = beacon::open(stage.config.beacon.settings(), &terms.beacon, stage.parties.secret(), None)?;
    let weights = Weights::of(trainer.snapshot());
    let point = beacon.later_than(now_ms(), 0)?;
    let rounds = Rounds::new(setup::rules(&stage.config, &stage.prompting, weights.hash, point)?)?;
    let draft = Draft::begin(&stage.dir.checkpoints(), 0, rounds.to_bytes())?;
    trainer.save(&draft.trainer())?;
    draft.finish()?;
    let versions = Versions::new(0, weights);
    let (shelf, tally, logged, extended) = Default::default();
    Ok(Some(Ready { rounds, terms, trainer, beacon, versions, shelf, tally, money, logged, extended }))
}

/// Warns of lies that pay under the run's economy; among strangers it is refused.
fn deter(stage: &Stage, journal: &mut Journal) -> Result<()> {
    let economy = &stage.config.economy;
    let Err(undeterred) = payout::check_deterrence(&stage.config) else { return Ok(()) };
    if !economy.enabled {
        return Ok(());
    }
    ensure!(
        economy.preset != EconomyPreset::Open,
        "{undeterred}. Larger rollout.prompts_per_step, verify.check_fraction or verify.validators help; with \
         economy.preset = \"team\" this is a warning"
    );
    journal.record(Event::Warning { message: undeterred.to_string() })
}

/// Settles and logs the terms that everything in this run is signed under.
fn agree(stage: &Stage, model: &Transformer, journal: &mut Journal) -> Result<Arc<RunTerms>> {
    let rounds = setup::beacon_rounds(&stage.config);
    let beacon = beacon::terms(stage.config.beacon.settings(), stage.parties.secret(), rounds)?;
    let terms = stage.parties.terms(&stage.config, model.config(), &stage.tokenizer, beacon)?;
    let run = blake3::Hash::from(terms.id()).to_hex().to_string();
    journal.record(Event::TermsSet(TermsSet { run, terms: Box::new(RunTerms::clone(&terms)) }))?;
    Ok(terms)
}

/// Starts the threads, conducts, and ends them.
fn perform(stage: &Stage, ready: Ready, journal: &mut Journal, queues: QueueSizes) -> Result<Ended> {
    let (news_to, news) = sync_channel(queues.news);
    let work = Arc::new(WorkCount::default());
    let desk = desk(stage, &ready.terms);
    let cast = Cast {
        config: &stage.config,
        terms: ready.terms,
        parties: &stage.parties,
        prompting: stage.prompting.clone(),
        device: stage.device.clone(),
        trainer: ready.trainer,
        beacon: ready.beacon,
        queues,
    };
    let (orders, mut threads) = cast.start(&news_to, &work)?;
    let paymaster = match ready.money {
        Some(money) => Some(paymaster(stage, money, &news_to, &mut threads)?),
        None => None,
    };
    drop(news_to);
    let mut conductor = Conductor {
        rounds: ready.rounds,
        desk,
        journal,
        shelf: ready.shelf,
        prompting: stage.prompting.clone(),
        versions: ready.versions,
        evals: BTreeMap::new(),
        orders,
        news,
        work,
        tally: ready.tally,
        cheats: cast::cheats(&stage.config),
        paymaster,
        stop: stage.stop.clone(),
        limits: limits(stage),
        checkpoints: stage.dir.checkpoints(),
        keep: stage.config.checkpoint.keep,
        steps_max: stage.config.stop.steps,
        progress: Progress::default(),
    };
    let outcome = conductor.replay(ready.logged).and_then(|()| conductor.run(ready.extended));
    let outcome = outcome.and_then(|outcome| conductor.settle_up(&outcome).map(|()| outcome));
    let steps = conductor.rounds.steps_trained();
    let snapshot = conductor.versions.get(steps).map(|weights| weights.snapshot);
    // Hanging up ends the threads; an error of theirs has reached the conductor as news.
    drop(conductor);
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    Ok(Ended { outcome: outcome?, steps, snapshot })
}

/// Puts the chain on its thread, and gives the one that keeps the ledger.
fn paymaster(
    stage: &Stage,
    (book, ground): (Book, Ground),
    news: &SyncSender<News>,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<Paymaster> {
    let (to, orders) = sync_channel::<BankOrder>(BANK_ORDERS_MAX);
    let bank = Bank::of(ground, &stage.parties, book.ledger());
    let told = news.clone();
    threads.push(cast::spawn(payout::WHO.to_owned(), news, move || payout::keep(bank, &orders, &told))?);
    let claims = payout::claims_path(stage.dir.path());
    let url = stage.config.chain.shown().url;
    Ok(Paymaster::new(book, to, claims, url, cast::cheats(&stage.config)))
}

fn desk(stage: &Stage, terms: &Arc<RunTerms>) -> Desk {
    Desk::new(terms.clone(), stage.parties.orchestrator(), setup::timeouts(&stage.config))
}

fn limits(stage: &Stage) -> Limits {
    Limits {
        train_reward: stage.config.stop.train_reward_target.map(f64::from),
        time: stage.config.stop.seconds_max.map(Duration::from_secs),
    }
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
    let model = InferenceModel::from_snapshot(snapshot, setup.dtype, &setup.device);
    let samples = evaluator::evaluate(&setup, model, step, &mut |_| ())?;
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
            Err(error) => (Outcome::Failed(output::message(&error)), ended.steps, Some(error)),
        },
        Err(error) => (Outcome::Failed(output::message(&error)), 0, Some(error)),
    };
    journal.record(Event::RunFinished(RunFinished {
        outcome: outcome.clone(),
        steps,
        seconds: stage.start.elapsed().as_secs_f64(),
        model_path: stage.dir.model().exists().then(|| MODEL_FOLDER.to_owned()),
        peak_memory_bytes: machine::peak_memory_bytes(),
    }))?;
    match error {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}

/// The final score, where the rules did not see to it, and the Hugging Face folder.
fn leave_model(stage: &Stage, ended: &Ended, journal: &mut Journal) -> Result<()> {
    let Some(snapshot) = &ended.snapshot else { return Ok(()) };
    if matches!(ended.outcome, Outcome::TargetReached | Outcome::Plateau | Outcome::TimeUp | Outcome::Solved) {
        evaluate_now(stage, snapshot, ended.steps, EvalStage::Final, journal)?;
    }
    let folder = stage.dir.model();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let options = SaveOptions { tokenizer: Some(&stage.tokenizer), ..SaveOptions::default() };
    Ok(Transformer::from_snapshot(snapshot, &stage.device).save(&folder, &options)?)
}
