//! The chain that pays: one trait, a chain in this process or one behind an address, and our contracts.
//!
//! Promise: the same calls do the same on both; nothing is paid or fined twice, whatever is killed when;
//! every failure has a name.
//! Takes: a wallet and what to do. Gives: receipts, views, decoded events.
//! Never: prints a secret, waits without a limit, or moves money on its own account.

mod backend;
pub mod bindings;
pub mod contracts;
mod deploy;
mod error;
mod files;
mod local;
mod revert;
mod settle;
pub mod units;
pub mod wallet;

pub use alloy_primitives::{Address, B256, Bytes, U256};
pub use backend::{Call, Chain, Filter, Head, Log, Receipt, Submitted};
pub use contracts::{Addresses, Contracts, EpochToPost, Event, NodeKind};
pub use deploy::{DeployPlan, Parties, Windows, deploy};
pub use error::{ChainError, StuckCause};
pub use local::{Genesis, JournalError, LocalChain};
pub use revert::Revert;
pub use settle::{Settled, settle_epoch};
pub use wallet::{Wallet, WalletError};
