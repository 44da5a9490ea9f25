//! Functions with the simplest form that is certain.

use num_bigint::BigInt;
use num_integer::Integer as _;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::poly::{Arithmetic, Atom, Expression, factors};

/// The largest factorial, and the largest lower number of a binomial, that are multiplied out.
const MAX_FACTORIAL: i64 = 200;
/// The same for a binomial of variables.
const MAX_OPEN_BINOMIAL: i64 = 6;

/// `n!`, multiplied out for small whole numbers.
pub(crate) fn factorial(value: &Expression) -> Option<Expression> {
    match value.integer() {
        Some(n) if (0..=MAX_FACTORIAL).contains(&n) => {
            let product: BigInt = (1..=n).map(BigInt::from).product();
            Some(Expression::number(BigRational::from_integer(product)))
        }
        Some(_) => None,
        None => Expression::function("factorial", vec![value.clone()]),
    }
}

/// `n! / (k! (n - k)!) = Π_i (n - i) / (i + 1)` over i below k, for a whole number k.
pub(crate) fn binomial(over: &Expression, under: &Expression, arithmetic: &mut Arithmetic) -> Option<Expression> {
    let Some(k) = under.integer().filter(|k| over.integer().is_some() || *k <= MAX_OPEN_BINOMIAL) else {
        return Expression::function("binomial", vec![over.clone(), under.clone()]);
    };
    if !(0..=over.integer().unwrap_or(k)).contains(&k) || k > MAX_FACTORIAL {
        return None;
    }
    let mut product = Expression::whole(1);
    for at in 0..k {
        let factor = arithmetic.subtract(over, &Expression::whole(at))?;
        let factor = arithmetic.divide(&factor, &Expression::whole(at + 1))?;
        product = arithmetic.multiply(&product, &factor)?;
    }
    Some(product)
}

/// `|x|`, also where x is a variable or a sum.
pub(crate) fn absolute(value: &Expression, arithmetic: &mut Arithmetic) -> Option<Expression> {
    if let Some(number) = value.rational() {
        return Some(Expression::number(number.abs()));
    }
    // |-x| = |x|: of both signs the smaller form is kept
    let negative = arithmetic.negate(value)?;
    Expression::function("abs", vec![negative.min(value.clone())])
}

/// The whole number below or above.
pub(crate) fn rounded(value: &Expression, down: bool) -> Option<Expression> {
    match value.rational() {
        Some(number) => Some(Expression::number(if down { number.floor() } else { number.ceil() })),
        None => Expression::function(if down { "floor" } else { "ceil" }, vec![value.clone()]),
    }
}

/// The root of an index from 2; odd roots of negative numbers are negative.
pub(crate) fn root(value: &Expression, index: i64, arithmetic: &mut Arithmetic) -> Option<Expression> {
    if !(2..=64).contains(&index) {
        return None;
    }
    let exponent = Expression::number(BigRational::new(1.into(), index.into()));
    match value.rational() {
        Some(number) if number.is_negative() && index % 2 == 1 => {
            let root = arithmetic.power(&Expression::number(-number), &exponent)?;
            arithmetic.negate(&root)
        }
        _ => arithmetic.power(value, &exponent),
    }
}

/// Maximum, minimum, greatest common divisor or least common multiple of numbers.
pub(crate) fn of_many(name: &str, members: Vec<Expression>) -> Option<Expression> {
    let numbers: Option<Vec<BigRational>> = members.iter().map(Expression::rational).collect();
    let Some(numbers) = numbers else {
        let mut members = members;
        members.sort();
        return Expression::function(name, members);
    };
    let value = match name {
        "max" => numbers.into_iter().max()?,
        "min" => numbers.into_iter().min()?,
        _ if !numbers.iter().all(|number| number.is_integer() && number.is_positive()) => return None,
        "gcd" => BigRational::from_integer(numbers.iter().fold(BigInt::zero(), |gcd, n| gcd.gcd(n.numer()))),
        _ => BigRational::from_integer(numbers.iter().fold(BigInt::one(), |lcm, n| lcm.lcm(n.numer()))),
    };
    Some(Expression::number(value))
}

/// A function of one argument; `base` only of a logarithm.
pub(crate) fn of_one(
    name: &'static str,
    base: Option<Expression>,
    argument: &Expression,
    arithmetic: &mut Arithmetic,
) -> Option<Expression> {
    match name {
        "exp" => power(&Expression::atom(Atom::E), argument, arithmetic),
        "ln" => logarithm(argument, arithmetic),
        "log" => {
            let base = base.unwrap_or_else(|| Expression::whole(10));
            let (over, under) = (logarithm(argument, arithmetic)?, logarithm(&base, arithmetic)?);
            arithmetic.divide(&over, &under)
        }
        "sin" => sine(argument, 0, arithmetic),
        "cos" => sine(argument, 6, arithmetic),
        "tan" | "cot" => {
            let (sine, cosine) = (sine(argument, 0, arithmetic)?, sine(argument, 6, arithmetic)?);
            let (over, under) = if name == "tan" { (sine, cosine) } else { (cosine, sine) };
            arithmetic.divide(&over, &under)
        }
        "sec" | "csc" => {
            let under = sine(argument, if name == "sec" { 6 } else { 0 }, arithmetic)?;
            arithmetic.divide(&Expression::whole(1), &under)
        }
        _ => Expression::function(name, vec![argument.clone()]),
    }
}

