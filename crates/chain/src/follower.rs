//! Following a chain's events without missing one, counting one twice, or keeping one that was undone.
//!
//! Promise: each event of the chain is told once it has enough blocks on top; if the chain replaces blocks,
//! the events of the replaced ones are told back first. The place is on disk, so a kill loses nothing; news
//! that was told and not marked as taken is told again.
//! Takes: a chain, contracts, a file. Gives: [`News`]. Never: waits for news.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{Chain, ChainError, Filter, Log, files};

/// Blocks that are remembered. A chain that replaces more at once is not to be trusted with money.
pub const REMEMBERED_BLOCKS: usize = 64;
/// Blocks that one look covers at most.
const LOOK_BLOCKS_MAX: u64 = 5_000;
/// Looks at a chain that changes while it is looked at.
const LOOKS_MAX: u32 = 5;
/// Longest file: remembered blocks with a thousand events.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What happened since the last news was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Events that were told and are no longer of the chain, newest first. Take them back before the others.
    pub undone: Vec<Log>,
    /// Events, oldest first.
    pub logs: Vec<Log>,
    /// Whether there is more: the look reached its limit before the chain's end.
    pub more: bool,
    place: Place,
}

/// Where a follower stands. Everything before `next` has been taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    chain_id: u64,
    contracts: Vec<Address>,
    start: u64,
    next: u64,
    recent: Vec<Remembered>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    number: u64,
    hash: B256,
    logs: Vec<Log>,
}

/// Follows the events of some contracts.
pub struct Follower {
    path: PathBuf,
    place: Place,
    confirmations: u64,
}

impl Follower {
    /// Goes on where the file says, or begins at block `start`.
    ///
    /// `confirmations`: blocks that make an event settled, its own included; at least 1.
    /// Errors: `File`, also if the file follows other contracts; `WrongChain`.
    pub fn open(
        path: &Path,
        chain: &dyn Chain,
        contracts: Vec<Address>,
        start: u64,
        confirmations: u64,
    ) -> Result<Self, ChainError> {
        let chain_id = chain.chain_id();
        let place = if path.exists() {
            files::load(path, FILE_BYTES_MAX)?
        } else {
            Place { chain_id, contracts: contracts.clone(), start, next: start, recent: Vec::new() }
        };
        if place.chain_id != chain_id {
            return Err(ChainError::WrongChain { host: chain.name(), expected: place.chain_id, given: chain_id });
        }
        if place.contracts != contracts {
            return Err(ChainError::File { path: path.into(), cause: "it follows other contracts".into() });
        }
        Ok(Self { path: path.into(), place, confirmations: confirmations.max(1) })
    }

    /// The block from which on nothing was taken yet.
    pub fn next_block(&self) -> u64 {
        self.place.next
    }

    /// What happened since. Told again and again until it is [taken](Self::take).
    ///
    /// Errors: `ReorganisedTooDeep` if no remembered block is of the chain any more, `Unsteady` if it
    /// changes faster than it can be read.
    pub fn look(&self, chain: &dyn Chain) -> Result<News, ChainError> {
        for _ in 0..LOOKS_MAX {
            if let Some(news) = self.look_once(chain)? {
                return Ok(news);
            }
        }
        Err(ChainError::Unsteady { looks: LOOKS_MAX })
    }

    /// Marks news as taken. Errors: `File`, also if it needs more than 4 MiB; it is then told again.
    pub fn take(&mut self, news: News) -> Result<(), ChainError> {
        if news.place != self.place {
            files::save(&self.path, &news.place, FILE_BYTES_MAX)?;
            self.place = news.place;
        }
        Ok(())
    }

    /// None if the chain changed on the way.
    fn look_once(&self, chain: &dyn Chain) -> Result<Option<News>, ChainError> {
        let head = chain.head()?;
        let kept = self.common(chain)?;
        let mut place = Place { recent: self.place.recent[..kept].to_vec(), ..self.place.clone() };
        let undone =
            self.place.recent[kept..].iter().rev().flat_map(|block| block.logs.iter().rev().cloned()).collect();
        if kept < self.place.recent.len() {
            place.next = place.recent.last().map_or(place.start, |block| block.number.saturating_add(1));
        }
        // Below the largest number, because at least one confirmation is asked for.
        let settled = head.number.saturating_add(1).checked_sub(self.confirmations);
        let last = place.next.saturating_add(LOOK_BLOCKS_MAX - 1);
        let Some(to) = settled.map(|settled| settled.min(last)).filter(|to| *to >= place.next) else {
            return Ok(Some(News { undone, logs: Vec::new(), more: false, place }));
        };
        let addresses = place.contracts.clone();
        let logs = chain.logs(&Filter { addresses, signatures: Vec::new(), from: place.next, to })?;
        let Some(blocks) = blocks(chain, place.next, to, &logs)? else { return Ok(None) };
        let same = match place.recent.last() {
            Some(last) => chain.block(last.number)?.is_some_and(|block| block.hash == last.hash),
            None => true,
        };
        if !same {
            return Ok(None);
        }
        place.recent.extend(blocks);
        let surplus = place.recent.len().saturating_sub(REMEMBERED_BLOCKS);
        place.recent.drain(..surplus);
        place.next = to + 1;
        Ok(Some(News { undone, logs, more: settled > Some(to), place }))
    }

    /// How many of the remembered blocks are still of the chain.
    fn common(&self, chain: &dyn Chain) -> Result<usize, ChainError> {
        let recent = &self.place.recent;
        for (index, block) in recent.iter().enumerate().rev() {
            if chain.block(block.number)?.is_some_and(|now| now.hash == block.hash) {
                return Ok(index + 1);
            }
        }
        match recent.first() {
            Some(first) if first.number > self.place.start => {
                Err(ChainError::ReorganisedTooDeep { blocks: recent.len(), oldest: first.number })
            }
            _ => Ok(0),
        }
    }
}

/// The newest blocks of a range with their events; none if the events are not of these blocks.
fn blocks(chain: &dyn Chain, from: u64, to: u64, logs: &[Log]) -> Result<Option<Vec<Remembered>>, ChainError> {
    let mut blocks = Vec::new();
    for number in from.max((to + 1).saturating_sub(REMEMBERED_BLOCKS as u64))..=to {
        let Some(block) = chain.block(number)? else { return Ok(None) };
        let logs: Vec<Log> = logs.iter().filter(|log| log.block == number).cloned().collect();
        if logs.iter().any(|log| log.block_hash != block.hash) {
            return Ok(None);
        }
        blocks.push(Remembered { number, hash: block.hash, logs });
    }
    // A change between the first question and the last would show in the newest block.
    let last = blocks.last().map(|block| (block.number, block.hash));
    let steady = match last {
        Some((number, hash)) => chain.block(number)?.is_some_and(|now| now.hash == hash),
        None => true,
    };
    Ok(steady.then_some(blocks))
}
