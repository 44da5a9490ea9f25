//! A chain inside this process: revm, with a journal file that makes it outlive the process.
//!
//! Promise: a chain opened again from its journal is the one that was closed or killed, receipt by
//! receipt; a step is on disk before anyone sees its effect.
//! Its clock moves only by [`Chain::advance`], a block holds one transaction or one step of the clock,
//! gas is counted and costs nothing, and whoever holds a wallet is believed without a signature: it
//! is for the parties of one process.

mod journal;

use std::collections::HashMap;
use std::path::Path;

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, Output};
use revm::database::{CacheDB, EmptyDB, WrapDatabaseRef};
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, EvmState};
use revm::{Context, DatabaseCommit as _, DatabaseRef as _, ExecuteEvm as _, MainBuilder as _, MainContext as _};

use crate::{Call, Chain, ChainError, Filter, Head, Log, Receipt, Submitted, Wallet, revert::Revert};
use journal::{Journal, Step, Steps};

pub use journal::JournalError;

/// Rules of the machine. Pinned, so that an old journal runs as it ran.
const FORK: SpecId = SpecId::CANCUN;
/// Gas that one transaction may use: what a block of a public chain holds.
const GAS_LIMIT: u64 = 30_000_000;

/// How a local chain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Genesis {
    /// Number of the chain.
    pub chain_id: u64,
    /// Time of the first block, in seconds since 1970.
    pub time_s: u64,
}

impl Default for Genesis {
    /// The number that development chains use, and 2026-01-01 00:00 UTC: a run is the same whenever it is made.
    fn default() -> Self {
        Self { chain_id: 31_337, time_s: 1_767_225_600 }
    }
}

/// The chain in this process.
pub struct LocalChain {
    genesis: Genesis,
    state: CacheDB<EmptyDB>,
    blocks: Vec<Head>,
    receipts: Vec<Receipt>,
    by_transaction: HashMap<B256, usize>,
    journal: Option<Journal>,
    read_only: bool,
}

/// An effect that was computed and is not yet part of the chain.
struct Outcome {
    state: EvmState,
    gas_used: u64,
    contract: Option<Address>,
    output: Bytes,
    logs: Vec<alloy_primitives::Log>,
}

impl LocalChain {
    /// A chain that is gone with the process.
    pub fn in_memory(genesis: Genesis) -> Self {
        let first = Head { number: 0, hash: journal::genesis_hash(&genesis), time_s: genesis.time_s };
        let state = CacheDB::new(EmptyDB::default());
        let (receipts, by_transaction) = (Vec::new(), HashMap::new());
        Self { genesis, state, blocks: vec![first], receipts, by_transaction, journal: None, read_only: false }
    }

    /// The chain of a journal file; begins one where there is no file.
    ///
    /// Errors: `Journal` if another process has it open, a line is damaged, or it runs differently now.
    /// What a kill cut off in the middle of a line was never seen by anyone and is dropped.
    pub fn open(path: &Path, genesis: Genesis) -> Result<Self, ChainError> {
        let (journal, genesis, steps) = Journal::open(path, genesis)?;
        let mut chain = Self::replay(path, genesis, steps)?;
        chain.journal = Some(journal);
        Ok(chain)
    }

    /// A look at the chain of a journal file while another process may be writing it. Takes no transactions.
    pub fn read(path: &Path) -> Result<Self, ChainError> {
        let (genesis, steps) = journal::read(path)?;
        let mut chain = Self::replay(path, genesis, steps)?;
        chain.read_only = true;
        Ok(chain)
    }

    /// A copy in memory that goes its own way: to try what would happen, or to play a reorganisation.
    pub fn fork(&self) -> Self {
        Self {
            genesis: self.genesis,
            state: self.state.clone(),
            blocks: self.blocks.clone(),
            receipts: self.receipts.clone(),
            by_transaction: self.by_transaction.clone(),
            journal: None,
            read_only: false,
        }
    }

    fn replay(path: &Path, genesis: Genesis, steps: Steps) -> Result<Self, ChainError> {
        let mut chain = Self::in_memory(genesis);
        for (index, (step, recorded)) in steps.into_iter().enumerate() {
            let line = index + 2; // the first line names the chain
            let hash = chain.step(step)?;
            if hash != recorded {
                return Err(JournalError::RunsDifferently { path: path.into(), line, recorded, now: hash }.into());
            }
        }
        Ok(chain)
    }

    /// Computes a step, writes it to the journal, and only then makes it part of the chain.
    fn step(&mut self, step: Step) -> Result<B256, ChainError> {
        if self.read_only {
            return Err(JournalError::ReadOnly.into());
        }
        let last = *self.tip();
        let (time_s, outcome) = match &step {
            Step::Clock { time_s } => (*time_s, None),
            Step::Call { from, to, data } => (last.time_s, Some(self.execute(*from, *to, data.clone(), U256::ZERO)?)),
        };
        let hash = journal::block_hash(&last, &step, outcome.as_ref());
        if let Some(journal) = &mut self.journal {
            journal.append(&step, &hash)?;
        }
        let block = Head { number: last.number + 1, hash, time_s };
        self.blocks.push(block);
        if let Some(outcome) = outcome {
            self.commit(&block, outcome);
        }
        Ok(hash)
    }

    fn commit(&mut self, block: &Head, outcome: Outcome) {
        self.state.commit(outcome.state);
        let log = |(index, log): (usize, alloy_primitives::Log)| Log {
            address: log.address,
            topics: log.topics().to_vec(),
            data: log.data.data,
            block: block.number,
            block_hash: block.hash,
            transaction: block.hash,
            index: index as u64,
        };
        self.by_transaction.insert(block.hash, self.receipts.len());
        self.receipts.push(Receipt {
            transaction: block.hash, // one transaction a block
            block: block.number,
            block_hash: block.hash,
            gas_used: outcome.gas_used,
            contract: outcome.contract,
            logs: outcome.logs.into_iter().enumerate().map(log).collect(),
        });
    }

