//! The rules of a run: who generates what, who checks whom, what is trained on, who pays, when to
//! publish, score, save, end.
//!
//! Promise: fed the same events, the machine gives the same actions, on every machine; every lease
//! ends exactly once; no group is trained on before validators found it valid, and no token older
//! than the staleness bound; liars are fined once and get no more work, and as long as lying
//! validators are fewer than the others nobody honest is fined; in sequential mode the batches do
//! not depend on who finished first, unless a validator lies, a deadline passes, or a worker fails so
//! often that it rests.
//! Takes: [`Event`]s. Gives: [`Action`]s. Never: does I/O, looks at a clock, or holds tokens.
//!
//! # Driving it
//!
//! ```
//! use std::collections::VecDeque;
//! use protocol::{BeaconPoint, Check, Party};
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
//!     stop: StopRules::default(),
//!     curriculum: None,
//!     checkpoint_interval_steps: None,
//!     tasks: vec![TaskShare { weight: 1, items: None, levels: 1 }],
//!     run_seed: protocol::run_seed(42),
//!     workers: 2,
//!     validators: 3,
//!     second_check_ppm: 0,
//!     plant_ppm: 0,
//!     overdue_max: 3,
//!     weights: [0; 32],
//!     beacon: BeaconPoint::NONE,
//! })?;
//!
//! let mut events = VecDeque::from([Event::Started]);
//! let mut log = Vec::new(); // on disk in a real run, each event before its actions are performed
//! let (mut batches, mut fines) = (Vec::new(), Vec::new());
//! let mut round = 0;
//! while let Some(event) = events.pop_front() {
//!     let actions = match rounds.on_event(&event) {
//!         Err(RoundsError::NotChecking { .. }) => continue, // a verdict on a group dropped meanwhile
//!         actions => actions?,
//!     };
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
//!                 let group = GroupSummary { lease: lease.lease, root: [7; 32], rollouts };
//!                 events.push_back(Event::GroupFinished(group));
//!             }
//!             Action::Draw { lease } => {
//!                 round += 1; // later than the group's commitment
//!                 let beacon = BeaconPoint { round, randomness: [round as u8; 32] };
//!                 events.push_back(Event::Drawn { lease, beacon });
//!             }
//!             Action::Check { lease, validator } => {
//!                 events.push_back(Event::VerdictSealed { lease, validator });
//!             }
//!             Action::Reveal { lease, validator } => {
//!                 // Worker 1 lies in lease 5.
//!                 let lie = OutcomeKind::Invalid(Check::Fingerprint);
//!                 let outcome = if lease == 5 { lie } else { OutcomeKind::Valid };
//!                 events.push_back(Event::VerdictRevealed { lease, validator, outcome });
//!             }
//!             Action::TrainBatch(batch) => {
//!                 events.push_back(Event::StepTrained { step: batch.step });
//!                 batches.push(batch.leases);
//!             }
//!             Action::PublishWeights { version } => {
//!                 let beacon = BeaconPoint { round, randomness: [round as u8; 32] };
//!                 events.push_back(Event::WeightsPublished { version, weights: [1; 32], beacon });
//!             }
//!             Action::SaveCheckpoint { step } => {
//!                 let saved = rounds.to_bytes(); // beside the trainer's state
//!                 assert_eq!(Rounds::from_bytes(&saved)?, rounds);
//!                 events.push_back(Event::CheckpointSaved { step });
//!             }
//!             Action::StartEval { eval, .. } => {
//!                 events.push_back(Event::EvalFinished { eval, scores: Vec::new() });
//!             }
//!             Action::Fine { party, lease, check } => fines.push((party, lease, check)),
//!             Action::Accepted { .. } | Action::DropGroup { .. } | Action::Notice(_) => {}
//!             Action::Plant { .. } | Action::Suspend { .. } => {}
//!             Action::Finish { cause } => assert_eq!(cause, FinishCause::StepsDone),
//!         }
//!     }
//! }
//! // 0, 3, 6 and 9 taught nothing and 5 was a lie; the batches they were leased for were refilled.
//! assert_eq!(batches, [[1, 2], [4, 7], [8, 10]]);
//! // One accusation is not believed; the second of three validators is the majority.
//! assert_eq!(fines, [(Party::Worker(1), Some(5), Check::Fingerprint)]);
//! # Ok::<(), RoundsError>(())
//! ```
//!
//! # Resuming
//!
//! 1. Take the events since the last checkpoint: load the state saved there, and feed the logged
//!    events from position [`Rounds::events_taken`] on. The actions are those of the first time, so
//!    perform none of them, except: before feeding `StepTrained`, train the batch in
//!    [`Rounds::training`] again from the stored groups.
//! 2. To go on for longer than planned, feed (and log) `Extended` first.
//! 3. Feed (and log) `Started`. It returns everything still unanswered, see
//!    [`Rounds::outstanding`]: the leases that were out are given again as they were, seeds and all,
//!    and validators whose verdict is not in the log are asked for a new seal.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

pub mod admission;
mod admits;
mod batches;
mod config;
pub mod constants;
mod counters;
pub mod curriculum;
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
mod signal;
mod state;
mod stop;
mod verdicts;
mod waiting;

pub use config::{Curriculum, EvalPlan, Gate, Mode, Plateau, RewardBounds, RoundsConfig, StopRules, TaskShare};
pub use counters::Counters;
pub use curriculum::{LevelView, Pool, PoolView};
pub use error::RoundsError;
pub use event::{
    Action, Batch, DropReason, EvalId, EvalScore, Event, FinishCause, GroupSummary, Notice, OutcomeKind, PlantId,
    RolloutSummary,
};
pub use machine::Rounds;
pub use panel::{Ruling, Votes};
pub use score::{Ratio, avg_at_k, pass_at_k};
pub use waiting::{Wait, Waiter, Waiting};
