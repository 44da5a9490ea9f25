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
