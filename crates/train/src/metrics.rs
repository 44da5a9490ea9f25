//! What a step reports.
//!
//! Promise: every number is measured; a number that the loss does not have is `None`, never 0.
//! `docs/metrics.md` says under which names a run publishes them.

use serde::{Deserialize, Serialize};

use crate::loss::{Loss, LossMetrics};
use crate::trainer::Update;

/// One batch of rollouts: means over its updates, except extremes and counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Value of the loss, the entropy term included.
    pub loss: f64,
    /// What the loss saw.
    pub policy: LossMetrics,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// What was trained on.
    pub batch: BatchSize,
    /// Updates made with the batch.
    pub updates: usize,
    /// Prompt and completion tokens trained on since the start, this batch included.
    pub tokens_seen: u64,
}

/// One update towards given completions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SftMetrics {
    /// Mean negative log-probability per completion token, nats.
    pub loss: f64,
    /// Mean entropy per completion token, nats.
    pub entropy: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate used.
    pub lr: f64,
    /// What was trained on.
    pub batch: BatchSize,
    /// Prompt and completion tokens trained on since the start, this batch included.
    pub tokens_seen: u64,
}

/// Counts of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchSize {
    /// Prompts with their completions.
    pub sequences: usize,
    /// Prompt and completion tokens.
    pub tokens: usize,
    /// Completion tokens: those that the loss is taken of.
    pub completion_tokens: usize,
    /// Parts that went through the model one by one, over all updates.
    pub micro_batches: usize,
}

impl StepMetrics {
    /// `updates` is not empty: a batch without an update is an error before.
    pub(crate) fn of(updates: &[Update], loss: &Loss, batch: BatchSize, tokens_seen: u64) -> Self {
        let policies: Vec<LossMetrics> = updates.iter().map(|update| update.sums.metrics(loss)).collect();
        let mean = |number: fn(&Update) -> f64| updates.iter().map(number).sum::<f64>() / updates.len() as f64;
        Self {
            loss: mean(|update| update.loss),
            policy: LossMetrics::over(&policies),
            grad_norm: mean(|update| update.grad_norm),
            lr: mean(|update| update.lr),
            batch,
            updates: updates.len(),
            tokens_seen,
        }
    }
}

impl SftMetrics {
    pub(crate) fn of(update: &Update, batch: BatchSize, tokens_seen: u64) -> Self {
        let Update { loss, grad_norm, lr, sums, .. } = update;
        Self { loss: *loss, entropy: sums.mean_entropy(), grad_norm: *grad_norm, lr: *lr, batch, tokens_seen }
    }
}
