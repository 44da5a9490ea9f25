//! Who takes part, at what cost: the crowd that a preset was made for.
//!
//! Promise: the numbers of checking are those that ship; what work costs is a share of what it pays, so that
//! no price of a machine or a coin enters.

use ledger::{Economy, Watch};

/// A whole in millionths.
pub(super) const PPM: u64 = 1_000_000;

/// A preset with the parties and the work that it meets.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The preset's name.
    pub name: &'static str,
    /// The preset.
    pub economy: Economy,
    /// Workers.
    pub workers: u32,
    /// Validators.
    pub validators: u32,
    /// Groups that are leased and answered in one epoch.
    pub groups_per_epoch: u32,
    /// Groups of one batch: rests are counted in batches.
    pub groups_per_batch: u32,
    /// Rollouts of a group.
    pub group_size: u32,
    /// Share of a group's rollouts that is recomputed, in millionths.
    pub check_ppm: u32,
    /// First groups of a worker that are recomputed whole.
    pub probation_leases: u64,
    /// Share of groups that a second validator sees, in millionths.
    pub second_check_ppm: u32,
    /// Known-bad groups per group checked, in millionths.
    pub plant_ppm: u32,
    /// Leases not answered after which a worker rests.
    pub overdue_max: u32,
    /// What an honest worker's work costs it, of what it is paid while everybody is honest, in millionths.
    pub cost_ppm: u64,
    /// What stake costs its owner per epoch, in millionths: what it would have earned elsewhere.
    pub capital_ppm: u64,
}

/// Completion tokens of an honest rollout, on average over groups.
pub(super) const TOKENS_MEAN: u64 = 64;

impl Crowd {
    /// Ten workers and three validators of one house, as in `examples/liars.toml`.
    #[must_use]
    pub fn local() -> Self {
        Self::shipped("local", ledger::presets::local(), [10, 3, 16])
    }

    /// Twenty workers and five validators who know each other.
    #[must_use]
    pub fn team() -> Self {
        Self::shipped("team", ledger::presets::team(), [20, 5, 32])
    }

    /// Fifty workers and fifteen validators who are anybody.
    #[must_use]
    pub fn open() -> Self {
        Self::shipped("open", ledger::presets::open(), [50, 15, 64])
    }

    /// One crowd for each preset.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::local(), Self::team(), Self::open()]
    }

    /// The same crowd with other numbers.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Economy)) -> Self {
        change(&mut self.economy);
        self
    }

    /// How closely this crowd is looked at.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            group_size: self.group_size,
            check_ppm: self.check_ppm,
            validators: self.validators,
            second_check_ppm: self.second_check_ppm,
            plant_ppm: self.plant_ppm,
            groups_per_epoch: self.groups_per_epoch.into(),
        }
    }

    fn shipped(name: &'static str, economy: Economy, [workers, validators, batch]: [u32; 3]) -> Self {
        let groups_per_epoch = u32::try_from(economy.epoch_steps).unwrap_or(u32::MAX).saturating_mul(batch);
        Self {
            name,
            economy,
            workers,
            validators,
            groups_per_epoch,
            groups_per_batch: batch,
            group_size: 16,
            check_ppm: 125_000,
            probation_leases: 4,
            second_check_ppm: 100_000,
            plant_ppm: 20_000,
            overdue_max: 3,
            cost_ppm: 900_000,
            capital_ppm: 100,
        }
    }

    /// What it costs to generate one token honestly, in millionths of a micro-ESM.
    pub(super) fn token_cost(&self) -> u128 {
        let pool = u128::from(self.economy.budget_first) * u128::from(self.economy.split.workers_ppm);
        let tokens = u128::from(self.groups_per_epoch) * u128::from(self.group_size) * u128::from(TOKENS_MEAN);
        pool * u128::from(self.cost_ppm) / u128::from(PPM) / tokens.max(1)
    }

    /// What it costs to recompute so many rollouts of a group, in micro-ESM.
    ///
    /// Measured (`docs/benchmarks.md`, 0.5B shape, batch 64): every rollout of a group takes 0.75 of the
    /// time that generating it took, 2 of 16 take 0.13: `0.042 + 0.044 · rollouts` for groups of 16.
    pub(super) fn check_cost(&self, recomputed: u64) -> u128 {
        if recomputed == 0 {
            return 0;
        }
        let size = u64::from(self.group_size).max(1);
        let share = 42_000 + 704_000 * recomputed / size;
        let group = self.token_cost() * u128::from(size * TOKENS_MEAN);
        group * u128::from(share) / u128::from(PPM) / u128::from(PPM)
    }
}
