//! The name of everything that decides what a trainer does next.
//!
//! Promise: two trainers of one configuration and one state hash give the same bits for the same batches; whoever
//! replays a step compares 32 bytes instead of three copies of the model.

use burn::tensor::Tensor;
use ops::host::RawNumbers;

use crate::trainer::Trainer;

const CONTEXT: &str = "essaim 2026 trainer state v1";

impl Trainer {
    /// Hash of weights, both moments of the optimiser, and the counters.
    ///
    /// `blake3_derive_key(context, version ‖ updates ‖ tokens seen ‖ parameters ‖ moment 1 ‖ moment 2)`; counters are
    /// u64, and each tensor is `name length as u32 ‖ name ‖ count as u64 ‖ values`, moments in their format, all
    /// little-endian, in the model's order. The configuration is not in it: that belongs to the run.
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
                add(&mut hasher, &param.name, tensor);
            }
        }
        *hasher.finalize().as_bytes()
    }
}

fn add(hasher: &mut blake3::Hasher, name: &str, tensor: &Tensor<1>) {
    hasher.update(&(name.len() as u32).to_le_bytes()); // a name is short
    hasher.update(name.as_bytes());
    hasher.update(&(tensor.dims()[0] as u64).to_le_bytes());
    hasher.update(&RawNumbers::of(tensor));
}

#[cfg(not(target_endian = "little"))]
compile_error!("states are little-endian, and hashed and written as the numbers lie in memory");
