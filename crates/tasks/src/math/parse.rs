//! Reads the pieces of a formula as a value.
//!
//! ```text
//! list     = item { ("," | ";") item }
//! item     = ["=" | "≈"] union { relation union }
//! union    = sum { "∪" sum } ["%"] unit*
//! sum      = sign? product { ("+" | "-" | "±") product }
//! product  = factor { ("*" | "/" | ":" | nothing) factor }
//! factor   = sign? primary ["!"] ["^" exponent ["!"]]
//! ```
//!
//! Promise: what can be read in two ways, such as `1/2x` or `2^3^2`, is not read.

use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::functions;
use super::lex::Piece;
use super::measure::behind_degree;
use super::poly::{Arithmetic, Atom, Expression};
use super::unit;
use crate::numeral::units;

/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 24;
/// The most factors within each other, brackets or not.
const MAX_NESTED: usize = 64;

/// An expression with what is known of how it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantity {
    pub(crate) expression: Expression,
    /// Whether a decimal point was written.
    pub(crate) decimal: bool,
    /// Whether hundredths are meant.
    pub(crate) percent: bool,
    /// The unit in one spelling, if it has one.
    pub(crate) unit: Option<String>,
}

/// What a formula says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Quantity(Quantity),
    /// Members in the order of the text, bare or in braces.
    Set(Vec<Value>),
    /// A pair, a point or an interval.
    Tuple {
        members: Vec<Value>,
        open: (bool, bool),
    },
    Union(Vec<Value>),
    Matrix(Vec<Vec<Quantity>>),
    Relation(Relation),
}

/// `sides[0] operators[0] sides[1] …`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relation {
    pub(crate) sides: Vec<Value>,
    pub(crate) operators: Vec<char>,
    /// Whether the first side is a variable, a function of one or a point of variables.
    pub(crate) names: bool,
}

impl Value {
    pub(super) fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Quantity(quantity) => Some(quantity),
            _ => None,
        }
    }

    pub(super) fn expression(self) -> Option<Expression> {
        Some(self.quantity()?.expression)
    }
}

/// The value of all pieces together.
pub(crate) fn value(pieces: &[Piece], arithmetic: &mut Arithmetic) -> Option<Value> {
    let mut parser = Parser { rest: pieces, arithmetic, depth: 0, nested: 0, decimal: false, currency: None, bars: 0 };
    let mut items = parser.list()?;
    if !parser.rest.is_empty() {
        return None;
    }
    if items.len() == 1 { items.pop() } else { Some(Value::Set(items)) }
}

pub(super) struct Parser<'p, 'a> {
    pub(super) rest: &'p [Piece],
    pub(super) arithmetic: &'a mut Arithmetic,
    depth: usize,
    nested: usize,
    /// Whether a decimal was read since this was last cleared.
    decimal: bool,
    /// The money that the quantity being read counts.
    pub(super) currency: Option<&'static str>,
    /// Open absolute values; a bar closes the innermost.
    pub(super) bars: usize,
}

