//! The weights that a validator can check with.
//!
//! Promise: a model is given out only under the hash that its lease names. Weights are packed when they
//! are first needed, and at most [`PACKED_MAX`] sets stay packed.

use std::collections::BTreeMap;

use burn::tensor::Device;
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{DtypeTerm, Hash, UncheckedCause, WeightVersion};

use crate::weights_hash;

/// Sets of weights that stay ready to compute with. A set takes as much memory as the weights.
const PACKED_MAX: usize = 3;

struct Held {
    snapshot: ModelSnapshot,
    hash: Option<Hash>,
    model: Option<InferenceModel>,
    /// When it was last asked for, counted in questions.
    used: u64,
}

/// Weights by version.
pub(crate) struct HeldWeights {
    dtype: WeightDtype,
    device: Device,
    versions_max: usize,
    versions: BTreeMap<WeightVersion, Held>,
    questions: u64,
}

impl HeldWeights {
    /// None yet; of those that come, the newest `versions_max` are kept.
    pub(crate) fn new(dtype: DtypeTerm, device: Device, versions_max: usize) -> Self {
        let dtype = match dtype {
            DtypeTerm::F32 => WeightDtype::F32,
            DtypeTerm::Bf16 => WeightDtype::Bf16,
        };
        Self { dtype, device, versions_max, versions: BTreeMap::new(), questions: 0 }
    }

    /// From now on keeps this many versions, at least one.
    pub(crate) fn keep(&mut self, versions_max: usize) {
        self.versions_max = versions_max.max(1);
        self.drop_old();
    }

    /// Takes weights; a version that is held already is replaced.
    pub(crate) fn take(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) {
        let held = Held { snapshot: snapshot.clone(), hash: None, model: None, used: 0 };
        self.versions.insert(version, held);
        self.drop_old();
    }

    fn drop_old(&mut self) {
        while self.versions.len() > self.versions_max {
            self.versions.pop_first();
        }
    }

    /// The model of a version, if its weights have this hash.
    ///
    /// Errors: `WeightsMissing`, also if other weights are held under that version.
    pub(crate) fn model(&mut self, version: WeightVersion, weights: &Hash) -> Result<&InferenceModel, UncheckedCause> {
        let missing = UncheckedCause::WeightsMissing { version };
        self.questions += 1;
        let held = self.versions.get_mut(&version).ok_or(missing)?;
        held.used = self.questions;
        if held.hash.get_or_insert_with(|| weights_hash(&held.snapshot)) != weights {
            return Err(missing);
        }
        if held.model.is_none() {
            self.make_room();
        }
        let (dtype, device) = (self.dtype, &self.device);
        let held = self.versions.get_mut(&version).ok_or(missing)?;
        let Held { snapshot, model, .. } = held;
        Ok(model.get_or_insert_with(|| InferenceModel::from_snapshot(snapshot, dtype, device)))
    }

    /// Unpacks the sets that were not asked for the longest, until one more may be packed.
    fn make_room(&mut self) {
        let packed = |held: &&mut Held| held.model.is_some();
        while self.versions.values_mut().filter(packed).count() >= PACKED_MAX {
            if let Some(held) = self.versions.values_mut().filter(packed).min_by_key(|held| held.used) {
                held.model = None;
            }
        }
    }
}
