//! The run file: typed, layered, and strict.
//!
//! Promise: what [`resolve`] returns is complete and inside its limits, and printing it with
//! [`RunConfig::to_toml`] gives a file that resolves to the same run. Unknown keys are refused
//! with the nearest known key. Layers, weakest first: the defaults of each key, run files from
//! left to right, `--set` options. With no run file the embedded `examples/default.toml` is used.
//! Never: reads the environment, opens the network, or looks whether a model folder exists.

mod bytes;
mod check;
mod de;
mod economy;
mod error;
mod loss;
mod merge;
mod rates;
mod sections;
mod task_entry;
mod trust;
mod unset;

pub use bytes::Bytes;
pub use check::TEMPLATE_NAMES;
pub use economy::{CONFIRMATIONS_MAX, ChainSection, EconomyPreset, EconomySection};
pub use error::{ConfigError, Fault, FaultKind};
pub use loss::loss;
pub use merge::Layers;
pub use sections::*;
pub use task_entry::{RowsTooLong, TaskEntry, task_names};
pub use trust::{BeaconSection, BeaconSource, ValidatorCheat, VerifySection, WorkerCheat, WorkersSection, ppm};

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The run that `essaim run` starts when no file is named.
pub const DEFAULT_RUN: &str = include_str!("../../../../examples/default.toml");

/// What the embedded run is called among the layers.
const DEFAULT_LAYER: &str = "the embedded default run";

/// Largest run file that is read.
pub const RUN_FILE_BYTES_MAX: u64 = 1 << 20;

/// A whole run, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What the run is called, where it writes, and how it is driven.
    #[serde(default)]
    pub run: RunSection,
    /// Where the starting weights come from.
    #[serde(default)]
    pub model: ModelSection,
    /// Supervised warm-up.
    #[serde(default)]
    pub sft: SftSection,
    /// What is generated in one step.
    #[serde(default)]
    pub rollout: RolloutSection,
    /// Memory and scheduling of the generation engine.
    #[serde(default)]
    pub engine: EngineSection,
    /// Who generates.
    #[serde(default)]
    pub workers: WorkersSection,
    /// Who checks rollouts, and how many.
    #[serde(default)]
    pub verify: VerifySection,
    /// Where public randomness comes from.
    #[serde(default)]
    pub beacon: BeaconSection,
    /// What work is worth, and what a lie costs.
    #[serde(default)]
    pub economy: EconomySection,
    /// Where epochs are posted and stake is held.
    #[serde(default)]
    pub chain: ChainSection,
    /// The loss and the optimiser.
    #[serde(default)]
    pub train: TrainSection,
    /// Which groups teach something.
    #[serde(default)]
    pub gate: GateSection,
    /// Which items are asked again.
    #[serde(default)]
    pub curriculum: CurriculumSection,
    /// Scores on held-out items.
    #[serde(default)]
    pub eval: EvalSection,
    /// How often the state is written.
    #[serde(default)]
    pub checkpoint: CheckpointSection,
    /// When the run is over.
    #[serde(default)]
    pub stop: StopSection,
    /// What the model is asked; prompts are drawn from the tasks by weight.
    pub tasks: Vec<TaskEntry>,
}

/// Where settings come from, as the command line gives them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Run files, the later over the earlier.
    pub files: Vec<PathBuf>,
    /// `key.path=value` options over the files.
    pub sets: Vec<String>,
    /// `--device`, over `[run] device`.
    pub device: Option<String>,
}

/// Reads, layers, types and checks the settings.
///
/// # Errors
/// Every [`ConfigError`]: unreadable or too large file, TOML syntax, unknown key (with the nearest
/// known one), wrong type, value outside its limits; each names the file or option at fault.
pub fn resolve(sources: &Sources) -> Result<RunConfig, ConfigError> {
    from_layers(&layers(sources)?)
}

fn layers(sources: &Sources) -> Result<Layers, ConfigError> {
    let mut layers = Layers::default();
    if sources.files.is_empty() {
        layers.add_text(DEFAULT_LAYER, DEFAULT_RUN)?;
    }
    for path in &sources.files {
        layers.add_text(&path.display().to_string(), &read(path)?)?;
    }
    for set in &sources.sets {
        layers.add_set(set)?;
    }
    if let Some(device) = &sources.device {
        layers.add_option("--device", "run.device", device.clone())?;
    }
    Ok(layers)
}

