//! The numbers of the money: what is paid, for what, and what a lie costs.
//!
//! Promise: whatever passes [`Economy::check`] can be computed with, and pays out each budget to the last unit.

use protocol::Check;
use protocol::Party;
use protocol::constants::PPM_ONE;
use serde::{Deserialize, Serialize};

use crate::yuma::YumaTerms;
use crate::{Amount, EconomyError};

/// The money terms of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Economy {
    /// Trainer steps after which an epoch is closed.
    pub epoch_steps: u64,
    /// What epoch 0 pays. See [`Economy::budget`].
    pub budget_first: Amount,
    /// Epochs after which the budget halves.
    pub halving_epochs: u64,
    /// How a budget is cut into pools.
    pub split: Split,
    /// Points of a validator for each rollout that it recomputed.
    pub check_points: u64,
    /// Points of a validator for each fault that it found: a worker fined on its verdict, or a planted lie.
    pub fault_points: u64,
    /// Stake that a worker must hold.
    pub stake_worker: Amount,
    /// Stake that a validator must hold.
    pub stake_validator: Amount,
    /// What a lie costs.
    pub slash: SlashSchedule,
    /// How several validators' scores become one.
    pub yuma: YumaTerms,
}

/// Shares of an epoch's budget in millionths; together one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// To workers, by accepted completion tokens.
    pub workers_ppm: u32,
    /// To validators, by points for checks done and faults found.
    pub checks_ppm: u32,
    /// To validators, by stake and by agreement with the others (Yuma's dividends).
    pub dividends_ppm: u32,
    /// To the trainer, if it trained.
    pub trainer_ppm: u32,
    /// To the treasury.
    pub treasury_ppm: u32,
}

/// One part of an epoch's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// To workers, by accepted completion tokens.
    Workers,
    /// To validators, by points.
    Checks,
    /// To validators, by stake and agreement.
    Dividends,
    /// To the trainer.
    Trainer,
    /// To the treasury.
    Treasury,
}

/// Share of its stake that a fined party loses, in millionths, by how sure and how grave the lie is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlashSchedule {
    /// See [`Severity::Careless`].
    pub careless_ppm: u32,
    /// See [`Severity::Mismatch`].
    pub mismatch_ppm: u32,
    /// See [`Severity::False`].
    pub false_ppm: u32,
    /// See [`Severity::Forged`].
    pub forged_ppm: u32,
}

/// How grave a failed check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Silence. Machines and networks fail, so it costs nothing.
    Late,
    /// A record that no careful program makes; it can be a bug, and nobody gains by it. Bytes that fail a
    /// signature belong here: nobody has signed them, so no court can tell who made them.
    Careless,
    /// Work that a recomputation does not reproduce: other weights, sampler, prompt or text. This is the
    /// lie that saves money.
    Mismatch,
    /// A claim that cannot come from an honest machine at all: the same work twice, a reward not earned,
    /// a proof that fits anything, a verdict without looking.
    False,
    /// Two signed words where one was given: it proves itself.
    Forged,
}

impl Severity {
    /// How grave it is to fail `check`.
    pub const fn of(check: Check) -> Self {
        match check {
            Check::Withheld => Self::Late,
            Check::Malformed
            | Check::Signature
            | Check::Limits
            | Check::SamplesMissing
            | Check::Vocabulary
            | Check::ProofFormat => Self::Careless,
            Check::Prompt
            | Check::WeightVersion
            | Check::Finish
            | Check::ActivationExponent
            | Check::ActivationMantissa
            | Check::Fingerprint
            | Check::TokenMargin
            | Check::Logprob => Self::Mismatch,
            Check::Lease
            | Check::Duplicate
            | Check::Reward
            | Check::ActivationSign
            | Check::ActivationSpread
            | Check::PlantMissed
            | Check::VerdictDisagrees
            | Check::UpdateReplay => Self::False,
            Check::SealMismatch => Self::Forged,
        }
    }
}

impl SlashSchedule {
    /// Share of the stake that failing `check` costs, in millionths.
    pub const fn ppm(&self, check: Check) -> u32 {
        match Severity::of(check) {
            Severity::Late => 0,
            Severity::Careless => self.careless_ppm,
            Severity::Mismatch => self.mismatch_ppm,
            Severity::False => self.false_ppm,
            Severity::Forged => self.forged_ppm,
        }
    }

    /// What failing `check` costs a party with `stake`: `floor(stake · ppm / 1,000,000)`.
    pub fn amount(&self, check: Check, stake: Amount) -> Amount {
        let amount = u128::from(stake) * u128::from(self.ppm(check)) / u128::from(PPM_ONE);
        u64::try_from(amount).unwrap_or(stake) // a share of at most one, see `Economy::check`
    }
}

impl Split {
    /// The pools and their shares, in the order of the fields.
    pub const fn pools(&self) -> [(Pool, u32); 5] {
        [
            (Pool::Workers, self.workers_ppm),
            (Pool::Checks, self.checks_ppm),
            (Pool::Dividends, self.dividends_ppm),
            (Pool::Trainer, self.trainer_ppm),
            (Pool::Treasury, self.treasury_ppm),
        ]
    }
}

impl Economy {
    /// What a whole epoch pays: `budget_first >> (epoch / halving_epochs)`; 0 after 64 halvings.
    pub fn budget(&self, epoch: u64) -> Amount {
        let halvings = epoch.checked_div(self.halving_epochs).unwrap_or(0); // at least 1 once checked
        u32::try_from(halvings).ok().and_then(|halvings| self.budget_first.checked_shr(halvings)).unwrap_or(0)
    }

    /// What an epoch pays in which `steps` were trained: the whole [`Self::budget`] from `epoch_steps` on,
    /// before that its share `floor(budget · steps / epoch_steps)`, so that closing early mints nothing.
    pub fn budget_for(&self, epoch: u64, steps: u64) -> Amount {
        let budget = self.budget(epoch);
        if steps >= self.epoch_steps {
            return budget;
        }
        let share = u128::from(budget) * u128::from(steps) / u128::from(self.epoch_steps);
        u64::try_from(share).unwrap_or(budget) // less than the budget
    }

    /// Stake that `party` must hold; none for the trainer and the treasury.
    pub fn stake_due(&self, party: Party) -> Amount {
        match party {
            Party::Worker(_) => self.stake_worker,
            Party::Validator(_) => self.stake_validator,
            Party::Trainer | Party::Treasury => 0,
        }
    }

    /// Errors: `Zero`, `SplitSum`, `SlashAboveOne`, `Yuma`.
    pub fn check(&self) -> Result<(), EconomyError> {
        for (field, value) in [("epoch_steps", self.epoch_steps), ("halving_epochs", self.halving_epochs)] {
            if value == 0 {
                return Err(EconomyError::Zero { field });
            }
        }
        let given: u64 = self.split.pools().iter().map(|(_, ppm)| u64::from(*ppm)).sum();
        if given != u64::from(PPM_ONE) {
            return Err(EconomyError::SplitSum { expected: u64::from(PPM_ONE), given });
        }
        let SlashSchedule { careless_ppm, mismatch_ppm, false_ppm, forged_ppm } = self.slash;
        if let Some(given) = [careless_ppm, mismatch_ppm, false_ppm, forged_ppm].into_iter().find(|ppm| *ppm > PPM_ONE)
        {
            return Err(EconomyError::SlashAboveOne { limit: PPM_ONE, given });
        }
        Ok(self.yuma.check()?)
    }
}
