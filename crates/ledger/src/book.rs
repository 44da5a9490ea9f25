//! What the entries so far add up to.
//!
//! Promise: an entry is judged whole before anything changes; one that is refused leaves the book as it was.

mod rehearsal;

use std::collections::{BTreeMap, BTreeSet};

use protocol::{Check, Commitment, Hash, LeaseId, Party, RunId, Signed, ValidatorId, Verdict, WorkerId};

use crate::evidence::{Signatures, Signers, Vote};
use crate::settle::{Settled, Settling};
use crate::tally::Tally;
use crate::{Account, Amount, Entry, EpochReport, Fault, LedgerTerms, PartyReport, Payout, Severity, hex, merkle};

pub use rehearsal::{Rehearsal, RehearsedVote};

/// The state of a ledger but for its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Book {
    pub(crate) terms: LedgerTerms,
    pub(crate) run: RunId,
    /// Leases on which a group was credited.
    credited: BTreeSet<LeaseId>,
    /// Verdicts that were counted; each is counted once, wherever it turns up again.
    counted: BTreeSet<(LeaseId, Hash, ValidatorId)>,
    plants: BTreeSet<(u64, ValidatorId)>,
    /// Parties that are paid nothing any more.
    barred: BTreeSet<Party>,
    tally: Tally,
    bonds: Vec<Vec<u16>>,
    pub(crate) parties: BTreeMap<Party, PartyReport>,
    pub(crate) steps: u64,
    pub(crate) lifetimes: BTreeMap<Account, Amount>,
    pub(crate) epochs: Vec<EpochReport>,
}

/// An epoch as it would be closed now.
pub(crate) struct Closing {
    report: EpochReport,
    lifetimes: BTreeMap<Account, Amount>,
    bonds: Vec<Vec<u16>>,
}

impl Closing {
    /// The entry that says so.
    pub(crate) fn entry(&self) -> Entry {
        let &EpochReport { epoch, budget, root, lifetime_total, payees, .. } = &self.report;
        Entry::EpochClosed { epoch, budget, root, lifetime_total, payees }
    }
}

impl Book {
    /// Errors: those of [`LedgerTerms::check`].
    pub(crate) fn open(terms: LedgerTerms) -> Result<Self, Fault> {
        terms.check()?;
        let report = |party| (party, PartyReport::new(terms.account(party).unwrap_or_default()));
        Ok(Self {
            run: terms.run_id(),
            credited: BTreeSet::new(),
            counted: BTreeSet::new(),
            plants: BTreeSet::new(),
            barred: BTreeSet::new(),
            tally: Tally::default(),
            bonds: Vec::new(),
            parties: terms.parties().map(report).collect(),
            steps: 0,
            lifetimes: BTreeMap::new(),
            epochs: Vec::new(),
            terms,
        })
    }

    /// Takes an entry after the first.
    ///
    /// Errors: every [`Fault`] of an entry's content.
    pub(crate) fn take(&mut self, entry: &Entry, signatures: Signatures) -> Result<(), Fault> {
        match entry {
            Entry::Opened(_) => Err(Fault::OpenedTwice),
            Entry::StakeSeen { party, stake, .. } => self.stake_seen(*party, *stake),
            Entry::Accepted { commitment, verdicts } => self.accepted(commitment, verdicts, signatures),
            Entry::Fined { party, check, lease, commitment, verdicts } => {
                self.fined(*party, *check, *lease, commitment.as_ref(), verdicts)
            }
            Entry::PlantAnswered { plant, validator, caught } => self.plant_answered(*plant, *validator, *caught),
            Entry::Trained { step } => self.trained(*step),
            Entry::EpochClosed { .. } => self.epoch_closed(entry),
            Entry::Posted { epoch, block, transaction } => self.posted(*epoch, *block, transaction),
            Entry::Slashed { party, amount, .. } => self.slashed(*party, *amount),
        }
    }

    pub(crate) fn has_credited(&self, lease: LeaseId) -> bool {
        self.credited.contains(&lease)
    }

