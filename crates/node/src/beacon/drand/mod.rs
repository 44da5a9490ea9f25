//! The drand network as a beacon: signed rounds, fetched over HTTP.
//!
//! Promise: a point is given only if drand's signature over exactly the round that was asked for
//! verified on this machine, so a relay can keep a round back but cannot invent one. Every wait, every
//! answer and every retry is bounded.
//! Takes: the moment of a question. Gives: the first round that was not due yet at that moment.
//! Never: falls back to another source of randomness. When all relays fail it says what each did last.
//!
//! Relays are asked as drand's HTTP API has it: `GET {url}/{chain hash}/public/{round}`
//! (docs.drand.love, "HTTP API"). A proxy named by the environment is used, as for model downloads.

#[cfg(test)]
mod tests;

use std::thread;
use std::time::Duration;

use proof::beacon::drand::{self, CHAINS, Chain};
use protocol::{BeaconPoint, BeaconRound, BeaconTerms, Hash};
use serde::Deserialize;
use ureq::{Agent, http::StatusCode};

use super::{Beacon, BeaconError};
use crate::clock::now_ms;

/// Relays that are asked where the run file names none: three of the League of Entropy, one of Cloudflare.
pub const URLS: [&str; 4] =
    ["https://api.drand.sh", "https://api2.drand.sh", "https://api3.drand.sh", "https://drand.cloudflare.com"];
/// Most relays of one run.
pub const URLS_MAX: usize = 32;
/// Largest answer that is read. The longest honest one, of the default chain, has about 550 bytes.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Characters shown of what a relay or the network said.
const WORDS_MAX: usize = 200;

/// How long a relay is given, and how often all of them are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Longest time for one answer, from the connection to the last byte.
    pub answer: Duration,
    /// Times that each relay is asked for a round.
    pub tries: u32,
    /// Pause after all relays failed once; it doubles each time.
    pub pause: Duration,
}

impl Default for Patience {
    /// Six times within about half a minute, plus what slow relays take.
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), tries: 6, pause: Duration::from_secs(1) }
    }
}

/// What went wrong when one relay was asked once.
#[derive(Debug, thiserror::Error)]
pub enum RelayFault {
    /// No answer came, or it broke off.
    #[error("no whole answer: {0}")]
    NoAnswer(String),
    /// The answer is longer than any honest one.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// Bytes read at most.
        limit: u64,
    },
    /// The relay refuses, or does not have the round yet.
    #[error("the answer is HTTP status {0}")]
    Status(u16),
    /// The answer is not what drand's relays send.
    #[error("the answer is not a drand round: {0}")]
    NotARound(String),
    /// The answer is about another round.
    #[error("asked for round {asked}, the answer is about round {given}")]
    OtherRound {
        /// The round asked for.
        asked: BeaconRound,
        /// The round in the answer.
        given: BeaconRound,
    },
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] proof::beacon::BeaconError),
}

/// Why drand gave no point.
#[derive(Debug, thiserror::Error)]
pub enum DrandError {
    /// A chain that this program has no key of.
    #[error("there is no drand chain {given:?} here; known: {known}", known = names())]
    UnknownChain {
        /// Name or hash.
        given: String,
    },
    /// No relay to ask, or too many.
    #[error("drand needs 1 to {URLS_MAX} relays, given {given}")]
    Relays {
        /// How many there are.
        given: usize,
    },
    /// A relay's address is not one.
    #[error("a drand relay's address starts with http:// or https://, given {given:?}")]
    Address {
        /// The address.
        given: String,
    },
    /// The relays were asked as often as they may be.
    #[error("drand round {round} of {chain}: asked {tries} times, no relay gave it; at last {}", list(faults))]
    GaveUp {
        /// The round.
        round: BeaconRound,
        /// Name of the chain.
        chain: &'static str,
        /// Times that each relay was asked.
        tries: u32,
        /// Each relay with what it did the last time.
        faults: Vec<(String, RelayFault)>,
    },
}

fn names() -> String {
    CHAINS.map(|chain| chain.name).join(", ")
}

fn list(faults: &[(String, RelayFault)]) -> String {
    let each: Vec<String> = faults.iter().map(|(url, fault)| format!("{url}: {fault}")).collect();
    each.join("; ")
}

/// A chain of drand and the relays to ask.
pub struct DrandSource {
    chain: &'static Chain,
    urls: Vec<String>,
    patience: Patience,
    agent: Agent,
    /// The latest round given, also by an earlier process: a clock that was put back does not lead behind it.
    floor: BeaconRound,
    /// The newest point given, since many questions fall into one round.
    last: Option<BeaconPoint>,
    /// The relay that answered last is asked first.
    first: usize,
}

impl DrandSource {
    /// A source for the chain of this name; no `urls` means [`URLS`].
    ///
    /// Errors: `UnknownChain`, `Relays`, `Address`.
    pub fn new(chain: &str, urls: &[String], patience: Patience) -> Result<Self, DrandError> {
        let known = drand::named(chain).ok_or_else(|| DrandError::UnknownChain { given: shorten(chain) })?;
        let urls: Vec<String> = match urls {
            [] => URLS.map(str::to_owned).to_vec(),
            urls => urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
        };
        if urls.len() > URLS_MAX {
            return Err(DrandError::Relays { given: urls.len() });
        }
        let is_address = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if let Some(given) = urls.iter().find(|url| !is_address(url)) {
            return Err(DrandError::Address { given: shorten(given) });
        }
        let config = Agent::config_builder().timeout_global(Some(patience.answer)).max_redirects(2);
        let agent = config.http_status_as_error(false).build().new_agent();
        Ok(Self { chain: known, urls, patience, agent, floor: 0, last: None, first: 0 })
    }

