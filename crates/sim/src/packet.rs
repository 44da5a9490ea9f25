//! What the parties of a simulation say to each other.
//!
//! Leases, submissions, orders, seals and verdicts travel as the signed bytes of a real run. What a real
//! run moves inside one process or as files (weights, batches, the trainer's state) is only named.

use std::sync::Arc;

use protocol::{LeaseId, Outcome, Signed, StepNumber, Update, VerifiedGroup, WeightVersion};
use train::{TrainRollout, Trainer};

use crate::world::Weights;

/// Encoded records. Behind a vector, since a liar's may have 64 MiB, which nobody should copy.
pub(crate) type Bytes = Arc<Vec<u8>>;

/// A message.
#[derive(Clone)]
pub(crate) enum Packet {
    /// To a worker: an encoded signed lease.
    Lease(Bytes),
    /// To a worker: give up a lease.
    Cancel(LeaseId),
    /// From a worker: an encoded submission.
    Submission(Bytes),
    /// From a worker: it cannot answer a lease.
    Failed(LeaseId),
    /// To a worker: an encoded signed request to sign a plant.
    PlantRequest(Bytes),
    /// From a worker: its encoded signature under a plant.
    Countersigned(Bytes),
    /// To a validator: an encoded order.
    Order(Bytes),
    /// From a validator: an encoded seal or verdict.
    Verdict(Bytes),
    /// From a worker or validator: which weights it lacks.
    Fetch(WeightVersion),
    /// To a worker or validator.
    Weights(WeightVersion, Weights),
    /// To the trainer.
    Train(Arc<Batch>),
    /// From the trainer.
    Trained(Arc<Trained>),
    /// To a validator: make this step again.
    Replay(Arc<StepToReplay>),
    /// From a validator: what it found of a step.
    Replayed(StepNumber, Outcome),
}

/// A step to be made.
pub(crate) struct Batch {
    pub(crate) step: StepNumber,
    pub(crate) groups: Vec<VerifiedGroup>,
}

/// A step that was made.
pub(crate) struct Trained {
    pub(crate) step: StepNumber,
    pub(crate) weights: Weights,
    /// The trainer's word on it and its state before, where the trainer is real.
    pub(crate) update: Option<(Signed<Update>, Trainer)>,
}

/// All that a replay takes.
pub(crate) struct StepToReplay {
    pub(crate) update: Signed<Update>,
    pub(crate) previous: Option<Update>,
    pub(crate) before: Trainer,
    pub(crate) groups: Vec<VerifiedGroup>,
    pub(crate) batch: Vec<TrainRollout>,
}

impl Packet {
    /// What a trace says of it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Lease(_) => "lease".to_owned(),
            Self::Cancel(lease) => format!("cancel lease {lease}"),
            Self::Submission(bytes) => format!("submission of {} bytes", bytes.len()),
            Self::Failed(lease) => format!("cannot answer lease {lease}"),
            Self::PlantRequest(_) => "request to sign a plant".to_owned(),
            Self::Countersigned(_) => "signature under a plant".to_owned(),
            Self::Order(bytes) => format!("order of {} bytes", bytes.len()),
            Self::Verdict(bytes) => format!("seal or verdict of {} bytes", bytes.len()),
            Self::Fetch(version) => format!("asks for weights {version}"),
            Self::Weights(version, _) => format!("weights {version}"),
            Self::Train(batch) => format!("batch of step {}", batch.step),
            Self::Trained(trained) => format!("step {} is trained", trained.step),
            Self::Replay(step) => format!("replay step {}", step.update.body.step),
            Self::Replayed(step, outcome) => format!("step {step} replays as {outcome:?}"),
        }
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}
