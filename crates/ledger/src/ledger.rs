//! The ledger: a fold over the lines of its log.
//!
//! Promise: reading and writing judge a line by the same code; the same lines give the same ledger everywhere;
//! a refused line changes nothing. What an account has earned never falls.

use std::collections::BTreeMap;

use protocol::{
    Check, Commitment, Hash, Keypair, LeaseId, Party, RunId, Signed, StepNumber, ValidatorId, Verdict, WorkerId,
};
use serde::Serialize;

use crate::book::Book;
use crate::evidence::Signatures;
use crate::line::{FIRST_PREVIOUS, Line, head_after};
use crate::{Account, Amount, Entry, EpochReport, Fault, LedgerError, LedgerTerms, PartyReport, Payout, hex, merkle};

/// The book of a run, at some place in its log.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    book: Book,
    entries: u64,
    head: Hash,
    /// Lines since the last that the orchestrator signed.
    unsigned: u64,
}

/// What an account may claim on the chain, with the proof that the contract asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// Who is paid.
    pub account: Account,
    /// All that it has earned since the run began; the contract pays what it has not claimed yet.
    pub lifetime: Amount,
    /// Hashes from its leaf to the root, the lowest first.
    #[serde(serialize_with = "hashes")]
    pub proof: Vec<Hash>,
}

impl Ledger {
    /// Reads the first line of a log, which must be [`Entry::Opened`].
    ///
    /// Errors, all with position 0: those of [`Line::decode`]; `NotOpened`, `Reordered`, `Forged`, and those of [`LedgerTerms::check`].
    pub fn new(first: &[u8]) -> Result<Self, LedgerError> {
        Self::first(first).map_err(|fault| LedgerError::new(0, fault))
    }

    /// Opens a ledger. Gives it with its first line, without a line feed.
    ///
    /// Errors: those of [`LedgerTerms::check`], `Forged` if these are not the orchestrator's keys.
    pub fn open(terms: LedgerTerms, keys: &Keypair) -> Result<(Self, String), LedgerError> {
        let open = || {
            terms.check()?;
            let entry = Entry::Opened(Box::new(terms.clone()));
            let line = Line::new(&terms.run_id(), 0, FIRST_PREVIOUS, entry, keys)?.encode()?;
            Ok((Self::first(line.as_bytes())?, line))
        };
        open().map_err(|fault: Fault| LedgerError::new(0, fault))
    }

    fn first(bytes: &[u8]) -> Result<Self, Fault> {
        let line = Line::decode(bytes, None)?;
        let Entry::Opened(terms) = &line.entry else { return Err(Fault::NotOpened) };
        check_place(&line, 0)?;
        let book = Book::open((**terms).clone())?;
        check_signature(&line, &FIRST_PREVIOUS, &book)?;
        Ok(Self { book, entries: 1, head: head_after(&FIRST_PREVIOUS, bytes), unsigned: 0 })
    }

    /// Takes the next line, without its line feed.
    ///
    /// Errors: every [`Fault`], with the position at which the line should stand. The ledger is then as before.
    pub fn apply(&mut self, line: &[u8]) -> Result<(), LedgerError> {
        self.next(line).map_err(|fault| LedgerError::new(self.entries, fault))
    }

    fn next(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let line = Line::decode(bytes, Some(&self.book.terms.run))?;
        check_place(&line, self.entries)?;
        check_signature(&line, &self.head, &self.book)?;
        self.book.take(&line.entry, Signatures::Verify)?;
        self.count(&line, bytes);
        Ok(())
    }

    fn count(&mut self, line: &Line, bytes: &[u8]) {
        (self.entries, self.head) = (self.entries + 1, head_after(&self.head, bytes));
        self.unsigned = if line.signature.is_some() { 0 } else { self.unsigned + 1 };
    }

