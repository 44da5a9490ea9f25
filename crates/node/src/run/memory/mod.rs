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
use train::MomentsDtype;

pub use limit::Limit;
pub use parts::{Part, When};

use super::fitting::Fitted;
use crate::config::{Dtype, Mode, RunConfig};
use crate::ending::WrongUsage;
use record::machine;

/// Mebibytes of activations that are tried one after the other where the settings leave it open: from the default down,
/// to one layer at a time.
const ACTIVATION_MIB: [u64; 6] = [512, 256, 128, 64, 32, 0];

/// A number is halved so many times at most to see what that would help.
const HALVINGS_MAX: usize = 4;
/// What saves less than this part of the whole is no help.
const SAVED_MIN: u64 = 50;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RL, perhaps after a supervised warm-up.
    Rl,
    /// Supervised training alone.
    Sft,
}

/// What a plan is made from, beside the settings.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the run does.
    pub kind: Kind,
    /// The shape of the model.
    pub model: &'a ModelConfig,
    /// Tokens of the longest prompt.
    pub prompt_tokens_max: usize,
    /// Bytes that the process has without weights: program, tokenizer, tasks.
    pub base_bytes: u64,
}

impl<'a> Facts<'a> {
    /// As things are before any weights are read.
    pub fn now(kind: Kind, model: &'a ModelConfig, fitted: &Fitted) -> Self {
        let base_bytes = machine::memory_bytes().unwrap_or(0);
        Self { kind, model, prompt_tokens_max: fitted.prompt_tokens_max, base_bytes }
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
        let mut plan = Self { parts: parts::of(config, facts), peak_bytes: 0, limit };
        let (generating, training) = (plan.sum(When::Generating), plan.sum(When::Training));
        let turns = match config.run.mode {
            Mode::Sequential => generating.max(training),
            Mode::Async => generating + training,
        };
        plan.peak_bytes = plan.sum(When::Always) + turns;
        plan
    }

    fn sum(&self, when: When) -> u64 {
        self.parts.iter().filter(|part| part.when == when).map(|part| part.bytes).sum()
    }

    /// Bytes of buffers that may wait for reuse: of activations, and of gradients. The former are bounded by what training
    /// may keep of them, the latter by what a sequential run holds less of while it generates than while it trains, with the
    /// former twice (as many wait beside those in use), so that they wait without making the peak higher.
    pub fn reused(&self, config: &RunConfig) -> [u64; 2] {
        let activations = config.train.activation_mib() << 20;
        let gradients = match config.run.mode {
            Mode::Sequential => {
                self.sum(When::Training).saturating_sub(self.sum(When::Generating)).saturating_sub(2 * activations)
            }
            Mode::Async => u64::MAX,
        };
        [activations, gradients]
    }

    fn fits(&self) -> bool {
        self.peak_bytes <= self.limit.bytes
    }

    /// The plan as a table, for a person.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<52} {:>9}  {}", part.name, amount(part.bytes), part.when.words());
        }
        let _ = writeln!(text, "{:<52} {:>9}  of {}", "at most at once", amount(self.peak_bytes), self.limit);
        text
    }
}

/// Settles `train.activation_mib_max` where the settings leave it open, and makes the plan, which may be over its limit.
///
/// Errors: those of [`Limit::of`].
pub fn settle(config: &mut RunConfig, facts: Facts) -> Result<MemoryPlan> {
    let limit = Limit::of(config)?;
    let plan = |config: &RunConfig| MemoryPlan::new(config, facts, limit);
    if config.train.activation_mib_max.is_none() {
        let with = |mib: u64| changed(config, |c| c.train.activation_mib_max = Some(mib));
        let fitting = ACTIVATION_MIB.into_iter().map(with).find(|config| plan(config).fits());
        *config = fitting.unwrap_or_else(|| with(0));
    }
    Ok(plan(config))
}

fn changed(config: &RunConfig, change: impl FnOnce(&mut RunConfig)) -> RunConfig {
    let mut config = config.clone();
    change(&mut config);
    config
}

