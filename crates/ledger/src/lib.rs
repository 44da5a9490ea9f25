//! The book of a run: what was done, and so what is owed.
//!
//! Promise: integers only; the same entries give the same payouts on every machine; each epoch pays exactly its
//! budget; the whole book, and the root that goes on the chain, follow from the log alone.
//! Takes: signed facts, one a line. Gives: payouts, one Merkle root an epoch, claims with their proofs.
//! Never: reads a clock, a file or a chain, or uses a float.
//!
//! One money unit everywhere: micro-ESM. Units, rounding, the format of the log: `docs/ledger.md`.

#![deny(clippy::float_arithmetic)]
#![forbid(unsafe_code)]

mod accepted;
mod account;
mod audit;
mod book;
mod deterrence;
mod economy;
mod entry;
mod error;
mod evidence;
mod hex;
mod ledger;
pub mod line;
pub mod merkle;
pub mod presets;
mod rounding;
mod settle;
mod tally;
mod terms;
pub mod yuma;

pub use account::{Account, AccountError, keccak256};
pub use audit::{AuditReport, EpochReport, PartyReport, audit};
pub use book::{Rehearsal, RehearsedVote};
pub use deterrence::{BOUNTY_PPM, Gap, MEASURED_LIES, MeasuredLie, Sides, Undeterred, VALIDATORS_LEAST, Watch};
pub use economy::{Economy, Pool, Severity, SlashSchedule, Split};
pub use entry::Entry;
pub use error::{EconomyError, Fault, LedgerError};
pub use ledger::{Claim, Ledger};
pub use line::Line;
pub use rounding::largest_remainder;
pub use settle::Payout;
pub use terms::LedgerTerms;

/// Money in micro-ESM, the smallest unit of the token.
pub type Amount = u64;

/// One ESM: the token has six decimals.
pub const ESM: Amount = 1_000_000;
