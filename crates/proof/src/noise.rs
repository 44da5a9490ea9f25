//! The sampling noise of a rollout: one Gumbel value for each position and token.
//!
//! Promise: a function of (seed, position, token) alone, the same bits everywhere, in any order.
//! Takes: the 32-byte seed of a rollout. Gives: fixed-point noise, one at a time or in bulk.
//! Never: keeps a stream; neighbours in a batch cannot disturb each other.
//!
//! The recipe, for anyone who writes it again:
//! 1. `h = blake3::derive_key(CONTEXT, seed ‖ position as 4 bytes, little end first)`; its first 16
//!    bytes are the words `h0 h1 h2 h3`, little end first.
//! 2. `high = philox4x32_10(counter = (token / 4, 0, h2, h3), key = (h0, h1))[token % 4]`, and `low`
//!    the same with counter `(token / 4, 1, h2, h3)`.
//! 3. the noise is `-ln(-ln u)` with `u = (2^32·high + low + ½) / 2^64`: [`gumbel_from_bits`].
//!
//! The high words decide nearly always who can win, so the low words and the logarithms are worked
//! out for a few tokens only: [`crate::token_rule::winner`].

use crate::fixed::gumbel_from_bits;

/// Separates this use of blake3 from all others.
const CONTEXT: &str = "essaim 2026 sampling noise v1";
/// Tokens whose high words are worked out at once.
pub(crate) const CHUNK: usize = 64;
const BLOCKS: usize = CHUNK / 4;

/// The noise of one position of one rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    key: [u32; 2],
    tail: [u32; 2],
}

impl Noise {
    /// Keys the noise of `position` (counted from 0 at the first token of the prompt).
    #[must_use]
    pub fn new(seed: &[u8; 32], position: u32) -> Self {
        let mut material = [0u8; 36];
        material[..32].copy_from_slice(seed);
        material[32..].copy_from_slice(&position.to_le_bytes());
        let hash = blake3::derive_key(CONTEXT, &material);
        let word = |index: usize| {
            let at = 4 * index;
            u32::from_le_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]])
        };
        Self { key: [word(0), word(1)], tail: [word(2), word(3)] }
    }

    /// Gumbel noise of `token` in Q32: `-ln(-ln u)`, in `[-3.81, 45.06]`.
    #[must_use]
    pub fn gumbel(&self, token: u32) -> i64 {
        let high = self.block(token / 4, 0)[(token % 4) as usize];
        self.gumbel_with_high(token, high)
    }

    /// Key and counter of the generator: word 0 and 1 are the key of Philox4x32-10, 2 and 3 the last two words of its
    /// counter. Its first word is `token / 4`, its second 0 for the upper halves of the noise's bits.
    #[must_use]
    pub fn generator(&self) -> [u32; 4] {
        [self.key[0], self.key[1], self.tail[0], self.tail[1]]
    }

    /// The upper 32 of the 64 bits behind each token's noise, for the tokens below `count`, in order.
    pub fn upper_words(&self, count: u32) -> impl Iterator<Item = u32> + '_ {
        let chunks = (0..count).step_by(CHUNK).map(move |first| (count - first, self.high_words(first)));
        chunks.flat_map(|(left, words)| (0..CHUNK.min(left as usize)).map(move |index| words.of(index)))
    }

    /// The same, when the token's high word is known already.
    pub(crate) fn gumbel_with_high(&self, token: u32, high: u32) -> i64 {
        let low = self.block(token / 4, 1)[(token % 4) as usize];
        gumbel_from_bits((u64::from(high) << 32) | u64::from(low))
    }

    /// High words of the tokens `first .. first + CHUNK`; `first` is a multiple of 4.
    #[inline(always)]
    pub(crate) fn high_words(&self, first: u32) -> HighWords {
        assert!(first.is_multiple_of(4), "a chunk of noise starts at a whole block");
        let mut lanes = [[0u64; BLOCKS]; 4];
        for (index, counter) in (0..).zip(lanes[0].iter_mut()) {
            *counter = u64::from((first / 4).wrapping_add(index));
        }
        lanes[2] = [u64::from(self.tail[0]); BLOCKS];
        lanes[3] = [u64::from(self.tail[1]); BLOCKS];
        philox_lanes(&mut lanes, self.key);
        HighWords { lanes }
    }

    fn block(&self, index: u32, part: u32) -> [u32; 4] {
        let mut lanes = [index, part, self.tail[0], self.tail[1]].map(|word| [u64::from(word)]);
        philox_lanes(&mut lanes, self.key);
        lanes.map(|[word]| word as u32)
    }
}

/// High words of [`CHUNK`] tokens: token `4i + j` has the low half of `lanes[j][i]`.
pub(crate) struct HighWords {
    lanes: [[u64; BLOCKS]; 4],
}

impl HighWords {
    /// The word of the token that lies `index` after the first.
    #[inline(always)]
    pub(crate) fn of(&self, index: usize) -> u32 {
        self.lanes[index % 4][index / 4] as u32
    }

    /// The largest of all, tokens past the end of the vocabulary included.
    #[inline(always)]
    pub(crate) fn largest(&self) -> u32 {
        let [a, b, c, d] = &self.lanes;
        let mut top = [0u32; BLOCKS];
        for i in 0..BLOCKS {
            let pair = (a[i] as u32).max(b[i] as u32);
            top[i] = pair.max(c[i] as u32).max(d[i] as u32);
        }
        top.into_iter().fold(0, u32::max)
    }
}

