//! Finds fields in JSON text without building what is not asked for.
//!
//! Promise: the text of a value is the text of the file; depth costs no stack and unasked values no
//! memory. `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not know, are passed
//! over where nobody asks for them and told apart from numbers where somebody does.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// JSON text with Python's constants replaced by numbers of the same length.
pub(crate) struct Readable<'a> {
    original: &'a str,
    readable: Cow<'a, str>,
}

/// Python's constants and numbers of the same length.
const CONSTANTS: [(&str, &str); 3] = [("NaN", "1e1"), ("-Infinity", "-1e000001"), ("Infinity", "1e000001")];

impl<'a> Readable<'a> {
    /// Copies the text only if it has one of the constants outside its strings.
    pub(crate) fn new(original: &'a str) -> Self {
        let has_constant = original.contains("NaN") || original.contains("Infinity");
        let readable = if has_constant { without_constants(original) } else { Cow::Borrowed(original) };
        Self { original, readable }
    }

    /// The text that a JSON reader takes.
    pub(crate) fn text(&self) -> &str {
        &self.readable
    }

    /// The constant that stands in the file where `part` of [`Readable::text`] stands.
    pub(crate) fn constant_at(&self, part: &str) -> Option<&'static str> {
        let start = (part.as_ptr() as usize).checked_sub(self.readable.as_ptr() as usize)?;
        let original = self.original.get(start..)?;
        CONSTANTS.iter().map(|(constant, _)| *constant).find(|constant| original.starts_with(constant))
    }

    /// Where `part` of [`Readable::text`] begins, in bytes.
    pub(crate) fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.readable.as_ptr() as usize)
    }
}

fn without_constants(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut readable, mut copied, mut at, mut in_string) = (String::new(), 0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some((constant, number)) = constant_alone(text, at) {
                    readable += &text[copied..at];
                    readable += number;
                    at += constant.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    readable += &text[copied..];
    Cow::Owned(readable)
}

/// The constant at `at`, if no other letter, digit or sign touches it.
fn constant_alone(text: &str, at: usize) -> Option<(&'static str, &'static str)> {
    let (constant, number) = *CONSTANTS.iter().find(|(constant, _)| text[at..].starts_with(constant))?;
    let touches = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b"+-._".contains(b));
    let bytes = text.as_bytes();
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    (!touches(before) && !touches(bytes.get(at + constant.len()))).then_some((constant, number))
}

/// What was found for one wanted key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Found<'a> {
    #[default]
    Nothing,
    Once(&'a str),
    Twice,
}

/// The values of the wanted keys of one JSON object, in the order of `names`.
/// Errors: anything but one whole JSON object.
pub(crate) fn fields<'a>(json: &'a str, names: &[&str]) -> Result<Vec<Found<'a>>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = reader.deserialize_map(Fields { names, json: PhantomData })?;
    reader.end()?;
    Ok(found)
}

struct Fields<'n, 'a> {
    names: &'n [&'n str],
    json: PhantomData<&'a str>,
}

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = Vec<Found<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the fields of one row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![Found::Nothing; self.names.len()];
        while let Some(key) = map.next_key::<String>()? {
            if !self.names.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value::<&RawValue>()?.get();
            for (slot, name) in found.iter_mut().zip(self.names) {
                if **name == key {
                    *slot = match slot {
                        Found::Nothing => Found::Once(value),
                        _ => Found::Twice,
                    };
                }
            }
        }
        Ok(found)
    }
}

/// Calls `each` on every element of a JSON array until one is refused.
/// Errors: what `each` says; for anything but one whole JSON array what `bad` makes of it.
pub(crate) fn elements<'a, E>(
    json: &'a str,
    bad: impl Fn(serde_json::Error) -> E,
    mut each: impl FnMut(usize, &'a str) -> Result<(), E>,
) -> Result<(), E> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(json);
    let visitor = Elements { each: &mut each, refused: &mut refused, json: PhantomData };
    let read = reader.deserialize_seq(visitor).and_then(|()| reader.end());
    match (refused, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(bad(error)),
        (None, Ok(())) => Ok(()),
    }
}

struct Elements<'f, 'a, F, E> {
    each: &'f mut F,
    refused: &'f mut Option<E>,
    json: PhantomData<&'a str>,
}

impl<'de, E, F: FnMut(usize, &'de str) -> Result<(), E>> Visitor<'de> for Elements<'_, 'de, F, E> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut at = 0;
        while let Some(value) = list.next_element::<&RawValue>()? {
            if let Err(error) = (self.each)(at, value.get()) {
                *self.refused = Some(error);
                return Err(A::Error::custom("an element was refused"));
            }
            at += 1;
        }
        Ok(())
    }
}

/// The names of an object's keys, at most `limit` of them; for messages.
pub(crate) fn keys(json: &str, limit: usize) -> Vec<String> {
    struct Keys(usize);

    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                if keys.len() < self.0 {
                    keys.push(key);
                }
            }
            Ok(keys)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_map(Keys(limit)).unwrap_or_default()
}

/// What kind of JSON value a text is, in words.
pub(crate) fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'-' | b'0'..=b'9') => "a number",
        Some(b'[') => "a list",
        Some(b'{') => "an object",
        Some(b'n') => "null",
        _ => "a truth value",
    }
}

/// The text that a JSON string stands for. Errors: why it stands for none, in words.
pub(crate) fn text(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        // A string that was passed over whole can be wrong in its escapes alone.
        if message.contains("surrogate") || message.contains("hex escape") {
            return "a \\u escape in it is half of a pair, and no character".to_owned();
        }
        without_position(&error)
    })
}

/// The JSON reader's message with the column but without "line 1", for text that is one line.
pub(crate) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    format!("{message} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(text: &str) -> String {
        Readable::new(text).text().to_owned()
    }

    #[test]
    fn constants_become_numbers_of_the_same_length_outside_strings_only() {
        let text = r#"{"a":NaN,"b":[-Infinity, Infinity],"c":"NaN \" NaN","NaN":1}"#;
        let read = readable(text);
        assert_eq!(read, r#"{"a":1e1,"b":[-1e000001, 1e000001],"c":"NaN \" NaN","NaN":1}"#);
        assert_eq!(read.len(), text.len());
        assert!(serde_json::from_str::<IgnoredAny>(&read).is_ok());
    }

    #[test]
    fn what_only_looks_like_a_constant_stays_wrong() {
        for text in ["1NaN", "NaNs", "NaN1", "--Infinity", "-NaN", "+Infinity", "Infinity.0", "InfinityNaN", "nan"] {
            let read = readable(text);
            assert!(serde_json::from_str::<IgnoredAny>(&read).is_err(), "{text} became {read}");
        }
    }

    #[test]
    fn a_constant_is_found_again_by_its_place() {
        let text = Readable::new(r#"{"a": NaN, "b": 1e1, "c": -Infinity}"#);
        let found = fields(text.text(), &["a", "b", "c"]).unwrap();
        let constant = |found: &Found<'_>| match found {
            Found::Once(value) => text.constant_at(value),
            _ => panic!("not once"),
        };
        assert_eq!(found.iter().map(constant).collect::<Vec<_>>(), [Some("NaN"), None, Some("-Infinity")]);
    }
}
