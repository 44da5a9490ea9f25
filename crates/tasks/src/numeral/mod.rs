//! Reads numbers the way a person does: signs, decimals, exponents, fractions, thousands marks,
//! percent, money, units, in plain text and in TeX.
//!
//! Promise: a numeral is read whole or not at all, exactly, as a rational number; digits and
//! exponents are bounded before memory is taken; work is linear in the text.
//! Takes: any text. Gives: the last numeral of it, or the one numeral that it is.
//! Never: panics, takes a part of a numeral for the whole, or falls back on an earlier number.

pub(crate) mod digits;
mod find;
pub(crate) mod fold;
mod read;
mod token;
pub(crate) mod units;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed};

use token::Token;

use crate::LineFault;

/// Numbers written with decimals are compared after so many places, as math-verify does.
const DECIMALS: u32 = 6;
/// They may differ by this part of themselves, so that small numbers are not all equal to 0.
const CLOSE_PART: u32 = 1000;
/// The most words behind the number of an answer column, such as "square metres".
const MAX_UNIT_WORDS: usize = 3;
/// Characters of an unread answer that a message repeats.
const SHOWN_CHARS: usize = 80;

/// A number as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numeral {
    /// The number before the percent sign, if there is one.
    value: BigRational,
    /// Whether a decimal mark was written.
    decimal: bool,
    /// Whether hundredths are meant.
    percent: bool,
}

impl Numeral {
    fn whole(value: BigRational) -> Self {
        Self { value, decimal: false, percent: false }
    }

    /// The value in a form that reads back as the same.
    pub(crate) fn written(&self) -> String {
        format!("{}{}", self.value, if self.percent { "%" } else { "" })
    }

    /// The value with percent counted as hundredths.
    fn exact(&self) -> BigRational {
        if self.percent { &self.value / BigInt::from(100) } else { self.value.clone() }
    }

    /// Whether both mean the same number.
    ///
    /// - by value: 1/2 = 0.5 = 50 %
    /// - percents above one also without the sign, since a question may ask for percents: 72 % = 72;
    ///   0.5 % is not 0.5
    /// - decimals that agree with the other number, whole numbers excepted, after rounding to six
    ///   places and to one part in a thousand: 0.333333 = 1/3, but 1e-7 is not 2e-7
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let whole = |n: &Self| n.value.is_integer() && !n.decimal;
        let (left, right) = (self.exact(), other.exact());
        let percents = whole(self) || self.value.abs() > BigRational::one();
        left == right
            || percents && self.value == other.value
            || (self.decimal || other.decimal) && !whole(self) && !whole(other) && are_close(&left, &right)
    }
}

/// Whether both round to the same sixth decimal and differ by less than a thousandth of themselves.
pub(crate) fn are_close(left: &BigRational, right: &BigRational) -> bool {
    let places: BigInt = Pow::pow(BigInt::from(10), DECIMALS);
    let rounded = |value: &BigRational| (value * &places).round();
    (left - right).abs() * BigInt::from(CLOSE_PART) < left.abs() && rounded(left) == rounded(right)
}

/// The last numeral of a text; none if the last digits of the text are not readable whole.
pub(crate) fn last(text: &str) -> Option<Numeral> {
    let folded = fold::fold(text);
    Some(find::last(&token::tokens(&folded))?.numeral)
}

/// The numeral that the whole text is, with no more around it than `x =` and a unit.
pub(crate) fn whole(text: &str) -> Option<Numeral> {
    let folded = fold::fold(text);
    let tokens = token::tokens(&folded);
    let found = find::last(&tokens)?;
    (is_introduction(found.before) && is_unit(found.behind)).then_some(found.numeral)
}

/// The numeral of an answer column. `text` is the part of `answer` that states it; as the whole
/// answer must earn its own reward, the last numeral of the answer must say the same.
///
/// Errors: `NoFinalNumber` without digits, `UnreadNumber` if it is not one number.
pub(crate) fn of_answer(answer: &str, text: &str) -> Result<Numeral, LineFault> {
    if !text.chars().any(char::is_numeric) {
        return Err(LineFault::NoFinalNumber { marker: false });
    }
    let unread = || LineFault::UnreadNumber { text: text.trim().chars().take(SHOWN_CHARS).collect() };
    let numeral = whole(text).ok_or_else(unread)?;
    last(answer).filter(|last| last.equals(&numeral)).map(|_| numeral).ok_or_else(unread)
}

/// Nothing but marks, a sign's word, or one letter and an equals sign.
fn is_introduction(before: &[Token<'_>]) -> bool {
    let mut solid = before.iter().filter(|token| {
        !matches!(
            token,
            Token::Blank | Token::Sign('$') | Token::Break('\n' | '#' | '"' | '`' | '\\' | '$' | '{' | '&')
        )
    });
    match (solid.next(), solid.next(), solid.next()) {
        (None, ..) | (Some(Token::Word("minus" | "negative" | "Minus" | "Negative")), None, _) => true,
        (Some(Token::Word(name)), Some(Token::Break('=')), None) => name.chars().nth(1).is_none(),
        _ => false,
    }
}

/// Nothing but marks and a few words that say what was counted.
fn is_unit(behind: &[Token<'_>]) -> bool {
    let mut words = 0;
    behind.iter().all(|token| match token {
        Token::Word("or" | "and" | "to" | "not" | "if" | "but" | "than" | "more" | "less" | "maybe" | "about") => false,
        Token::Word(_) => {
            words += 1;
            words <= MAX_UNIT_WORDS
        }
        Token::Blank | Token::Sign('$' | ']' | ')') => true,
        Token::Break(c) => matches!(c, '\n' | '.' | '"' | '`' | '\\' | '$' | '{' | '&'),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
