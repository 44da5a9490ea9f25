//! Decides which tokens of which sequences the model computes in the next step.
//!
//! Promise: every sequence taken in is given back exactly once; the oldest one always moves on, so
//! nothing waits for ever, however few blocks there are.
//! Takes: sequences, and what was computed and sampled. Gives: the chunks to compute now.
//! Never: looks at the clock, touches tensors, or knows what a token means.
//!
//! Rules. Each running sequence that has one token to compute computes it (decoding). Longer rests
//! (prompts, or sequences that lost their blocks) share a budget of tokens per step, oldest first.
//! Waiting sequences are admitted in order of arrival while there is budget and room. When a running
//! sequence needs a block and none is free, the youngest loses all its blocks and waits again.
//! A sample whose prompt is being computed for another sample waits for it and then shares it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::block_pool::BlockPool;
use crate::sequence::{Job, Sequence};

/// Tokens of one sequence to compute in this step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Place in [`Scheduler::running`].
    pub(crate) slot: usize,
    pub(crate) past: usize,
    pub(crate) count: usize,
    /// Whether it reaches the last known token, so that the next one is sampled.
    pub(crate) samples: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ScheduleLimits {
    pub(crate) block_count: u32,
    pub(crate) block_size: usize,
    pub(crate) running: usize,
    pub(crate) prefill_tokens: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScheduleCounts {
    pub(crate) preemptions: u64,
    pub(crate) shared_tokens: u64,
}

#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: ScheduleLimits,
    pool: BlockPool,
    /// By age.
    waiting: BTreeMap<u64, Sequence>,
    /// By age as well: oldest first.
    pub(crate) running: Vec<Sequence>,
    next_age: u64,
    pub(crate) counts: ScheduleCounts,
}

impl Scheduler {
    pub(crate) fn new(limits: ScheduleLimits) -> Self {
        Self {
            limits,
            pool: BlockPool::new(limits.block_count),
            waiting: BTreeMap::new(),
            running: Vec::new(),
            next_age: 0,
            counts: ScheduleCounts::default(),
        }
    }

    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// A waiting sequence by its age.
    pub(crate) fn waiting(&self, age: u64) -> &Sequence {
        &self.waiting[&age]
    }

    pub(crate) fn free_blocks(&self) -> usize {
        self.pool.free_count()
    }

    pub(crate) fn enqueue(&mut self, job: Job, seeds: &[[u8; 32]]) {
        let job = Arc::new(job);
        for (sample_index, seed) in (0..).zip(seeds) {
            let sequence = Sequence::new(self.next_age, job.clone(), sample_index, *seed);
            self.waiting.insert(self.next_age, sequence);
            self.next_age += 1;
        }
    }

    /// The chunks of the next step; empty only if nothing waits and nothing runs.
    pub(crate) fn plan(&mut self) -> Vec<Chunk> {
        let preempted = self.grow_running();
        if !preempted {
            self.admit();
        }
        let mut budget = self.limits.prefill_tokens;
        let mut chunks = Vec::with_capacity(self.running.len());
        for (slot, sequence) in self.running.iter().enumerate() {
            let remaining = sequence.remaining();
            let count = if remaining == 1 { 1 } else { remaining.min(budget) };
            if count > 0 {
                let samples = count == remaining;
                chunks.push(Chunk { slot, past: sequence.computed, count, samples });
            }
            if remaining > 1 {
                budget -= count;
            }
        }
        chunks
    }

    /// Gives every running sequence room for its next token. Says whether anyone had to yield.
    fn grow_running(&mut self) -> bool {
        let mut yielded = false;
        let mut slot = 0;
        while slot < self.running.len() {
            if self.running[slot].blocks.len() * self.limits.block_size >= self.running[slot].tokens.len() {
                slot += 1;
            } else if let Some(block) = self.pool.allocate() {
                self.running[slot].blocks.push(block);
            } else {
                // The last one is the youngest; it may be the one that asks.
                let mut youngest = self.running.pop().expect("the one that asks is running");
                self.release_blocks(&mut youngest);
                self.waiting.insert(youngest.age, youngest);
                self.counts.preemptions += 1;
                yielded = true;
            }
        }
        yielded
    }

