//! Who checks a group, and what follows from the votes, worked by hand.

use protocol::{Check, Party, ValidatorId};
use rounds::{Action, Event, FinishCause, Mode, OutcomeKind, RoundsConfig, RoundsError, Waiting};

use super::config;
use super::script::{Run, beacon, drawn, good, invalid, narrow, sealed, short, silent, trained, unchecked, valid};

/// One group per batch, so that an accepted group is trained on at once.
fn panel_of(validators: u32) -> RoundsConfig {
    RoundsConfig { prompts_per_step: 1, validators, ..config() }
}

fn started(config: RoundsConfig) -> Run {
    let mut run = Run::of(config);
    run.tells(Event::Started);
    run
}

/// The group of lease 0 comes back and its beacon speaks: who is asked first.
fn first_asked(run: &mut Run, lease: u64) -> Vec<ValidatorId> {
    assert_eq!(run.tells(good(lease, 0)), [format!("draw {lease}")]);
    asked(&run.told(&drawn(lease)))
}

/// Who is asked to check, by these actions and no others.
fn asked(actions: &[Action]) -> Vec<ValidatorId> {
    let ask = |action: &Action| match action {
        Action::Check { validator, .. } => *validator,
        other => panic!("{}", short(other)),
    };
    actions.iter().map(ask).collect()
}

/// Seals and opens the verdict of somebody who is asked alone.
fn votes(run: &mut Run, lease: u64, validator: ValidatorId, verdict: Event) -> Vec<Action> {
    assert_eq!(run.tells(sealed(lease, validator)), [format!("reveal {lease} by {validator}")]);
    run.told(&verdict)
}

fn words(actions: &[Action]) -> Vec<String> {
    actions.iter().map(short).collect()
}

#[test]
fn one_valid_verdict_is_enough() {
    let mut run = started(panel_of(3));
    let first = first_asked(&mut run, 0);
    let groups = Waiting::Groups { have: 0, need: 1, in_flight: 0, checking: 1 };
    assert!(run.0.waiting_on().iter().all(|wait| wait.on == groups), "{:?}", run.0.waiting_on());
    assert_eq!(first.len(), 1);
    let after = votes(&mut run, 0, first[0], valid(0, first[0]));
    assert_eq!(words(&after), ["accept 0", "train 1 [0]"]);
    assert_eq!(run.0.counters().verdicts, 1);
}

#[test]
fn seals_are_opened_only_when_the_whole_panel_has_sealed() {
    let mut run = started(RoundsConfig { second_check_ppm: 1_000_000, ..panel_of(3) });
    let both = first_asked(&mut run, 0);
    assert_eq!(both.len(), 2);
    let (first, second) = (both[0], both[1]);
    assert!(run.tells(sealed(0, second)).is_empty(), "the other one is not committed yet");
    let early = run.0.on_event(&valid(0, second)).unwrap_err();
    assert_eq!(early, RoundsError::VerdictNotAsked { lease: 0, validator: second });
    let reveals = run.tells(sealed(0, first));
    assert_eq!(reveals, [format!("reveal 0 by {first}"), format!("reveal 0 by {second}")]);
    assert!(run.tells(valid(0, first)).is_empty(), "both have to agree");
    assert_eq!(run.tells(valid(0, second)), ["accept 0", "train 1 [0]"]);
}

#[test]
fn one_accuser_is_not_believed_and_two_of_three_are() {
    let mut run = started(RoundsConfig { workers: 2, ..panel_of(3) });
    let first = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, first, invalid(0, first)))[0];
    assert_ne!(first, second);
    let after = votes(&mut run, 0, second, invalid(0, second));
    let expected = ["fine worker 0 fingerprint Some(0)", "drop 0 WorkerBanned", "lease 1@0"];
    assert_eq!(words(&after), expected);
    assert_eq!(run.0.fined(Party::Worker(0)), Some(Check::Fingerprint));
    assert_eq!(run.0.counters().workers_fined, 1);
}

