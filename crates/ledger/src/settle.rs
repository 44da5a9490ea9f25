//! Turns what was done in an epoch into what is paid for it.
//!
//! Promise: the payouts sum to the budget, to the last unit, whatever was done; a fined party is paid nothing.
//! The rules, with an example by hand: `docs/ledger.md`.

use std::collections::BTreeSet;

use protocol::constants::PPM_ONE;
use protocol::{Party, ValidatorId, WorkerId};
use serde::Serialize;

use crate::rounding::largest_remainder;
use crate::tally::{Judged, Tally};
use crate::yuma::{Masks, YumaInput, YumaOutput, epoch};
use crate::{Account, Amount, Fault, LedgerTerms, Pool};

/// One payment: to whom, from which pool, for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Payout {
    /// Who.
    pub party: Party,
    /// Where to.
    pub account: Account,
    /// From which part of the budget.
    pub pool: Pool,
    /// What the pool was divided by: tokens, points, shares in units of 2⁻³², or steps; of a pool that fell to
    /// the treasury, 0. Where validators differ about workers, their units are shares too.
    pub units: u64,
    /// How much.
    pub amount: Amount,
}

/// What an epoch is settled from.
pub(crate) struct Settling<'a> {
    pub(crate) terms: &'a LedgerTerms,
    pub(crate) number: u64,
    pub(crate) tally: &'a Tally,
    /// Parties that are paid nothing.
    pub(crate) barred: &'a BTreeSet<Party>,
    /// `[validators]`
    pub(crate) stakes: &'a [Amount],
    /// `[validators][workers]`; empty before the first epoch.
    pub(crate) bonds: &'a [Vec<u16>],
}

/// A settled epoch.
pub(crate) struct Settled {
    pub(crate) budget: Amount,
    pub(crate) payouts: Vec<Payout>,
    pub(crate) bonds: Vec<Vec<u16>>,
}