    fn release_blocks(&mut self, sequence: &mut Sequence) {
        for block in sequence.surrender_blocks() {
            self.pool.release(block);
        }
    }

    fn admit(&mut self) {
        let prefilling = self.running.iter().map(Sequence::remaining);
        let mut budget = self.limits.prefill_tokens;
        budget = budget.saturating_sub(prefilling.filter(|&rest| rest > 1).sum());
        // Places kept for the samples that will start from a prompt being computed.
        let mut promised = 0;
        let mut from = 0;
        while budget > 0 && self.running.len() + promised < self.limits.running {
            let Some((&age, sequence)) = self.waiting.range(from..).next() else {
                break;
            };
            from = age + 1;
            if self.waits_for_its_prompt(sequence) {
                promised += 1;
                continue;
            }
            let mut sequence = self.waiting.remove(&age).expect("it was found just now");
            // A block for each that runs or will: else their next tokens might drive this one out.
            if !self.take_blocks(&mut sequence, self.running.len() + promised) {
                self.waiting.insert(age, sequence);
                break;
            }
            budget = budget.saturating_sub(sequence.remaining());
            self.running.push(sequence);
        }
        self.running.sort_by_key(|sequence| sequence.age);
    }

    fn waits_for_its_prompt(&self, sequence: &Sequence) -> bool {
        let computes_it =
            |leader: &Sequence| leader.computed < leader.job.prompt.len() && sequence.has_prompt_of(leader);
        sequence.is_fresh() && self.running.iter().any(computes_it)
    }

    /// Finds cached blocks of the prompt and takes fresh ones for the rest, if that leaves `spare`
    /// blocks free; else takes none.
    fn take_blocks(&mut self, sequence: &mut Sequence, spare: usize) -> bool {
        let size = self.limits.block_size;
        // At least the last token is computed, for somebody must give its logits.
        let shareable = ((sequence.tokens.len() - 1) / size).min(sequence.job.keys.len());
        let keys = &sequence.job.keys[..shareable];
        let shared: Vec<u32> = keys.iter().map_while(|key| self.pool.find(key)).collect();
        for &block in &shared {
            self.pool.retain(block);
        }
        let needed = sequence.tokens.len().div_ceil(size) - shared.len();
        if self.pool.free_count() < needed + spare {
            shared.into_iter().rev().for_each(|block| self.pool.release(block));
            return false;
        }
        sequence.computed = shared.len() * size;
        self.counts.shared_tokens += sequence.computed as u64;
        sequence.blocks = shared;
        let fresh = (0..needed).map(|_| self.pool.allocate().expect("counted as free just now"));
        sequence.blocks.extend(fresh);
        true
    }

    /// Ages of the waiting samples that can start from the prompt that `leader` completes now;
    /// they are added to `claimed`, which holds those of the other leaders of this step.
    pub(crate) fn forks_of(&self, leader: &Chunk, claimed: &mut BTreeSet<u64>) -> Vec<u64> {
        let sequence = &self.running[leader.slot];
        let mut ages = Vec::new();
        if !leader.samples || !sequence.is_fresh() {
            return ages;
        }
        let is_sibling = |other: &&Sequence| other.is_fresh() && other.has_prompt_of(sequence);
        for sibling in self.waiting.values().filter(is_sibling) {
            let running = self.running.len() + claimed.len();
            // Each takes a block now or soon; and one is left for each that runs.
            let fits = self.pool.free_count() > claimed.len() + running;
            if running >= self.limits.running || !fits {
                break;
            }
            if claimed.insert(sibling.age) {
                ages.push(sibling.age);
            }
        }
        ages
    }

    /// Marks a chunk as computed, and lets others find the prompt blocks that it filled.
    pub(crate) fn advance(&mut self, chunk: &Chunk) {
        let sequence = &mut self.running[chunk.slot];
        assert_eq!(sequence.computed, chunk.past, "our bug: a chunk was computed twice");
        sequence.computed += chunk.count;
        let size = self.limits.block_size;
        if sequence.clean && chunk.past < sequence.job.prompt.len() {
            let full = (chunk.past / size)..(sequence.computed / size);
            for (index, key) in sequence.job.keys.iter().enumerate() {
                if full.contains(&index) {
                    self.pool.publish(sequence.blocks[index], *key);
                }
            }
        }
    }

