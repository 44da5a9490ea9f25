//! Who gets which lease, who rests, who is banned, and longer runs, worked by hand.

use protocol::{Check, Party, WorkerId};
use rounds::{Action, Event, FinishCause, Mode, RoundsConfig, RoundsError};

use super::config;
use super::script::{Run, asynchronous, drawn, dull, good, published, trained};

fn lied(worker: WorkerId) -> Event {
    Event::WorkerLied { worker, lease: None, check: Check::Signature }
}

fn overdue(lease: u64) -> Event {
    Event::LeaseOverdue { lease }
}

/// The workers that these leases are made out to.
fn workers(actions: &[Action]) -> Vec<WorkerId> {
    let leases = actions.iter().filter_map(|action| match action {
        Action::Lease(lease) => Some(lease.worker),
        _ => None,
    });
    leases.collect()
}

/// Tells an event and lets validators agree; the workers that get leases from it.
fn leased_to(run: &mut Run, event: Event) -> Vec<WorkerId> {
    let given = run.0.leases_given();
    run.hears(event);
    let leases: Vec<_> = run.0.outstanding().into_iter().collect();
    let new = leases.into_iter().filter(|action| matches!(action, Action::Lease(lease) if lease.lease >= given));
    workers(&new.collect::<Vec<_>>())
}

#[test]
fn asynchronous_leases_go_to_whoever_has_the_fewest() {
    let mut run = Run::of(RoundsConfig { workers: 3, steps_max: 9, ..asynchronous() });
    assert_eq!(leased_to(&mut run, Event::Started), [0, 1, 2, 0], "B(η + 1) = 4 leases");
    // Workers 1 and 2 are done, worker 0 has two out: the others take the next two.
    run.hears_all([good(1, 0), good(2, 0), trained(1)]);
    assert_eq!(leased_to(&mut run, published(1)), [1, 2]);
    // All have some out, worker 0 (leases 0 and 3) one after lease 3 is back, and it is its turn.
    run.hears(good(3, 0));
    assert_eq!(leased_to(&mut run, overdue(4)), [1], "it lost its only one");
}

#[test]
fn sequential_leases_are_taken_in_turn() {
    let mut run = Run::of(RoundsConfig { workers: 2, prompts_per_step: 3, ..config() });
    assert_eq!(leased_to(&mut run, Event::Started), [0, 1, 0]);
    run.hears_all([good(2, 0), good(1, 0), good(0, 0), trained(1)]);
    assert_eq!(leased_to(&mut run, published(1)), [1, 0, 1], "by the lease's number");
}

#[test]
fn banned_worker_loses_all_but_what_is_in_training() {
    let config = RoundsConfig { workers: 2, prompts_per_step: 2, staleness_max: 3, ..asynchronous() };
    let mut run = Run::of(config);
    assert_eq!(leased_to(&mut run, Event::Started), [0, 1, 0, 1, 0, 1]);
    run.hears_all([good(0, 0), good(1, 0)]); // in training
    run.hears(good(2, 0)); // waiting
    assert_eq!(run.tells(good(4, 0)), ["draw 4"]);
    run.tells(drawn(4)); // under check
    let after = run.told(&Event::WorkerLied { worker: 0, lease: Some(4), check: Check::Reward });
    let words: Vec<String> = after.iter().map(super::script::short).collect();
    let dropped = ["drop 2 WorkerBanned", "drop 4 WorkerBanned"];
    assert_eq!(words[..3], [&["fine worker 0 reward Some(4)"][..], &dropped].concat());
    assert_eq!(workers(&after), [1, 1], "their places are leased to the other");
    assert_eq!(run.0.training().unwrap().leases, [0, 1]);
    assert_eq!(run.0.on_event(&lied(0)).unwrap_err(), RoundsError::WorkerFined { worker: 0 });
    assert_eq!(run.0.on_event(&lied(7)).unwrap_err(), RoundsError::WorkerUnknown { worker: 7, workers: 2 });
}