impl Settling<'_> {
    /// Errors: `Yuma`.
    pub(crate) fn settle(&self) -> Result<Settled, Fault> {
        if self.tally.steps == 0 {
            return Ok(Settled { budget: 0, payouts: Vec::new(), bonds: self.bonds.to_vec() });
        }
        let economy = &self.terms.economy;
        let budget = economy.budget_for(self.number, self.tally.steps);
        let rows = self.rows();
        let yuma = self.weigh(&rows)?;
        let pools = economy.split.pools();
        let shares = pools.map(|(_, ppm)| u64::from(ppm));
        let amounts = largest_remainder(budget, &shares).expect("a checked split sums to one");
        let mut payouts = Vec::new();
        for ((pool, _), amount) in pools.into_iter().zip(amounts) {
            payouts.extend(self.pay(pool, amount, self.claims(pool, &rows, &yuma)));
        }
        assert_eq!(payouts.iter().map(|payout| payout.amount).sum::<Amount>(), budget, "payouts are not the budget");
        Ok(Settled { budget, payouts, bonds: yuma.bonds })
    }

    /// One pool among its claims, by largest remainder; to the treasury if there is no claim.
    fn pay(&self, pool: Pool, amount: Amount, claims: Vec<(Party, u64)>) -> Vec<Payout> {
        let account = |party| self.terms.account(party).expect("claims are of parties of the terms");
        let mut claims: Vec<_> = claims.into_iter().map(|(party, units)| (account(party), party, units)).collect();
        claims.sort_unstable(); // by account: it decides who gets the unit that is left among equals
        let units: Vec<u64> = claims.iter().map(|(_, _, units)| *units).collect();
        let Some(parts) = largest_remainder(amount, &units) else {
            let party = Party::Treasury;
            return self.some(Payout { party, account: account(party), pool, units: 0, amount }).collect();
        };
        let payout = |((account, party, units), amount)| self.some(Payout { party, account, pool, units, amount });
        claims.into_iter().zip(parts).flat_map(payout).collect()
    }

    /// Payments of nothing are left out.
    fn some(&self, payout: Payout) -> impl Iterator<Item = Payout> + use<> {
        (payout.amount > 0).then_some(payout).into_iter()
    }

    /// Who claims a part of a pool, and how many units.
    fn claims(&self, pool: Pool, rows: &[Vec<u64>], yuma: &YumaOutput) -> Vec<(Party, u64)> {
        match pool {
            Pool::Workers => self.workers().map(Party::Worker).zip(self.workers_units(rows, yuma)).collect(),
            Pool::Checks => {
                let points = |id| self.tally.points.get(&id).copied().unwrap_or(0);
                let unfined = self.validators().filter(|id| !self.is_barred(Party::Validator(*id)));
                unfined.map(|id| (Party::Validator(id), points(id))).collect()
            }
            Pool::Dividends => {
                let shares = yuma.dividends.iter().map(|share| share.to_bits().max(0) as u64);
                self.validators().map(Party::Validator).zip(shares).collect()
            }
            Pool::Trainer if self.is_barred(Party::Trainer) => Vec::new(),
            Pool::Trainer => vec![(Party::Trainer, self.tally.steps)],
            Pool::Treasury => vec![(Party::Treasury, u64::from(PPM_ONE))],
        }
    }

    /// The tokens themselves where all validators with a voice agree, so that pay can be computed by hand; else
    /// Yuma's consensus in units of 2⁻³²: the score that a majority of the voices supports, above or below which
    /// nobody's own score counts. Yuma's incentive cuts only what is above: a minority that doubts without being
    /// fined would take pay from a worker by its share of the voices (`docs/economics.md`, "slander").
    fn workers_units(&self, rows: &[Vec<u64>], yuma: &YumaOutput) -> Vec<u64> {
        let mut voices = rows.iter().zip(&yuma.active_stake).filter(|(_, stake)| stake.to_bits() > 0);
        match voices.next() {
            Some((first, _)) if voices.all(|(row, _)| row == first) => {
                self.workers().map(|id| self.tokens(id)).collect()
            }
            _ => yuma.consensus.iter().map(|share| share.to_bits().max(0) as u64).collect(),
        }
    }

    /// Yuma over the validators that were not fined. The voice of each is its stake times the share of its verdicts
    /// that held; one without such a verdict has none.
    fn weigh(&self, rows: &[Vec<u64>]) -> Result<YumaOutput, Fault> {
        let voice = |id: ValidatorId| self.tally.voice(id, self.stakes[id as usize]);
        let voices: Vec<Amount> = self.validators().map(voice).collect();
        let forbidden = self.validators().map(|id| self.is_barred(Party::Validator(id))).collect();
        let input = YumaInput {
            terms: &self.terms.economy.yuma,
            stakes: &voices,
            weights: rows,
            bonds: self.bonds,
            masks: Masks { forbidden, ..Masks::default() },
        };
        Ok(epoch(&input)?)
    }

    /// `W_ij = tokens_j · floor(1,000,000 · valid_ij / judged_ij)`: the worker's accepted tokens, less the share of
    /// its groups that this validator called invalid. A validator that judged none of them takes the tokens as they
    /// were accepted.
    fn rows(&self) -> Vec<Vec<u64>> {
        let cell = |validator, worker: WorkerId| {
            let own = self.tally.judged.get(&(validator, worker)).copied();
            score(self.tokens(worker), own.unwrap_or(Judged { valid: 1, all: 1 }))
        };
        self.validators().map(|validator| self.workers().map(|worker| cell(validator, worker)).collect()).collect()
    }

    /// Accepted tokens; 0 of a worker that was fined.
    fn tokens(&self, worker: WorkerId) -> u64 {
        match self.is_barred(Party::Worker(worker)) {
            true => 0,
            false => self.tally.tokens.get(&worker).copied().unwrap_or(0),
        }
    }

    fn is_barred(&self, party: Party) -> bool {
        self.barred.contains(&party)
    }

    fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        0..self.terms.workers.len() as WorkerId // counted in 32 bits by the run's terms
    }

    fn validators(&self) -> impl Iterator<Item = ValidatorId> + use<> {
        0..self.terms.validators.len() as ValidatorId // counted in 32 bits by the run's terms
    }
}

fn score(tokens: u64, judged: Judged) -> u64 {
    let share = u64::from(PPM_ONE);
    let share = u128::from(share) * u128::from(judged.valid);
    let share = share.checked_div(u128::from(judged.all)).unwrap_or(0); // at most a million
    u64::try_from(u128::from(tokens) * share).unwrap_or(u64::MAX)
}