/// Why a run with this plan is not begun, and what would help; none if it fits.
pub(crate) fn refusal(config: &RunConfig, facts: Facts, plan: &MemoryPlan) -> Option<WrongUsage> {
    if plan.fits() {
        return None;
    }
    let mut text = format!("the run needs about {} of memory, the limit is {}", amount(plan.peak_bytes), plan.limit);
    let mut helps = helps(config, facts, plan);
    helps.sort();
    let mut is_enough = false;
    for (bytes, setting) in helps {
        let fits = bytes <= plan.limit.bytes;
        is_enough |= fits;
        let _ =
            write!(text, "\n{setting} would make it {}{}", amount(bytes), if fits { ", which is enough" } else { "" });
    }
    if !is_enough {
        text += "\nno one setting is enough: several together may be, or a smaller model";
    }
    Some(text.into())
}

/// Sizes that changes of one setting lead to, and their names; those that save little are left out.
fn helps(config: &RunConfig, facts: Facts, plan: &MemoryPlan) -> Vec<(u64, String)> {
    let size = |config: &RunConfig| MemoryPlan::new(config, facts, plan.limit).peak_bytes;
    let saved_min = plan.peak_bytes / SAVED_MIN;
    let mut found = Vec::new();
    for (setting, config) in switches(config, facts.kind) {
        found.push((size(&config), setting));
    }
    for (setting, value, set) in numbers(config, facts.kind) {
        // Halved until it fits, or is too small to be wished for.
        let halves = std::iter::successors(Some(value / 2), |value| Some(value / 2)).take(HALVINGS_MAX);
        let tried = halves.filter(|value| *value > 0).map(|value| (size(&changed(config, |c| set(c, value))), value));
        let tried: Vec<(u64, usize)> = tried.collect();
        let best = tried.iter().find(|(bytes, _)| *bytes <= plan.limit.bytes).or(tried.last());
        found.extend(best.map(|(bytes, value)| (*bytes, format!("{setting} = {value}"))));
    }
    found.retain(|(bytes, _)| bytes + saved_min <= plan.peak_bytes);
    found
}

/// Settings that are one thing or another.
fn switches(config: &RunConfig, kind: Kind) -> Vec<(String, RunConfig)> {
    let mut found = Vec::new();
    let mut offer = |setting: &str, change: &dyn Fn(&mut RunConfig)| {
        found.push((setting.to_owned(), changed(config, change)));
    };
    if kind == Kind::Rl && config.run.mode == Mode::Async {
        offer("run.mode = \"sequential\"", &|c| c.run.mode = Mode::Sequential);
        if config.rollout.staleness_max > 1 {
            offer("rollout.staleness_max = 1", &|c| c.rollout.staleness_max = 1);
        }
    }
    if config.rollout.dtype == Dtype::F32 {
        offer("rollout.dtype = \"bf16\"", &|c| c.rollout.dtype = Dtype::Bf16);
    }
    if config.train.moments_dtype == MomentsDtype::F32 && config.run.device == "cpu" {
        offer("train.moments_dtype = \"bf16\"", &|c| c.train.moments_dtype = MomentsDtype::Bf16);
    }
    if config.train.activation_mib_max != Some(0) {
        offer("train.activation_mib_max = 0", &|c| c.train.activation_mib_max = Some(0));
    }
    found
}

/// Changes a number of the settings.
type Set = fn(&mut RunConfig, usize);

/// Settings that are numbers: name, value, and how to change it.
fn numbers(config: &RunConfig, kind: Kind) -> Vec<(&'static str, usize, Set)> {
    let mut found: Vec<(&'static str, usize, Set)> =
        vec![("train.micro_batch_tokens", config.train.micro_batch_tokens, |c, value| {
            c.train.micro_batch_tokens = value
        })];
    if config.sft.steps > 0 {
        found.push(("sft.batch_size", config.sft.batch_size, |c, value| c.sft.batch_size = value));
    }
    if kind == Kind::Rl {
        let rollout = &config.rollout;
        found.push(("engine.running_max", config.engine.running_max, |c, value| c.engine.running_max = value));
        found.push(("rollout.prompts_per_step", rollout.prompts_per_step, |c, value| {
            c.rollout.prompts_per_step = value
        }));
        found.push(("rollout.max_new_tokens", rollout.max_new_tokens, |c, value| c.rollout.max_new_tokens = value));
    }
    found
}

/// As a person reads it: megabytes, from ten thousand on gigabytes.
fn amount(bytes: u64) -> String {
    match bytes.div_ceil(1_000_000) {
        megabytes @ ..10_000 => format!("{megabytes} MB"),
        megabytes => format!("{:.1} GB", megabytes as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests;
