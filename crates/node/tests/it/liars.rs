//! Liars in a real run: caught by name, and nobody else pays.

use std::collections::BTreeMap;
use std::path::Path;

use crate::resume::{SMALL, essaim, events};
use protocol::{Check, Party};
use record::events::{Event, Fined};

fn run(folder: &Path, more: &[&str]) -> Vec<Event> {
    let sets: Vec<&str> = SMALL.iter().copied().chain(more.iter().copied()).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    events(folder)
}

fn fined(events: &[Event]) -> BTreeMap<Party, Fined> {
    let fines = events.iter().filter_map(|event| match event {
        Event::Fined(fined) => Some((fined.party, fined.clone())),
        _ => None,
    });
    fines.collect()
}

#[test]
fn lying_workers_are_caught_by_name_and_the_others_go_on() {
    let place = tempfile::tempdir().unwrap();
    let more = [
        "run.mode=async",
        "workers.count=5",
        "workers.cheat=[{worker=1,cheat=\"fake_reward\"},{worker=3,cheat=\"malformed_message\"},{worker=4,cheat=\"int4_weights\"}]",
        "verify.validators=3",
        "verify.check_fraction=1.0",
    ];
    let events = run(&place.path().join("liars"), &more);
    let fined = fined(&events);
    let parties: Vec<Party> = fined.keys().copied().collect();
    assert_eq!(parties, [Party::Worker(1), Party::Worker(3), Party::Worker(4)], "{fined:?}");
    let reward = &fined[&Party::Worker(1)];
    assert_eq!((reward.check, reward.cheat.as_deref()), (Check::Reward, Some("fake_reward")));
    assert!(reward.words.contains("reward"), "{}", reward.words);
    assert_eq!(fined[&Party::Worker(3)].check, Check::Malformed);
    // Nothing of a liar was trained on after it was caught; nothing of these liars passed at all.
    let accepted_of = |worker: u32| {
        events.iter().filter(|event| matches!(event, Event::GroupAccepted(group) if group.worker == worker)).count()
    };
    assert_eq!((accepted_of(1), accepted_of(3)), (0, 0));
    assert!(accepted_of(0) > 0 && accepted_of(2) > 0);
}

#[test]
fn a_validator_that_does_not_look_is_caught_by_a_planted_lie() {
    let place = tempfile::tempdir().unwrap();
    let more = [
        "run.mode=async",
        "verify.validators=3",
        "verify.plant_fraction=0.5",
        "verify.cheat=[{validator=2,cheat=\"lazy_validator\"}]",
    ];
    let fined = fined(&run(&place.path().join("lazy"), &more));
    assert_eq!(fined.keys().copied().collect::<Vec<_>>(), [Party::Validator(2)], "{fined:?}");
    let check = fined[&Party::Validator(2)].check;
    assert!(matches!(check, Check::PlantMissed | Check::VerdictDisagrees), "{check}");
}

#[test]
fn a_run_can_learn_from_the_validators_own_log_probabilities() {
    let place = tempfile::tempdir().unwrap();
    let more = ["verify.behaviour_logprobs=validator", "verify.check_fraction=1.0", "stop.steps=5"];
    let events = run(&place.path().join("own"), &more);
    assert!(fined(&events).is_empty());
    assert_eq!(events.iter().filter(|event| matches!(event, Event::StepTrained(_))).count(), 5);
}
