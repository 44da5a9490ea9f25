//! Rounds what an optimiser stores, at random where the format is short of bits.
//!
//! Promise: the bits depend on the number, the update and its place in the tensor alone, not on vectors or threads; over
//! updates the mean of what is stored is the number itself.
//! Why: with decay 0.999 a second moment moves by a thousandth of itself at most, and neighbours in bf16 are 1/256 to 1/128
//! of it apart. Rounded to nearest it would stay where it is for ever.

use burn::tensor::Element;
use half::bf16;

/// A format that moments are stored in.
pub(crate) trait Stored: Element + bytemuck::Pod {
    /// The number; nothing is rounded.
    fn widened(self) -> f32;
    /// One of the two neighbours of `value`, the upper one for a share of the 2¹⁶ values of `random` that is the distance
    /// from the lower one, counted in their distance.
    fn rounded(value: f32, random: u16) -> Self;
}

impl Stored for f32 {
    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }

    #[inline(always)]
    fn rounded(value: f32, _: u16) -> Self {
        value
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn rounded(value: f32, random: u16) -> Self {
        // bf16 are the f32 whose lower 16 bits are 0, and bits count numbers in order.
        Self::from_bits((value.to_bits().wrapping_add(u32::from(random)) >> 16) as u16)
    }
}

/// 2³² over the golden ratio: what a counter goes on by.
const STRIDE: u32 = 0x9e37_79b9;

/// Random bits of one update, one draw for each place of a tensor: `mixed(key(update) + place · STRIDE)`. All tensors have
/// the same ones.
#[derive(Clone, Copy)]
pub(crate) struct Draws(u32);

impl Draws {
    /// Those of an update, from place 0 on.
    pub(crate) fn of(update: u64) -> Self {
        Self(mixed(mixed(update as u32) ^ (update >> 32) as u32))
    }

    /// The same from a later place on.
    #[inline(always)]
    pub(crate) fn skip(self, places: usize) -> Self {
        Self(self.0.wrapping_add((places as u32).wrapping_mul(STRIDE)))
    }

    /// The bits of this place; goes on to the next.
    #[inline(always)]
    pub(crate) fn draw(&mut self) -> u32 {
        let bits = mixed(self.0);
        self.0 = self.0.wrapping_add(STRIDE);
        bits
    }
}

/// One to one, and every bit of the result depends on every bit of `x`.
/// Source: `lowbias32` of github.com/skeeto/hash-prospector.
#[inline(always)]
fn mixed(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_rounded_to_a_neighbour_and_to_itself_on_the_mean() {
        for value in [1.003f32, -0.7, 3e-39, 65_000.0, -1.0] {
            let down = f32::from_bits(value.to_bits() & !0xffff);
            let up = f32::from_bits(down.to_bits() + 0x1_0000);
            let of = |random: u16| bf16::rounded(value, random).widened();
            let mean = (0..=u16::MAX).map(|random| f64::from(of(random))).sum::<f64>() / 65_536.0;
            assert!((0..=u16::MAX).all(|random| [down, up].contains(&of(random))), "{value}");
            assert!((mean / f64::from(value) - 1.0).abs() < 1e-7, "{value}: {mean}");
        }
    }

    #[test]
    fn infinities_and_no_numbers_stay_what_they_are() {
        for random in [0, u16::MAX] {
            let of = |value: f32| bf16::rounded(value, random).widened();
            assert_eq!([of(f32::INFINITY), of(f32::NEG_INFINITY)], [f32::INFINITY, f32::NEG_INFINITY]);
            assert!(of(f32::NAN).is_nan());
        }
    }

    #[test]
    fn both_halves_of_the_bits_are_even_over_places_and_over_updates() {
        // The mean of n even draws of 0..65536 is 32,767.5 with a deviation of 18,918 / sqrt(n): 59 for these.
        let count = 100_000;
        let means = |bits: &dyn Fn(u64) -> u32| {
            let sum = |half: fn(u32) -> u32| (1..=count).map(|n| f64::from(half(bits(n)))).sum::<f64>();
            [sum(|bits| bits & 0xffff), sum(|bits| bits >> 16)].map(|sum| sum / count as f64)
        };
        let bits = |update, place| Draws::of(update).skip(place).draw();
        let (places, updates) = (means(&|n| bits(7, n as usize)), means(&|n| bits(n, 7)));
        for mean in [places, updates].as_flattened() {
            assert!((mean - 32_767.5).abs() < 5.0 * 59.8, "{mean}");
        }
    }
}
