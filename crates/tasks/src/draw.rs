//! Draws items of a wanted split.
//!
//! Promise: the split of a prompt is a function of the prompt alone, so no two seeds, indices or
//! tasks can put one prompt on both sides.

use crate::random::Random;
use crate::{Item, Split, TaskError};

/// One prompt in this many is held out.
pub(crate) const HELD_OUT_ONE_IN: u64 = 16;
/// Draws before a split counts as empty. At one in sixteen a healthy task misses all of them with
/// probability (15/16)^1024 < 1e-28.
pub(crate) const MAX_DRAWS: u64 = 1024;

const SPLIT_KEY: &str = "essaim tasks 2026 split of a prompt v1";

/// A number that belongs to the prompt, spaces at its ends and runs of spaces not counted.
pub(crate) fn prompt_number(prompt: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(SPLIT_KEY);
    for word in prompt.split_whitespace() {
        hasher.update(word.as_bytes());
        hasher.update(b" ");
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The split that a prompt belongs to.
pub(crate) fn split_of(prompt: &str) -> Split {
    match prompt_number(prompt) % HELD_OUT_ONE_IN {
        0 => Split::HeldOut,
        _ => Split::Train,
    }
}

/// Makes `(prompt, answer)` pairs from one random stream until one is in the wanted split.
/// `make` may give `None` for a draw that led nowhere.
/// Errors: `SplitTooSmall` after [`MAX_DRAWS`] draws.
pub(crate) fn draw(
    task: &str,
    seed: u64,
    split: Split,
    index: u64,
    mut make: impl FnMut(&mut Random) -> Option<(String, String)>,
) -> Result<Item, TaskError> {
    let mut random = stream(task, seed, split, index);
    for _ in 0..MAX_DRAWS {
        if let Some((prompt, answer)) = make(&mut random)
            && split_of(&prompt) == split
        {
            return Ok(Item { prompt, messages: Vec::new(), answer, split, index });
        }
    }
    Err(TaskError::SplitTooSmall { task: task.to_owned(), split, attempts: MAX_DRAWS })
}

/// The random stream of one item.
pub(crate) fn stream(task: &str, seed: u64, split: Split, index: u64) -> Random {
    let split = match split {
        Split::Train => b"train".as_slice(),
        Split::HeldOut => b"held-out".as_slice(),
    };
    Random::new(&[task.as_bytes(), &seed.to_le_bytes(), split, &index.to_le_bytes()])
}

/// Refuses `low..=high` unless it is an unempty range within `limit`.
pub(crate) fn check_range(
    task: &'static str,
    field: &'static str,
    (low, high): (u64, u64),
    (limit_low, limit_high): (u64, u64),
) -> Result<(), TaskError> {
    if low <= high && limit_low <= low && high <= limit_high {
        return Ok(());
    }
    Err(TaskError::BadRange { task, field, low, high, limit_low, limit_high })
}
