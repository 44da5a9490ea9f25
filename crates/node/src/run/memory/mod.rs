//! What a run will take of main memory, before it takes it.
//!
//! Promise: the plan follows from the settings, the shape of the model and the longest prompt; a run whose plan is over
//! the limit is refused before its weights are read, by the names of the settings that would help. What is chosen for a
//! limit changes no number that the run computes.
//! How near plans come to what runs take: `docs/memory.md`.

mod limit;
mod parts;

use std::fmt::Write;

use anyhow::Result;
use model::ModelConfig;
use serde::Serialize;

pub use limit::Limit;
pub use parts::{Part, When};

use super::fitting::Fitted;
use crate::commands::WrongUsage;
use crate::config::{Dtype, Mode, RunConfig};
use crate::machine;

/// Mebibytes of activations that are tried one after the other where the settings leave it open: from the default down,
/// to one layer at a time.
const ACTIVATION_MIB: [u64; 6] = [512, 256, 128, 64, 32, 0];

/// What a plan is made from, beside the settings.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The shape of the model.
    pub model: &'a ModelConfig,
    /// Tokens of the longest prompt.
    pub prompt_tokens_max: usize,
    /// Bytes that the process has without weights: program, tokenizer, tasks.
    pub base_bytes: u64,
}

impl<'a> Facts<'a> {
    /// As things are before any weights are read.
    pub fn now(model: &'a ModelConfig, fitted: &Fitted) -> Self {
        let base_bytes = machine::memory_bytes().unwrap_or(0);
        Self { model, prompt_tokens_max: fitted.prompt_tokens_max, base_bytes }
    }
}

/// What a run takes, part by part, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// The parts, in the order in which they are shown.
    pub parts: Vec<Part>,
    /// The most that is held at once.
    pub peak_bytes: u64,
    /// What there is.
    pub limit: Limit,
}

impl MemoryPlan {
    fn new(config: &RunConfig, facts: Facts, limit: Limit) -> Self {
        let parts = parts::of(config, facts);
        let sum = |when: When| -> u64 { parts.iter().filter(|part| part.when == when).map(|part| part.bytes).sum() };
        let (generating, training) = (sum(When::Generating), sum(When::Training));
        let turns = match config.run.mode {
            Mode::Sequential => generating.max(training),
            Mode::Async => generating + training,
        };
        Self { peak_bytes: sum(When::Always) + turns, parts, limit }
    }

    fn fits(&self) -> bool {
        self.peak_bytes <= self.limit.bytes
    }

    /// The plan as a table, for a person.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<52} {:>9}  {}", part.name, megabytes(part.bytes), part.when.words());
        }
        let _ = writeln!(text, "{:<52} {:>9}  of {}", "at most at once", megabytes(self.peak_bytes), self.limit);
        text
    }
}

/// Settles `train.activation_mib_max` where the settings leave it open, and makes the plan.
///
/// Errors: `WrongUsage` where the plan is over the limit, with what would help.
pub fn settle(config: &mut RunConfig, facts: Facts) -> Result<MemoryPlan> {
    let limit = Limit::of(config)?;
    let plan = |config: &RunConfig| MemoryPlan::new(config, facts, limit);
    if config.train.activation_mib_max.is_none() {
        let with = |mib: u64| changed(config, |c| c.train.activation_mib_max = Some(mib));
        let fitting = ACTIVATION_MIB.into_iter().map(with).find(|config| plan(config).fits());
        *config = fitting.unwrap_or_else(|| with(0));
    }
    let plan = plan(config);
    if plan.fits() { Ok(plan) } else { Err(WrongUsage::from(refusal(config, facts, &plan)).into()) }
}

fn changed(config: &RunConfig, change: impl FnOnce(&mut RunConfig)) -> RunConfig {
    let mut config = config.clone();
    change(&mut config);
    config
}

fn refusal(config: &RunConfig, facts: Facts, plan: &MemoryPlan) -> String {
    let mut text = format!(
        "the run needs about {} of memory, the limit is {}:\n{}",
        megabytes(plan.peak_bytes),
        plan.limit,
        plan.to_text()
    );
    let mut helps: Vec<(u64, String)> = candidates(config)
        .into_iter()
        .map(|(setting, changed)| (MemoryPlan::new(&changed, facts, plan.limit).peak_bytes, setting))
        .filter(|(bytes, _)| *bytes < plan.peak_bytes)
        .collect();
    helps.sort();
    for (bytes, setting) in helps {
        let enough = if bytes <= plan.limit.bytes { ", which is enough" } else { "" };
        let _ = writeln!(text, "{setting} would make it {}{enough}", megabytes(bytes));
    }
    text + "a smaller model helps in any case"
}

/// Changes of one setting that take less memory, and their names.
fn candidates(config: &RunConfig) -> Vec<(String, RunConfig)> {
    let (rollout, train) = (&config.rollout, &config.train);
    let halved = |value: usize| (value / 2).max(1);
    let mut found = Vec::new();
    let mut offer = |setting: String, change: &dyn Fn(&mut RunConfig)| found.push((setting, changed(config, change)));
    if config.run.mode == Mode::Async {
        offer("run.mode = \"sequential\"".to_owned(), &|c| c.run.mode = Mode::Sequential);
        if rollout.staleness_max > 1 {
            offer("rollout.staleness_max = 1".to_owned(), &|c| c.rollout.staleness_max = 1);
        }
    }
    if rollout.dtype == Dtype::F32 {
        offer("rollout.dtype = \"bf16\"".to_owned(), &|c| c.rollout.dtype = Dtype::Bf16);
    }
    if train.activation_mib_max != Some(0) {
        offer("train.activation_mib_max = 0".to_owned(), &|c| c.train.activation_mib_max = Some(0));
    }
    let (running, prompts) = (halved(config.engine.running_max), halved(rollout.prompts_per_step));
    let (tokens, longest) = (halved(train.micro_batch_tokens), halved(rollout.max_new_tokens));
    offer(format!("engine.running_max = {running}"), &|c| c.engine.running_max = running);
    offer(format!("rollout.prompts_per_step = {prompts}"), &|c| c.rollout.prompts_per_step = prompts);
    offer(format!("train.micro_batch_tokens = {tokens}"), &|c| c.train.micro_batch_tokens = tokens);
    offer(format!("rollout.max_new_tokens = {longest}"), &|c| c.rollout.max_new_tokens = longest);
    found
}

/// In megabytes, as a person reads it.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests;
