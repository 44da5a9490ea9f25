//! Compares mathematical answers by value, after the judgement of math-verify.
//!
//! Promise: two answers are the same if their texts are or if both have one normal form that shows
//! it exactly; what cannot be read or decided is not the same. The same on every machine: integers
//! only, and no more work than a fixed amount.
//! Takes: the right answer and a completion. Gives: whether its last box holds the answer.
//! Never: panics, or calls two values equal that are not (numbers written with six decimals or more
//! stand for what they round).

mod approximate;
mod assign;
mod boxed;
mod commands;
mod equal;
mod functions;
mod lex;
mod measure;
mod names;
mod parse;
mod poly;
mod ranges;
mod unit;

pub(crate) use boxed::contents;

use crate::numeral::fold::fold;

/// The right answer: the content of the column's own boxes, or the whole column.
pub(crate) fn answer_of(column: &str) -> String {
    let boxes = contents(column);
    if boxes.is_empty() { column.to_owned() } else { boxes.join(",") }
}

/// Whether the last box of the completion (with those beside it) holds the answer of the column.
pub(crate) fn holds(completion: &str, column: &str) -> bool {
    let boxes = contents(completion);
    !boxes.is_empty() && same(&answer_of(column), &boxes.join(","))
}

/// Whether both say the same.
fn same(answer: &str, given: &str) -> bool {
    let (answer, given) = (tidy(answer), tidy(given));
    if answer.is_empty() || given.is_empty() {
        return false;
    }
    if solid(&answer) == solid(&given) {
        return true;
    }
    if let Some(letter) = choice(&answer).filter(char::is_ascii_uppercase) {
        return choice(&given).is_some_and(|given| given.eq_ignore_ascii_case(&letter));
    }
    if let Some((answer, given)) = clock(&answer).zip(clock(&given)) {
        if answer.time != given.time {
            return false;
        }
        if let Some((answer, given)) = answer.half.zip(given.half) {
            return answer == given || answer.is_empty() || given.is_empty();
        }
    }
    match (words(&answer), words(&given)) {
        (None, None) => same_value(&answer, &given).unwrap_or(false) || same_phrase(&answer, &given),
        (answer, given) => answer == given,
    }
}

/// The letter of an answer that is one capital: a choice or a name, and not Euler's number.
fn choice(text: &str) -> Option<char> {
    let bare = without_faces(text);
    let mut left = bare.chars().filter(|c| !matches!(c, '{' | '}' | '(' | ')' | '$' | '~' | '.') && !c.is_whitespace());
    let letter = left.next().filter(char::is_ascii_alphabetic)?;
    left.next().is_none().then_some(letter)
}

/// What may be a time of day: as ratios `12:30` and `6:15` would be equal.
struct Clock {
    /// Hours and minutes.
    time: (u32, u32),
    /// `am`, `pm` or nothing; none if anything else follows.
    half: Option<&'static str>,
}

fn clock(text: &str) -> Option<Clock> {
    let bare = without_faces(text);
    let (hours, rest) = bare.trim_start_matches(['{', '$']).split_once(':')?;
    let minutes = rest.get(..2).filter(|_| !rest[2..].starts_with(|c: char| c.is_ascii_digit()))?;
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let time = (number(hours)?, number(minutes)?);
    let behind: String = rest[2..].chars().filter(|c| !c.is_whitespace() && !"{}$.~".contains(*c)).collect();
    let half = ["", "am", "pm"].into_iter().find(|half| behind.eq_ignore_ascii_case(half));
    (time.0 <= 24 && time.1 < 60).then_some(Clock { time, half })
}

fn same_value(answer: &str, given: &str) -> Option<bool> {
    let mut arithmetic = poly::Arithmetic::new();
    let answer = parse::value(&lex::pieces(answer, false)?, &mut arithmetic)?;
    let given = parse::value(&lex::pieces(given, true)?, &mut arithmetic)?;
    equal::equal(&answer, &given, &mut arithmetic)
}

/// Folded, without blanks and the full stop at the ends.
fn tidy(text: &str) -> String {
    let folded = fold(text);
    let trimmed = folded.trim();
    let stop = trimmed.ends_with('.') && !trimmed.ends_with("..");
    trimmed[..trimmed.len() - usize::from(stop)].trim_end().to_owned()
}

/// The text without what TeX needs for looks, and without blanks that part nothing.
fn solid(text: &str) -> String {
    let mut plain = text.replace("\\$", "").replace('$', " ");
    for (look, kept) in [("\\left", ""), ("\\right", ""), ("\\,", " "), ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac")] {
        plain = plain.replace(look, kept);
    }
    let mut solid = String::with_capacity(plain.len());
    for word in plain.split_whitespace() {
        let parts = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',');
        if solid.ends_with(parts) && word.starts_with(char::is_alphanumeric) {
            solid.push(' ');
        }
        solid.push_str(word);
    }
    solid
}

/// The text without the commands that only choose a face of type.
fn without_faces(text: &str) -> String {
    let mut bare = text.to_owned();
    for face in ["\\text", "\\mathrm", "\\mathbf", "\\mbox", "\\operatorname"] {
        for end in ["bf", "it", "rm", "normal", ""] {
            bare = bare.replace(&format!("{face}{end}{{"), "{");
        }
    }
    bare
}

/// The letters of an answer of words, in lower case: `\text{No solution.}` is "nosolution". Up to
/// two letters side by side are variables, and so are letters with "and" or "or" between.
fn words(text: &str) -> Option<String> {
    let bare = without_faces(text);
    let word = |word: &str| {
        word.eq_ignore_ascii_case("no") || word.chars().count() > 2 && !matches!(word, "and" | "infinity" | "inf")
    };
    let has_word = bare.split(|c: char| !c.is_alphabetic()).any(word);
    let bare: String =
        bare.chars().filter(|c| !matches!(c, '{' | '}' | '$' | '~' | '.') && !c.is_whitespace()).collect();
    let bare = bare.strip_prefix('(').and_then(|inside| inside.strip_suffix(')')).unwrap_or(&bare).to_lowercase();
    (has_word && bare.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\''))).then_some(bare)
}

/// Whether both are the same words and numbers, such as dates, without a formula in them.
fn same_phrase(answer: &str, given: &str) -> bool {
    phrase(answer).is_some_and(|answer| phrase(given) == Some(answer))
}

fn phrase(text: &str) -> Option<Vec<String>> {
    let bare = without_faces(text).replace(['{', '}', '$', '~'], " ");
    let plain = |c: char| c.is_alphanumeric() || c.is_whitespace() || matches!(c, ',' | '.' | '\'' | '-' | ':');
    let has_word = bare.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() > 2);
    (has_word && bare.chars().all(plain)).then(|| bare.split_whitespace().map(str::to_lowercase).collect())
}

#[cfg(test)]
mod tests;
