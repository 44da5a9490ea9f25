//! Makes another step than the batch gives.

use protocol::Check;
use train::{StepMetrics, TrainError, TrainRollout, Trainer};

use super::cheat::{Card, Role};

pub(super) static CARD: Card = Card {
    name: "poisoned_update",
    role: Role::Trainer,
    describe: "learns from the second half of the batch only and signs that it learned from all of it",
    expected: &[Check::UpdateReplay],
};

/// What the poisoner does in place of [`Trainer::step`]. The counters of versions and updates stay right.
///
/// Errors: those of [`Trainer::step`].
pub fn poisoned_step(trainer: &mut Trainer, batch: &[TrainRollout]) -> Result<StepMetrics, TrainError> {
    trainer.step(&batch[batch.len() / 2..])
}
