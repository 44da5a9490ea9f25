//! The sections of a run file, one sentence per key.
//!
//! Promise: every key has a default or is checked to be present; names that prime-rl users know
//! (`group_size`, `temperature`, `lr`, `weight_decay`, `interval`) keep their meaning. All floats
//! are checked to be finite and inside the limits by [`super::check`].

use super::Bytes;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use train::{Correction, MomentsDtype, OldPolicy, Preset, Scale};

/// `[run]`: what the run is called, where it writes, and how it is driven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// Name of the run; its folder is `out_dir/name`, with a number behind it if that is taken.
    pub name: String,
    /// Folder that holds the run folders.
    pub out_dir: PathBuf,
    /// The one seed from which items, weights, sampling noise and shuffles are derived, and also every party's keys and the `hash_chain` beacon: whoever knows it can derive them.
    pub seed: u64,
    /// `sequential` refreshes the weights before each lease; `async` lets generation and training overlap.
    pub mode: Mode,
    /// Where tensors live: `cpu`, `cuda:N` or `wgpu:N`.
    pub device: String,
    /// Products of f32 matrices on the CPU: `fast` uses the quickest kernel there is (AMX: relative error 5e-5 at most), `f32` the quickest in full precision; or a kernel by its name: `portable`, `neon`, `avx2`, `avx512`, `amx`.
    pub matmul: Matmul,
    /// Memory that the run may take, such as `"12 GB"`: one whose plan needs more is refused before it starts, and what costs time alone is chosen so that it fits. Absent: what the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<Bytes>,
    /// Threads for the numeric work; absent means one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            name: "run".to_owned(),
            out_dir: PathBuf::from("runs"),
            seed: 0,
            mode: Mode::Async,
            device: "cpu".to_owned(),
            matmul: Matmul::Fast,
            memory_max: None,
            threads: None,
        }
    }
}

/// How products of f32 matrices are computed on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matmul {
    /// The quickest kernel of the machine.
    Fast,
    /// The quickest kernel that multiplies in f32.
    F32,
    /// Plain Rust.
    Portable,
    /// Of AArch64.
    Neon,
    /// Of x86-64.
    Avx2,
    /// Of x86-64.
    Avx512,
    /// Matrix tiles of x86-64.
    Amx,
}

/// How generation and training take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Generate a batch with the newest weights, train on it, repeat: nothing is stale, and a resumed run is bit-equal.
    Sequential,
    /// Generate all the time; every token carries its weight version and staleness is bounded.
    Async,
}

/// `[model]`: where the starting weights come from, exactly one of `path`, `hub` and `random`, and what its chat template is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSection {
    /// A Hugging Face folder (`config.json`, safetensors, `tokenizer.json`) or a GGUF file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A model name on the Hugging Face hub, such as `Qwen/Qwen2.5-0.5B-Instruct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// The day, as `YYYY-MM-DD`, that a chat template is told which asks for the date; a run that names none keeps the day on which it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_date: Option<String>,
    /// A small model with random weights and a tokenizer of single characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomModel>,
    /// What the chat template is told beside the messages, such as `enable_thinking = false`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub template_args: toml::Table,
}

/// `[model.random]`: the shape of a model that starts from random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomModel {
    /// Architecture: `qwen2`, `qwen3` or `llama`.
    pub family: Family,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads; `hidden` must be a multiple.
    pub heads: usize,
    /// Key/value heads; `heads` must be a multiple.
    pub kv_heads: usize,
    /// Width of the feed-forward layer.
    pub ff: usize,
    /// Longest sequence, prompt and completion together, in tokens.
    pub max_context: usize,
}

impl Default for RandomModel {
    fn default() -> Self {
        Self { family: Family::Qwen3, hidden: 128, layers: 2, heads: 4, kv_heads: 2, ff: 384, max_context: 128 }
    }
}

/// The architectures that can be built from a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Qwen2 and Qwen2.5: biases on query, key and value.
    Qwen2,
    /// Qwen3: norms on query and key per head.
    Qwen3,
    /// Llama 2 and 3: neither.
    Llama,
}

/// `[sft]`: supervised warm-up on the tasks' own answers before the RL steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SftSection {
    /// Optimiser steps; 0 turns the warm-up off.
    pub steps: u64,
    /// Examples per step.
    pub batch_size: usize,
    /// Peak learning rate. Absent: 1e-3 for a random model, 2e-5 for a pretrained one.
    pub lr: f32,
    /// Shape of the learning rate over the steps.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from zero. Absent: none for a random model, a tenth of all for a pretrained one.
    pub warmup_steps: u64,
}

