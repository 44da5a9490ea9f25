//! One hash over a list, with short proofs of membership.
//!
//! Promise: two lists that differ in length, order or content have different roots, and a path proves one
//! leaf at one index of a list whose length is known (a commitment signs it beside the root). Shape: RFC 6962 (certificate transparency), section 2.1; a
//! list of `n` splits at the largest power of two below `n`, so no leaf is ever doubled. Leaves and inner
//! nodes are hashed in different contexts, so neither can pass for the other.

use crate::Hash;
use crate::constants::{MERKLE_LEAF_CONTEXT, MERKLE_NODE_CONTEXT};

/// The leaf of some bytes: `blake3_derive_key(leaf context, bytes)`.
pub fn leaf(bytes: &[u8]) -> Hash {
    blake3::derive_key(MERKLE_LEAF_CONTEXT, bytes)
}

/// Root of the list. The empty list has the root `blake3_derive_key(node context, "")`.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => blake3::derive_key(MERKLE_NODE_CONTEXT, &[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// Hashes that lead from leaf `index` to the root, the lowest first; empty if there is no such leaf.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let (mut rest, mut index, mut path) = (leaves, index, Vec::new());
    if index >= leaves.len() {
        return path;
    }
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split(rest.len()));
        let (next, other) = if index < left.len() { (left, right) } else { (right, left) };
        index = if index < left.len() { index } else { index - left.len() };
        path.push(root(other));
        rest = next;
    }
    path.reverse();
    path
}

/// Whether `path` leads from `leaf`, at `index` of a list of `count`, to `root`.
pub fn verify(root: &Hash, leaf: &Hash, index: usize, count: usize, path: &[Hash]) -> bool {
    index < count && climb(*leaf, index, count, path).is_some_and(|top| top == *root)
}

/// The root above `leaf`, if the path has exactly as many hashes as the tree has levels there.
fn climb(leaf: Hash, index: usize, count: usize, path: &[Hash]) -> Option<Hash> {
    if count == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (other, below) = path.split_last()?;
    let left = split(count);
    match index < left {
        true => Some(node(&climb(leaf, index, left, below)?, other)),
        false => Some(node(other, &climb(leaf, index - left, count - left, below)?)),
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(MERKLE_NODE_CONTEXT);
    hasher.update(left).update(right);
    *hasher.finalize().as_bytes()
}

/// The largest power of two below `count`, for `count` of at least 2.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}