impl<'p> Parser<'p, '_> {
    pub(super) fn peek(&self) -> Option<char> {
        match self.rest.first() {
            Some(Piece::Sign(sign)) => Some(*sign),
            _ => None,
        }
    }

    pub(super) fn take(&mut self, wanted: &[char]) -> Option<char> {
        let sign = self.peek().filter(|sign| wanted.contains(sign))?;
        self.rest = &self.rest[1..];
        Some(sign)
    }

    pub(super) fn list(&mut self) -> Option<Vec<Value>> {
        let mut items = vec![self.item()?];
        while self.take(&[',', ';']).is_some() {
            // ", and" is one separator
            self.take(&[',']);
            items.push(self.item()?);
        }
        Some(items)
    }

    pub(super) fn item(&mut self) -> Option<Value> {
        const RELATIONS: [char; 8] = ['=', '≈', '<', '>', '≤', '≥', '≠', '∈'];
        self.take(&['=', '≈']);
        let names = self.is_name_before_relation();
        // "≤ 5" bounds something without a name
        let bound = matches!(self.peek(), Some('<' | '>' | '≤' | '≥'));
        let mut sides = vec![if bound { self.plain(Expression::name("")) } else { self.union()? }];
        let mut operators = Vec::new();
        while let Some(operator) = self.take(&RELATIONS) {
            // ≈ 5 and ∈ S name a value as = does
            operators.push(if matches!(operator, '≈' | '∈') { '=' } else { operator });
            sides.push(self.union()?);
        }
        if operators.is_empty() {
            return sides.pop();
        }
        let names = names || names_a_point(&sides[0]);
        Some(Value::Relation(Relation { sides, operators, names }))
    }

    /// `x =`, `x_1 =` or `f(x) =`.
    pub(super) fn is_name_before_relation(&self) -> bool {
        let end = self.rest.iter().position(|piece| matches!(piece, Piece::Sign('=' | '≈' | '∈')));
        match self.rest[..end.unwrap_or(0)] {
            [Piece::Letter(_)] | [Piece::Letter(_), Piece::Sign('_'), _] => true,
            [Piece::Letter(_), Piece::Sign('_'), Piece::Sign('{'), _, Piece::Sign('}')] => true,
            [Piece::Letter(ref f), Piece::Sign('('), Piece::Letter(_) | Piece::Number { .. }, Piece::Sign(')')] => {
                matches!(f.as_str(), "f" | "g" | "h" | "p" | "q")
            }
            _ => false,
        }
    }

    pub(super) fn union(&mut self) -> Option<Value> {
        let outer = self.currency.take();
        let union = self.parts();
        self.currency = outer;
        union
    }

    fn parts(&mut self) -> Option<Value> {
        let first = self.sum()?;
        let mut parts = vec![first];
        while self.take(&['∪']).is_some() {
            parts.push(self.sum()?);
        }
        if parts.len() > 1 {
            let sets = parts.iter().all(|part| matches!(part, Value::Tuple { .. } | Value::Set(_)));
            return sets.then_some(Value::Union(parts));
        }
        match parts.pop()? {
            Value::Quantity(quantity) => self.tail(quantity).map(Value::Quantity),
            other => Some(other),
        }
    }

    pub(super) fn sum(&mut self) -> Option<Value> {
        self.depth += 1;
        let value = if self.depth > MAX_DEPTH { None } else { self.terms() };
        self.depth -= 1;
        value
    }

    /// A sum; with one `±` the set of both sums.
    pub(super) fn terms(&mut self) -> Option<Value> {
        let outer = std::mem::replace(&mut self.decimal, false);
        self.money()?;
        let first_sign = self.take(&['+', '-', '±']);
        let first = self.product()?;
        if first_sign.is_none() && !matches!(self.peek(), Some('+' | '-' | '±')) && !matches!(first, Value::Quantity(_))
        {
            self.decimal |= outer;
            return Some(first);
        }
        let first = first.expression()?;
        let mut totals = match first_sign {
            Some('-') => vec![self.arithmetic.negate(&first)?],
            Some('±') => vec![first.clone(), self.arithmetic.negate(&first)?],
            _ => vec![first],
        };
        while let Some(sign) = self.take(&['+', '-', '±']) {
            let term = self.product()?.expression()?;
            let negative = self.arithmetic.negate(&term)?;
            if sign == '±' {
                if totals.len() > 1 {
                    return None;
                }
                totals.push(totals[0].clone());
            }
            let last = totals.len() - 1;
            for (at, total) in totals.iter_mut().enumerate() {
                let minus = sign == '-' || sign == '±' && at == last;
                *total = self.arithmetic.add(total, if minus { &negative } else { &term })?;
            }
        }
        let decimal = self.decimal;
        self.decimal |= outer;
        let quantity = |expression| Value::Quantity(Quantity { expression, decimal, percent: false, unit: None });
        if totals.len() == 1 {
            totals.pop().map(quantity)
        } else {
            Some(Value::Set(totals.into_iter().map(quantity).collect()))
        }
    }

    pub(super) fn product(&mut self) -> Option<Value> {
        let first = self.factor()?;
        if !matches!(first, Value::Quantity(_)) {
            return Some(first);
        }
        let mut product = first.expression()?;
        let mut divided = false;
        loop {
            let operator = self.take(&['*', '/', ':']);
            if operator.is_none() && !self.starts_factor() {
                return Some(self.plain(product));
            }
            // 1/2x is (1/2)x to some and 1/(2x) to others
            if operator.is_none() && divided {
                return None;
            }
            let factor = self.factor()?.expression()?;
            divided = matches!(operator, Some('/' | ':'));
            product = match divided {
                true => self.arithmetic.divide(&product, &factor)?,
                false => self.arithmetic.multiply(&product, &factor)?,
            };
        }
    }

    pub(super) fn plain(&self, expression: Expression) -> Value {
        Value::Quantity(Quantity { expression, decimal: self.decimal, percent: false, unit: None })
    }

    /// Whether what follows is multiplied without a sign. A word of letters is, unless it is a unit.
    pub(super) fn starts_factor(&self) -> bool {
        match self.rest {
            [Piece::Letter(_) | Piece::Begin(_), ..] => true,
            [Piece::Word(word), ..] => {
                let variables = (2..4).contains(&word.chars().count()) && word.chars().all(char::is_alphabetic);
                variables && !units::is_short_unit(word) && !unit::is_thing(word)
            }
            [Piece::Command(name), ..] => !matches!(*name, "rfloor" | "rceil" | "choose"),
            [Piece::Sign('('), ..] => true,
            [Piece::Sign('{'), ..] => true,
            [Piece::Sign('|'), ..] => self.bars == 0,
            _ => false,
        }
    }

    pub(super) fn factor(&mut self) -> Option<Value> {
        if let Some(sign) = self.take(&['-', '+']) {
            let factor = self.unsigned()?.expression()?;
            let factor = if sign == '-' { self.arithmetic.negate(&factor)? } else { factor };
            return Some(self.plain(factor));
        }
        self.unsigned()
    }

    pub(super) fn unsigned(&mut self) -> Option<Value> {
        self.money()?;
        let primary = self.primary()?;
        if !matches!(primary, Value::Quantity(_)) {
            return Some(primary);
        }
        let mut value = primary.expression()?;
        value = self.factorial(value)?;
        if behind_degree(self.rest).is_none() && self.take(&['^']).is_some() {
            let exponent = self.exponent()?;
            value = functions::power(&value, &exponent, self.arithmetic)?;
            if self.peek() == Some('^') {
                return None;
            }
            value = self.factorial(value)?;
        }
        self.money()?;
        Some(self.plain(value))
    }

    /// With the `!` behind it; `5!!` is `(5!)!` to some and `5 · 3 · 1` to others.
    fn factorial(&mut self, value: Expression) -> Option<Expression> {
        if self.take(&['!']).is_none() {
            return Some(value);
        }
        (self.peek() != Some('!')).then(|| functions::factorial(&value))?
    }

    /// A group, a bracket, or one signed number or letter.
    pub(super) fn exponent(&mut self) -> Option<Expression> {
        if let Some(sign) = self.take(&['-', '+']) {
            let value = self.primary()?.expression()?;
            return if sign == '-' { self.arithmetic.negate(&value) } else { Some(value) };
        }
        self.primary()?.expression()
    }

    /// What a factor begins with. Commands and exponents nest without a bracket (`\ln\ln x`, `a^b^c`), so that their
    /// depth is counted here.
    pub(super) fn primary(&mut self) -> Option<Value> {
        self.nested += 1;
        let value = if self.nested > MAX_NESTED { None } else { self.primary_within() };
        self.nested -= 1;
        value
    }

    fn primary_within(&mut self) -> Option<Value> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match first {
            Piece::Number { value, decimal } => {
                self.decimal |= decimal;
                let number = Expression::number(self.mixed(value, *decimal)?);
                if self.take(&['_']).is_none() {
                    return Some(self.plain(number));
                }
                // digits in another base than ten
                let base = self.argument()?;
                Some(self.plain(Expression::function("base", vec![number, base])?))
            }
            Piece::Letter(letter) => self.letter(letter).map(|expression| self.plain(expression)),
            Piece::Word(word) => self.letters(word).map(|expression| self.plain(expression)),
            Piece::Command(name) => self.command(name),
            Piece::Begin(environment) => self.matrix(environment),
            Piece::End(_) | Piece::Currency(_) => None,
            Piece::Sign('{') => {
                let inside = self.sum()?;
                let inside = self.chosen(inside)?;
                self.take(&['}']).map(|_| inside)
            }
            Piece::Sign('|') => self.absolute(),
            Piece::Sign(open @ ('(' | '[' | '⦃')) => self.bracket(*open),
            Piece::Sign(_) => None,
        }
    }

    /// Adds the fraction of a mixed number; two numbers side by side are nothing else.
    pub(super) fn mixed(&mut self, whole: &BigRational, decimal: bool) -> Option<BigRational> {
        let (fraction, rest) = match self.rest {
            [
                Piece::Command("frac"),
                Piece::Sign('{'),
                Piece::Number { value: over, .. },
                Piece::Sign('}'),
                Piece::Sign('{'),
                Piece::Number { value: under, .. },
                Piece::Sign('}'),
                rest @ ..,
            ]
            | [Piece::Number { value: over, .. }, Piece::Sign('/'), Piece::Number { value: under, .. }, rest @ ..] => {
                if under.is_zero() {
                    return None;
                }
                (over / under, rest)
            }
            [Piece::Number { .. }, ..] => return None,
            [Piece::Command("frac"), Piece::Number { value, decimal: false }, rest @ ..] => (two_figures(value)?, rest),
            _ => return Some(whole.clone()),
        };
        self.rest = rest;
        let proper = fraction < BigRational::one() && whole.is_integer() && !decimal;
        proper.then(|| whole + fraction)
    }

    /// A letter with its index and primes.
    pub(super) fn letter(&mut self, letter: &str) -> Option<Expression> {
        let mut name = letter.to_owned();
        if self.take(&['_']).is_some() {
            name.push('_');
            let braced = self.take(&['{']).is_some();
            loop {
                match self.rest.split_first()? {
                    (Piece::Number { value, .. }, rest) => {
                        name.push_str(&value.to_string());
                        self.rest = rest;
                    }
                    (Piece::Letter(index) | Piece::Word(index), rest) => {
                        name.push_str(index);
                        self.rest = rest;
                    }
                    (Piece::Sign(sign @ ('+' | '-' | ',')), rest) if braced => {
                        name.push(*sign);
                        self.rest = rest;
                    }
                    _ => return None,
                }
                if !braced || self.take(&['}']).is_some() {
                    break;
                }
            }
        }
        while self.take(&['\'']).is_some() {
            name.push('\'');
        }
        Some(match name.as_str() {
            "pi" => Expression::atom(Atom::Pi),
            "e" => Expression::atom(Atom::E),
            name => Expression::name(name),
        })
    }

    /// Up to three letters side by side are a product.
    pub(super) fn letters(&mut self, word: &str) -> Option<Expression> {
        if word.chars().count() > 3 || !word.chars().all(char::is_alphabetic) {
            return None;
        }
        let mut product = Expression::whole(1);
        let count = word.chars().count();
        for (at, letter) in word.chars().enumerate() {
            let name = letter.to_string();
            // an exponent or an index belongs to the last letter
            let mut factor = if at + 1 == count { self.letter(&name)? } else { one_letter(&name) };
            if at + 1 == count && self.take(&['^']).is_some() {
                let exponent = self.exponent()?;
                factor = functions::power(&factor, &exponent, self.arithmetic)?;
            }
            product = self.arithmetic.multiply(&product, &factor)?;
        }
        Some(product)
    }

    pub(super) fn bracket(&mut self, open: char) -> Option<Value> {
        let bars = std::mem::take(&mut self.bars);
        if open == '⦃' && self.take(&['⦄']).is_some() {
            self.bars = bars;
            return Some(Value::Set(Vec::new()));
        }
        let depth = self.depth;
        self.depth += 1;
        let members = if self.depth > MAX_DEPTH { None } else { self.list() };
        (self.depth, self.bars) = (depth, bars);
        let mut members = members?;
        let close = self.take(&[')', ']', '⦄'])?;
        match (open, close) {
            ('⦃', '⦄') => Some(Value::Set(members)),
            ('(', ')') | ('[', ']') if members.len() == 1 => members.pop(),
            ('(' | '[', ')' | ']') if members.len() > 1 => {
                Some(Value::Tuple { members, open: (open == '(', close == ')') })
            }
            _ => None,
        }
    }
}

/// `(x, y)`: variables that differ.
fn names_a_point(side: &Value) -> bool {
    let Value::Tuple { members, open: (true, true) } = side else { return false };
    let name = |member: &Value| match member {
        Value::Quantity(quantity) => quantity.expression.as_name().filter(|name| *name != "∞").map(str::to_owned),
        _ => None,
    };
    let names: Option<std::collections::BTreeSet<String>> = members.iter().map(name).collect();
    names.is_some_and(|names| names.len() == members.len())
}

pub(super) fn one_letter(letter: &str) -> Expression {
    match letter {
        "pi" => Expression::atom(Atom::Pi),
        "e" => Expression::atom(Atom::E),
        name => Expression::name(name),
    }
}

/// The two figures of `\frac12`.
pub(super) fn figures(value: &BigRational) -> Option<(i64, i64)> {
    let number = value.is_integer().then(|| Expression::number(value.clone()).integer())??;
    (10..100).contains(&number).then_some((number / 10, number % 10))
}

fn two_figures(value: &BigRational) -> Option<BigRational> {
    let (over, under) = figures(value).filter(|(_, under)| *under != 0)?;
    let fraction = BigRational::new(over.into(), under.into());
    (!fraction.is_negative()).then_some(fraction)
}