impl Default for SftSection {
    fn default() -> Self {
        Self { steps: 0, batch_size: 32, lr: 1e-3, schedule: Schedule::Cosine, warmup_steps: 0 }
    }
}

/// How the learning rate moves after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Falls in a straight line to zero at the last step.
    Linear,
    /// Falls along half a cosine to zero at the last step.
    Cosine,
}

/// `[rollout]`: what is generated in one step, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutSection {
    /// Prompts in one training batch; a batch has `prompts_per_step * group_size` rollouts.
    pub prompts_per_step: usize,
    /// Rollouts of one prompt, whose rewards are compared with each other.
    pub group_size: usize,
    /// Sampling temperature; logits are divided by it in the engine and in the loss.
    pub temperature: f32,
    /// Longest completion in tokens.
    pub max_new_tokens: usize,
    /// Largest age of a rollout in weight versions when it is trained on; older groups are not leased, and dropped by a sweep.
    pub staleness_max: u64,
    /// Prompts that may be leased and not yet returned; absent means as many as staleness allows, up to two batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<usize>,
    /// Number format of the weights during generation.
    pub dtype: Dtype,
}

impl Default for RolloutSection {
    fn default() -> Self {
        Self {
            prompts_per_step: 16,
            group_size: 16,
            temperature: 1.0,
            max_new_tokens: 64,
            staleness_max: 4,
            in_flight_max: None,
            dtype: Dtype::F32,
        }
    }
}

/// Number format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32 bits: generation and training see the same weights.
    F32,
    /// 16 bits with an 8-bit exponent: half the memory, weights rounded to 8 bits of mantissa.
    Bf16,
}

/// `[engine]`: memory and scheduling of the generation engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSection {
    /// Tokens per block of the key/value cache.
    pub block_size: usize,
    /// Blocks of the key/value cache; absent means enough for `running_max` rollouts of full length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_blocks: Option<usize>,
    /// Rollouts that are generated at the same time.
    pub running_max: usize,
    /// Prompt tokens that one engine step may take in.
    pub prefill_chunk_tokens: usize,
}

impl Default for EngineSection {
    fn default() -> Self {
        Self { block_size: 16, kv_blocks: None, running_max: 256, prefill_chunk_tokens: 2048 }
    }
}

/// `[train]`: the loss and the optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSection {
    /// Named loss; each has a page in `docs/algorithms`.
    pub preset: Preset,
    /// Peak learning rate. Absent: 5e-4 for a random model, 1e-6 for a pretrained one.
    pub lr: f32,
    /// Shape of the learning rate over the run.
    pub schedule: Schedule,
    /// Steps over which the learning rate rises from zero.
    pub warmup_steps: u64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f32,
    /// Decay rates of AdamW's first and second moment.
    pub betas: [f32; 2],
    /// AdamW's guard against division by zero.
    pub eps: f32,
    /// Gradients are scaled down to this norm; 0 turns clipping off.
    pub clip_norm: f32,
    /// Number format of AdamW's two moments, in memory and in checkpoints: f32, or bf16 for half of both, rounded at random so that a slow average does not stand still. A run keeps the one that it began with.
    pub moments_dtype: MomentsDtype,
    /// Tokens that one forward and backward pass holds at once, a prompt that several samples share counted once.
    pub micro_batch_tokens: usize,
    /// Mebibytes of intermediate values kept from the forward to the backward pass; layers beyond are computed twice, which costs time and changes no bit. As much memory at most waits for reuse. Absent: 512, or as much less as the run's memory allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_mib_max: Option<u64>,
    /// Numbers of the preset to be changed; absent ones keep the preset's value.
    #[serde(skip_serializing_if = "LossSection::is_untouched")]
    pub loss: LossSection,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            preset: Preset::Grpo,
            lr: 1e-6,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            weight_decay: 0.01,
            betas: [0.9, 0.999],
            eps: 1e-8,
            clip_norm: 1.0,
            moments_dtype: MomentsDtype::F32,
            micro_batch_tokens: 4096,
            activation_mib_max: None,
            loss: LossSection::default(),
        }
    }
}

impl TrainSection {
    /// Mebibytes of activations that are kept.
    pub fn activation_mib(&self) -> u64 {
        self.activation_mib_max.unwrap_or(train::ACTIVATION_BYTES_MAX >> 20)
    }
}

