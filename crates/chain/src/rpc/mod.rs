//! A chain behind a JSON-RPC address.
//!
//! Promise: every wait has a limit and a named cause when it is reached; a transaction is never sent
//! twice: what is sent again is the same signed bytes, which a chain takes once. What a node says against a
//! question is told in its own words.
//! Types and signing are alloy's. The client is the synchronous one that the node has anyway, so that there
//! is no second runtime in the process.

mod answers;
mod refusal;
mod sending;
mod transport;

use std::thread::sleep;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use serde_json::{Value, json};

use crate::{Call, Chain, ChainError, Filter, Head, Log, Receipt, Submitted, Wallet};
use answers::{BlockAnswer, LogAnswer, ReceiptAnswer};
use transport::{Again, Fault, Transport};

/// First pause between two looks at what is waited for.
const LOOK_FIRST: Duration = Duration::from_millis(20);
/// Longest such pause.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// How to reach a chain, and how long to wait for what.
#[derive(Clone)]
pub struct RpcOptions {
    /// `http://` or `https://` address of a node. It may hold a provider's key and is shown nowhere.
    pub url: String,
    /// Number of the chain that is meant; none takes any.
    pub chain_id: Option<u64>,
    /// Longest time for one question, in seconds.
    pub request_s: u64,
    /// Tries of a question that gets no answer.
    pub tries: u32,
    /// Longest wait for a transaction, in seconds.
    pub settle_s: u64,
    /// Blocks that make a transaction settled, its own included.
    pub confirmations: u64,
    /// Blocks in one question for events; halved where a node finds it too many.
    pub log_blocks: u64,
    /// Whether it is a development chain (anvil, hardhat), whose clock [`Chain::advance`] may move.
    pub development: bool,
}

impl RpcOptions {
    /// An address with the usual limits: 15 s a question, 5 tries, 5 min a transaction, 1 confirmation.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            chain_id: None,
            request_s: 15,
            tries: 5,
            settle_s: 300,
            confirmations: 1,
            log_blocks: 2_000,
            development: false,
        }
    }
}

impl std::fmt::Debug for RpcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcOptions").field("chain_id", &self.chain_id).finish_non_exhaustive()
    }
}

/// The chain behind an address.
pub struct RpcChain {
    transport: Transport,
    options: RpcOptions,
    chain_id: u64,
}

impl RpcChain {
    /// Reaches a chain. Errors: `BadAddress`, `Unreachable`, `WrongChain`.
    pub fn connect(options: RpcOptions) -> Result<Self, ChainError> {
        let transport = Transport::new(&options.url, options.tries, Duration::from_secs(options.request_s))?;
        let chain_id: u64 = transport.ask::<U64>("eth_chainId", json!([]))?.to();
        match options.chain_id {
            Some(expected) if expected != chain_id => {
                Err(ChainError::WrongChain { host: transport.host, expected, given: chain_id })
            }
            _ => Ok(Self { transport, options, chain_id }),
        }
    }

    fn block_at(&self, which: Value) -> Result<Option<BlockAnswer>, ChainError> {
        self.transport.ask("eth_getBlockByNumber", json!([which, false]))
    }

    fn latest(&self) -> Result<BlockAnswer, ChainError> {
        let cause = || "no newest block".to_owned();
        let method = "eth_getBlockByNumber";
        self.block_at(json!("latest"))?.ok_or_else(|| ChainError::BadAnswer { method, cause: cause() })
    }

    /// Transactions of an account in blocks (`latest`), or in blocks and the queue (`pending`).
    fn count(&self, account: Address, tag: &str) -> Result<u64, ChainError> {
        Ok(self.transport.ask::<U64>("eth_getTransactionCount", json!([account, tag]))?.to())
    }

    fn receipt_answer(&self, transaction: B256) -> Result<Option<ReceiptAnswer>, ChainError> {
        self.transport.ask("eth_getTransactionReceipt", json!([transaction]))
    }

    /// A question in which a contract may refuse.
    fn try_call<T: serde::de::DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, ChainError> {
        self.transport.ask_fault(method, &params, Again::Yes).map_err(|fault| {
            let reverted = match &fault {
                Fault::Refused(error) => error.reverted(),
                _ => None,
            };
            reverted.unwrap_or_else(|| self.transport.error(method, fault))
        })
    }