#[test]
fn whoever_covers_a_proven_lie_pays_too() {
    let mut run = started(RoundsConfig { workers: 2, second_check_ppm: 1_000_000, ..panel_of(3) });
    let both = first_asked(&mut run, 0);
    let (liar, honest) = (both[0], both[1]);
    run.tells(sealed(0, liar));
    run.tells(sealed(0, honest));
    run.tells(valid(0, liar));
    let third = asked(&run.told(&invalid(0, honest)))[0];
    let after = words(&votes(&mut run, 0, third, invalid(0, third)));
    let fine = format!("fine validator {liar} verdict_disagrees Some(0)");
    let expected = ["fine worker 0 fingerprint Some(0)", "drop 0 WorkerBanned", &fine, "lease 1@0"];
    assert_eq!(after, expected);
}

#[test]
fn whoever_accuses_an_honest_worker_pays() {
    let mut run = started(panel_of(3));
    let liar = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, liar, invalid(0, liar)))[0];
    let third = asked(&votes(&mut run, 0, second, valid(0, second)))[0];
    let after = words(&votes(&mut run, 0, third, valid(0, third)));
    assert_eq!(
        after,
        ["accept 0".into(), format!("fine validator {liar} verdict_disagrees Some(0)"), "train 1 [0]".into()]
    );
    assert_eq!((run.0.fined(Party::Worker(0)), run.0.counters().validators_fined), (None, 1));
}

#[test]
fn honest_validators_that_contradict_each_other_at_a_tolerance_do_not_pay() {
    // Narrow, valid, valid: trained on. Narrow, valid, narrow: dropped.
    for (last, expected) in
        [(valid as fn(_, _) -> _, ["accept 0", "train 1 [0]"].as_slice()), (narrow, &["drop 0 Unchecked", "lease 1@0"])]
    {
        let mut run = started(panel_of(3));
        let first = first_asked(&mut run, 0)[0];
        let second = asked(&votes(&mut run, 0, first, narrow(0, first)))[0];
        let third = asked(&votes(&mut run, 0, second, valid(0, second)))[0];
        assert_eq!(words(&votes(&mut run, 0, third, last(0, third))), expected);
        assert_eq!((run.0.counters().workers_fined, run.0.counters().validators_fined), (0, 0));
    }
}

#[test]
fn worker_that_sits_on_a_tolerance_again_and_again_comes_to_rest() {
    let mut run = started(panel_of(1));
    // An answer takes 1 off and a narrow verdict adds 2: 2, 3, 4.
    for lease in 0..3 {
        let validator = first_asked(&mut run, lease)[0];
        let after = words(&votes(&mut run, lease, validator, narrow(lease, validator)));
        assert_eq!(after[0] == "suspend worker 0", lease == 2, "{after:?}");
    }
    assert_eq!(run.0.fined(Party::Worker(0)), None);
}

#[test]
fn doubts_of_one_validator_do_not_shield_a_clear_lie() {
    let mut run = started(panel_of(3));
    let shield = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, shield, narrow(0, shield)))[0];
    let third = asked(&votes(&mut run, 0, second, invalid(0, second)))[0];
    let after = words(&votes(&mut run, 0, third, invalid(0, third)));
    assert_eq!(after[0], "fine worker 0 fingerprint Some(0)");
    assert_eq!(run.0.fined(Party::Validator(shield)), None, "a doubt is no lie");
}

#[test]
fn two_colluders_of_five_convict_nobody() {
    // The first two accuse; three of five are needed, and the honest three have them.
    let mut run = started(panel_of(5));
    let mut next = first_asked(&mut run, 0);
    let liars = {
        // A lone accusation brings two more at once, as three make a majority of five.
        let first = next[0];
        let more = asked(&votes(&mut run, 0, first, invalid(0, first)));
        assert_eq!(more.len(), 2);
        next = more;
        [first, next[0]]
    };
    run.tells(sealed(0, next[0]));
    run.tells(sealed(0, next[1]));
    run.tells(invalid(0, next[0]));
    let fourth = asked(&run.told(&valid(0, next[1])))[0];
    let fifth = asked(&votes(&mut run, 0, fourth, valid(0, fourth)))[0];
    let after = words(&votes(&mut run, 0, fifth, valid(0, fifth)));
    let fines = liars.map(|liar| format!("fine validator {liar} verdict_disagrees Some(0)"));
    assert_eq!(after, [&["accept 0".to_string()], &fines[..], &["train 1 [0]".to_string()]].concat());
}

