//! Cuts the content of a box into the pieces of a formula.
//!
//! Promise: commands that change nothing but looks are gone, synonyms have one spelling; a text
//! that is too long or holds what no formula holds has no pieces.

use num_rational::BigRational;
use num_traits::One;

use super::names::{COMMANDS, CURRENCIES, FACES, GREEK, SIGNS, SILENT};
use super::unit;
use crate::numeral::digits;

/// The longest content that is read.
pub(crate) const MAX_BYTES: usize = 2048;
/// The deepest nesting of `\text` and its like.
const MAX_NESTING: usize = 8;
/// The most repeated or other digits behind the point of `0.1\overline{6}`.
const MAX_PERIOD: usize = 64;

/// One piece of a formula.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Number {
        value: BigRational,
        decimal: bool,
    },
    /// One letter, or the name of a Greek one, in lower case.
    Letter(String),
    /// Letters side by side, or the words of `\text{…}`, in lower case; only a unit has blanks.
    Word(String),
    /// A sign of money, by the name of its unit.
    Currency(&'static str),
    /// A command with a meaning, without its backslash.
    Command(&'static str),
    /// An environment's beginning or end, by its name.
    Begin(String),
    End(String),
    /// An operator or bracket; `⦃` and `⦄` stand for `\{` and `\}`, `⏎` for `\\`.
    Sign(char),
}

/// The pieces of a folded text; see [`crate::numeral::fold::fold`].
///
/// One letter behind a number is a unit if a blank stands between, with `glued_units` also without;
/// else it is a variable.
pub(crate) fn pieces(text: &str, glued_units: bool) -> Option<Vec<Piece>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut lexer = Lexer { rest: text, pieces: Vec::new(), brackets: 0, glued_units };
    lexer.read(MAX_NESTING)?;
    Some(lexer.pieces)
}

struct Lexer<'t> {
    rest: &'t str,
    pieces: Vec<Piece>,
    /// Brackets that are open, within which a comma separates.
    brackets: usize,
    glued_units: bool,
}

impl<'t> Lexer<'t> {
    fn read(&mut self, nesting: usize) -> Option<()> {
        loop {
            self.rest = behind_blank(self.rest);
            let Some(c) = self.rest.chars().next() else { return Some(()) };
            match c {
                '0'..='9' => self.number()?,
                '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
                '\\' => self.command(nesting)?,
                _ if c.is_alphabetic() => self.letters(),
                _ => self.sign(c)?,
            }
        }
    }

