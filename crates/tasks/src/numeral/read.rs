//! Reads a run of pieces as one numeral with its unit, whole or not at all.
//!
//! ```text
//! numeral   = sign? currency? sign? magnitude percent? unit*
//! magnitude = number ["e" sign? digits | "×" "10" power] | number power | number "/" number
//!           | number? fraction | number? frac number number | "(" numeral ")"
//! power     = "^" digits | "^" "{" sign? digits "}"
//! ```

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::digits::{self, Written};
use super::token::Token;
use super::{Numeral, units};

/// The numeral that all of the pieces make together.
pub(crate) fn numeral(tokens: &[Token<'_>], in_brackets: bool) -> Option<Numeral> {
    let mut reader = Reader { rest: tokens, in_brackets, money: false };
    let negative = reader.prefix()?;
    let mut read = match reader.rest {
        [Token::Sign(open @ ('(' | '[' | '{')), inside @ .., Token::Sign(close)] if closes(*open, *close) => {
            reader.rest = &[];
            numeral(inside, true)?
        }
        _ => reader.magnitude()?,
    };
    if negative {
        read.value = -read.value;
    }
    read.percent |= reader.percent();
    // £5m counts millions and not metres
    let multiple = reader.money && matches!(reader.rest, [Token::Word("m"), ..] | [Token::Blank, Token::Word("m"), ..]);
    (!multiple && units::read(reader.rest)).then_some(read)
}

pub(crate) fn closes(open: char, close: char) -> bool {
    matches!((open, close), ('(', ')') | ('[', ']') | ('{', '}'))
}

/// Signs that stand for money.
pub(crate) fn is_currency(c: char) -> bool {
    matches!(c, '$' | '£' | '¥' | '¢' | '฿' | '\u{20A0}'..='\u{20CF}')
}

struct Reader<'a, 't> {
    rest: &'a [Token<'t>],
    in_brackets: bool,
    /// Whether a currency stood before the digits.
    money: bool,
}

