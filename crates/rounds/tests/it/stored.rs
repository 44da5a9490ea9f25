//! What is kept on disk: configurations and states that are refused, and the bytes of a state.

use protocol::{
    Check, FinishReason, Keypair, Outcome, PromptLease, RejectReason, Rollout, Signed, Submission, UncheckedCause,
};
use rounds::constants::{STATE_BYTES_MAX, STATE_FORMAT};
use rounds::{
    Action, Event, Gate, GroupSummary, OutcomeKind, RewardBounds, RolloutSummary, Rounds, RoundsConfig, RoundsError,
    TaskShare,
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
    let (seed, hash, zeros) = ("07".repeat(32), "00".repeat(32), |count| "00".repeat(count));
    let beacon = zeros(1 + 32);
    // One worker, one validator, no second checks, no plants, two silences before a rest.
    let parties = format!("0101000002{hash}{beacon}");
    // Stop rules without a target or a plateau, no curriculum; one task with one level.
    let config = format!("030202000164010000 0000 00 00 01010001{seed}{parties}");
    // Phase running; cursor with credit 0, drawn 2, no levels; one event; next lease 2; leases 0 and 1 out.
    let lease = |lease, item| format!("{lease} {lease}00{item}00{hash}02{seed}00{lease}{beacon}");
    let leases = format!("02{}{}", lease("00", "00"), lease("01", "01"));
    // No panel; a worker with two leases and a validator, without a mark; turn 0, no plants.
    let members = format!("00 0102{mark} 0100{mark} 000000", mark = zeros(4));
    // Wave 0 with nothing unissued or lost, crew of worker 0; empty buffer, no batch, step 0. At the end
    // neither a score nor a judged group.
    let wave = format!("01{}01 00 {}", zeros(3), zeros(2 + 5));
    let rest = format!("{hash}{beacon}{}", zeros(6 + 6 + 17));
    let expected = format!("04{config}01 010002000102{leases}{members}{wave}{rest}").replace(' ', "");
    assert_eq!(hex, expected);
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
    let share = |weight| vec![TaskShare { weight, items: None, levels: 1 }];
    let bounds = Some(RewardBounds { min_micro: 2, max_micro: 1 });
    let strict = Gate { reject_zero_signal: true, reward_mean: None };
    let range = |field, min, max, given| RoundsError::ConfigRange { field, min, max, given };
    let cases = [
        (RoundsConfig { prompts_per_step: 0, ..config() }, range("prompts_per_step", 1, 65_536, 0)),
        (RoundsConfig { group_size: 1025, ..config() }, range("group_size", 1, 1024, 1025)),
        (RoundsConfig { staleness_max: 257, ..config() }, range("staleness_max", 0, 256, 257)),
        (RoundsConfig { tasks: vec![], ..config() }, range("tasks", 1, 1024, 0)),
        (RoundsConfig { workers: 0, ..config() }, range("workers", 1, 4096, 0)),
        (RoundsConfig { validators: 1025, ..config() }, range("validators", 1, 1024, 1025)),
        (RoundsConfig { second_check_ppm: 1_000_001, ..config() }, range("second_check_ppm", 0, 1_000_000, 1_000_001)),
        (RoundsConfig { plant_ppm: 1_000_001, ..config() }, range("plant_ppm", 0, 1_000_000, 1_000_001)),
        (RoundsConfig { overdue_max: 0, ..config() }, range("overdue_max", 1, 1_000, 0)),
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
    let rollout = |sample_index, tokens: usize| Rollout {
        lease: 0,
        sample_index,
        prompt_tokens: vec![1],
        completion_tokens: vec![2; tokens],
        logprobs: vec![-1.0; tokens],
        weight_versions: vec![4; tokens],
        finish: FinishReason::Length,
        reward_micro: 250_000,
        exact: false,
        activation_proof: Vec::new(),
        fingerprint: Vec::new(),
    };
    let lease = PromptLease { weight_version: 4, ..lease.clone() };
    let (run, keys) = ([9; 32], Keypair::derive(&[1; 32], "worker", 0));
    let lease = Signed::new(lease, &run, &Keypair::derive(&[1; 32], "orchestrator", 0)).unwrap();
    let submission = Submission::new(&run, lease, vec![rollout(0, 3), rollout(1, 0)], &keys).unwrap();
    let summary = |tokens| RolloutSummary { reward_micro: 250_000, weight_version_min: 4, tokens };
    let root = submission.commitment.body.root;
    let expected = GroupSummary { lease: 0, root, rollouts: vec![summary(3), summary(0)] };
    assert_eq!(GroupSummary::from(&submission), expected);
}

#[test]
fn outcome_of_a_verdict_keeps_what_decides() {
    let reason = RejectReason { check: Check::Reward, sample_index: Some(1), position: None, limit: 0, given: 5 };
    assert_eq!(OutcomeKind::from(&Outcome::Valid), OutcomeKind::Valid);
    assert_eq!(OutcomeKind::from(&Outcome::Invalid(reason)), OutcomeKind::Invalid(Check::Reward));
    let found =
        |check, limit, given| OutcomeKind::from(&Outcome::Invalid(RejectReason { check, limit, given, ..reason }));
    assert_eq!(found(Check::Fingerprint, 1_000, 2_000), OutcomeKind::Narrow(Check::Fingerprint));
    assert_eq!(found(Check::Fingerprint, 1_000, 2_001), OutcomeKind::Invalid(Check::Fingerprint));
    assert_eq!(found(Check::TokenMargin, i64::MAX, i64::MAX), OutcomeKind::Narrow(Check::TokenMargin));
    assert_eq!(found(Check::ActivationSpread, 30, 16), OutcomeKind::Narrow(Check::ActivationSpread));
    assert_eq!(found(Check::ActivationSpread, 30, 15), OutcomeKind::Invalid(Check::ActivationSpread));
    assert_eq!(found(Check::SamplesMissing, 4, 3), OutcomeKind::Invalid(Check::SamplesMissing), "machines can count");
    let unchecked = Outcome::Unchecked(UncheckedCause::ModelFailed);
    assert_eq!(OutcomeKind::from(&unchecked), OutcomeKind::Unchecked);
}