    /// Starts a waiting sample from the computed prompt of a running one, at the end of
    /// [`Self::running`]. Gives the block whose contents must be copied, and where to, if the
    /// prompt does not end with a full block.
    pub(crate) fn fork(&mut self, leader: usize, age: u64) -> Option<(u32, u32)> {
        let mut sequence = self.waiting.remove(&age).expect("our bug: a fork of nothing");
        let leader = &self.running[leader];
        let prompt_len = sequence.job.prompt.len();
        let whole = prompt_len / self.limits.block_size;
        sequence.blocks.extend(&leader.blocks[..whole]);
        for &block in &sequence.blocks {
            self.pool.retain(block);
        }
        let copy = (!prompt_len.is_multiple_of(self.limits.block_size)).then(|| {
            let block = self.pool.allocate().expect("forks_of counted it as free");
            sequence.blocks.push(block);
            (leader.blocks[whole], block)
        });
        sequence.computed = prompt_len;
        sequence.clean = leader.clean;
        self.counts.shared_tokens += prompt_len as u64;
        self.running.push(sequence);
        copy
    }

    /// Takes out the running sequences that `finished` names by slot, in rising order, with their
    /// blocks given back, and puts the rest in order of age.
    pub(crate) fn remove_running(&mut self, finished: &[usize]) -> Vec<Sequence> {
        let mut removed = Vec::with_capacity(finished.len());
        for &slot in finished.iter().rev() {
            let mut sequence = self.running.swap_remove(slot);
            self.release_blocks(&mut sequence);
            removed.push(sequence);
        }
        self.running.sort_by_key(|sequence| sequence.age);
        removed.reverse();
        removed
    }

    /// Takes out every sequence of a request.
    pub(crate) fn remove_request(&mut self, id: u64) -> Vec<Sequence> {
        let slots: Vec<usize> = (0..self.running.len()).filter(|&slot| self.running[slot].job.id == id).collect();
        let mut removed = self.remove_running(&slots);
        removed.extend(self.waiting.extract_if(.., |_, sequence| sequence.job.id == id).map(|(_, sequence)| sequence));
        removed
    }

    /// New weights: nothing computed so far may be found by newcomers.
    pub(crate) fn forget_prefixes(&mut self) {
        self.pool.forget_prefixes();
        for sequence in &mut self.running {
            sequence.clean = sequence.computed == 0 || sequence.job.weight_version.is_some();
        }
    }

    /// The versions that sequences are pinned to.
    pub(crate) fn pinned_versions(&self) -> impl Iterator<Item = u64> {
        self.running.iter().chain(self.waiting.values()).filter_map(|sequence| sequence.job.weight_version)
    }

    /// Checks the pool, and that the sequences and the pool agree on who holds what.
    ///
    /// # Panics
    /// If they do not: our bug.
    pub(crate) fn assert_invariants(&self) {
        self.pool.assert_invariants();
        let mut holders = vec![0; self.limits.block_count as usize];
        assert!(self.running.len() <= self.limits.running, "too many are running");
        assert!(self.running.is_sorted_by(|a, b| a.age < b.age), "running is out of order");
        for sequence in &self.running {
            let size = self.limits.block_size;
            assert!(sequence.remaining() > 0, "a running sequence has nothing to compute");
            assert!(sequence.blocks.len() * size >= sequence.computed, "computed tokens without blocks");
            for (index, &block) in sequence.blocks.iter().enumerate() {
                holders[block as usize] += 1;
                let to_be_written = (index + 1) * size > sequence.computed;
                assert!(!to_be_written || self.pool.is_writable(block), "block {block} is shared but not full");
            }
        }
        for (block, expected) in (0..).zip(holders) {
            assert_eq!(self.pool.holders(block), expected, "holders of block {block}");
        }
        for sequence in self.waiting.values() {
            assert!(sequence.blocks.is_empty() && sequence.computed == 0, "a waiting sequence holds blocks");
        }
    }
}
