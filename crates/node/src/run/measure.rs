//! The numbers of a step, from what the trainer measured and what came back since the last step.
//!
//! Promise: a count says what it counts; nothing here decides anything.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use protocol::{Group, Rollout};

use record::events::{GroupSums, PhaseSeconds, Range, StepMetrics};
use record::machine;

/// What happened since the last step.
pub struct Since {
    start: Instant,
    groups: GroupSums,
    dropped_stale: u64,
    time: PhaseSeconds,
}

/// How long the trainer was at a step.
#[derive(Clone, Copy, Debug)]
pub struct TrainTime {
    /// Packing, forward, backward and the optimiser.
    pub learn: Duration,
    /// Copying the new weights, and their hash.
    pub snapshot: Duration,
}

impl Since {
    /// Nothing yet.
    pub fn now() -> Self {
        let (groups, dropped_stale, time) = Default::default();
        Self { start: Instant::now(), groups, dropped_stale, time }
    }

    /// A group passed its checks, whatever becomes of it.
    pub fn group(&mut self, group: &Group) {
        self.groups.add(group);
    }

    /// A group was dropped for its age.
    pub fn dropped_stale(&mut self) {
        self.dropped_stale += 1;
    }

    /// Where time went, to be added to.
    pub fn time(&mut self) -> &mut PhaseSeconds {
        &mut self.time
    }

    /// Mean reward of all groups that passed their checks, the gate's refusals included; `None` if none did.
    pub fn reward_all_mean(&self) -> Option<f64> {
        Some(self.groups.graded()?.reward_mean)
    }

    /// The step's numbers; the account begins anew. Errors: a batch without a rollout, which the trainer refuses.
    pub fn close(
        &mut self,
        step: u64,
        batch: &[&Group],
        learnt: train::StepMetrics,
        trained: TrainTime,
    ) -> Result<StepMetrics> {
        let since = std::mem::replace(self, Self::now());
        let age = |rollout: &Rollout| Some((step - 1).saturating_sub(rollout.weight_version_min()?) as f64);
        let ages = batch.iter().flat_map(|group| &group.rollouts).filter_map(age);
        let mut sums = GroupSums::default();
        batch.iter().for_each(|group| sums.add(group));
        let no_rollout = || format!("step {step} was trained without a rollout");
        Ok(StepMetrics {
            all: since.groups.graded(),
            batch: sums.graded().with_context(no_rollout)?,
            learnt,
            staleness: Range::of(ages).with_context(no_rollout)?,
            dropped_stale: since.dropped_stale,
            time: PhaseSeconds {
                step: since.start.elapsed().as_secs_f64(),
                forward_backward: trained.learn.as_secs_f64(),
                snapshot_weights: trained.snapshot.as_secs_f64(),
                ..since.time
            },
            peak_memory_bytes: machine::peak_memory_bytes(),
        })
    }
}
