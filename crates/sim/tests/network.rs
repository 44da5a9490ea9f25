//! A sample of the sweep: every liar is caught, nobody else is fined, and a seed is all there is to it.

use sim::liars::{Cheat, Role};
use sim::{Faults, Options, Report, Row, sweep, trace};

/// Simulations of each cheat. The full sweep has 1,000: `essaim sim --seeds 1000`.
const SEEDS: u64 = 3;

fn run(options: &Options) -> Report {
    let report = sweep(options).unwrap();
    assert!(report.is_good(), "{report}");
    report
}

#[test]
fn every_liar_is_caught_by_a_check_made_for_it_and_nobody_else_pays() {
    let report = run(&Options::new(SEEDS));
    assert_eq!(report.simulations, SEEDS * (1 + Cheat::ALL.len() as u64));
    for row in report.rows.iter().filter(|row| row.cheat.is_some()) {
        assert_eq!(row.caught(), row.liars, "{report}");
        assert!(row.caught() + row.idle_liars >= SEEDS, "{report}");
    }
    let m = report.misfortunes;
    let kinds = [m.lost, m.doubled, m.delayed, m.orchestrator_crashes, m.other_crashes, m.partitions, m.clock_steps];
    assert!(kinds.iter().all(|&count| count > 0), "everything has gone wrong at least once: {m:?}");
}

#[test]
fn an_honest_network_trains_on_everything_and_fines_nobody() {
    let cheats = vec![None];
    let report = run(&Options { cheats, first_seed: 100, ..Options::new(20) });
    // 4 steps of 4 groups.
    assert_eq!(report.groups_trained, 20 * 16);
    assert_eq!(report.rows[0].caught(), 0);
}

#[test]
fn a_perfect_network_has_no_misfortune_and_catches_the_same_liars() {
    let report = run(&Options { faults: Faults::NONE, ..Options::new(1) });
    let m = report.misfortunes;
    assert_eq!((m.lost, m.doubled, m.delayed, m.orchestrator_crashes + m.other_crashes), (0, 0, 0, 0));
    assert!(report.rows.iter().all(|row| row.caught() == row.liars), "{report}");
}

/// Everything but what is summed over all rows.
fn told(report: &Report) -> String {
    report.to_string()
}

#[test]
fn threads_and_memory_change_nothing() {
    let cheats = vec![None, Some(Cheat::Int8Weights), Some(Cheat::ColludingValidator), Some(Cheat::LazyValidator)];
    let options = Options { cheats, threads: 2, ..Options::new(2) };
    let once = told(&run(&options));
    assert_eq!(told(&run(&Options { threads: 1, ..options.clone() })), once);
    // Every rollout and every verdict by the real worker and the real validator, nothing remembered.
    assert_eq!(told(&run(&Options { remembers: false, ..options })), once);
}

#[test]
fn a_trace_tells_the_same_story_each_time() {
    let first = trace(7, Some(Cheat::FakeReward), Faults::ALL).unwrap();
    let again = trace(7, Some(Cheat::FakeReward), Faults::ALL).unwrap();
    assert_eq!(first.lines, again.lines);
    let fined = |line: &&String| line.contains("Fine { party: Worker(") && line.contains("check: Reward");
    assert_eq!(first.lines.iter().filter(fined).count(), 2, "two of six workers lie");
    let other = trace(8, Some(Cheat::FakeReward), Faults::ALL).unwrap();
    assert_ne!(first.lines, other.lines);
}

#[test]
fn the_trainer_learns_of_no_lie_that_every_rollout_shows() {
    // These liars lie in every rollout, so that the two of four that are checked are enough.
    let cheats = [Cheat::OtherWeights, Cheat::SmallerModel, Cheat::ForgedLogprobs, Cheat::ChosenPrompt];
    let cheats = cheats.into_iter().map(Some).collect();
    let report = run(&Options { cheats, first_seed: 40, ..Options::new(4) });
    let lies: Vec<(Option<Cheat>, u64)> = report.rows.iter().map(|row| (row.cheat, row.lies_trained)).collect();
    assert!(lies.iter().all(|&(_, lies)| lies == 0), "{lies:?}");
}

#[test]
fn every_liar_throws_work_away() {
    let cheats: Vec<Option<Cheat>> = Cheat::of_role(Role::Worker).map(Some).collect();
    let report = run(&Options { cheats, first_seed: 60, ..Options::new(1) });
    let silent = |row: &&Row| row.cheat == Some(Cheat::Withheld);
    for row in report.rows.iter().filter(|row| !silent(row)) {
        assert!(row.wasted.iter().all(|&rollouts| rollouts > 0), "{report}");
    }
}
