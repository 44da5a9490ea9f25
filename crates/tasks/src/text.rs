//! Small readings of a completion that several graders share.

use std::collections::BTreeSet;

/// More different characters than this and a character tokenizer is no longer a good idea.
const MAX_ALPHABET: usize = 1024;

/// Python's `str.strip()`: Unicode white space and the four ASCII separators U+001C..U+001F.
pub(crate) fn python_strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

/// The text between the first `open` and the first `close` after it.
pub(crate) fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inside = &text[text.find(open)? + open.len()..];
    Some(&inside[..inside.find(close)?])
}

/// The content of the last complete `\boxed{…}`, with balanced braces inside.
pub(crate) fn last_boxed(text: &str) -> Option<&str> {
    const OPEN: &str = "\\boxed{";
    text.rmatch_indices(OPEN).find_map(|(at, _)| {
        let inside = &text[at + OPEN.len()..];
        Some(&inside[..closing_brace(inside)?])
    })
}

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

/// The last number in the text in one normal form: no thousands separators, no leading zeros, no
/// trailing zeros after the point, no minus before zero.
///
/// A number is `[-]digits[,digits]*[.digits]`; the minus counts only if no letter, digit or closing
/// bracket stands before it, so that `5-3` ends in 3 and not in -3.
pub(crate) fn last_number(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let in_number = |at: usize| match bytes[at] {
        b'0'..=b'9' => true,
        b',' | b'.' => at > 0 && bytes[at - 1].is_ascii_digit() && bytes[at + 1].is_ascii_digit(),
        _ => false,
    };
    let mut start = end - 1;
    while start > 0 && in_number(start - 1) {
        start -= 1;
    }
    // Of "1.2.3" the number is what follows the last point but one: two points make no number.
    let number = &text[start..end];
    let start = number.rmatch_indices('.').nth(1).map_or(start, |(at, _)| start + at + 1);
    let negative = start > 0
        && bytes[start - 1] == b'-'
        && !(start > 1 && (bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b')'));
    Some(normal_number(negative, &text[start..end]))
}

fn normal_number(negative: bool, digits: &str) -> String {
    let digits = digits.replace(',', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let mut number = String::new();
    if negative && !(whole.is_empty() && fraction.is_empty()) {
        number.push('-');
    }
    number.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        number.push('.');
        number.push_str(fraction);
    }
    number
}

/// How many positions hold the same element in both.
pub(crate) fn equal_positions<T: PartialEq>(
    left: impl IntoIterator<Item = T>,
    right: impl IntoIterator<Item = T>,
) -> usize {
    left.into_iter().zip(right).filter(|(a, b)| a == b).count()
}

/// The different characters of the texts, sorted; `None` if there are more than a thousand.
pub(crate) fn alphabet_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    for text in texts {
        seen.extend(text.chars());
        if seen.len() > MAX_ALPHABET {
            return None;
        }
    }
    Some(seen.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_read_the_way_a_person_reads_it() {
        for (text, number) in [
            ("so 3 apples and 1,234 pears.", Some("1234")),
            ("#### -7", Some("-7")),
            ("5-3", Some("3")),
            ("x = 5 - 3", Some("3")),
            ("$1,000.50.", Some("1000.5")),
            ("0042", Some("42")),
            ("42.00", Some("42")),
            ("-0.0", Some("0")),
            ("v1.2.3", Some("2.3")),
            ("12,", Some("12")),
            ("€7€", Some("7")),
            (".5", Some("5")),
            ("1,", Some("1")),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(last_number(text).as_deref(), number, "{text:?}");
        }
    }

    #[test]
    fn the_last_closed_box_counts_and_braces_nest() {
        assert_eq!(last_boxed(r"\boxed{1} then \boxed{\frac{1}{2}}"), Some(r"\frac{1}{2}"));
        assert_eq!(last_boxed(r"\boxed{1} then \boxed{2"), Some("1"));
        assert_eq!(last_boxed("no box"), None);
    }

    #[test]
    fn stripping_is_pythons_stripping() {
        assert_eq!(python_strip("\u{1c}\u{a0} a b \n\u{1f}"), "a b");
    }
}
