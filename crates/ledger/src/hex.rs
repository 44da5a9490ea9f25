//! Bytes as lower-case hexadecimal digits, and records as the digits of their bytes.
//!
//! Promise: what decodes has one written form; upper-case digits are refused.

use protocol::Record;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// The bytes, if there are two lower-case digits for each.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// The same for a known number of bytes.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    decode(text)?.try_into().ok()
}

/// `#[serde(with = "hex::array")]`: a byte array as digits.
pub(crate) mod array {
    use super::{Deserialize, Deserializer, Error, Serializer, decode_array, encode};

    pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_array(&text).ok_or_else(|| D::Error::custom(format!("expected {} hexadecimal digits", 2 * N)))
    }
}

/// `#[serde(with = "hex::record")]`: a protocol record as the digits of its bytes.
pub(crate) mod record {
    use super::{Deserialize, Deserializer, Error, Record, Serializer, decode, encode};

    pub(crate) fn serialize<S: Serializer, T: Record>(record: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&record.encode().map_err(serde::ser::Error::custom)?))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Record>(deserializer: D) -> Result<T, D::Error> {
        read(&String::deserialize(deserializer)?)
    }

    pub(super) fn read<T: Record, E: Error>(text: &str) -> Result<T, E> {
        let bytes = decode(text).ok_or_else(|| E::custom("expected lower-case hexadecimal digits"))?;
        T::decode(&bytes).map_err(E::custom)
    }
}

/// `#[serde(with = "hex::records")]`: a list of them.
pub(crate) mod records {
    use super::{Deserialize, Deserializer, Record, Serializer, encode, record};
    use serde::ser::{Error, SerializeSeq};

    pub(crate) fn serialize<S: Serializer, T: Record>(records: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(records.len()))?;
        for record in records {
            list.serialize_element(&encode(&record.encode().map_err(S::Error::custom)?))?;
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Record>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| record::read(text)).collect()
    }
}

/// `#[serde(with = "hex::maybe_record")]`: one that may be absent.
pub(crate) mod maybe_record {
    use super::{Deserialize, Deserializer, Record, Serializer, record};

    pub(crate) fn serialize<S: Serializer, T: Record>(record: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match record {
            Some(record) => record::serialize(record, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Record>(deserializer: D) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(deserializer)?.map(|text| record::read(&text)).transpose()
    }
}
