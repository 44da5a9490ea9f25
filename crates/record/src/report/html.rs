//! Small pieces of HTML.
//!
//! Promise: whatever text comes in (models write anything), it is shown and never interpreted.

use std::fmt::Write;

/// Text as it may stand between tags and inside double quotes. Control characters that a browser
/// would hide or act on (such as bidi overrides) become visible.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            c if c.is_control() || is_bidi(c) => {
                let _ = write!(out, "\u{FFFD}");
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that change the direction of what follows.
fn is_bidi(character: char) -> bool {
    matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// At most `limit` characters, with a mark where something is missing.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// A table; cells are HTML already, heads are text. A head that starts with `#` is a number's.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let number = |index: usize| heads.get(index).is_some_and(|head| head.starts_with('#'));
    let cell = |tag: &str, index: usize, content: &str| {
        let class = if number(index) { " class=\"number\"" } else { "" };
        format!("<{tag}{class}>{content}</{tag}>")
    };
    let head: String = heads
        .iter()
        .enumerate()
        .map(|(index, head)| cell("th", index, &escape(head.trim_start_matches('#'))))
        .collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().enumerate().map(|(i, c)| cell("td", i, c)).collect();
            format!("<tr>{cells}</tr>")
        })
        .collect();
    format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_model_writes_becomes_a_tag() {
        let text = escape("</pre><script>alert('x' & \"y\")</script>\u{202E}\u{0}");
        assert!(!text.contains('<') && !text.contains('"') && !text.contains('\''), "{text}");
        assert!(text.ends_with("\u{FFFD}\u{FFFD}"));
    }

    #[test]
    fn shortening_counts_characters_not_bytes() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äöü …");
    }
}