impl<'a, 't> Reader<'a, 't> {
    fn skip_blank(&mut self) {
        if let [Token::Blank, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, sign: char) -> bool {
        match self.rest {
            [Token::Sign(first), rest @ ..] if *first == sign => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A sign and a currency in either order; whether the sign is a minus. Two signs are none.
    fn prefix(&mut self) -> Option<bool> {
        let (mut sign, mut negative) = (false, false);
        while let [first, rest @ ..] = self.rest {
            match *first {
                Token::Sign('-' | '+') if sign => return None,
                Token::Sign(c @ ('-' | '+')) => (sign, negative) = (true, c == '-'),
                Token::Sign(c) if is_currency(c) => self.money = true,
                Token::Word(word) if units::is_currency_code(word) => {
                    self.money = true;
                    // "Rs.5" and "Rs. 5" have a point that is none of the number's
                    if let [Token::Sign('.') | Token::Break('.'), rest @ ..] = rest {
                        self.rest = rest;
                        continue;
                    }
                }
                Token::Blank => {}
                _ => break,
            }
            self.rest = rest;
        }
        Some(negative)
    }

    fn magnitude(&mut self) -> Option<Numeral> {
        if let [Token::Fraction(..) | Token::Command("frac"), ..] = self.rest {
            return self.fraction().map(Numeral::whole);
        }
        let written = self.number()?;
        let plain = !written.decimal;
        let value = written.value.clone();
        let rest = self.rest;
        self.skip_blank();
        match self.rest {
            [Token::Fraction(..) | Token::Command("frac"), ..] => self.mixed(&written).map(Numeral::whole),
            [Token::Sign('/'), ..] if self.is_number_at(1) => {
                self.take('/');
                let under = self.number()?;
                (!under.value.is_zero()).then(|| Numeral::whole(value / under.value))
            }
            [Token::Digits(_), ..] if plain => {
                let fraction = self.proper_fraction()?;
                Some(Numeral::whole(value + fraction))
            }
            [Token::Sign('^'), ..] if !self.is_degree() => {
                self.take('^');
                let (negative, exponent) = self.exponent()?;
                Some(Numeral::whole(digits::power(&value, negative, &BigInt::parse_bytes(exponent.as_bytes(), 10)?)?))
            }
            [Token::Sign('×') | Token::Word("x"), ..] => {
                self.rest = &self.rest[1..];
                self.power_of_ten(&written)
            }
            [Token::Word("e" | "E"), ..] if self.rest.len() == rest.len() => {
                self.rest = &self.rest[1..];
                let negative = self.take('-');
                let _ = negative || self.take('+');
                let exponent = self.digits()?;
                Some(Numeral {
                    value: digits::scale(&value, negative, exponent)?,
                    decimal: written.decimal,
                    percent: false,
                })
            }
            _ => {
                self.rest = rest;
                Some(Numeral { value, decimal: written.decimal, percent: false })
            }
        }
    }

    fn digits(&mut self) -> Option<&'t str> {
        let [Token::Digits(digits), rest @ ..] = self.rest else { return None };
        self.rest = rest;
        Some(digits)
    }

    /// `× 10^n` behind a mantissa.
    fn power_of_ten(&mut self, mantissa: &Written) -> Option<Numeral> {
        self.skip_blank();
        let ten = self.digits()? == "10" && self.take('^');
        let (negative, exponent) = ten.then(|| self.exponent())??;
        let value = digits::scale(&mantissa.value, negative, exponent)?;
        Some(Numeral { value, decimal: mantissa.decimal, percent: false })
    }

    /// `12` or `{-12}` behind a `^`.
    fn exponent(&mut self) -> Option<(bool, &'t str)> {
        let braced = self.take('{') || self.take('(');
        let negative = self.take('-');
        let digits = self.digits()?;
        let closed = !braced || self.take('}') || self.take(')');
        closed.then_some((negative, digits))
    }

    /// Whether a raised ring follows, with or without braces.
    fn is_degree(&self) -> bool {
        matches!(self.rest, [Token::Sign('^'), Token::Sign('°'), ..] | [_, Token::Sign('{'), Token::Sign('°'), ..])
    }

    /// Whether digits follow behind `skip` pieces and perhaps a blank.
    fn is_number_at(&self, skip: usize) -> bool {
        let rest = self.rest.get(skip..).unwrap_or_default();
        matches!(rest, [Token::Digits(_), ..] | [Token::Blank, Token::Digits(_), ..])
    }

    /// Digits with marks. A blank belongs to them only if the digits behind it are no numerator.
    fn number(&mut self) -> Option<Written> {
        self.skip_blank();
        let (mut groups, mut marks) = (Vec::new(), Vec::new());
        if let [Token::Sign('.'), ..] = self.rest {
            groups.push("");
        } else {
            groups.push(self.digits()?);
        }
        loop {
            match self.rest {
                [Token::Sign(mark @ ('.' | ',' | '\'' | '_')), Token::Digits(digits), rest @ ..] => {
                    marks.push(*mark);
                    groups.push(digits);
                    self.rest = rest;
                }
                [Token::Blank, Token::Digits(digits), rest @ ..] if digits.len() == 3 && !is_slash(rest) => {
                    marks.push(' ');
                    groups.push(digits);
                    self.rest = rest;
                }
                _ => return digits::read(&groups, &marks, self.in_brackets),
            }
        }
    }

    /// A fraction that is one piece, or `\frac` with two arguments.
    fn fraction(&mut self) -> Option<BigRational> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if let Token::Fraction(over, under) = *first {
            return Some(BigRational::new(over.into(), under.into()));
        }
        if let [Token::Digits(digits), rest @ ..] = self.rest
            && digits.len() == 2
        {
            // \frac12
            self.rest = rest;
            let figure = |at: usize| BigInt::parse_bytes(&digits.as_bytes()[at..=at], 10);
            let under = figure(1).filter(|under| !under.is_zero())?;
            return Some(BigRational::new(figure(0)?, under));
        }
        let (over, under) = (self.argument()?, self.argument()?);
        (!under.is_zero()).then(|| over / under)
    }

    /// `{-3}`, or a single figure.
    fn argument(&mut self) -> Option<BigRational> {
        self.skip_blank();
        if !self.take('{') {
            return self
                .digits()
                .filter(|digits| digits.len() == 1)
                .and_then(|digit| digits::read(&[digit], &[], false))
                .map(|w| w.value);
        }
        let negative = self.prefix()?;
        let value = self.number()?.value;
        self.skip_blank();
        self.take('}').then_some(if negative { -value } else { value })
    }

    /// The fraction of a mixed number behind its whole part.
    fn mixed(&mut self, whole: &Written) -> Option<BigRational> {
        let fraction = self.fraction()?;
        let proper = !fraction.is_negative() && fraction < BigRational::one();
        (proper && !whole.decimal).then(|| &whole.value + fraction)
    }

    /// `3/4` behind the whole part of a mixed number.
    fn proper_fraction(&mut self) -> Option<BigRational> {
        let over = self.number()?;
        self.skip_blank();
        let under = self.take('/').then(|| self.number())??;
        let proper = !over.decimal && !under.decimal && over.value < under.value;
        proper.then(|| over.value / under.value)
    }

    fn percent(&mut self) -> bool {
        let rest = self.rest;
        self.skip_blank();
        let percent = self.take('%');
        if !percent {
            self.rest = rest;
        }
        percent
    }
}

fn is_slash(rest: &[Token<'_>]) -> bool {
    matches!(rest, [Token::Sign('/'), Token::Digits(_), ..] | [Token::Blank, Token::Sign('/'), ..])
}
