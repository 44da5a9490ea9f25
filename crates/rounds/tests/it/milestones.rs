//! Starting, scoring, saving, stopping, resuming and false reports, worked by hand.

use std::num::NonZeroU64;

use protocol::BeaconPoint;
use rounds::{
    Action, EvalPlan, Event, FinishCause, GroupSummary, Notice, Rounds, RoundsConfig, RoundsError, Wait, Waiter,
    Waiting,
};

use super::config;
use super::script::{Run, asynchronous, beacon, good, published, trained};

#[test]
fn evals_start_on_time_and_hold_up_only_the_end() {
    let plan = EvalPlan { interval_steps: NonZeroU64::new(2), items: 5, samples: 4, at_start: true, at_end: true };
    let mut run = Run::of(RoundsConfig { eval: Some(plan), prompts_per_step: 1, ..config() });
    assert_eq!(run.hears(Event::Started), ["eval 0@0", "lease 0@0"]);
    run.hears_all([good(0, 0), trained(1)]);
    assert_eq!(run.hears(published(1)), ["lease 1@1"], "1 is no multiple of 2");
    run.hears_all([good(1, 1), trained(2)]);
    assert_eq!(run.hears(published(2)), ["eval 1@2", "lease 2@2"]);
    assert_eq!(run.hears(good(2, 2)), ["train 3 [2]"], "no eval is done yet, training goes on");
    run.hears(trained(3));
    assert_eq!(run.hears(published(3)), ["eval 2@3"], "the end, off the interval");
    run.hears_all([Event::CheckpointSaved { step: 3 }, Event::EvalFinished { eval: 0, scores: vec![] }]);
    run.hears(Event::EvalFailed { eval: 1, cause: "gone".into() });
    let waits = Wait { who: Waiter::Run, on: Waiting::Eval { eval: 2, version: 3 } };
    assert_eq!(run.0.waiting_on(), [waits]);
    assert_eq!(run.hears(Event::EvalFinished { eval: 2, scores: vec![] }), ["finish StepsDone"]);
}

#[test]
fn evals_that_never_end_are_bounded_however_often_a_run_is_extended() {
    let plan = EvalPlan { interval_steps: NonZeroU64::new(1), items: 5, samples: 4, at_start: true, at_end: true };
    let mut run = Run::of(RoundsConfig { eval: Some(plan), prompts_per_step: 1, steps_max: 1, ..config() });
    assert_eq!(run.hears(Event::Started), ["eval 0@0", "lease 0@0"]);
    for step in 1..=7 {
        run.hears_all([good(step - 1, step - 1), trained(step)]);
        let begun = run.hears(published(step));
        assert_eq!(begun, [if step <= 4 { format!("eval {step}@{step}") } else { skipped_eval(step) }]);
        assert_eq!(run.hears_all([Event::CheckpointSaved { step }]), [""; 0], "the evals are not done");
        assert_eq!(run.hears(Event::Extended { steps_max: step + 1 }), [format!("lease {step}@{step}")]);
    }
}

fn skipped_eval(version: u64) -> String {
    format!("{:?}", Notice::EvalSkipped { version })
}

#[test]
fn stop_saves_and_resume_goes_on_where_it_was() {
    let mut run = Run::of(config());
    run.hears_all([Event::Started, good(0, 0), good(1, 0)]);
    assert!(run.hears(Event::StopRequested).is_empty(), "the step in training is finished first");
    assert_eq!(run.hears(trained(1)), ["publish 1", "save 1"]);
    assert!(run.hears(published(1)).is_empty(), "nothing new is leased");
    let end = run.hears(Event::CheckpointSaved { step: 1 });
    assert_eq!(end, ["finish Stopped"]);
    assert_eq!(run.0.on_event(&good(0, 0)).unwrap_err(), RoundsError::RunOver);
    assert_eq!(run.hears(Event::Started), ["lease 2@1", "lease 3@1"]);
}

#[test]
fn resume_asks_again_for_everything_unanswered() {
    let interval = NonZeroU64::new(1);
    let mut run = Run::of(RoundsConfig { checkpoint_interval_steps: interval, ..asynchronous() });
    run.hears_all([Event::Started, good(0, 0), good(1, 0), good(2, 0)]);
    let after = run.hears(trained(1));
    assert_eq!(after, ["publish 1", "save 1"]);
    run.hears(good(3, 0));
    let again = ["publish 1", "save 1", "train 2 [2, 3]"];
    assert_eq!(run.hears(Event::Started), again);
    assert_eq!(run.hears(Event::Started), again, "as often as it takes");
    assert_eq!(run.hears(published(1)), ["lease 4@1", "lease 5@1"]);
    let all = ["save 1", "lease 4@1", "lease 5@1", "train 2 [2, 3]"];
    assert_eq!(run.hears(Event::Started), all);
}

