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
mod follower;
mod local;
mod revert;
#[cfg(feature = "rpc")]
mod rpc;
mod settle;
pub mod units;
pub mod wallet;

pub use alloy_primitives::{Address, B256, Bytes, U256};
pub use backend::{Call, Chain, Filter, Head, Log, Receipt, Submitted};
pub use contracts::{Addresses, Contracts, EpochToPost, Event, NodeKind, account, address, encode};
pub use deploy::{DeployPlan, Parties, Windows, deploy, deploy_resumable};
pub use error::{ChainError, StuckCause};
pub use files::write_whole;
pub use follower::{Follower, News, REMEMBERED_BLOCKS};
pub use local::{Genesis, JournalError, LocalChain};
pub use revert::Revert;
#[cfg(feature = "rpc")]
pub use rpc::{RpcChain, RpcOptions};
pub use settle::{Settled, settle_epoch};
pub use wallet::{Wallet, WalletError};