    /// Events of a range that a node may find too wide: it is then asked in halves.
    fn logs_within(&self, filter: &Filter, from: u64, to: u64, logs: &mut Vec<Log>) -> Result<(), ChainError> {
        let mut question = json!({ "fromBlock": U64::from(from), "toBlock": U64::from(to) });
        if !filter.addresses.is_empty() {
            question["address"] = json!(filter.addresses);
        }
        if !filter.signatures.is_empty() {
            question["topics"] = json!([filter.signatures]);
        }
        let method = "eth_getLogs";
        match self.transport.ask_fault::<Vec<LogAnswer>>(method, &json!([question]), Again::Yes) {
            Ok(answers) => {
                for answer in answers.into_iter().filter(|answer| !answer.removed) {
                    logs.push(answer.log(method)?);
                }
                Ok(())
            }
            Err(Fault::Refused(_)) if from < to => {
                let middle = from + (to - from) / 2;
                self.logs_within(filter, from, middle, logs)?;
                self.logs_within(filter, middle + 1, to, logs)
            }
            Err(fault) => Err(self.transport.error(method, fault)),
        }
    }
}

impl Chain for RpcChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn name(&self) -> String {
        self.transport.host.clone()
    }

    fn head(&self) -> Result<Head, ChainError> {
        Ok(self.latest()?.head())
    }

    fn block(&self, number: u64) -> Result<Option<Head>, ChainError> {
        Ok(self.block_at(json!(U64::from(number)))?.map(|block| block.head()))
    }

    fn submit(&mut self, wallet: &Wallet, call: Call) -> Result<Submitted, ChainError> {
        self.submit_new(wallet, &call)
    }

    fn wait(&mut self, submitted: &Submitted) -> Result<Receipt, ChainError> {
        self.wait_settled(submitted)
    }

    fn idle(&mut self, account: Address) -> Result<(), ChainError> {
        let mut look = Look::until(self.options.settle_s);
        loop {
            let (settled, sent) = (self.count(account, "latest")?, self.count(account, "pending")?);
            if sent <= settled {
                return Ok(());
            }
            if !look.again() {
                return Err(ChainError::Busy { account, waiting: sent - settled, seconds: self.options.settle_s });
            }
        }
    }

    fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        let answer = self.receipt_answer(transaction)?.filter(ReceiptAnswer::succeeded);
        answer.map(ReceiptAnswer::receipt).transpose()
    }

    fn view(&self, from: Option<Address>, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        let mut call = json!({ "to": to, "data": data });
        if let Some(from) = from {
            call["from"] = json!(from);
        }
        self.try_call("eth_call", json!([call, "latest"]))
    }

    fn estimate(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        let mut question = json!({ "from": from, "data": call.data, "value": call.value_wei });
        if let Some(to) = call.to {
            question["to"] = json!(to);
        }
        // On top of what is under way, so that a call may rest on one that is not in a block yet.
        Ok(self.try_call::<U64>("eth_estimateGas", json!([question, "pending"]))?.to())
    }

    fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
        let mut logs = Vec::new();
        let mut from = filter.from;
        while from <= filter.to {
            let to = filter.to.min(from.saturating_add(self.options.log_blocks.max(1) - 1));
            self.logs_within(filter, from, to, &mut logs)?;
            match to.checked_add(1) {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(logs)
    }

    fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        self.transport.ask("eth_getCode", json!([address, "latest"]))
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.count(account, "latest")
    }

    fn balance_wei(&self, address: Address) -> Result<U256, ChainError> {
        self.transport.ask("eth_getBalance", json!([address, "latest"]))
    }

    fn gas_price_wei(&self) -> Result<u128, ChainError> {
        Ok(self.transport.ask::<U128>("eth_gasPrice", json!([]))?.to())
    }

    fn advance(&mut self, seconds: u64) -> Result<bool, ChainError> {
        if self.options.development {
            self.transport.ask_once::<Value>("evm_increaseTime", json!([seconds]))?;
            self.transport.ask_once::<Value>("evm_mine", json!([]))?;
        }
        Ok(self.options.development)
    }
}

/// Looks again and again, less and less often, until a time is up.
struct Look {
    begun: Instant,
    limit: Duration,
    pause: Duration,
}

impl Look {
    fn until(seconds: u64) -> Self {
        Self { begun: Instant::now(), limit: Duration::from_secs(seconds), pause: LOOK_FIRST }
    }

    /// Pauses; false when the time is up.
    fn again(&mut self) -> bool {
        let left = self.limit.saturating_sub(self.begun.elapsed());
        sleep(self.pause.min(left));
        self.pause = (self.pause * 3 / 2).min(LOOK_MAX);
        !left.is_zero()
    }
}
