//! The token's balances and votes against a model that a reader can check by eye: a delegate has as many votes as
//! those who delegate to it have units, now and at every second that has passed.

use alloy_primitives::keccak256;
use alloy_sol_types::SolConstructor;
use chain::bindings::EssaimToken;
use chain::{Address, B256, Bytes, Call, Chain, ChainError, Genesis, LocalChain, U256, Wallet, encode};
use proptest::prelude::*;

use crate::stage::wallet;

const HOLDERS: usize = 4;
const GENESIS: u64 = 1_000_000;
const CAP: u64 = 1_200_000;

#[derive(Debug, Clone, Copy)]
enum Act {
    Transfer { from: usize, to: usize, amount: u64 },
    Delegate { who: usize, to: Option<usize> },
    Mint { to: usize, amount: u64 },
    Wait { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let holder = || 0..HOLDERS;
    prop_oneof![
        4 => (holder(), holder(), 0..GENESIS / 3).prop_map(|(from, to, amount)| Act::Transfer { from, to, amount }),
        2 => (holder(), proptest::option::of(holder())).prop_map(|(who, to)| Act::Delegate { who, to }),
        1 => (holder(), 1..GENESIS / 10).prop_map(|(to, amount)| Act::Mint { to, amount }),
        1 => (1u64..4).prop_map(|seconds| Act::Wait { seconds }),
    ]
}

/// What should be: who has what, and who votes for whom.
#[derive(Debug, Clone, Default)]
struct Model {
    balances: [u64; HOLDERS],
    delegates: [Option<usize>; HOLDERS],
}

impl Model {
    fn votes(&self, of: usize) -> u64 {
        (0..HOLDERS).filter(|holder| self.delegates[*holder] == Some(of)).map(|holder| self.balances[holder]).sum()
    }

    /// Whether the act is allowed; it then takes place.
    fn accepts(&mut self, act: Act) -> bool {
        match act {
            Act::Transfer { from, amount, .. } if amount > self.balances[from] => return false,
            Act::Transfer { from, to, amount } => {
                self.balances[from] -= amount;
                self.balances[to] += amount;
            }
            Act::Mint { amount, .. } if self.balances.iter().sum::<u64>() + amount > CAP => return false,
            Act::Mint { to, amount } => self.balances[to] += amount,
            Act::Delegate { who, to } => self.delegates[who] = to,
            Act::Wait { .. } => {}
        }
        true
    }
}

struct Bench {
    chain: LocalChain,
    token: Address,
    holders: [Wallet; HOLDERS],
}

impl Bench {
    /// Holder 0 has all of the genesis, and may mint.
    fn new() -> Self {
        let holders = [0, 1, 2, 3].map(|index| wallet("holder", index));
        let mut chain = LocalChain::in_memory(Genesis::default());
        let first = holders[0].address();
        let arguments = EssaimToken::constructorCall {
            cap_: U256::from(CAP),
            genesisHolder: first,
            genesis: U256::from(GENESIS),
            admin: first,
        };
        let code = [EssaimToken::BYTECODE.as_ref(), &arguments.abi_encode()].concat();
        let token = chain.send(&holders[0], Call::create(code)).unwrap().contract.unwrap();
        let minter = EssaimToken::grantRoleCall { role: keccak256("MINTER_ROLE"), account: first };
        chain.send(&holders[0], Call::to(token, encode(minter))).unwrap();
        Self { chain, token, holders }
    }

    fn account(&self, holder: Option<usize>) -> Address {
        holder.map_or(Address::ZERO, |index| self.holders[index].address())
    }

