//! Everything that can go wrong between us and a chain, by name.
//!
//! Never: holds a secret, a password, or the path part of an address, where providers put their keys.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use thiserror::Error;

use crate::revert::Revert;

/// Why a chain did not do what was asked.
#[derive(Debug, Error)]
pub enum ChainError {
    /// The contract said no.
    #[error("the contract refused: {reason}{}", transaction.map(|hash| format!(" (transaction {hash})")).unwrap_or_default())]
    Reverted {
        /// What the contract said.
        reason: Revert,
        /// The transaction that failed; none if it was refused before it was sent.
        transaction: Option<B256>,
    },
    /// The contract ran out of gas or did something that the machine forbids.
    #[error("the call stopped: {cause}")]
    Halted {
        /// What stopped it.
        cause: String,
    },
    /// No answer, after all tries.
    #[error("{host} did not answer {method} in {attempts} {}; the last one: {cause}", if *attempts == 1 { "try" } else { "tries" })]
    Unreachable {
        /// Host and port, without the path.
        host: String,
        /// The question.
        method: &'static str,
        /// Tries.
        attempts: u32,
        /// What the last try met.
        cause: String,
    },
    /// The node understood the question and refused it.
    #[error("{host} refused {method}: {message}{}", code.map(|code| format!(" (code {code})")).unwrap_or_default())]
    Refused {
        /// Host and port, without the path.
        host: String,
        /// The question.
        method: &'static str,
        /// The node's error code, if it gave one.
        code: Option<i64>,
        /// The node's words.
        message: String,
    },
    /// An answer that is not what the question asks for.
    #[error("{method} gave an answer that cannot be read: {cause}")]
    BadAnswer {
        /// The question.
        method: &'static str,
        /// What is wrong with the answer.
        cause: String,
    },
    /// A transaction was handed over, and the node does not say what became of it.
    #[error(
        "it is not known what became of transaction {transaction} (nonce {nonce}), which was handed to {host}; look it up before sending it again: {cause}"
    )]
    Uncertain {
        /// Host and port, without the path.
        host: String,
        /// Its hash.
        transaction: B256,
        /// Its number among its sender's transactions.
        nonce: u64,
        /// What the last question about it met.
        cause: String,
    },
    /// A transaction was handed over and is in no settled block.
    #[error("transaction {transaction} (nonce {nonce}) is in no settled block after {seconds} s: {cause}")]
    Stuck {
        /// Its hash; it can be looked up later.
        transaction: B256,
        /// Its number among its sender's transactions.
        nonce: u64,
        /// How long was waited.
        seconds: u64,
        /// Why, as far as the node tells.
        cause: StuckCause,
    },
    /// An account has transactions under way that do not get into a block.
    #[error("{waiting} transactions of {account} are still under way after {seconds} s")]
    Busy {
        /// The account.
        account: Address,
        /// Transactions.
        waiting: u64,
        /// How long was waited.
        seconds: u64,
    },
    /// The chain replaced more blocks than a follower remembers.
    #[error("the chain replaced all of the last {blocks} blocks, from number {oldest} on; look at it before going on")]
    ReorganisedTooDeep {
        /// Blocks that were remembered.
        blocks: usize,
        /// The oldest of them.
        oldest: u64,
    },
    /// The chain changes faster than it can be read.
    #[error("the chain replaced blocks during each of {looks} looks at it")]
    Unsteady {
        /// Looks.
        looks: u32,
    },
    /// The address of a chain is none.
    #[error("the chain's address cannot be used: {cause}")]
    BadAddress {
        /// What is wrong with it.
        cause: String,
    },
    /// The address answers for another chain.
    #[error("{host} answers for chain {given}, not for chain {expected}")]
    WrongChain {
        /// Host and port, without the path.
        host: String,
        /// The chain that was meant.
        expected: u64,
        /// The chain that answered.
        given: u64,
    },
    /// The account cannot pay for the gas.
    #[error("{account} holds {have} wei and needs {need} wei for gas and value")]
    NoGas {
        /// The sender.
        account: Address,
        /// What it holds.
        have: U256,
        /// What the transaction could cost at most.
        need: U256,
    },
    /// The chain names no base fee, so it is older than the transactions we send.
    #[error("chain {chain_id} names no base fee; chains before the London fork are not supported")]
    NoBaseFee {
        /// The chain.
        chain_id: u64,
    },
    /// No contract where one should be.
    #[error("there is no contract at {address}, where {contract} should be: another chain, or another addresses file?")]
    NoContract {
        /// Name of the contract.
        contract: &'static str,
        /// Its address.
        address: Address,
    },
    /// What a contract returned or wrote does not fit its interface.
    #[error("{what} does not fit the contract's interface: {cause}")]
    Decode {
        /// The function or event.
        what: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// A transaction succeeded and yet something it should have done is not there.
    #[error("after {what}: {cause}")]
    Inconsistent {
        /// What was done.
        what: &'static str,
        /// What is missing or different.
        cause: String,
    },
    /// A vault gives accusers more of what is slashed than stakes are reckoned with.
    #[error(
        "a bounty of {given} ppm: whoever lies can be accused by a friend and have that back, and stakes are reckoned to deter with {limit} ppm at most"
    )]
    BountyTooHigh {
        /// The most, in millionths.
        limit: u32,
        /// The bounty.
        given: u32,
    },
    /// Its time has not come.
    #[error("{what}: not before second {ready_at_s}, and it is {now_s}; that is in {} s", ready_at_s.saturating_sub(*now_s))]
    NotYet {
        /// What is waited for.
        what: &'static str,
        /// When its time comes, in seconds since 1970.
        ready_at_s: u64,
        /// The chain's time.
        now_s: u64,
    },
    /// The chain has another root for an epoch than the ledger.
    #[error("epoch {epoch} has {} on the chain, and {ours} in the ledger", posted.map_or("no root".into(), |root| format!("root {root}")))]
    EpochTaken {
        /// The epoch.
        epoch: u64,
        /// The chain's; none if the epoch was passed over.
        posted: Option<B256>,
        /// The ledger's.
        ours: B256,
    },
    /// Further than a chain's clock counts.
    #[error("the chain's clock is at {now_s} s and cannot go {seconds} s on")]
    Clock {
        /// Where it is.
        now_s: u64,
        /// By how much it was to move.
        seconds: u64,
    },
    /// The journal of the chain in this process.
    #[error(transparent)]
    Journal(#[from] crate::local::JournalError),
    /// Keys.
    #[error(transparent)]
    Wallet(#[from] crate::wallet::WalletError),
    /// A file that goes with a chain: its addresses, a follower's place.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
}

/// Why a transaction is in no settled block.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StuckCause {
    /// The node no longer knows it.
    #[error("the node does not know it any more")]
    Forgotten,
    /// An earlier transaction of the same account is missing.
    #[error("it waits for nonce {next} of its account, which was never sent")]
    NonceGap {
        /// The number the chain waits for.
        next: u64,
    },
    /// The fee offered is below what a block asks.
    #[error("it offers {offered} wei per gas, blocks ask {asked}")]
    FeeTooLow {
        /// The most it pays.
        offered: u128,
        /// The base fee.
        asked: u128,
    },
    /// The chain makes no blocks.
    #[error("the chain made no block since number {block}")]
    NoBlocks {
        /// The newest block.
        block: u64,
    },
    /// It is in a block that has not enough blocks after it.
    #[error("it is in a block with {have} of {need} confirmations")]
    Unconfirmed {
        /// Blocks so far, its own included.
        have: u64,
        /// Blocks asked for.
        need: u64,
    },
    /// It waits, and nothing says why.
    #[error("it waits in the node's queue")]
    Queued,
}
