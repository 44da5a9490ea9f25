//! Words that change a numeral, and words that only say what was counted.

use super::read::is_currency;
use super::token::Token;

/// Units of one letter that are seldom variables.
const LETTERS: [&str; 14] = ["m", "s", "g", "h", "l", "L", "N", "J", "W", "V", "A", "C", "F", "Ω"];
/// Units of two and three letters.
const SHORT: [&str; 62] = [
    "km", "cm", "mm", "nm", "dm", "um", "μm", "µm", "kg", "mg", "lb", "lbs", "oz", "ml", "mL", "dl", "dL", "cl", "cL",
    "kL", "ft", "in", "yd", "yds", "mi", "hr", "hrs", "min", "sec", "ms", "am", "pm", "AM", "PM", "th", "st", "nd",
    "rd", "mph", "kph", "Hz", "kHz", "MHz", "GHz", "kW", "kWh", "kJ", "kPa", "Pa", "MB", "GB", "TB", "KB", "kB", "USD",
    "EUR", "GBP", "usd", "eur", "cc", "px", "rpm",
];
/// Codes of currencies that stand before the amount, alone or before a sign.
const CURRENCY_CODES: [&str; 18] = [
    "US", "USD", "EUR", "GBP", "AU", "AUD", "CA", "CAD", "NZ", "HK", "INR", "JPY", "CNY", "Rs", "RS", "rs", "R", "CHF",
];
/// Words behind a numeral that multiply it, with the power of ten.
const MAGNITUDES: [(&str, u32); 10] = [
    ("hundred", 2),
    ("thousand", 3),
    ("thousands", 3),
    ("million", 6),
    ("millions", 6),
    ("billion", 9),
    ("billions", 9),
    ("trillion", 12),
    ("trillions", 12),
    ("hundreds", 2),
];
/// Words behind a numeral that make another number of it, one that is not read.
const CHANGING: [&str; 63] = [
    "half",
    "halves",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "fourth",
    "fourths",
    "fifth",
    "fifths",
    "sixth",
    "sixths",
    "seventh",
    "sevenths",
    "eighth",
    "eighths",
    "ninth",
    "ninths",
    "tenth",
    "tenths",
    "twelfth",
    "twelfths",
    "sixteenth",
    "sixteenths",
    "hundredth",
    "hundredths",
    "thousandth",
    "thousandths",
    "millionth",
    "millionths",
    "dozen",
    "dozens",
    "score",
    "gross",
    "squared",
    "cubed",
    "factorial",
    "plus",
    "minus",
    "divided",
    "multiplied",
    "bn",
    "mn",
    "mil",
    "mio",
    "mrd",
    "tn",
    "lakh",
    "lakhs",
    "crore",
    "crores",
    "quadrillion",
    "quintillion",
    "mille",
    "milliard",
    "milliards",
    "grand",
    "millones",
    "millionen",
    "tausend",
    "pi",
    "sqrt",
    "π",
];
/// Words before a numeral that make another number of it.
const FUNCTIONS: [&str; 36] = [
    "sqrt",
    "root",
    "log",
    "ln",
    "exp",
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "arcsin",
    "arccos",
    "arctan",
    "abs",
    "gcd",
    "lcm",
    "mod",
    "factorial",
    "twice",
    "thrice",
    "double",
    "triple",
    "half",
    "power",
    "exponent",
    "squared",
    "cubed",
    "pi",
    "hundred",
    "thousand",
    "million",
    "billion",
    "point",
    "dot",
    "π",
];
/// Words before "of" that make a part or a power of what follows.
const PARTS: [&str; 20] = [
    "half",
    "halves",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "fourth",
    "fifth",
    "tenth",
    "root",
    "square",
    "cube",
    "factorial",
    "double",
    "triple",
    "percent",
    "power",
    "logarithm",
    "log",
    "fraction",
];
/// Words that join two operands.
const OPERATORS: [&str; 8] = ["plus", "minus", "times", "over", "by", "mod", "choose", "and"];
/// Beginnings of words in Chinese, Japanese and Korean that multiply or divide the numeral before.
const EASTERN_MAGNITUDES: [char; 16] =
    ['万', '萬', '亿', '億', '兆', '千', '百', '十', '半', '分', '点', '點', '倍', '만', '억', '천'];
/// Ends of words in Chinese and Japanese that negate or divide the numeral behind.
const EASTERN_PREFIXES: [&str; 9] = ["负", "負", "マイナス", "分之", "点", "點", "根号", "万", "亿"];

