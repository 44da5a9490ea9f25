//! A transaction's way into a block.

use std::thread::sleep;
use std::time::Duration;

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{B256, Bytes, TxKind, U128, U256};
use serde_json::json;

use super::answers::{ReceiptAnswer, TransactionAnswer};
use super::refusal::RpcError;
use super::transport::{Again, Fault};
use super::{Look, RpcChain};
use crate::{Call, Chain as _, ChainError, Receipt, Revert, StuckCause, Submitted, Wallet};

/// Tries of a nonce that another process with the same key may have taken.
const NONCE_TRIES: u32 = 5;
/// Pause before a nonce is looked up again.
const NONCE_PAUSE: Duration = Duration::from_millis(100);

/// What a node did with signed bytes.
enum Handed {
    /// It has them, from this time or an earlier one.
    Over,
    /// Another transaction has the nonce, and no node can have these bytes.
    NonceTaken(RpcError),
}

impl RpcChain {
    /// Builds, signs and hands over a transaction.
    ///
    /// The nonce is the account's count with what is queued. If another process took it meanwhile, these
    /// bytes can never get into a block, so it is safe to build anew; not so if an answer was lost on the way,
    /// because the nonce may then be taken by these very bytes.
    pub(super) fn submit_new(&self, wallet: &Wallet, call: &Call) -> Result<Submitted, ChainError> {
        for attempt in 1.. {
            let nonce = self.count(wallet.address(), "pending")?;
            let unsigned = self.build(wallet, call, nonce)?;
            let signature = wallet.sign(&unsigned.signature_hash());
            let signed = unsigned.into_signed(signature);
            let transaction = *signed.hash();
            match self.hand_over(transaction, nonce, signed.encoded_2718().into())? {
                Handed::Over => return Ok(Submitted { transaction, nonce }),
                Handed::NonceTaken(_) if attempt < NONCE_TRIES => sleep(NONCE_PAUSE),
                Handed::NonceTaken(error) => {
                    return Err(self.transport.error("eth_sendRawTransaction", Fault::Refused(error)));
                }
            }
        }
        unreachable!("the loop ends with the last try")
    }