    /// See [`crate::Ledger::convicts`].
    pub(crate) fn convicts(
        &self,
        worker: WorkerId,
        check: Check,
        commitment: &Signed<Commitment>,
        verdicts: &[Signed<Verdict>],
    ) -> bool {
        let signers = Signers { terms: &self.terms.run, run: &self.run, signatures: Signatures::Verified };
        signers.workers_lie(worker, commitment.body.lease, check, commitment, verdicts, &self.barred).is_ok()
    }

    pub(crate) fn has_plant_answer(&self, plant: u64, validator: ValidatorId) -> bool {
        self.plants.contains(&(plant, validator))
    }

    pub(crate) fn is_barred(&self, party: Party) -> bool {
        self.barred.contains(&party)
    }

    pub(crate) fn steps_in_epoch(&self) -> u64 {
        self.tally.steps
    }

    pub(crate) fn posted_newest(&self) -> Option<u64> {
        self.epochs.iter().rev().find(|epoch| epoch.posted.is_some()).map(|epoch| epoch.epoch)
    }

    /// The record of a party that has a stake.
    fn staked(&mut self, party: Party) -> Result<&mut PartyReport, Fault> {
        match party {
            Party::Treasury => Err(Fault::UnknownParty { party }),
            _ => self.parties.get_mut(&party).ok_or(Fault::UnknownParty { party }),
        }
    }

    fn party(&mut self, party: Party) -> &mut PartyReport {
        self.parties.get_mut(&party).expect("checked against the terms before")
    }

    fn stake_seen(&mut self, party: Party, stake: Amount) -> Result<(), Fault> {
        self.staked(party)?.stake = stake;
        Ok(())
    }

    fn accepted(
        &mut self,
        commitment: &Signed<Commitment>,
        verdicts: &[Signed<Verdict>],
        signatures: Signatures,
    ) -> Result<(), Fault> {
        let signers = Signers { terms: &self.terms.run, run: &self.run, signatures };
        let credit = signers.credit(commitment, verdicts)?;
        let (lease, root) = (credit.lease, credit.root);
        if !self.credited.insert(lease) {
            return Err(Fault::CreditedTwice { lease });
        }
        self.credit(credit.worker, credit.tokens);
        self.count(lease, root, credit.worker, &credit.votes, true);
        Ok(())
    }

    fn credit(&mut self, worker: WorkerId, tokens: u64) {
        self.tally.add_tokens(worker, tokens);
        let report = self.party(Party::Worker(worker));
        report.tokens = report.tokens.saturating_add(tokens);
        report.groups += 1;
    }

    /// Notes what all verdicts say of the worker, and credits those that hold: that say of the answer what came of
    /// it. The others take away from their validator's voice.
    fn count(&mut self, lease: LeaseId, root: Hash, worker: WorkerId, votes: &[Vote], outcome: bool) {
        for vote in votes {
            let Some(valid) = vote.valid else { continue };
            if !self.counted.insert((lease, root, vote.validator)) {
                continue;
            }
            self.tally.add_vote(vote.validator, worker, valid);
            self.tally.add_verdict(vote.validator, valid == outcome);
            if valid == outcome {
                self.reward(vote.validator, vote.checked, u64::from(!valid));
            }
        }
    }

    fn reward(&mut self, validator: ValidatorId, checks: u64, faults: u64) {
        let economy = &self.terms.economy;
        let for_checks = economy.check_points.saturating_mul(checks);
        let points = for_checks.saturating_add(economy.fault_points.saturating_mul(faults));
        self.tally.add_points(validator, points);
        let report = self.party(Party::Validator(validator));
        report.checks = report.checks.saturating_add(checks);
        report.faults += faults;
    }

    fn fined(
        &mut self,
        party: Party,
        check: Check,
        lease: Option<LeaseId>,
        commitment: Option<&Signed<Commitment>>,
        verdicts: &[Signed<Verdict>],
    ) -> Result<(), Fault> {
        self.may_fine(party, check)?;
        self.evidence(party, check, lease, commitment, verdicts)?;
        self.bar(party, check);
        Ok(())
    }

