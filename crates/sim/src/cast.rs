//! Who is honest in a simulation and who lies, and the settings of its run.
//!
//! Promise: a function of seed and cheat. Liars are always fewer than the honest of their role, but for
//! the trainer, of whom there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use protocol::{ValidatorId, WorkerId};
use rounds::{Curriculum, Gate, Mode, RoundsConfig, StopRules, TaskShare};

use crate::chance::Chance;
use crate::liars::{Cheat, Role};
use crate::world::{GROUP_SIZE, VALIDATORS, WORKERS, World};

/// Steps planned at first, and added as long as a liar is not caught.
const STEPS: u64 = 4;
/// The same where silence is the lie: each start of the rules forgives it, and so does each extension.
const SILENT_STEPS: u64 = 12;
/// Groups in a batch.
const PROMPTS_PER_STEP: u32 = 4;
/// Lying workers of one cheat, of [`CREW`]: a third.
const LIARS: u32 = 2;
/// Workers of most simulations.
const CREW: u32 = 6;
/// Names of a swarm, or friends of a colluding validator, of all [`WORKERS`].
const MANY_LIARS: u32 = 3;
/// Colluding validators of [`VALIDATORS`].
const COLLUDERS: u32 = 2;
/// Simulations in so many in which an honest trainer really trains and its steps are replayed.
const TRAINED_SHARE: u64 = 16;

/// Parts and settings.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) workers: u32,
    pub(crate) lying_workers: BTreeMap<WorkerId, Cheat>,
    pub(crate) lying_validators: BTreeMap<ValidatorId, Cheat>,
    pub(crate) poisoner: bool,
    /// Whether weights come from real training on the run's own groups, which nobody can remember.
    pub(crate) trains: bool,
    pub(crate) steps: u64,
    mode: Mode,
    second_check_ppm: u32,
    plant_ppm: u32,
}

impl Cast {
    pub(crate) fn new(seed: u64, cheat: Option<Cheat>) -> Self {
        let mut chance = Chance::new(seed, "cast");
        let mut cast = Self {
            workers: CREW,
            lying_workers: BTreeMap::new(),
            lying_validators: BTreeMap::new(),
            poisoner: cheat == Some(Cheat::PoisonedUpdate),
            trains: cheat == Some(Cheat::PoisonedUpdate) || cheat.is_none() && seed.is_multiple_of(TRAINED_SHARE),
            steps: if cheat == Some(Cheat::Withheld) { SILENT_STEPS } else { STEPS },
            mode: if chance.permille(333) { Mode::Sequential } else { Mode::Async },
            second_check_ppm: 200_000,
            plant_ppm: 300_000,
        };
        match cheat {
            Some(Cheat::ColludingValidator) => cast.collude(&mut chance),
            Some(cheat) if cheat.role() == Role::Validator => {
                cast.lying_validators = all_do(chance.some_of(VALIDATORS, 1), cheat);
                cast.plant_ppm = 1_000_000;
            }
            Some(Cheat::SybilSwarm) => {
                cast.workers = WORKERS;
                cast.lying_workers = all_do(chance.some_of(WORKERS, MANY_LIARS), Cheat::SybilSwarm);
            }
            Some(cheat) if cheat.role() == Role::Worker => {
                cast.lying_workers = all_do(chance.some_of(CREW, LIARS), cheat);
            }
            _ => {}
        }
        cast
    }

    /// Two validators and three workers against five workers and three validators; everything is checked
    /// twice, so that a colluder seldom judges alone.
    fn collude(&mut self, chance: &mut Chance) {
        self.workers = WORKERS;
        self.lying_workers = all_do(chance.some_of(WORKERS, MANY_LIARS), Cheat::OtherWeights);
        self.lying_validators = all_do(chance.some_of(VALIDATORS, COLLUDERS), Cheat::ColludingValidator);
        self.second_check_ppm = 1_000_000;
    }

    pub(crate) fn strangers(&self) -> BTreeSet<WorkerId> {
        self.lying_workers.keys().copied().collect()
    }

    pub(crate) fn config(&self, world: &World) -> RoundsConfig {
        RoundsConfig {
            steps_max: self.steps,
            prompts_per_step: PROMPTS_PER_STEP,
            group_size: GROUP_SIZE,
            mode: self.mode,
            staleness_max: 2,
            in_flight_groups_max: 2 * self.workers,
            gate: Gate { reject_zero_signal: false, reward_mean: None },
            eval: None,
            stop: StopRules::default(),
            curriculum: Some(Curriculum { success_min_ppm: 100_000, success_max_ppm: 900_000 }),
            checkpoint_interval_steps: NonZeroU64::new(2),
            tasks: vec![TaskShare { weight: 1, items: None, levels: 1 }],
            run_seed: world.terms.run_seed,
            workers: self.workers,
            validators: VALIDATORS,
            second_check_ppm: self.second_check_ppm,
            plant_ppm: self.plant_ppm,
            overdue_max: 2,
            weights: world.weights(0).hash,
            beacon: world.lease_point(0),
        }
    }
}

fn all_do(ids: Vec<u32>, cheat: Cheat) -> BTreeMap<u32, Cheat> {
    ids.into_iter().map(|id| (id, cheat)).collect()
}
