//! Cheats as words of the command line.

use std::str::FromStr;

use sim::liars::{Cheat, UnknownCheat};

/// The word for a network of honest parties.
const NONE: &str = "none";

/// A cheat as `--cheat` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheatWord(pub Option<Cheat>);

impl CheatWord {
    /// The word that a person types.
    pub fn as_str(self) -> &'static str {
        self.0.map_or(NONE, Cheat::as_str)
    }
}

impl FromStr for CheatWord {
    type Err = UnknownCheat;

    fn from_str(word: &str) -> Result<Self, UnknownCheat> {
        if word == NONE { Ok(Self(None)) } else { word.parse().map(|cheat| Self(Some(cheat))) }
    }
}

/// All words of `--cheat` with what they mean, for the help text.
pub(super) fn cheats_help() -> String {
    let mut text = format!("Cheats:\n  {NONE:<20} honest parties only, with all the faults\n");
    for cheat in Cheat::ALL {
        let describe = cheat.describe();
        text += &format!("  {:<20} {describe}\n", cheat.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cheat_is_a_word_and_is_explained() {
        let help = cheats_help();
        for cheat in Cheat::ALL {
            assert_eq!(cheat.as_str().parse(), Ok(CheatWord(Some(*cheat))));
            assert!(help.contains(cheat.as_str()), "{cheat}");
        }
        assert_eq!("none".parse(), Ok(CheatWord(None)));
        assert!("lazy".parse::<CheatWord>().is_err());
    }
}