    fn may_fine(&mut self, party: Party, check: Check) -> Result<(), Fault> {
        let report = self.staked(party)?;
        match report.fines.contains(&check) || self.barred.contains(&party) {
            true => Err(Fault::FinedTwice { party }),
            false => Ok(()),
        }
    }

    fn bar(&mut self, party: Party, check: Check) {
        self.party(party).fines.push(check);
        if self.terms.economy.slash.ppm(check) > 0 {
            self.barred.insert(party);
        }
    }

    /// Checks and counts what a fine rests on.
    fn evidence(
        &mut self,
        party: Party,
        check: Check,
        lease: Option<LeaseId>,
        commitment: Option<&Signed<Commitment>>,
        verdicts: &[Signed<Verdict>],
    ) -> Result<(), Fault> {
        let missing = |lacks| Fault::EvidenceMissing { party, check, lacks };
        // Verdicts on a worker's answer show of a validator only how it judged.
        let is_elsewhere = matches!(party, Party::Validator(_)) && check != Check::VerdictDisagrees;
        if is_elsewhere && !verdicts.is_empty() {
            return Err(Fault::EvidenceElsewhere { party, check });
        }
        if check == Check::PlantMissed {
            let missed = self.parties.get(&party).is_some_and(|report| report.plants_missed > 0);
            return if missed { Ok(()) } else { Err(missing("a plant that it missed")) };
        }
        if verdicts.is_empty() {
            return if rests_on_verdicts(check) { Err(missing("verdicts")) } else { Ok(()) };
        }
        let lease = lease.ok_or_else(|| missing("the lease that the verdicts are on"))?;
        let signers = Signers { terms: &self.terms.run, run: &self.run, signatures: Signatures::Verify };
        match party {
            Party::Worker(worker) => {
                let commitment = commitment.ok_or_else(|| missing("the worker's commitment"))?;
                let finding = signers.workers_lie(worker, lease, check, commitment, verdicts, &self.barred)?;
                self.count(lease, finding.root, worker, &finding.votes, false);
            }
            // Its votes are counted with the group that they are on.
            Party::Validator(validator) => drop(signers.validators_lie(validator, lease, verdicts, &self.barred)?),
            Party::Trainer | Party::Treasury => return Err(missing("nothing: no verdict is on a trainer")),
        }
        Ok(())
    }

    fn plant_answered(&mut self, plant: u64, validator: ValidatorId, caught: bool) -> Result<(), Fault> {
        self.staked(Party::Validator(validator))?;
        if !self.plants.insert((plant, validator)) {
            return Err(Fault::PlantTwice { plant, validator });
        }
        match caught {
            true => self.reward(validator, 0, 1),
            false => self.party(Party::Validator(validator)).plants_missed += 1,
        }
        Ok(())
    }

    fn trained(&mut self, given: u64) -> Result<(), Fault> {
        let expected = self.steps.saturating_add(1);
        if given != expected {
            return Err(Fault::StepOrder { expected, given });
        }
        self.steps = given;
        self.tally.steps += 1;
        self.party(Party::Trainer).steps += 1;
        Ok(())
    }

