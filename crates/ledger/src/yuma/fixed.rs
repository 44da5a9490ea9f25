//! Numbers with 32 bits before and 32 bits after the binary point.
//!
//! Promise: every operation is a pure function of bits, ends at the nearest end of the range instead
//! of overflowing, and rounds as its line says.
//!
//! | operation | rounding |
//! |---|---|
//! | `+`, `-` | exact |
//! | times | down, towards −∞ |
//! | over | towards zero; over zero gives zero |
//! | to an integer or to 65535ths | down; below zero gives zero |
//! | [`exp`] | to the nearest unit; error below 2⁻⁵⁶ of the value where that is more |

use serde::{Deserialize, Serialize};

/// A signed fixed-point number; one unit is 2⁻³², the range is [−2³¹, 2³¹).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed(i64);

const FRACTION_BITS: u32 = 32;
const U16_MAX: i64 = 65_535;

impl Fixed {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1 << FRACTION_BITS);
    /// 0.5.
    pub const HALF: Self = Self(1 << (FRACTION_BITS - 1));
    /// The largest number, 2³¹ − 2⁻³².
    pub const MAX: Self = Self(i64::MAX);
    /// The smallest number, −2³¹.
    pub const MIN: Self = Self(i64::MIN);

    /// The number of `bits` units of 2⁻³².
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// The number as units of 2⁻³².
    pub const fn to_bits(self) -> i64 {
        self.0
    }

    /// A whole number; ends at [`Self::MAX`] or [`Self::MIN`].
    pub fn from_integer(value: i64) -> Self {
        Self::from_wide(i128::from(value) << FRACTION_BITS)
    }

    /// `part / whole`, rounded down; 0 if `whole` is 0.
    ///
    /// Exact before rounding up to 2⁶⁴ parts, so an amount of money needs no scaling first.
    pub fn from_ratio(part: u64, whole: u128) -> Self {
        if whole == 0 {
            return Self::ZERO;
        }
        // Scores of 32 bits, the usual case, need no 128-bit division.
        if let (0..0x1_0000_0000, Ok(whole)) = (part, u64::try_from(whole)) {
            return Self(i64::try_from((part << FRACTION_BITS) / whole).unwrap_or(i64::MAX));
        }
        let units = (u128::from(part) << FRACTION_BITS) / whole;
        Self(i64::try_from(units).unwrap_or(i64::MAX))
    }

    /// `share / 65535`, rounded down: how shares are kept in 16 bits.
    pub fn from_u16(share: u16) -> Self {
        Self((i64::from(share) << FRACTION_BITS) / U16_MAX)
    }

    /// `floor(self · 65535)` kept within 0 and 65535.
    pub fn to_u16(self) -> u16 {
        let whole = self.times(Self(U16_MAX << FRACTION_BITS)).0 >> FRACTION_BITS;
        // In range after the clamp.
        whole.clamp(0, U16_MAX) as u16
    }

    /// `floor(self · amount)` in the unit of `amount`; 0 below zero.
    pub fn share_of(self, amount: u64) -> u64 {
        let share = (i128::from(self.0.max(0)) * i128::from(amount)) >> FRACTION_BITS;
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// Sum.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference.
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Product, rounded down.
    pub fn times(self, other: Self) -> Self {
        Self::from_wide((i128::from(self.0) * i128::from(other.0)) >> FRACTION_BITS)
    }

    /// Quotient, rounded towards zero; 0 if `other` is 0.
    pub fn over(self, other: Self) -> Self {
        if other.0 == 0 {
            return Self::ZERO;
        }
        // Shares below one, the usual case, need no 128-bit division.
        if let (0..0x1_0000_0000, 1..) = (self.0, other.0) {
            let units = ((self.0 as u64) << FRACTION_BITS) / other.0 as u64;
            return Self(i64::try_from(units).unwrap_or(i64::MAX));
        }
        Self::from_wide((i128::from(self.0) << FRACTION_BITS) / i128::from(other.0))
    }

    /// The sum of many; the order matters only if a partial sum reaches an end of the range.
    pub fn total<'a>(values: impl IntoIterator<Item = &'a Self>) -> Self {
        values.into_iter().fold(Self::ZERO, |sum, value| sum.plus(*value))
    }

    fn from_wide(units: i128) -> Self {
        // In range after the clamp.
        Self(units.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// ln 2 in units of 2⁻⁶².
const LN_2: i128 = 3_196_577_161_300_663_915;
/// ln 2 in units of 2⁻³².
const LN_2_SHORT: i64 = 2_977_044_472;
/// 1/n! in units of 2⁻⁶²; the next term is below 2⁻⁶⁸ for |r| ≤ ln 2 / 2.
const INVERSE_FACTORIALS: [i64; 17] = inverse_factorials();
/// [`exp`] takes arguments within ± this, as the chain does.
const EXP_INPUT_MAX: Fixed = Fixed(20 << FRACTION_BITS);

const fn inverse_factorials() -> [i64; 17] {
    let mut table = [1 << 62; 17];
    let mut n = 2;
    while n < table.len() {
        table[n] = table[n - 1] / n as i64;
        n += 1;
    }
    table
}

/// `e^x`, with `x` first brought within −20 and 20.
///
/// `e^x = 2^k · e^r` with `k = round(x / ln 2)` and `|r| ≤ ln 2 / 2`; `e^r` by its power series up to
/// `r¹⁶ / 16!` in units of 2⁻⁶². `exp(0)` is 1 exactly. Result between 2.06e-9 (9 units) and 485165195.4.
pub fn exp(x: Fixed) -> Fixed {
    let x = x.clamp(Fixed(-EXP_INPUT_MAX.0), EXP_INPUT_MAX).0;
    let k = (x + LN_2_SHORT / 2).div_euclid(LN_2_SHORT);
    let r = (i128::from(x) << 30) - i128::from(k) * LN_2;
    let series = INVERSE_FACTORIALS.iter().rev().fold(0i128, |sum, term| i128::from(*term) + ((sum * r) >> 62));
    // |k| ≤ 29, so 1 ≤ shift ≤ 59: from units of 2⁻⁶² to units of 2⁻³² times 2^k.
    let shift = 30 - k;
    Fixed::from_wide((series + (1 << (shift - 1))) >> shift)
}

/// `1 / (1 + e^(−rho · (x − kappa)))`, between 0 and 1.
///
/// The exponent is rounded down, brought within ±20 by [`exp`], and the quotient rounded down. With
/// `rho = 40`, `kappa = 0.5`: `x = 0.4` gives 0.0179862, `x = 0.6` gives 0.9820138.
pub fn sigmoid(x: Fixed, rho: Fixed, kappa: Fixed) -> Fixed {
    let exponent = Fixed::ZERO.minus(rho).times(x.minus(kappa));
    Fixed::ONE.over(exp(exponent).plus(Fixed::ONE))
}
