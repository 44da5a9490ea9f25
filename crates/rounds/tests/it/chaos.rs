//! Many worlds with random weather; what must hold in all of them.

use std::num::NonZeroU64;

use proptest::prelude::*;
use rounds::{EvalPlan, FinishCause, Gate, Mode, RoundsConfig, TaskShare};

use super::world::{End, Weather, World};

prop_compose! {
    fn any_config()(
        mode in prop::sample::select(vec![Mode::Sequential, Mode::Async]),
        steps_max in 1u64..12,
        prompts_per_step in 1u32..6,
        staleness_max in 0u64..5,
        in_flight_groups_max in 1u32..24,
        checkpoint_interval in 0u64..4,
        eval_interval in 0u64..4,
        items in 0u64..9,
    ) -> RoundsConfig {
        RoundsConfig {
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
                TaskShare { weight: 2, items: None },
                TaskShare { weight: 3, items: NonZeroU64::new(items) },
            ],
            run_seed: [1; 32],
            worker: 0,
            beacon_round: 0,
        }
    }
}

fn any_weather() -> impl Strategy<Value = Weather> {
    (any::<u64>(), 0u64..400, 0u64..100, 0u64..60, 0u64..20).prop_map(
        |(seed, dull_permille, fail_permille, crash_permille, stop_permille)| Weather {
            seed,
            in_order: false,
            dull_permille,
            fail_permille,
            crash_permille,
            stop_permille,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// No accepted group is lost, no lease ends twice, no bound breaks: the world asserts it as it
    /// goes. Here: every lease has ended, and what the counters say is what was seen.
    #[test]
    fn every_lease_ends_once_through_delays_failures_crashes_and_stops(
        config in any_config(), weather in any_weather(),
    ) {
        let mut world = World::new(&config, weather);
        prop_assert_eq!(world.run(), FinishCause::StepsDone);
        prop_assert_eq!(world.ends.len() as u64, world.rounds.leases_given());
        let trained = world.ends.values().filter(|end| matches!(end, End::Trained(_))).count();
        prop_assert_eq!(trained as u64, world.rounds.counters().groups_trained);
        prop_assert_eq!(world.batches.len() as u64, config.steps_max);
        prop_assert_eq!(world.trainer.step, config.steps_max);
        prop_assert_eq!(world.evals[0], 0);
        prop_assert_eq!(world.evals[world.evals.len() - 1], config.steps_max);
    }

    /// The same run in fair weather and in foul: same batches, same weights.
    #[test]
    fn sequential_runs_do_not_depend_on_delays_crashes_or_stops(
        config in any_config(), weather in any_weather(), slots in 1u32..24,
    ) {
        let config = RoundsConfig { mode: Mode::Sequential, ..config };
        let mut foul = World::new(&config, weather);
        let fair = Weather { in_order: true, crash_permille: 0, stop_permille: 0, seed: 0, ..weather };
        let wide = RoundsConfig { in_flight_groups_max: slots, ..config };
        let mut calm = World::new(&wide, fair);
        prop_assert_eq!(foul.run(), calm.run());
        prop_assert_eq!(&foul.batches, &calm.batches);
        prop_assert_eq!(foul.trainer, calm.trainer);
        prop_assert_eq!(&foul.ends, &calm.ends);
    }

    /// What admission promises: in order and with full batches, age drops nothing.
    #[test]
    fn nothing_is_dropped_for_its_age_when_groups_come_in_order(
        config in any_config(), seed in any::<u64>(),
    ) {
        let config = RoundsConfig { mode: Mode::Async, ..config };
        let weather = Weather {
            seed,
            in_order: true,
            dull_permille: 0,
            fail_permille: 0,
            crash_permille: 0,
            stop_permille: 0,
        };
        let mut world = World::new(&config, weather);
        prop_assert_eq!(world.run(), FinishCause::StepsDone);
        let counters = world.rounds.counters();
        prop_assert_eq!(counters.dropped(), 0);
        prop_assert!(counters.staleness_max <= config.staleness_max);
    }
}

/// The weather above would prove little if nothing ever went wrong in it.
#[test]
fn the_chaos_is_real() {
    let config =
        RoundsConfig { mode: Mode::Async, steps_max: 60, prompts_per_step: 3, staleness_max: 2, ..super::config() };
    let weather = Weather {
        seed: 5,
        in_order: false,
        dull_permille: 200,
        fail_permille: 50,
        crash_permille: 40,
        stop_permille: 10,
    };
    let mut world = World::new(&config, weather);
    world.run();
    let counters = world.rounds.counters();
    assert!(world.log.len() > 300, "{} events", world.log.len());
    assert!(world.crashes > 10, "{} crashes", world.crashes);
    assert!(counters.dropped_stale > 0 && counters.dropped_no_signal > 0, "{counters:?}");
    assert!(counters.dropped_failed > 0 && counters.staleness_max == 2, "{counters:?}");
}
