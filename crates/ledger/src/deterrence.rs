//! Whether lies cost more than they earn, under the terms of a run.
//!
//! Promise: if [`Economy::check_deterrence`] finds nothing, then for every lie whose detection was measured
//! `detection · slash · (1 - bounty) > gain`, with the least detection that the measurement allows (95 %), the
//! largest gain that the lie can have, the largest minority of the validators on the liar's side, and an accuser
//! who is a friend of the liar's.
//! Takes: the economy, and how closely the run looks. Gives: what is not deterred, with both sides of each
//! inequality. Never: counts on a ban, on lost future income or on a reputation; a liar may come back.
//! The measurements are those of `docs/verification.md`, the reasons those of `docs/economics.md`.

use std::fmt;

use protocol::Check;
use protocol::constants::PPM_ONE;
use thiserror::Error;

use crate::{Amount, Economy, Pool};

/// Parts in the whole, for probabilities.
const BILLION: u128 = 1_000_000_000;
/// A share of one in millionths.
const PPM: u128 = PPM_ONE as u128;
/// Most of what is slashed that may go to the accuser, in millionths: a quarter. Deployments above it are refused.
///
/// Whoever lies can be accused by a friend first, so that a slash costs only what the bounty leaves of it. Every
/// inequality counts on three quarters; with them the weakest one of the shipped presets holds 1.39 times. With
/// the half that the vault's contract allows it would not hold. A bounty need only pay for bringing a case: gas,
/// and a bond (a tenth of the stake at risk) that comes back.
pub const BOUNTY_PPM: u32 = 250_000;
/// With fewer validators nobody outvotes one of them.
pub const VALIDATORS_LEAST: u32 = 3;

/// How closely a run looks, and how much work one epoch pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Rollouts of one lease.
    pub group_size: u32,
    /// Share of the rollouts of a group that is recomputed after probation, in millionths.
    pub check_ppm: u32,
    /// Validators.
    pub validators: u32,
    /// Share of the groups that a second validator sees, in millionths.
    pub second_check_ppm: u32,
    /// Known-bad groups per group checked, in millionths.
    pub plant_ppm: u32,
    /// Groups that are leased during a whole epoch: `epoch_steps · prompts_per_step`.
    pub groups_per_epoch: u64,
}

/// A way to lie whose detection was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredLie {
    /// What it is.
    pub name: &'static str,
    /// The check that finds it.
    pub check: Check,
    /// Answers caught, of answers recomputed. None: seen in every group, of all rollouts, without the model.
    pub caught_of: Option<(u32, u32)>,
    /// The least probability, in millionths, with which that many are caught in one of twenty measurements
    /// (Clopper and Pearson's bound, one side, 95 %).
    pub floor_ppm: u32,
    /// Most that it saves of the cost of honest work, in millionths. Nobody saves more than all.
    pub saving_ppm: u32,
}

/// Every lie of `docs/verification.md`, "How soon liars are caught", that leaves a trace.
///
/// Where the true model proves, it must run over every token; so 8 bits in place of 16 save at most half, and
/// 4 bits three quarters. Weights one step old save fetching the new ones.
pub const MEASURED_LIES: [MeasuredLie; 14] = [
    measured("int8 weights", Check::Fingerprint, (2_048, 2_048), 998_538, PPM_ONE),
    measured("int4 weights", Check::Fingerprint, (2_048, 2_048), 998_538, PPM_ONE),
    measured("bf16 weights for f32", Check::Fingerprint, (2_048, 2_048), 998_538, PPM_ONE),
    measured("half the model", Check::ActivationExponent, (2_048, 2_048), 998_538, PPM_ONE),
    measured("half the model samples, the true one proves", Check::TokenMargin, (2_004, 2_048), 972_461, PPM_ONE),
    measured("int8 samples, the true model proves", Check::TokenMargin, (8, 2_048), 1_945, 500_000),
    measured("int4 samples, the true model proves", Check::TokenMargin, (190, 2_048), 82_421, 750_000),
    measured("best of two draws", Check::TokenMargin, (997, 2_048), 468_427, PPM_ONE),
    measured("temperature 0.7 for 1", Check::TokenMargin, (1_298, 2_048), 615_900, PPM_ONE),
    measured("one token edited, or stopped early", Check::TokenMargin, (2_027, 2_048), 985_267, PPM_ONE),
    measured("one logprob off by a nat", Check::Logprob, (2_048, 2_048), 998_538, PPM_ONE),
    measured("weights one step old, lr 1e-6", Check::Fingerprint, (180, 2_048), 77_797, 50_000),
    seen("samples left out", Check::SamplesMissing),
    seen("a reward of one's own", Check::Reward),
];

const fn measured(
    name: &'static str,
    check: Check,
    caught_of: (u32, u32),
    floor_ppm: u32,
    saving_ppm: u32,
) -> MeasuredLie {
    MeasuredLie { name, check, caught_of: Some(caught_of), floor_ppm, saving_ppm }
}

