//! Every evaluation that a run asks for is answered with scores.

use crate::resume::{SMALL, essaim, events};
use record::events::Event;
use rounds::Event as Rule;

#[test]
fn an_evaluation_asked_for_while_the_trainer_is_a_step_further_gets_its_scores() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("scored");
    // The smallest batches and many evaluations: weights are often published a step late.
    let more = ["run.mode=async", "stop.steps=40", "eval.interval=1", "eval.items=2", "rollout.in_flight_max=16"];
    let sets: Vec<&str> = SMALL.iter().copied().chain(more).collect();
    assert!(essaim(&["--out", folder.to_str().unwrap()], &sets).status().unwrap().success());
    let failed = |event: &Event| matches!(event, Event::Rules { rules: Rule::EvalFailed { .. } });
    let (lost, scored): (Vec<Event>, Vec<Event>) = events(&folder)
        .into_iter()
        .filter(|event| failed(event) || matches!(event, Event::EvalFinished(_)))
        .partition(failed);
    assert!(lost.is_empty(), "{lost:?}");
    assert!(scored.len() > 10, "{} evaluations", scored.len());
}