#[test]
fn bans_do_not_use_up_refills() {
    // Nine workers, one group per batch; the first five lie one after the other.
    let mut run = Run::of(RoundsConfig { workers: 9, prompts_per_step: 1, ..config() });
    assert_eq!(leased_to(&mut run, Event::Started), [0]);
    let mut next = 0;
    for lease in 0..5 {
        let given = run.tells(lied(next));
        assert_eq!(given[1..], [format!("drop {lease} WorkerBanned"), format!("lease {}@0", lease + 1)]);
        next = leased(&run);
    }
    // Four dull groups are refilled as ever, the fifth makes the batch empty.
    for lease in 5..9 {
        assert_eq!(run.hears(dull(lease, 0)).len(), 2, "dropped and refilled");
    }
    assert!(run.hears(dull(9, 0)).iter().any(|word| word.starts_with("EmptyBatch")));
}

/// The worker of the only lease that is out.
fn leased(run: &Run) -> WorkerId {
    workers(&run.0.outstanding())[0]
}

#[test]
fn leases_not_yet_given_are_lost_with_their_worker() {
    // One slot, workers 0 and 1 in turn: lease 2 would be worker 0's.
    let slots = RoundsConfig { workers: 2, prompts_per_step: 3, in_flight_groups_max: 1, ..config() };
    let mut run = Run::of(slots.clone());
    assert_eq!(leased_to(&mut run, Event::Started), [0]);
    assert_eq!(run.tells(lied(0)), ["fine worker 0 signature None", "drop 0 WorkerBanned", "lease 1@0"]);
    let after = run.hears(good(1, 0));
    assert_eq!(after, ["drop 2 WorkerBanned", "lease 3@0"], "as if all had been out at once");
    // Two slots' worth of lost leases at the end of a wave do not leave it waiting for nothing.
    let mut run = Run::of(RoundsConfig { prompts_per_step: 1, ..slots });
    run.hears(Event::Started);
    let after = run.tells(lied(0));
    assert_eq!(after, ["fine worker 0 signature None", "drop 0 WorkerBanned", "lease 1@0"]);
}

#[test]
fn silent_worker_rests_and_comes_back() {
    let config = RoundsConfig { workers: 2, prompts_per_step: 4, overdue_max: 2, steps_max: 9, ..config() };
    let mut run = Run::of(config);
    assert_eq!(leased_to(&mut run, Event::Started), [0, 1, 0, 1]);
    assert!(run.hears(overdue(0)).is_empty(), "one silence is no reason");
    assert_eq!(run.hears(overdue(2)), ["suspend worker 0"]);
    assert_eq!((run.0.rests(Party::Worker(0)), run.0.fined(Party::Worker(0))), (true, None));
    run.hears(good(1, 0));
    assert_eq!(leased_to(&mut run, good(3, 0)), [1, 1], "the refill is for the other one");
    run.hears_all([good(4, 0), good(5, 0), trained(1)]);
    assert_eq!(leased_to(&mut run, published(1)), [0, 1, 0, 1], "rested for a batch");
    assert_eq!(run.hears(overdue(6)), ["suspend worker 0"], "one more is enough now");
    assert_eq!(run.0.counters().leases_overdue, 3);
    let late = run.0.on_event(&good(6, 1)).unwrap_err();
    assert_eq!(late, RoundsError::LeaseEnded { lease: 6 });
}

#[test]
fn worker_whose_leases_grow_stale_unanswered_rests_too() {
    let mut run = Run::of(RoundsConfig { workers: 2, overdue_max: 1, steps_max: 9, ..asynchronous() });
    assert_eq!(leased_to(&mut run, Event::Started), [0, 1, 0, 1]);
    // Worker 0 answers all of its leases, worker 1 none: 1 and 3, of version 0, are too old for step 3.
    run.hears_all([good(0, 0), good(2, 0), trained(1)]);
    assert_eq!(leased_to(&mut run, published(1)), [0, 0]);
    let after = run.hears_all([good(4, 1), good(5, 1)]);
    let told: Vec<&str> = after.iter().map(String::as_str).filter(|word| !word.starts_with("lease")).collect();
    assert_eq!(
        told[1..4],
        ["suspend worker 1", "drop 1 Stale { limit: 1, given: 2 }", "drop 3 Stale { limit: 1, given: 2 }"]
    );
    assert!(run.0.rests(Party::Worker(1)) && !run.0.rests(Party::Worker(0)));
}

