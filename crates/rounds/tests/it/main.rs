//! The rules under a driver that delays, reorders, fails and dies.
mod batches;
mod chaos;
mod curriculum;
mod members;
mod milestones;
mod panels;
mod script;
mod stored;
mod witness;
mod world;

use protocol::BeaconPoint;
use rounds::{Curriculum, Gate, Mode, RoundsConfig, StopRules, TaskShare};

const CURRICULUM: Curriculum = Curriculum { success_min_ppm: 100_000, success_max_ppm: 900_000 };

/// Three steps of two groups of two, sequential, nothing refused.
fn config() -> RoundsConfig {
    RoundsConfig {
        steps_max: 3,
        prompts_per_step: 2,
        group_size: 2,
        mode: Mode::Sequential,
        staleness_max: 1,
        in_flight_groups_max: 100,
        gate: Gate { reject_zero_signal: true, reward_mean: None },
        eval: None,
        stop: StopRules::default(),
        curriculum: None,
        checkpoint_interval_steps: None,
        tasks: vec![TaskShare { weight: 1, items: None, levels: 1 }],
        run_seed: [7; 32],
        workers: 1,
        validators: 1,
        second_check_ppm: 0,
        plant_ppm: 0,
        overdue_max: 2,
        weights: [0; 32],
        beacon: BeaconPoint::NONE,
    }
}
