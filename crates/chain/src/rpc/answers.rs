//! What nodes answer: the fields that we read, and no others, since chains differ in the rest.

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256, hex};
use serde::Deserialize;
use serde_json::Value;

use crate::revert::shown;
use crate::{ChainError, Head, Log, Receipt, Revert};

/// An answer, or a refusal.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) result: Value,
    pub(super) error: Option<RpcError>,
}

/// A refusal.
#[derive(Deserialize)]
pub(super) struct RpcError {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Value,
}

impl RpcError {
    /// Why the call failed, if it is the contract that refused and not the node.
    ///
    /// Nodes put the contract's bytes into `data`, as text or one level down.
    pub(super) fn reverted(&self) -> Option<ChainError> {
        let text = self.data.as_str().or_else(|| self.data.get("data").and_then(Value::as_str));
        let bytes = text.and_then(|text| hex::decode(text.trim_start_matches("Reverted ")).ok());
        let message = self.message.to_lowercase();
        match bytes {
            Some(bytes) => Some(ChainError::Reverted { reason: Revert::new(bytes), transaction: None }),
            None if self.code == 3 || message.contains("revert") => {
                Some(ChainError::Reverted { reason: Revert::new(Vec::new()), transaction: None })
            }
            None if ["out of gas", "invalid opcode", "stack underflow", "bad jump"]
                .iter()
                .any(|it| message.contains(it)) =>
            {
                Some(ChainError::Halted { cause: shown(&message) })
            }
            None => None,
        }
    }
}

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
