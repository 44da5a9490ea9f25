//! The parts of a plan: formulas in the shape of the model.
//!
//! `P` is the number of parameters, `d` the model's width, `V` its vocabulary.

use model::{ModelConfig, WeightDtype};
use serde::Serialize;
use train::MomentsDtype;

use super::{Facts, Kind};
use crate::config::{Mode, RunConfig};
use crate::run::setup;

/// When a part is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// From begin to end.
    Always,
    /// While rollouts are generated and checked.
    Generating,
    /// While the trainer works.
    Training,
}

impl When {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Always => "",
            Self::Generating => "while generating",
            Self::Training => "while training",
        }
    }
}

/// One thing that takes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    pub name: &'static str,
    /// How much, in bytes.
    pub bytes: u64,
    /// When.
    pub when: When,
}

/// What a run takes beside its tensors. Measured: the default run, whose tensors take 50 MB, takes 316 MB, 110 MB of them
/// before it begins.
const BOOKS_BYTES: u64 = 100_000_000;
/// A rollout from its lease to its batch, without what each token takes. Measured: 65,536 rollouts of 8 tokens took 131 MB
/// more than was planned without it.
const ROLLOUT_BYTES: u64 = 2_000;
const FLOAT: u64 = size_of::<f32>() as u64;

/// All parts of a run.
pub(super) fn of(config: &RunConfig, facts: Facts) -> Vec<Part> {
    let sizes = Sizes::of(config, facts);
    let part = |name, bytes, when| Part { name, bytes, when };
    let mut parts = vec![
        part("program, tokenizer and tasks", facts.base_bytes, When::Always),
        part("log, ledger and chain", BOOKS_BYTES, When::Always),
        part("master weights, f32", sizes.parameters * FLOAT, When::Always),
        sizes.moments(config),
    ];
    match facts.kind {
        Kind::Rl => parts.extend(sizes.generating(config)),
        Kind::Sft => parts.push(sizes.evaluating(config)),
    }
    parts.extend(sizes.training(config, facts.kind));
    parts.retain(|part| part.bytes > 0);
    parts
}

struct Sizes<'a> {
    model: &'a ModelConfig,
    parameters: u64,
    /// Of the largest parameter.
    largest: u64,
    /// Rollouts that are generated at the same time.
    running: u64,
    /// Longest prompt and longest completion, in tokens.
    prompt: u64,
    completion: u64,
}

impl<'a> Sizes<'a> {
    fn of(config: &RunConfig, facts: Facts<'a>) -> Self {
        let numels: Vec<u64> = facts.model.layout().iter().map(|spec| spec.numel() as u64).collect();
        let in_flight = config.in_flight_max().saturating_mul(config.rollout.group_size);
        Self {
            model: facts.model,
            parameters: numels.iter().sum(),
            largest: numels.iter().copied().max().unwrap_or(0),
            running: config.engine.running_max.min(in_flight) as u64,
            prompt: facts.prompt_tokens_max as u64,
            completion: config.rollout.max_new_tokens.min(facts.model.max_positions) as u64,
        }
    }

    /// Samples of a group share their prompt.
    fn group_tokens(&self, group_size: u64) -> u64 {
        self.prompt + group_size * self.completion
    }

    fn moments(&self, config: &RunConfig) -> Part {
        let (name, each) = match config.train.moments_dtype {
            MomentsDtype::F32 => ("moments of AdamW, f32", FLOAT),
            MomentsDtype::Bf16 => ("moments of AdamW, bf16", FLOAT / 2),
        };
        Part { name, bytes: self.parameters * 2 * each, when: When::Always }
    }

    /// Before and after supervised training.
    fn evaluating(&self, config: &RunConfig) -> Part {
        let name = "weights packed for evaluations";
        Part { name, bytes: self.packed(config), when: When::Generating }
    }

    /// One version in the format of rollouts. A tied embedding has a byte more for each number, by which AMX keeps its rows.
    fn packed(&self, config: &RunConfig) -> u64 {
        let tied = if self.model.tied { self.model.vocab_size * self.model.hidden_size } else { 0 };
        match setup::dtype(config) {
            WeightDtype::F32 => self.parameters * FLOAT + tied as u64,
            WeightDtype::Bf16 => self.parameters * FLOAT / 2,
        }
    }

    fn generating(&self, config: &RunConfig) -> Vec<Part> {
        let model = self.model;
        let group_size = config.rollout.group_size as u64;
        let part = |name, bytes, when| Part { name, bytes, when };
        // A sequential run lets go of the old version before it trains; else a version stays as long as a lease of it is
        // out or its group under check, or may be planted, and the newest is made meanwhile. Their numbers are the
        // trainer's own until that moves on.
        let (versions, older, when) = match (config.run.mode, config.verify.validators) {
            (Mode::Sequential, _) => (1, 0, When::Generating),
            (Mode::Async, validators) => {
                let staleness = config.rollout.staleness_max;
                let batches = config.in_flight_max().div_ceil(config.rollout.prompts_per_step.max(1)) as u64;
                let lag = if validators > 1 { staleness } else { staleness.min(batches) };
                (lag + 2, lag + 1, When::Always)
            }
        };
        let groups = self.running.div_ceil(group_size.max(1));
        let blocks = setup::engine(config, model).kv_blocks as u64;
        let cached = groups * self.group_tokens(group_size) + self.running * config.engine.block_size as u64;
        let row = (model.layers * model.key_value_width() * 2) as u64 * FLOAT;
        let cache = cached.min(blocks * config.engine.block_size as u64) * row;
        let hidden = self.running * self.completion * model.hidden_size as u64 * FLOAT;
        let out = (config.in_flight_max() as u64).saturating_mul(group_size);
        vec![
            part("rollouts in flight", out.saturating_mul(ROLLOUT_BYTES), When::Always),
            part("weights packed for generation and checks", versions * self.packed(config), when),
            part("older versions of the weights, f32", older * self.parameters * FLOAT, when),
            part("key/value cache", cache, When::Generating),
            part("hidden states for proofs", hidden, When::Generating),
            part(
                "a group under check",
                self.group_tokens(group_size) * model.layer_activation_bytes(),
                When::Generating,
            ),
        ]
    }

    fn training(&self, config: &RunConfig, kind: Kind) -> Vec<Part> {
        let model = self.model;
        let part = |name, bytes| Part { name, bytes, when: When::Training };
        let rollout = &config.rollout;
        let batch = match kind {
            Kind::Rl => rollout.prompts_per_step as u64 * self.group_tokens(rollout.group_size as u64),
            Kind::Sft => 0,
        };
        // A sequence is never cut, however few tokens a pass is to hold.
        let sequence = self.prompt + self.completion;
        let supervised = match config.sft.steps {
            0 => 0,
            _ => config.sft.batch_size as u64 * sequence,
        };
        let tokens = batch.max(supervised).min(sequence.max(config.train.micro_batch_tokens as u64));
        let (layer, layers) = (tokens * model.layer_activation_bytes(), model.layers as u64);
        let budget = config.train.activation_mib() << 20;
        let graphs = (budget / layer.max(1)).min(layers);
        // Layers without a graph keep their input; one is computed again, beside its gradients.
        let inputs = (layers - graphs) * tokens * model.hidden_size as u64 * FLOAT;
        vec![
            // One sum for each parameter, and the newest on top.
            part("gradients, f32", (self.parameters + self.largest) * FLOAT),
            part("activations kept for the backward pass", graphs * layer + inputs),
            part("a layer forward and backward", 2 * layer),
        ]
    }
}
