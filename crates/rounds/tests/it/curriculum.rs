//! What the run hears of scores and of groups without a signal, worked by hand.

use std::num::NonZeroU64;

use rounds::{
    EvalPlan, EvalScore, Event, FinishCause, Mode, Notice, Plateau, RoundsConfig, RoundsError, StopRules, TaskShare,
    Wait, Waiter, Waiting,
};

use super::script::{Run, asynchronous, dull, good, published, trained};
use super::{CURRICULUM, config};

fn score(level: u32, reward_micro: i64) -> EvalScore {
    EvalScore { task: 0, level, items: 10, exact_micro: reward_micro / 2, reward_micro }
}

fn evals(interval: u64) -> Option<EvalPlan> {
    let interval_steps = NonZeroU64::new(interval);
    Some(EvalPlan { interval_steps, items: 10, samples: 1, at_start: true, at_end: false })
}

fn leveled() -> RoundsConfig {
    RoundsConfig {
        curriculum: Some(CURRICULUM),
        tasks: vec![TaskShare { weight: 1, items: None, levels: 3 }],
        eval: evals(0),
        ..asynchronous()
    }
}

#[test]
fn leases_wait_for_the_score_that_says_at_which_level_to_begin() {
    let mut run = Run::of(leveled());
    assert_eq!(run.hears(Event::Started), ["eval 0@0"]);
    let wait = Wait { who: Waiter::Workers, on: Waiting::Eval { eval: 0, version: 0 } };
    assert!(run.0.waiting_on().contains(&wait), "{:?}", run.0.waiting_on());
    // Level 0 is solved, level 1 half, of level 2 nothing is: level 1 has the signal.
    let scores = vec![score(0, 1_000_000), score(1, 500_000), score(2, 0)];
    assert_eq!(run.hears(Event::EvalFinished { eval: 0, scores }).len(), 4);
    let levels = run.0.levels();
    let useful: Vec<u32> = levels.iter().map(|level| level.pools[0].useful_ppm).collect();
    assert_eq!(useful, [100_000, 500_000, 100_000], "of two rollouts half differ");
    let leases: Vec<u64> = levels.iter().map(|level| level.pools[0].leases).collect();
    assert!(leases[1] >= 2, "{leases:?}");
}

#[test]
fn without_the_score_leases_go_out_all_the_same() {
    let mut run = Run::of(leveled());
    run.hears(Event::Started);
    let failed = Event::EvalFailed { eval: 0, cause: "gone".into() };
    assert_eq!(run.hears(failed).len(), 4);
}

#[test]
fn scores_of_what_is_not_in_the_run_are_refused() {
    let mut run = Run::of(leveled());
    run.hears(Event::Started);
    let given = Event::EvalFinished { eval: 0, scores: vec![score(3, 0)] };
    let error = RoundsError::ScoreUnknown { task: 0, level: 3, items: 10 };
    assert_eq!(run.0.on_event(&given).unwrap_err(), error);
}

#[test]
fn groups_without_a_signal_are_told_of_and_then_end_the_run() {
    for mode in [Mode::Sequential, Mode::Async] {
        let mut run = Run::of(RoundsConfig { mode, prompts_per_step: 16, steps_max: 9, ..config() });
        run.hears(Event::Started);
        let mut told = Vec::new();
        for lease in 0..64 {
            told.extend(run.hears(dull(lease, 0)).into_iter().filter(|word| !word.starts_with("lease")));
        }
        let notice = Notice::NoSignal { groups: 32, limit: 64, reward_micro: 1_000_000 };
        assert!(told.contains(&format!("{notice:?}")), "{told:?}");
        assert!(told.contains(&"save 0".to_owned()), "{told:?}");
        let end = run.hears(Event::CheckpointSaved { step: 0 });
        assert_eq!(end, ["finish NoSignal { groups: 64, reward_micro: 1000000 }"], "{mode:?}");
        assert!(run.hears(Event::Started).iter().any(|word| word.starts_with("lease")), "it may be tried again");
    }
}

#[test]
fn the_score_that_reaches_its_target_ends_the_run() {
    let stop = StopRules { score_target_micro: Some(400_000), plateau: None };
    let mut run = Run::of(RoundsConfig { stop, eval: evals(1), prompts_per_step: 1, ..config() });
    assert_eq!(run.hears(Event::Started), ["eval 0@0"], "sequential: the score may end the run");
    let at = |eval, reward_micro| Event::EvalFinished { eval, scores: vec![score(0, reward_micro)] };
    assert_eq!(run.hears(at(0, 700_000)), ["lease 0@0"], "the share of exact answers is 0.35");
    run.hears_all([good(0, 0), trained(1)]);
    assert_eq!(run.hears(published(1)), ["eval 1@1"]);
    assert_eq!(run.hears(at(1, 800_000)), ["save 1"]);
    let end = run.hears(Event::CheckpointSaved { step: 1 });
    assert_eq!(end, [format!("finish {:?}", FinishCause::ScoreReached { score_micro: 400_000 })]);
}

#[test]
fn scores_that_stay_at_their_best_end_an_asynchronous_run_too() {
    let stop = StopRules { plateau: Some(Plateau { evals: 1, score_min_micro: 0 }), ..StopRules::default() };
    let mut run = Run::of(RoundsConfig { stop, eval: evals(1), prompts_per_step: 1, ..asynchronous() });
    assert_eq!(run.hears(Event::Started), ["eval 0@0", "lease 0@0", "lease 1@0"], "nobody waits");
    let at = |eval, reward_micro| Event::EvalFinished { eval, scores: vec![score(0, reward_micro)] };
    assert!(run.hears(at(0, 500_000)).is_empty());
    run.hears_all([good(0, 0), trained(1), published(1)]);
    assert_eq!(run.hears(at(1, 500_000)), ["save 1"]);
    let end = run.hears(Event::CheckpointSaved { step: 1 });
    assert_eq!(end, [format!("finish {:?}", FinishCause::Plateau { evals: 1, best_micro: 250_000 })]);
}
