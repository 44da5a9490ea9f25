//! Workers and validators of a simulated market, and who of them are friends.
//!
//! Promise: whoever was fined gets nothing more to do; leases go to workers in proportion to their speed.

use protocol::{Check, ValidatorId, WorkerId};

use super::crowd::{Crowd, PPM};
use super::strategy::{Cast, ValidatorWay, WorkerWay};

/// Longest rest in batches, as in the rules of a run.
const REST_BATCHES_MAX: u64 = 64;

/// One worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) way: WorkerWay,
    pub(super) is_friend: bool,
    /// Whether it takes part: identities in reserve do not yet.
    pub(super) is_in: bool,
    /// Groups it makes, of those of an honest worker, in millionths.
    speed_ppm: u64,
    /// What its work costs, of honest work, in millionths.
    pub(super) cost_ppm: u64,
    pub(super) leases: u64,
    pub(super) fined: Option<Check>,
    /// Of the round-robin.
    credit: i128,
    unanswered: u32,
    rests: u32,
    rest_until: u64,
}

/// One validator.
#[derive(Clone, Debug)]
pub(super) struct Validator {
    pub(super) way: ValidatorWay,
    pub(super) is_friend: bool,
    pub(super) fined: Option<Check>,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    pub(super) workers: Vec<Worker>,
    pub(super) validators: Vec<Validator>,
}

impl Parties {
    /// The friends come first, identities in reserve last.
    pub(super) fn new(crowd: &Crowd, cast: &Cast) -> Self {
        let whole = Worker::new(PPM);
        let friend = Worker { is_friend: true, ..Worker::acting(cast.worker, PPM / u64::from(cast.names.max(1))) };
        let mut workers: Vec<Worker> = Vec::new();
        workers.extend((0..cast.workers).map(|_| friend.clone()));
        workers.extend((cast.workers..crowd.workers).map(|_| whole.clone()));
        workers.extend((1..cast.names).map(|_| friend.clone()));
        workers.extend((0..cast.reserve).map(|_| Worker { is_in: false, ..friend.clone() }));
        let validator = |index| {
            let is_friend = index < cast.validators;
            let way = if is_friend { cast.validator } else { ValidatorWay::Honest };
            Validator { way, is_friend, fined: None }
        };
        Self { workers, validators: (0..crowd.validators).map(validator).collect() }
    }

    /// Who gets the next lease: smooth weighted round-robin over those who are in, were not fined and do not
    /// rest; over those who rest if there are no others.
    pub(super) fn lease(&mut self, batch: u64) -> Option<WorkerId> {
        let awake = self.workers.iter().any(|worker| worker.is_in && worker.fined.is_none() && !worker.rests(batch));
        let may = |worker: &Worker| worker.is_in && worker.fined.is_none() && !(awake && worker.rests(batch));
        let mut total = 0;
        let mut chosen: Option<usize> = None;
        for index in 0..self.workers.len() {
            let worker = &mut self.workers[index];
            if !may(worker) {
                continue;
            }
            total += i128::from(worker.speed_ppm);
            worker.credit += i128::from(worker.speed_ppm);
            let credit = worker.credit;
            if chosen.is_none_or(|best| self.workers[best].credit < credit) {
                chosen = Some(index);
            }
        }
        let index = chosen?;
        self.workers[index].credit -= total;
        self.workers[index].leases += 1;
        Some(index as WorkerId) // workers of a crowd and a bounded reserve
    }

    /// Fines a worker and lets the next identity of its owner in, if there is one.
    pub(super) fn fine_worker(&mut self, worker: WorkerId, check: Check) {
        self.workers[worker as usize].fined = Some(check);
        if let Some(next) = self.workers.iter_mut().find(|worker| !worker.is_in) {
            next.is_in = true;
        }
    }

    /// Whether there were friends, and all of them were fined.
    pub(super) fn is_over(&self) -> bool {
        let workers = self.workers.iter().filter(|one| one.is_friend).map(|one| one.fined);
        let validators = self.validators.iter().filter(|one| one.is_friend).map(|one| one.fined);
        let mut fines = workers.chain(validators).peekable();
        fines.peek().is_some() && fines.all(|fine| fine.is_some())
    }

    /// Numbers of the validators that were never fined.
    pub(super) fn unfined(&self) -> Vec<ValidatorId> {
        let numbered = (0..).zip(&self.validators);
        numbered.filter(|(_, validator)| validator.fined.is_none()).map(|(number, _)| number).collect()
    }
}

impl Worker {
    fn new(speed_ppm: u64) -> Self {
        Self::acting(WorkerWay::Honest, speed_ppm)
    }

    /// Whoever saves work makes that much more of it, for the same cost of time.
    fn acting(way: WorkerWay, speed_ppm: u64) -> Self {
        let cost_ppm = match way {
            WorkerWay::Honest => PPM,
            WorkerWay::Lies(lie) => lie.cost_ppm,
            WorkerWay::Withholds => 0,
        };
        let speed_ppm = (speed_ppm * PPM).checked_div(cost_ppm).unwrap_or(speed_ppm);
        let (leases, fined, credit) = (0, None, 0);
        let (is_friend, is_in, unanswered, rests, rest_until) = (false, true, 0, 0, 0);
        Self { way, is_friend, is_in, speed_ppm, cost_ppm, leases, fined, credit, unanswered, rests, rest_until }
    }

    fn rests(&self, batch: u64) -> bool {
        self.rest_until > batch
    }

    /// It did not answer: after so many times it rests, and after one more each for twice as long.
    pub(super) fn silent(&mut self, batch: u64, overdue_max: u32) {
        self.unanswered += 1;
        if self.unanswered >= overdue_max && !self.rests(batch) {
            let length = 1u64.checked_shl(self.rests).map_or(REST_BATCHES_MAX, |rest| rest.min(REST_BATCHES_MAX));
            self.rest_until = batch + length;
            self.rests += 1;
            self.unanswered = overdue_max - 1;
        }
    }
}
