//! Economies to begin with.
//!
//! Promise: each passes [`Economy::check`]; in each, honesty is the best reply (`docs/economics.md`).

use crate::yuma::YumaTerms;
use crate::{Amount, ESM, Economy, SlashSchedule, Split};

/// Names of the presets, as the run file writes them.
pub const NAMES: [&str; 3] = ["local", "team", "open"];

/// The preset of that name.
pub fn named(name: &str) -> Option<Economy> {
    match name {
        "local" => Some(local()),
        "team" => Some(team()),
        "open" => Some(open()),
        _ => None,
    }
}

/// The same economy in epochs of so many steps: the budget changes with them, so that a step pays as before.
/// Rounded down, at least one unit.
pub fn in_epochs_of(economy: Economy, steps: u64) -> Economy {
    let budget = u128::from(economy.budget_first) * u128::from(steps) / u128::from(economy.epoch_steps.max(1));
    let budget_first = u64::try_from(budget).unwrap_or(u64::MAX).max(1);
    Economy { epoch_steps: steps, budget_first, ..economy }
}

/// One owner plays all roles: short epochs and small sums, so that a run on a laptop shows several.
///
/// Made for batches of 16 groups: a group pays 0.375 ESM, a worker stakes the pay of 2,000.
pub fn local() -> Economy {
    Economy { epoch_steps: 10, ..economy(100 * ESM, 750 * ESM, 1_500 * ESM) }
}

/// People who know each other.
///
/// Made for batches of 32 groups: a group pays 0.94 ESM, a worker stakes the pay of 2,133.
pub fn team() -> Economy {
    Economy { epoch_steps: 20, ..economy(1_000 * ESM, 2_000 * ESM, 4_000 * ESM) }
}

/// Strangers.
///
/// Made for batches of 64 groups: a group pays 1.88 ESM, a worker stakes the pay of 2,133. Validators
/// stake more, for more than half of them could let anything pass.
pub fn open() -> Economy {
    Economy { epoch_steps: 50, ..economy(10_000 * ESM, 4_000 * ESM, 20_000 * ESM) }
}

/// What the presets have in common; `docs/economics.md` has the reason of each number.
///
/// - the workers' pool pays 1.11 times what their work costs where that leaves them a tenth
/// - validators get 0.4 of it for 0.13 of the work, in halves: for what they did, and for agreeing
/// - a fault pays like a group recomputed whole: 16 points
fn economy(budget_first: Amount, stake_worker: Amount, stake_validator: Amount) -> Economy {
    Economy {
        epoch_steps: 10,
        budget_first,
        halving_epochs: 1_000,
        split: Split {
            workers_ppm: 600_000,
            checks_ppm: 120_000,
            dividends_ppm: 120_000,
            trainer_ppm: 100_000,
            treasury_ppm: 60_000,
        },
        check_points: 1,
        fault_points: 16,
        stake_worker,
        stake_validator,
        slash: SlashSchedule { careless_ppm: 50_000, mismatch_ppm: 200_000, false_ppm: 500_000, forged_ppm: 1_000_000 },
        yuma: YumaTerms::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_pays_the_same_in_longer_epochs() {
        let economy = in_epochs_of(local(), 25); // 100 ESM for 10 steps are 250 for 25
        assert_eq!((economy.epoch_steps, economy.budget_first), (25, 250 * ESM));
        assert_eq!(in_epochs_of(local(), 0).budget_first, 1);
    }

    #[test]
    fn every_preset_can_be_computed_with() {
        for name in NAMES {
            assert_eq!(named(name).unwrap().check(), Ok(()), "{name}");
        }
        assert_eq!(named("other"), None);
    }
}
