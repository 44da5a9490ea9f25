//! The tree whose root goes on the chain: one leaf for each account and what it has earned since the run began.
//!
//! Promise: the contract `EpochRewards`, with OpenZeppelin's `MerkleProof`, accepts the proof of each leaf and of
//! nothing else. Leaves are hashed twice, so that no inner node passes for a leaf.
//! Shape: leaves by rising account; neighbours are joined in pairs, the lower hash first; a node without a
//! neighbour moves up as it is. The empty tree has the root zero.

use std::collections::BTreeMap;

use protocol::Hash;

use crate::{Account, Amount, keccak256};

/// `keccak256(keccak256(abi.encode(uint256 chain id, address rewards, address account, uint256 lifetime)))`.
pub fn leaf(chain_id: u64, rewards: &Account, account: &Account, lifetime: Amount) -> Hash {
    let mut words = [[0; 32]; 4];
    words[0][24..].copy_from_slice(&chain_id.to_be_bytes());
    words[1][12..].copy_from_slice(&rewards.0);
    words[2][12..].copy_from_slice(&account.0);
    words[3][24..].copy_from_slice(&lifetime.to_be_bytes());
    keccak256(&keccak256(words.as_flattened()))
}

/// `keccak256` of the two hashes, the lower first.
pub fn node(one: &Hash, other: &Hash) -> Hash {
    let (low, high) = if one <= other { (one, other) } else { (other, one) };
    keccak256(&[*low, *high].concat())
}

/// Root of leaves in this order.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// Hashes that lead from leaf `index` to the root, the lowest first; empty if there is no such leaf.
pub fn proof(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let (mut level, mut index, mut proof) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 && index < level.len() {
        proof.extend(level.get(index ^ 1)); // none beside the last of an odd level
        level = above(&level);
        index /= 2;
    }
    proof
}

/// [`proof`] of every leaf, with each level computed once.
pub fn proofs(leaves: &[Hash]) -> Vec<Vec<Hash>> {
    let (mut level, mut proofs) = (leaves.to_vec(), vec![Vec::new(); leaves.len()]);
    let mut indices: Vec<usize> = (0..leaves.len()).collect();
    while level.len() > 1 {
        for (proof, index) in proofs.iter_mut().zip(&mut indices) {
            proof.extend(level.get(*index ^ 1)); // none beside the last of an odd level
            *index /= 2;
        }
        level = above(&level);
    }
    proofs
}

/// Whether `proof` leads from `leaf` to `root`: what the contract asks.
pub fn verify(root: &Hash, leaf: Hash, proof: &[Hash]) -> bool {
    proof.iter().fold(leaf, |hash, other| node(&hash, other)) == *root
}

/// The leaves of all accounts that have earned anything, by rising account.
pub fn leaves(chain_id: u64, rewards: &Account, lifetimes: &BTreeMap<Account, Amount>) -> Vec<Hash> {
    lifetimes.iter().map(|(account, lifetime)| leaf(chain_id, rewards, account, *lifetime)).collect()
}

fn above(level: &[Hash]) -> Vec<Hash> {
    let join = |pair: &[Hash]| match pair {
        [one, other] => node(one, other),
        single => single[0], // chunks are never empty
    };
    level.chunks(2).map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves_of(count: u64) -> Vec<Hash> {
        let rewards = Account([9; 20]);
        (0..count).map(|n| leaf(31_337, &rewards, &Account([n as u8; 20]), 1_000 + n)).collect()
    }

    #[test]
    fn three_leaves_worked_by_hand() {
        let [a, b, c] = leaves_of(3).try_into().unwrap();
        assert_eq!(root(&[a, b, c]), node(&node(&a, &b), &c));
        assert_eq!(proof(&[a, b, c], 0), [b, c]);
        assert_eq!(proof(&[a, b, c], 2), [node(&a, &b)]);
        assert_eq!(root(&[a]), a);
        assert_eq!(root(&[]), [0; 32]);
        assert_eq!(node(&a, &b), node(&b, &a));
    }

    #[test]
    fn each_leaf_is_proven_and_no_other() {
        for count in 1..=40 {
            let leaves = leaves_of(count);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = proof(&leaves, index);
                assert!(verify(&root, *leaf, &proof), "leaf {index} of {count}");
                let other = super::leaf(31_337, &Account([9; 20]), &Account([index as u8; 20]), 1);
                assert!(!verify(&root, other, &proof), "another amount, leaf {index} of {count}");
            }
            assert_eq!(proof(&leaves, leaves.len()), Vec::<Hash>::new());
            let one_by_one: Vec<_> = (0..leaves.len()).map(|index| proof(&leaves, index)).collect();
            assert_eq!(proofs(&leaves), one_by_one);
        }
    }
}
