//! scrypt at any cost that a key file may name.
//!
//! Source: RFC 7914. Promise: the same bytes as every scrypt of the same cost, for costs too that the RFC rules out
//! and wallets have written all the same: it asks for `N < 2^(16·r)`, and files with `N = 2^18`, `r = 1` are about.
//! Own code, because the libraries for it refuse those. The caller has checked the cost; here it is only spent.

use std::collections::TryReserveError;

use sha2::Sha256;
use zeroize::Zeroizing;

/// Words in a block of Salsa20.
const BLOCK_WORDS: usize = 16;

/// What a key costs to derive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Blocks of memory, a power of two.
    pub(super) n: u64,
    /// Size of a block in 128 bytes.
    pub(super) r: u32,
    /// Lanes, one after the other here.
    pub(super) p: u32,
}

/// `DK = PBKDF2(P, B, 1)`, where `B` are `p` lanes of `PBKDF2(P, S, 1)`, each mixed by `ROMix`.
///
/// - `cost`: `n` a power of two from 2, `128·n·r` bytes fit into memory
/// - errors: the memory is not there
pub(super) fn derive(password: &[u8], salt: &[u8], cost: &Cost, key: &mut [u8]) -> Result<(), TryReserveError> {
    assert!(cost.n.is_power_of_two() && cost.n > 1 && cost.r > 0 && cost.p > 0, "the cost was checked");
    let lane = 128 * cost.r as usize;
    let mut lanes = Zeroizing::new(vec![0; lane * cost.p as usize]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, 1, &mut lanes);
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(cost.n as usize * lane / 4)?;
    lanes.chunks_exact_mut(lane).for_each(|lane| mix(lane, cost.n as usize, &mut memory));
    pbkdf2::pbkdf2_hmac::<Sha256>(password, &lanes, 1, key);
    Ok(())
}

/// `ROMix`: fills the memory with `n` blocks, each made of the one before, and then mixes `n` of them in, chosen by
/// what came of it so far.
fn mix(lane: &mut [u8], n: usize, memory: &mut Vec<u32>) {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut x = Zeroizing::new(lane.chunks_exact(4).map(word).collect::<Vec<u32>>());
    let mut mixed = Zeroizing::new(vec![0; x.len()]);
    let words = x.len();
    memory.clear();
    for _ in 0..n {
        memory.extend_from_slice(&x);
        mix_block(&x, &mut mixed);
        std::mem::swap(&mut x, &mut mixed);
    }
    for _ in 0..n {
        // The block's number is in the first word of the last 64 bytes: no memory holds 2^32 blocks.
        let chosen = x[words - BLOCK_WORDS] as usize & (n - 1);
        let block = &memory[chosen * words..][..words];
        x.iter_mut().zip(block).for_each(|(x, word)| *x ^= word);
        mix_block(&x, &mut mixed);
        std::mem::swap(&mut x, &mut mixed);
    }
    lane.chunks_exact_mut(4).zip(x.iter()).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
}

/// `BlockMix`: Salsa20/8 chained over the `2·r` parts of `input`; even parts come first in `output`, odd ones after.
fn mix_block(input: &[u32], output: &mut [u32]) {
    let half = input.len() / 2;
    let mut x: [u32; BLOCK_WORDS] = input[input.len() - BLOCK_WORDS..].try_into().expect("16 words");
    for (index, part) in input.chunks_exact(BLOCK_WORDS).enumerate() {
        x.iter_mut().zip(part).for_each(|(x, word)| *x ^= word);
        salsa(&mut x);
        let place = index / 2 * BLOCK_WORDS + index % 2 * half;
        output[place..place + BLOCK_WORDS].copy_from_slice(&x);
    }
}

/// Salsa20/8: four double rounds, columns then rows, and the sum with what was there.
fn salsa(x: &mut [u32; BLOCK_WORDS]) {
    fn quarter(z: &mut [u32; BLOCK_WORDS], [a, b, c, d]: [usize; 4]) {
        z[b] ^= z[a].wrapping_add(z[d]).rotate_left(7);
        z[c] ^= z[b].wrapping_add(z[a]).rotate_left(9);
        z[d] ^= z[c].wrapping_add(z[b]).rotate_left(13);
        z[a] ^= z[d].wrapping_add(z[c]).rotate_left(18);
    }
    const COLUMNS: [[usize; 4]; 4] = [[0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11]];
    const ROWS: [[usize; 4]; 4] = [[0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]];
    let mut z = *x;
    for _ in 0..4 {
        COLUMNS.iter().chain(&ROWS).for_each(|quarters| quarter(&mut z, *quarters));
    }
    x.iter_mut().zip(z).for_each(|(x, z)| *x = x.wrapping_add(z));
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn the_rounds_are_those_of_the_rfc() {
        // RFC 7914, section 8.
        let bytes = hex!(
            "7e879a214f3ec9867ca940e641718f26baee555b8c61c1b50df846116dcd3b1dee24f319df9b3d8514121e4b5ac5aa3276021d2909c74829edebc68db8b8c25e"
        );
        let mut x = [0; BLOCK_WORDS];
        x.iter_mut()
            .zip(bytes.chunks_exact(4))
            .for_each(|(x, bytes)| *x = u32::from_le_bytes(bytes.try_into().unwrap()));
        salsa(&mut x);
        let out: Vec<u8> = x.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(
            hex::encode(out),
            "a41f859c6608cc993b81cacb020cef05044b2181a2fd337dfd7b1c6396682f29b4393168e3c9e6bcfe6bc5b7a06d96bae424cc102c91745c24ad673dc7618f81"
        );
    }

    #[test]
    fn keys_are_those_of_the_rfc() {
        // RFC 7914, section 12.
        let cases = [
            (
                "",
                "",
                Cost { n: 16, r: 1, p: 1 },
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            ),
            (
                "password",
                "NaCl",
                Cost { n: 1024, r: 8, p: 16 },
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            ),
        ];
        for (password, salt, cost, expected) in cases {
            let mut key = [0; 64];
            derive(password.as_bytes(), salt.as_bytes(), &cost, &mut key).unwrap();
            assert_eq!(hex::encode(key), expected, "{cost:?}");
        }
    }
}
