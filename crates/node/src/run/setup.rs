//! From a resolved run file to the parts of a run.
//!
//! Promise: everything that can be refused is refused here, before the first step.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use engine::{EngineConfig, Sampling};
use model::{InferenceModel, ModelConfig, Opened, Sizes, StoredModel, Tokenizer, Transformer, WeightDtype};
use ops::DeviceSpec;
use ops::gemm::{self, Kernel};
use protocol::{BeaconPoint, Hash};
use rounds::desk::Timeouts;
use rounds::{Curriculum, EvalPlan, Gate, Mode, Plateau, RewardBounds, RoundsConfig, StopRules, TaskShare};
use tasks::{RowSet, Split};

use super::chat;
use super::fitting::{self, Fitted};
use super::prompting::{Prompting, RunTask};
use crate::config::{self, Dtype, Family, Matmul, RandomModel, RunConfig};
use crate::data;
use crate::ending::WrongUsage;
use record::output;

/// Prompt tokens that the default size of the KV pool reckons with, beside the new tokens.
const PROMPT_TOKENS_GUESS: usize = 512;
/// Most memory that the default KV pool takes.
const KV_POOL_BYTES_MAX: usize = 2 << 30;

/// Gives numeric work the threads of `[run] threads`, or of `--threads`.
pub fn use_threads(threads: Option<usize>) {
    if let Some(threads) = threads {
        // A pool that stands already keeps its size: then another run of this process set it.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}

/// Opens the device of `[run] device`, and chooses the kernel of its matrix products.
pub fn device(config: &RunConfig) -> Result<Device> {
    let in_f32 = |kernel: &Kernel| *kernel != Kernel::Amx && kernel.is_available();
    gemm::set_kernel(match config.run.matmul {
        Matmul::Fast => gemm::current(),
        Matmul::F32 => Kernel::ALL.into_iter().rfind(in_f32).unwrap_or(Kernel::Portable),
        Matmul::Portable => Kernel::Portable,
        Matmul::Neon => Kernel::Neon,
        Matmul::Avx2 => Kernel::Avx2,
        Matmul::Avx512 => Kernel::Avx512,
        Matmul::Amx => Kernel::Amx,
    })?;
    let spec: DeviceSpec = config.run.device.parse()?;
    Ok(spec.open()?)
}

/// Makes the tasks; with `admit`, a grader that pays for an answer without a look is refused.
pub fn run_tasks(config: &RunConfig, admit: bool) -> Result<Vec<RunTask>> {
    let make = |(entry, name): (&config::TaskEntry, String)| {
        let task = data::build_task(&entry.spec).with_context(|| format!("task {name}"))?;
        if admit {
            tasks::admit(task.as_ref(), config.run.seed).with_context(|| format!("task {name} is not admitted"))?;
        }
        let chat = entry.chat.unwrap_or_default(); // settled with the tokenizer
        Ok(RunTask { name, task, chat, system: entry.system.clone() })
    };
    config.tasks.iter().zip(config::task_names(&config.tasks)).map(make).collect()
}

/// The weights that a run starts from, not read or made yet.
pub enum Start {
    /// In files.
    Stored(StoredModel),
    /// Drawn by a seed.
    Random {
        /// The shape of the model.
        config: Arc<ModelConfig>,
        /// What the weights follow from.
        seed: u64,
    },
}

impl Start {
    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        match self {
            Self::Stored(model) => model.config(),
            Self::Random { config, .. } => config,
        }
    }

    /// Reads or makes the weights.
    pub fn transformer(&self, device: &Device) -> Result<Transformer> {
        Ok(match self {
            Self::Stored(model) => model.transformer(device)?,
            Self::Random { config, seed } => Transformer::random(config.clone(), *seed, device)?,
        })
    }

    /// The same for generation, little more memory being taken than the packed weights need.
    pub fn inference(&self, dtype: WeightDtype, device: &Device) -> Result<InferenceModel> {
        Ok(match self {
            Self::Stored(model) => model.inference(dtype, device)?,
            Self::Random { .. } => self.transformer(device)?.freeze(dtype),
        })
    }
}

/// Tokenizer and starting weights of `[model]`.
pub fn model(config: &RunConfig, tasks: &[RunTask], device: &Device) -> Result<(Arc<Tokenizer>, Transformer)> {
    let (tokenizer, start) = start(config, tasks)?;
    Ok((tokenizer, start.transformer(device)?))
}

/// Tokenizer of `[model]`, and where its weights are.
pub fn start(config: &RunConfig, tasks: &[RunTask]) -> Result<(Arc<Tokenizer>, Start)> {
    let section = &config.model;
    let stored = |opened: Opened| (opened.tokenizer, Start::Stored(opened.model));
    let (tokenizer, start) = match (&section.path, &section.hub, &section.random) {
        (Some(path), ..) => {
            if !path.exists() {
                let message = format!("[model] path: there is no folder or GGUF file {}", path.display());
                return Err(WrongUsage::from(message).into());
            }
            stored(open(path)?)
        }
        (_, Some(name), _) => stored(open_named(name)?),
        (_, _, Some(shape)) => random(shape, config.run.seed, tasks)?,
        _ => bail!("[model] names no weights"), // refused when the file was read
    };
    Ok((Arc::new(tokenizer), start))
}

/// A folder or GGUF file if there is one of that name, else a model of the hub.
pub fn open_named(name: &str) -> Result<Opened> {
    let path = Path::new(name);
    let folder = if path.exists() {
        path.to_owned()
    } else {
        model::hub::fetch(name)
            .with_context(|| format!("there is no folder or file {name}, and the hub gave no such model"))?
    };
    open(&folder)
}

/// Says on standard error what a person should know of the files.
fn open(path: &Path) -> Result<Opened> {
    let opened = model::open(path)?;
    for warning in &opened.warnings {
        output::note(&format!("warning: {warning}"));
    }
    Ok(opened)
}

fn random(shape: &RandomModel, seed: u64, tasks: &[RunTask]) -> Result<(Tokenizer, Start)> {
    let tokenizer = Tokenizer::characters(&alphabet(tasks)?)?;
    let family = match shape.family {
        Family::Qwen2 => model::Family::Qwen2,
        Family::Qwen3 => model::Family::Qwen3,
        Family::Llama => model::Family::Llama,
    };
    let mut config = ModelConfig::new(
        family,
        &Sizes {
            vocab_size: tokenizer.vocab_size(),
            hidden_size: shape.hidden,
            intermediate_size: shape.ff,
            layers: shape.layers,
            heads: shape.heads,
            key_value_heads: shape.kv_heads,
            head_dim: None,
            max_positions: shape.max_context,
            tied: true,
        },
    )?;
    config.eos_ids = tokenizer.eos_ids().to_vec();
    Ok((tokenizer, Start::Random { config: Arc::new(config), seed }))
}

fn alphabet(tasks: &[RunTask]) -> Result<String> {
    let mut characters = BTreeSet::new();
    for RunTask { name, task, .. } in tasks {
        let own = task.alphabet().ok_or_else(|| {
            let message =
                format!("task {name} has too many characters for a small random model: give [model] path or hub");
            WrongUsage::from(message)
        })?;
        characters.extend(own.chars());
    }
    Ok(characters.into_iter().collect())
}

/// Tasks with their tokenizer, whose chat template is told what the run file says, without the rows that are too long
/// for the model; these are told apart.
pub fn prompting(
    config: &RunConfig,
    tokenizer: Arc<Tokenizer>,
    mut tasks: Vec<RunTask>,
    model: &ModelConfig,
) -> Result<(Arc<Prompting>, Fitted)> {
    for (task, entry) in tasks.iter_mut().zip(&config.tasks) {
        let RunTask { name, chat, system, task } = task;
        let by_itself = || tokenizer.has_chat_template() && task.rows().is_some_and(RowSet::has_messages);
        *chat = entry.chat.unwrap_or_else(by_itself);
        if *chat && !tokenizer.has_chat_template() {
            let message = format!("task {name} has chat = true, but the model has no chat template");
            return Err(WrongUsage::from(message).into());
        }
        // Without a template there is no system message to say it in.
        if !*chat && system.as_deref().is_some_and(|system| !system.is_empty()) {
            return Err(WrongUsage::from(format!("task {name}: `system` needs `chat = true`")).into());
        }
    }
    let args = chat::args(&config.model).map_err(|error| WrongUsage::from(output::message(&error)))?;
    let tokenizer = Arc::unwrap_or_clone(tokenizer).with_chat_args(args);
    let mut prompting = Prompting::new(config.run.seed, Arc::new(tokenizer), tasks);
    let fitted = fitting::fit(&mut prompting, config, model.max_positions)?;
    Ok((Arc::new(prompting), fitted))
}

/// How evaluations are sampled: the whole distribution, at their own temperature.
pub fn eval_sampling(config: &RunConfig, tokenizer: &Tokenizer) -> Sampling {
    Sampling {
        temperature: config.eval.temperature,
        stop_tokens: tokenizer.stop_ids().to_vec(),
        ..Sampling::new(config.rollout.max_new_tokens)
    }
}

/// Sizes of an engine for this model that does not share its work.
pub fn engine(config: &RunConfig, model: &ModelConfig) -> EngineConfig {
    engine_for(config, model, config.engine.running_max)
}

/// Sizes of one worker's engine: its share of the rollouts that may be out, and of the memory.
pub fn worker_engine(config: &RunConfig, model: &ModelConfig) -> EngineConfig {
    let groups = config.in_flight_max().div_ceil(config.workers.count as usize);
    engine_for(config, model, config.engine.running_max.min(groups * config.rollout.group_size))
}

fn engine_for(config: &RunConfig, model: &ModelConfig, running_max: usize) -> EngineConfig {
    let section = &config.engine;
    let block_bytes = section.block_size * model.key_value_width() * model.layers * 2 * size_of::<f32>();
    let length = model.max_positions.min(PROMPT_TOKENS_GUESS + config.rollout.max_new_tokens);
    let wished = running_max * length.div_ceil(section.block_size);
    let affordable = KV_POOL_BYTES_MAX / block_bytes.max(1);
    let one_context = model.max_positions.div_ceil(section.block_size);
    EngineConfig {
        kv_blocks: section.kv_blocks.unwrap_or(wished.min(affordable).max(one_context)),
        block_size: section.block_size,
        max_running: running_max,
        prefill_chunk_tokens: section.prefill_chunk_tokens,
        max_context: model.max_positions,
    }
}

/// Number format of an engine's matrices.
pub fn dtype(config: &RunConfig) -> WeightDtype {
    match config.rollout.dtype {
        Dtype::F32 => WeightDtype::F32,
        Dtype::Bf16 => WeightDtype::Bf16,
    }
}

/// What rewards are divided by: the run file's word, else the preset's.
pub fn advantage_scale(config: &RunConfig) -> train::Scale {
    config.train.loss.scale.unwrap_or_else(|| config.train.preset.scale())
}

/// The rules' view of the run; `weights` and `beacon` belong to version 0.
pub fn rules(config: &RunConfig, prompting: &Prompting, weights: Hash, beacon: BeaconPoint) -> Result<RoundsConfig> {
    let share = |(entry, of): (&RunTask, &config::TaskEntry)| TaskShare {
        weight: of.weight,
        items: entry.task.len(Split::Train).and_then(NonZeroU64::new),
        levels: entry.task.levels(),
    };
    let gate = &config.gate;
    let bounded = gate.mean_reward_min > 0.0 || gate.mean_reward_max < 1.0;
    let micro = |reward: f32| (f64::from(reward) * 1e6).round() as i64;
    let in_flight = config.in_flight_max();
    let rules = RoundsConfig {
        steps_max: config.stop.steps,
        prompts_per_step: u32::try_from(config.rollout.prompts_per_step)?,
        group_size: u32::try_from(config.rollout.group_size)?,
        mode: match config.run.mode {
            config::Mode::Sequential => Mode::Sequential,
            config::Mode::Async => Mode::Async,
        },
        staleness_max: config.rollout.staleness_max,
        in_flight_groups_max: u32::try_from(in_flight)?,
        gate: Gate {
            reject_zero_signal: gate.refuse_equal_rewards,
            reward_mean: bounded.then(|| RewardBounds {
                min_micro: micro(gate.mean_reward_min),
                max_micro: micro(gate.mean_reward_max),
            }),
        },
        eval: Some(EvalPlan {
            interval_steps: NonZeroU64::new(config.eval.interval),
            items: config.eval.items,
            samples: u32::try_from(config.eval.samples)?,
            at_start: true,
            at_end: true,
        }),
        stop: stop_rules(&config.stop),
        curriculum: config.curriculum.enabled.then(|| Curriculum {
            success_min_ppm: config::ppm(config.curriculum.success_min),
            success_max_ppm: config::ppm(config.curriculum.success_max),
        }),
        checkpoint_interval_steps: NonZeroU64::new(config.checkpoint.interval_steps),
        tasks: prompting.tasks().iter().zip(&config.tasks).map(share).collect(),
        run_seed: protocol::run_seed(config.run.seed),
        workers: config.workers.count,
        validators: config.verify.validators,
        second_check_ppm: config::ppm(config.verify.second_checks()),
        plant_ppm: config::ppm(config.verify.plants()),
        overdue_max: config.workers.overdue_max,
        weights,
        beacon,
    };
    rules.check()?;
    Ok(rules)
}

fn stop_rules(stop: &config::StopSection) -> StopRules {
    let micro = |score: f32| i64::from(config::ppm(score));
    StopRules {
        score_target_micro: stop.score_target.map(micro),
        plateau: (stop.plateau_evals > 0)
            .then(|| Plateau { evals: stop.plateau_evals, score_min_micro: micro(stop.plateau_score_min) }),
    }
}

/// How many beacon points a run may come to ask for: one for each version of the weights and one for
/// each group that is handed in, refills included.
pub fn beacon_rounds(config: &RunConfig) -> u64 {
    let waves = u64::from(rounds::constants::REFILL_WAVES_MAX) + 1;
    let groups = (config.rollout.prompts_per_step as u64).saturating_mul(waves);
    config.stop.steps.saturating_mul(groups.saturating_add(1))
}

/// The staleness bound in force.
pub fn staleness_limit(config: &RunConfig) -> u64 {
    match config.run.mode {
        config::Mode::Sequential => 0,
        config::Mode::Async => config.rollout.staleness_max,
    }
}

/// How long the desk waits for answers.
pub fn timeouts(config: &RunConfig) -> Timeouts {
    Timeouts {
        lease_ms: config.workers.lease_timeout_seconds * 1000, // a week at most
        verdict_ms: config.verify.verdict_timeout_seconds * 1000,
    }
}
