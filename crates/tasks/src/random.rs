//! Integer random numbers that depend on named inputs and nothing else.
//!
//! Promise: the same parts give the same stream on every machine; other parts give an unrelated one.

use blake3::{Hasher, OutputReader};

const CONTEXT: &str = "essaim tasks 2026 random stream v1";

/// A counter generator: the extendable output of blake3 over length-prefixed parts.
pub(crate) struct Random {
    reader: OutputReader,
    block: [u8; 64],
    used: usize,
}

impl Random {
    /// The stream named by `parts`.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new_derive_key(CONTEXT);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self { reader: hasher.finalize_xof(), block: [0; 64], used: 64 }
    }

    /// The next 64 bits of the stream.
    pub(crate) fn next_u64(&mut self) -> u64 {
        if self.used == self.block.len() {
            self.reader.fill(&mut self.block);
            self.used = 0;
        }
        let mut word = [0; 8];
        word.copy_from_slice(&self.block[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(word)
    }

    /// A number in `0..bound`, every one equally likely.
    /// Source: D. Lemire, arXiv:1805.10941 (multiply, keep the high word, reject the uneven rest).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "below(0) has no answer");
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in `low..=high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high && high < u64::MAX, "within({low}, {high}) is empty or too wide");
        low + self.below(high - low + 1)
    }

    /// One element of an unempty slice.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// `len` lower-case ASCII letters.
    pub(crate) fn letters(&mut self, len: u64) -> String {
        (0..len).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    /// Puts the slice in random order (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// A seeded bijection of `0..len`: a four-round Feistel network on the next even number of bits,
/// walked along its cycle until it lands inside.
pub(crate) fn permute(index: u64, len: u64, random: &mut Random) -> u64 {
    assert!(index < len, "index {index} is outside 0..{len}");
    let half_bits = (64 - (len - 1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1u64 << half_bits) - 1;
    let keys = [random.next_u64(), random.next_u64(), random.next_u64(), random.next_u64()];
    let mut at = index;
    loop {
        let (mut left, mut right) = (at >> half_bits, at & mask);
        for key in keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        at = (left << half_bits) | right;
        if at < len {
            return at;
        }
    }
}

/// The finaliser of splitmix64.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_length_prefixed_so_moved_borders_give_another_stream() {
        assert_ne!(Random::new(&[b"ab", b"c"]).next_u64(), Random::new(&[b"a", b"bc"]).next_u64());
    }

    #[test]
    fn the_stream_is_the_one_everybody_else_has() {
        // Golden: a change here changes every item of every running job.
        let mut random = Random::new(&[b"golden"]);
        let words: Vec<u64> = (0..9).map(|_| random.next_u64()).collect();
        assert_eq!(words[0], 4_948_808_631_736_821_458);
        assert_eq!(words[8], 16_443_392_890_391_974_245);
    }

    #[test]
    fn every_index_is_hit_exactly_once_by_a_permutation() {
        for len in [1u64, 2, 3, 4, 5, 17, 64, 65, 1000] {
            let mut hit = vec![false; len as usize];
            for index in 0..len {
                let to = permute(index, len, &mut Random::new(&[b"order"])) as usize;
                assert!(!std::mem::replace(&mut hit[to], true), "{to} of {len} twice");
            }
        }
    }

    #[test]
    fn all_values_below_a_bound_turn_up_about_equally_often() {
        // 6000 throws of a die: each face 1000 expected, deviation about 29; 150 is five of them.
        let mut random = Random::new(&[b"die"]);
        let mut faces = [0i32; 6];
        (0..6000).for_each(|_| faces[random.below(6) as usize] += 1);
        assert!(faces.iter().all(|count| (count - 1000).abs() < 150), "{faces:?}");
    }
}
