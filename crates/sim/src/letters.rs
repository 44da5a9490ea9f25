//! The task of the simulated runs: words of three letters, to be spelt backward, a token per letter.
//!
//! Promise: a function of the item's number; any tokens can be graded.

use std::sync::Arc;

use protocol::TaskIndex;
use tasks::{Grade, Item, Split, Task, TaskError, TaskSpec};
use verify::Prompts;

/// Ends a completion.
pub(crate) const STOP: u32 = 1;
/// Ids below this are no letters.
const FIRST_LETTER: u32 = 2;

/// Prompts and grades.
pub(crate) struct Letters {
    task: Box<dyn Task>,
    alphabet: Vec<char>,
    seed: u64,
}

impl Letters {
    pub(crate) fn new(seed: u64) -> Result<Self, TaskError> {
        let task = tasks::build(&TaskSpec::SpellBackward(Default::default()), &|name| Err(name.to_owned()))?;
        let alphabet = task.alphabet().unwrap_or_default().chars().collect();
        Ok(Self { task, alphabet, seed })
    }

    /// How many token ids there are.
    pub(crate) fn vocabulary(&self) -> u32 {
        FIRST_LETTER + self.alphabet.len() as u32 // an alphabet is short
    }

    /// Token ids of a prompt and of its answer, stop token and all.
    pub(crate) fn example(&self, index: u64) -> Result<(Vec<u32>, Vec<u32>), TaskError> {
        let item = self.item(index)?;
        let mut answer = self.encode(&item.answer);
        answer.push(STOP);
        Ok((self.encode(&item.prompt), answer))
    }

    fn item(&self, index: u64) -> Result<Item, TaskError> {
        self.task.item(self.seed, Split::Train, index)
    }

    fn encode(&self, text: &str) -> Vec<u32> {
        let place = |letter: char| self.alphabet.iter().position(|&known| known == letter);
        text.chars().filter_map(place).map(|place| FIRST_LETTER + place as u32).collect()
    }

    /// Tokens that are no letters are left out, so that nothing can be hidden behind them.
    fn decode(&self, tokens: &[u32]) -> String {
        let letter = |&token: &u32| self.alphabet.get(token.checked_sub(FIRST_LETTER)? as usize);
        tokens.iter().filter_map(letter).collect()
    }
}

impl Prompts for Letters {
    fn prompt(&self, _: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        let item = self.item(item).map_err(|error| error.to_string())?;
        Ok(self.encode(&item.prompt).into())
    }

    fn grade(&self, _: TaskIndex, item: u64, completion: &[u32]) -> Result<Grade, String> {
        let item = self.item(item).map_err(|error| error.to_string())?;
        Ok(self.task.grade(&item, &self.decode(completion)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_earns_everything_and_nothing_earns_nothing() {
        let letters = Letters::new(3).unwrap();
        let (prompt, answer) = letters.example(5).unwrap();
        assert_eq!(&*letters.prompt(0, 5).unwrap(), prompt);
        let reversed: Vec<u32> = prompt[..3].iter().rev().copied().chain([STOP]).collect();
        assert_eq!(answer, reversed);
        assert_eq!(letters.grade(0, 5, &answer).unwrap().reward_micro, 1_000_000);
        assert_eq!(letters.grade(0, 5, &[STOP, 0, 9999]).unwrap().reward_micro, 0);
    }
}
