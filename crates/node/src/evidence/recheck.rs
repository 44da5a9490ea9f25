//! Checks a stored group with the validator's own code.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use model::{Tokenizer, Transformer};
use protocol::{BeaconPoint, CheckOrder, Keypair, UncheckedCause, Verdict};
use verify::{Validator, ValidatorActor, ValidatorSetup};

use super::reach::{self, Reach};
use super::weights::Search;
use super::{Place, Seen, StoredGroup};
use crate::config::{self, Layers, RunConfig};
use crate::run::prompting::{Prompting, RunTask};
use crate::run::setup;

/// A verdict that was reached here, and what it rests on.
pub struct Recheck {
    /// What was found.
    pub verdict: Verdict,
    /// Whether every rollout was recomputed, not only those that the lot drew.
    pub is_whole: bool,
    /// Where the weights were found; none if they were not.
    pub weights: Option<PathBuf>,
    /// Folders with other weights that were looked at.
    pub seen: Vec<Seen>,
    /// Width of the model's hidden state.
    pub width: usize,
    /// Tasks and tokenizer of the run.
    pub prompting: Arc<Prompting>,
}

/// Checks a group again.
///
/// - `places`: where weights are looked for, in this order
/// - `reach`: whose word the run file is; a stranger's names no file and no model to fetch
/// - `device`: where the model runs, in place of the run file's
/// - `is_whole`: recompute every rollout; also done if no lot was drawn
/// - errors: `ReachError`; if the run file does not read, or its tasks or tokenizer cannot be made here. Weights that
///   are not found are no error: then the verdict says that it could not be reached.
pub fn recheck(group: &StoredGroup, places: &[Place], reach: Reach, device: &str, is_whole: bool) -> Result<Recheck> {
    let config = run_config(group, device)?;
    if reach == Reach::Stranger {
        reach::check(&config)?;
    }
    let device = setup::device(&config)?;
    let tasks = setup::run_tasks(&config, false)?;
    let (tokenizer, shape) =
        model_of(&config, &tasks, places, reach, &device).context("the tokenizer and the shape of the model")?;
    let width = shape.config().hidden_size;
    let (prompting, _) = setup::prompting(&config, tokenizer, tasks, shape.config())?;
    let lease = &group.submission.lease.body;
    let (version, hash) = (lease.weight_version, lease.weights);
    let mut search = Search { version, hash, config: &config, shape: &shape, device: &device, seen: Vec::new() };
    let found = search.find(places);
    let is_whole = is_whole || group.draw.is_none();
    let mut validator = validator(group, prompting.clone(), device.clone(), is_whole);
    let weights = match found {
        Some((snapshot, path)) => {
            validator.weights(version, &snapshot)?;
            Some(path)
        }
        None => None,
    };
    let draw = group.draw.unwrap_or(BeaconPoint::NONE);
    let verdict = validator.check(&CheckOrder { submission: group.submission.clone(), draw });
    Ok(Recheck { verdict, is_whole, weights, seen: search.seen, width, prompting })
}

/// The settings of the run, with another device.
fn run_config(group: &StoredGroup, device: &str) -> Result<RunConfig> {
    let mut layers = Layers::default();
    layers.add_text("the stored run file", &group.config_toml)?;
    layers.add_option("--device", "run.device", device.to_owned())?;
    Ok(config::from_layers(&layers)?)
}

/// Tokenizer and shape as the run file has them, else from the places; of a stranger's run file only what needs no
/// file.
fn model_of(
    config: &RunConfig,
    tasks: &[RunTask],
    places: &[Place],
    reach: Reach,
    device: &burn::tensor::Device,
) -> Result<(Arc<Tokenizer>, Transformer)> {
    let device = device.clone().autodiff();
    let named = match reach == Reach::OwnRun || config.model.random.is_some() {
        true => setup::model(config, tasks, &device),
        false => Err(anyhow!(
            "the stored run file names a model, which is not looked up: --weights DIR gives a folder with it"
        )),
    };
    named.or_else(|error| shape_of(places, &device).ok_or(error))
}

/// Tokenizer and shape from the first model folder that has both.
fn shape_of(places: &[Place], device: &burn::tensor::Device) -> Option<(Arc<Tokenizer>, Transformer)> {
    let folders = places.iter().filter(|place| place.is_hugging_face());
    let loaded = folders.filter_map(|place| model::load(place.path(), device).ok()).next()?;
    Some((Arc::new(loaded.tokenizer), loaded.model))
}

fn validator(group: &StoredGroup, prompts: Arc<Prompting>, device: burn::tensor::Device, is_whole: bool) -> Validator {
    // Nothing is signed here, so the key is nobody's.
    let keys = Keypair::from_seed(&[0; 32]);
    let setup = ValidatorSetup { terms: Arc::new(group.terms.clone()), prompts, keys, id: 0, device };
    match is_whole {
        true => Validator::new(setup).with_every_rollout(),
        false => Validator::new(setup),
    }
}

impl Recheck {
    /// Whether it was for want of weights that the check could not be made.
    pub fn lacks_weights(&self) -> bool {
        matches!(self.verdict.outcome, protocol::Outcome::Unchecked(UncheckedCause::WeightsMissing { .. }))
    }
}
