//! Looks for the weights that a lease names.
//!
//! Promise: weights are given out only under the hash that was asked for; every folder that was looked
//! at is told of, with what it holds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use model::{ModelSnapshot, Transformer};
use protocol::{Hash, WeightVersion};
use serde::Serialize;
use verify::weights_hash;

use crate::config::RunConfig;
use crate::run::checkpoint::Checkpoint;
use crate::run::learning;
use record::output;

/// A folder that holds weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    kind: Kind,
    /// The version, if the folder's name tells it.
    version: Option<WeightVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `config.json` and safetensors.
    HuggingFace,
    /// What a trainer saves, which does not tell the model's shape.
    Trainer,
    /// Weights older than a checkpoint's trainer, which are read with them.
    Older(Checkpoint),
}

/// A folder that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Where.
    pub path: PathBuf,
    /// What it holds, in words.
    pub holds: String,
}

impl Place {
    /// Whether this is a folder that also has a model's shape, and perhaps its tokenizer.
    pub fn is_hugging_face(&self) -> bool {
        self.kind == Kind::HuggingFace
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn trainer(checkpoint: &Checkpoint) -> Self {
        Self { path: checkpoint.trainer(), kind: Kind::Trainer, version: Some(checkpoint.step) }
    }

    fn hugging_face(path: &Path) -> Self {
        Self { path: path.to_owned(), kind: Kind::HuggingFace, version: None }
    }

    /// All places in a run folder, in one checkpoint, or the one place that the folder is itself.
    ///
    /// Errors: if it is none of these.
    pub fn in_folder(folder: &Path) -> Result<Vec<Self>> {
        let checkpoints = folder.join("checkpoints");
        if checkpoints.is_dir() {
            let mut places = Vec::new();
            for checkpoint in Checkpoint::all(&checkpoints)? {
                places.extend(Self::of_checkpoint(&checkpoint)?);
            }
            let model = folder.join("model");
            places.extend(model.is_dir().then(|| Self::hugging_face(&model)));
            return Ok(places);
        }
        let step = folder.file_name().and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
        match step {
            Some(step) => Self::of_checkpoint(&Checkpoint { step, path: folder.to_owned() }),
            None if folder.join("config.json").is_file() => Ok(vec![Self::hugging_face(folder)]),
            None => bail!("{}: neither a run, a checkpoint (step-N) nor a model folder", folder.display()),
        }
    }

    fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Vec<Self>> {
        let older = |(version, path)| Self { path, kind: Kind::Older(checkpoint.clone()), version: Some(version) };
        let older = checkpoint.older()?.into_iter().map(older);
        Ok(older.chain([Self::trainer(checkpoint)]).collect())
    }

    fn load(&self, config: &RunConfig, shape: &Transformer, device: &Device) -> Result<ModelSnapshot> {
        let of_trainer = |folder: &Path| {
            let mut trainer = learning::rl_trainer(config, shape.clone())?;
            trainer.load(folder)?;
            anyhow::Ok(trainer.snapshot())
        };
        match &self.kind {
            Kind::HuggingFace => Ok(Transformer::load(&self.path, device)?.snapshot()),
            Kind::Trainer => of_trainer(&self.path),
            Kind::Older(checkpoint) => {
                let mut weights = of_trainer(&checkpoint.trainer())?;
                let oldest = self.version.unwrap_or(0);
                checkpoint.read_older(&weights.clone(), oldest, |_, older| weights = older.clone())?;
                Ok(weights)
            }
        }
    }
}

/// Which weights are looked for, and where the search has been.
pub(super) struct Search<'a> {
    pub(super) version: WeightVersion,
    pub(super) hash: Hash,
    pub(super) config: &'a RunConfig,
    /// The model of the run file, as it was before training.
    pub(super) shape: &'a Transformer,
    pub(super) device: &'a Device,
    pub(super) seen: Vec<Seen>,
}

impl Search<'_> {
    /// The weights with the place they were found in: the places in their order, then the run's first weights.
    pub(super) fn find(&mut self, places: &[Place]) -> Option<(ModelSnapshot, PathBuf)> {
        for place in places {
            if let Some(snapshot) = self.look(place) {
                return Some((snapshot, place.path.clone()));
            }
        }
        let first = self.shape.snapshot();
        (weights_hash(&first) == self.hash).then(|| (first, PathBuf::from("the run file's [model]")))
    }

    fn look(&mut self, place: &Place) -> Option<ModelSnapshot> {
        if let Some(version) = place.version.filter(|version| *version != self.version) {
            self.note(place, format!("version {version}"));
            return None;
        }
        match place.load(self.config, self.shape, self.device).with_context(|| place.path.display().to_string()) {
            Ok(snapshot) if weights_hash(&snapshot) == self.hash => Some(snapshot),
            Ok(snapshot) => {
                let hash = hex::encode(weights_hash(&snapshot));
                self.note(place, format!("other weights (blake3 {})", &hash[..16]));
                None
            }
            Err(error) => {
                self.note(place, format!("nothing that loads: {}", output::message(&error)));
                None
            }
        }
    }

    fn note(&mut self, place: &Place, holds: String) {
        self.seen.push(Seen { path: place.path.clone(), holds });
    }
}
