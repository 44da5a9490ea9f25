//! The weights that the engine holds: the newest, those before them, and those that work is pinned to.
//!
//! Promise: weights that a live sequence is pinned to are never dropped; others, but for the newest
//! two, are.

use std::collections::{BTreeMap, BTreeSet};

use model::InferenceModel;

pub(crate) struct Models {
    held: BTreeMap<u64, InferenceModel>,
    newest: u64,
    /// What was the newest before; a request for it may still be on its way.
    previous: u64,
}

impl Models {
    pub(crate) fn new(model: InferenceModel, version: u64) -> Self {
        Self { held: BTreeMap::from([(version, model)]), newest: version, previous: version }
    }

    /// The version that comes last, not the one with the highest number.
    pub(crate) fn newest_version(&self) -> u64 {
        self.newest
    }

    pub(crate) fn newest(&self) -> &InferenceModel {
        self.get(self.newest)
    }

    pub(crate) fn get(&self, version: u64) -> &InferenceModel {
        self.held.get(&version).expect("our bug: weights were dropped that somebody needs")
    }

    pub(crate) fn holds(&self, version: u64) -> bool {
        self.held.contains_key(&version)
    }

    pub(crate) fn push(&mut self, model: InferenceModel, version: u64) {
        if version != self.newest {
            self.previous = self.newest;
        }
        self.newest = version;
        self.held.insert(version, model);
    }

    /// Drops what is neither among the newest two nor needed.
    pub(crate) fn keep(&mut self, needed: impl Iterator<Item = u64>) {
        if self.held.len() > 1 {
            let mut kept: BTreeSet<u64> = needed.collect();
            kept.extend([self.newest, self.previous]);
            self.held.retain(|version, _| kept.contains(version));
        }
    }
}
