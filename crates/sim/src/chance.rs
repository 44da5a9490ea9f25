//! The dice of a simulation.
//!
//! Promise: one seed, one sequence, on every machine. SplitMix64: Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators", OOPSLA 2014. Only misfortune is drawn from it, never a token.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of a seed for one use; uses with different names are unrelated.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut bytes = seed.to_le_bytes().to_vec();
        bytes.extend(name.as_bytes());
        let hash = blake3::derive_key("essaim 2026 simulator chance v1", &bytes);
        let (first, _) = hash.split_first_chunk().expect("32 bytes begin with 8");
        Self(u64::from_le_bytes(*first))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64 // below bound
    }

    /// A number in `low..=high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// `count` different numbers in `0..bound`, ascending; all of them if there are no more.
    pub(crate) fn some_of(&mut self, bound: u32, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..bound).collect();
        for _ in count..bound {
            let out = self.below(all.len() as u64) as usize;
            all.remove(out);
        }
        all
    }
}
