//! Turns a TOML value into a typed value, keeping track of the place of every misfit.
//!
//! Promise: an error names the full path of keys and, for an unknown key, the keys that were
//! possible there. Why not `toml`'s own deserialiser: its error is a sentence, and the nearest
//! key cannot be found from a sentence. `serde` hands the known keys to the error type through
//! [`serde::de::Error::unknown_field`], so an error type of our own is all it takes.

use super::error::{Fault, FaultKind};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor, value::StrDeserializer};
use serde::forward_to_deserialize_any;
use std::fmt::Display;
use toml::Value;

/// Reads `value` as a `T`; the fault's path starts at `value`.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    T::deserialize(Node(value))
}

fn fault(kind: FaultKind) -> Fault {
    Fault { path: Vec::new(), kind }
}

fn owned(words: &'static [&'static str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        fault(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(given: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        fault(FaultKind::Type { given: given.to_string(), expected: expected.to_string() })
    }

    fn invalid_value(given: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(given, expected)
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        fault(FaultKind::UnknownWord { given: given.to_owned(), known: owned(known) })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        fault(FaultKind::UnknownKey { key: key.to_owned(), known: owned(known) })
    }

    fn missing_field(key: &'static str) -> Self {
        fault(FaultKind::Missing { key: key.to_owned() })
    }
}

/// One TOML value on its way into a type.
struct Node(Value);

impl<'de> de::Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::Boolean(flag) => visitor.visit_bool(flag),
            Value::Datetime(time) => visitor.visit_string(time.to_string()),
            Value::Array(items) => visitor.visit_seq(Items { items: items.into_iter(), index: 0 }),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.into_iter(), current: None }),
        }
    }

    /// A key that is present is `Some`; TOML has no null.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(word) => {
                let word: StrDeserializer<'_, Fault> = StrDeserializer::new(&word);
                de::Deserializer::deserialize_enum(word, name, variants, visitor)
            }
            Value::Table(table) if table.len() == 1 => {
                let entries = Entries { entries: table.into_iter(), current: None };
                visitor.visit_enum(de::value::MapAccessDeserializer::new(entries))
            }
            other => Err(fault(FaultKind::Type {
                given: format!("{} `{other}`", other.type_str()),
                expected: format!("one of {}", variants.join(", ")),
            })),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The elements of an array; a fault inside one is prefixed with its index.
struct Items {
    items: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node(item)).map(Some).map_err(|fault| within(fault, index.to_string()))
    }
}

/// The entries of a table; a fault inside one is prefixed with its key.
struct Entries {
    entries: toml::map::IntoIter<String, Value>,
    current: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        match &self.current {
            None => Ok(None),
            Some((key, _)) => seed.deserialize(StrDeserializer::new(key)).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Node(value)).map_err(|fault| within(fault, key))
    }
}

fn within(mut fault: Fault, key: String) -> Fault {
    fault.path.insert(0, key);
    fault
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
    enum Shape {
        Circle { radius: u32 },
        Square { side: u32 },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Entry {
        #[serde(flatten)]
        shape: Shape,
        #[serde(default)]
        weight: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Slow,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        mode: Mode,
        limit: Option<f32>,
        #[serde(default)]
        shapes: Vec<Entry>,
    }

    fn read(text: &str) -> Result<Whole, String> {
        let table: toml::Table = text.parse().expect("the test text is TOML");
        from_value(Value::Table(table)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn enums_options_and_flattened_tables_are_read() {
        let whole = read("mode='fast'\nlimit=2\n[[shapes]]\ntype='circle'\nradius=3\nweight=2\n");
        assert_eq!(
            whole,
            Ok(Whole {
                mode: Mode::Fast,
                limit: Some(2.0),
                shapes: vec![Entry { shape: Shape::Circle { radius: 3 }, weight: 2 }],
            })
        );
    }

    #[test]
    fn an_unknown_key_names_its_path_and_the_nearest_key() {
        let message = read("mode='fast'\nlimti=1").unwrap_err();
        assert!(message.starts_with("unknown key `limti`, did you mean `limit`?"), "{message}");
    }

    #[test]
    fn an_unknown_key_inside_an_array_of_flattened_tables_is_found() {
        let message =
            read("mode='fast'\n[[shapes]]\ntype='circle'\nradius=1\n[[shapes]]\ntype='square'\nside=1\nradios=3")
                .unwrap_err();
        assert!(message.contains("shapes.1.radios"), "{message}");
    }

    #[test]
    fn a_wrong_word_and_a_wrong_type_say_what_fits() {
        let word = read("mode='fats'").unwrap_err();
        assert!(word.contains("`mode` cannot be \"fats\", did you mean `fast`?"), "{word}");
        let kind = read("mode='fast'\nlimit='high'").unwrap_err();
        assert!(kind.starts_with("`limit` should be f32, given string \"high\""), "{kind}");
    }

    #[test]
    fn a_missing_key_is_named_with_its_path() {
        let message = read("mode='slow'\n[[shapes]]\ntype='square'").unwrap_err();
        assert!(message.contains("shapes.0.side` is missing"), "{message}");
    }
}