    /// Writes the next line and takes it. Gives the line, without a line feed, for the end of the log.
    ///
    /// Errors: as [`Self::apply`] on that line.
    pub fn append(&mut self, entry: Entry, keys: &Keypair) -> Result<String, LedgerError> {
        self.write(entry, keys, Signatures::Verify).map_err(|fault| LedgerError::new(self.entries, fault))
    }

    /// The same for an entry whose nested records the caller has just verified, as those of a
    /// [`protocol::VerifiedGroup`] are: verifying a signature again takes 42 µs, two or three an accepted group,
    /// and most of the time of a line. Whoever reads the line verifies them.
    ///
    /// Errors: as [`Self::append`], but for `BadSignature`.
    pub fn append_verified(&mut self, entry: Entry, keys: &Keypair) -> Result<String, LedgerError> {
        self.write(entry, keys, Signatures::Verified).map_err(|fault| LedgerError::new(self.entries, fault))
    }

    /// What [`Self::next`] looks at beside the entry holds of a line just made: its place, its one form, and,
    /// if these are the orchestrator's keys, its signature.
    fn write(&mut self, entry: Entry, keys: &Keypair, signatures: Signatures) -> Result<String, Fault> {
        if keys.public() != self.book.terms.run.orchestrator {
            return Err(Fault::Forged);
        }
        let line = Line::new(&self.book.run, self.entries, self.head, entry, keys)?;
        let text = line.encode()?;
        self.book.take(&line.entry, signatures)?;
        self.count(&line, text.as_bytes());
        Ok(text)
    }

    /// The entry that closes the epoch that is open; [`Self::append`] it. It may be closed whenever one likes:
    /// before its steps are trained it pays their share, and without a step nothing. Then lifetimes, and so the
    /// root, stay as they were, and what was done is left for the next epoch: the number is new, and a root that
    /// was dropped on the chain can be posted under it.
    ///
    /// Errors: `Overflow`, `Yuma`.
    pub fn close(&self) -> Result<Entry, LedgerError> {
        let closing = self.book.closing().map_err(|fault| LedgerError::new(self.entries, fault))?;
        Ok(closing.entry())
    }

    /// Whether the open epoch has all its steps, so that it should be closed.
    pub fn due(&self) -> bool {
        self.book.steps_in_epoch() >= self.book.terms.economy.epoch_steps
    }

    /// Number of the epoch that is open; the first is 0.
    pub fn epoch(&self) -> u64 {
        self.book.epochs.len() as u64
    }

    /// Steps trained since the last epoch was closed.
    pub fn steps_open(&self) -> u64 {
        self.book.steps_in_epoch()
    }

    /// The last step that was trained; 0 if none was.
    pub fn steps_trained(&self) -> StepNumber {
        self.book.steps
    }

    /// The terms.
    pub fn terms(&self) -> &LedgerTerms {
        &self.book.terms
    }

    /// Id of the run.
    pub fn run_id(&self) -> RunId {
        self.book.run
    }

    /// Lines so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Lines at the end that no signature of the orchestrator covers yet: credits since the last line that it signed.
    pub fn unsigned(&self) -> u64 {
        self.unsigned
    }

    /// What stands for all lines so far; see [`head_after`].
    pub fn head(&self) -> Hash {
        self.head
    }

    /// Closed epochs, from the first.
    pub fn epochs(&self) -> &[EpochReport] {
        &self.book.epochs
    }

    /// What a closed epoch paid; empty if it is not closed.
    pub fn payouts(&self, epoch: u64) -> &[Payout] {
        let epoch = usize::try_from(epoch).ok().and_then(|epoch| self.book.epochs.get(epoch));
        epoch.map_or(&[], |epoch| &epoch.payouts)
    }

    /// What each account has earned in closed epochs.
    pub fn lifetimes(&self) -> &BTreeMap<Account, Amount> {
        &self.book.lifetimes
    }

