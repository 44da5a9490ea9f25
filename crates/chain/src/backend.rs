//! What every chain can do, whichever way it is reached.
//!
//! Promise: code written against [`Chain`] does the same on a chain in this process and on one behind
//! an address; the list of tests runs on both.
//! Never: sends a call that is known to fail; it is refused with the contract's reason instead.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::{ChainError, Wallet};

/// A block's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Height, from 0.
    pub number: u64,
    /// Hash, which tells this block from another at the same height.
    pub hash: B256,
    /// Time of the block, in seconds since 1970.
    pub time_s: u64,
}

/// What a transaction is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract; none deploys a new one.
    pub to: Option<Address>,
    /// The encoded function call, or a new contract's creation code.
    pub data: Bytes,
    /// The chain's own coin to hand over, in wei. Nothing to do with ESM.
    pub value_wei: U256,
}

impl Call {
    /// A call of a contract.
    pub fn to(to: Address, data: impl Into<Bytes>) -> Self {
        Self { to: Some(to), data: data.into(), value_wei: U256::ZERO }
    }

    /// A new contract.
    pub fn create(code: impl Into<Bytes>) -> Self {
        Self { to: None, data: code.into(), value_wei: U256::ZERO }
    }

    /// A payment in the chain's own coin, which pays for gas.
    pub fn pay(to: Address, value_wei: U256) -> Self {
        Self { to: Some(to), data: Bytes::new(), value_wei }
    }
}

/// A transaction that a chain has taken, and perhaps not yet put into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Its number among its sender's transactions.
    pub nonce: u64,
}

/// What became of a transaction that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Height of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Gas that was paid for.
    pub gas_used: u64,
    /// Address of the contract, if the transaction made one.
    pub contract: Option<Address>,
    /// Events, in their order.
    pub logs: Vec<Log>,
}

/// An event, not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The contract that wrote it.
    pub address: Address,
    /// Signature hash and indexed fields.
    pub topics: Vec<B256>,
    /// The other fields.
    pub data: Bytes,
    /// Height of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Hash of its transaction.
    pub transaction: B256,
    /// Place within its block.
    pub index: u64,
}

/// Which events to return.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Contracts; none means all.
    pub addresses: Vec<Address>,
    /// Signature hashes; none means all.
    pub signatures: Vec<B256>,
    /// First block.
    pub from: u64,
    /// Last block, itself included.
    pub to: u64,
}

/// An EVM chain.
pub trait Chain: Send {
    /// Number that tells this chain from all others; every signature is bound to it.
    fn chain_id(&self) -> u64;

    /// Where it is: this process, or a host without the path part of its address.
    fn name(&self) -> String;

    /// The newest block.
    fn head(&self) -> Result<Head, ChainError>;

    /// The block at a height, if the chain is that long.
    fn block(&self, number: u64) -> Result<Option<Head>, ChainError>;

    /// Hands a transaction over without waiting for its block, so that several can share one.
    ///
    /// Errors: `Reverted` if it would fail; it is then not sent and costs nothing.
    fn submit(&mut self, wallet: &Wallet, call: Call) -> Result<Submitted, ChainError>;

    /// Waits until the transaction is in a block that is settled enough.
    ///
    /// Errors: `Stuck` with the cause when it takes too long, `Reverted` if it failed after all.
    fn wait(&mut self, submitted: &Submitted) -> Result<Receipt, ChainError>;

    /// Hands a transaction over and waits for it.
    fn send(&mut self, wallet: &Wallet, call: Call) -> Result<Receipt, ChainError> {
        let submitted = self.submit(wallet, call)?;
        self.wait(&submitted)
    }

    /// Waits until nothing that the account has sent is under way. Errors: `Stuck`.
    fn idle(&mut self, account: Address) -> Result<(), ChainError>;

    /// The receipt of a transaction, if it is in a block and succeeded.
    fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError>;

    /// What a call would return now, without sending anything. `from` none calls from address zero.
    fn view(&self, from: Option<Address>, to: Address, data: Bytes) -> Result<Bytes, ChainError>;

    /// Gas that a transaction would need now. Errors: `Reverted` if it would fail.
    fn estimate(&self, from: Address, call: &Call) -> Result<u64, ChainError>;

    /// Events of a range of blocks, oldest first.
    fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError>;

    /// Code of the contract at an address; empty if there is none.
    fn code(&self, address: Address) -> Result<Bytes, ChainError>;

    /// Whether there is a contract at an address.
    fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        Ok(!self.code(address)?.is_empty())
    }

    /// How many transactions of an account are in blocks, which is the number of its next one.
    fn nonce(&self, account: Address) -> Result<u64, ChainError>;

    /// What an account holds of the chain's own coin, in wei.
    fn balance_wei(&self, address: Address) -> Result<U256, ChainError>;

    /// Price of one unit of gas in wei; 0 where nothing is charged.
    fn gas_price_wei(&self) -> Result<u128, ChainError>;

    /// Moves the chain's clock, if it is ours to move, and says whether it was.
    fn advance(&mut self, seconds: u64) -> Result<bool, ChainError>;
}
