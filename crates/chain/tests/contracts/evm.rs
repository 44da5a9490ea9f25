//! A bare EVM for the property tests: state in memory, no fees, a clock that the test sets.
//!
//! Promise: a clone is a fork, so that contracts are deployed once and every case starts from the same state.
//! Gas is that of the Cancun rules without discounts beyond them.
//! Never: keeps a journal, checks nonces, or asks the machine's clock. `LocalChain` does the first two.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext};

/// The chain that the property tests run on.
pub(crate) const CHAIN_ID: u64 = 31337;
/// Most gas of one transaction: half of a main-net block, so that nothing here needs a special chain.
const GAS_LIMIT: u64 = 16_000_000;

/// State, clock and height.
#[derive(Clone)]
pub(crate) struct Evm {
    db: CacheDB<EmptyDB>,
    /// Time of the next transaction's block, seconds.
    pub(crate) now: u64,
    height: u64,
}

/// What a transaction that did not fail left behind.
pub(crate) struct Done {
    pub(crate) output: Bytes,
    pub(crate) gas: u64,
    created: Option<Address>,
}

/// The bytes that a failed call gave back: a custom error's selector and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) Bytes);

impl Failed {
    /// The selector of the custom error, zero if there is none.
    pub(crate) fn selector(&self) -> [u8; 4] {
        self.0.get(..4).map_or([0; 4], |s| s.try_into().expect("four bytes"))
    }
}

impl Evm {
    pub(crate) fn new(now: u64) -> Self {
        Self { db: CacheDB::new(EmptyDB::default()), now, height: 1 }
    }

    fn run(&mut self, tx: TxEnv, keep: bool) -> ExecutionResult {
        let (now, height) = (self.now, self.height);
        let mut evm = Context::mainnet()
            .with_db(&mut self.db)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
                cfg.chain_id = CHAIN_ID;
                cfg.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.timestamp = U256::from(now);
                block.number = U256::from(height);
            })
            .build_mainnet();
        if keep {
            return evm.transact_commit(tx).expect("a transaction without fee, nonce or signature is always valid");
        }
        evm.transact(tx).expect("a transaction without fee, nonce or signature is always valid").result
    }

    fn transact(&mut self, from: Address, kind: TxKind, data: Bytes, keep: bool) -> Result<Done, Failed> {
        let tx = TxEnv::builder().caller(from).kind(kind).data(data).gas_limit(GAS_LIMIT).gas_price(0);
        let tx = tx.chain_id(Some(CHAIN_ID)).build_fill();
        let result = self.run(tx, keep);
        self.height += u64::from(keep);
        let gas = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, .. } => {
                let created = match &output {
                    Output::Create(_, address) => *address,
                    Output::Call(_) => None,
                };
                Ok(Done { output: output.into_data(), gas, created })
            }
            ExecutionResult::Revert { output, .. } => Err(Failed(output)),
            ExecutionResult::Halt { reason, .. } => panic!("the EVM stopped: {reason:?}"),
        }
    }

    /// Creates a contract from its bytecode followed by its encoded arguments; its address and what it cost.
    pub(crate) fn create(&mut self, from: Address, code: &[u8], arguments: &[u8]) -> (Address, u64) {
        let data = Bytes::from([code, arguments].concat());
        let done = self.transact(from, TxKind::Create, data, true);
        let done = done.unwrap_or_else(|failed| panic!("constructor failed: {failed:?}"));
        (done.created.expect("a creation has an address"), done.gas)
    }

    /// Sends a call and keeps what it changed, unless it failed.
    pub(crate) fn send<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Result<Done, Failed> {
        self.transact(from, TxKind::Call(to), call.abi_encode().into(), true)
    }

    /// Asks without changing anything.
    pub(crate) fn ask<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        let done = self.transact(Address::ZERO, TxKind::Call(to), call.abi_encode().into(), false);
        let output = done.unwrap_or_else(|f| panic!("{} failed: {f:?}", C::SIGNATURE)).output;
        C::abi_decode_returns(&output).expect("the contract's own answer")
    }
}
