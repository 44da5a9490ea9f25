//! Workers and validators as the rules see them: who may work, who rests, who was fined.
//!
//! Promise: a member is fined at most once and gets no work afterwards; silence is never fined, it
//! only earns a rest that ends.
//! Takes: answers, silences and lies. Gives: who may be given work. Never: knows a clock.

use protocol::{Check, Party};
use serde::{Deserialize, Serialize};

use crate::Rounds;
use crate::constants::REST_BATCHES_MAX;

/// Answers that make up for one silence. With one, whoever answers every other time would never rest.
const SILENCE: u32 = 2;

/// One worker or validator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Leases given to it so far, if it is a worker.
    pub(crate) leases: u64,
    /// The lie it was fined for.
    pub(crate) fined: Option<Check>,
    /// Silences that no answer has made up for, each counted [`SILENCE`] times.
    overdue: u32,
    /// Rests in a row.
    rests: u32,
    /// It rests until so many batches are taken.
    rest_until: u64,
}

impl Member {
    pub(crate) fn rests(&self, batches_taken: u64) -> bool {
        self.rest_until > batches_taken
    }

    /// Each [`SILENCE`] answers make up for one silence.
    pub(crate) fn answered(&mut self) {
        self.overdue = self.overdue.saturating_sub(1);
        if self.overdue == 0 {
            self.rests = 0;
        }
    }

    /// Counts a silence and says whether a rest begins. The first rest is one batch long; while
    /// nothing is answered each further one is twice as long, and one silence is enough for it.
    /// What falls due during a rest is the same silence.
    pub(crate) fn silent(&mut self, overdue_max: u32, batches_taken: u64) -> bool {
        if self.rests(batches_taken) {
            return false;
        }
        let limit = overdue_max.saturating_mul(SILENCE);
        self.overdue = self.overdue.saturating_add(SILENCE);
        if self.overdue < limit {
            return false;
        }
        let batches = 1u64.checked_shl(self.rests).map_or(REST_BATCHES_MAX, |rest| rest.min(REST_BATCHES_MAX));
        self.rest_until = batches_taken.saturating_add(batches);
        self.rests = self.rests.saturating_add(1);
        self.overdue = limit - SILENCE; // ≥ 0, as overdue_max ≥ 1 by the configuration
        true
    }

    /// A new process begins: whoever was silent gets a new chance.
    pub(crate) fn wake(&mut self) {
        *self = Self { leases: self.leases, fined: self.fined, ..Self::default() };
    }
}

/// Numbers of the members that were never fined, in rising order.
pub(crate) fn unfined(members: &[Member]) -> impl Iterator<Item = u32> + '_ {
    let numbered = (0u32..).zip(members);
    numbered.filter(|(_, member)| member.fined.is_none()).map(|(number, _)| number)
}

impl Rounds {
    /// What a worker or validator was fined for; none if it never was, or if there is no such member.
    pub fn fined(&self, party: Party) -> Option<Check> {
        self.member(party)?.fined
    }

    /// Whether a worker or validator was silent too often and is left out for now.
    pub fn rests(&self, party: Party) -> bool {
        self.member(party).is_some_and(|member| member.rests(self.batches_taken))
    }

    fn member(&self, party: Party) -> Option<&Member> {
        match party {
            Party::Worker(worker) => self.workers.get(worker as usize),
            Party::Validator(validator) => self.validators.get(validator as usize),
            Party::Trainer | Party::Treasury => None,
        }
    }

    /// # Panics
    /// If there is no such member.
    pub(crate) fn member_mut(&mut self, party: Party) -> &mut Member {
        match party {
            Party::Worker(worker) => &mut self.workers[worker as usize],
            Party::Validator(validator) => &mut self.validators[validator as usize],
            Party::Trainer | Party::Treasury => panic!("the {party} is no member"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_make_up_for_silences() {
        let mut member = Member::default();
        assert!(!member.silent(2, 0));
        member.answered();
        assert!(!member.silent(2, 0), "one and a half");
        assert!(member.silent(2, 0), "two in a row");
        assert!(member.rests(0) && !member.rests(1));
    }

    #[test]
    fn whoever_answers_every_other_time_comes_to_rest() {
        let mut member = Member::default();
        let rested = (0..20).any(|_| {
            member.answered();
            member.silent(3, 0)
        });
        assert!(rested);
        // Two answers for each silence are enough never to rest.
        let mut member = Member::default();
        for _ in 0..100 {
            assert!(!member.silent(3, 0));
            member.answered();
            member.answered();
        }
    }

    #[test]
    fn rests_double_up_to_a_bound_and_end_with_an_answer() {
        let mut member = Member::default();
        let mut taken = 0;
        let mut lengths = Vec::new();
        for _ in 0..9 {
            assert!(member.silent(1, taken));
            assert!(!member.silent(1, taken), "what falls due during the rest does not lengthen it");
            let begun = taken;
            while member.rests(taken) {
                taken += 1;
            }
            lengths.push(taken - begun);
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        member.answered();
        assert!(member.silent(1, taken));
        assert!(!member.rests(taken + 1), "the first rest again");
    }
}
