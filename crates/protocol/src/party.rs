//! Who did something, and so who is paid or pays.
//!
//! Promise: a party has one written form: `worker 3`, `validator 0`, `trainer`, `treasury`.

use std::fmt;
use std::str::FromStr;

use crate::{ValidatorId, WorkerId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A party of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The worker of this number.
    Worker(WorkerId),
    /// The validator of this number.
    Validator(ValidatorId),
    /// The trainer.
    Trainer,
    /// The treasury: it takes what nobody earned, has no stake and cannot be fined.
    Treasury,
}

/// The text names no party.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{given:?} is no party; parties are `worker N`, `validator N`, `trainer` and `treasury`")]
pub struct UnknownParty {
    /// The text.
    pub given: String,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(id) => write!(f, "worker {id}"),
            Self::Validator(id) => write!(f, "validator {id}"),
            Self::Trainer => f.write_str("trainer"),
            Self::Treasury => f.write_str("treasury"),
        }
    }
}

impl FromStr for Party {
    type Err = UnknownParty;

    fn from_str(text: &str) -> Result<Self, UnknownParty> {
        let unknown = || UnknownParty { given: text.chars().take(64).collect() };
        let party = match text.split_once(' ') {
            Some(("worker", id)) => Self::Worker(id.parse().map_err(|_| unknown())?),
            Some(("validator", id)) => Self::Validator(id.parse().map_err(|_| unknown())?),
            _ if text == "trainer" => Self::Trainer,
            _ if text == "treasury" => Self::Treasury,
            _ => return Err(unknown()),
        };
        // `+3` and `03` are also read as 3.
        if party.to_string() == text { Ok(party) } else { Err(unknown()) }
    }
}

impl Serialize for Party {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Party {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_read_as_they_are_written_and_not_otherwise() {
        for party in [Party::Worker(0), Party::Validator(4_000_000_000), Party::Trainer, Party::Treasury] {
            assert_eq!(party.to_string().parse(), Ok(party));
        }
        for bad in
            ["", "worker", "worker ", "worker 03", "worker +3", "worker -1", "Worker 1", "trainer 0", "worker  1"]
        {
            assert_eq!(bad.parse::<Party>(), Err(UnknownParty { given: bad.to_owned() }));
        }
    }
}
