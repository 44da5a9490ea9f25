//! Limits of the settings, and the relations between them.
//!
//! Promise: a configuration that passes cannot ask for nothing, for a division by zero, or for
//! sizes that no machine has. The message carries the limit and the value seen.

use super::{Fault, RunConfig, economy, sections::*, task_entry, trust};
use protocol::constants::SAMPLES_PER_GROUP_MAX;
use rounds::constants::{EVAL_SAMPLES_MAX, GROUPS_IN_FLIGHT_MAX, GROUPS_PER_STEP_MAX, STALENESS_MAX};
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

/// The least that a process takes, in bytes.
const MEMORY_BYTES_MIN: u64 = 1_000_000;
/// Largest count accepted where nothing smaller is natural: a guard against slips of the finger.
const COUNT_MAX: usize = 1 << 20;
/// Largest number of training steps.
const STEPS_MAX: u64 = 10_000_000;

/// Checks every section; the first fault is returned.
pub(super) fn check(config: &RunConfig) -> Result<(), Fault> {
    run(&config.run)?;
    model(&config.model)?;
    sft(&config.sft)?;
    rollout(&config.rollout)?;
    engine(&config.engine)?;
    train(&config.train)?;
    loss(config)?;
    trust::check(config)?;
    economy::check(config)?;
    warm_up("sft", config.sft.schedule, config.sft.warmup_steps, config.sft.steps)?;
    warm_up("train", config.train.schedule, config.train.warmup_steps, config.stop.steps)?;
    in_flight(config)?;
    rest(config)?;
    task_entry::check(&config.tasks)
}

pub(super) fn within<T: PartialOrd + Copy + Display>(
    path: &str,
    value: T,
    range: impl RangeBounds<T>,
) -> Result<(), Fault> {
    if range.contains(&value) {
        return Ok(());
    }
    let low = match range.start_bound() {
        Bound::Included(low) => format!("at least {low}"),
        Bound::Excluded(low) => format!("above {low}"),
        Bound::Unbounded => String::new(),
    };
    let high = match range.end_bound() {
        Bound::Included(high) => format!("at most {high}"),
        Bound::Excluded(high) => format!("below {high}"),
        Bound::Unbounded => String::new(),
    };
    let limit: Vec<String> = [low, high].into_iter().filter(|s| !s.is_empty()).collect();
    Err(Fault::range(path, value, limit.join(" and ")))
}

/// Above zero; `RangeBounds` has no literal for it.
fn above_zero(high: f32) -> (Bound<f32>, Bound<f32>) {
    (Bound::Excluded(0.0), Bound::Included(high))
}

fn run(run: &RunSection) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = run.name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || run.name.len() > 100 || !run.name.chars().all(plain) {
        let limit = "1 to 100 of a-z A-Z 0-9 - _ . starting with a letter or digit, since it names a folder";
        return Err(Fault::range("run.name", format!("{:?}", run.name), limit));
    }
    if let Some(max) = run.memory_max {
        // Less is a number whose unit was forgotten.
        within("run.memory_max (in bytes)", max.bytes(), MEMORY_BYTES_MIN..)?;
    }
    if let Some(threads) = run.threads {
        within("run.threads", threads, 1..=1024)?;
    }
    // TOML integers are signed; a larger seed could not be written back.
    within("run.seed", run.seed, ..=i64::MAX as u64)?;
    device(&run.device)
}

fn device(device: &str) -> Result<(), Fault> {
    let (kind, index) = device.split_once(':').unwrap_or((device, "0"));
    let known = match kind {
        "cpu" => !device.contains(':'),
        "cuda" | "wgpu" => index.parse::<u16>().is_ok(),
        _ => false,
    };
    if known {
        return Ok(());
    }
    let given = format!("{device:?}");
    Err(Fault::range("run.device", given, "cpu, cuda:N or wgpu:N"))
}

