//! What the court is expected to do, written from its promises alone.

use alloy_primitives::{Address, B256};

use super::world::{
    ANSWER, APPEAL, APPEAL_RULING, BOND_LEAST, BOND_PPM, BOND_ROOT, BOUNTY_PPM, DISPUTE, HOLD, PURSE, ROOT_RULING,
    RULING, SLASH,
};

/// What each person stakes before the first step.
pub(crate) const STAKE: u64 = 1_000_000;

/// Where a case stands; as the contract numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open = 1,
    Answered,
    Guilty,
    Appealed,
    Closed,
}

/// How a case ended; as the contract numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    None,
    Acquitted,
    Convicted,
    Overturned,
    Expired,
    Cancelled,
}

/// What a case is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    /// The stake of a person.
    Stake { accused: usize, amount: u64, ready_at: u64 },
    /// A pending root.
    Root { epoch: u64, root: B256 },
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) state: State,
    pub(crate) outcome: Outcome,
    pub(crate) about: About,
    pub(crate) challenger: usize,
    pub(crate) deadline: u64,
    pub(crate) answer_until: u64,
    pub(crate) bond: u64,
    pub(crate) appeal_bond: u64,
    pub(crate) evidence: B256,
    pub(crate) answer: B256,
}

/// The root that waits for its window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) epoch: u64,
    pub(crate) root: B256,
    posted_at: u64,
    pub(crate) live_at: u64,
}

/// All cases, and who has how much.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) cases: Vec<Case>,
    pub(crate) purses: [u64; 4],
    pub(crate) held: [u64; 4],
    pub(crate) claimed: [u64; 4],
    pub(crate) treasury: u64,
    pub(crate) bonds_in: u64,
    pub(crate) bonds_out: u64,
    pub(crate) pending: Option<Pending>,
    pub(crate) next_epoch: u64,
}

/// `max(least, amount · ppm / 1 000 000)`.
pub(crate) fn bond_for(amount: u64) -> u64 {
    BOND_LEAST.max(amount * BOND_PPM / 1_000_000)
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { purses: [PURSE - STAKE; 4], held: [STAKE; 4], ..Self::default() }
    }

    fn take_bond(&mut self, who: usize, bond: u64) {
        self.purses[who] -= bond;
        self.bonds_in += bond;
    }

    pub(crate) fn open_stake(&mut self, now: u64, challenger: usize, accused: usize, amount: u64, evidence: B256) {
        let (bond, answer_until) = (bond_for(amount), now + ANSWER);
        self.take_bond(challenger, bond);
        self.claimed[accused] += amount;
        self.cases.push(Case {
            state: State::Open,
            outcome: Outcome::None,
            about: About::Stake { accused, amount, ready_at: now + SLASH },
            challenger,
            deadline: answer_until + RULING,
            answer_until,
            bond,
            appeal_bond: 0,
            evidence,
            answer: B256::ZERO,
        });
    }

    pub(crate) fn post(&mut self, now: u64, root: B256) {
        self.pending = Some(Pending { epoch: self.next_epoch, root, posted_at: now, live_at: now + DISPUTE });
        self.next_epoch += 1;
    }

    pub(crate) fn open_root(&mut self, now: u64, challenger: usize, evidence: B256) {
        self.take_bond(challenger, BOND_ROOT);
        let pending = self.pending.as_mut().expect("the contract took the challenge");
        let limit = pending.posted_at + DISPUTE + HOLD;
        pending.live_at = pending.live_at.max(limit.min(now + ROOT_RULING));
        self.cases.push(Case {
            state: State::Open,
            outcome: Outcome::None,
            about: About::Root { epoch: pending.epoch, root: pending.root },
            challenger,
            deadline: pending.live_at - 1,
            answer_until: 0,
            bond: BOND_ROOT,
            appeal_bond: 0,
            evidence,
            answer: B256::ZERO,
        });
    }

    /// Whether the root of case `index` is still pending.
    pub(crate) fn is_pending(&self, index: usize) -> bool {
        let About::Root { epoch, root } = self.cases[index].about else { return false };
        self.pending.is_some_and(|pending| pending.epoch == epoch && pending.root == root)
    }

    pub(crate) fn rule(&mut self, now: u64, index: usize, guilty: bool) {
        let case = &mut self.cases[index];
        let bond = case.bond;
        match (case.about, guilty) {
            (About::Stake { .. }, true) => (case.state, case.deadline) = (State::Guilty, now + APPEAL),
            (About::Stake { .. }, false) => self.close(index, Outcome::Acquitted, [0, bond / 2, bond - bond / 2]),
            (About::Root { .. }, true) => {
                self.close(index, Outcome::Convicted, [bond, 0, 0]);
                self.pending = None;
            }
            (About::Root { .. }, false) => self.close(index, Outcome::Acquitted, [0, 0, bond]),
        }
    }

    pub(crate) fn appeal(&mut self, now: u64, index: usize, accused: usize) {
        let bond = self.cases[index].bond;
        self.take_bond(accused, bond);
        let case = &mut self.cases[index];
        (case.state, case.deadline, case.appeal_bond) = (State::Appealed, now + APPEAL_RULING, bond);
    }

    pub(crate) fn rule_appeal(&mut self, index: usize, upheld: bool) {
        let (bond, appeal) = (self.cases[index].bond, self.cases[index].appeal_bond);
        if upheld {
            self.close(index, Outcome::Overturned, [0, appeal + bond / 2, bond - bond / 2]);
        } else {
            self.close(index, Outcome::Convicted, [bond, 0, appeal]);
        }
    }

    /// All bonds go back to who put them down.
    pub(crate) fn close_evenly(&mut self, index: usize, outcome: Outcome) {
        let shares = [self.cases[index].bond, self.cases[index].appeal_bond, 0];
        self.close(index, outcome, shares);
    }

    /// Closes a case once: `shares` of its bonds to challenger, accused and treasury; the stake taken or freed.
    fn close(&mut self, index: usize, outcome: Outcome, shares: [u64; 3]) {
        let case = &mut self.cases[index];
        assert_ne!(case.state, State::Closed, "a case closes once");
        (case.state, case.outcome) = (State::Closed, outcome);
        let challenger = case.challenger;
        self.purses[challenger] += shares[0];
        self.treasury += shares[2];
        self.bonds_out += shares.iter().sum::<u64>();
        let About::Stake { accused, amount, .. } = case.about else { return };
        self.purses[accused] += shares[1];
        self.claimed[accused] -= amount;
        if outcome == Outcome::Convicted {
            let taken = amount.min(self.held[accused]);
            let bounty = taken * BOUNTY_PPM / 1_000_000;
            self.held[accused] -= taken;
            self.purses[challenger] += bounty;
            self.treasury += taken - bounty;
        }
    }

    /// A root whose window has passed is no longer pending.
    pub(crate) fn at(&mut self, now: u64) {
        self.pending = self.pending.filter(|pending| pending.live_at > now);
    }
}

/// Zero in a root case.
pub(crate) fn accused_of(case: &Case, people: &[Address; 4]) -> Address {
    match case.about {
        About::Stake { accused, .. } => people[accused],
        About::Root { .. } => Address::ZERO,
    }
}