    /// The epoch that is open, as it would be closed now. Without a step it pays nothing, and what was done in it
    /// is left for the next.
    ///
    /// Errors: `Overflow`, `Yuma`.
    pub(crate) fn closing(&self) -> Result<Closing, Fault> {
        let stake = |id| self.parties.get(&Party::Validator(id)).map_or(0, |report| report.stake);
        let stakes: Vec<Amount> = (0..self.terms.validators.len() as ValidatorId).map(stake).collect();
        let epoch = self.epochs.len() as u64;
        let settling = Settling {
            terms: &self.terms,
            number: epoch,
            tally: &self.tally,
            barred: &self.barred,
            stakes: &stakes,
            bonds: &self.bonds,
        };
        let Settled { budget, payouts, bonds } = settling.settle()?;
        let mut lifetimes = self.lifetimes.clone();
        for payout in &payouts {
            let lifetime = lifetimes.entry(payout.account).or_default();
            *lifetime = lifetime.checked_add(payout.amount).ok_or(Fault::Overflow { what: "a lifetime" })?;
        }
        let before = self.epochs.last().map_or(0, |epoch| epoch.lifetime_total);
        let lifetime_total = before.checked_add(budget).ok_or(Fault::Overflow { what: "the sum of lifetimes" })?;
        let root = merkle::root(&merkle::leaves(self.terms.chain_id, &self.terms.rewards, &lifetimes));
        let (payees, steps) = (lifetimes.len() as u64, self.tally.steps);
        let report = EpochReport { epoch, steps, budget, root, lifetime_total, payees, payouts, posted: None };
        Ok(Closing { report, lifetimes, bonds })
    }

    fn epoch_closed(&mut self, entry: &Entry) -> Result<(), Fault> {
        let &Entry::EpochClosed { epoch, budget, root, lifetime_total, payees } = entry else {
            unreachable!("called for closed epochs only");
        };
        let expected = self.epochs.len() as u64;
        if epoch != expected {
            return Err(Fault::EpochOrder { expected, given: epoch });
        }
        let closing = self.closing()?;
        let numbers = |budget: Amount, root: &Hash, lifetime_total: Amount, payees: u64| {
            [
                ("budget", budget.to_string()),
                ("root", hex::encode(root)),
                ("lifetime_total", lifetime_total.to_string()),
                ("payees", payees.to_string()),
            ]
        };
        let own = &closing.report;
        let due = numbers(own.budget, &own.root, own.lifetime_total, own.payees);
        for ((field, expected), (_, given)) in due.into_iter().zip(numbers(budget, &root, lifetime_total, payees)) {
            if expected != given {
                return Err(Fault::WrongEpoch { epoch, field, expected, given });
            }
        }
        self.close(closing);
        Ok(())
    }

    fn close(&mut self, closing: Closing) {
        let Closing { report, lifetimes, bonds } = closing;
        for &Payout { party, amount, .. } in &report.payouts {
            self.party(party).earned += amount; // part of a lifetime, which does not overflow
        }
        (self.lifetimes, self.bonds) = (lifetimes, bonds);
        if report.steps > 0 {
            self.tally = Tally::default();
        }
        self.epochs.push(report);
    }

    fn posted(&mut self, given: u64, block: u64, transaction: &Hash) -> Result<(), Fault> {
        if let Some(newest) = self.posted_newest().filter(|newest| *newest >= given) {
            return Err(Fault::PostedBefore { newest, given });
        }
        let closed = self.epochs.len() as u64;
        let epoch = usize::try_from(given).ok().and_then(|given| self.epochs.get_mut(given));
        let epoch = epoch.ok_or(Fault::PostedUnclosed { closed, given })?;
        epoch.posted = Some((block, *transaction));
        Ok(())
    }

    fn slashed(&mut self, party: Party, given: Amount) -> Result<(), Fault> {
        let barred = self.barred.contains(&party);
        let report = self.staked(party)?;
        if !barred || report.slashed > 0 {
            return Err(Fault::SlashWithoutFine { party });
        }
        let limit = report.stake;
        if given > limit {
            return Err(Fault::SlashAboveStake { party, limit, given });
        }
        report.stake -= given;
        report.slashed = given;
        Ok(())
    }
}

/// Whether a fine for the check needs verdicts: what only a recomputation, or a comparison of verdicts, can show.
fn rests_on_verdicts(check: Check) -> bool {
    Severity::of(check) == Severity::Mismatch && !matches!(check, Check::Prompt | Check::WeightVersion)
        || matches!(check, Check::Reward | Check::ActivationSign | Check::ActivationSpread | Check::VerdictDisagrees)
}
