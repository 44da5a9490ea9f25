//! Finds the last numeral of a text and the words beside it that change it.
//!
//! Promise: if the last digits of the text are no numeral whole, there is none; nothing earlier
//! in the text is taken in its place.

use num_rational::BigRational;

use super::read::{self, closes};
use super::token::Token;
use super::units::{self, Effect};
use super::{Numeral, digits};

/// The most pieces that are looked at as one numeral.
const MAX_PIECES: usize = 4096;
/// The largest power of ten that words such as "thousand million" make together.
const MAX_MAGNITUDE: u32 = 36;

/// Signs that compare what stands beside them or reckon with it.
const OPERATORS: &str = "<>≤≥≠≦≧≪≫⩽⩾×÷/^±∓√";
/// Commands that do.
const OPERATOR_COMMANDS: [&str; 15] =
    ["ge", "geq", "geqslant", "le", "leq", "leqslant", "lt", "gt", "ne", "neq", "gg", "ll", "pm", "mp", "sqrt"];

/// The last numeral with the pieces on both sides of it.
pub(crate) struct Found<'a, 't> {
    pub(crate) numeral: Numeral,
    pub(crate) before: &'a [Token<'t>],
    pub(crate) behind: &'a [Token<'t>],
}

/// The numeral that the last digits belong to.
pub(crate) fn last<'a, 't>(tokens: &'a [Token<'t>]) -> Option<Found<'a, 't>> {
    let last = tokens.iter().rposition(|token| token.is_number())?;
    let (start, end) = (start_of(tokens, last), end_of(tokens, last));
    if end - start >= MAX_PIECES || in_tuple(tokens, start, end) {
        return None;
    }
    let (start, end) = strip(tokens, start, end);
    let (before, behind) = (&tokens[..start], &tokens[end..]);
    let mut run = &tokens[start..end];
    let mut negative = false;
    // a minus with a blank behind it may be a dash or the dot of a list, a plus an addition to words
    if let [Token::Sign(sign @ ('-' | '+')), Token::Blank, rest @ ..] = run {
        let signs = matches!(before, [.., Token::Break('=' | ':' | '≈' | '{' | '\\' | '$')])
            || matches!(before, [.., Token::Break('=' | ':' | '≈'), Token::Blank]);
        (negative, run) = signs.then_some((*sign == '-', rest))?;
    }
    let mut numeral = read::numeral(run, false)?;
    let outside = outside(before);
    negative ^= negated(outside, &numeral)?;
    if outside.len() < before.len() {
        negative ^= signed_outside(outside)?;
    }
    if negative {
        numeral.value = -numeral.value;
    }
    let behind = changed_behind(&mut numeral, behind)?;
    Some(Found { numeral, before, behind })
}