    /// What a transaction would do in the next block. Changes nothing.
    fn execute(&self, from: Address, to: Option<Address>, data: Bytes, value: U256) -> Result<Outcome, ChainError> {
        let tip = self.tip();
        let nonce = self.account(from).nonce;
        let context = Context::mainnet()
            .with_db(WrapDatabaseRef(&self.state))
            .modify_cfg_chained(|cfg| {
                cfg.chain_id = self.genesis.chain_id;
                cfg.set_spec_and_mainnet_gas_params(FORK);
            })
            .modify_block_chained(|block| {
                block.number = U256::from(tip.number + 1);
                block.timestamp = U256::from(tip.time_s);
                block.basefee = 0;
            });
        let transaction = TxEnv {
            caller: from,
            kind: to.map_or(TxKind::Create, TxKind::Call),
            data,
            value,
            nonce,
            gas_limit: GAS_LIMIT,
            gas_price: 0,
            chain_id: Some(self.genesis.chain_id),
            ..TxEnv::default()
        };
        let done = context.build_mainnet().transact(transaction);
        let done = done.map_err(|cause| ChainError::Halted { cause: cause.to_string() })?;
        outcome(done.result, done.state)
    }

    /// What is known of an account; nothing of it if it was never touched.
    fn account(&self, address: Address) -> AccountInfo {
        self.state.basic_ref(address).unwrap_or_default().unwrap_or_default()
    }

    fn tip(&self) -> &Head {
        self.blocks.last().expect("the first block is there from the start")
    }
}

fn outcome(result: ExecutionResult, state: EvmState) -> Result<Outcome, ChainError> {
    match result {
        ExecutionResult::Success { gas, logs, output, .. } => {
            let contract = match &output {
                Output::Create(_, address) => *address,
                Output::Call(_) => None,
            };
            Ok(Outcome { state, gas_used: gas.tx_gas_used(), contract, output: output.into_data(), logs })
        }
        ExecutionResult::Revert { output, .. } => {
            Err(ChainError::Reverted { reason: Revert::new(output), transaction: None })
        }
        ExecutionResult::Halt { reason, .. } => Err(ChainError::Halted { cause: format!("{reason:?}") }),
    }
}

impl Chain for LocalChain {
    fn chain_id(&self) -> u64 {
        self.genesis.chain_id
    }

    fn name(&self) -> String {
        "the chain in this process".into()
    }

    fn head(&self) -> Result<Head, ChainError> {
        Ok(*self.tip())
    }

    fn block(&self, number: u64) -> Result<Option<Head>, ChainError> {
        Ok(usize::try_from(number).ok().and_then(|number| self.blocks.get(number)).copied())
    }

    fn submit(&mut self, wallet: &Wallet, call: Call) -> Result<Submitted, ChainError> {
        let from = wallet.address();
        if !call.value_wei.is_zero() {
            return Err(ChainError::NoGas { account: from, have: U256::ZERO, need: call.value_wei });
        }
        let nonce = self.account(from).nonce;
        let transaction = self.step(Step::Call { from, to: call.to, data: call.data })?;
        Ok(Submitted { transaction, nonce })
    }

    fn wait(&mut self, submitted: &Submitted) -> Result<Receipt, ChainError> {
        self.receipt(submitted.transaction)?.ok_or(ChainError::Stuck {
            transaction: submitted.transaction,
            nonce: submitted.nonce,
            seconds: 0,
            cause: crate::StuckCause::Forgotten,
        })
    }

    fn idle(&mut self, _: Address) -> Result<(), ChainError> {
        Ok(()) // a transaction is in its block before `submit` returns
    }

    fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        Ok(self.by_transaction.get(&transaction).map(|index| self.receipts[*index].clone()))
    }

    fn view(&self, from: Option<Address>, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        Ok(self.execute(from.unwrap_or_default(), Some(to), data, U256::ZERO)?.output)
    }

    fn estimate(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        Ok(self.execute(from, call.to, call.data.clone(), call.value_wei)?.gas_used)
    }

    fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
        let start = self.receipts.partition_point(|receipt| receipt.block < filter.from);
        let within = self.receipts[start..].iter().take_while(|receipt| receipt.block <= filter.to);
        Ok(within.flat_map(|receipt| &receipt.logs).filter(|log| filter.asks_for(log)).cloned().collect())
    }

    fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        let account = self.account(address);
        let code = account.code.or_else(|| self.state.code_by_hash_ref(account.code_hash).ok());
        Ok(code.map(|code| code.original_bytes()).unwrap_or_default())
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        Ok(self.account(account).nonce)
    }

    fn balance_wei(&self, address: Address) -> Result<U256, ChainError> {
        Ok(self.account(address).balance)
    }

    fn gas_price_wei(&self) -> Result<u128, ChainError> {
        Ok(0)
    }

    fn advance(&mut self, seconds: u64) -> Result<bool, ChainError> {
        let now_s = self.tip().time_s;
        let time_s = now_s.checked_add(seconds).ok_or(ChainError::Clock { now_s, seconds })?;
        self.step(Step::Clock { time_s })?;
        Ok(true)
    }
}

impl Filter {
    /// Whether an event is among those asked for, by contract and signature.
    fn asks_for(&self, log: &Log) -> bool {
        let signature = log.topics.first();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && (self.signatures.is_empty() || signature.is_some_and(|topic| self.signatures.contains(topic)))
    }
}