/// `ln(p^a q^b e^c) = a ln p + b ln q + c` for positive rational numbers and powers of e.
fn logarithm(argument: &Expression, arithmetic: &mut Arithmetic) -> Option<Expression> {
    let open = || Expression::function("ln", vec![argument.clone()]);
    let [mut numerator, mut denominator] = argument.terms();
    let (Some((coefficient, powers)), None) = (numerator.next(), numerator.next()) else {
        return argument.rational().is_none().then(open).flatten();
    };
    let fraction = denominator.next().is_some_and(|(_, powers)| !powers.is_empty()) || denominator.next().is_some();
    if fraction || !coefficient.is_positive() || powers.keys().any(|atom| !matches!(atom, Atom::E | Atom::Prime(_))) {
        return argument.rational().is_none().then(open).flatten();
    }
    let mut sum = Expression::whole(0);
    let mut add = |atom: &Atom, factor: BigRational| {
        let of_atom = match atom {
            Atom::E => Expression::whole(1),
            _ => Expression::function("ln", vec![Expression::atom(atom.clone())])?,
        };
        let term = arithmetic.multiply(&of_atom, &Expression::number(factor))?;
        sum = arithmetic.add(&sum, &term)?;
        Some(())
    };
    for (number, sign) in [(coefficient.numer(), 1), (coefficient.denom(), -1)] {
        for (prime, count) in factors(u64::try_from(number).ok()?)? {
            add(&Atom::Prime(prime), BigRational::from_integer((sign * count).into()))?;
        }
    }
    for (atom, exponent) in powers {
        add(atom, BigRational::new((*exponent.numer()).into(), (*exponent.denom()).into()))?;
    }
    Some(sum)
}

/// `base^exponent`, with logarithms in the exponent taken down: `e^(c·ln a + r) = a^c·e^r`, `b^(c·log_b a) = a^c`.
pub(crate) fn power(base: &Expression, exponent: &Expression, arithmetic: &mut Arithmetic) -> Option<Expression> {
    let Some(natural) = natural_exponent(base, exponent, arithmetic)? else {
        return arithmetic.power(base, exponent);
    };
    let (mut product, mut rest) = (Expression::whole(1), natural.clone());
    let [numerator, _] = natural.terms();
    for (coefficient, powers) in numerator {
        let Some((logarithm @ Atom::Function(_, arguments), true)) =
            powers.first_key_value().map(|(atom, exponent)| (atom, is_logarithm(atom) && exponent.is_one()))
        else {
            continue;
        };
        if powers.len() > 1 {
            continue;
        }
        let factor = Expression::number(coefficient.clone());
        let raised = arithmetic.power(&arguments[0], &factor)?;
        product = arithmetic.multiply(&product, &raised)?;
        let term = arithmetic.multiply(&Expression::atom(logarithm.clone()), &factor)?;
        rest = arithmetic.subtract(&rest, &term)?;
    }
    let e = Expression::atom(Atom::E);
    if rest.rational().is_some_and(|rest| rest.is_zero()) {
        return Some(product);
    }
    if *base != e {
        return arithmetic.power(base, exponent);
    }
    let raised = arithmetic.power(&e, &rest)?;
    arithmetic.multiply(&product, &raised)
}

/// `x` of `base^exponent = e^x` if there is a logarithm in the exponent and the base is e or a positive number.
fn natural_exponent(
    base: &Expression,
    exponent: &Expression,
    arithmetic: &mut Arithmetic,
) -> Option<Option<Expression>> {
    let [mut numerator, mut denominator] = exponent.terms();
    let open = numerator.any(|(_, powers)| powers.keys().any(is_logarithm));
    let number = base.rational().is_some_and(|base| base.is_positive() && !base.is_one());
    if !open || *base != Expression::atom(Atom::E) && !number {
        return Some(None);
    }
    if !number {
        return Some(Some(exponent.clone()));
    }
    let of_base = logarithm(base, arithmetic)?;
    let whole = Expression::whole(1);
    let (over, under) = exponent.parts();
    if under == whole || !arithmetic.proportional(&under, &of_base)? {
        return arithmetic.multiply(exponent, &of_base).map(Some);
    }
    // log_10 5 = ln 5 / (ln 2 + ln 5)
    let [mut terms, _] = of_base.terms();
    let (Some((of_base, _)), Some((under, _))) = (terms.next(), denominator.next()) else { return None };
    arithmetic.multiply(&over, &Expression::number(under / of_base)).map(Some)
}

fn is_logarithm(atom: &Atom) -> bool {
    matches!(atom, Atom::Function(name, arguments) if name == "ln" && arguments.len() == 1)
}

/// `sin(x + shift·π/12)`: a number at multiples of π/6 and π/4, else a function that stays; the
/// shift of 6 makes the cosine.
fn sine(argument: &Expression, shift: i64, arithmetic: &mut Arithmetic) -> Option<Expression> {
    let open = || Expression::function(if shift == 0 { "sin" } else { "cos" }, vec![argument.clone()]);
    let turn = arithmetic.divide(argument, &Expression::atom(Atom::Pi))?;
    let twelfths = turn.rational().map(|turn| turn * BigInt::from(12)).filter(BigRational::is_integer);
    let Some(twelfths) = twelfths else { return open() };
    let place = i64::try_from((twelfths.to_integer() + shift).mod_floor(&BigInt::from(24))).ok()?;
    let (place, sign) = if place >= 12 { (place - 12, -1) } else { (place, 1) };
    // sin(n·π/12) = sqrt(squared) / 2
    let squared = match place {
        0 => 0,
        2 | 10 => 1,
        3 | 9 => 2,
        4 | 8 => 3,
        6 => 4,
        _ => return open(),
    };
    let root = root(&Expression::whole(squared), 2, arithmetic)?;
    arithmetic.divide(&root, &Expression::whole(2 * sign))
}
