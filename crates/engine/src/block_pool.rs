//! Lends fixed-size blocks of the key/value cache to sequences, and lets them share prompts.
//!
//! Promise: a block is free, or cached, or held by exactly as many sequences as its count says;
//! a block with a prefix key is never written again until that key is forgotten.
//! Takes: requests for blocks. Gives: block numbers. Never: touches the cache's contents.
//!
//! A block that nobody holds but whose prefix is known stays "cached": it is found again by key, or
//! reused, oldest first, when blank blocks run out.

use std::collections::{BTreeMap, HashMap};

/// Names the tokens of a block and of everything before it, and the weights that they are computed
/// with; equal keys mean equal prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PrefixKey([u8; 32]);

impl PrefixKey {
    /// Keys of the full blocks of a prompt: `key_i = blake3(key_{i-1} ‖ tokens of block i)`.
    /// `key_{-1}` is `version + 1` as a number of 32 bytes, or 0 for the newest weights, whichever.
    #[must_use]
    pub fn chain(prompt: &[u32], block_size: usize, version: Option<u64>) -> Vec<Self> {
        let mut parent = [0u8; 32];
        if let Some(version) = version {
            parent[..16].copy_from_slice(&(u128::from(version) + 1).to_le_bytes());
        }
        let link = |tokens: &[u32]| {
            let mut hasher = blake3::Hasher::new_keyed(&parent);
            for token in tokens {
                hasher.update(&token.to_le_bytes());
            }
            parent = *hasher.finalize().as_bytes();
            Self(parent)
        };
        prompt.chunks_exact(block_size).map(link).collect()
    }
}

#[derive(Clone, Debug, Default)]
struct Block {
    holders: u32,
    prefix: Option<PrefixKey>,
    /// When the last holder left; orders the cached blocks.
    released_at: u64,
}

/// The blocks of one cache. Blocks are numbered from 0.
#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<Block>,
    /// Nobody holds them and nothing in them is worth finding.
    blank: Vec<u32>,
    /// Nobody holds them, but their prefix may be asked for; by `released_at`.
    cached: BTreeMap<u64, u32>,
    by_prefix: HashMap<PrefixKey, u32>,
    releases: u64,
}