#[test]
fn tie_with_nobody_left_drops_the_group_and_nobody_pays() {
    let mut run = started(panel_of(2));
    let first = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, first, invalid(0, first)))[0];
    let after = votes(&mut run, 0, second, valid(0, second));
    assert_eq!(words(&after), ["drop 0 Unchecked", "lease 1@0"]);
    assert_eq!(run.0.counters().dropped_unchecked, 1);
}

#[test]
fn last_validator_convicts_alone() {
    let mut run = started(RoundsConfig { workers: 2, ..panel_of(1) });
    let only = first_asked(&mut run, 0)[0];
    let after = votes(&mut run, 0, only, invalid(0, only));
    assert_eq!(words(&after)[0], "fine worker 0 fingerprint Some(0)");
}

#[test]
fn accuser_alone_convicts_nobody_while_the_other_validator_cannot_check() {
    let mut run = started(panel_of(2));
    let first = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, first, invalid(0, first)))[0];
    let after = votes(&mut run, 0, second, unchecked(0, second));
    assert_eq!(words(&after), ["drop 0 Unchecked", "lease 1@0"], "silence must not make a majority");
}

#[test]
fn silent_validator_is_replaced_and_its_late_answer_refused() {
    let mut run = started(panel_of(2));
    let first = first_asked(&mut run, 0)[0];
    let second = asked(&run.told(&silent(0, first)))[0];
    let late = run.0.on_event(&sealed(0, first)).unwrap_err();
    assert_eq!(late, RoundsError::VerdictNotAsked { lease: 0, validator: first });
    assert_eq!(words(&votes(&mut run, 0, second, valid(0, second))), ["accept 0", "train 1 [0]"]);
    let over = run.0.on_event(&sealed(0, first)).unwrap_err();
    assert_eq!(over, RoundsError::NotChecking { lease: 0 });
    assert_eq!(run.0.fined(Party::Validator(first)), None);
}

#[test]
fn silent_validators_are_asked_again_when_nobody_else_is_left_but_not_for_ever() {
    let mut run = started(RoundsConfig { overdue_max: 2, ..panel_of(1) });
    first_asked(&mut run, 0);
    assert_eq!(run.tells(silent(0, 0)), ["check 0 by 0"]);
    assert_eq!(run.tells(silent(0, 0)), ["suspend validator 0", "check 0 by 0"], "there is no other");
    assert_eq!(run.tells(silent(0, 0)), ["drop 0 Unchecked", "lease 1@0"], "three times is enough");
}

#[test]
fn resting_validator_is_left_out_until_the_next_batch() {
    let mut run = started(RoundsConfig { overdue_max: 1, prompts_per_step: 2, ..panel_of(2) });
    let first = first_asked(&mut run, 0)[0];
    let after = run.tells(silent(0, first));
    let other = 1 - first;
    assert_eq!(after, [format!("suspend validator {first}"), format!("check 0 by {other}")]);
    assert!(run.0.rests(Party::Validator(first)));
    votes(&mut run, 0, other, valid(0, other));
    assert_eq!(first_asked(&mut run, 1), [other]);
    votes(&mut run, 1, other, valid(1, other));
    assert!(!run.0.rests(Party::Validator(first)), "the batch is taken");
}

#[test]
fn group_that_nobody_can_check_is_dropped() {
    let mut run = started(panel_of(2));
    let first = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, first, unchecked(0, first)))[0];
    let after = votes(&mut run, 0, second, unchecked(0, second));
    assert_eq!(words(&after), ["drop 0 Unchecked", "lease 1@0"]);
}