/// What a chat template is told of each chat, and no argument can change.
pub const TEMPLATE_NAMES: [&str; 2] = ["messages", "add_generation_prompt"];

fn model(model: &ModelSection) -> Result<(), Fault> {
    let given: Vec<&str> = [
        model.path.as_ref().map(|_| "path"),
        model.hub.as_ref().map(|_| "hub"),
        model.random.as_ref().map(|_| "random"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if given.len() != 1 {
        let seen = match given.as_slice() {
            [] => "none".to_owned(),
            several => several.join(" and "),
        };
        let limit = "exactly one of path, hub, random, whichever file or option names it";
        return Err(Fault::range("model", seen, limit));
    }
    if let Some(name) = TEMPLATE_NAMES.into_iter().find(|name| model.template_args.contains_key(*name)) {
        let limit = format!("names other than {}", TEMPLATE_NAMES.join(" and "));
        return Err(Fault::range("model.template_args", name, limit));
    }
    if let Some(date) = model.template_date.as_ref().filter(|date| date.parse::<jinja::Date>().is_err()) {
        return Err(Fault::range("model.template_date", date, "a day, as YYYY-MM-DD"));
    }
    model.random.as_ref().map_or(Ok(()), random)
}

fn random(shape: &RandomModel) -> Result<(), Fault> {
    within("model.random.hidden", shape.hidden, 2..=65_536)?;
    within("model.random.layers", shape.layers, 1..=1024)?;
    within("model.random.heads", shape.heads, 1..=1024)?;
    within("model.random.kv_heads", shape.kv_heads, 1..=1024)?;
    within("model.random.ff", shape.ff, 1..=COUNT_MAX)?;
    within("model.random.max_context", shape.max_context, 2..=COUNT_MAX)?;
    if !shape.hidden.is_multiple_of(shape.heads * 2) {
        let limit = format!("a multiple of 2 * heads = {}", 2 * shape.heads);
        return Err(Fault::range("model.random.hidden", shape.hidden, limit));
    }
    if !shape.heads.is_multiple_of(shape.kv_heads) {
        let limit = format!("a divisor of heads = {}", shape.heads);
        return Err(Fault::range("model.random.kv_heads", shape.kv_heads, limit));
    }
    Ok(())
}

fn sft(sft: &SftSection) -> Result<(), Fault> {
    within("sft.steps", sft.steps, ..=STEPS_MAX)?;
    within("sft.batch_size", sft.batch_size, 1..=COUNT_MAX)?;
    within("sft.lr", sft.lr, 0.0..=10.0)?;
    within("sft.warmup_steps", sft.warmup_steps, ..=STEPS_MAX)
}

fn rollout(rollout: &RolloutSection) -> Result<(), Fault> {
    within("rollout.prompts_per_step", rollout.prompts_per_step as u64, 1..=GROUPS_PER_STEP_MAX)?;
    within("rollout.group_size", rollout.group_size, 1..=SAMPLES_PER_GROUP_MAX)?;
    within("rollout.temperature", rollout.temperature, above_zero(100.0))?;
    within("rollout.max_new_tokens", rollout.max_new_tokens, 1..=COUNT_MAX)?;
    within("rollout.staleness_max", rollout.staleness_max, ..=STALENESS_MAX)?;
    if let Some(in_flight) = rollout.in_flight_max {
        // Fewer than a batch could never fill one.
        within("rollout.in_flight_max", in_flight as u64, 1..=GROUPS_IN_FLIGHT_MAX)?;
    }
    Ok(())
}

/// What is out must fit the engine's queue, since one worker may get all of it.
fn in_flight(config: &RunConfig) -> Result<(), Fault> {
    let given = config.in_flight_max().saturating_mul(config.rollout.group_size);
    within("rollout.in_flight_max * rollout.group_size", given, ..=::engine::QUEUE_LEN_MAX)
}

fn engine(engine: &EngineSection) -> Result<(), Fault> {
    within("engine.block_size", engine.block_size, 1..=4096)?;
    within("engine.running_max", engine.running_max, 1..=65_536)?;
    within("engine.prefill_chunk_tokens", engine.prefill_chunk_tokens, 1..=COUNT_MAX)?;
    match engine.kv_blocks {
        Some(blocks) => within("engine.kv_blocks", blocks, 1..=1 << 28),
        None => Ok(()),
    }
}

fn train(train: &TrainSection) -> Result<(), Fault> {
    within("train.lr", train.lr, 0.0..=10.0)?;
    within("train.warmup_steps", train.warmup_steps, ..=STEPS_MAX)?;
    within("train.weight_decay", train.weight_decay, 0.0..=10.0)?;
    within("train.betas.0", train.betas[0], 0.0..1.0)?;
    within("train.betas.1", train.betas[1], 0.0..1.0)?;
    within("train.eps", train.eps, above_zero(1.0))?;
    within("train.clip_norm", train.clip_norm, 0.0..=1e9)?;
    within("train.micro_batch_tokens", train.micro_batch_tokens, 1..=1 << 24)?;
    match train.activation_mib_max {
        Some(kept) => within("train.activation_mib_max", kept, ..=1 << 24),
        None => Ok(()),
    }
}

/// A rate that falls needs steps to fall over.
fn warm_up(section: &str, schedule: Schedule, warmup_steps: u64, steps: u64) -> Result<(), Fault> {
    if schedule == Schedule::Constant || steps == 0 {
        return Ok(());
    }
    within(&format!("{section}.warmup_steps"), warmup_steps, ..steps)
}

/// The losses know themselves what they accept.
fn loss(config: &RunConfig) -> Result<(), Fault> {
    let settled = train::Loss::new(&super::loss::loss(config));
    settled.map(drop).map_err(|error| Fault::other("train.loss", error.to_string()))
}

fn rest(config: &RunConfig) -> Result<(), Fault> {
    let gate = &config.gate;
    within("gate.mean_reward_min", gate.mean_reward_min, 0.0..=1.0)?;
    within("gate.mean_reward_max", gate.mean_reward_max, gate.mean_reward_min..=1.0)?;
    if gate.refuse_equal_rewards {
        // One reward equals itself: every group would be refused.
        within("rollout.group_size (with gate.refuse_equal_rewards)", config.rollout.group_size, 2..)?;
    }
    let curriculum = &config.curriculum;
    within("curriculum.success_min", curriculum.success_min, 0.0..=1.0)?;
    within("curriculum.success_max", curriculum.success_max, curriculum.success_min..=1.0)?;
    within("eval.items", config.eval.items, 1..=COUNT_MAX as u64)?;
    within("eval.samples", config.eval.samples, 1..=EVAL_SAMPLES_MAX as usize)?;
    within("eval.temperature", config.eval.temperature, 0.0..=100.0)?;
    if config.eval.samples > 1 && config.eval.temperature == 0.0 {
        let limit = "above 0 when eval.samples is above 1, since all samples would be equal";
        return Err(Fault::range("eval.temperature", 0, limit));
    }
    within("checkpoint.keep", config.checkpoint.keep, 1..=COUNT_MAX)?;
    within("stop.steps", config.stop.steps, ..=STEPS_MAX)?;
    for (key, target) in
        [("stop.score_target", config.stop.score_target), ("stop.train_reward_target", config.stop.train_reward_target)]
    {
        target.map_or(Ok(()), |target| within(key, target, 0.0..=1.0))?;
    }
    within("stop.plateau_evals", config.stop.plateau_evals, ..=COUNT_MAX as u32)?;
    within("stop.plateau_score_min", config.stop.plateau_score_min, 0.0..=1.0)?;
    if let Some(seconds) = config.stop.seconds_max {
        within("stop.seconds_max", seconds, 1..)?;
    }
    Ok(())
}