impl BlockPool {
    /// A pool of `count` blank blocks.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            blocks: vec![Block::default(); count as usize],
            blank: (0..count).rev().collect(),
            cached: BTreeMap::new(),
            by_prefix: HashMap::new(),
            releases: 0,
        }
    }

    /// Blocks that can be taken now.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.blank.len() + self.cached.len()
    }

    /// Takes a block with one holder; `None` if all are held. A cached prefix may be lost by it.
    pub fn allocate(&mut self) -> Option<u32> {
        let block = self.blank.pop().or_else(|| self.evict())?;
        self.blocks[block as usize].holders = 1;
        Some(block)
    }

    fn evict(&mut self) -> Option<u32> {
        let (_, block) = self.cached.pop_first()?;
        let prefix = self.blocks[block as usize].prefix.take();
        let prefix = prefix.expect("our bug: a cached block has no prefix");
        self.by_prefix.remove(&prefix);
        Some(block)
    }

    /// Adds a holder to a block that is held or cached.
    pub fn retain(&mut self, block: u32) {
        let entry = &mut self.blocks[block as usize];
        if entry.holders == 0 {
            let removed = self.cached.remove(&entry.released_at);
            assert_eq!(removed, Some(block), "our bug: a blank block was retained");
        }
        entry.holders += 1;
    }

    /// Removes a holder; the last one to leave makes the block free.
    pub fn release(&mut self, block: u32) {
        let entry = &mut self.blocks[block as usize];
        assert!(entry.holders > 0, "our bug: block {block} was released twice");
        entry.holders -= 1;
        if entry.holders > 0 {
            return;
        }
        if entry.prefix.is_some() {
            entry.released_at = self.releases;
            self.cached.insert(self.releases, block);
            self.releases += 1;
        } else {
            self.blank.push(block);
        }
    }

    /// Makes a full, held block findable. If another block has this prefix already, that one stays.
    pub fn publish(&mut self, block: u32, key: PrefixKey) {
        let entry = &mut self.blocks[block as usize];
        assert!(entry.holders > 0, "our bug: a block that nobody holds was published");
        if entry.prefix.is_none() && !self.by_prefix.contains_key(&key) {
            entry.prefix = Some(key);
            self.by_prefix.insert(key, block);
        }
    }

    /// The block that holds this prefix, if it is still there.
    #[must_use]
    pub fn find(&self, key: &PrefixKey) -> Option<u32> {
        self.by_prefix.get(key).copied()
    }

    /// Forgets all prefixes, as new weights make them worthless. Held blocks stay held.
    pub fn forget_prefixes(&mut self) {
        self.by_prefix.clear();
        for block in &mut self.blocks {
            block.prefix = None;
        }
        self.blank.extend(std::mem::take(&mut self.cached).into_values());
    }

    /// How many sequences hold a block.
    #[must_use]
    pub fn holders(&self, block: u32) -> u32 {
        self.blocks[block as usize].holders
    }

    /// Whether new rows may be written into a block: one holder and no prefix.
    #[must_use]
    pub fn is_writable(&self, block: u32) -> bool {
        let entry = &self.blocks[block as usize];
        entry.holders == 1 && entry.prefix.is_none()
    }

    /// Checks that every block is in exactly one state and that all indexes agree.
    ///
    /// # Panics
    /// If they do not: our bug.
    pub fn assert_invariants(&self) {
        let mut free = vec![false; self.blocks.len()];
        for &block in self.blank.iter().chain(self.cached.values()) {
            assert!(!free[block as usize], "block {block} is free twice");
            free[block as usize] = true;
        }
        for (number, (block, free)) in self.blocks.iter().zip(free).enumerate() {
            assert_eq!(block.holders == 0, free, "block {number}: holders and free lists differ");
        }
        assert!(self.blank.iter().all(|&block| self.blocks[block as usize].prefix.is_none()));
        for (&stamp, &block) in &self.cached {
            let entry = &self.blocks[block as usize];
            assert!(entry.prefix.is_some(), "cached block {block} has no prefix");
            assert_eq!(entry.released_at, stamp, "cached block {block} has another stamp");
        }
        let named = self.blocks.iter().filter(|block| block.prefix.is_some()).count();
        assert_eq!(named, self.by_prefix.len(), "prefixes and their index differ");
        for (key, &block) in &self.by_prefix {
            assert_eq!(self.blocks[block as usize].prefix.as_ref(), Some(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8) -> PrefixKey {
        PrefixKey([number; 32])
    }

    #[test]
    fn a_released_prefix_is_found_until_its_block_is_needed() {
        let mut pool = BlockPool::new(2);
        let first = pool.allocate().unwrap();
        pool.publish(first, key(1));
        pool.release(first);
        assert_eq!(pool.find(&key(1)), Some(first));
        assert_eq!(pool.free_count(), 2, "a cached block can be taken");

        // The blank block goes first, then the cached one loses its prefix.
        assert_ne!(pool.allocate(), Some(first));
        assert_eq!(pool.allocate(), Some(first));
        assert_eq!(pool.find(&key(1)), None);
        assert_eq!(pool.allocate(), None);
    }

    #[test]
    fn the_prefix_released_first_is_lost_first() {
        let mut pool = BlockPool::new(2);
        let blocks = [pool.allocate().unwrap(), pool.allocate().unwrap()];
        pool.publish(blocks[0], key(0));
        pool.publish(blocks[1], key(1));
        pool.release(blocks[1]);
        pool.release(blocks[0]);
        assert_eq!(pool.allocate(), Some(blocks[1]));
        assert_eq!(pool.find(&key(0)), Some(blocks[0]));
    }

    #[test]
    fn equal_keys_mean_equal_prefixes() {
        let chain = PrefixKey::chain(&[1, 2, 3, 4, 5], 2, None);
        assert_eq!(chain.len(), 2, "the last block is not full");
        assert_eq!(chain[0], PrefixKey::chain(&[1, 2], 2, None)[0]);
        assert_ne!(chain[1], PrefixKey::chain(&[9, 2, 3, 4], 2, None)[1], "same block, other past");
        assert_ne!(chain[1], PrefixKey::chain(&[3, 4], 2, None)[0]);
        assert_ne!(chain[0], PrefixKey::chain(&[1, 2], 2, Some(0))[0], "other weights");
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Allocate,
        Retain(usize),
        Release(usize),
        Publish(usize, u8),
        Share(u8),
        Forget,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            4 => Just(Operation::Allocate),
            2 => any::<usize>().prop_map(Operation::Retain),
            5 => any::<usize>().prop_map(Operation::Release),
            3 => (any::<usize>(), 0u8..6).prop_map(|(at, key)| Operation::Publish(at, key)),
            3 => (0u8..6).prop_map(Operation::Share),
            1 => Just(Operation::Forget),
        ]
    }

    proptest! {
        #[test]
        fn random_operations_keep_the_invariants(
            count in 1u32..8,
            operations in proptest::collection::vec(operation(), 1..200),
        ) {
            let mut pool = BlockPool::new(count);
            let mut held: Vec<u32> = Vec::new();
            for operation in operations {
                apply(&mut pool, &mut held, operation);
                pool.assert_invariants();
                for block in 0..count {
                    let expected = held.iter().filter(|&&other| other == block).count();
                    prop_assert_eq!(pool.holders(block) as usize, expected);
                }
                let distinct: std::collections::BTreeSet<_> = held.iter().collect();
                prop_assert_eq!(pool.free_count(), count as usize - distinct.len());
            }
        }
    }

    fn apply(pool: &mut BlockPool, held: &mut Vec<u32>, operation: Operation) {
        let pick = |at: usize| (!held.is_empty()).then(|| at % held.len());
        match operation {
            Operation::Allocate => held.extend(pool.allocate()),
            Operation::Retain(at) => {
                if let Some(index) = pick(at) {
                    pool.retain(held[index]);
                    held.push(held[index]);
                }
            }
            Operation::Release(at) => {
                if let Some(index) = pick(at) {
                    pool.release(held.swap_remove(index));
                }
            }
            Operation::Publish(at, number) => {
                if let Some(index) = pick(at) {
                    pool.publish(held[index], key(number));
                }
            }
            Operation::Share(number) => {
                if let Some(block) = pool.find(&key(number)) {
                    pool.retain(block);
                    held.push(block);
                }
            }
            Operation::Forget => pool.forget_prefixes(),
        }
    }
}
