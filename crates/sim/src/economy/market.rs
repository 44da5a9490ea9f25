//! One simulated market: epochs of groups that are made, judged, paid and fined.
//!
//! Promise: a function of crowd, strategy and seed. Lots are drawn by the rules of a run, payouts settled by
//! the real ledger, fines by the real schedule; whether a false answer is found out when it is recomputed
//! is drawn with the probability that was measured.
//! Takes: a crowd, a strategy, a seed. Gives: what each party earned, epoch by epoch.

use proof::draw;
use protocol::constants::PPM_ONE;
use protocol::{BeaconPoint, Check, Hash, WorkerId};
use rounds::Ruling;

use super::book::Book;
use super::crowd::{Crowd, PPM, TOKENS_MEAN};
use super::panel::{Case, Judged, Vote, catches_plant, judge};
use super::parties::Parties;
use super::strategy::{Lie, Strategy, When, WorkerWay};
use super::{EconomyError, Income};
use crate::chance::Chance;

/// The place of the lot that chooses whom a plant is shown, as in the rules of a run.
const PLANT_PLACE: u32 = u32::MAX;
/// Micro-ESM in an ESM, and millionths in a micro-ESM.
const MICRO: u128 = 1_000_000;

/// A market under way.
pub(super) struct Market<'a> {
    crowd: &'a Crowd,
    parties: Parties,
    book: Book,
    chance: Chance,
    seed: u64,
    /// Groups handed out so far.
    groups: u64,
    income: Income,
    /// Costs of the current epoch: of each worker and validator, in millionths of a micro-ESM.
    worker_costs: Vec<u128>,
    validator_costs: Vec<u128>,
}

impl<'a> Market<'a> {
    /// Everybody has staked, nothing has happened.
    ///
    /// Errors: `Ledger` if the preset is not one.
    pub(super) fn new(crowd: &'a Crowd, strategy: Strategy, seed: u64) -> Result<Self, EconomyError> {
        let cast = strategy.cast(crowd.workers, crowd.validators);
        let parties = Parties::new(crowd, &cast);
        let book = Book::new(crowd, parties.workers.len(), parties.validators.len())?;
        let income = Income::new(parties.workers.len(), parties.validators.len());
        let (worker_costs, validator_costs) = (vec![0; parties.workers.len()], vec![0; parties.validators.len()]);
        let chance = Chance::new(seed, strategy.as_str());
        let groups = 0;
        Ok(Self { crowd, parties, book, chance, seed, groups, income, worker_costs, validator_costs })
    }

    /// Plays so many epochs. Once all friends are fined they earn and lose nothing more, so the rest is not played.
    ///
    /// Errors: `Ledger`.
    pub(super) fn run(mut self, epochs: u64) -> Result<Income, EconomyError> {
        for epoch in 0..epochs {
            if self.parties.is_over() {
                self.income.idle();
                continue;
            }
            for _ in 0..self.crowd.groups_per_epoch {
                self.group(epoch)?;
            }
            self.close()?;
        }
        let members = self.parties.workers.iter().map(|worker| worker.is_friend);
        self.income.friends = members.chain(self.parties.validators.iter().map(|one| one.is_friend)).collect();
        Ok(self.income)
    }

    fn group(&mut self, epoch: u64) -> Result<(), EconomyError> {
        let number = self.groups;
        self.groups += 1;
        let batch = number / u64::from(self.crowd.groups_per_batch.max(1));
        loop {
            let Some(worker) = self.parties.lease(batch) else { return Ok(()) };
            if self.parties.workers[worker as usize].way != WorkerWay::Withholds {
                return self.answer(epoch, number, worker);
            }
            self.income.unanswered += 1;
            self.parties.workers[worker as usize].silent(batch, self.crowd.overdue_max);
            if !self.parties.workers.iter().any(|other| other.way != WorkerWay::Withholds) {
                return Ok(());
            }
        }
    }

    /// A worker hands in a group; it is judged, paid or fined.
    fn answer(&mut self, epoch: u64, number: u64, worker: WorkerId) -> Result<(), EconomyError> {
        let (beacon, root) = self.lot(number, worker);
        let tokens = u64::from(self.crowd.group_size) * (TOKENS_MEAN / 2 + u64::from(root[0]) % (TOKENS_MEAN + 1));
        let maker = &self.parties.workers[worker as usize];
        self.worker_costs[worker as usize] +=
            u128::from(tokens) * self.crowd.token_cost() * u128::from(maker.cost_ppm) / u128::from(PPM);
        let on_probation = maker.leases <= self.crowd.probation_leases;
        let check_ppm = if on_probation && self.crowd.check_ppm > 0 { PPM_ONE } else { self.crowd.check_ppm };
        let drawn = draw::samples(&beacon, &root, self.crowd.group_size, check_ppm);
        let lie = match maker.way {
            WorkerWay::Lies(lie) if lie.when == When::Always || !on_probation => Some(lie),
            _ => None,
        };
        let found = lie.and_then(|lie| self.found(&lie, &drawn));
        let case = Case { worker, beacon: &beacon, root: &root, found };
        let judged = judge(self.crowd, &self.parties, &case, &mut self.chance);
        for seat in judged.seats.iter().filter(|seat| seat.looked) {
            self.validator_costs[seat.validator as usize] += self.crowd.check_cost(drawn.len() as u64) * MICRO;
        }
        self.plant(epoch, &beacon, &root)?;
        self.settle(epoch, worker, tokens, drawn.len() as u64, &judged, lie.is_some())
    }

