//! Many worlds with random weather and random lies; what must hold in all of them.

use std::num::NonZeroU64;

use proptest::prelude::*;
use protocol::{BeaconPoint, Party};
use rounds::{EvalPlan, FinishCause, Gate, Mode, Plateau, RoundsConfig, StopRules, TaskShare};

use super::witness::End;
use super::world::{Lies, Weather, World};

prop_compose! {
    fn any_parties()(
        workers in 1u32..7,
        validators in 1u32..8,
        second_check_ppm in prop::sample::select(vec![0, 300_000, 1_000_000]),
        plant_ppm in prop::sample::select(vec![0, 200_000]),
        overdue_max in 1u32..4,
    ) -> RoundsConfig {
        RoundsConfig {
            workers, validators, second_check_ppm, plant_ppm, overdue_max,
            weights: [0; 32],
            beacon: BeaconPoint::NONE,
            ..super::config()
        }
    }
}

prop_compose! {
    fn any_config()(
        parties in any_parties(),
        mode in prop::sample::select(vec![Mode::Sequential, Mode::Async]),
        steps_max in 1u64..12,
        prompts_per_step in 1u32..6,
        staleness_max in 0u64..5,
        in_flight_groups_max in 1u32..24,
        checkpoint_interval in 0u64..4,
        eval_interval in 0u64..4,
        items in 0u64..9,
        levels in 1u32..4,
        curriculum in any::<bool>(),
    ) -> RoundsConfig {
        RoundsConfig {
            curriculum: curriculum.then_some(super::CURRICULUM),
            mode, steps_max, prompts_per_step, staleness_max, in_flight_groups_max,
            group_size: 3,
            gate: Gate { reject_zero_signal: true, reward_mean: None },
            eval: Some(EvalPlan {
                interval_steps: NonZeroU64::new(eval_interval),
                items: 5,
                samples: 2,
                at_start: true,
                at_end: true,
            }),
            checkpoint_interval_steps: NonZeroU64::new(checkpoint_interval),
            tasks: vec![
                TaskShare { weight: 2, items: None, levels },
                TaskShare { weight: 3, items: NonZeroU64::new(items), levels: if items > 0 { 1 } else { levels } },
            ],
            run_seed: [1; 32],
            ..parties
        }
    }
}

prop_compose! {
    fn any_weather()(
        seed in any::<u64>(),
        dull_permille in 0u64..300,
        fail_permille in 0u64..60,
        crash_permille in 0u64..40,
        stop_permille in 0u64..15,
        late_permille in 0u64..100,
        unchecked_permille in 0u64..60,
        edge_permille in 0u64..200,
    ) -> Weather {
        Weather {
            seed, dull_permille, fail_permille, crash_permille, stop_permille, late_permille, unchecked_permille,
            edge_permille, in_order: false,
        }
    }
}

/// Up to all workers but one, and fewer than half of the validators.
fn any_lies(config: &RoundsConfig) -> impl Strategy<Value = Lies> + use<> {
    let validators = 0..config.validators.div_ceil(2);
    (0..config.workers, validators, 0u64..=1000).prop_map(|(workers, validators, permille)| Lies {
        workers,
        validators,
        permille,
    })
}