    /// What an account has earned in closed epochs.
    pub fn lifetime(&self, account: &Account) -> Amount {
        self.book.lifetimes.get(account).copied().unwrap_or(0)
    }

    /// What all have earned in closed epochs.
    pub fn lifetime_total(&self) -> Amount {
        self.book.epochs.last().map_or(0, |epoch| epoch.lifetime_total)
    }

    /// What each party has done.
    pub fn parties(&self) -> &BTreeMap<Party, PartyReport> {
        &self.book.parties
    }

    /// Merkle root of the last closed epoch; zeros if there is none.
    pub fn root(&self) -> Hash {
        self.book.epochs.last().map_or([0; 32], |epoch| epoch.root)
    }

    /// The newest epoch whose root is on the chain, as the log says.
    pub fn posted(&self) -> Option<u64> {
        self.book.posted_newest()
    }

    /// Whether a group was credited on this lease before, as after a run was resumed.
    pub fn has_credited(&self, lease: LeaseId) -> bool {
        self.book.has_credited(lease)
    }

    /// Whether these verdicts on a worker's answer convict it of failing this check, signatures aside: a writer
    /// asks before it puts them into a fine. One that rests on its own word, about bytes that came for the same
    /// lease, is refused with verdicts that say something else.
    pub fn convicts(
        &self,
        worker: WorkerId,
        check: Check,
        commitment: &Signed<Commitment>,
        verdicts: &[Signed<Verdict>],
    ) -> bool {
        self.book.convicts(worker, check, commitment, verdicts)
    }

    /// Whether this validator's answer to this plant is in the log.
    pub fn has_plant_answer(&self, plant: u64, validator: ValidatorId) -> bool {
        self.book.has_plant_answer(plant, validator)
    }

    /// Whether a party was fined for a lie: it is paid nothing any more.
    pub fn is_barred(&self, party: Party) -> bool {
        self.book.is_barred(party)
    }

    /// What an account may claim against the root of the last closed epoch; none if it has earned nothing.
    pub fn claim(&self, account: &Account) -> Option<Claim> {
        claim_of(&self.book.terms, &self.book.lifetimes, account)
    }

    /// What an account may claim against the root of that closed epoch, which may not be the last.
    pub fn claim_at(&self, epoch: u64, account: &Account) -> Option<Claim> {
        claim_of(&self.book.terms, &self.lifetimes_at(epoch)?, account)
    }

    /// What each account had earned when that epoch was closed; none if it is open.
    pub fn lifetimes_at(&self, epoch: u64) -> Option<BTreeMap<Account, Amount>> {
        let epochs = self.book.epochs.get(..=usize::try_from(epoch).ok()?)?;
        let mut lifetimes = BTreeMap::new();
        for payout in epochs.iter().flat_map(|epoch| &epoch.payouts) {
            *lifetimes.entry(payout.account).or_default() += payout.amount; // at most the lifetime of today
        }
        Some(lifetimes)
    }
}

fn claim_of(terms: &LedgerTerms, lifetimes: &BTreeMap<Account, Amount>, account: &Account) -> Option<Claim> {
    let index = lifetimes.keys().position(|other| other == account)?;
    let lifetime = *lifetimes.get(account)?;
    let leaves = merkle::leaves(terms.chain_id, &terms.rewards, lifetimes);
    Some(Claim { account: *account, lifetime, proof: merkle::proof(&leaves, index) })
}

fn check_place(line: &Line, expected: u64) -> Result<(), Fault> {
    match line.seq == expected {
        true => Ok(()),
        false => Err(Fault::Reordered { expected, given: line.seq }),
    }
}

fn check_signature(line: &Line, head: &Hash, book: &Book) -> Result<(), Fault> {
    match line.is_signed_by(&book.run, head, &book.terms.run.orchestrator) {
        true => Ok(()),
        false => Err(Fault::Forged),
    }
}

fn hashes<S: serde::Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(|hash| format!("0x{}", hex::encode(hash))))
}
