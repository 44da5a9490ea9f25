//! The rules of a run: who generates what, what is trained on, when to publish, score, save, end.
//!
//! Promise: fed the same events, the machine gives the same actions, on every machine; every lease
//! ends exactly once; no token older than the staleness bound is trained on; in sequential mode the
//! batches do not depend on who finished first.
//! Takes: [`Event`]s. Gives: [`Action`]s. Never: does I/O, looks at a clock, or holds tokens.
//!
//! # Driving it
//!
//! ```
//! use std::collections::VecDeque;
//! use rounds::*;
//!
//! let mut rounds = Rounds::new(RoundsConfig {
//!     steps_max: 3,
//!     prompts_per_step: 2,
//!     group_size: 2,
//!     mode: Mode::Sequential,
//!     staleness_max: RoundsConfig::STALENESS_MAX_DEFAULT,
//!     in_flight_groups_max: 8,
//!     gate: Gate { reject_zero_signal: true, reward_mean: None },
//!     eval: None,
//!     checkpoint_interval_steps: None,
//!     tasks: vec![TaskShare { weight: 1, items: None }],
//!     run_seed: protocol::run_seed(42),
//!     worker: 0,
//!     beacon_round: 0,
//! })?;
//!
//! let mut events = VecDeque::from([Event::Started]);
//! let mut log = Vec::new(); // on disk in a real run, each event before its actions are performed
//! let mut batches = Vec::new();
//! while let Some(event) = events.pop_front() {
//!     let actions = rounds.on_event(&event)?;
//!     log.push(event);
//!     for action in actions {
//!         match action {
//!             Action::Lease(lease) => {
//!                 // A worker makes the group. Every third one earns the same reward twice.
//!                 let rollout = |reward_micro| RolloutSummary {
//!                     reward_micro,
//!                     weight_version_min: lease.weight_version,
//!                     tokens: 5,
//!                 };
//!                 let other = if lease.lease % 3 == 0 { 0 } else { 1_000_000 };
//!                 let rollouts = vec![rollout(0), rollout(other)];
//!                 let group = GroupSummary { lease: lease.lease, rollouts };
//!                 events.push_front(Event::GroupFinished(group));
//!             }
//!             Action::TrainBatch(batch) => {
//!                 events.push_back(Event::StepTrained { step: batch.step });
//!                 batches.push(batch.leases);
//!             }
//!             Action::PublishWeights { version } => {
//!                 events.push_back(Event::WeightsPublished { version });
//!             }
//!             Action::SaveCheckpoint { step } => {
//!                 let saved = rounds.to_bytes(); // beside the trainer's state
//!                 assert_eq!(Rounds::from_bytes(&saved)?, rounds);
//!                 events.push_back(Event::CheckpointSaved { step });
//!             }
//!             Action::StartEval { eval, .. } => events.push_back(Event::EvalFinished { eval }),
//!             Action::DropGroup { .. } | Action::Notice(_) => {}
//!             Action::Finish { cause } => assert_eq!(cause, FinishCause::StepsDone),
//!         }
//!     }
//! }
//! // 0 and 3 and 6 taught nothing; the batch they were leased for was refilled.
//! assert_eq!(batches, [[1, 2], [4, 5], [7, 8]]);
//! # Ok::<(), RoundsError>(())
//! ```
//!
//! # Resuming
//!
//! 1. Take the events since the last checkpoint: load the state saved there, and feed the logged
//!    events from position [`Rounds::events_taken`] on. The actions are those of the first time, so
//!    perform none of them, except: before feeding `StepTrained`, train the batch in
//!    [`Rounds::training`] again from the stored groups.
//! 2. Feed (and log) `Started`. It returns everything still unanswered, see
//!    [`Rounds::outstanding`]: the leases that were out are given again as they were, seeds and all.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

pub mod admission;
mod admits;
mod batches;
mod config;
pub mod constants;
mod counters;
pub mod desk;
mod error;
mod event;
mod fines;
mod gate;
mod invariants;
mod machine;
mod members;
mod milestones;
mod panel;
mod sampler;
mod score;
mod state;
mod verdicts;
mod waiting;

pub use config::{EvalPlan, Gate, Mode, RewardBounds, RoundsConfig, TaskShare};
pub use counters::Counters;
pub use error::RoundsError;
pub use event::{
    Action, Batch, DropReason, EvalId, Event, FinishCause, GroupSummary, Notice, OutcomeKind, Peer, PlantId,
    RolloutSummary,
};
pub use machine::Rounds;
pub use score::{Ratio, avg_at_k, pass_at_k};
pub use waiting::{Party, Wait, Waiting};