fn failed(lease: u64) -> Event {
    Event::GroupFailed { lease, cause: "cannot".into() }
}

/// Leases that are out, with their workers.
fn out(run: &Run) -> Vec<(u64, WorkerId)> {
    let leases = run.0.outstanding().into_iter().filter_map(|action| match action {
        Action::Lease(lease) => Some((lease.lease, lease.worker)),
        _ => None,
    });
    leases.collect()
}

#[test]
fn a_worker_that_always_fails_rests_and_does_not_end_the_run_of_the_others() {
    // A lease of worker 0 fails at once, before anybody else has moved: it has the fewest out.
    // 20 failures before its rest are more than the 16 groups that may come back in vain per batch.
    for (mode, overdue_max) in [(Mode::Async, 20), (Mode::Async, 2), (Mode::Sequential, 2)] {
        let config = RoundsConfig { workers: 3, prompts_per_step: 4, steps_max: 9, mode, overdue_max, ..config() };
        let mut run = Run::of(config);
        run.hears(Event::Started);
        let mut failures = 0;
        while !run.0.is_finished() {
            let leases = out(&run);
            let failing = leases.iter().find(|(_, worker)| *worker == 0);
            let words = match (failing, leases.first(), run.0.training().map(|batch| batch.step)) {
                (Some(&(lease, _)), ..) => {
                    failures += 1;
                    run.hears(failed(lease))
                }
                (None, Some(&(lease, _)), _) => run.hears(good(lease, run.0.version_published())),
                (None, None, Some(step)) => run.hears_all([trained(step), published(step)]),
                (None, None, None) => run.hears(Event::CheckpointSaved { step: 9 }),
            };
            assert!(words.iter().all(|word| !word.contains("Batch")), "{mode:?}: {words:?}");
            assert!(failures < 30, "{mode:?}: it gets more and more");
        }
        let counters = run.0.counters();
        assert_eq!((counters.groups_trained, counters.dropped_failed), (36, failures), "{mode:?}");
        assert_eq!(run.0.fined(Party::Worker(0)), None);
    }
}

#[test]
fn a_run_whose_workers_all_fail_ends_and_says_so() {
    for mode in [Mode::Async, Mode::Sequential] {
        let mut run = Run::of(RoundsConfig { workers: 2, mode, ..config() });
        run.hears(Event::Started);
        let mut failures = 0;
        while let Some(&(lease, _)) = out(&run).first() {
            failures += 1;
            assert!(failures < 1_000, "{mode:?}: for ever");
            run.hears(failed(lease));
        }
        assert_eq!(run.hears(Event::CheckpointSaved { step: 0 }), ["finish EmptyBatches { limit: 10 }"], "{mode:?}");
    }
}

#[test]
fn whoever_withholds_every_other_answer_comes_to_rest() {
    let mut run = Run::of(RoundsConfig { workers: 2, prompts_per_step: 20, overdue_max: 2, ..config() });
    run.hears(Event::Started);
    let own: Vec<u64> = out(&run).into_iter().filter(|(_, worker)| *worker == 0).map(|(lease, _)| lease).collect();
    for (count, &lease) in own.iter().enumerate() {
        let words = run.hears(if count % 2 == 0 { overdue(lease) } else { good(lease, 0) });
        // Silences weigh 2, answers -1: 2, 1, 3, 2, 4.
        assert_eq!(words.contains(&"suspend worker 0".to_string()), count == 4, "{count}: {words:?}");
        if count == 4 {
            return;
        }
    }
    panic!("it never rested");
}

#[test]
fn when_all_rest_all_are_asked() {
    let mut run = Run::of(RoundsConfig { prompts_per_step: 1, overdue_max: 1, ..config() });
    run.hears(Event::Started);
    assert_eq!(run.hears(overdue(0)), ["suspend worker 0", "drop 0 Failed", "lease 1@0"]);
    assert_eq!(run.hears(good(1, 0)), ["train 1 [1]"]);
}

