//! The ledger's tree against OpenZeppelin's `MerkleProof` in the contract.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use alloy_sol_types::SolError;
use chain::bindings::EpochRewards as Rewards;
use ledger::{Account, merkle};

use super::evm::CHAIN_ID;
use super::world::{Code, DISPUTE, POSTER, STRANGER, World, named};

/// Accounts `0..size` with lifetime totals from 1.
fn book(size: u64) -> BTreeMap<Account, u64> {
    let account = |number| Account(named("account", number)[12..].try_into().expect("twenty bytes"));
    (0..size).map(|number| (account(number), number + 1)).collect()
}

/// Posts the tree of `size` leaves and claims on the leaves that `picked` names: each pays its own amount once.
fn holds(size: u64, picked: impl Iterator<Item = usize>) {
    let mut world = World::new(&Code::committed());
    let ours = Account(world.rewards.0.0);
    let book = book(size);
    let (leaves, total) = (merkle::leaves(CHAIN_ID, &ours, &book), book.values().sum::<u64>());
    world.does(POSTER, world.rewards, &Rewards::fundCall { amount: total.into() });
    let post = Rewards::postRootCall {
        epoch: 0,
        root: B256::from(merkle::root(&leaves)),
        lifetimeTotal: total.into(),
        fileHash: B256::ZERO,
        uri: String::new(),
    };
    world.does(POSTER, world.rewards, &post);
    world.evm.now += DISPUTE;
    for index in picked {
        let (account, lifetime) = book.iter().nth(index).expect("within the book");
        let proof: Vec<_> = merkle::proof(&leaves, index).into_iter().map(B256::from).collect();
        let mut call = Rewards::claimCall { account: account.0.into(), lifetime: (lifetime + 1).into(), proof };
        let more = world.ask_rewards(STRANGER, &call).err().expect("more than the leaf says");
        assert_eq!(more.selector(), Rewards::BadProof::SELECTOR);
        call.lifetime = (*lifetime).into();
        world.does(STRANGER, world.rewards, &call);
        assert_eq!(world.balance(call.account), *lifetime, "leaf {index} of {size}");
        let again = world.ask_rewards(STRANGER, &call).err().expect("paid already");
        assert_eq!(again.selector(), Rewards::NothingDue::SELECTOR);
    }
}

#[test]
fn every_leaf_of_a_small_tree_is_paid_by_the_contract() {
    for size in 1..=39 {
        holds(size, 0..size as usize);
    }
}

#[test]
fn leaves_of_a_large_tree_are_paid_by_the_contract() {
    holds(256, (0..256).step_by(6).chain([255]));
    holds(4_096, (0..4_096).step_by(97).chain([4_095]));
}

/// Sorted pairs hide which side a hash is on; two hashings of a leaf keep an inner node from passing for one.
#[test]
fn inner_nodes_are_no_leaves() {
    let ours = Account([1; 20]);
    let leaves = merkle::leaves(CHAIN_ID, &ours, &book(4));
    let root = merkle::root(&leaves);
    let inner = merkle::node(&leaves[0], &leaves[1]);
    let proof = merkle::proof(&leaves, 0);
    assert!(merkle::verify(&root, inner, &proof[1..]), "as a hash it leads to the root");
    for (account, lifetime) in book(4) {
        assert_ne!(merkle::leaf(CHAIN_ID, &ours, &account, lifetime), inner, "but nobody can name it as a claim");
    }
}