    /// What a run with this source writes into its terms.
    pub fn terms(&self) -> BeaconTerms {
        BeaconTerms::Drand { chain: self.chain.hash }
    }

    /// Whether terms name this source's chain.
    pub fn is_of(&self, chain: &Hash) -> bool {
        self.chain.hash == *chain
    }

    /// The source as an earlier process left it.
    pub fn opened_up_to(mut self, round: BeaconRound) -> Self {
        self.floor = round;
        self
    }

    /// The round that answers a question: not due at `asked_ms`, after `after`, and if the clock is behind
    /// what was given already, the one after that.
    fn answering(&self, asked_ms: u64, after: BeaconRound) -> BeaconRound {
        let due = self.round_after(asked_ms);
        let unseen = if due < self.floor { self.floor + 1 } else { due };
        unseen.max(after.saturating_add(1))
    }

    /// The first round that is due after a moment, milliseconds since 1970.
    pub fn round_after(&self, unix_ms: u64) -> BeaconRound {
        drand::round_at(self.chain, unix_ms / 1000) + 1
    }

    /// When a round is due, in milliseconds since 1970.
    pub fn due_ms(&self, round: BeaconRound) -> u64 {
        let seconds = round.saturating_sub(1).saturating_mul(u64::from(self.chain.period_s));
        self.chain.genesis_unix_s.saturating_add(seconds).saturating_mul(1000)
    }

    /// The point of a round that is due: asks one relay after the other, all of them [`Patience::tries`] times.
    ///
    /// Errors: `GaveUp`.
    pub fn point(&mut self, round: BeaconRound) -> Result<BeaconPoint, DrandError> {
        let mut pause = self.patience.pause;
        let mut faults = Vec::new();
        for tried in 0..self.patience.tries {
            if tried > 0 {
                thread::sleep(pause);
                pause = pause.saturating_mul(2);
            }
            match self.ask_all(round) {
                Ok(point) => return Ok(point),
                Err(latest) => faults = latest,
            }
        }
        let (chain, tries) = (self.chain.name, self.patience.tries);
        Err(DrandError::GaveUp { round, chain, tries, faults })
    }

    fn ask_all(&mut self, round: BeaconRound) -> Result<BeaconPoint, Vec<(String, RelayFault)>> {
        let mut faults = Vec::new();
        for place in 0..self.urls.len() {
            let index = (self.first + place) % self.urls.len();
            match self.ask(&self.urls[index], round) {
                Ok(point) => {
                    self.first = index;
                    return Ok(point);
                }
                Err(fault) => faults.push((self.urls[index].clone(), fault)),
            }
        }
        Err(faults)
    }

    /// Asks one relay once.
    fn ask(&self, url: &str, round: BeaconRound) -> Result<BeaconPoint, RelayFault> {
        let address = format!("{url}/{}/public/{round}", hex::encode(self.chain.hash));
        let mut answer = self.agent.get(address).call().map_err(no_answer)?;
        if answer.status() != StatusCode::OK {
            return Err(RelayFault::Status(answer.status().as_u16()));
        }
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(no_answer)?;
        let told: Told = serde_json::from_slice(&body).map_err(not_a_round)?;
        if told.round != round {
            return Err(RelayFault::OtherRound { asked: round, given: told.round });
        }
        let signature = hex::decode(told.signature).map_err(not_a_round)?;
        let previous = hex::decode(told.previous_signature).map_err(not_a_round)?;
        Ok(drand::verify(self.chain, round, &signature, &previous)?)
    }
}

/// What is used of a relay's answer. Its `randomness` is not: it follows from the signature.
#[derive(Deserialize)]
struct Told {
    round: BeaconRound,
    signature: String,
    #[serde(default)]
    previous_signature: String,
}

fn no_answer(error: ureq::Error) -> RelayFault {
    match error {
        ureq::Error::BodyExceedsLimit(limit) => RelayFault::TooLarge { limit },
        other => RelayFault::NoAnswer(shorten(&other.to_string())),
    }
}

fn not_a_round(error: impl ToString) -> RelayFault {
    RelayFault::NotARound(shorten(&error.to_string()))
}

/// Words from outside, at a length that fits into a message.
fn shorten(words: &str) -> String {
    words.chars().filter(|character| !character.is_control()).take(WORDS_MAX).collect()
}

impl Beacon for DrandSource {
    /// The first round due after `asked_ms` and not given before a step back of the clock; waits until it is, by this machine's clock, and at most two periods.
    fn later_than(&mut self, asked_ms: u64, after: BeaconRound) -> Result<BeaconPoint, BeaconError> {
        let round = self.answering(asked_ms, after);
        if let Some(point) = self.last.filter(|point| point.round == round) {
            return Ok(point);
        }
        let wait_max = u64::from(self.chain.period_s) * 2000;
        let wait = self.due_ms(round).saturating_sub(now_ms()).min(wait_max);
        thread::sleep(Duration::from_millis(wait));
        let point = self.point(round)?;
        self.floor = self.floor.max(round);
        self.last = Some(point);
        Ok(point)
    }
}