#[test]
fn restart_wakes_everybody() {
    let mut run = Run::of(RoundsConfig { workers: 2, overdue_max: 1, ..config() });
    run.hears(Event::Started);
    run.hears(overdue(0));
    assert!(run.0.rests(Party::Worker(0)));
    run.hears(Event::Started);
    assert!(!run.0.rests(Party::Worker(0)), "it may have had no chance to answer");
}

#[test]
fn run_without_workers_ends_and_says_so() {
    let mut run = Run::of(RoundsConfig { workers: 2, ..config() });
    run.hears(Event::Started);
    run.hears(lied(0));
    let words = run.hears(lied(1));
    assert_eq!(words, ["fine worker 1 signature None", "drop 1 WorkerBanned", "save 0"]);
    let end = run.told(&Event::CheckpointSaved { step: 0 });
    assert_eq!(end, [Action::Finish { cause: FinishCause::NoWorkers }]);
}

#[test]
fn last_step_is_finished_even_if_the_last_worker_is_banned_meanwhile() {
    let mut run = Run::of(RoundsConfig { steps_max: 1, prompts_per_step: 1, ..config() });
    run.hears_all([Event::Started, good(0, 0)]);
    run.hears(lied(0));
    run.hears_all([trained(1), published(1)]);
    assert_eq!(run.hears(Event::CheckpointSaved { step: 1 }), ["finish StepsDone"]);
}

#[test]
fn longer_run_goes_on_where_the_shorter_one_ended() {
    let mut run = Run::of(RoundsConfig { steps_max: 1, prompts_per_step: 1, ..config() });
    run.hears_all([Event::Started, good(0, 0), trained(1), published(1)]);
    assert_eq!(run.hears(Event::CheckpointSaved { step: 1 }), ["finish StepsDone"]);
    assert!(run.hears(Event::Extended { steps_max: 2 }).is_empty(), "the process may have died since");
    assert_eq!(run.hears(Event::Started), ["lease 1@1"]);
    assert_eq!(run.hears(good(1, 1)), ["train 2 [1]"]);
}

#[test]
fn run_is_extended_while_it_runs_or_ends() {
    for mode in [Mode::Sequential, Mode::Async] {
        let mut run = Run::of(RoundsConfig { steps_max: 1, prompts_per_step: 1, mode, ..config() });
        run.hears_all([Event::Started, good(0, 0), trained(1)]);
        assert!(run.hears(published(1)).is_empty(), "it is ending: the last step is being saved");
        assert_eq!(run.hears(Event::Extended { steps_max: 2 }), ["lease 1@1"]);
        assert!(run.hears(Event::CheckpointSaved { step: 1 }).is_empty());
        let range = |given| RoundsError::ConfigRange { field: "steps_max", min: 3, max: u64::from(u32::MAX), given };
        assert_eq!(run.0.on_event(&Event::Extended { steps_max: 2 }).unwrap_err(), range(2));
        let beyond = 1 << 32;
        assert_eq!(run.0.on_event(&Event::Extended { steps_max: beyond }).unwrap_err(), range(beyond));
    }
}

#[test]
fn each_workers_leases_are_counted_without_a_gap() {
    let mut run = Run::of(RoundsConfig { workers: 2, prompts_per_step: 3, ..config() });
    run.hears(Event::Started);
    let count = |run: &Run| -> Vec<(WorkerId, u64)> {
        let leases = run.0.outstanding().into_iter().filter_map(|action| match action {
            Action::Lease(lease) => Some((lease.worker, lease.worker_lease)),
            _ => None,
        });
        leases.collect()
    };
    assert_eq!(count(&run), [(0, 0), (1, 0), (0, 1)]);
    run.hears_all([good(2, 0), good(1, 0), good(0, 0), trained(1), published(1)]);
    assert_eq!(count(&run), [(1, 1), (0, 2), (1, 2)], "a restart in between changes nothing");
    run.hears(Event::Started);
    assert_eq!(count(&run), [(1, 1), (0, 2), (1, 2)]);
}