/// Gumbel noise of one token in Q32; see [`Noise`] for many tokens of one position.
#[must_use]
pub fn gumbel_q(seed: &[u8; 32], position: u32, token: u32) -> i64 {
    Noise::new(seed, position).gumbel(token)
}

/// Philox4x32 with 10 rounds on `N` counters side by side; `lanes[i]` holds word `i` of each.
///
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
/// A round: `(c0,c1,c2,c3) → (hi(M1·c2)^c1^k0, lo(M1·c2), hi(M0·c0)^c3^k1, lo(M0·c0))`, then the
/// key grows by the Weyl constants.
///
/// Words lie in the low halves of 64-bit lanes and the high halves hold leavings, because that is
/// how vector units multiply 32 bits by 32: no lane has to be moved.
#[inline(always)]
fn philox_lanes<const N: usize>(lanes: &mut [[u64; N]; 4], key: [u32; 2]) {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    const ROUNDS: u32 = 10;
    const LOW: u64 = 0xFFFF_FFFF;
    let [c0, c1, c2, c3] = lanes;
    for round in 0..ROUNDS {
        let grown = |index: usize| key[index].wrapping_add(WEYL[index].wrapping_mul(round));
        let (k0, k1) = (u64::from(grown(0)), u64::from(grown(1)));
        for i in 0..N {
            let first = MULTIPLIERS[0] * (c0[i] & LOW);
            let second = MULTIPLIERS[1] * (c2[i] & LOW);
            c0[i] = (second >> 32) ^ c1[i] ^ k0;
            c1[i] = second;
            c2[i] = (first >> 32) ^ c3[i] ^ k1;
            c3[i] = first;
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_arithmetic, reason = "statistics of the integers are judged in floats")]
mod tests {
    use super::*;

    fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
        let mut lanes = counter.map(|word| [u64::from(word)]);
        philox_lanes(&mut lanes, key);
        lanes.map(|[word]| word as u32)
    }

    #[test]
    fn philox_equals_the_known_answers_of_random123() {
        // Random123, tests/kat_vectors, "philox4x32 10".
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn bulk_words_are_the_words_of_single_tokens() {
        let noise = Noise::new(&[7; 32], 11);
        for first in [0u32, 4, 64, 151_872, u32::MAX - 63] {
            let words = noise.high_words(first);
            let single = |token: u32| noise.block(token / 4, 0)[(token % 4) as usize];
            for (index, token) in (first..=first + 63).enumerate() {
                assert_eq!(words.of(index), single(token), "token {token}");
            }
            assert_eq!(Some(words.largest()), (first..=first + 63).map(single).max());
        }
    }

    #[test]
    fn noise_is_pinned_forever() {
        // Golden: written once from this code. A change here breaks every recorded rollout.
        let seed: [u8; 32] = std::array::from_fn(|index| index as u8);
        let given: Vec<i64> = [(0, 0), (0, 1), (1, 0), (7, 151_935), (u32::MAX, u32::MAX)]
            .into_iter()
            .map(|(position, token)| gumbel_q(&seed, position, token))
            .collect();
        assert_eq!(given, [-648_597_074, -3_886_807_766, 1_027_305_219, -2_399_683_140, -4_380_832_741]);
    }

    #[test]
    fn noise_has_the_mean_and_variance_of_a_gumbel_variable() {
        const COUNT: u32 = 400_000;
        let noise = Noise::new(&[3; 32], 5);
        let values: Vec<f64> = (0..COUNT).map(|token| noise.gumbel(token) as f64 / 4_294_967_296.0).collect();
        let mean = values.iter().sum::<f64>() / f64::from(COUNT);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(COUNT);
        // Euler's constant and π²/6; standard errors 0.0020 and 0.0054, allowed four of each.
        assert!((mean - 0.577_216).abs() < 0.008, "mean {mean}");
        assert!((variance - 1.644_934).abs() < 0.022, "variance {variance}");
    }

    #[test]
    fn neighbouring_positions_seeds_and_tokens_are_uncorrelated() {
        let seed = [9; 32];
        let mut other = seed;
        other[31] ^= 1;
        let count = 100_000u32;
        let base = Noise::new(&seed, 0);
        let correlation = |value: &dyn Fn(u32) -> i64| {
            let unit = |noise: i64| noise as f64 / 4_294_967_296.0 - 0.577_216;
            let sum: f64 = (0..count).map(|token| unit(base.gumbel(token)) * unit(value(token))).sum();
            sum / f64::from(count) / 1.644_934
        };
        let (next, changed) = (Noise::new(&seed, 1), Noise::new(&other, 0));
        // The standard error is 1/√100000 = 0.0032; allowed four.
        assert!(correlation(&|token| next.gumbel(token)).abs() < 0.013);
        assert!(correlation(&|token| changed.gumbel(token)).abs() < 0.013);
        assert!(correlation(&|token| base.gumbel(token + 1)).abs() < 0.013);
        assert!(correlation(&|token| base.gumbel(token)) > 0.9, "the measure itself must react");
    }
}