fn any_world() -> impl Strategy<Value = (RoundsConfig, Weather, Lies)> {
    any_config().prop_flat_map(|config| {
        let lies = any_lies(&config);
        (Just(config), any_weather(), lies)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// No accepted group is lost, no lease ends twice, no bound breaks, nobody honest is fined,
    /// nothing unchecked is trained on: the witness asserts it as it goes. Here: every lease has
    /// ended, and what the counters say is what was seen.
    #[test]
    fn every_lease_ends_once_and_nobody_honest_pays_through_lies_silence_crashes_and_stops(
        (config, weather, lies) in any_world(),
    ) {
        let mut world = World::new(&config, weather, lies);
        prop_assert_eq!(world.run(), FinishCause::StepsDone);
        let (seen, counters) = (&world.witness, *world.rounds.counters());
        prop_assert_eq!(seen.ends.len() as u64, world.rounds.leases_given());
        let trained = seen.ends.values().filter(|end| matches!(end, End::Trained(_))).count();
        prop_assert_eq!(trained as u64, counters.groups_trained);
        prop_assert_eq!(seen.batches.len() as u64, config.steps_max);
        prop_assert_eq!(world.trainer.step, config.steps_max);
        prop_assert_eq!(world.evals[0], 0);
        prop_assert_eq!(world.evals[world.evals.len() - 1], config.steps_max);
        prop_assert_eq!(counters.workers_fined + counters.validators_fined, seen.fined.len() as u64);
        let [first, second] = [0, 1].map(|task| seen.leased.get(&task).copied().unwrap_or(0) as i64);
        prop_assert!((3 * first - 2 * second).abs() <= 5, "weights 2 and 3 gave {} and {}", first, second);
        prop_assert!(seen.fined.iter().all(|&party| world.rounds.fined(party).is_some()));
    }

    /// As long as validators are honest, no lie is ever trained on.
    #[test]
    fn honest_validators_let_no_lie_through((config, weather, lies) in any_world()) {
        let mut world = World::new(&config, weather, Lies { validators: 0, ..lies });
        prop_assert_eq!(world.run(), FinishCause::StepsDone);
        prop_assert_eq!(world.witness.lies_trained, 0);
    }

    /// The same run in fair weather and in foul: same batches, same weights, same bans. Who rests
    /// depends on what came between its failures, so here nobody fails often enough.
    #[test]
    fn sequential_runs_do_not_depend_on_delays_crashes_or_stops(
        (config, weather, lies) in any_world(), slots in 1u32..24,
    ) {
        let config = RoundsConfig { mode: Mode::Sequential, overdue_max: 1_000, ..config };
        let (weather, lies) = (Weather { late_permille: 0, edge_permille: 0, ..weather }, Lies { validators: 0, ..lies });
        let mut foul = World::new(&config, weather, lies);
        let fair = Weather { in_order: true, crash_permille: 0, stop_permille: 0, seed: 0, ..weather };
        let wide = RoundsConfig { in_flight_groups_max: slots, ..config };
        let mut calm = World::new(&wide, fair, lies);
        prop_assert_eq!(foul.run(), calm.run());
        prop_assert_eq!(&foul.witness.batches, &calm.witness.batches);
        prop_assert_eq!(foul.trainer, calm.trainer);
        prop_assert_eq!(&foul.witness.ends, &calm.witness.ends);
        prop_assert_eq!(&foul.witness.fined, &calm.witness.fined);
    }

    /// A run that goes on after its end trains what a longer run would have trained.
    #[test]
    fn extended_run_trains_what_a_longer_run_trains(
        (config, weather, lies) in any_world(), more in 1u64..8,
    ) {
        let short = RoundsConfig { mode: Mode::Sequential, overdue_max: 1_000, ..config };
        let (weather, lies) = (Weather { late_permille: 0, edge_permille: 0, ..weather }, Lies { validators: 0, ..lies });
        let long = RoundsConfig { steps_max: short.steps_max + more, ..short.clone() };
        let mut extended = World::new(&short, weather, lies).extended(long.steps_max);
        let mut straight = World::new(&long, weather, lies);
        prop_assert_eq!(extended.run(), straight.run());
        prop_assert_eq!(&extended.witness.batches, &straight.witness.batches);
        prop_assert_eq!(extended.trainer, straight.trainer);
    }

    /// What admission promises: in order and with full batches, age drops nothing.
    #[test]
    fn nothing_is_dropped_for_its_age_when_groups_pass_in_order(
        config in any_config(), seed in any::<u64>(),
    ) {
        let config = RoundsConfig { mode: Mode::Async, ..config };
        let mut world = World::new(&config, Weather { seed, in_order: true, ..Weather::default() }, Lies::default());
        prop_assert_eq!(world.run(), FinishCause::StepsDone);
        let counters = world.rounds.counters();
        prop_assert_eq!(counters.dropped(), 0);
        prop_assert!(counters.staleness_max <= config.staleness_max);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Scores end a sequential run at the same step, however long they take and however often it dies.
    #[test]
    fn a_sequential_run_ends_at_the_same_score_in_any_weather(
        (config, weather, lies) in any_world(), evals in 1u32..4, slots in 1u32..24,
    ) {
        let plateau = Some(Plateau { evals, score_min_micro: 0 });
        let stop = StopRules { plateau, ..StopRules::default() };
        let config = RoundsConfig { mode: Mode::Sequential, overdue_max: 1_000, stop, ..config };
        let (weather, lies) = (Weather { late_permille: 0, edge_permille: 0, ..weather }, Lies { validators: 0, ..lies });
        let mut foul = World::new(&config, Weather { stop_permille: 0, ..weather }, lies);
        let fair = Weather { in_order: true, crash_permille: 0, stop_permille: 0, seed: 0, ..weather };
        let mut calm = World::new(&RoundsConfig { in_flight_groups_max: slots, ..config }, fair, lies);
        prop_assert_eq!(foul.run(), calm.run());
        prop_assert_eq!(&foul.witness.batches, &calm.witness.batches);
        prop_assert_eq!(foul.trainer, calm.trainer);
    }
}

/// The weather above would prove little if nothing ever went wrong in it.
#[test]
fn the_chaos_is_real() {
    let config = RoundsConfig {
        mode: Mode::Async,
        steps_max: 60,
        prompts_per_step: 3,
        staleness_max: 2,
        workers: 8,
        validators: 7,
        second_check_ppm: 300_000,
        plant_ppm: 100_000,
        ..super::config()
    };
    let weather = Weather {
        seed: 5,
        in_order: false,
        dull_permille: 200,
        fail_permille: 50,
        crash_permille: 20,
        stop_permille: 5,
        late_permille: 50,
        unchecked_permille: 30,
        edge_permille: 50,
    };
    let mut world = World::new(&config, weather, Lies { workers: 3, validators: 3, permille: 300 });
    world.run();
    let (seen, counters) = (&world.witness, world.rounds.counters());
    assert!(world.log.len() > 1_000, "{} events", world.log.len());
    assert!(world.crashes > 10, "{} crashes", world.crashes);
    assert!(world.late_answers > 20, "{} late answers", world.late_answers);
    assert!(seen.rests > 0 && counters.leases_overdue > 5, "{} rests, {counters:?}", seen.rests);
    assert!(counters.dropped_stale > 0 && counters.dropped_no_signal > 0, "{counters:?}");
    assert!(counters.dropped_failed > 0 && counters.dropped_banned > 0, "{counters:?}");
    assert!(counters.plants_caught > 0 && counters.staleness_max == 2, "{counters:?}");
    let liars = (0..3).flat_map(|id| [Party::Worker(id), Party::Validator(id)]);
    assert_eq!(seen.fined, liars.collect(), "all of them in the end");
}
