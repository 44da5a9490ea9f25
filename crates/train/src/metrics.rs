//! What a step reports.
//!
//! Promise: names are prime-rl's and TRL's where they have the same meaning; the page is `docs/algorithms/README.md`.

use std::collections::BTreeMap;

use crate::TrainRollout;
use crate::trainer::Update;

/// Named numbers of one step, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepMetrics {
    values: BTreeMap<&'static str, f64>,
    updates: f64,
}

impl StepMetrics {
    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// All names with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.values.iter().map(|(&name, &value)| (name, value))
    }

    /// Adds one update's numbers: means over updates, except extremes and counts.
    pub(crate) fn add_update(&mut self, update: &Update, loss: BTreeMap<&'static str, f64>) {
        self.updates += 1.0;
        let common = [("loss", update.loss), ("optim/grad_norm", update.grad_norm), ("optim/lr", update.lr)];
        for (name, value) in loss.into_iter().chain(common) {
            match self.values.get_mut(name) {
                None => {
                    self.values.insert(name, value);
                }
                Some(kept) if name.ends_with("max") => *kept = kept.max(value),
                Some(kept) if name.ends_with("min") => *kept = kept.min(value),
                Some(kept) => *kept += (value - *kept) / self.updates,
            }
        }
        *self.values.entry("batch/micro_batches").or_default() += update.micro_batches as f64;
        *self.values.entry("batch/updates").or_default() += 1.0;
    }

    /// Adds how far the tokens' versions lie behind the weights that were trained.
    pub(crate) fn finish_batch(&mut self, batch: &[TrainRollout], version: u64) {
        let behind = |&sampled: &u64| version.saturating_sub(sampled) as f64;
        let tokens = || batch.iter().flat_map(|rollout| &rollout.weight_versions).map(behind);
        let count = tokens().count().max(1) as f64;
        self.values.insert("off_policy/tokens/mean", tokens().sum::<f64>() / count);
        self.values.insert("off_policy/tokens/max", tokens().fold(0.0, f64::max));
    }

    pub(crate) fn finish(&mut self, sequences: usize, tokens: usize, completion_tokens: usize, tokens_seen: u64) {
        self.values.insert("batch/sequences", sequences as f64);
        self.values.insert("batch/tokens", tokens as f64);
        self.values.insert("batch/completion_tokens", completion_tokens as f64);
        self.values.insert("num_tokens", tokens_seen as f64);
    }
}
