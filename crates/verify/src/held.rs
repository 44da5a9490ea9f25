//! The weights that a validator can check with.
//!
//! Promise: a model is given out only under the hash that its lease names. Only what is packed of weights is kept, which
//! in one process is shared with whoever else computes with them.

use std::collections::BTreeMap;

use burn::tensor::Device;
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{DtypeTerm, Hash, UncheckedCause, WeightVersion};

use crate::weights_hash;

struct Held {
    hash: Hash,
    model: InferenceModel,
}

/// Weights by version.
pub(crate) struct HeldWeights {
    dtype: WeightDtype,
    device: Device,
    versions_max: usize,
    versions: BTreeMap<WeightVersion, Held>,
}

impl HeldWeights {
    /// None yet; of those that come, the newest `versions_max` are kept.
    pub(crate) fn new(dtype: DtypeTerm, device: Device, versions_max: usize) -> Self {
        let dtype = match dtype {
            DtypeTerm::F32 => WeightDtype::F32,
            DtypeTerm::Bf16 => WeightDtype::Bf16,
        };
        Self { dtype, device, versions_max, versions: BTreeMap::new() }
    }

    /// From now on keeps this many versions, at least one.
    pub(crate) fn keep(&mut self, versions_max: usize) {
        self.versions_max = versions_max.max(1);
        self.drop_old(self.versions_max);
    }

    /// Takes weights, unless they are older than all of as many as are kept; a version that is held already is replaced.
    pub(crate) fn take(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) {
        self.versions.remove(&version);
        let full = self.versions.len() >= self.versions_max;
        if full && self.versions.first_key_value().is_some_and(|(oldest, _)| version < *oldest) {
            return;
        }
        // Room is made before the new set is packed.
        self.drop_old(self.versions_max - 1);
        let model = InferenceModel::from_snapshot(snapshot, self.dtype, &self.device);
        self.versions.insert(version, Held { hash: weights_hash(snapshot), model });
    }

    /// Lets go of everything older.
    pub(crate) fn forget_before(&mut self, oldest: WeightVersion) {
        self.versions = self.versions.split_off(&oldest);
    }

    fn drop_old(&mut self, count: usize) {
        while self.versions.len() > count {
            self.versions.pop_first();
        }
    }

    /// The model of a version, if its weights have this hash.
    ///
    /// Errors: `WeightsMissing`, also if other weights are held under that version.
    pub(crate) fn model(&self, version: WeightVersion, weights: &Hash) -> Result<&InferenceModel, UncheckedCause> {
        let held = self.versions.get(&version).filter(|held| held.hash == *weights);
        held.map(|held| &held.model).ok_or(UncheckedCause::WeightsMissing { version })
    }
}
