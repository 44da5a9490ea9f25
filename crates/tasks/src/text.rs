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
    fn stripping_is_pythons_stripping() {
        assert_eq!(python_strip("\u{1c}\u{a0} a b \n\u{1f}"), "a b");
    }
}
