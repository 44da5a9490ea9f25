//! A chain with a test between us and it.

use chain::{Address, B256, Bytes, Call, Chain, ChainError, Filter, Head, LocalChain, Log, Receipt, Submitted, U256};
use chain::{Genesis, Wallet};

/// What stands between.
pub(crate) trait Between: Send {
    /// The chain of which a question is asked.
    fn look(&self) -> &LocalChain;
    /// The chain that is acted on.
    fn act(&mut self) -> &mut LocalChain;
    /// What comes before a transaction.
    fn before(&mut self) -> Result<(), ChainError> {
        Ok(())
    }
    /// What comes after one.
    fn after(&mut self) -> Result<(), ChainError> {
        Ok(())
    }
}

/// The chain as we see it.
pub(crate) struct Wrapped<B>(pub(crate) B);

impl<B: Between> Chain for Wrapped<B> {
    fn chain_id(&self) -> u64 {
        Genesis::default().chain_id
    }
    fn name(&self) -> String {
        "a wrapped chain".into()
    }
    fn head(&self) -> Result<Head, ChainError> {
        self.0.look().head()
    }
    fn block(&self, number: u64) -> Result<Option<Head>, ChainError> {
        self.0.look().block(number)
    }
    fn submit(&mut self, wallet: &Wallet, call: Call) -> Result<Submitted, ChainError> {
        self.0.before()?;
        let submitted = self.0.act().submit(wallet, call)?;
        self.0.after()?;
        Ok(submitted)
    }
    fn wait(&mut self, submitted: &Submitted) -> Result<Receipt, ChainError> {
        self.0.act().wait(submitted)
    }
    fn idle(&mut self, account: Address) -> Result<(), ChainError> {
        self.0.act().idle(account)
    }
    fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        self.0.look().receipt(transaction)
    }
    fn view(&self, from: Option<Address>, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.0.look().view(from, to, data)
    }
    fn estimate(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        self.0.look().estimate(from, call)
    }
    fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
        self.0.look().logs(filter)
    }
    fn code(&self, address: Address) -> Result<Bytes, ChainError> {
        self.0.look().code(address)
    }
    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.0.look().nonce(account)
    }
    fn balance_wei(&self, address: Address) -> Result<U256, ChainError> {
        self.0.look().balance_wei(address)
    }
    fn gas_price_wei(&self) -> Result<u128, ChainError> {
        self.0.look().gas_price_wei()
    }
    fn advance(&mut self, seconds: u64) -> Result<bool, ChainError> {
        self.0.act().advance(seconds)
    }
}
