//! Writes short runs as events and words.

use rounds::{Action, Event, GroupSummary, Mode, RolloutSummary, Rounds, RoundsConfig};

use super::config;

/// A group whose rewards differ, made by the given weights.
pub(crate) fn good(lease: u64, version: u64) -> Event {
    group(lease, version, [0, 1_000_000])
}

/// A group whose rewards are equal.
pub(crate) fn dull(lease: u64, version: u64) -> Event {
    group(lease, version, [1_000_000; 2])
}

fn group(lease: u64, weight_version_min: u64, rewards: [i64; 2]) -> Event {
    let rollout = |reward_micro| RolloutSummary { reward_micro, weight_version_min, tokens: 5 };
    Event::GroupFinished(GroupSummary { lease, rollouts: rewards.map(rollout).to_vec() })
}

/// Actions in short: `lease 3@1`, `train 1 [0, 1]`, `drop 0 NoSignal`.
fn short(action: &Action) -> String {
    match action {
        Action::Lease(lease) => format!("lease {}@{}", lease.lease, lease.weight_version),
        Action::TrainBatch(batch) => format!("train {} {:?}", batch.step, batch.leases),
        Action::DropGroup { lease, reason } => format!("drop {lease} {reason:?}"),
        Action::PublishWeights { version } => format!("publish {version}"),
        Action::StartEval { eval, version, .. } => format!("eval {eval}@{version}"),
        Action::SaveCheckpoint { step } => format!("save {step}"),
        Action::Notice(notice) => format!("{notice:?}"),
        Action::Finish { cause } => format!("finish {cause:?}"),
    }
}

pub(crate) struct Run(pub(crate) Rounds);

impl Run {
    pub(crate) fn of(config: RoundsConfig) -> Self {
        Self(Rounds::new(config).unwrap())
    }

    pub(crate) fn hears(&mut self, event: Event) -> Vec<String> {
        let actions = self.0.on_event(&event).unwrap();
        self.0.assert_invariants();
        actions.iter().map(short).collect()
    }

    pub(crate) fn hears_all<const N: usize>(&mut self, events: [Event; N]) -> Vec<String> {
        events.into_iter().flat_map(|event| self.hears(event)).collect()
    }
}

pub(crate) fn trained(step: u64) -> Event {
    Event::StepTrained { step }
}

pub(crate) fn published(version: u64) -> Event {
    Event::WeightsPublished { version }
}

pub(crate) fn asynchronous() -> RoundsConfig {
    RoundsConfig { mode: Mode::Async, ..config() }
}
