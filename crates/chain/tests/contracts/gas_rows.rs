//! The signed and proven calls of the gas table.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolStruct, SolValue, eip712_domain};
use chain::bindings::{Committee, DisputeCourt as Court, EpochRewards as Rewards, EssaimToken, StakeVault as Vault};
use ledger::{Account, merkle};
use protocol::Keypair;

use super::evm::CHAIN_ID;
use super::world::{World, committee, named, person};

mod typed {
    alloy_sol_types::sol! {
        struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
        struct ClaimTo { address account; address recipient; uint128 lifetime; uint256 nonce; uint256 deadline; }
    }
}

/// A peer key and its proof that it belongs to `owner`, whose `number`th key it is.
pub(super) fn registration(registry: Address, owner: Address, number: u64) -> (B256, Bytes) {
    let peer = Keypair::from_seed(&named("peer", number).0);
    let purpose = "essaim node registration v1".to_owned();
    let fields = (purpose, U256::from(CHAIN_ID), registry, owner, U256::from(number));
    let digest = keccak256(fields.abi_encode_params());
    (B256::from(peer.public().0), Bytes::from(peer.sign(&digest).0.to_vec()))
}

/// A permit of person `index` that lets `spender` take `amount`.
pub(super) fn permit(world: &mut World, index: usize, spender: Address, amount: u128) -> EssaimToken::permitCall {
    let (wallet, deadline) = (person(index), U256::from(world.evm.now + 60));
    let domain = eip712_domain! {
        name: "Essaim", version: "1", chain_id: CHAIN_ID, verifying_contract: world.token,
    };
    let owner = wallet.address();
    let nonce = world.evm.ask(world.token, &EssaimToken::noncesCall { owner });
    let value = U256::from(amount);
    let message = typed::Permit { owner, spender, value, nonce, deadline };
    let signature = wallet.sign(&message.eip712_signing_hash(&domain));
    let (v, r, s) = (27 + u8::from(signature.v()), signature.r().into(), signature.s().into());
    EssaimToken::permitCall { owner, spender, value, deadline, v, r, s }
}

/// Stake of person `index` by a permit.
pub(super) fn stake_with_permit(world: &mut World, index: usize, amount: u128) -> Vault::stakeWithPermitCall {
    let vault = world.vault;
    let EssaimToken::permitCall { deadline, v, r, s, .. } = permit(world, index, vault, amount);
    Vault::stakeWithPermitCall { amount, deadline, v, r, s }
}

/// Rulings as the court asks for them.
pub(super) trait Rulings {
    /// The ruling of the committee's last two members in case `id`.
    fn ruling(&mut self, id: u64, guilty: bool) -> Court::ruleCall;
}

impl Rulings for World {
    fn ruling(&mut self, id: u64, guilty: bool) -> Court::ruleCall {
        let (id, reasons, number, until) = (U256::from(id), B256::repeat_byte(3), 1, self.evm.now + 60);
        let digest = Court::rulingDigestCall { id, guilty, reasons, number, signedUntil: until };
        let digest = self.evm.ask(self.court, &digest);
        let ballots = committee().into_iter().skip(1).map(|member| Committee::Ballot {
            member: member.address(),
            signature: member.sign(&digest).as_bytes().into(),
        });
        Court::ruleCall { id, guilty, reasons, number, signedUntil: until, ballots: ballots.collect() }
    }
}

/// Roots of many accounts, two of whom claim; their totals grow from epoch to epoch.
pub(super) struct Claims {
    rewards: Address,
    claimants: [Address; 2],
    leaves: Vec<[u8; 32]>,
    epoch: u64,
}

impl Claims {
    pub(super) fn new(rewards: Address, claimants: [Address; 2]) -> Self {
        Self { rewards, claimants, leaves: vec![], epoch: 0 }
    }

    fn lifetime(&self) -> u64 {
        (self.epoch + 1) * 1_234_567
    }

    /// The root of `epoch` over so many accounts.
    pub(super) fn post(&mut self, epoch: u64, accounts: u64) -> Rewards::postRootCall {
        self.epoch = epoch;
        let other = |number| Account(named("account", number)[12..].try_into().expect("twenty bytes"));
        let each = (epoch + 1) * 10_000_000_000 / accounts; // totals never fall, however many share them
        let mut book: BTreeMap<_, _> = (2..accounts).map(|number| (other(number), each)).collect();
        book.extend(self.claimants.map(|account| (Account(account.0.0), self.lifetime())));
        self.leaves = merkle::leaves(CHAIN_ID, &Account(self.rewards.0.0), &book);
        Rewards::postRootCall {
            epoch,
            root: B256::from(merkle::root(&self.leaves)),
            lifetimeTotal: u128::from(book.values().sum::<u64>()),
            fileHash: named("file", epoch),
            uri: format!("https://example.org/essaim/run/ledger-{epoch:04}.jsonl"),
        }
    }

    pub(super) fn claim(&self, index: usize) -> Rewards::claimCall {
        let account = self.claimants[index];
        let leaf = merkle::leaf(CHAIN_ID, &Account(self.rewards.0.0), &Account(account.0.0), self.lifetime());
        let index = self.leaves.iter().position(|other| *other == leaf).expect("a claimant has a leaf");
        let proof = merkle::proof(&self.leaves, index).into_iter().map(B256::from).collect();
        Rewards::claimCall { account, lifetime: self.lifetime().into(), proof }
    }

    /// The claim of a claimant, who is person `index`, paid to another.
    pub(super) fn claim_to(&self, index: usize, recipient: Address) -> Rewards::claimToCall {
        let Rewards::claimCall { account, lifetime, proof } = self.claim(index);
        let domain = eip712_domain! {
            name: "EpochRewards", version: "1", chain_id: CHAIN_ID, verifying_contract: self.rewards,
        };
        let (nonce, deadline) = (U256::ZERO, U256::from(u64::MAX));
        let message = typed::ClaimTo { account, recipient, lifetime, nonce, deadline };
        let signature = person(index).sign(&message.eip712_signing_hash(&domain)).as_bytes().into();
        Rewards::claimToCall { account, recipient, lifetime, proof, deadline, signature }
    }
}
