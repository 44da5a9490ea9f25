//! What a killed process had handed over, and no block held yet: it counts as sent.

use chain::{LocalChain, NodeKind, Wallet};
use late::Late;
use ledger::presets;

use super::*;
use crate::run::payout::genesis::stakes;

/// A chain that is slow: what was handed over gets into a block when its sender is waited for, or sends again.
mod late {
    use chain::{Address, B256, Bytes, Call, Chain, ChainError, Filter, Head, Log, Receipt, Submitted, U256, Wallet};

    pub(super) struct Late {
        pub(super) inner: Box<dyn Chain>,
        pub(super) under_way: Vec<(Wallet, Call)>,
    }

    impl Late {
        fn catch_up(&mut self, account: Address) -> Result<(), ChainError> {
            while let Some(at) = self.under_way.iter().position(|(wallet, _)| wallet.address() == account) {
                let (wallet, call) = self.under_way.remove(at);
                self.inner.send(&wallet, call)?;
            }
            Ok(())
        }
    }

    impl Chain for Late {
        fn chain_id(&self) -> u64 {
            self.inner.chain_id()
        }
        fn name(&self) -> String {
            self.inner.name()
        }
        fn head(&self) -> Result<Head, ChainError> {
            self.inner.head()
        }
        fn block(&self, number: u64) -> Result<Option<Head>, ChainError> {
            self.inner.block(number)
        }
        fn submit(&mut self, wallet: &Wallet, call: Call) -> Result<Submitted, ChainError> {
            self.catch_up(wallet.address())?;
            self.inner.submit(wallet, call)
        }
        fn wait(&mut self, submitted: &Submitted) -> Result<Receipt, ChainError> {
            self.inner.wait(submitted)
        }
        fn idle(&mut self, account: Address) -> Result<(), ChainError> {
            self.catch_up(account)
        }
        fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
            self.inner.receipt(transaction)
        }
        fn view(&self, from: Option<Address>, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
            self.inner.view(from, to, data)
        }
        fn estimate(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
            self.inner.estimate(from, call)
        }
        fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ChainError> {
            self.inner.logs(filter)
        }
        fn code(&self, address: Address) -> Result<Bytes, ChainError> {
            self.inner.code(address)
        }
        fn nonce(&self, account: Address) -> Result<u64, ChainError> {
            self.inner.nonce(account)
        }
        fn balance_wei(&self, address: Address) -> Result<U256, ChainError> {
            self.inner.balance_wei(address)
        }
        fn gas_price_wei(&self) -> Result<u128, ChainError> {
            self.inner.gas_price_wei()
        }
        fn advance(&mut self, seconds: u64) -> Result<bool, ChainError> {
            self.inner.advance(seconds)
        }
    }
}

#[test]
fn a_case_that_is_under_way_is_not_brought_a_second_time() {
    let place = Place::new();
    let (mut paymaster, orders, mut bank) = place.open(place.begin());
    paymaster.fined(Party::Worker(1), None, Check::Malformed).unwrap();
    let Ok(BankOrder::Accuse(accusation)) = orders.try_recv() else { panic!("nobody is accused") };
    let (contracts, challenger) = (bank.ground.contracts, place.parties.orchestrator_wallet());
    let Accusation { accused, amount, evidence, .. } = accusation;
    // Enough for a second bond, so that only the wait stands between it and a second case.
    let approve = contracts.approve(contracts.addresses.court, Amount::MAX);
    bank.ground.chain.send(&challenger, approve).unwrap();
    let under_way = vec![(challenger, contracts.open_case(accused, amount, evidence))];
    bank.ground.chain = Box::new(Late { inner: bank.ground.chain, under_way });
    let (again, orders) = sync_channel(ROOM);
    again.send(BankOrder::Accuse(accusation)).unwrap();
    drop(again);
    let events = settle(&mut paymaster, orders, bank, true);
    assert!(matches!(&events[..], [Event::StakeSlashed(slashed)] if slashed.amount == amount), "{events:?}");
    drop(paymaster);
    let (_, ground) = place.resume();
    assert_eq!(contracts.case_count(&*ground.chain).unwrap(), 1);
}

#[test]
fn a_stake_and_a_key_that_are_under_way_are_not_sent_a_second_time() {
    let place = Place::new();
    let (parties, economy) = (&place.parties, presets::local());
    let mut inner = LocalChain::in_memory(chain::Genesis::default());
    let holder = parties.holder_wallet();
    let plan = plan(parties, &economy, chain::Windows::DEVELOPMENT, holder.address());
    let addresses = chain::deploy(&mut inner, &parties.deployer_wallet(), &plan).unwrap();
    let contracts = chain::Contracts::connect(&inner, addresses).unwrap();
    let send = |chain: &mut LocalChain, wallet: &Wallet, call| chain::Chain::send(chain, wallet, call).unwrap();
    // All that a first try did before it was killed: bonds, and the first party's key and stake.
    let bonds = plan.genesis - stakes(parties, &economy).map(|(_, stake)| stake).sum::<Amount>();
    send(&mut inner, &holder, contracts.transfer(parties.orchestrator_wallet().address(), bonds));
    let (party, stake) = stakes(parties, &economy).next().unwrap();
    let (wallet, keys) = (parties.wallet(party), parties.keys(party));
    let digest = chain::contracts::registration_digest(&addresses, wallet.address(), 0);
    let register = contracts.register(&keys.public(), NodeKind::Worker, B256::ZERO, &keys.sign(&digest.0));
    send(&mut inner, &holder, contracts.approve(addresses.vault, Amount::MAX));
    let account = wallet.address();
    let under_way = vec![(wallet, register), (holder, contracts.stake_for(account, stake))];
    let mut ground = Ground { chain: Box::new(Late { inner: Box::new(inner), under_way }), contracts };
    endow(&mut ground, &parties.holder_wallet(), parties, &economy).unwrap();
    assert_eq!(contracts.stake_of(&*ground.chain, account).unwrap(), stake);
    assert!(contracts.node(&*ground.chain, &keys.public()).unwrap().is_some());
}
