//! Levels of difficulty of tasks that make up their items.
//!
//! Promise: item `i` has level `i mod levels`, level 0 is the easiest, and the levels together cover
//! the whole range of the run file.

use crate::draw::draw;
use crate::random::Random;
use crate::{Item, Split, TaskError};

/// Most levels of one task; a longer range has levels of several values each.
const LEVELS_MAX: u64 = 8;

/// Levels of a range of sizes: one per value, up to [`LEVELS_MAX`]; 1 for an empty range.
pub(crate) fn levels_of((low, high): (u64, u64)) -> u32 {
    (high.saturating_sub(low) + 1).min(LEVELS_MAX) as u32
}

/// The part of the range that belongs to the level of an index: from `low + ⌊l·n/L⌋` to before
/// `low + ⌊(l+1)·n/L⌋`, with `n` values in `L` levels.
fn part((low, high): (u64, u64), index: u64) -> (u64, u64) {
    let levels = u64::from(levels_of((low, high)));
    let (values, level) = (high - low + 1, index % levels);
    (low + level * values / levels, low + (level + 1) * values / levels - 1)
}

/// Draws an item whose size lies in the part of `range` that is its index's level. Where a level is
/// so small that none of its prompts is in the split, the next harder one serves.
///
/// `make` takes the part's bounds. The range must have been checked. Errors: `SplitTooSmall`.
pub(crate) fn draw_at_level(
    task: &str,
    (seed, split, index): (u64, Split, u64),
    range: (u64, u64),
    make: impl Fn(&mut Random, (u64, u64)) -> Option<(String, String)>,
) -> Result<Item, TaskError> {
    let levels = u64::from(levels_of(range));
    let harder = index % levels..levels;
    let mut drawn = harder.map(|level| {
        let part = part(range, level);
        draw(task, seed, split, index, |random| make(random, part))
    });
    let first = drawn.next().expect("an index has a level");
    first.or_else(|error| drawn.find_map(Result::ok).ok_or(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_cover_the_range_without_gaps() {
        for range in [(3, 3), (2, 5), (1, 12), (300, 696), (1, 64)] {
            let parts: Vec<_> = (0..u64::from(levels_of(range))).map(|level| part(range, level)).collect();
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), range);
            assert!(parts.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{parts:?}");
            assert!(parts.iter().all(|(low, high)| low <= high), "{parts:?}");
        }
        assert_eq!(levels_of((2, 5)), 4);
        assert_eq!(part((2, 5), 6), (4, 4), "index 6 has level 2");
    }
}
