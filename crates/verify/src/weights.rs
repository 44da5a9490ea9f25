//! The name of a set of weights that everybody computes alike.

use model::{ModelSnapshot, ParamSpec};
use protocol::Hash;
use rayon::prelude::*;

const CONTEXT: &str = "essaim 2026 weights v1";
const PARAMETER_CONTEXT: &str = "essaim 2026 weights of a parameter v1";
/// Numbers turned into bytes at once.
const PART_VALUES: usize = 1 << 16;

/// Hash of all weights, in the order of the model's layout.
///
/// `blake3_derive_key(context, hash of each parameter in turn)`, a parameter's hash being
/// `blake3_derive_key(context, name length as u32 ‖ name ‖ count as u64 ‖ values as f32)`,
/// all little-endian. Parameters are hashed side by side.
pub fn weights_hash(snapshot: &ModelSnapshot) -> Hash {
    let layout = snapshot.config().layout();
    let parts: Vec<Hash> =
        layout.par_iter().zip(snapshot.values()).map(|(spec, values)| of_one(spec, values)).collect();
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for part in parts {
        hasher.update(&part);
    }
    *hasher.finalize().as_bytes()
}

fn of_one(spec: &ParamSpec, values: &[f32]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(PARAMETER_CONTEXT);
    hasher.update(&(spec.name.len() as u32).to_le_bytes()); // a name is short
    hasher.update(spec.name.as_bytes());
    hasher.update(&(values.len() as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(PART_VALUES.min(values.len()) * size_of::<f32>());
    for part in values.chunks(PART_VALUES) {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|value| value.to_le_bytes()));
        hasher.update(&bytes);
    }
    *hasher.finalize().as_bytes()
}
