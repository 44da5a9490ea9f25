//! From what was verified to who is paid: the ledger, and the chain that it is settled on.
//!
//! Promise: every fact is one signed line of `ledger.jsonl` before anything follows from it; what a killed
//! process had written is never credited, posted or slashed twice.
//! Takes: facts of the conductor, and what the chain's thread has done. Gives: events, and orders to that thread.
//! Never: decides who is fined, or waits for the chain.

mod bank;
mod book;
mod cases;
mod genesis;
mod remote;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chain::{B256, EpochToPost};
use ledger::{Amount, Entry, Ledger, LedgerError};
use protocol::{Check, Commitment, LeaseId, Outcome, Party, RunTerms, Signed, ValidatorId, Verdict, VerifiedGroup};
use rounds::PlantId;

use crate::config::RunConfig;
use crate::run::parties::Parties;
pub use bank::{Bank, BankNews, BankOrder, WHO, keep};
pub use book::{Book, ledger_path};
pub use cases::Accusation;
pub use genesis::{Ground, addresses_path, chain_path, check_deterrence, economy, endow, plan};
use record::events::{EpochClosed, EpochPosted, Event, PaidOut, StakeSlashed};
pub use remote::{is_development, reach};

/// Where the proofs of a run are.
pub fn claims_path(run: &Path) -> PathBuf {
    run.join("claims.json")
}

/// Opens the ledger of a new run, and makes its chain.
pub fn begin(config: &RunConfig, run: &Path, parties: &Parties, terms: &RunTerms) -> Result<(Book, Ground)> {
    let worth = economy(config);
    let ground = genesis::found(config, run, parties, &worth).context("making the run's chain")?;
    let stakes = genesis::stakes_seen(&ground, parties, &worth)?;
    let terms = genesis::terms(terms, parties, worth, &ground);
    let book = Book::create(&ledger_path(run), parties.orchestrator(), terms, &stakes)?;
    Ok((book, ground))
}

/// The ledger and the chain that an earlier process left.
///
/// Errors: there is no ledger; the settings of the run were changed; whatever is wrong with the ledger or the chain.
pub fn resume(config: &RunConfig, run: &Path, parties: &Parties, terms: &RunTerms) -> Result<(Book, Ground)> {
    let path = ledger_path(run);
    ensure!(
        path.exists(),
        "{} is missing, and this run is to be paid: bring the file back, or go on without a ledger with \
         --set economy.enabled=false",
        path.display()
    );
    let book = Book::open(&path, parties.orchestrator())?;
    let ground = genesis::reopen(config, run).context("opening the run's chain")?;
    let wanted = genesis::terms(terms, parties, economy(config), &ground);
    ensure!(
        *book.ledger().terms() == wanted,
        "the settings of {} were changed: what work is worth is settled when a run begins",
        run.display()
    );
    Ok((book, ground))
}

/// Leases whose verdicts are kept in mind for fines that are still to come.
const EVIDENCE_MAX: usize = 64;

/// What is known of a lease when somebody is fined for it.
#[derive(Clone, Default)]
struct Evidence {
    commitment: Option<Signed<Commitment>>,
    verdicts: Vec<Signed<Verdict>>,
}

/// Keeps the ledger, and tells the chain's thread what to settle.
pub struct Paymaster {
    book: Book,
    /// To the chain's thread.
    bank: SyncSender<BankOrder>,
    /// Where proofs are written.
    claims: PathBuf,
    chain_url: Option<String>,
    /// Who was told to lie, for the table.
    cheats: BTreeMap<Party, String>,
    evidence: BTreeMap<LeaseId, Evidence>,
    /// Why a fine has cost nothing.
    spared: BTreeMap<Party, String>,
    /// Orders for which its queue has no room: at most one root (a later one holds all of an earlier), and one
    /// accusation of each party.
    unsent: VecDeque<BankOrder>,
    /// Orders that are not answered, those unsent too.
    waiting: u64,
    told: Option<String>,
    spent: Duration,
    chain_busy: Duration,
}

