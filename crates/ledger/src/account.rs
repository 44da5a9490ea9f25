//! Where money goes: an address on an EVM chain.
//!
//! Promise: an account has one written form, the checksummed one (EIP-55); a wrong checksum is refused.

use std::fmt;
use std::str::FromStr;

use protocol::Hash;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tiny_keccak::{Hasher, Keccak};

use crate::hex;

/// An account of the chain, 20 bytes. Shown as `0x` and 40 hexadecimal digits with the checksum of EIP-55.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub [u8; 20]);

/// Why a text is no account.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum AccountError {
    /// Not `0x` and 40 hexadecimal digits.
    #[error("an account is 0x and 40 hexadecimal digits, given is {given:?}")]
    Format { given: String },
    /// Upper and lower case are mixed otherwise than the checksum says.
    #[error("the checksum of account {given} is wrong, with it the account is {expected}")]
    Checksum { expected: Account, given: String },
}

/// keccak256, the hash of the EVM.
///
/// ```
/// assert_eq!(ledger::keccak256(b"")[..4], [0xc5, 0xd2, 0x46, 0x01]);
/// ```
pub fn keccak256(bytes: &[u8]) -> Hash {
    let mut hasher = Keccak::v256();
    hasher.update(bytes);
    let mut hash = [0; 32];
    hasher.finalize(&mut hash);
    hash
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(&self.0);
        let hash = keccak256(digits.as_bytes());
        f.write_str("0x")?;
        for (place, digit) in digits.chars().enumerate() {
            let nibble = hash[place / 2] >> if place % 2 == 0 { 4 } else { 0 } & 0xf;
            write!(f, "{}", if nibble & 8 != 0 { digit.to_ascii_uppercase() } else { digit })?;
        }
        Ok(())
    }
}

impl FromStr for Account {
    type Err = AccountError;

    /// Takes the checksummed form, and digits all of one case.
    fn from_str(text: &str) -> Result<Self, AccountError> {
        let format = || AccountError::Format { given: text.chars().take(64).collect() };
        let digits = text.strip_prefix("0x").ok_or_else(format)?;
        let account = Self(hex::decode_array(&digits.to_ascii_lowercase()).ok_or_else(format)?);
        let one_case = |other: fn(&u8) -> bool| !digits.as_bytes().iter().any(other);
        let plain = one_case(u8::is_ascii_uppercase) || one_case(u8::is_ascii_lowercase);
        match plain || account.to_string() == text {
            true => Ok(account),
            false => Err(AccountError::Checksum { expected: account, given: text.to_owned() }),
        }
    }
}

impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    const EXAMPLES: [&str; 4] = [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn accounts_are_written_with_their_checksum() {
        for example in EXAMPLES {
            assert_eq!(example.parse::<Account>().unwrap().to_string(), example);
            assert_eq!(example.to_lowercase().parse::<Account>().unwrap().to_string(), example);
        }
    }

    #[test]
    fn a_wrong_case_or_length_is_refused() {
        let wrong = EXAMPLES[0].replace("aAeb", "aaeb");
        let expected = EXAMPLES[0].parse().unwrap();
        assert_eq!(wrong.parse::<Account>(), Err(AccountError::Checksum { expected, given: wrong }));
        for bad in ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", &EXAMPLES[0][..41], "0xä"] {
            assert!(matches!(bad.parse::<Account>(), Err(AccountError::Format { .. })), "{bad}");
        }
    }
}