    fn push_sign(&mut self, sign: char) {
        match sign {
            '(' | '[' | '⦃' => self.brackets += 1,
            ')' | ']' | '⦄' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.pieces.push(Piece::Sign(sign));
    }

    fn sign(&mut self, c: char) -> Option<()> {
        self.rest = &self.rest[c.len_utf8()..];
        let known = match c {
            '$' | '"' => return Some(()),
            '€' => return self.push(Piece::Currency("euro")),
            '£' => return self.push(Piece::Currency("£")),
            '¥' => return self.push(Piece::Currency("¥")),
            '₹' => return self.push(Piece::Currency("₹")),
            '¢' => return self.push(Piece::Currency("cent")),
            '√' => return self.push(Piece::Command("sqrt")),
            '∞' => return self.push(Piece::Command("infty")),
            '∅' => return self.push(Piece::Command("emptyset")),
            '×' => '*',
            '÷' => '/',
            '+' | '-' | '*' | '/' | '^' | '_' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '=' | '<' | '>'
            | '!' | '|' | ':' | '%' | '°' | '±' | '∪' | '∈' | '≤' | '≥' | '≠' | '≈' | '\'' | '&' => c,
            '½' => return self.fraction(1, 2),
            '¼' => return self.fraction(1, 4),
            '¾' => return self.fraction(3, 4),
            '⅓' => return self.fraction(1, 3),
            '⅔' => return self.fraction(2, 3),
            _ => return None,
        };
        self.push_sign(known);
        Some(())
    }

    fn push(&mut self, piece: Piece) -> Option<()> {
        self.pieces.push(piece);
        Some(())
    }

    /// A character that is a fraction, as `\frac{over}{under}`.
    fn fraction(&mut self, over: i64, under: i64) -> Option<()> {
        let number = |value: i64| Piece::Number { value: BigRational::from_integer(value.into()), decimal: false };
        self.pieces.extend([Piece::Command("frac"), Piece::Sign('{'), number(over), Piece::Sign('}')]);
        self.pieces.extend([Piece::Sign('{'), number(under), Piece::Sign('}')]);
        Some(())
    }

    fn letters(&mut self) {
        let end = self.rest.find(|c: char| !c.is_alphabetic()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        // 5 min is no minimum and 5 sec no secant
        if matches!(self.pieces.last(), Some(Piece::Number { .. })) && matches!(word, "min" | "sec") {
            self.pieces.push(Piece::Word(word.to_owned()));
        } else {
            self.word(word);
        }
    }

    fn word(&mut self, word: &str) {
        let lower = word.to_lowercase();
        let known = COMMANDS.iter().find(|names| names.contains(&&*lower) && lower.len() > 2).map(|names| names[0]);
        let sign = SIGNS.iter().find(|(name, _)| *name == lower && matches!(*name, "and" | "or" | "percent" | "pct"));
        let greek = GREEK.iter().find(|(name, c)| lower.chars().eq([*c]) || lower == "pi" && *name == "pi");
        self.pieces.push(match (known, sign, greek) {
            (Some(command), ..) => Piece::Command(command),
            (_, Some(&(_, sign)), _) => Piece::Sign(sign),
            (.., Some((name, _))) => Piece::Letter((*name).to_owned()),
            _ if lower.chars().nth(1).is_none() => Piece::Letter(lower),
            _ if lower == "ln" => Piece::Command("ln"),
            _ => Piece::Word(lower),
        });
    }

    fn command(&mut self, nesting: usize) -> Option<()> {
        let len = self.rest[1..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len() - 1);
        if len == 0 {
            return self.escape();
        }
        let name = &self.rest[1..=len];
        self.rest = &self.rest[1 + len..];
        if SILENT.contains(&name) {
            // \left. and \right. are brackets that are not there
            self.rest = if matches!(name, "left" | "right") { self.rest.trim_start_matches('.') } else { self.rest };
            return Some(());
        }
        if FACES.contains(&name) {
            return self.face(nesting);
        }
        if let Some((_, sign)) = SIGNS.iter().find(|(known, _)| *known == name) {
            self.push_sign(*sign);
            return Some(());
        }
        if matches!(name, "begin" | "end") {
            let (environment, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
            self.rest = rest;
            let environment = environment.to_owned();
            return self.push(if name == "begin" { Piece::Begin(environment) } else { Piece::End(environment) });
        }
        let greek = name.strip_prefix("var").unwrap_or(name);
        if let Some((known, _)) = GREEK.iter().find(|(known, _)| *known == greek) {
            return self.push(Piece::Letter((*known).to_owned()));
        }
        if name == "varnothing" {
            return self.push(Piece::Command("emptyset"));
        }
        if let Some((_, currency)) = CURRENCIES.iter().find(|(known, _)| *known == name) {
            return self.push(Piece::Currency(currency));
        }
        let known = COMMANDS.iter().find(|names| names.contains(&name))?;
        self.push(Piece::Command(known[0]))
    }

    fn escape(&mut self) -> Option<()> {
        let c = self.rest[1..].chars().next()?;
        self.rest = &self.rest[1 + c.len_utf8()..];
        match c {
            '{' => self.push_sign('⦃'),
            '}' => self.push_sign('⦄'),
            '%' => self.push_sign('%'),
            '|' => self.push_sign('|'),
            '\\' => self.push_sign('⏎'),
            '$' => self.pieces.push(Piece::Currency("dollar")),
            '(' | ')' | '[' | ']' => {}
            _ => return None,
        }
        Some(())
    }

    /// The group of `\text` and its like: one word if it holds letters only, else its pieces.
    fn face(&mut self, nesting: usize) -> Option<()> {
        self.rest = self.rest.trim_start();
        let Some(inside) = self.rest.strip_prefix('{') else { return Some(()) };
        let end = closing_brace(inside)?;
        self.rest = &inside[end + 1..];
        let content = inside[..end].trim();
        let after_number = matches!(
            self.pieces.last(),
            Some(Piece::Number { .. } | Piece::Letter(_) | Piece::Currency(_) | Piece::Sign('}' | ')' | '°'))
        );
        let marks = if after_number { ".-'/() " } else { ".-' " };
        if content.chars().all(|c| c.is_alphabetic() || marks.contains(c)) && content.contains(char::is_alphabetic) {
            self.text(content, after_number);
            return Some(());
        }
        let mut inner = Lexer { rest: content, pieces: Vec::new(), ..*self };
        inner.read(nesting.checked_sub(1)?)?;
        self.pieces.append(&mut inner.pieces);
        Some(())
    }

    /// Words of `\text`; behind a number they are a unit, unless the one word means something else.
    fn text(&mut self, content: &str, after_number: bool) {
        let word = |word: &str| word.chars().filter(|c| c.is_alphabetic() || *c == '/').collect::<String>();
        let words: Vec<String> = content
            .split([' ', '-'])
            .map(word)
            .filter(|word| !word.is_empty())
            .map(|word| word.to_lowercase())
            .collect();
        let unit = words.len() > 1 || words[0].contains('/') || words[0].chars().nth(1).is_none();
        if after_number && (unit || unit::is_thing(&words[0])) {
            self.pieces.push(Piece::Word(words.join(" ")));
        } else {
            self.word(&words.concat().replace('/', ""));
        }
    }

    /// Digits with a decimal point, thousands marks, a period or an exponent.
    fn number(&mut self) -> Option<()> {
        let (first, mut rest) = split_digits(self.rest);
        let (mut groups, mut marks) = (vec![first], Vec::new());
        while let Some((mark, group, behind)) = self.thousand(&groups, &marks, rest) {
            groups.push(group);
            marks.push(mark);
            rest = behind;
        }
        if !marks.is_empty() && rest.starts_with(',') && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let period = |rest: &'t str| rest.strip_prefix("\\overline{")?.split_once('}');
        if let Some(fraction) = rest.strip_prefix('.') {
            let (digits, behind) = split_digits(fraction);
            if let Some((repeated, behind)) = period(behind) {
                self.rest = behind;
                return self.repeating(&groups.concat(), digits, repeated);
            }
            if digits.is_empty() {
                return None;
            }
            groups.push(digits);
            marks.push('.');
            rest = behind;
        }
        let written = digits::read(&groups, &marks, false)?;
        let (value, rest) = exponent(&written.value, rest)?;
        self.rest = rest;
        self.push(Piece::Number { value, decimal: written.decimal })?;
        let unit = behind_blank(rest).trim_end();
        if matches!(unit, "m" | "s" | "g" | "h" | "l" | "L") && (self.glued_units || rest.len() > unit.len()) {
            self.rest = "";
            self.pieces.push(Piece::Word(unit.to_lowercase()));
        }
        Some(())
    }

    /// A thousands mark with three digits behind it.
    fn thousand(&self, groups: &[&str], marks: &[char], rest: &'t str) -> Option<(char, &'t str, &'t str)> {
        let first = groups[0];
        let (mark, behind) = match rest.strip_prefix(',') {
            Some(behind) if self.brackets == 0 => (',', behind),
            _ => (' ', behind_blank(rest)),
        };
        let (group, tail) = split_digits(behind);
        let fits = group.len() == 3 && (1..=3).contains(&first.len()) && !first.starts_with('0');
        (fits && behind.len() < rest.len() && marks.iter().all(|&m| m == mark)).then_some((mark, group, tail))
    }

    /// `0.1\overline{6}`: digits behind the point, then those that repeat for ever.
    ///
    /// `value = whole + (digits + repeated / (10^r - 1)) / 10^d`
    fn repeating(&mut self, whole: &str, digits: &str, repeated: &str) -> Option<()> {
        let fine = !repeated.is_empty() && repeated.bytes().all(|byte| byte.is_ascii_digit());
        if !fine || repeated.len() + digits.len() > MAX_PERIOD {
            return None;
        }
        let number =
            |text: &str| digits::read(&[if text.is_empty() { "0" } else { text }], &[], false).map(|w| w.value);
        let ten = |power: usize| digits::scale(&BigRational::one(), false, &power.to_string());
        let period = number(repeated)? / (ten(repeated.len())? - BigRational::one());
        let value = number(whole)? + (number(digits)? + period) / ten(digits.len())?;
        self.push(Piece::Number { value, decimal: false })
    }
}

/// `e3` behind a number; letters that follow make it no exponent.
fn exponent<'t>(value: &BigRational, rest: &'t str) -> Option<(BigRational, &'t str)> {
    let Some(behind) = rest.strip_prefix(['e', 'E']) else { return Some((value.clone(), rest)) };
    let unsigned = behind.strip_prefix(['-', '+']).unwrap_or(behind);
    let (digits, tail) = split_digits(unsigned);
    if digits.is_empty() {
        return Some((value.clone(), rest));
    }
    Some((digits::scale(value, behind.starts_with('-'), digits)?, tail))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The text behind white space and TeX's commands for blanks.
fn behind_blank(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_start_matches(|c: char| c.is_whitespace() || c == '~');
        let blank = ["\\,", "\\;", "\\:", "\\ ", "\\/"].into_iter().find_map(|blank| trimmed.strip_prefix(blank));
        match blank {
            Some(rest) => text = rest,
            None => return trimmed,
        }
    }
}

/// The place of the brace that closes a group, counted from behind its opening one.
fn closing_brace(inside: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}