impl Paymaster {
    /// A paymaster over a ledger, with a way to the chain's thread. Proofs go to `claims`.
    pub fn new(
        book: Book,
        bank: SyncSender<BankOrder>,
        claims: PathBuf,
        chain_url: Option<String>,
        cheats: BTreeMap<Party, String>,
    ) -> Self {
        Self {
            book,
            bank,
            claims,
            chain_url,
            cheats,
            evidence: BTreeMap::new(),
            spared: BTreeMap::new(),
            unsent: VecDeque::new(),
            waiting: 0,
            told: None,
            spent: Duration::ZERO,
            chain_busy: Duration::ZERO,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        self.book.ledger()
    }

    /// A group passed its checks: it is a [`VerifiedGroup`], so its signatures are good.
    pub fn accepted(&mut self, commitment: &Signed<Commitment>, group: &VerifiedGroup) -> Result<()> {
        if self.ledger().has_credited(commitment.body.lease) {
            return Ok(());
        }
        let entry = Entry::Accepted { commitment: commitment.clone(), verdicts: group.verdicts().to_vec() };
        let start = Instant::now();
        let appended = self.book.append_verified(entry);
        self.spent += start.elapsed();
        appended
    }

    /// Keeps the verdicts on a lease in mind for the fines that rest on them.
    pub fn hold_evidence(
        &mut self,
        lease: LeaseId,
        commitment: Option<&Signed<Commitment>>,
        verdicts: &[Signed<Verdict>],
    ) {
        let evidence = Evidence { commitment: commitment.cloned(), verdicts: verdicts.to_vec() };
        self.evidence.insert(lease, evidence);
        if self.evidence.len() > EVIDENCE_MAX {
            self.evidence.pop_first();
        }
    }

    /// Somebody is fined: it is paid nothing any more, and its stake is asked for.
    pub fn fined(&mut self, party: Party, lease: Option<LeaseId>, check: Check) -> Result<Option<Event>> {
        if self.has_fined(party) {
            return Ok(None);
        }
        let known = lease.and_then(|lease| self.evidence.get(&lease)).cloned().unwrap_or_default();
        let shown = match party {
            Party::Worker(_) => self.convicted_of(&known.verdicts, check),
            _ => (check == Check::VerdictDisagrees).then_some(check),
        };
        let (commitment, verdicts) = match (shown, party) {
            (None, _) => (None, Vec::new()),
            (Some(_), Party::Worker(_)) => (known.commitment, known.verdicts),
            (Some(_), _) => (None, known.verdicts),
        };
        let check = shown.unwrap_or(check);
        let entry = Entry::Fined { party, check, lease, commitment, verdicts };
        match self.append(entry) {
            Ok(()) => self.accuse(party).map(|()| None),
            // What the ledger does not believe costs nothing; the rules have banned the party all the same. A line
            // that could not be written is another matter: nothing may follow from it.
            Err(error) => match error.downcast::<LedgerError>() {
                Ok(error) => {
                    Ok(Some(warning(format!("{party} keeps its stake: the ledger refuses the fine: {error}"))))
                }
                Err(error) => Err(error),
            },
        }
    }

    /// A validator has answered a plant.
    pub fn planted(&mut self, plant: PlantId, validator: ValidatorId, caught: bool) -> Result<()> {
        match self.ledger().has_plant_answer(plant, validator) {
            true => Ok(()),
            false => self.append(Entry::PlantAnswered { plant, validator, caught }),
        }
    }

    /// A step was trained; after the last one of its epoch the epoch is closed.
    pub fn trained(&mut self, step: u64) -> Result<Option<Event>> {
        if step > self.ledger().steps_trained() {
            self.append(Entry::Trained { step })?;
        }
        match self.ledger().due() {
            true => self.close().map(Some),
            false => Ok(None),
        }
    }

    /// Does what an earlier process had no time for: an epoch to be closed or posted, a fine without a case.
    pub fn catch_up(&mut self) -> Result<Option<Event>> {
        for party in self.unpaid_fines() {
            self.accuse(party)?;
        }
        match self.ledger().due() {
            true => self.close().map(Some),
            false => self.post().map(|()| None),
        }
    }

    /// The end: closes the epoch that is open if the run is over, and lets the chain's windows pass.
    pub fn wind_up(&mut self, is_over: bool) -> Result<Option<Event>> {
        let closed = match is_over && self.ledger().steps_open() > 0 {
            true => Some(self.close()?),
            false => None,
        };
        self.order(BankOrder::WindUp)?;
        Ok(closed)
    }

    /// Takes what the chain's thread has to say; the ledger has it before the event.
    pub fn hear(&mut self, news: BankNews) -> Result<Option<Event>> {
        match news {
            BankNews::Posted { epoch, block, transaction } => {
                if self.ledger().posted().is_none_or(|newest| newest < epoch) {
                    self.append(Entry::Posted { epoch, block, transaction })?;
                }
                let transaction = format!("0x{}", hex::encode(transaction));
                Ok(Some(Event::EpochPosted(EpochPosted { epoch, block, transaction })))
            }
            BankNews::Slashed { party, amount, block } => {
                self.spared.remove(&party);
                self.append(Entry::Slashed { party, amount, block })?;
                Ok(Some(Event::StakeSlashed(StakeSlashed { party, amount, block })))
            }
            BankNews::Spared { party, why } => {
                self.spared.insert(party, why.clone());
                Ok(Some(warning(format!("{party} keeps its stake: {why}"))))
            }
            BankNews::Trouble { words } => {
                let is_news = self.told.as_ref() != Some(&words);
                self.told = Some(words.clone());
                Ok(is_news.then(|| warning(format!("chain: {words}; it is tried again"))))
            }
            BankNews::Done { busy } => {
                self.waiting -= 1;
                self.chain_busy += busy;
                self.send()?;
                Ok(None)
            }
        }
    }

    /// Whether an order is unanswered.
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Who has what; writes the proofs.
    pub fn pay_out(&mut self) -> Result<PaidOut> {
        let start = Instant::now();
        table::write_claims(&self.claims, self.ledger())?;
        let mut paid = table::of(self.ledger(), &self.cheats, &self.spared);
        paid.chain_url = self.chain_url.clone();
        self.spent += start.elapsed();
        (paid.seconds, paid.chain_seconds) = (self.spent.as_secs_f64(), self.chain_busy.as_secs_f64());
        Ok(paid)
    }

    fn append(&mut self, entry: Entry) -> Result<()> {
        let start = Instant::now();
        let appended = self.book.append(entry);
        self.spent += start.elapsed();
        appended
    }

    /// Closes the epoch that is open and has it posted.
    fn close(&mut self) -> Result<Event> {
        let start = Instant::now();
        let entry = self.ledger().close()?;
        self.spent += start.elapsed();
        self.append(entry)?;
        self.post()?;
        let last = self.ledger().epochs().last().ok_or_else(|| anyhow!("a closed epoch is not in the ledger"))?;
        let root = format!("0x{}", hex::encode(last.root));
        let (epoch, budget) = (last.epoch, last.budget);
        let (lifetime_total, payees) = (last.lifetime_total, last.payees);
        Ok(Event::EpochClosed(EpochClosed { epoch, budget, root, lifetime_total, payees }))
    }

    /// Has the last closed epoch posted, if it is not. Its file hash is that of the ledger's last line, which
    /// names all lines before.
    fn post(&mut self) -> Result<()> {
        let ledger = self.ledger();
        let Some(last) = ledger.epochs().last().filter(|last| last.posted.is_none()) else { return Ok(()) };
        let (epoch, root, lifetime_total) = (last.epoch, B256::from(last.root), last.lifetime_total);
        let file_hash = B256::from(ledger.head());
        self.order(BankOrder::Post(EpochToPost { epoch, root, lifetime_total, file_hash, uri: String::new() }))
    }

    /// Asks for the stake of a party that was fined.
    fn accuse(&mut self, party: Party) -> Result<()> {
        let (ledger, payee) = (self.book.ledger(), party);
        let (Some(report), Some(evidence)) = (ledger.parties().get(&payee), self.book.fines().get(&payee)) else {
            return Ok(());
        };
        let slash = &ledger.terms().economy.slash;
        let amount = report.fines.iter().map(|check| slash.amount(*check, report.stake)).fold(0, Amount::max);
        if amount == 0 {
            return Ok(());
        }
        let (accused, evidence) = (report.account.0.into(), B256::from(*evidence));
        self.order(BankOrder::Accuse(Accusation { party, accused, amount, evidence }))
    }

    /// Parties that were fined and have not paid.
    fn unpaid_fines(&self) -> Vec<Party> {
        let unpaid =
            self.ledger().parties().iter().filter(|(_, report)| !report.fines.is_empty() && report.slashed == 0);
        unpaid.map(|(party, _)| *party).collect()
    }

    /// What verdicts convict the worker of, if more accuse it than clear it, those of fined validators aside: the
    /// check of the fine if one of them names it, else the first that is named, since the rules fine for the
    /// clearest fault that the numbers show. A fine for bytes that the desk could not take may name a lease that
    /// nobody finds fault with.
    fn convicted_of(&self, verdicts: &[Signed<Verdict>], fined_for: Check) -> Option<Check> {
        let heard = |verdict: &&Signed<Verdict>| !self.ledger().is_barred(Party::Validator(verdict.body.validator));
        let outcomes: Vec<Outcome> = verdicts.iter().filter(heard).map(|verdict| verdict.body.outcome).collect();
        let accused = |outcome: &Outcome| match outcome {
            Outcome::Invalid(reason) => Some(reason.check),
            _ => None,
        };
        let named: Vec<Check> = outcomes.iter().filter_map(accused).collect();
        let cleared = outcomes.iter().filter(|outcome| **outcome == Outcome::Valid).count();
        let check = if named.contains(&fined_for) { Some(fined_for) } else { named.first().copied() };
        check.filter(|_| named.len() > cleared)
    }

    fn has_fined(&self, party: Party) -> bool {
        self.ledger().parties().get(&party).is_some_and(|report| !report.fines.is_empty())
    }

    fn order(&mut self, order: BankOrder) -> Result<()> {
        if matches!(order, BankOrder::Post(_)) {
            let before = self.unsent.len();
            self.unsent.retain(|order| !matches!(order, BankOrder::Post(_)));
            self.waiting -= (before - self.unsent.len()) as u64;
        }
        self.waiting += 1;
        self.unsent.push_back(order);
        self.send()
    }

    /// Hands over what there is room for; never waits.
    fn send(&mut self) -> Result<()> {
        while let Some(order) = self.unsent.pop_front() {
            match self.bank.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => {
                    self.unsent.push_front(order);
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => bail!("the chain's thread ended unexpectedly"),
            }
        }
        Ok(())
    }
}

fn warning(message: String) -> Event {
    Event::Warning { message }
}
