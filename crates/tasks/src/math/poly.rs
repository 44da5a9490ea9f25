//! Exact arithmetic on expressions in one normal form.
//!
//! `expression = numerator / denominator`, both sums of `coefficient · Π atom^exponent` with
//! rational coefficients and exponents. Roots of whole numbers are products of primes with
//! exponents below one, which are linearly independent over the rationals, so two sums are equal
//! exactly if their normal forms are; quotients are compared by cross-multiplication.
//!
//! Promise: no work beyond the given fuel, no number beyond its bits; past them there is no value.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::{BigRational, Ratio};
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::numeral::digits;

/// Steps that the reading and comparing of one answer may take: powers that are multiplied, and
/// words of 64 bits of their coefficients.
const FUEL: u32 = 60_000;
/// The most terms of one sum.
const MAX_TERMS: usize = 256;
/// The most bits of a coefficient's numerator or denominator.
const MAX_BITS: u64 = 2048;
/// The most terms and powers within one function, nested functions included: what holds a function is copied and
/// compared with all of it, and sums of powers of functions within functions grow without bound.
const MAX_FUNCTION_SIZE: usize = 128;
/// The largest exponent, up or down, and its largest denominator.
const MAX_EXPONENT: i64 = 4096;
/// The largest whole power of a sum that is multiplied out.
const MAX_SUM_POWER: i64 = 16;
/// Divisors tried to factor the number under a root.
const MAX_DIVISOR: u64 = 10_000;

/// An exponent.
pub(crate) type Exponent = Ratio<i64>;

/// What sums are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Atom {
    /// A prime under a root: its exponent is between 0 and 1.
    Prime(u64),
    Pi,
    E,
    /// A variable.
    Name(String),
    /// A function that has no simpler form.
    Function(String, Vec<Expression>),
}

type Monomial = BTreeMap<Atom, Exponent>;
type Sum = BTreeMap<Monomial, BigRational>;

/// A quotient of two sums; the denominator is not zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expression {
    numerator: Sum,
    denominator: Sum,
}

impl Expression {
    pub(crate) fn number(value: BigRational) -> Self {
        let numerator = if value.is_zero() { Sum::new() } else { Sum::from([(Monomial::new(), value)]) };
        Self { numerator, denominator: one() }
    }

    pub(crate) fn whole(value: i64) -> Self {
        Self::number(BigRational::from_integer(value.into()))
    }

    pub(crate) fn atom(atom: Atom) -> Self {
        Self { numerator: term(atom, Exponent::one()), denominator: one() }
    }

    pub(crate) fn name(name: &str) -> Self {
        Self::atom(Atom::Name(name.to_owned()))
    }

    /// A function that has no simpler form; none if its arguments are too large.
    pub(crate) fn function(name: &str, arguments: Vec<Self>) -> Option<Self> {
        let mut left = MAX_FUNCTION_SIZE;
        arguments.iter().try_for_each(|argument| argument.count(&mut left))?;
        Some(Self::atom(Atom::Function(name.to_owned(), arguments)))
    }

    /// Takes terms and powers, those within functions too, from what is left; none once nothing is.
    fn count(&self, left: &mut usize) -> Option<()> {
        for powers in self.numerator.keys().chain(self.denominator.keys()) {
            *left = left.checked_sub(1 + powers.len())?;
            for atom in powers.keys() {
                if let Atom::Function(_, arguments) = atom {
                    arguments.iter().try_for_each(|argument| argument.count(left))?;
                }
            }
        }
        Some(())
    }

    /// The value, if it is a rational number.
    pub(crate) fn rational(&self) -> Option<BigRational> {
        let constant = match self.numerator.len() {
            0 => Some(BigRational::zero()),
            1 => self.numerator.get(&Monomial::new()).cloned(),
            _ => None,
        };
        constant.filter(|_| self.denominator == one())
    }

