//! What a run file that came with somebody's group may make this machine do.
//!
//! Promise: a run file out of a stranger's hands opens no file, asks no hub, and takes no more memory than
//! the limit; what it would need of these is named in the refusal.

use crate::config::{RandomModel, RunConfig};

/// Most memory that a model described by a stranger may take: copies of its weights, rotary table and cache.
const MODEL_BYTES_MAX: u64 = 4 << 30;
/// Copies of the weights that a check holds: parameters, snapshot, packed matrices, and what training keeps.
const WEIGHT_COPIES: u64 = 4;
/// Tokens in the cache of one prefill.
const CACHE_TOKENS: u64 = 16_384;

/// Whose word the run file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// That of a run on this machine: it may name files and models.
    OwnRun,
    /// Anybody's.
    Stranger,
}

/// The run file asks for what a stranger's may not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReachError {
    /// A task reads a file.
    #[error(
        "task {task} of the stored run file reads {path:?}; a stored group opens no file here: check it in the folder of its run"
    )]
    TaskFile {
        /// The task's type.
        task: &'static str,
        /// The file.
        path: String,
    },
    /// The model is too large to be made on somebody's word.
    #[error("the model that the stored run file describes takes {given} bytes, limit {limit}")]
    ModelTooLarge {
        /// Bytes allowed.
        limit: u64,
        /// Bytes it would take.
        given: u64,
    },
}

/// Refuses a stranger's run file that reaches too far. Its `[model] path` and `hub` are no fault: they are
/// never looked at.
pub(super) fn check(config: &RunConfig) -> Result<(), ReachError> {
    for entry in &config.tasks {
        if let Some(columns) = entry.spec.columns() {
            return Err(ReachError::TaskFile { task: entry.spec.type_name(), path: columns.path });
        }
    }
    let given = config.model.random.as_ref().map_or(0, bytes);
    match given > MODEL_BYTES_MAX {
        true => Err(ReachError::ModelTooLarge { limit: MODEL_BYTES_MAX, given }),
        false => Ok(()),
    }
}

/// `4·(copies·layers·(4·h² + 3·h·ff) + context·head + tokens·layers·2·kv)` bytes, for `h` hidden, `head = h/heads`,
/// `kv = head·kv_heads`; saturating.
fn bytes(shape: &RandomModel) -> u64 {
    let [hidden, layers, ff, context, kv_heads] =
        [shape.hidden, shape.layers, shape.ff, shape.max_context, shape.kv_heads].map(|size| size as u64);
    let head = hidden / (shape.heads as u64).max(1);
    let layer =
        hidden.saturating_mul(hidden).saturating_mul(4).saturating_add(hidden.saturating_mul(ff).saturating_mul(3));
    let weights = layer.saturating_mul(layers).saturating_mul(WEIGHT_COPIES);
    let cache = CACHE_TOKENS.saturating_mul(layers).saturating_mul(2 * head * kv_heads);
    weights.saturating_add(context.saturating_mul(head)).saturating_add(cache).saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, resolve};

    fn with(set: &str) -> RunConfig {
        resolve(&Sources { sets: vec![set.to_owned()], ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_strangers_run_file_opens_no_file_and_takes_bounded_memory() {
        assert_eq!(check(&with("run.seed=1")), Ok(()));
        let dataset = with("tasks=[{type='gsm8k',path='/etc/passwd'}]");
        assert!(matches!(check(&dataset), Err(ReachError::TaskFile { task: "gsm8k", .. })));
        for set in ["hidden=65536", "layers=1024", "ff=1048576,layers=64", "max_context=1048576,hidden=16384"] {
            let large = with(&format!("model.random={{{set}}}"));
            assert!(matches!(check(&large), Err(ReachError::ModelTooLarge { .. })), "{set}");
        }
    }

    #[test]
    fn the_memory_of_a_model_is_counted_by_hand() {
        let shape = RandomModel {
            hidden: 4,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            ff: 8,
            max_context: 10,
            ..RandomModel::default()
        };
        // A layer has 4·16 + 3·32 = 160 weights: 4 copies of 2 are 1,280; 10·2 = 20; 16,384·2·2·2 = 131,072.
        assert_eq!(bytes(&shape), 4 * (1_280 + 20 + 131_072));
    }
}
