//! The decimals of a constant, for answers that are written rounded.
//!
//! Promise: integer arithmetic only; the result is within 10^-35 of the value for values below 10^5,
//! far finer than the six decimals that are compared.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Zero};

use super::poly::{Arithmetic, Atom, Exponent, Expression};

/// Decimals that roots are taken to.
const DECIMALS: u32 = 40;
/// The highest root and the largest power of π and e that are computed.
const MAX_INDEX: i64 = 12;
const PI: &[u8] = b"314159265358979323846264338327950288419716";
const E: &[u8] = b"271828182845904523536028747135266249775724";
/// Digits of the constants behind the point.
const CONSTANT_DECIMALS: u32 = 41;

/// Steps that a power costs beside those of exact arithmetic: a root of 2,400 bits takes some 20 µs.
const POWER_STEPS: usize = 64;

/// The value of an expression of numbers, roots, π and e; `None` with variables or functions in it.
pub(crate) fn approximate(expression: &Expression, arithmetic: &mut Arithmetic) -> Option<BigRational> {
    let [numerator, denominator] = expression.terms();
    let over = sum(numerator, arithmetic)?;
    let under = sum(denominator, arithmetic)?;
    (!under.is_zero()).then(|| over / under)
}

fn sum<'e>(
    mut terms: impl Iterator<Item = (&'e BigRational, &'e std::collections::BTreeMap<Atom, Exponent>)>,
    arithmetic: &mut Arithmetic,
) -> Option<BigRational> {
    terms.try_fold(BigRational::zero(), |total, (coefficient, powers)| {
        let mut product = coefficient.clone();
        for (atom, exponent) in powers {
            arithmetic.burn(POWER_STEPS)?;
            product *= power(atom, *exponent)?;
        }
        Some(total + product)
    })
}

fn power(atom: &Atom, exponent: Exponent) -> Option<BigRational> {
    if exponent.numer().abs() > MAX_INDEX || *exponent.denom() > MAX_INDEX {
        return None;
    }
    let base = match atom {
        Atom::Prime(prime) => BigRational::from_integer((*prime).into()),
        Atom::Pi => constant(PI),
        Atom::E => constant(E),
        Atom::Name(_) | Atom::Function(..) => return None,
    };
    let index = u32::try_from(*exponent.denom()).ok()?;
    let raised: BigRational = Pow::pow(&base, i32::try_from(*exponent.numer()).ok()?);
    if index == 1 {
        return Some(raised);
    }
    // root(a) = root(a · 10^(n·d)) / 10^d
    let scale: BigInt = Pow::pow(BigInt::from(10), DECIMALS);
    let scaled: BigInt = (raised * BigRational::from_integer(Pow::pow(&scale, index))).to_integer();
    Some(BigRational::new(scaled.nth_root(index), scale))
}

fn constant(digits: &[u8]) -> BigRational {
    let digits = BigInt::parse_bytes(digits, 10).unwrap_or_else(BigInt::one);
    BigRational::new(digits, Pow::pow(BigInt::from(10), CONSTANT_DECIMALS))
}
