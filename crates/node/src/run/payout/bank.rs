//! The thread that works on the chain, beside the run.
//!
//! Promise: orders are done in their order, each is answered by one `Done`, and what cannot be done yet is tried
//! again with every later order; a chain that fails is told of and stops nobody: the ledger keeps what is owed.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use chain::{ChainError, EpochToPost, Wallet, settle_epoch};
use ledger::Ledger;
use protocol::{Hash, Party};

use super::cases::{Accusation, Court, Standing};
use super::genesis::Ground;
use crate::run::messages::News;
use crate::run::parties::Parties;

/// What the thread calls itself.
pub const WHO: &str = "bank";

/// To the chain's thread.
pub enum BankOrder {
    /// Post the root of a closed epoch.
    Post(EpochToPost),
    /// Take the stake of a party that was fined.
    Accuse(Accusation),
    /// The run ends: let the windows pass, if the clock is ours, so that all can be claimed.
    WindUp,
}

/// What the chain's thread has to say.
#[derive(Debug)]
pub enum BankNews {
    /// A root is on the chain.
    Posted {
        /// Its epoch.
        epoch: u64,
        /// Block that holds it.
        block: u64,
        /// Hash of the transaction.
        transaction: Hash,
    },
    /// Stake was taken.
    Slashed {
        /// Whose.
        party: Party,
        /// How much.
        amount: u64,
        /// In which block.
        block: u64,
    },
    /// A fine costs no stake, or not yet.
    Spared {
        /// Whose.
        party: Party,
        /// Why.
        why: String,
    },
    /// Something was not done; it is tried again.
    Trouble {
        /// What, and why.
        words: String,
    },
    /// An order was worked on.
    Done {
        /// Time at work.
        busy: Duration,
    },
}

/// The chain with the wallets that act on it.
pub struct Bank {
    /// The chain and the contracts.
    pub ground: Ground,
    /// Posts and accuses.
    pub orchestrator: Wallet,
    /// The committee, each member a validator.
    pub committee: Vec<(Party, Wallet)>,
    /// Parties that were fined so far.
    pub fined: Vec<Party>,
}

impl Bank {
    /// The bank of a run whose ledger has come so far.
    pub fn of(ground: Ground, parties: &Parties, ledger: &Ledger) -> Self {
        let validators = (0..parties.validator_count()).map(Party::Validator);
        let fined = ledger.parties().iter().filter(|(_, report)| !report.fines.is_empty());
        Self {
            ground,
            orchestrator: parties.orchestrator_wallet(),
            committee: validators.map(|party| (party, parties.wallet(party))).collect(),
            fined: fined.map(|(party, _)| *party).collect(),
        }
    }
}

/// Does what is ordered until the conductor hangs up.
pub fn keep(bank: Bank, orders: &Receiver<BankOrder>, news: &SyncSender<News>) {
    let _guard = Guard(news);
    let mut teller = Teller { bank, unposted: None, cases: Vec::new(), news };
    while let Ok(order) = orders.recv() {
        let start = Instant::now();
        let told = teller.obey(order).and_then(|()| teller.tell(BankNews::Done { busy: start.elapsed() }));
        if told.is_err() {
            return; // the conductor is gone
        }
    }
}

/// Tells of a panic: at the end of a run the conductor waits for this thread alone.
struct Guard<'a>(&'a SyncSender<News>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = anyhow::anyhow!("the thread panicked");
            let _ = self.0.send(News::Failed { who: WHO.to_owned(), error }); // if the conductor is gone, nobody waits
        }
    }
}

/// The conductor is gone.
struct Gone;

struct Teller<'a> {
    bank: Bank,
    /// The newest root that is not on the chain.
    unposted: Option<EpochToPost>,
    /// Fines whose stake is not taken.
    cases: Vec<Accusation>,
    news: &'a SyncSender<News>,
}

impl Teller<'_> {
    fn tell(&self, news: BankNews) -> Result<(), Gone> {
        self.news.send(News::Bank(news)).map_err(|_| Gone)
    }

    fn obey(&mut self, order: BankOrder) -> Result<(), Gone> {
        let mut is_end = false;
        match order {
            BankOrder::Post(epoch) => self.unposted = Some(epoch),
            BankOrder::Accuse(accusation) => {
                self.bank.fined.push(accusation.party);
                self.cases.push(accusation);
            }
            BankOrder::WindUp => is_end = true,
        }
        for accusation in std::mem::take(&mut self.cases) {
            self.accuse(accusation, is_end)?;
        }
        self.post()?;
        match is_end.then(|| self.wind_up()) {
            Some(Err(error)) => self.tell(BankNews::Trouble { words: format!("the last root is not live: {error}") }),
            _ => Ok(()),
        }
    }

    fn post(&mut self) -> Result<(), Gone> {
        let Some(epoch) = &self.unposted else { return Ok(()) };
        let number = epoch.epoch;
        match settle(&mut self.bank, epoch) {
            Ok(Some((block, transaction))) => {
                self.unposted = None;
                self.tell(BankNews::Posted { epoch: number, block, transaction })
            }
            Ok(None) => Ok(()), // its time has not come, and the clock is not ours
            Err(error) => self.tell(BankNews::Trouble { words: format!("epoch {number} is not posted: {error}") }),
        }
    }

    fn accuse(&mut self, accusation: Accusation, is_end: bool) -> Result<(), Gone> {
        let Bank { ground, orchestrator, committee, fined } = &mut self.bank;
        let sits = |(party, _): &&(Party, Wallet)| !fined.contains(party);
        let members = committee.iter().filter(sits).map(|(_, wallet)| wallet).collect();
        let court = Court { contracts: &ground.contracts, challenger: orchestrator, members };
        let party = accusation.party;
        let news = match court.pursue(&mut *ground.chain, &accusation) {
            Ok(Standing::Taken { amount, block }) => BankNews::Slashed { party, amount, block },
            Ok(Standing::Nothing { why }) => BankNews::Spared { party, why },
            Ok(Standing::Waits { until_s }) => {
                self.cases.push(accusation);
                if !is_end {
                    return Ok(());
                }
                BankNews::Spared { party, why: format!("its case goes on at second {until_s} of the chain's clock") }
            }
            Err(error) => {
                self.cases.push(accusation);
                BankNews::Trouble { words: format!("the stake of {party} is not taken: {error}") }
            }
        };
        self.tell(news)
    }

    /// Lets the window of the last root pass.
    fn wind_up(&mut self) -> Result<(), ChainError> {
        let Ground { chain, contracts } = &mut self.bank.ground;
        let Some(pending) = contracts.pending_root(&**chain)? else { return Ok(()) };
        let now_s = chain.head()?.time_s;
        chain.advance(pending.live_at_s.saturating_sub(now_s)).map(drop)
    }
}

/// Posts a root, moving the clock where something has to be waited for and the clock is ours. None if it is not.
fn settle(bank: &mut Bank, epoch: &EpochToPost) -> Result<Option<(u64, Hash)>, ChainError> {
    let Ground { chain, contracts } = &mut bank.ground;
    loop {
        match settle_epoch(&mut **chain, contracts, &bank.orchestrator, epoch) {
            Ok(settled) => return Ok(Some((settled.block, settled.transaction.0))),
            Err(ChainError::NotYet { ready_at_s, now_s, .. }) => {
                if !chain.advance(ready_at_s.saturating_sub(now_s).max(1))? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}