const fn seen(name: &'static str, check: Check) -> MeasuredLie {
    MeasuredLie { name, check, caught_of: None, floor_ppm: PPM_ONE, saving_ppm: PPM_ONE }
}

/// Something that pays, or is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A lie: expected loss and largest gain of one group.
    Lie {
        /// Which.
        lie: MeasuredLie,
        /// Both sides.
        sides: Sides,
    },
    /// Calling groups valid without a look: per verdict, against the plants.
    LazyValidator(Sides),
    /// Paying the validator that was drawn: per group, against the second validator.
    Bribe(Sides),
    /// Lying to be found out by friends: per fault, stake lost for good against points.
    FaultFarm(Sides),
    /// Nobody can outvote one of so few validators.
    FewValidators {
        /// The least number.
        least: u32,
        /// How many there are.
        given: u32,
    },
}

/// Both sides of an inequality, in micro-ESM; the loss rounded down, the gain up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// What it costs on average.
    pub loss: Amount,
    /// What it earns at most.
    pub gain: Amount,
}

/// What the terms of a run do not deter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Undeterred {
    /// At least one.
    pub gaps: Vec<Gap>,
}

impl fmt::Display for Undeterred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stake and the checks of this run do not deter ")?;
        for (index, gap) in self.gaps.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{gap}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Lie { lie, .. } => lie.name,
            Self::LazyValidator(_) => "validators that do not look",
            Self::Bribe(_) => "bribes",
            Self::FaultFarm(_) => "lies made to be found by friends",
            Self::FewValidators { least, given } => {
                return write!(f, "a validator that lies (it takes {least} to outvote one, given {given})");
            }
        };
        match self.sides() {
            Some(Sides { loss, gain }) => {
                write!(f, "{words} (costs {} ESM on average, earns up to {} ESM)", esm(loss), esm(gain))
            }
            None => f.write_str(words),
        }
    }
}

fn esm(amount: Amount) -> String {
    format!("{}.{:06}", amount / crate::ESM, amount % crate::ESM)
}

impl Gap {
    /// Both sides of the inequality that does not hold, where there is one.
    pub fn sides(&self) -> Option<Sides> {
        match *self {
            Self::Lie { sides, .. } | Self::LazyValidator(sides) | Self::Bribe(sides) | Self::FaultFarm(sides) => {
                Some(sides)
            }
            Self::FewValidators { .. } => None,
        }
    }
}

impl Sides {
    fn holds(self) -> bool {
        self.loss > self.gain
    }
}

impl Watch {
    /// Rollouts of a group that are recomputed after probation: `⌈group_size · check_ppm / 1,000,000⌉`.
    pub fn recomputed(&self) -> u32 {
        let share = u128::from(self.group_size) * u128::from(self.check_ppm.min(PPM_ONE));
        share.div_ceil(PPM) as u32 // ≤ group_size
    }

    /// The largest minority of the validators.
    pub fn ring(&self) -> u32 {
        self.validators.saturating_sub(1) / 2
    }

    /// Probability, in billionths and rounded up, that only friends look at a group: the first of the panel is
    /// one of the ring, and there is no second or it is one too.
    ///
    /// `r/V · (1 - s + s·(r - 1)/(V - 1))`
    fn covered(&self) -> u128 {
        let (ring, all, second) = (u128::from(self.ring()), u128::from(self.validators), self.second().min(PPM));
        if ring == 0 {
            return 0;
        }
        let alone = (PPM - second) * (all - 1) + second * (ring - 1); // of PPM · (V - 1)
        (ring * alone * BILLION).div_ceil(all * PPM * (all - 1))
    }

    /// Probability, in billionths and rounded down, that a group in which every answer lies costs its maker
    /// a fine: `(1 - (1 - q)^k) · (1 - covered)`.
    pub fn detection(&self, lie: &MeasuredLie) -> u64 {
        let floor = u128::from(lie.floor_ppm.min(PPM_ONE)) * (BILLION / PPM);
        let looks = if lie.caught_of.is_some() { self.recomputed() } else { 1 };
        let mut missed = BILLION;
        for _ in 0..looks {
            missed = (missed * (BILLION - floor)).div_ceil(BILLION);
        }
        ((BILLION - missed) * (BILLION - self.covered()) / BILLION) as u64 // ≤ BILLION
    }

    fn second(&self) -> u128 {
        u128::from(self.second_check_ppm)
    }
}

impl Economy {
    /// Whether every lie with a measured detection costs more than it can earn, per group:
    ///
    /// - lies of workers: `detection · slash · stake · (1 - bounty) > saving · pay of a group`
    /// - lazy validators: `plants per verdict · slash · stake · (1 - bounty) > pay of a verdict`
    /// - bribes: `second checks · slash · stake · (1 - bounty) > pay of a group`
    /// - fault farms: `slash · stake · (1 - bounty) > points of a fault · value of a point · ring`
    ///
    /// `bounty` is [`BOUNTY_PPM`], the most that a deployment may pay: the accuser can be a friend.
    ///
    /// A lie in a part of the group needs no line of its own: its gain falls with the part, its detection
    /// more slowly. Where all parties are of one house, nobody needs deterring, and this may be left out.
    ///
    /// Errors: `Undeterred` with everything that does not hold.
    pub fn check_deterrence(&self, watch: &Watch) -> Result<(), Undeterred> {
        let mut gaps = self.inequalities(watch);
        gaps.retain(|gap| !gap.sides().is_some_and(Sides::holds));
        if gaps.is_empty() { Ok(()) } else { Err(Undeterred { gaps }) }
    }

