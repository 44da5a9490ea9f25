//! What nodes answer: the fields that we read, and no others, since chains differ in the rest.

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use serde::Deserialize;

use crate::{ChainError, Head, Log, Receipt};

/// A block's header.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockAnswer {
    number: U64,
    hash: B256,
    timestamp: U64,
    pub(super) base_fee_per_gas: Option<U128>,
}

impl BlockAnswer {
    pub(super) fn head(&self) -> Head {
        Head { number: self.number.to(), hash: self.hash, time_s: self.timestamp.to() }
    }
}

/// A transaction, in a block or not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransactionAnswer {
    pub(super) from: Address,
    pub(super) to: Option<Address>,
    pub(super) input: Bytes,
    pub(super) value: U256,
    pub(super) max_fee_per_gas: Option<U128>,
}

/// A receipt, of a transaction that succeeded or not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceiptAnswer {
    transaction_hash: B256,
    status: U64,
    pub(super) block_number: U64,
    pub(super) block_hash: B256,
    gas_used: U64,
    contract_address: Option<Address>,
    logs: Vec<LogAnswer>,
}

impl ReceiptAnswer {
    pub(super) fn succeeded(&self) -> bool {
        !self.status.is_zero()
    }

    pub(super) fn receipt(self) -> Result<Receipt, ChainError> {
        Ok(Receipt {
            transaction: self.transaction_hash,
            block: self.block_number.to(),
            block_hash: self.block_hash,
            gas_used: self.gas_used.to(),
            contract: self.contract_address,
            logs: self.logs.into_iter().map(|log| log.log("eth_getTransactionReceipt")).collect::<Result<_, _>>()?,
        })
    }
}

/// An event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogAnswer {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    transaction_hash: Option<B256>,
    log_index: Option<U64>,
    #[serde(default)]
    pub(super) removed: bool,
}

impl LogAnswer {
    pub(super) fn log(self, method: &'static str) -> Result<Log, ChainError> {
        let place = (self.block_number, self.block_hash, self.transaction_hash, self.log_index);
        let (Some(block), Some(block_hash), Some(transaction), Some(index)) = place else {
            return Err(ChainError::BadAnswer { method, cause: "an event without a block".into() });
        };
        let Self { address, topics, data, .. } = self;
        Ok(Log { address, topics, data, block: block.to(), block_hash, transaction, index: index.to() })
    }
}
