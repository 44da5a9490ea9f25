//! Spell backward: `abc=` is answered by `cba`.
//!
//! Promise: the reward of the public GRPO recipe for this task (`rew` of `trl_spell_backward.py`),
//! so that curves can be laid over each other.

use serde::{Deserialize, Serialize};

use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::text::{equal_positions, python_strip};
use crate::{Grade, Grader, Item, Split, Task, TaskError};

const NAME: &str = "spell-backward";
const MAX_LETTERS: u64 = 64;

/// Random lower-case letters to be written in reverse order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpellBackward {
    /// Fewest letters of a prompt.
    pub letters_min: u64,
    /// Most letters of a prompt.
    pub letters_max: u64,
    /// How completions are graded; absent: as the task says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grader: Option<Grader>,
}

impl Default for SpellBackward {
    fn default() -> Self {
        Self { letters_min: 3, letters_max: 3, grader: None }
    }
}

impl Task for SpellBackward {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let letters = (self.letters_min, self.letters_max);
        check_range(NAME, "letters_min..=letters_max", letters, (1, MAX_LETTERS))?;
        draw_at_level(NAME, (seed, split, index), letters, |random, letters| {
            let len = random.within(letters.0, letters.1);
            let word = random.letters(len);
            Some((format!("{word}="), word.chars().rev().collect()))
        })
    }

    /// `reward = Σ_i [c_i = a_i] / max(|c|, |a|, 1)`, c the completion without spaces, a the answer.
    /// Surplus letters lower the reward, so they are no place to settle.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let without_spaces = completion.replace(' ', "");
        let given = python_strip(&without_spaces);
        let len = given.chars().count().max(item.answer.chars().count()).max(1);
        let equal = equal_positions(given.chars(), item.answer.chars());
        Grade::share(equal, len, given == item.answer)
    }

    /// By letters.
    fn levels(&self) -> u32 {
        levels_of((self.letters_min, self.letters_max))
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn alphabet(&self) -> Option<String> {
        Some("=abcdefghijklmnopqrstuvwxyz".to_owned())
    }

    fn max_answer_chars(&self) -> usize {
        self.letters_max as usize
    }

    fn instruction(&self) -> Option<String> {
        Some("You are given letters followed by an equals sign. Reply with the same letters in reverse order and with nothing else. Example: abc= is answered by cba".to_owned())
    }
}
