//! The name of everything that decides what a trainer does next.
//!
//! Promise: two trainers of one configuration and one state hash give the same bits for the same batches; whoever
//! replays a step compares 32 bytes instead of three copies of the model.

use burn::tensor::Tensor;
use ops::host;

use crate::trainer::Trainer;

const CONTEXT: &str = "essaim 2026 trainer state v1";
/// Numbers turned into bytes at once.
const PART_VALUES: usize = 1 << 16;

impl Trainer {
    /// Hash of weights, both moments of the optimiser, and the counters.
    ///
    /// `blake3_derive_key(context, version ‖ updates ‖ tokens seen ‖ parameters ‖ moment 1 ‖ moment 2)`; counters are
    /// u64, and each tensor is `name length as u32 ‖ name ‖ count as u64 ‖ values as f32`, all little-endian, in the
    /// model's order. The configuration is not in it: that belongs to the run.
    pub fn state_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for counter in [self.version, self.optimizer.updates, self.tokens_seen] {
            hasher.update(&counter.to_le_bytes());
        }
        let params = &self.model.params().list;
        let weights: Vec<&Tensor<1>> = params.iter().map(|param| &param.value).collect();
        let first: Vec<&Tensor<1>> = self.optimizer.first.iter().collect();
        let second: Vec<&Tensor<1>> = self.optimizer.second.iter().collect();
        for tensors in [weights, first, second] {
            for (param, tensor) in params.iter().zip(tensors) {
                add(&mut hasher, &param.name, &host::to_vec_f32(tensor));
            }
        }
        *hasher.finalize().as_bytes()
    }
}

fn add(hasher: &mut blake3::Hasher, name: &str, values: &[f32]) {
    hasher.update(&(name.len() as u32).to_le_bytes()); // a name is short
    hasher.update(name.as_bytes());
    hasher.update(&(values.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(PART_VALUES.min(values.len()) * size_of::<f32>());
    for part in values.chunks(PART_VALUES) {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
        hasher.update(&bytes);
    }
}