/// Goes left from the last digits as long as mathematics goes on.
fn start_of(tokens: &[Token<'_>], last: usize) -> usize {
    let mut start = last;
    while let Some(before) = start.checked_sub(1) {
        let goes_on = match tokens[before] {
            Token::Break('.') => before.checked_sub(1).is_some_and(|code| is_code(&tokens[code])),
            Token::Break(_) => false,
            Token::Blank => before.checked_sub(1).is_some_and(|at| reaches_over_blank(tokens, at, start)),
            // letters that touch what follows them
            Token::Word(_) => {
                let touches = !matches!(tokens[start], Token::Blank);
                touches || !tokens[before].is_prose() || is_code(&tokens[before])
            }
            _ => true,
        };
        if !goes_on || last - start >= MAX_PIECES {
            break;
        }
        start = before;
    }
    start
}

/// Whether the piece at `at` and the piece at `start`, with a blank between, are one expression.
fn reaches_over_blank(tokens: &[Token<'_>], at: usize, start: usize) -> bool {
    match tokens[at] {
        Token::Word(_) => {
            let glued = at.checked_sub(1).is_some_and(|before| {
                matches!(tokens[before], Token::Digits(_) | Token::Sign('^' | '/' | '×' | '_')) && tokens[at].is_prose()
            });
            // "5cm 3" is one run and not read; "is 3" is two
            let amount = is_code(&tokens[at]);
            (glued || amount) && tokens[start].is_number() || !tokens[at].is_prose()
        }
        Token::Break('.') if tokens[start].is_number() => at.checked_sub(1).is_some_and(|code| is_code(&tokens[code])),
        Token::Break(_) => false,
        // "1) 5" and "(B) 5" number what follows
        Token::Sign(')' | ']') => !numbers_a_list(tokens, at),
        _ => true,
    }
}

/// Whether the piece can stand before an amount of money, such as `USD 5` or `Rs. 5`.
fn is_code(token: &Token<'_>) -> bool {
    matches!(token, Token::Word(word) if units::is_currency_code(word))
}

/// Whether the bracket that closes at `close` has no partner or holds letters.
fn numbers_a_list(tokens: &[Token<'_>], close: usize) -> bool {
    let mut depth = 0usize;
    for token in tokens[..close].iter().rev().take(MAX_PIECES) {
        match token {
            Token::Sign(')' | ']') => depth += 1,
            Token::Sign('(' | '[') if depth == 0 => return false,
            Token::Sign('(' | '[') => depth -= 1,
            Token::Word(_) => return true,
            Token::Break('\n') => return true,
            _ => {}
        }
    }
    true
}

/// Goes right from the last digits as long as mathematics goes on; the end is exclusive.
fn end_of(tokens: &[Token<'_>], last: usize) -> usize {
    let mut end = last + 1;
    while let Some(token) = tokens.get(end) {
        let goes_on = match token {
            Token::Break(_) => false,
            Token::Blank => match tokens.get(end + 1..).unwrap_or_default() {
                // "5 (five)" and "5 - that is"
                [Token::Sign('(' | '-' | '['), word, ..] if word.is_prose() => false,
                [Token::Sign('-'), Token::Blank, word, ..] if word.is_prose() => false,
                [word @ Token::Word(_), ..] => !word.is_prose(),
                [Token::Break(_), ..] | [] => false,
                _ => true,
            },
            _ => true,
        };
        if !goes_on || end - last >= MAX_PIECES {
            break;
        }
        end += 1;
    }
    end
}

/// Whether a comma or semicolon beside the run separates the members of one bracket: `(3, 5)`.
fn in_tuple(tokens: &[Token<'_>], start: usize, end: usize) -> bool {
    let separator = |token: &Token<'_>| matches!(token, Token::Break(',' | ';'));
    let opens = |token: &Token<'_>| matches!(token, Token::Sign('(' | '['));
    let ends = |token: &&Token<'_>| token.is_prose() || matches!(token, Token::Break('\n'));
    let left = tokens[..start].iter().rev().take_while(|token| !ends(token));
    let left_separator = left.clone().find(|token| **token != Token::Blank).is_some_and(separator);
    let right = tokens[end..].iter().find(|token| **token != Token::Blank).is_some_and(separator);
    let open_left = left_separator && unmatched(left, opens);
    let open_inside = right && unmatched(tokens[start..end].iter().rev(), opens);
    let closed = tokens[end..].iter().take_while(|token| !ends(token)).any(|t| matches!(t, Token::Sign(')' | ']')));
    open_left || open_inside && closed
}

/// Whether, going left, an opening bracket turns up that nothing on the way closes.
fn unmatched<'a, 't: 'a>(tokens: impl Iterator<Item = &'a Token<'t>>, opens: impl Fn(&Token<'_>) -> bool) -> bool {
    let mut depth = 0usize;
    for token in tokens {
        match token {
            Token::Sign(')' | ']') => depth += 1,
            token if opens(token) && depth == 0 => return true,
            token if opens(token) => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Drops blanks, dollar signs of mathematics and brackets without a partner at both ends.
fn strip(tokens: &[Token<'_>], mut start: usize, mut end: usize) -> (usize, usize) {
    let partners = partners(&tokens[start..end]);
    let offset = start;
    let loose = |at: usize| match tokens[at] {
        Token::Blank => true,
        Token::Sign('(' | ')' | '[' | ']' | '{' | '}') => !partners[at - offset],
        _ => false,
    };
    while start < end && loose(start) {
        start += 1;
    }
    while start < end && (loose(end - 1) || tokens[end - 1] == Token::Sign('$')) {
        end -= 1;
    }
    (start, end)
}

/// Of each piece whether it is a bracket with a partner in the run.
fn partners(run: &[Token<'_>]) -> Vec<bool> {
    let mut partners = vec![false; run.len()];
    let mut open: Vec<(usize, char)> = Vec::new();
    for (at, token) in run.iter().enumerate() {
        match *token {
            Token::Sign(c @ ('(' | '[' | '{')) => open.push((at, c)),
            Token::Sign(c @ (')' | ']' | '}')) => {
                if let Some(&(partner, _)) = open.last().filter(|(_, opening)| closes(*opening, c)) {
                    open.pop();
                    (partners[partner], partners[at]) = (true, true);
                }
            }
            _ => {}
        }
    }
    partners
}

/// Whether the piece begins or ends what stands around a numeral for looks: a box, quotes, a tag, mathematics.
fn is_wrapper(token: &Token<'_>) -> bool {
    matches!(token, Token::Break('{' | '\\' | '$' | '`' | '"' | '\'' | '“' | '„' | '«' | '<' | '&'))
}

/// The pieces before the numeral without the wrappers around it.
fn outside<'a, 't>(before: &'a [Token<'t>]) -> &'a [Token<'t>] {
    let opens = |token: &&Token<'_>| is_wrapper(token) || matches!(token, Token::Sign('$' | '(' | '[' | '{'));
    let count = before.iter().rev().take_while(opens).count();
    let (outside, wrappers) = before.split_at(before.len() - count);
    if wrappers.iter().any(is_wrapper) { outside } else { before }
}

/// Whether a minus stands before the wrappers of a numeral, as in `-\boxed{5}`; `None` if a sign there
/// compares it or joins it to something, or may be a dash.
fn signed_outside(outside: &[Token<'_>]) -> Option<bool> {
    let (outside, apart) = match outside {
        [rest @ .., Token::Blank] => (rest, true),
        _ => (outside, false),
    };
    match outside {
        [left @ .., Token::Sign(sign @ ('-' | '+'))] => {
            let named =
                matches!(left, [.., Token::Break('=' | ':' | '≈')] | [.., Token::Break('=' | ':' | '≈'), Token::Blank]);
            (named || !apart && !ends_operand(left)).then_some(*sign == '-')
        }
        [.., Token::Sign(sign)] => (!OPERATORS.contains(*sign)).then_some(false),
        [.., Token::Command(name)] => (!OPERATOR_COMMANDS.contains(name)).then_some(false),
        _ => Some(false),
    }
}

/// Whether a sign behind these pieces joins them to what follows.
fn ends_operand(left: &[Token<'_>]) -> bool {
    let operand = |token: &Token<'_>| {
        token.is_number()
            || matches!(token, Token::Sign(')' | ']' | '}' | '%' | '°' | '!'))
            || matches!(token, Token::Word(_)) && !token.is_prose()
    };
    match left {
        [.., before, Token::Sign('$')] => operand(before),
        [.., before, wrapper] if is_wrapper(wrapper) => operand(before),
        [.., Token::Sign('$'), Token::Blank] => true,
        [.., before, Token::Blank] => operand(before),
        [.., before] => operand(before) || matches!(before, Token::Word(_)),
        [] => false,
    }
}

/// Whether the words before the numeral negate it; `None` if they make another number of it.
fn negated(before: &[Token<'_>], numeral: &Numeral) -> Option<bool> {
    let line = before.iter().rev().take_while(|token| is_wrapper(token) || !matches!(token, Token::Break(_)));
    let mut solid = line.filter(|token| **token != Token::Blank && !is_wrapper(token));
    let Some(Token::Word(word)) = solid.next() else {
        return Some(false);
    };
    let next = solid.next();
    let operand = next.is_some_and(|token| token.is_number() || matches!(token, Token::Sign(_) | Token::Command(_)));
    let lower = word.to_lowercase();
    match lower.as_str() {
        "negative" => Some(true),
        "minus" => (!operand).then_some(true),
        "and" if numeral.value.is_integer() => Some(false),
        "of" => {
            let part = operand || matches!(next, Some(Token::Word(word)) if units::is_part(word));
            (!part).then_some(false)
        }
        "by" if matches!(next, Some(Token::Word("divided" | "multiplied"))) => None,
        _ if units::is_operator(word) && operand || units::is_function(word) => None,
        _ => Some(false),
    }
}

/// Applies the words behind the numeral; gives what is left of the text behind them.
fn changed_behind<'a, 't>(numeral: &mut Numeral, behind: &'a [Token<'t>]) -> Option<&'a [Token<'t>]> {
    let mut rest = behind;
    let mut power_of_all = 0;
    loop {
        let ([Token::Blank, Token::Word(word), tail @ ..] | [Token::Word(word), tail @ ..]) = rest else {
            return Some(rest);
        };
        match units::effect_behind(word) {
            Effect::Unread => return None,
            Effect::Magnitude(power) => {
                power_of_all += power;
                if power_of_all > MAX_MAGNITUDE {
                    return None;
                }
                numeral.value *= ten_to(power);
            }
            Effect::Percent => numeral.percent = true,
            Effect::Nothing if *word == "per" && starts_with_word(tail, "cent") => numeral.percent = true,
            Effect::Nothing if *word == "and" && is_fraction_word(tail) => return None,
            Effect::Nothing => return Some(rest),
        }
        rest = tail;
    }
}

fn ten_to(power: u32) -> BigRational {
    digits::scale(&BigRational::from_integer(1.into()), false, &power.to_string()).expect("a power below the limit")
}

fn starts_with_word(tokens: &[Token<'_>], wanted: &str) -> bool {
    matches!(tokens, [Token::Blank, Token::Word(word), ..] if *word == wanted)
}

/// "a half", "one third", "half" behind "and".
fn is_fraction_word(tokens: &[Token<'_>]) -> bool {
    let mut words =
        tokens.iter().take_while(|token| !matches!(token, Token::Break(_))).filter_map(|token| match token {
            Token::Word(word) => Some(*word),
            _ => None,
        });
    words.by_ref().take(2).any(|word| matches!(units::effect_behind(word), Effect::Unread) && word.len() > 1)
}
