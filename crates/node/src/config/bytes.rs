//! A number of bytes as people write it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names of units and their bytes; the first are those that a size is printed in.
const UNITS: [(&str, u64); 7] = [
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];
const EXPECTED: &str =
    "a size such as \"3.5 GB\" or \"800 MiB\", or a whole number of bytes; units are GB, MB, kB, B, GiB, MiB, KiB";

/// A size, such as `"3.5 GB"`, `"800 MiB"` or `4000000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(u64);

impl Bytes {
    /// As a number.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    /// Exact: in the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bytes): &&(&str, u64)| self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS[..4].iter().find(fits).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / bytes)
    }
}

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..at].trim(), text[at..].trim());
        let scale = match unit {
            "" => 1,
            _ => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(EXPECTED)?.1,
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Self).ok_or(EXPECTED);
        }
        let bytes = number.parse::<f64>().map_err(|_| EXPECTED)? * scale as f64;
        // All whole numbers up to there are exact.
        if (0.0..=(1u64 << 53) as f64).contains(&bytes) { Ok(Self(bytes.round() as u64)) } else { Err(EXPECTED) }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_i64<E: Error>(self, given: i64) -> Result<Bytes, E> {
                u64::try_from(given).map(Bytes).map_err(|_| E::invalid_value(Unexpected::Signed(given), &self))
            }

            fn visit_u64<E: Error>(self, given: u64) -> Result<Bytes, E> {
                Ok(Bytes(given))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units_and_printed_exactly() {
        let cases = [
            ("3.5GB", 3_500_000_000, "3500 MB"),
            ("4 GiB", 4 << 30, "4294967296 B"),
            ("800 mib", 800 << 20, "838860800 B"),
            ("12", 12, "12 B"),
            ("16 GB", 16_000_000_000, "16 GB"),
            ("0", 0, "0 GB"),
        ];
        for (text, bytes, printed) in cases {
            let given: Bytes = text.parse().unwrap();
            assert_eq!((given.bytes(), given.to_string().as_str()), (bytes, printed), "{text}");
            assert_eq!(printed.parse(), Ok(given));
        }
        for text in ["", "GB", "-1 GB", "1e30 GB", "99999999999999999999", "3 GBs", "3 5 GB", "NaN MB", "inf", "1 GB x"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
