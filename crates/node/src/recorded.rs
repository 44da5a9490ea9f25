//! Real runs, each made once per process: their folders, for tests of what is written there and drawn from it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use crate::config::{self, RunConfig};
use crate::context::{Context, Global};
use crate::signal::Stop;
use record::events::Event;
use record::run_dir::{self, RunDir};
use record::store::{EventLog, StoreError};

/// A model and batches that are made in a blink.
const SMALL: [&str; 13] = [
    "model.random={hidden=64,layers=2,heads=2,kv_heads=1,ff=128,max_context=32}",
    "rollout.prompts_per_step=4",
    "rollout.group_size=4",
    "sft.batch_size=64",
    "sft.lr=0.003",
    "train.lr=0.0003",
    "tasks=[{type=\"spell-backward\",letters_min=2,letters_max=2}]",
    "eval.interval=3",
    "eval.items=64",
    "checkpoint.interval_steps=2",
    "stop.steps=8",
    "train.loss.entropy_coef=0.05",
    "train.warmup_steps=3",
];

/// Strangers: four of six workers and one of three validators lie, in a run that is stopped and gone on with.
const NETWORK: [&str; 20] = [
    "run.name=network",
    "run.mode=async",
    "sft.steps=120",
    "train.loss.clip_low=0.001",
    "train.loss.clip_high=0.001",
    "economy.epoch_steps=5",
    "rollout.staleness_max=1",
    "workers.count=6",
    "workers.lease_timeout_seconds=1",
    "workers.overdue_max=1",
    "workers.cheat=[{worker=1,cheat=\"fake_reward\"},{worker=3,cheat=\"malformed_message\"},\
     {worker=4,cheat=\"int4_weights\"},{worker=5,cheat=\"withheld\"}]",
    "verify.validators=3",
    "verify.check_fraction=0.5",
    "verify.probation_groups=2",
    "verify.plant_fraction=0.5",
    "verify.cheat=[{validator=2,cheat=\"lazy_validator\"}]",
    "eval.samples=2",
    "eval.temperature=1.0",
    "tasks=[{type=\"spell-backward\",letters_min=2,letters_max=2},{type=\"spell-backward\",letters_min=3,letters_max=3}]",
    "stop.steps=12",
];

/// A lone machine, step by step, without a ledger.
const ALONE: [&str; 5] =
    ["run.name=alone", "run.mode=sequential", "economy.enabled=false", "gate.mean_reward_min=0.05", "sft.steps=0"];

/// By cispo, and stopped by a person.
const CISPO: [&str; 6] = [
    "run.name=cispo",
    "run.mode=async",
    "train.preset=cispo",
    "train.loss.ratio_cap=1.0001",
    "sft.steps=0",
    "stop.steps=1000000",
];

/// By dppo, with weights that move fast.
const DPPO: [&str; 7] = [
    "run.name=dppo",
    "run.mode=async",
    "train.preset=dppo",
    "train.lr=0.001",
    "train.loss.mask_low=0.001",
    "train.loss.mask_high=0.001",
    "sft.steps=0",
];

/// The smallest model that the settings can describe.
pub fn tiny_model() -> Arc<model::ModelConfig> {
    let config = config(&["model.random={hidden=16,layers=1,heads=2,kv_heads=1,ff=16,max_context=32}"]);
    let tasks = crate::run::setup::run_tasks(&config, false).unwrap();
    let device = crate::run::setup::device(&config).unwrap();
    crate::run::setup::model(&config, &tasks, &device).unwrap().1.config().clone()
}

/// Strangers, liars, a chain, two tasks of one type, a warm-up, stopped after 12 of 24 steps and gone on with.
pub fn network() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        perform(dir.path(), config(&NETWORK), false);
        perform(dir.path(), config(&[&NETWORK[..], &["stop.steps=24"]].concat()), true);
        dir
    })
    .path()
}

/// One worker, sequential, no ledger, no warm-up.
pub fn alone() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        perform(dir.path(), config(&ALONE), false);
        dir
    })
    .path()
}

/// By cispo, and stopped by a person.
pub fn cispo() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (path, context) = (dir.path(), quiet());
        std::thread::scope(|scope| {
            scope.spawn(|| perform_in(path, config(&CISPO), false, &context));
            while !has_trained(path, 4) {
                std::thread::sleep(Duration::from_millis(5));
            }
            context.stop.request();
        });
        dir
    })
    .path()
}

/// By dppo.
pub fn dppo() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        perform(dir.path(), config(&DPPO), false);
        dir
    })
    .path()
}

/// Whether the log of a run that goes on has this step.
fn has_trained(path: &Path, step: u64) -> bool {
    let Ok(log) = EventLog::open_to_read(&run_dir::events_path(path)) else { return false };
    let mut trained = false;
    let read = log.replay(1, |recorded| {
        trained |= matches!(&recorded.event, Event::StepTrained(t) if t.step >= step);
        Ok::<(), StoreError>(())
    });
    read.is_ok() && trained
}

/// Supervised training only.
pub fn supervised() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let owner = RunDir::create_at(dir.path()).unwrap();
        crate::run::supervised::supervise(config(&["run.name=supervised", "sft.steps=6"]), owner, &quiet()).unwrap();
        dir
    })
    .path()
}

fn config(more: &[&str]) -> RunConfig {
    let sets = SMALL.iter().chain(more).map(|set| (*set).to_owned()).collect();
    config::resolve(&config::Sources { sets, ..config::Sources::default() }).unwrap()
}

fn quiet() -> Context {
    Context { global: Global { quiet: true, ..Global::default() }, stop: Stop::new() }
}

fn perform(path: &Path, config: RunConfig, resumed: bool) {
    perform_in(path, config, resumed, &quiet());
}

fn perform_in(path: &Path, config: RunConfig, resumed: bool, context: &Context) {
    let dir = if resumed { RunDir::open(path) } else { RunDir::create_at(path) };
    crate::run::run(config, dir.unwrap(), resumed, context).unwrap();
}
