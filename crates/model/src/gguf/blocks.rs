//! From the blocks of a GGUF tensor to f32.
//!
//! Promise: the bits of gguf-py's `dequantize`: each formula is computed in f32 in the order written here, each step
//! rounded. Source of the layouts: `ggml-common.h` and `ggml-quants.c` of llama.cpp.
//!
//! A block is a run of values of one row. `d` and `m` are its scale and its least value, stored as f16; `q` are small
//! whole numbers.

use half::{bf16, f16};

/// Values in a block of the plain kinds.
const SMALL: usize = 32;
/// Values in a block of the "K" kinds.
const LARGE: usize = 256;

/// How the numbers of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockType {
    F32,
    F16,
    Bf16,
    F64,
    Q40,
    Q41,
    Q50,
    Q51,
    Q80,
    Q4K,
    Q5K,
    Q6K,
}

/// The kinds that are read, for messages.
pub(super) const READ: &str = "F64, F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K";
/// Names of those that are not, by their number in the file.
const OTHERS: [(u32, &str); 22] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

impl BlockType {
    /// The kind of a number in the file, or the name of one that is not read.
    pub(super) fn of(id: u32) -> Result<Self, String> {
        Ok(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q40,
            3 => Self::Q41,
            6 => Self::Q50,
            7 => Self::Q51,
            8 => Self::Q80,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            28 => Self::F64,
            30 => Self::Bf16,
            _ => {
                let named = OTHERS.iter().find(|(number, _)| *number == id);
                return Err(named.map_or(format!("type {id}"), |(_, name)| (*name).into()));
            }
        })
    }

    /// Values and bytes of one block.
    pub(super) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::F64 => (1, 8),
            Self::Q40 => (SMALL, 18),
            Self::Q41 => (SMALL, 20),
            Self::Q50 => (SMALL, 22),
            Self::Q51 => (SMALL, 24),
            Self::Q80 => (SMALL, 34),
            Self::Q4K => (LARGE, 144),
            Self::Q5K => (LARGE, 176),
            Self::Q6K => (LARGE, 210),
        }
    }

    /// The values of whole blocks laid end to end.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => blocks(bytes).map(f32::from_le_bytes).collect(),
            Self::F16 => blocks(bytes).map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
            Self::Bf16 => blocks(bytes).map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
            Self::F64 => blocks(bytes).map(|number| f64::from_le_bytes(number) as f32).collect(),
            Self::Q40 => blocks(bytes).flat_map(q4_0).collect(),
            Self::Q41 => blocks(bytes).flat_map(q4_1).collect(),
            Self::Q50 => blocks(bytes).flat_map(q5_0).collect(),
            Self::Q51 => blocks(bytes).flat_map(q5_1).collect(),
            Self::Q80 => blocks(bytes).flat_map(q8_0).collect(),
            Self::Q4K => blocks(bytes).flat_map(q4_k).collect(),
            Self::Q5K => blocks(bytes).flat_map(q5_k).collect(),
            Self::Q6K => blocks(bytes).flat_map(q6_k).collect(),
        }
    }
}

fn blocks<const BYTES: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; BYTES]> {
    bytes.as_chunks().0.iter().copied()
}

/// The f16 at `at`.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Value `i` of 32 packed as nibbles: the low halves of 16 bytes, then the high ones.
fn nibble(packed: &[u8], i: usize) -> u8 {
    if i < 16 { packed[i] & 15 } else { packed[i - 16] >> 4 }
}

/// Bit `i` of a little-endian word of 32 bits, as the fifth bit of a value.
fn fifth_bit(word: &[u8], i: usize) -> u8 {
    (word[i / 8] >> (i % 8) & 1) << 4
}

/// `d · (q - 8)`: d, 16 bytes of nibbles.
fn q4_0(block: [u8; 18]) -> [f32; SMALL] {
    let d = half(&block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[2..], i)) - 8.0))
}

/// `d · q + m`: d, m, 16 bytes of nibbles.
fn q4_1(block: [u8; 20]) -> [f32; SMALL] {
    let (d, m) = (half(&block, 0), half(&block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[4..], i)) + m)
}

/// `d · (q - 16)`: d, 32 fifth bits, 16 bytes of nibbles.
fn q5_0(block: [u8; 22]) -> [f32; SMALL] {
    let d = half(&block, 0);
    std::array::from_fn(|i| d * (f32::from(nibble(&block[6..], i) | fifth_bit(&block[2..], i)) - 16.0))
}

/// `d · q + m`: d, m, 32 fifth bits, 16 bytes of nibbles.
fn q5_1(block: [u8; 24]) -> [f32; SMALL] {
    let (d, m) = (half(&block, 0), half(&block, 2));
    std::array::from_fn(|i| d * f32::from(nibble(&block[8..], i) | fifth_bit(&block[4..], i)) + m)
}

/// `d · q`: d, 32 signed bytes.
fn q8_0(block: [u8; 34]) -> [f32; SMALL] {
    let d = half(&block, 0);
    std::array::from_fn(|i| d * f32::from(block[2 + i] as i8))
}

/// Scale and least value, six bits each, of the eight groups of 32 in a Q4_K or Q5_K block: the low six bits of bytes
/// 0 to 3 and 4 to 7 for the first four groups; nibbles of bytes 8 to 11 with the top bits of 0 to 7 for the others.
fn group_scales(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, least) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => {
            let both = packed[group + 4];
            ((both & 15) | (packed[group - 4] >> 6) << 4, (both >> 4) | (packed[group] >> 6) << 4)
        }
    };
    (f32::from(scale), f32::from(least))
}

/// Value `i` of 256 packed as nibbles: of each 32 bytes the low halves, then the high ones.
fn wide_nibble(packed: &[u8], i: usize) -> u8 {
    packed[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15
}

/// `(d · scale) · q - (m · least)`: d, m, 12 bytes of scales, 128 bytes of nibbles.
fn q4_k(block: [u8; 144]) -> [f32; LARGE] {
    scaled_groups(&block, |i| wide_nibble(&block[16..], i))
}

/// As Q4_K with a fifth bit of each value, bit `group` of byte `i % 32` of the 32 before the nibbles.
fn q5_k(block: [u8; 176]) -> [f32; LARGE] {
    scaled_groups(&block, |i| wide_nibble(&block[48..], i) | (block[16 + i % 32] >> (i / 32) & 1) << 4)
}

fn scaled_groups(block: &[u8], q: impl Fn(usize) -> u8) -> [f32; LARGE] {
    let (d, m) = (half(block, 0), half(block, 2));
    let groups: [(f32, f32); 8] = std::array::from_fn(|group| {
        let (scale, least) = group_scales(&block[4..], group);
        (d * scale, m * least)
    });
    std::array::from_fn(|i| groups[i / 32].0 * f32::from(q(i)) - groups[i / 32].1)
}

/// `(d · scale) · (q - 32)`, a signed scale for each 16 values: 128 bytes of low nibbles, 64 of high pairs of bits,
/// 16 scales, d. Each half of the block has its own 64, 32 and 8 bytes.
fn q6_k(block: [u8; 210]) -> [f32; LARGE] {
    let d = half(&block, 208);
    std::array::from_fn(|i| {
        let (side, within) = (i / 128, i % 128);
        let low = block[side * 64 + within % 64] >> (within / 64 * 4) & 15;
        let high = block[128 + side * 32 + within % 32] >> (within / 32 * 2) & 3;
        d * f32::from(block[192 + i / 16] as i8) * (f32::from(low | high << 4) - 32.0)
    })
}
