//! Turns rollouts and their rewards into new weights.
//!
//! Promise: the same batches in the same order give the same weights, bit for bit on the CPU; a batch that cannot
//! be trained on changes nothing.
//! Takes: verified rollouts with advantages, or examples. Gives: weights, metrics, checkpoints.
//! Never: trains on a rollout that nobody verified, knows what a reward means, or what time it is.

mod advantage;
mod backprop;
mod batch;
mod checkpoint;
mod error;
mod loss;
mod metrics;
mod optimizer;
mod packing;
mod rollout;
mod schedule;
mod state;
mod trainer;

pub use advantage::{STD_EPSILON, Scale, group_advantages};
pub use batch::SftExample;
pub use error::{Result, SequenceProblem, TrainError};
pub use loss::{
    Average, ClippedShares, Correction, CorrectionMode, LOG_RATIO_MAX, Loss, LossConfig, LossInput, LossMetrics,
    LossOutput, LossSums, Objective, OldPolicy, Preset, Totals,
};
pub use metrics::{BatchSize, SftMetrics, StepMetrics};
pub use optimizer::{MomentsDtype, OptimizerConfig};
pub use packing::pack;
pub use rollout::{BehaviourLogprobs, TrainRollout};
pub use schedule::{Schedule, Shape};
pub use trainer::{ACTIVATION_BYTES_MAX, TrainConfig, Trainer};
