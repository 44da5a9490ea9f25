//! Ratcliff-Obershelp similarity, exactly as Python's `difflib.SequenceMatcher` computes it.
//!
//! Promise: `2·M·1_000_000 / T` with the M and T of `SequenceMatcher(None, a, b)`, rounded down.
//! Never: works on more than [`MAX_RATCLIFF_CHARS`] characters a side, so hostile text is bounded.

use std::collections::BTreeMap;

use crate::REWARD_ONE_MICRO;

/// The longest text, in characters, that is compared; a longer one has similarity 0.
/// The slowest of a handful of hostile patterns of this length took 45 ms in a dev build.
pub const MAX_RATCLIFF_CHARS: usize = 4096;

/// Python's `autojunk`: in a second text at least this long, characters that make up more than
/// one per cent of it start no match (but may extend one).
const AUTOJUNK_FROM_CHARS: usize = 200;

/// `ratio()` of Python's `difflib.SequenceMatcher(None, a, b)` in millionths, rounded down.
///
/// `ratio = 2·M / T`: T is the number of characters in both texts, M the number of characters in
/// matching blocks. The blocks are the longest common substring (of equals the earliest in `a`,
/// then in `b`), and recursively those of the texts left and right of it. Two empty texts give one.
/// Not symmetric: `a` is the completion, `b` the answer, as prime-rl calls it.
/// Source: Lib/difflib.py of CPython 3.11; vectors: `scripts/make_difflib_vectors.py`.
pub fn ratcliff_micro(a: &str, b: &str) -> i64 {
    let a: Vec<char> = a.chars().take(MAX_RATCLIFF_CHARS + 1).collect();
    let b: Vec<char> = b.chars().take(MAX_RATCLIFF_CHARS + 1).collect();
    if a.len().max(b.len()) > MAX_RATCLIFF_CHARS {
        return 0;
    }
    let total = (a.len() + b.len()) as i64;
    if total == 0 {
        return REWARD_ONE_MICRO;
    }
    2 * matched_chars(&a, &b) as i64 * REWARD_ONE_MICRO / total
}

/// Characters in all matching blocks.
fn matched_chars(a: &[char], b: &[char]) -> usize {
    let positions = positions_by_char(b);
    let mut matched = 0;
    let mut regions = vec![Region { a: (0, a.len()), b: (0, b.len()) }];
    while let Some(region) = regions.pop() {
        let found = longest_match(a, b, &positions, &region);
        if found.len == 0 {
            continue;
        }
        matched += found.len;
        regions.push(Region { a: (region.a.0, found.a), b: (region.b.0, found.b) });
        regions.push(Region { a: (found.a + found.len, region.a.1), b: (found.b + found.len, region.b.1) });
    }
    matched
}

/// Half-open ranges of both texts.
struct Region {
    a: (usize, usize),
    b: (usize, usize),
}

struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// Where each character stands in `b`, ascending, without the "popular" characters of a long `b`.
fn positions_by_char(b: &[char]) -> BTreeMap<char, Vec<usize>> {
    let mut positions: BTreeMap<char, Vec<usize>> = BTreeMap::new();
    for (at, &c) in b.iter().enumerate() {
        positions.entry(c).or_default().push(at);
    }
    if b.len() >= AUTOJUNK_FROM_CHARS {
        positions.retain(|_, at| at.len() <= b.len() / 100 + 1);
    }
    positions
}

fn longest_match(a: &[char], b: &[char], positions: &BTreeMap<char, Vec<usize>>, region: &Region) -> Match {
    let ((a_low, a_high), (b_low, b_high)) = (region.a, region.b);
    let mut best = Match { a: a_low, b: b_low, len: 0 };
    // Runs that end at the previous character of `a`: (end in `b`, length), ends ascending.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let mut next_runs: Vec<(usize, usize)> = Vec::new();
    for (i, c) in a.iter().enumerate().take(a_high).skip(a_low) {
        next_runs.clear();
        let ends = positions.get(c).map_or(&[][..], Vec::as_slice);
        let ends = &ends[ends.partition_point(|&j| j < b_low)..];
        let mut previous = runs.iter().peekable();
        for &j in ends.iter().take_while(|&&j| j < b_high) {
            while previous.next_if(|run| run.0 + 1 < j).is_some() {}
            let len = previous.peek().filter(|run| run.0 + 1 == j).map_or(0, |run| run.1) + 1;
            next_runs.push((j, len));
            if len > best.len {
                best = Match { a: i + 1 - len, b: j + 1 - len, len };
            }
        }
        std::mem::swap(&mut runs, &mut next_runs);
    }
    extend(a, b, region, best)
}

/// Lengthens a match over equal neighbours, which may be popular characters.
fn extend(a: &[char], b: &[char], region: &Region, mut found: Match) -> Match {
    while found.a > region.a.0 && found.b > region.b.0 && a[found.a - 1] == b[found.b - 1] {
        found = Match { a: found.a - 1, b: found.b - 1, len: found.len + 1 };
    }
    while found.a + found.len < region.a.1
        && found.b + found.len < region.b.1
        && a[found.a + found.len] == b[found.b + found.len]
    {
        found.len += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_characters_in_blocks_give_half_the_ratio() {
        // "abcd" and "bcde": the block "bcd" has 3 of 8 characters, 2*3/8 = 0.75.
        assert_eq!(ratcliff_micro("abcd", "bcde"), 750_000);
        assert_eq!(ratcliff_micro("", ""), 1_000_000);
        assert_eq!(ratcliff_micro("", "x"), 0);
    }

    #[test]
    fn the_earliest_longest_block_wins_even_where_another_would_match_more() {
        // Longest block is "ab" at the start of a; b = "acab" has it at 2: M = 2, 2*2/6.
        assert_eq!(ratcliff_micro("ab", "acab"), 666_666);
    }

    #[test]
    fn text_over_the_limit_earns_nothing_and_text_at_the_limit_is_compared() {
        let text = "x".repeat(MAX_RATCLIFF_CHARS);
        assert_eq!(ratcliff_micro(&text, &text), 1_000_000);
        assert_eq!(ratcliff_micro(&(text.clone() + "x"), &text), 0);
    }
}