#[test]
fn fined_validator_loses_its_seats_and_its_votes_everywhere() {
    let config = RoundsConfig { second_check_ppm: 1_000_000, prompts_per_step: 2, ..panel_of(3) };
    let mut run = started(config);
    let (on_0, on_1) = (first_asked(&mut run, 0), first_asked(&mut run, 1));
    // Three validators, two panels of two: somebody sits on both.
    let both = *on_0.iter().find(|validator| on_1.contains(validator)).unwrap();
    let other = *on_0.iter().find(|&&validator| validator != both).unwrap();
    run.tells(sealed(0, both));
    run.tells(sealed(0, other));
    run.tells(valid(0, both));
    let mismatch = Event::VerdictFailed { lease: 1, validator: both, check: Some(Check::SealMismatch) };
    let third_of = |on: &[ValidatorId]| (0..3).find(|validator| !on.contains(validator)).unwrap();
    let fine = format!("fine validator {both} seal_mismatch Some(1)");
    let asks = [format!("check 0 by {}", third_of(&on_0)), format!("check 1 by {}", third_of(&on_1))];
    assert_eq!(run.tells(mismatch), [&[fine][..], &asks].concat(), "its vote on 0 is void as well");
    let again = Event::VerdictFailed { lease: 0, validator: both, check: Some(Check::SealMismatch) };
    assert!(run.0.on_event(&again).is_err(), "fined once");
}

#[test]
fn accepted_group_has_more_verdicts_for_it_than_against_it_fined_validators_included() {
    let mut run = started(RoundsConfig { prompts_per_step: 2, ..panel_of(3) });
    let liar = first_asked(&mut run, 0)[0];
    let second = asked(&votes(&mut run, 0, liar, invalid(0, liar)))[0];
    let third = 3 - liar - second;
    // The accuser is fined for something else: its place is taken by the third.
    run.tells(good(1, 0));
    let words = run.tells(drawn(1));
    let mut now = words[0].rsplit(' ').next().unwrap().parse().unwrap();
    while now != liar {
        now = asked(&run.told(&silent(1, now)))[0]; // until it is the liar's turn on lease 1
    }
    let mismatch = Event::VerdictFailed { lease: 1, validator: liar, check: Some(Check::SealMismatch) };
    assert!(run.tells(mismatch).contains(&format!("check 0 by {third}")));
    run.tells(sealed(0, second));
    run.tells(sealed(0, third));
    assert!(run.tells(valid(0, second)).is_empty());
    run.tells(unchecked(0, third));
    assert!(!run.0.is_in_check(0), "one for, one against by a fined validator, nobody left");
    assert_eq!(run.0.buffered().len(), 0);
}

#[test]
fn run_without_validators_ends_after_the_step_in_training() {
    let mut run = started(RoundsConfig { mode: Mode::Async, ..panel_of(1) });
    run.hears(good(0, 0));
    first_asked(&mut run, 1);
    let mismatch = Event::VerdictFailed { lease: 1, validator: 0, check: Some(Check::Signature) };
    let after = run.tells(mismatch);
    assert_eq!(after, ["fine validator 0 signature Some(1)", "drop 1 Unchecked"]);
    assert_eq!(run.tells(trained(1)), ["publish 1", "save 1"]);
    run.tells(super::script::published(1));
    let end = run.told(&Event::CheckpointSaved { step: 1 });
    assert_eq!(end, [Action::Finish { cause: FinishCause::NoValidators }]);
    assert_eq!(run.told(&Event::Started).last(), end.last(), "resuming does not help");
}

#[test]
fn draws_are_later_than_the_lease_and_come_once() {
    let mut run = started(RoundsConfig { beacon: beacon(7), ..panel_of(1) });
    let draw = |lease, round| Event::Drawn { lease, beacon: beacon(round) };
    let not_back = run.0.on_event(&draw(0, 8)).unwrap_err();
    assert_eq!(not_back, RoundsError::NotChecking { lease: 0 });
    assert_eq!(run.0.on_event(&draw(9, 8)).unwrap_err(), RoundsError::LeaseUnknown { lease: 9, next: 1 });
    run.tells(good(0, 0));
    let early = run.0.on_event(&draw(0, 7)).unwrap_err();
    assert_eq!(early, RoundsError::DrawnTooEarly { lease: 0, limit: 7, given: 7 });
    assert_eq!(run.tells(draw(0, 8)), ["check 0 by 0"]);
    assert_eq!(run.0.on_event(&draw(0, 9)).unwrap_err(), RoundsError::DrawnBefore { lease: 0 });
    let stranger = run.0.on_event(&sealed(0, 5)).unwrap_err();
    assert_eq!(stranger, RoundsError::VerdictNotAsked { lease: 0, validator: 5 });
}

