//! The ledger without signatures, for simulations of what its rules pay.
//!
//! Promise: credits, points, bars and settlement are the ledger's own code; only the reading of signed
//! records is left out. Nothing of it can be written to a log.

use protocol::{Check, Party, ValidatorId, WorkerId};

use super::Book;
use crate::evidence::{Signatures, Vote};
use crate::{Amount, Entry, Fault, LedgerTerms, Payout};

/// A verdict as a rehearsal takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RehearsedVote {
    /// Who.
    pub validator: ValidatorId,
    /// Rollouts recomputed.
    pub checked: u64,
    /// Whether it says valid.
    pub valid: bool,
}

/// A ledger that believes what it is told.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    book: Book,
    /// Groups and plants so far; each gets a number of its own.
    facts: u64,
}

impl Rehearsal {
    /// Opens the book; every worker and validator holds the stake that is due.
    ///
    /// Errors: those of [`LedgerTerms::check`].
    pub fn open(terms: LedgerTerms) -> Result<Self, Fault> {
        let mut book = Book::open(terms)?;
        let staked: Vec<Party> = book.terms.parties().filter(|party| *party != Party::Treasury).collect();
        for party in staked {
            let stake = book.terms.economy.stake_due(party);
            book.take(&Entry::StakeSeen { party, stake, block: 0 }, Signatures::Verify)?;
        }
        Ok(Self { book, facts: 0 })
    }

    /// A group was accepted, as [`Entry::Accepted`].
    ///
    /// Errors: `UnknownParty`.
    pub fn accepted(&mut self, worker: WorkerId, tokens: u64, votes: &[RehearsedVote]) -> Result<(), Fault> {
        self.know(Party::Worker(worker), votes)?;
        let lease = self.next();
        self.book.credit(worker, tokens);
        self.book.count(lease, [0; 32], worker, &heard(votes), true);
        Ok(())
    }

    /// A worker lied, as [`Entry::Fined`] with the verdicts that found it.
    ///
    /// Errors: `UnknownParty`, `FinedTwice`.
    pub fn lie_found(&mut self, worker: WorkerId, check: Check, votes: &[RehearsedVote]) -> Result<(), Fault> {
        self.know(Party::Worker(worker), votes)?;
        self.book.may_fine(Party::Worker(worker), check)?;
        self.book.bar(Party::Worker(worker), check);
        let lease = self.next();
        self.book.count(lease, [0; 32], worker, &heard(votes), false);
        Ok(())
    }

    /// A validator lied, as [`Entry::Fined`].
    ///
    /// Errors: `UnknownParty`, `FinedTwice`.
    pub fn validator_lied(&mut self, validator: ValidatorId, check: Check) -> Result<(), Fault> {
        self.book.may_fine(Party::Validator(validator), check)?;
        self.book.bar(Party::Validator(validator), check);
        Ok(())
    }

    /// A validator was shown a known-bad group, as [`Entry::PlantAnswered`].
    ///
    /// Errors: `UnknownParty`.
    pub fn plant_answered(&mut self, validator: ValidatorId, caught: bool) -> Result<(), Fault> {
        let plant = self.next();
        self.book.take(&Entry::PlantAnswered { plant, validator, caught }, Signatures::Verify)
    }

    /// Trains so many steps and closes the epoch. Gives what it pays.
    ///
    /// Errors: `Overflow`, `Yuma`.
    pub fn close(&mut self, steps: u64) -> Result<Vec<Payout>, Fault> {
        for _ in 0..steps {
            let step = self.book.steps + 1;
            self.book.take(&Entry::Trained { step }, Signatures::Verify)?;
        }
        let closing = self.book.closing()?;
        let payouts = closing.report.payouts.clone();
        self.book.close(closing);
        // Nothing comes back after an epoch, so what was counted in it need not be remembered.
        self.book.counted.clear();
        Ok(payouts)
    }

    /// What a party holds, by the terms.
    pub fn stake_due(&self, party: Party) -> Amount {
        self.book.terms.economy.stake_due(party)
    }

    fn next(&mut self) -> u64 {
        self.facts += 1;
        self.facts
    }

    fn know(&mut self, worker: Party, votes: &[RehearsedVote]) -> Result<(), Fault> {
        let voters = votes.iter().map(|vote| Party::Validator(vote.validator));
        [worker].into_iter().chain(voters).try_for_each(|party| self.book.staked(party).map(drop))
    }
}

fn heard(votes: &[RehearsedVote]) -> Vec<Vote> {
    let vote =
        |vote: &RehearsedVote| Vote { validator: vote.validator, checked: vote.checked, valid: Some(vote.valid) };
    votes.iter().map(vote).collect()
}