/// What a word behind a numeral does to it.
pub(crate) enum Effect {
    /// Nothing: it says what was counted.
    Nothing,
    /// Multiplies by this power of ten.
    Magnitude(u32),
    /// Makes hundredths of it.
    Percent,
    /// Makes a number of it that is not read.
    Unread,
}

/// What the word behind a numeral does to it.
pub(crate) fn effect_behind(word: &str) -> Effect {
    let lower = word.to_lowercase();
    if let Some((_, power)) = MAGNITUDES.iter().find(|(name, _)| *name == lower) {
        return Effect::Magnitude(*power);
    }
    match lower.as_str() {
        "percent" | "pct" | "percentage" => Effect::Percent,
        _ if CHANGING.contains(&&*lower) || lower.starts_with(EASTERN_MAGNITUDES) => Effect::Unread,
        _ if word.chars().nth(1).is_none() && !LETTERS.contains(&word) && !matches!(word, "a" | "I") => Effect::Unread,
        _ => Effect::Nothing,
    }
}

/// Whether the word makes another number of a numeral behind it.
pub(crate) fn is_function(word: &str) -> bool {
    FUNCTIONS.contains(&&*word.to_lowercase()) || EASTERN_PREFIXES.iter().any(|end| word.ends_with(end))
}

/// Whether "word of" makes a part of a numeral behind it.
pub(crate) fn is_part(word: &str) -> bool {
    PARTS.contains(&&*word.to_lowercase())
}

/// Whether the word joins the numeral before it to the one behind it.
pub(crate) fn is_operator(word: &str) -> bool {
    OPERATORS.contains(&&*word.to_lowercase())
}

/// Whether two or three letters are a unit rather than variables.
pub(crate) fn is_short_unit(word: &str) -> bool {
    SHORT.contains(&word)
}

/// Whether the word can stand before an amount of money.
pub(crate) fn is_currency_code(word: &str) -> bool {
    CURRENCY_CODES.contains(&word)
}

/// Whether the pieces behind a magnitude are units and nothing else.
pub(crate) fn read(mut rest: &[Token<'_>]) -> bool {
    let mut after_blank = false;
    while let [first, behind @ ..] = rest {
        rest = match (*first, behind) {
            (Token::Blank, _) => {
                after_blank = true;
                rest = behind;
                continue;
            }
            (Token::Sign('°' | '/' | '×'), [Token::Word(word), tail @ ..]) if is_unit(word, true) => {
                raised(word, tail)
            }
            // 7-day, but not 7-x
            (Token::Sign('-'), [Token::Word(word), tail @ ..]) if word.len() > 2 && is_unit(word, true) => tail,
            (Token::Sign('°'), _) => behind,
            (Token::Sign('^'), [Token::Sign('°'), ..]) => behind,
            (Token::Sign('^'), [Token::Sign('{'), Token::Sign('°'), Token::Sign('}'), tail @ ..]) => tail,
            (Token::Sign(c), _) if is_currency(c) => behind,
            (Token::Word(word), _) if is_unit(word, after_blank) => raised(word, behind),
            _ => return false,
        };
        after_blank = false;
    }
    true
}

/// A glued word is a unit if it is a known one or too long for variables.
fn is_unit(word: &str, apart: bool) -> bool {
    if matches!(effect_behind(word), Effect::Magnitude(_) | Effect::Percent)
        || CHANGING.contains(&&*word.to_lowercase())
    {
        return false;
    }
    match word.chars().count() {
        1 => LETTERS.contains(&word),
        2 | 3 => apart || SHORT.contains(&word),
        _ => true,
    }
}

/// Skips the exponent of a unit: `^2`, `^{-1}`, or the 2 of `m2`.
fn raised<'a, 't>(word: &str, rest: &'a [Token<'t>]) -> &'a [Token<'t>] {
    match rest {
        [Token::Digits("2" | "3"), tail @ ..] if matches!(word, "m" | "cm" | "mm" | "km" | "dm" | "ft" | "in") => tail,
        [Token::Sign('^'), Token::Digits(power), tail @ ..] if power.len() == 1 => tail,
        [Token::Sign('^'), Token::Sign('{'), Token::Digits(_), Token::Sign('}'), tail @ ..] => tail,
        [Token::Sign('^'), Token::Sign('{'), Token::Sign('-'), Token::Digits(_), Token::Sign('}'), tail @ ..] => tail,
        _ => rest,
    }
}
