//! Writes short runs as events and words.

use protocol::{BeaconPoint, Check};
use rounds::{Action, Event, GroupSummary, Mode, OutcomeKind, RolloutSummary, Rounds, RoundsConfig};

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
    let root = [lease as u8; 32];
    Event::GroupFinished(GroupSummary { lease, root, rollouts: rewards.map(rollout).to_vec() })
}

/// The beacon point of a round; its randomness is the round's number.
pub(crate) fn beacon(round: u64) -> BeaconPoint {
    let mut randomness = [0; 32];
    randomness[..8].copy_from_slice(&round.to_le_bytes());
    BeaconPoint { round, randomness }
}

/// Actions in short: `lease 3@1`, `train 1 [0, 1]`, `drop 0 EqualRewards`, `check 3 by 0`.
pub(crate) fn short(action: &Action) -> String {
    match action {
        Action::Lease(lease) => format!("lease {}@{}", lease.lease, lease.weight_version),
        Action::Draw { lease } => format!("draw {lease}"),
        Action::Check { lease, validator } => format!("check {lease} by {validator}"),
        Action::Reveal { lease, validator } => format!("reveal {lease} by {validator}"),
        Action::Accepted { lease } => format!("accept {lease}"),
        Action::Plant { plant, validator } => format!("plant {plant} for {validator}"),
        Action::Fine { party, lease, check } => format!("fine {} {check} {lease:?}", party),
        Action::Suspend { party } => format!("suspend {}", party),
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

    /// Tells one event and answers nothing: what the rules ask for, in their words.
    pub(crate) fn tells(&mut self, event: Event) -> Vec<String> {
        self.told(&event).iter().map(short).collect()
    }

    pub(crate) fn told(&mut self, event: &Event) -> Vec<Action> {
        let actions = self.0.on_event(event).unwrap();
        self.0.assert_invariants();
        assert_eq!(Rounds::from_bytes(&self.0.to_bytes()).unwrap(), self.0);
        actions
    }

    /// Tells one event, and lets beacon and validators find every group valid at once, unless it was
    /// dropped at once, so that all are accepted. Gives the other actions.
    pub(crate) fn hears(&mut self, event: Event) -> Vec<String> {
        let mut words = Vec::new();
        let mut events = vec![(None, event)];
        while let Some((_, event)) = events.pop() {
            for action in self.told(&event) {
                if let Action::DropGroup { lease, .. } = action {
                    events.retain(|(about, _)| *about != Some(lease));
                }
                match prompt_answer(&action) {
                    Some((lease, answer)) => events.push((Some(lease), answer)),
                    None if matches!(action, Action::Accepted { .. }) => {}
                    None => words.push(short(&action)),
                }
            }
        }
        words
    }

    pub(crate) fn hears_all<const N: usize>(&mut self, events: [Event; N]) -> Vec<String> {
        events.into_iter().flat_map(|event| self.hears(event)).collect()
    }
}

/// What an honest beacon and honest validators answer, and about which lease.
fn prompt_answer(action: &Action) -> Option<(u64, Event)> {
    Some(match *action {
        Action::Draw { lease } => (lease, drawn(lease)),
        Action::Check { lease, validator } => (lease, sealed(lease, validator)),
        Action::Reveal { lease, validator } => (lease, valid(lease, validator)),
        _ => return None,
    })
}

/// The beacon speaks for a group, in a round that follows from its lease.
pub(crate) fn drawn(lease: u64) -> Event {
    Event::Drawn { lease, beacon: beacon(1_000 + lease) }
}

pub(crate) fn sealed(lease: u64, validator: u32) -> Event {
    Event::VerdictSealed { lease, validator }
}

pub(crate) fn valid(lease: u64, validator: u32) -> Event {
    Event::VerdictRevealed { lease, validator, outcome: OutcomeKind::Valid }
}

pub(crate) fn invalid(lease: u64, validator: u32) -> Event {
    Event::VerdictRevealed { lease, validator, outcome: OutcomeKind::Invalid(Check::Fingerprint) }
}

/// Found fault, but only just.
pub(crate) fn narrow(lease: u64, validator: u32) -> Event {
    Event::VerdictRevealed { lease, validator, outcome: OutcomeKind::Narrow(Check::Fingerprint) }
}

pub(crate) fn unchecked(lease: u64, validator: u32) -> Event {
    Event::VerdictRevealed { lease, validator, outcome: OutcomeKind::Unchecked }
}

/// The validator is overdue.
pub(crate) fn silent(lease: u64, validator: u32) -> Event {
    Event::VerdictFailed { lease, validator, check: None }
}

pub(crate) fn trained(step: u64) -> Event {
    Event::StepTrained { step }
}

pub(crate) fn published(version: u64) -> Event {
    Event::WeightsPublished { version, weights: [version as u8; 32], beacon: beacon(version) }
}

pub(crate) fn asynchronous() -> RoundsConfig {
    RoundsConfig { mode: Mode::Async, ..config() }
}