/// `[train.loss]`: numbers of the preset that a run may change. One that the preset has no use for is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSection {
    /// ε below: ratios under `1 - clip_low` earn no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_low: Option<f64>,
    /// ε above: ratios over `1 + clip_high` earn no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_high: Option<f64>,
    /// δ: cap on the ratio where the advantage is negative (INTELLECT-2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Cap on cispo's weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_cap: Option<f64>,
    /// dppo: probability lost since sampling beyond which a negative token is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_low: Option<f64>,
    /// dppo: probability gained since sampling beyond which a positive token is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_high: Option<f64>,
    /// dppo: factor on the squared log-ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl_tau: Option<f64>,
    /// Reward for entropy, per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy_coef: Option<f64>,
    /// Denominator of the ratio: behaviour or recomputed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<OldPolicy>,
    /// Importance weight for the engine's mismatch where `old` is recomputed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Tokens whose probability differs from the behaviour's by more than `exp` of this are left out of the loss, and counted as masked: a worker's word on its own log-probabilities is checked only on the rollouts drawn. 0: all count. Absent: log 5 where `verify.behaviour_logprobs` is the worker's word and `verify.check_fraction` is below 1, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour_gap_max: Option<f64>,
    /// What a group's advantages are divided by: group, batch or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl LossSection {
    fn is_untouched(&self) -> bool {
        *self == Self::default()
    }
}

/// `[gate]`: groups that teach nothing are refused and another prompt is leased in their place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateSection {
    /// Refuse groups whose rewards are all equal: their advantages are zero.
    pub refuse_equal_rewards: bool,
    /// Refuse groups whose mean reward is below this.
    pub mean_reward_min: f32,
    /// Refuse groups whose mean reward is above this.
    pub mean_reward_max: f32,
}

impl Default for GateSection {
    fn default() -> Self {
        Self { refuse_equal_rewards: true, mean_reward_min: 0.0, mean_reward_max: 1.0 }
    }
}

/// `[curriculum]`: which items are asked again, and at which level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurriculumSection {
    /// Ask where groups have had a signal lately, test the rest at growing intervals; `false` takes all items in turn.
    pub enabled: bool,
    /// Items whose mean reward is below this are hard.
    pub success_min: f32,
    /// Items whose mean reward is above this are easy.
    pub success_max: f32,
}

impl Default for CurriculumSection {
    fn default() -> Self {
        Self { enabled: true, success_min: 0.1, success_max: 0.9 }
    }
}

/// `[eval]`: scores on held-out items, before, during and after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalSection {
    /// Steps between evaluations; 0 leaves only the one before and the one after.
    pub interval: u64,
    /// Held-out items per task.
    pub items: u64,
    /// Rollouts per item: k of avg@k and pass@k.
    pub samples: usize,
    /// Sampling temperature; 0 takes the most likely token.
    pub temperature: f32,
}

impl Default for EvalSection {
    fn default() -> Self {
        Self { interval: 20, items: 128, samples: 1, temperature: 0.0 }
    }
}

/// `[checkpoint]`: how often the whole state is written, and how many copies stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointSection {
    /// Steps between checkpoints; 0 leaves only the one at the end.
    pub interval_steps: u64,
    /// Checkpoints that stay on disk; older ones are removed after a newer one is whole, and with them the evidence of groups that were made with their weights.
    pub keep: usize,
}

impl Default for CheckpointSection {
    fn default() -> Self {
        Self { interval_steps: 25, keep: 2 }
    }
}

/// `[stop]`: when the run is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StopSection {
    /// Training steps at most.
    pub steps: u64,
    /// Stop early once a held-out score reaches this: the share of exact answers, its mean over the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_target: Option<f32>,
    /// Stop early once so many evaluations in a row were not above the best score before them; 0 goes on.
    pub plateau_evals: u32,
    /// The last of these evaluations must have at least this score.
    pub plateau_score_min: f32,
    /// Stop early once the mean training reward of the last ten steps, refused groups included, reaches this; for comparisons with programs that have no held-out score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_reward_target: Option<f32>,
    /// Stop cleanly after this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_max: Option<u64>,
}

impl Default for StopSection {
    fn default() -> Self {
        Self {
            steps: 100,
            score_target: None,
            plateau_evals: 0,
            plateau_score_min: 0.0,
            train_reward_target: None,
            seconds_max: None,
        }
    }
}
