//! What is kept on disk: configurations and states that are refused, and the bytes of a state.

use protocol::{FinishReason, Group, PromptLease, Rollout};
use rounds::constants::{STATE_BYTES_MAX, STATE_FORMAT};
use rounds::{
    Action, Event, Gate, GroupSummary, RewardBounds, RolloutSummary, Rounds, RoundsConfig, RoundsError, TaskShare,
};

use super::config;

fn running() -> Rounds {
    let mut rounds = Rounds::new(config()).unwrap();
    rounds.on_event(&Event::Started).unwrap();
    rounds
}

#[test]
fn state_survives_the_disk() {
    let rounds = running();
    let restored = Rounds::from_bytes(&rounds.to_bytes()).unwrap();
    assert_eq!(restored, rounds);
    assert_eq!(restored.events_taken(), 1);
}

/// If this changes, checkpoints of the day before cannot be read: bump `STATE_FORMAT`.
#[test]
fn state_has_its_golden_bytes() {
    let hex: String = running().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let seed = "07".repeat(32);
    let config = format!("03020200016401000000{}{seed}0000", "010100");
    // Phase running; cursor with credit 0, drawn 2; one event; next lease 2; leases 0 and 1 out.
    let leases = format!("020000000000 02{seed}0000 01010001 0002{seed}0000").replace(' ', "");
    // Wave 0 with nothing unissued; empty buffer, no batch, and all counts zero.
    let rest = format!("01{}{}", "00".repeat(4), "00".repeat(11 + 10));
    assert_eq!(hex, format!("01{config}01{}0102{leases}{rest}", "010002"));
}

#[test]
fn damaged_states_are_refused_by_name() {
    let bytes = running().to_bytes();
    assert_eq!(bytes[0], STATE_FORMAT);
    for length in 1..bytes.len() {
        let error = Rounds::from_bytes(&bytes[..length]).unwrap_err();
        assert_eq!(error, RoundsError::StateMalformed { bytes: length });
    }
    assert_eq!(Rounds::from_bytes(&[]).unwrap_err(), RoundsError::StateMalformed { bytes: 0 });
    let error = Rounds::from_bytes(&[9, 1]).unwrap_err();
    assert_eq!(error, RoundsError::StateFormat { expected: STATE_FORMAT, given: 9 });
    let given = STATE_BYTES_MAX + 1;
    let error = Rounds::from_bytes(&vec![1; given]).unwrap_err();
    assert_eq!(error, RoundsError::StateTooLarge { limit: STATE_BYTES_MAX, given });
}

#[test]
fn no_damaged_byte_makes_a_state_that_panics() {
    let bytes = running().to_bytes();
    let mut refused = 0;
    for place in 0..bytes.len() {
        for value in [0, 1, 2, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            match Rounds::from_bytes(&damaged) {
                Ok(mut rounds) => {
                    rounds.assert_invariants();
                    rounds.on_event(&Event::Started).unwrap();
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{refused} refused");
}

#[test]
fn impossible_configurations_are_refused_with_their_bounds() {
    let share = |weight| vec![TaskShare { weight, items: None }];
    let bounds = Some(RewardBounds { min_micro: 2, max_micro: 1 });
    let strict = Gate { reject_zero_signal: true, reward_mean: None };
    let range = |field, min, max, given| RoundsError::ConfigRange { field, min, max, given };
    let cases = [
        (RoundsConfig { prompts_per_step: 0, ..config() }, range("prompts_per_step", 1, 65_536, 0)),
        (RoundsConfig { group_size: 1025, ..config() }, range("group_size", 1, 1024, 1025)),
        (RoundsConfig { staleness_max: 257, ..config() }, range("staleness_max", 0, 256, 257)),
        (RoundsConfig { tasks: vec![], ..config() }, range("tasks", 1, 1024, 0)),
        (RoundsConfig { tasks: share(0), ..config() }, range("tasks.weight", 1, 1_000_000, 0)),
        (
            RoundsConfig { group_size: 1, gate: strict.clone(), ..config() },
            RoundsError::GateNeedsPairs { group_size: 1 },
        ),
        (
            RoundsConfig { gate: Gate { reward_mean: bounds, ..strict }, ..config() },
            RoundsError::RewardBoundsEmpty { min_micro: 2, max_micro: 1 },
        ),
    ];
    for (config, error) in cases {
        assert_eq!(Rounds::new(config).unwrap_err(), error);
    }
}

#[test]
fn summary_of_a_group_holds_what_decides() {
    let actions = Rounds::new(config()).unwrap().on_event(&Event::Started).unwrap();
    let Action::Lease(lease) = &actions[0] else { panic!("{actions:?}") };
    let rollout = |weight_versions: Vec<u64>| Rollout {
        lease: 0,
        sample_index: 0,
        prompt_tokens: vec![1],
        completion_tokens: vec![2; weight_versions.len()],
        logprobs: vec![-1.0; weight_versions.len()],
        weight_versions,
        finish: FinishReason::Length,
        reward_micro: 250_000,
        exact: false,
    };
    let lease = PromptLease { weight_version: 4, ..lease.clone() };
    let group = Group { lease, rollouts: vec![rollout(vec![6, 5, 6]), rollout(vec![])] };
    let summary = |weight_version_min, tokens| RolloutSummary { reward_micro: 250_000, weight_version_min, tokens };
    let rollouts = vec![summary(5, 3), summary(4, 0)];
    assert_eq!(GroupSummary::from(&group), GroupSummary { lease: 0, rollouts });
}
