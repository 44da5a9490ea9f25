//! One spelling for the many that Unicode has for a digit, a minus, a blank.
//!
//! Promise: linear in the text; what it does not know it leaves as it is.

/// The zeros of all of Unicode's decimal digits; each is followed by its one to nine.
/// Source: characters of category Nd in Unicode 14, from Python's `unicodedata`.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
    0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0,
    0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60,
    0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
];
const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
/// Full-width ASCII starts here and keeps ASCII's order.
const FULL_WIDTH: std::ops::RangeInclusive<u32> = 0xFF01..=0xFF5E;
const FULL_WIDTH_OFFSET: u32 = 0xFEE0;

/// Characters as HTML spells them.
const ENTITIES: [(&str, &str); 9] = [
    ("&minus;", "-"),
    ("&nbsp;", " "),
    ("&gt;", ">"),
    ("&lt;", "<"),
    ("&ge;", "≥"),
    ("&le;", "≤"),
    ("&geq;", "≥"),
    ("&leq;", "≤"),
    ("&ne;", "≠"),
];

/// The text with ASCII digits, hyphens for minus signs, plain blanks, `^{…}` for raised digits and
/// without characters of no width. TeX's ways to write a thousands mark become the bare mark.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut raised = false;
    for c in text.chars() {
        let script = superscript(c);
        match (raised, script.is_some()) {
            (false, true) => folded.push_str("^{"),
            (true, false) => folded.push('}'),
            _ => {}
        }
        raised = script.is_some();
        folded.extend(script.or_else(|| fold_char(c)));
    }
    if raised {
        folded.push('}');
    }
    let mut folded = folded.replace("\\!", "").replace("\\text{,}", ",").replace("{,}", ",");
    if folded.contains('&') {
        for (entity, c) in ENTITIES {
            folded = folded.replace(entity, c);
        }
    }
    folded
}

fn superscript(c: char) -> Option<char> {
    match c {
        _ if c.is_ascii() => None,
        '⁻' => Some('-'),
        '⁺' => Some('+'),
        _ => SUPERSCRIPTS.chars().zip('0'..='9').find(|(raised, _)| *raised == c).map(|(_, digit)| digit),
    }
}

fn fold_char(c: char) -> Option<char> {
    if c.is_ascii() {
        return Some(c);
    }
    Some(match c {
        '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{00AD}' => return None,
        '\u{2010}'..='\u{2013}' | '\u{2212}' | '\u{FE63}' | '\u{FF0D}' => '-',
        '\u{00A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        '\u{2018}' | '\u{2019}' | '\u{02BC}' | '\u{2032}' => '\'',
        '∕' | '⁄' => '/',
        '⋅' | '∙' | '✕' | '⨯' | '·' => '×',
        '٫' => '.',
        '٬' => ',',
        '٪' => '%',
        'º' | '˚' => '°',
        _ => digit(c).unwrap_or_else(|| full_width(c).unwrap_or(c)),
    })
}

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

fn full_width(c: char) -> Option<char> {
    let code = u32::from(c);
    FULL_WIDTH.contains(&code).then(|| char::from_u32(code - FULL_WIDTH_OFFSET))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_and_of_full_width_become_ascii() {
        assert_eq!(fold("７２ ٧٢ ۷۲ ७२ 𝟕𝟐 －７．５％"), "72 72 72 72 72 -7.5%");
    }

    #[test]
    fn minus_signs_blanks_and_raised_digits_get_one_spelling() {
        assert_eq!(fold("−7 –7 1\u{a0}000\u{202f}000"), "-7 -7 1 000 000");
        assert_eq!(fold("10⁻³ m²"), "10^{-3} m^{2}");
        assert_eq!(fold("1{,}000 10,\\!080"), "1,000 10,080");
    }
}