#[test]
fn checkpoint_that_is_slow_is_not_overtaken() {
    let interval = NonZeroU64::new(1);
    let mut run = Run::of(RoundsConfig { checkpoint_interval_steps: interval, ..asynchronous() });
    run.hears_all([Event::Started, good(0, 0), good(1, 0), good(2, 0), trained(1), good(3, 0)]);
    let skipped = format!("{:?}", Notice::CheckpointSkipped { step: 2 });
    assert_eq!(run.hears(trained(2)), ["publish 2".to_string(), skipped]);
}

#[test]
fn false_reports_are_refused_by_name_and_change_nothing() {
    let mut run = Run::of(config());
    assert_eq!(run.0.on_event(&trained(1)).unwrap_err(), RoundsError::NotStarted);
    run.hears(Event::Started);
    let before = run.0.clone();
    let empty = Event::GroupFinished(GroupSummary { lease: 0, root: [0; 32], rollouts: vec![] });
    let Event::GroupFinished(mut many) = good(0, 0) else { unreachable!("good makes a group") };
    many.rollouts.push(many.rollouts[0]);
    let cases = [
        (good(2, 0), RoundsError::LeaseUnknown { lease: 2, next: 2 }),
        (empty, RoundsError::NoRollouts { lease: 0 }),
        (Event::GroupFinished(many), RoundsError::TooManyRollouts { lease: 0, limit: 2, given: 3 }),
        (good(0, 1), RoundsError::WeightsFromTheFuture { lease: 0, limit: 0, given: 1 }),
        (published(1), RoundsError::VersionOutOfOrder { min: 1, max: 0, given: 1 }),
        (trained(1), RoundsError::StepNotInTraining { expected: None, given: 1 }),
        (Event::EvalFinished { eval: 0, scores: vec![] }, RoundsError::EvalNotRunning { eval: 0 }),
        (Event::CheckpointSaved { step: 0 }, RoundsError::CheckpointNotAsked { expected: None, given: 0 }),
    ];
    for (event, error) in cases {
        assert_eq!(run.0.on_event(&event).unwrap_err(), error);
        assert_eq!(run.0, before);
    }
}

#[test]
fn who_waits_on_whom_is_told_at_each_stage() {
    let mut run = Run::of(RoundsConfig { prompts_per_step: 1, ..config() });
    let wait = |who, on| Wait { who, on };
    assert_eq!(run.0.waiting_on(), [wait(Waiter::Run, Waiting::Start)]);
    run.hears(Event::Started);
    let groups = Waiting::Groups { have: 0, need: 1, in_flight: 1, checking: 0 };
    let both = [wait(Waiter::Trainer, groups), wait(Waiter::Workers, groups)];
    assert_eq!(run.0.waiting_on(), both);
    run.hears(good(0, 0));
    assert_eq!(run.0.waiting_on(), [wait(Waiter::Workers, Waiting::Trainer { step: 1 })]);
    run.hears(trained(1));
    let weights = Waiting::Weights { version: 1 };
    assert_eq!(run.0.waiting_on(), [wait(Waiter::Trainer, weights), wait(Waiter::Workers, weights)]);
    run.hears_all([published(1), Event::StopRequested]);
    assert_eq!(run.0.waiting_on(), [wait(Waiter::Run, Waiting::Checkpoint { step: 1 })]);
    run.hears(Event::CheckpointSaved { step: 1 });
    let cause = FinishCause::Stopped;
    assert_eq!(run.0.waiting_on(), [wait(Waiter::Run, Waiting::Finished { cause })]);
}

#[test]
fn lease_carries_the_run_and_the_item() {
    let mut rounds = Rounds::new(config()).unwrap();
    let actions = rounds.on_event(&Event::Started).unwrap();
    let Action::Lease(lease) = &actions[1] else { panic!("{actions:?}") };
    assert_eq!((lease.lease, lease.task, lease.item, lease.group_size), (1, 0, 1, 2));
    assert_eq!((lease.run_seed, lease.worker, lease.beacon, lease.weights), ([7; 32], 0, BeaconPoint::NONE, [0; 32]));
    let mut run = Run(rounds);
    run.hears_all([good(0, 0), good(1, 0), trained(1)]);
    let actions = run.0.on_event(&published(1)).unwrap();
    let Action::Lease(lease) = &actions[0] else { panic!("{actions:?}") };
    assert_eq!((lease.weight_version, lease.beacon, lease.weights), (1, beacon(1), [1; 32]));
}