    /// Beacon and root of a group: nobody can tell them ahead.
    fn lot(&self, number: u64, worker: WorkerId) -> (BeaconPoint, Hash) {
        let mut bytes = self.seed.to_le_bytes().to_vec();
        bytes.extend(number.to_le_bytes());
        let randomness = blake3::derive_key("essaim 2026 simulator market beacon v1", &bytes);
        bytes.extend(worker.to_le_bytes());
        let root = blake3::derive_key("essaim 2026 simulator market root v1", &bytes);
        (BeaconPoint { round: number + 1, randomness }, root)
    }

    /// What those who look will find.
    fn found(&mut self, lie: &Lie, drawn: &[u32]) -> Option<Check> {
        let Some((caught, of)) = lie.caught_of else { return Some(lie.check) };
        let lies = match lie.when {
            When::OneLater => {
                let place = self.chance.below(self.crowd.group_size.into());
                drawn.iter().filter(|&&index| u64::from(index) == place).count()
            }
            When::Always | When::Later => drawn.len(),
        };
        (0..lies).any(|_| self.chance.below(of) < caught).then_some(lie.check)
    }

    /// Shows one validator a known-bad group now and then.
    fn plant(&mut self, epoch: u64, beacon: &BeaconPoint, root: &Hash) -> Result<(), EconomyError> {
        if !draw::second_check(beacon, &root.map(|byte| !byte), self.crowd.plant_ppm) {
            return Ok(());
        }
        let Some(validator) = draw::validator(beacon, root, &self.parties.unfined(), PLANT_PLACE) else {
            return Ok(());
        };
        let caught = catches_plant(self.parties.validators[validator as usize].way, &mut self.chance);
        self.book.plant(validator, caught)?;
        if caught {
            let drawn = u64::from(self.crowd.group_size) * u64::from(self.crowd.check_ppm) / PPM;
            self.validator_costs[validator as usize] += self.crowd.check_cost(drawn) * MICRO;
            return Ok(());
        }
        self.fine_validator(epoch, validator, Check::PlantMissed)
    }

    fn settle(
        &mut self,
        epoch: u64,
        worker: WorkerId,
        tokens: u64,
        recomputed: u64,
        judged: &Judged,
        is_lie: bool,
    ) -> Result<(), EconomyError> {
        let who = |is: fn(Vote) -> bool| judged.seats.iter().filter(move |seat| is(seat.vote));
        let mut liars = Vec::new();
        match judged.ruling {
            Ruling::Accept | Ruling::AcceptAgainstLiars => {
                self.book.accepted(worker, tokens, recomputed, &judged.seats)?;
                self.income.lies_accepted += u64::from(is_lie);
                if judged.ruling == Ruling::AcceptAgainstLiars {
                    liars.extend(who(|vote| matches!(vote, Vote::Invalid(_))).map(|seat| seat.validator));
                }
            }
            Ruling::Lie => {
                let check = judged.charge().unwrap_or(Check::Malformed); // a lie has accusers
                self.book.worker_fined(worker, check, recomputed, &judged.seats)?;
                self.fine_worker(epoch, worker, check);
                liars.extend(who(|vote| vote == Vote::Valid).map(|seat| seat.validator));
            }
            Ruling::TooNarrow | Ruling::Undecided | Ruling::More(_) => self.income.dropped += 1,
        }
        liars.into_iter().try_for_each(|validator| self.fine_validator(epoch, validator, Check::VerdictDisagrees))
    }

    fn fine_worker(&mut self, epoch: u64, worker: WorkerId, check: Check) {
        let party = &self.parties.workers[worker as usize];
        let (is_friend, lies) = (party.is_friend, party.way != WorkerWay::Honest);
        self.parties.fine_worker(worker, check);
        let economy = &self.crowd.economy;
        let loss = slashed(economy.stake_worker, economy.slash.ppm(check));
        self.income.fined(epoch, worker as usize, is_friend, lies, loss - bounty(loss, is_friend));
    }

    fn fine_validator(&mut self, epoch: u64, validator: u32, check: Check) -> Result<(), EconomyError> {
        let party = &mut self.parties.validators[validator as usize];
        if party.fined.replace(check).is_some() {
            return Ok(());
        }
        let is_friend = party.is_friend;
        let economy = &self.crowd.economy;
        let loss = slashed(economy.stake_validator, economy.slash.ppm(check));
        let place = self.parties.workers.len() + validator as usize;
        self.income.fined(epoch, place, is_friend, is_friend, loss - bounty(loss, is_friend));
        self.book.validator_fined(validator, check)
    }

    /// The epoch ends: the ledger pays, work and idle stake have cost.
    fn close(&mut self) -> Result<(), EconomyError> {
        let payouts = self.book.close()?;
        let economy = &self.crowd.economy;
        let workers = self.parties.workers.iter().zip(self.worker_costs.drain(..));
        let validators = self.parties.validators.iter().zip(self.validator_costs.drain(..));
        let capital = |stake: u64, is_in: bool| if is_in { slashed(stake, self.crowd.capital_ppm) } else { 0 };
        let mut costs: Vec<u128> = Vec::new();
        costs.extend(
            workers.map(|(one, cost)| cost / MICRO + capital(economy.stake_worker, one.is_in && one.fined.is_none())),
        );
        costs
            .extend(validators.map(|(one, cost)| cost / MICRO + capital(economy.stake_validator, one.fined.is_none())));
        self.worker_costs = vec![0; self.parties.workers.len()];
        self.validator_costs = vec![0; self.parties.validators.len()];
        self.income.close(&payouts, &costs);
        Ok(())
    }
}

/// What comes back of a slash: a liar is accused by a friend of its own, an honest party by somebody else.
fn bounty(loss: u128, is_friend: bool) -> u128 {
    if is_friend { loss * u128::from(ledger::BOUNTY_PPM) / MICRO } else { 0 }
}

fn slashed(stake: u64, ppm: impl Into<u64>) -> u128 {
    u128::from(stake) * u128::from(ppm.into()) / MICRO
}