/// The tasks of run files whose other sections may be absent.
///
/// # Errors
/// As [`resolve`]; sections other than `tasks` are not looked at.
pub fn resolve_tasks(sources: &Sources) -> Result<Vec<TaskEntry>, ConfigError> {
    #[derive(Deserialize)]
    struct Tasks {
        tasks: Vec<TaskEntry>,
    }

    let layers = layers(sources)?;
    let tasks = layers.merged().get_key_value("tasks").map(|(key, tasks)| (key.clone(), tasks.clone()));
    let value = toml::Value::Table(tasks.into_iter().collect());
    let Tasks { tasks } = de::from_value(value).map_err(with_entry_keys).map_err(|fault| located(&layers, fault))?;
    task_entry::check(&tasks).map_err(|fault| located(&layers, fault))?;
    Ok(tasks)
}

fn located(layers: &Layers, fault: Fault) -> ConfigError {
    let layer = layers.source_of(&fault.full_path()).or_else(|| layers.only()).map(str::to_owned);
    ConfigError::Fault { layer, fault }
}

/// Types and checks settings that are already layered.
pub fn from_layers(layers: &Layers) -> Result<RunConfig, ConfigError> {
    let located = |fault: Fault| located(layers, fault);
    let mut table = layers.merged().clone();
    rates::settle(&mut table, layers);
    let value = toml::Value::Table(table);
    let config: RunConfig = de::from_value(value).map_err(with_entry_keys).map_err(located)?;
    check::check(&config).map_err(located)?;
    Ok(config)
}

/// A task's type knows only its own keys; every `[[tasks]]` entry has some more.
fn with_entry_keys(mut fault: Fault) -> Fault {
    if let FaultKind::UnknownKey { known, .. } = &mut fault.kind
        && fault.path.first().is_some_and(|key| key == "tasks")
    {
        known.extend(["type", "name", "weight", "chat", "system", "rows_too_long"].map(str::to_owned));
    }
    fault
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable =
        |source| ConfigError::Unreadable { path: path.to_owned(), source, nearest: crate::data::nearest_file(path) };
    let given = std::fs::metadata(path).map_err(unreadable)?.len();
    if given > RUN_FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: RUN_FILE_BYTES_MAX, given });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

impl RunConfig {
    /// The whole configuration as TOML text that [`resolve`] reads back to an equal value.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        let mut plain = self.clone();
        // A table on lines of its own has its plain values before its tables; on one line it keeps their order.
        let args = std::mem::take(&mut plain.model.template_args);
        let text = toml::to_string_pretty(&plain).map_err(|error| ConfigError::Unprintable(error.to_string()))?;
        if args.is_empty() {
            return Ok(text);
        }
        let args = format!("template_args = {}", toml::Value::Table(args));
        Ok(match text.split_once("\n[model]\n") {
            Some((before, after)) => format!("{before}\n[model]\n{args}\n{after}"),
            // The section has tables alone, which have headings of their own.
            None => format!("model.{args}\n\n{text}"),
        })
    }

    /// The keys that a run file could give and that have no value here, by their dotted paths; those of `[[tasks]]`
    /// excepted.
    pub fn unset(&self) -> Result<Vec<String>, ConfigError> {
        let table = toml::Table::try_from(self).map_err(|error| ConfigError::Unprintable(error.to_string()))?;
        Ok(unset::keys(&table))
    }

    /// Rollouts in one training batch.
    pub fn batch_size(&self) -> usize {
        self.rollout.prompts_per_step.saturating_mul(self.rollout.group_size)
    }

    /// Prompts that may be leased and not yet returned.
    ///
    /// As given, or `prompts_per_step * min(staleness_max + 1, 2)` in `async` mode, or one batch
    /// in `sequential` mode. Two batches keep the engine busy while one is trained on; more would
    /// only be older when its turn comes.
    pub fn in_flight_max(&self) -> usize {
        let batches = match self.run.mode {
            Mode::Sequential => 1,
            Mode::Async => (self.rollout.staleness_max + 1).min(2) as usize,
        };
        self.rollout.in_flight_max.unwrap_or(self.rollout.prompts_per_step.saturating_mul(batches))
    }
}

#[cfg(test)]
mod tests;
