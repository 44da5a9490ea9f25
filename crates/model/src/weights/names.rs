//! From the names in weight files to those of the layout.
//!
//! Promise: a name is understood in one way or refused; what is passed over is told.

use std::collections::{BTreeMap, btree_map::Entry};

use super::read::Stored;
use crate::{
    error::{ModelError, Result},
    warning::Warning,
};

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const HEAD: &str = "lm_head.weight";
/// What every decoder has, by which the part of the names in front of it is found.
const LANDMARK: &str = "layers.0.input_layernorm.weight";
/// Heads that trainers put beside a language model: TRL's value head, and those of reward models.
const OTHER_HEADS: [&str; 4] = ["v_head.", "value_head.", "score.", "reward_head."];
/// Tables that old checkpoints store and that follow from the configuration.
const TABLES: [&str; 3] = ["rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"];

/// The tensors under the names of the layout.
pub(super) struct Named {
    pub(super) tensors: BTreeMap<String, Stored>,
    pub(super) warnings: Vec<Warning>,
}

/// Transformers saves a decoder's body alone without `model.` in front; trainers and wrappers put something more
/// there (`module.`, `_orig_mod.`, `pretrained_model.`). Whatever it is, it is the same for all.
pub(super) fn resolve(stored: BTreeMap<String, Stored>) -> Result<Named> {
    let prefix = prefix(stored.keys());
    let outer = prefix.strip_suffix("model.").unwrap_or(&prefix).to_owned();
    let (mut tensors, mut warnings) = (BTreeMap::new(), Vec::new());
    let mut others: Vec<(String, Stored)> = Vec::new();
    for (name, tensor) in stored {
        let bare = name.strip_prefix(&outer).unwrap_or(&name);
        if TABLES.iter().any(|table| name.ends_with(table)) {
            continue;
        }
        if OTHER_HEADS.iter().any(|head| bare.starts_with(head)) {
            others.push((name, tensor));
            continue;
        }
        let known = match name.strip_prefix(&prefix) {
            _ if bare == HEAD => HEAD.to_owned(),
            Some(rest) => format!("model.{rest}"),
            None => name,
        };
        match tensors.entry(known) {
            Entry::Vacant(place) => place.insert(tensor),
            Entry::Occupied(place) => {
                return Err(ModelError::UnexpectedTensor { path: tensor.path, tensor: place.key().clone(), count: 1 });
            }
        };
    }
    if !outer.is_empty() {
        warnings.push(Warning::Prefix { prefix: outer });
    }
    if let Some((first, tensor)) = others.first() {
        let (path, first) = (tensor.path.clone(), first.clone());
        warnings.push(Warning::OtherHead { path, first, count: others.len() });
    }
    Ok(Named { tensors, warnings })
}

/// What stands in front of the decoder's names: mostly `model.`.
fn prefix<'a>(mut names: impl Iterator<Item = &'a String> + Clone) -> String {
    let usual = format!("model.{LANDMARK}");
    if names.clone().any(|name| *name == usual) {
        return "model.".into();
    }
    names.find_map(|name| name.strip_suffix(LANDMARK)).unwrap_or("model.").into()
}
