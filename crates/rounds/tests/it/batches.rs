//! How leases become batches, worked by hand.

use rounds::{Event, Mode, Notice, RoundsConfig, RoundsError};

use super::config;
use super::script::{Run, asynchronous, dull, good, published, trained};

#[test]
fn sequential_run_goes_lease_train_publish_lease() {
    let mut run = Run::of(RoundsConfig { steps_max: 2, ..config() });
    assert_eq!(run.hears(Event::Started), ["lease 0@0", "lease 1@0"]);
    assert!(run.hears(good(1, 0)).is_empty(), "the wave is judged whole");
    assert_eq!(run.hears(good(0, 0)), ["train 1 [0, 1]"], "in lease order, not as they came");
    assert_eq!(run.hears(trained(1)), ["publish 1"]);
    assert_eq!(run.hears(published(1)), ["lease 2@1", "lease 3@1"]);
    assert_eq!(run.hears_all([good(2, 1), good(3, 1)]), ["train 2 [2, 3]"]);
    assert_eq!(run.hears(trained(2)), ["publish 2", "save 2"]);
    assert!(run.hears(Event::CheckpointSaved { step: 2 }).is_empty(), "not yet published");
    assert_eq!(run.hears(published(2)), ["finish StepsDone"]);
    assert!(run.0.is_finished());
}

#[test]
fn refused_groups_are_refilled_by_the_next_wave() {
    let mut run = Run::of(RoundsConfig { prompts_per_step: 3, ..config() });
    assert_eq!(run.hears(Event::Started).len(), 3);
    let failed = Event::GroupFailed { lease: 1, cause: "engine".into() };
    let after = run.hears_all([failed, good(2, 0), dull(0, 0)]);
    assert_eq!(after, ["drop 0 EqualRewards", "drop 1 Failed", "lease 3@0", "lease 4@0"]);
    assert_eq!(run.hears_all([good(4, 0), good(3, 0)]), ["train 1 [2, 3, 4]"]);
}

#[test]
fn refills_are_bounded_then_the_batch_is_taken_short_and_says_so() {
    let mut run = Run::of(config());
    run.hears(Event::Started);
    // Lease 0 is good; 1 and its four refills 2 to 5 are dull.
    let mut last = run.hears_all([good(0, 0), dull(1, 0)]);
    for lease in 2..=5 {
        assert_eq!(last.last().unwrap(), &format!("lease {lease}@0"));
        last = run.hears(dull(lease, 0));
    }
    let notice = "ShortBatch { step: 1, have: 1, need: 2 }";
    assert_eq!(last, ["drop 5 EqualRewards", notice, "train 1 [0]"]);
}

#[test]
fn ten_empty_batches_in_a_row_end_the_run() {
    for mode in [Mode::Sequential, Mode::Async] {
        let mut run = Run::of(RoundsConfig { mode, prompts_per_step: 1, ..config() });
        let mut actions = run.hears(Event::Started);
        let mut lease = 0;
        while !actions.contains(&"save 0".to_string()) {
            actions = run.hears(dull(lease, 0));
            lease += 1;
        }
        let notice = Notice::EmptyBatch { step: 1, given: 10, limit: 10 };
        assert!(actions.contains(&format!("{notice:?}")), "{actions:?}");
        // Sequential: a wave and four refills per batch. Async: four vain groups per batch.
        assert_eq!(lease, if mode == Mode::Sequential { 50 } else { 40 });
        let end = run.hears(Event::CheckpointSaved { step: 0 });
        assert_eq!(end, ["finish EmptyBatches { limit: 10 }"]);
        assert_eq!(run.0.counters().batches_empty, 10);
    }
}

#[test]
fn asynchronous_run_leases_ahead_and_fills_batches_as_groups_arrive() {
    // η = 1, B = 2: at version 0 two batches may be claimed.
    let mut run = Run::of(asynchronous());
    let started = run.hears(Event::Started);
    assert_eq!(started, ["lease 0@0", "lease 1@0", "lease 2@0", "lease 3@0"]);
    assert_eq!(run.hears_all([good(3, 0), good(1, 0)]), ["train 1 [3, 1]"]);
    assert!(run.hears(good(0, 0)).is_empty(), "the trainer is busy, admission is used up");
    // Version 1 opens one more batch, the last one of three.
    assert_eq!(run.hears_all([trained(1), published(1)]), ["publish 1", "lease 4@1", "lease 5@1"]);
    // Lease 2 is still out with version 0, too old for step 3; its place is leased anew.
    let taken = ["train 2 [0, 4]", "drop 2 Stale { limit: 1, given: 2 }", "lease 6@1"];
    assert_eq!(run.hears(good(4, 1)), taken);
    assert_eq!(run.0.training().unwrap().staleness_sum, 1, "lease 0 lags by one, lease 4 by none");
}

#[test]
fn late_groups_are_swept_and_cancelled_at_the_bound() {
    // Lease 0 stays out while steps 1 and 2 are taken; for step 3 it would lag by 2 > η = 1.
    let mut run = Run::of(asynchronous());
    run.hears(Event::Started);
    run.hears_all([good(1, 0), good(2, 0), good(3, 0), trained(1), published(1)]);
    let taken = run.hears(good(4, 1));
    let drop = "drop 0 Stale { limit: 1, given: 2 }";
    assert_eq!(taken, ["train 2 [3, 4]", drop, "lease 6@1"], "its place is leased anew");
    let late = run.0.on_event(&good(0, 0)).unwrap_err();
    assert_eq!(late, RoundsError::LeaseEnded { lease: 0 });
    assert_eq!(run.0.counters().dropped_stale, 1);
}

#[test]
fn waiting_groups_age_too() {
    // B = 1, η = 1: leases 0 and 1 have version 0; version 1 opens the place of lease 2.
    let mut run = Run::of(RoundsConfig { prompts_per_step: 1, steps_max: 9, ..asynchronous() });
    run.hears(Event::Started);
    run.hears_all([good(0, 0), trained(1), published(1)]);
    // Lease 2 holds a token of version 0: in time for step 2. Lease 1 is still out, too old for 3.
    assert_eq!(run.hears(good(2, 0)), ["train 2 [2]", "drop 1 Stale { limit: 1, given: 2 }", "lease 3@1"]);
    let expected = ["publish 2"];
    assert_eq!(run.hears(trained(2)), expected);
    // A group for step 3 with a token of version 0 is dropped on arrival.
    let old = run.hears(good(3, 0));
    assert_eq!(old, ["drop 3 Stale { limit: 1, given: 2 }", "lease 4@1"]);
}

#[test]
fn slots_bound_the_groups_that_are_out() {
    for mode in [Mode::Sequential, Mode::Async] {
        let mut run = Run::of(RoundsConfig { mode, in_flight_groups_max: 1, ..config() });
        assert_eq!(run.hears(Event::Started), ["lease 0@0"]);
        assert_eq!(run.hears(good(0, 0)), ["lease 1@0"]);
    }
}