#[test]
fn restart_forgets_seals_and_keeps_verdicts() {
    let config = RoundsConfig { second_check_ppm: 1_000_000, prompts_per_step: 3, ..panel_of(3) };
    let mut run = started(config);
    let both = first_asked(&mut run, 0);
    run.tells(sealed(0, both[0]));
    run.tells(sealed(0, both[1]));
    run.tells(valid(0, both[0]));
    let other = first_asked(&mut run, 1);
    run.tells(sealed(1, other[0]));
    run.tells(good(2, 0));
    let check = |lease: u64, validator: ValidatorId| format!("check {lease} by {validator}");
    let expected = [check(0, both[1]), check(1, other[0]), check(1, other[1]), "draw 2".into()];
    assert_eq!(run.tells(Event::Started), expected);
    assert_eq!(run.tells(sealed(0, both[1])), [format!("reveal 0 by {}", both[1])]);
    assert_eq!(run.tells(valid(0, both[1])), ["accept 0"], "with the vote of before it is accepted");
    assert_eq!(run.0.waiting_on()[0].on, Waiting::Groups { have: 1, need: 3, in_flight: 0, checking: 2 });
}

#[test]
fn missed_plant_is_fined_and_a_caught_one_counted() {
    let mut run = started(RoundsConfig { plant_ppm: 1_000_000, prompts_per_step: 2, ..panel_of(2) });
    run.tells(good(0, 0));
    let actions = run.told(&drawn(0));
    let Action::Plant { plant: 0, validator } = actions[0] else { panic!("{actions:?}") };
    let answered = |plant, validator, caught| Event::PlantAnswered { plant, validator, caught };
    let wrong = run.0.on_event(&answered(0, 1 - validator, true)).unwrap_err();
    assert_eq!(wrong, RoundsError::PlantNotOpen { plant: 0, validator: 1 - validator });
    assert!(run.tells(answered(0, validator, true)).is_empty());
    assert_eq!(run.0.counters().plants_caught, 1);
    assert!(run.0.on_event(&answered(0, validator, true)).is_err(), "answered before");
    run.tells(good(1, 0));
    let actions = run.told(&drawn(1));
    let Action::Plant { plant: 1, validator } = actions[0] else { panic!("{actions:?}") };
    assert_eq!(run.0.plants().collect::<Vec<_>>(), [(validator, 1)]);
    let fine = run.tells(answered(1, validator, false));
    assert_eq!(fine[0], format!("fine validator {validator} plant_missed None"));
}

#[test]
fn plants_are_shown_as_often_as_said_whatever_the_second_checks() {
    let wide = RoundsConfig { prompts_per_step: 4_000, in_flight_groups_max: 4_000, ..panel_of(3) };
    let mut run = Run::of(RoundsConfig { plant_ppm: 100_000, second_check_ppm: 500_000, ..wide });
    run.0.on_event(&Event::Started).unwrap();
    let (mut plants, mut seconds, mut together) = (0, 0, 0);
    for lease in 0..2_000 {
        run.0.on_event(&good(lease, 0)).unwrap();
        let actions = run.0.on_event(&drawn(lease)).unwrap();
        let planted = matches!(actions[0], Action::Plant { .. });
        let second = actions.len() - usize::from(planted) == 2;
        plants += i32::from(planted);
        seconds += i32::from(second);
        together += i32::from(planted && second);
    }
    // Standard deviations: √(2000·0.1·0.9) = 13, √(2000·0.5·0.5) = 22, √(2000·0.05·0.95) = 10.
    assert!((plants - 200).abs() < 60 && (seconds - 1_000).abs() < 100, "{plants}, {seconds}");
    assert!((together - 100).abs() < 45, "{together}: the two lots are independent");
}

#[test]
fn verdict_after_the_group_was_dropped_is_refused() {
    let mut run = started(RoundsConfig { workers: 2, prompts_per_step: 2, ..panel_of(1) });
    let validator = first_asked(&mut run, 0)[0];
    let lied = Event::WorkerLied { worker: 0, lease: None, check: Check::Malformed };
    assert_eq!(run.tells(lied), ["fine worker 0 malformed None", "drop 0 WorkerBanned"]);
    let late = Event::VerdictRevealed { lease: 0, validator, outcome: OutcomeKind::Valid };
    assert_eq!(run.0.on_event(&late).unwrap_err(), RoundsError::NotChecking { lease: 0 });
}