    /// Whether the contract took it.
    fn accepts(&mut self, act: Act) -> bool {
        let (sender, data): (usize, Bytes) = match act {
            Act::Wait { seconds } => return self.chain.advance(seconds).unwrap(),
            Act::Transfer { from, to, amount } => {
                (from, encode(EssaimToken::transferCall { to: self.account(Some(to)), value: U256::from(amount) }))
            }
            Act::Delegate { who, to } => (who, encode(EssaimToken::delegateCall { delegatee: self.account(to) })),
            Act::Mint { to, amount } => {
                (0, encode(EssaimToken::mintCall { to: self.account(Some(to)), amount: U256::from(amount) }))
            }
        };
        match self.chain.send(&self.holders[sender], Call::to(self.token, data)) {
            Ok(_) => true,
            Err(ChainError::Reverted { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn ask(&self, question: Bytes) -> u64 {
        let answer = self.chain.view(None, self.token, question).unwrap();
        U256::from_be_bytes(B256::from_slice(&answer).0).to()
    }

    fn assert_agrees(&self, model: &Model, past: Option<&(u64, Model)>) {
        for holder in 0..HOLDERS {
            let account = self.account(Some(holder));
            let balance = self.ask(encode(EssaimToken::balanceOfCall { account }));
            assert_eq!(balance, model.balances[holder], "balance of {holder}");
            let votes = self.ask(encode(EssaimToken::getVotesCall { account }));
            assert_eq!(votes, model.votes(holder), "votes of {holder}");
            if let Some((second, model)) = past {
                let question = EssaimToken::getPastVotesCall { account, timepoint: U256::from(*second) };
                assert_eq!(self.ask(encode(question)), model.votes(holder), "votes of {holder} at {second}");
            }
        }
        let supply = self.ask(encode(EssaimToken::totalSupplyCall {}));
        assert_eq!(supply, model.balances.iter().sum::<u64>(), "supply");
    }
}

/// Everybody begins with a quarter.
const SHARES: [Act; 3] = [
    Act::Transfer { from: 0, to: 1, amount: GENESIS / 4 },
    Act::Transfer { from: 0, to: 2, amount: GENESIS / 4 },
    Act::Transfer { from: 0, to: 3, amount: GENESIS / 4 },
];

/// Plays one history. Gives how many transfers and mints went through, beyond the first shares.
fn play(acts: &[Act]) -> usize {
    let mut bench = Bench::new();
    let mut model = Model::default();
    model.balances[0] = GENESIS;
    let (mut past, mut moved) = (None, 0);
    for act in &[&SHARES[..], acts].concat() {
        let (before, second) = (model.clone(), bench.chain.head().unwrap().time_s);
        let taken = bench.accepts(*act);
        assert_eq!(taken, model.accepts(*act), "{act:?}");
        moved += usize::from(taken && matches!(act, Act::Transfer { .. } | Act::Mint { .. }));
        if bench.chain.head().unwrap().time_s > second {
            past = Some((second, before));
        }
        bench.assert_agrees(&model, past.as_ref());
    }
    moved - SHARES.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn votes_follow_units_through_every_history(acts in prop::collection::vec(act(), 40)) {
        // A history that moves nothing proves nothing.
        prop_assert!(play(&acts) >= 3);
    }
}

#[test]
fn a_transfer_between_three_kinds_of_holders_moves_the_right_votes() {
    // 0 votes for 2, 1 votes for itself, 3 votes for nobody.
    play(&[
        Act::Delegate { who: 0, to: Some(2) },
        Act::Transfer { from: 0, to: 1, amount: 200_000 },
        Act::Delegate { who: 1, to: Some(1) },
        Act::Wait { seconds: 1 },
        Act::Transfer { from: 1, to: 3, amount: 100_000 },
        Act::Transfer { from: 3, to: 0, amount: 50_000 },
        Act::Transfer { from: 0, to: 0, amount: 10_000 },
        Act::Mint { to: 3, amount: 200_000 },
        Act::Mint { to: 3, amount: 1 },
        Act::Delegate { who: 0, to: None },
        Act::Transfer { from: 0, to: 1, amount: 1 },
        Act::Transfer { from: 3, to: 0, amount: 250_001 },
    ]);
}