    /// The value, if it is a whole number that fits.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.rational().filter(BigRational::is_integer)?.to_integer().to_i64()
    }

    /// The name, if it is a variable alone.
    pub(crate) fn as_name(&self) -> Option<&str> {
        match self.single()? {
            (Atom::Name(name), exponent) if exponent.is_one() => Some(name),
            _ => None,
        }
    }

    /// The atom and exponent, if it is one power with the coefficient 1.
    fn single(&self) -> Option<(&Atom, &Exponent)> {
        let (monomial, coefficient) = self.numerator.first_key_value().filter(|_| self.numerator.len() == 1)?;
        let only = monomial.iter().next().filter(|_| monomial.len() == 1)?;
        (coefficient.is_one() && self.denominator == one()).then_some(only)
    }

    /// A positive coefficient other than 1 and what it multiplies, if it is one term.
    fn positive_coefficient(&self) -> Option<(BigRational, Self)> {
        let (powers, coefficient) = self.numerator.first_key_value().filter(|_| self.numerator.len() == 1)?;
        if !coefficient.is_positive() || coefficient.is_one() || powers.is_empty() || self.denominator != one() {
            return None;
        }
        let rest = Self { numerator: Sum::from([(powers.clone(), BigRational::one())]), denominator: one() };
        Some((coefficient.clone(), rest))
    }

    /// The parts of `sqrt(a + b·sqrt(m)) = sqrt((a + d)/2) ± sqrt((a - d)/2)`, `d² = a² - b²m`, and
    /// whether b is negative; if a is positive and d a rational number, positive as well.
    fn nested_root(&self) -> Option<(BigRational, BigRational, bool)> {
        let mut terms = self.numerator.iter().filter(|_| self.numerator.len() == 2 && self.denominator == one());
        let ((first, a), (powers, b)) = (terms.next()?, terms.next()?);
        let square_root = |(atom, exponent): (&Atom, &Exponent)| match atom {
            Atom::Prime(prime) if *exponent == Exponent::new(1, 2) => Some(BigRational::from_integer((*prime).into())),
            _ => None,
        };
        let m = powers.iter().map(square_root).try_fold(BigRational::one(), |product, prime| Some(product * prime?))?;
        let d = rational_root(&(a * a - b * b * m)).filter(|_| first.is_empty() && a.is_positive())?;
        let half = |value: BigRational| value / BigInt::from(2);
        Some((half(a + &d), half(a - &d), b.is_negative())).filter(|_| d.is_positive())
    }

    /// Terms of the numerator as coefficient and powers, and those of the denominator.
    pub(crate) fn terms(&self) -> [impl Iterator<Item = (&BigRational, &BTreeMap<Atom, Exponent>)>; 2] {
        [&self.numerator, &self.denominator].map(|sum| sum.iter().map(|(powers, coefficient)| (coefficient, powers)))
    }

    /// Numerator and denominator.
    pub(crate) fn parts(&self) -> (Self, Self) {
        let part = |sum: &Sum| Self { numerator: sum.clone(), denominator: one() };
        (part(&self.numerator), part(&self.denominator))
    }

    /// `(slope, rest)` if it is `slope · name + rest` with rational slope and without the name in
    /// the rest.
    pub(crate) fn linear_in(&self, name: &str) -> Option<(BigRational, Self)> {
        let atom = Atom::Name(name.to_owned());
        let alone = Monomial::from([(atom.clone(), Exponent::one())]);
        let mut rest = self.clone();
        let slope = rest.numerator.remove(&alone)?;
        let free = rest.denominator == one() && rest.numerator.keys().all(|powers| !powers.contains_key(&atom));
        free.then_some((slope, rest))
    }

    /// Whether it is made of numbers and powers of one variable, and not the variable alone.
    pub(crate) fn is_to_be_solved(&self) -> bool {
        let mut powers = self.numerator.keys().chain(self.denominator.keys()).flat_map(BTreeMap::keys);
        self.names().len() == 1 && self.as_name().is_none() && powers.all(|atom| !matches!(atom, Atom::Function(..)))
    }

    /// The names of all variables outside functions.
    pub(crate) fn names(&self) -> std::collections::BTreeSet<&str> {
        let powers = self.numerator.keys().chain(self.denominator.keys()).flat_map(BTreeMap::keys);
        powers
            .filter_map(|atom| match atom {
                Atom::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}

fn one() -> Sum {
    Sum::from([(Monomial::new(), BigRational::one())])
}

/// Infinity is no number to reckon with: it stands alone or with a factor.
fn is_infinite(sum: &Sum) -> bool {
    sum.keys().flat_map(BTreeMap::keys).any(|atom| matches!(atom, Atom::Name(name) if name == "∞"))
}

/// Whether it is a rational number other than 0.
fn is_constant(sum: &Sum) -> bool {
    sum.len() == 1 && sum.contains_key(&Monomial::new())
}

fn term(atom: Atom, exponent: Exponent) -> Sum {
    Sum::from([(Monomial::from([(atom, exponent)]), BigRational::one())])
}

/// Arithmetic with a bound on its work.
pub(crate) struct Arithmetic {
    fuel: u32,
}

impl Arithmetic {
    pub(crate) fn new() -> Self {
        Self { fuel: FUEL }
    }

    /// Takes steps from those that are left; none once too few are.
    pub(crate) fn burn(&mut self, amount: usize) -> Option<()> {
        self.fuel = self.fuel.checked_sub(u32::try_from(amount).ok()?)?;
        Some(())
    }

    pub(crate) fn add(&mut self, left: &Expression, right: &Expression) -> Option<Expression> {
        if left.denominator == right.denominator {
            let numerator = self.add_sums(left.numerator.clone(), &right.numerator)?;
            return self.quotient(numerator, left.denominator.clone());
        }
        let over = self.mul_sums(&left.numerator, &right.denominator)?;
        let other = self.mul_sums(&right.numerator, &left.denominator)?;
        let numerator = self.add_sums(over, &other)?;
        let denominator = self.mul_sums(&left.denominator, &right.denominator)?;
        self.quotient(numerator, denominator)
    }

    pub(crate) fn negate(&mut self, value: &Expression) -> Option<Expression> {
        self.burn(value.numerator.len())?;
        let numerator = value.numerator.iter().map(|(powers, coefficient)| (powers.clone(), -coefficient)).collect();
        Some(Expression { numerator, denominator: value.denominator.clone() })
    }

    pub(crate) fn subtract(&mut self, left: &Expression, right: &Expression) -> Option<Expression> {
        let right = self.negate(right)?;
        self.add(left, &right)
    }

    pub(crate) fn multiply(&mut self, left: &Expression, right: &Expression) -> Option<Expression> {
        let numerator = self.mul_sums(&left.numerator, &right.numerator)?;
        let denominator = self.mul_sums(&left.denominator, &right.denominator)?;
        self.quotient(numerator, denominator)
    }

    /// `None` for a division by zero.
    pub(crate) fn divide(&mut self, left: &Expression, right: &Expression) -> Option<Expression> {
        let numerator = self.mul_sums(&left.numerator, &right.denominator)?;
        let denominator = self.mul_sums(&left.denominator, &right.numerator)?;
        self.quotient(numerator, denominator)
    }

    /// Whether `left = right`, by cross-multiplication.
    pub(crate) fn equal(&mut self, left: &Expression, right: &Expression) -> Option<bool> {
        let over = self.mul_sums(&left.numerator, &right.denominator)?;
        Some(over == self.mul_sums(&right.numerator, &left.denominator)?)
    }

    /// Whether one is the other times a rational number that is not zero.
    pub(crate) fn proportional(&mut self, left: &Expression, right: &Expression) -> Option<bool> {
        let (Some((_, a)), Some((_, b))) = (left.numerator.first_key_value(), right.numerator.first_key_value()) else {
            return Some(left.numerator.is_empty() && right.numerator.is_empty());
        };
        let scale = Expression::number(b / a);
        let scaled = self.multiply(left, &scale)?;
        self.equal(&scaled, right)
    }

    /// A denominator of one term goes into the numerator.
    fn quotient(&mut self, numerator: Sum, denominator: Sum) -> Option<Expression> {
        if denominator.len() != 1 {
            return (!denominator.is_empty()).then_some(Expression { numerator, denominator });
        }
        let (powers, coefficient) = denominator.into_iter().next()?;
        if powers.is_empty() && coefficient.is_one() {
            return Some(Expression { numerator, denominator: one() });
        }
        let inverse = powers.into_iter().map(|(atom, exponent)| (atom, -exponent)).collect();
        let (powers, factor) = normal(inverse, coefficient.recip())?;
        let numerator = self.mul_sums(&numerator, &Sum::from([(powers, factor)]))?;
        Some(Expression { numerator, denominator: one() })
    }

    fn add_sums(&mut self, mut left: Sum, right: &Sum) -> Option<Sum> {
        self.burn(right.len())?;
        if !left.is_empty() && !right.is_empty() && (is_infinite(&left) || is_infinite(right)) {
            return None;
        }
        for (powers, coefficient) in right {
            add_term(&mut left, powers.clone(), coefficient.clone())?;
        }
        Some(left)
    }

    fn mul_sums(&mut self, left: &Sum, right: &Sum) -> Option<Sum> {
        self.burn(left.len() * right.len())?;
        if is_infinite(left) && !is_constant(right) || is_infinite(right) && !is_constant(left) {
            return None;
        }
        let mut product = Sum::new();
        for (a, x) in left {
            for (b, y) in right {
                let mut powers = a.clone();
                for (atom, exponent) in b {
                    *powers.entry(atom.clone()).or_insert_with(Exponent::zero) += *exponent;
                }
                let (powers, coefficient) = normal(powers, x * y)?;
                let words = (coefficient.numer().bits() + coefficient.denom().bits()) / 64;
                self.burn(a.len() + b.len() + words as usize)?;
                add_term(&mut product, powers, coefficient)?;
            }
        }
        Some(product)
    }

    /// `base^exponent`. Roots of what may be negative and powers with variables above stay functions.
    pub(crate) fn power(&mut self, base: &Expression, exponent: &Expression) -> Option<Expression> {
        let Some(exponent) = exponent.rational() else {
            return self.open_power(base, exponent);
        };
        if exponent.is_integer() {
            return self.whole_power(base, exponent.to_integer().to_i64()?);
        }
        let (over, under) = (exponent.numer().to_i64()?, exponent.denom().to_i64()?);
        if over.abs() > MAX_EXPONENT || under > MAX_EXPONENT {
            return None;
        }
        self.root(base, Exponent::new(over, under))
    }

    fn whole_power(&mut self, base: &Expression, exponent: i64) -> Option<Expression> {
        if let Some(value) = base.rational() {
            return Some(Expression::number(digits::power(&value, exponent < 0, &BigInt::from(exponent.abs()))?));
        }
        if exponent < 0 {
            let inverse = self.divide(&Expression::whole(1), base)?;
            return self.whole_power(&inverse, -exponent);
        }
        if let Some((atom, power)) = base.single() {
            let (powers, coefficient) =
                normal(Monomial::from([(atom.clone(), checked(power * exponent)?)]), BigRational::one())?;
            return Some(Expression { numerator: Sum::from([(powers, coefficient)]), denominator: one() });
        }
        if exponent > MAX_SUM_POWER {
            return None;
        }
        let mut power = Expression::whole(1);
        for _ in 0..exponent {
            power = self.multiply(&power, base)?;
        }
        Some(power)
    }

    /// `base^exponent` for a broken exponent.
    fn root(&mut self, base: &Expression, exponent: Exponent) -> Option<Expression> {
        if let Some(value) = base.rational() {
            if value.is_positive() {
                return root_of_number(&value, exponent);
            }
            if value.is_zero() {
                return exponent.is_positive().then(|| Expression::whole(0));
            }
        }
        if let Some((coefficient, rest)) = base.positive_coefficient() {
            let root = root_of_number(&coefficient, exponent)?;
            let rest = self.root(&rest, exponent)?;
            return self.multiply(&root, &rest);
        }
        if exponent == Exponent::new(1, 2)
            && let Some((sum, difference, negative)) = base.nested_root()
        {
            let (sum, difference) = (root_of_number(&sum, exponent)?, root_of_number(&difference, exponent)?);
            return if negative { self.subtract(&sum, &difference) } else { self.add(&sum, &difference) };
        }
        match base.single() {
            // sqrt(x) is x^(1/2); sqrt(x^2) is |x| and no power of x
            Some((atom @ (Atom::Pi | Atom::E | Atom::Name(_)), power)) if power.is_one() => {
                Some(Expression { numerator: term(atom.clone(), exponent), denominator: one() })
            }
            _ => {
                let exponent = BigRational::new((*exponent.numer()).into(), (*exponent.denom()).into());
                Expression::function("power", vec![base.clone(), Expression::number(exponent)])
            }
        }
    }

    /// `base^exponent` with variables in the exponent; a whole constant in it becomes a factor.
    fn open_power(&mut self, base: &Expression, exponent: &Expression) -> Option<Expression> {
        let constant = exponent.numerator.get(&Monomial::new()).filter(|_| exponent.denominator == one());
        let shift =
            constant.filter(|constant| constant.is_integer()).and_then(|constant| constant.to_integer().to_i64());
        let shift = shift.unwrap_or(0);
        let rest = self.subtract(exponent, &Expression::whole(shift))?;
        let factor = self.whole_power(base, shift)?;
        // b^(-u) = 1 / b^u
        let falling = rest.numerator.first_key_value().is_some_and(|(_, coefficient)| coefficient.is_negative());
        let rest = if falling { self.negate(&rest)? } else { rest };
        let power = Expression::function("power", vec![base.clone(), rest])?;
        if falling { self.divide(&factor, &power) } else { self.multiply(&factor, &power) }
    }
}

fn add_term(sum: &mut Sum, powers: Monomial, coefficient: BigRational) -> Option<()> {
    use std::collections::btree_map::Entry;
    match sum.entry(powers) {
        Entry::Vacant(entry) => {
            entry.insert(coefficient);
        }
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += coefficient;
            if entry.get().is_zero() {
                entry.remove();
            } else if !fits(entry.get()) {
                return None;
            }
        }
    }
    (sum.len() <= MAX_TERMS).then_some(())
}

fn fits(value: &BigRational) -> bool {
    value.numer().bits().max(value.denom().bits()) <= MAX_BITS
}

fn checked(exponent: Exponent) -> Option<Exponent> {
    (exponent.numer().abs() <= MAX_EXPONENT && *exponent.denom() <= MAX_EXPONENT).then_some(exponent)
}

/// Drops powers of zero and takes whole powers of primes into the coefficient.
fn normal(powers: Monomial, mut coefficient: BigRational) -> Option<(Monomial, BigRational)> {
    let mut kept = Monomial::new();
    for (atom, exponent) in powers {
        let mut exponent = checked(exponent)?;
        if let Atom::Prime(prime) = atom {
            let whole = exponent.floor();
            let base = BigRational::from_integer(prime.into());
            let up = BigInt::from(whole.to_integer().abs());
            coefficient *= digits::power(&base, whole.is_negative(), &up)?;
            exponent -= whole;
        }
        if !exponent.is_zero() {
            kept.insert(atom, exponent);
        }
    }
    fits(&coefficient).then_some((kept, coefficient))
}

/// `value^exponent` as a product of powers of primes; `None` if it has a factor that is not found.
fn root_of_number(value: &BigRational, exponent: Exponent) -> Option<Expression> {
    let mut powers = Monomial::new();
    for (number, sign) in [(value.numer(), 1), (value.denom(), -1)] {
        for (prime, count) in factors(number.to_u64()?)? {
            powers.insert(Atom::Prime(prime), exponent * sign * count);
        }
    }
    let (powers, coefficient) = normal(powers, BigRational::one())?;
    Some(Expression { numerator: Sum::from([(powers, coefficient)]), denominator: one() })
}

/// The square root, if it is rational.
fn rational_root(value: &BigRational) -> Option<BigRational> {
    if value.is_negative() {
        return None;
    }
    let root = BigRational::new(value.numer().sqrt(), value.denom().sqrt());
    (&root * &root == *value).then_some(root)
}

/// Prime factors with how often they divide.
pub(crate) fn factors(mut number: u64) -> Option<Vec<(u64, i64)>> {
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor <= MAX_DIVISOR && divisor * divisor <= number {
        let mut count = 0;
        while number.is_multiple_of(divisor) {
            number /= divisor;
            count += 1;
        }
        if count > 0 {
            factors.push((divisor, count));
        }
        divisor += 1;
    }
    if number > MAX_DIVISOR * MAX_DIVISOR {
        return None;
    }
    if number > 1 {
        factors.push((number, 1));
    }
    Some(factors)
}