    /// Errors: `Reverted` if it would fail, `NoGas` if the account cannot pay for it.
    fn build(&self, wallet: &Wallet, call: &Call, nonce: u64) -> Result<TxEip1559, ChainError> {
        let gas = self.estimate(wallet.address(), call)?;
        let base = self.latest()?.base_fee_per_gas.ok_or(ChainError::NoBaseFee { chain_id: self.chain_id })?;
        let base: u128 = base.to();
        let tip = self.tip(base)?;
        // Twice the base fee: it can rise by an eighth a block, so this holds for five full blocks.
        let max_fee = base.saturating_mul(2).saturating_add(tip);
        let gas_limit = gas.saturating_add(gas / 5);
        let need = U256::from(max_fee).saturating_mul(U256::from(gas_limit)).saturating_add(call.value_wei);
        let have = self.balance_wei(wallet.address())?;
        if have < need {
            return Err(ChainError::NoGas { account: wallet.address(), have, need });
        }
        Ok(TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value_wei,
            access_list: Default::default(),
            input: call.data.clone(),
        })
    }

    /// Hands signed bytes over, again if the answer is lost: the same bytes are one transaction.
    ///
    /// Errors: `Refused` only if every answer arrived and the node has not got it; else `Uncertain`.
    fn hand_over(&self, transaction: B256, nonce: u64, signed: Bytes) -> Result<Handed, ChainError> {
        let method = "eth_sendRawTransaction";
        let submitted = Submitted { transaction, nonce };
        let uncertain = |error: ChainError| Err(self.uncertain(&submitted, error));
        let (answer, lost) = self.transport.ask_counting::<B256>(method, &json!([signed]), Again::Yes);
        match answer {
            Ok(given) if given == transaction => Ok(Handed::Over),
            Ok(given) => uncertain(ChainError::BadAnswer { method, cause: format!("{given} for another transaction") }),
            Err(Fault::Refused(error)) => match self.transaction(transaction) {
                // It says that it has it already, in one of many wordings.
                Ok(Some(_)) => Ok(Handed::Over),
                // The node that answers now need not be the one whose answer was lost.
                Ok(None) if lost > 0 => uncertain(self.transport.error(method, Fault::Refused(error))),
                Ok(None) if error.nonce_taken() => Ok(Handed::NonceTaken(error)),
                Ok(None) => Err(self.transport.error(method, Fault::Refused(error))),
                Err(error) => uncertain(error),
            },
            Err(fault) => uncertain(self.transport.error(method, fault)),
        }
    }

    /// What is said once a transaction was handed over and `error` hides what became of it.
    fn uncertain(&self, submitted: &Submitted, error: ChainError) -> ChainError {
        let Submitted { transaction, nonce } = *submitted;
        ChainError::Uncertain { host: self.transport.host.clone(), transaction, nonce, cause: error.to_string() }
    }

    /// What to offer above the base fee, in wei per gas.
    fn tip(&self, base: u128) -> Result<u128, ChainError> {
        let method = "eth_maxPriorityFeePerGas";
        match self.transport.ask_fault::<U128>(method, &json!([]), Again::Yes) {
            Ok(tip) => Ok(tip.to()),
            // Not every node has an opinion; all have a price.
            Err(Fault::Refused(_)) => Ok(self.gas_price_wei()?.saturating_sub(base)),
            Err(fault) => Err(self.transport.error(method, fault)),
        }
    }

    fn transaction(&self, transaction: B256) -> Result<Option<TransactionAnswer>, ChainError> {
        self.transport.ask("eth_getTransactionByHash", json!([transaction]))
    }

    /// Waits for a receipt with enough blocks on top, through reorganisations.
    ///
    /// Errors: `Stuck` and `Reverted`, which say what became of it, and `Uncertain` for everything else.
    pub(super) fn wait_settled(&self, submitted: &Submitted) -> Result<Receipt, ChainError> {
        self.watch(submitted).map_err(|error| match error {
            ChainError::Stuck { .. } | ChainError::Reverted { .. } => error,
            other => self.uncertain(submitted, other),
        })
    }

    fn watch(&self, submitted: &Submitted) -> Result<Receipt, ChainError> {
        let start = self.head()?.number;
        let mut look = Look::until(self.options.settle_s);
        loop {
            if let Some(receipt) = self.receipt_answer(submitted.transaction)?
                && self.confirmations(&receipt)? >= self.options.confirmations.max(1)
            {
                return self.settled(receipt, submitted);
            }
            if !look.again() {
                return Err(self.stuck(submitted, start)?);
            }
        }
    }

    /// Blocks from the receipt's on; 0 if its block is no longer of the chain.
    fn confirmations(&self, receipt: &ReceiptAnswer) -> Result<u64, ChainError> {
        let number = receipt.block_number.to();
        let block = self.block(number)?;
        let canonical = block.is_some_and(|block| block.hash == receipt.block_hash);
        let head = self.head()?.number;
        Ok(if canonical { head.saturating_add(1).saturating_sub(number) } else { 0 })
    }

    fn settled(&self, receipt: ReceiptAnswer, submitted: &Submitted) -> Result<Receipt, ChainError> {
        if receipt.succeeded() {
            return receipt.receipt();
        }
        let reason = self.reason(submitted.transaction, receipt.block_number.to()).unwrap_or_default();
        Err(ChainError::Reverted { reason: Revert::new(reason), transaction: Some(submitted.transaction) })
    }

    /// What the contract said, by trying the transaction once more on the block before its own.
    fn reason(&self, transaction: B256, block: u64) -> Option<Bytes> {
        let TransactionAnswer { from, to, input, value, .. } = self.transaction(transaction).ok()??;
        let call = json!({ "from": from, "to": to, "data": input, "value": value });
        let before = alloy_primitives::U64::from(block.saturating_sub(1));
        match self.try_call::<Bytes>("eth_call", json!([call, before])) {
            Err(ChainError::Reverted { reason, .. }) => Some(reason.data().clone()),
            _ => None,
        }
    }

    /// Why a transaction is in no settled block.
    fn stuck(&self, submitted: &Submitted, start: u64) -> Result<ChainError, ChainError> {
        let Submitted { transaction, nonce } = *submitted;
        let stuck = |cause| Ok(ChainError::Stuck { transaction, nonce, seconds: self.options.settle_s, cause });
        if let Some(receipt) = self.receipt_answer(transaction)? {
            let (have, need) = (self.confirmations(&receipt)?, self.options.confirmations);
            return stuck(StuckCause::Unconfirmed { have, need });
        }
        let Some(known) = self.transaction(transaction)? else {
            return stuck(StuckCause::Forgotten);
        };
        let latest = self.latest()?;
        let queue = Queue {
            nonce,
            next: self.count(known.from, "latest")?,
            offered: known.max_fee_per_gas.unwrap_or_default().to(),
            asked: latest.base_fee_per_gas.unwrap_or_default().to(),
            start,
            head: latest.head().number,
        };
        stuck(queue.cause())
    }
}

/// What is known of a transaction that waits in a node's queue.
struct Queue {
    nonce: u64,
    /// Nonce that the chain waits for.
    next: u64,
    /// The most it pays, wei per gas.
    offered: u128,
    /// Base fee, wei per gas.
    asked: u128,
    /// Newest block when the wait began.
    start: u64,
    /// Newest block now.
    head: u64,
}

impl Queue {
    fn cause(&self) -> StuckCause {
        let Self { nonce, next, offered, asked, start, head } = *self;
        if next < nonce {
            StuckCause::NonceGap { next }
        } else if offered < asked {
            StuckCause::FeeTooLow { offered, asked }
        } else if head == start {
            StuckCause::NoBlocks { block: head }
        } else {
            StuckCause::Queued
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_waiting_is_the_first_that_must_go_away() {
        let fine = || Queue { nonce: 7, next: 7, offered: 10, asked: 9, start: 100, head: 101 };
        assert_eq!(fine().cause(), StuckCause::Queued);
        assert_eq!(Queue { head: 100, ..fine() }.cause(), StuckCause::NoBlocks { block: 100 });
        assert_eq!(Queue { asked: 11, head: 100, ..fine() }.cause(), StuckCause::FeeTooLow { offered: 10, asked: 11 });
        assert_eq!(Queue { next: 6, asked: 11, ..fine() }.cause(), StuckCause::NonceGap { next: 6 });
    }
}