    /// Everything that [`Self::check_deterrence`] looks at, as if it were a gap.
    fn inequalities(&self, watch: &Watch) -> Vec<Gap> {
        let lies = MEASURED_LIES.iter().map(|lie| Gap::Lie { lie: *lie, sides: self.lie(watch, lie) });
        let mut all: Vec<Gap> = lies.chain([Gap::FaultFarm(self.fault_farm(watch))]).collect();
        if watch.validators >= VALIDATORS_LEAST {
            all.push(Gap::LazyValidator(self.lazy_validator(watch)));
            all.push(Gap::Bribe(self.bribe(watch)));
        } else {
            all.push(Gap::FewValidators { least: VALIDATORS_LEAST, given: watch.validators });
        }
        all
    }

    /// Fewest groups of a whole epoch for which [`Self::check_deterrence`] finds nothing; none if no number
    /// helps. With fewer groups each pays more, and so does each lie.
    pub fn groups_per_epoch_least(&self, watch: &Watch) -> Option<u64> {
        let holds = |groups_per_epoch| self.check_deterrence(&Watch { groups_per_epoch, ..*watch }).is_ok();
        let (mut low, mut high) = (0, 1 << 40);
        if !holds(high) {
            return None;
        }
        // Losses do not depend on the number of groups, gains fall with it.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if holds(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }

    /// One group of a lie, expected.
    pub fn lie(&self, watch: &Watch, lie: &MeasuredLie) -> Sides {
        let slash = left(self.slash.amount(lie.check, self.stake_worker));
        let gain = (self.group_pay(watch) * u128::from(lie.saving_ppm)).div_ceil(PPM);
        sides(slash * u128::from(watch.detection(lie)) / BILLION, gain)
    }

    /// One verdict without a look. The gain is all that the verdict pays.
    pub fn lazy_validator(&self, watch: &Watch) -> Sides {
        let slash = left(self.slash.amount(Check::PlantMissed, self.stake_validator));
        let verdicts = PPM + watch.second(); // of a million groups
        let pay = self.pool(Pool::Checks) + self.pool(Pool::Dividends);
        let gain = (pay * PPM).div_ceil((u128::from(watch.groups_per_epoch) * verdicts).max(1));
        sides(slash * u128::from(watch.plant_ppm) / verdicts, gain)
    }

    /// Least bribe that a drawn validator must ask for, against the most that the group is worth.
    pub fn bribe(&self, watch: &Watch) -> Sides {
        let slash = left(self.slash.amount(Check::VerdictDisagrees, self.stake_validator));
        sides(slash * watch.second().min(PPM) / PPM, self.group_pay(watch))
    }

    /// One fault made to be found. Points that are there anyway: those for checks of a whole epoch.
    pub fn fault_farm(&self, watch: &Watch) -> Sides {
        let least = Check::ALL.iter().map(|&check| self.slash.amount(check, self.stake_worker));
        let least = least.filter(|&amount| amount > 0).min().unwrap_or(0);
        let loss = left(least);
        let verdicts = u128::from(watch.groups_per_epoch) * (PPM + watch.second()) / PPM;
        let points = verdicts * u128::from(watch.recomputed()) * u128::from(self.check_points);
        let friends = u128::from(watch.ring().max(1)); // a lone validator can be the liar's own
        let farmed = friends * u128::from(self.fault_points);
        // The whole of what the farm has of the pool, with its own points in the sum.
        let gain = (self.pool(Pool::Checks) * farmed).div_ceil((points + farmed).max(1));
        sides(loss, gain)
    }

    /// What one group pays its worker, rounded up.
    fn group_pay(&self, watch: &Watch) -> u128 {
        self.pool(Pool::Workers).div_ceil(u128::from(watch.groups_per_epoch).max(1))
    }

    /// A pool of the first epoch, the largest, rounded up.
    fn pool(&self, pool: Pool) -> u128 {
        let share = self.split.pools().into_iter().find(|(other, _)| *other == pool).map_or(0, |(_, ppm)| ppm);
        (u128::from(self.budget_first) * u128::from(share)).div_ceil(PPM)
    }
}

/// What a slash costs those who act as one, the accuser among them: all but the bounty, rounded down.
fn left(slash: Amount) -> u128 {
    u128::from(slash) * (PPM - u128::from(BOUNTY_PPM)) / PPM
}

fn sides(loss: u128, gain: u128) -> Sides {
    let amount = |value| u64::try_from(value).unwrap_or(u64::MAX);
    Sides { loss: amount(loss), gain: amount(gain) }
}

#[cfg(test)]
mod tests;
