//! Sort: `cab=` is answered by `abc`, `31 7 22=` by `7 22 31`.
//!
//! Promise: repeating the prompt earns nothing; neither do places that were right already.

use serde::{Deserialize, Serialize};

use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::random::Random;
use crate::text::{equal_positions, python_strip};
use crate::{Grade, Grader, Item, Split, Task, TaskError};

const NAME: &str = "sort";
const MAX_ITEMS: u64 = 64;
const MAX_VALUE: u64 = 1_000_000_000;

/// What is to be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKind {
    /// Lower-case letters without spaces, into alphabetical order.
    Letters,
    /// Numbers with spaces between, from small to large.
    Numbers,
}

impl SortKind {
    /// What is asked, without a word about the form of the answer.
    pub(crate) fn question(self) -> &'static str {
        match self {
            Self::Letters => "You are given letters followed by an equals sign: put them in alphabetical order.",
            Self::Numbers => {
                "You are given numbers followed by an equals sign: write them from the smallest to the largest, with \
                 spaces between."
            }
        }
    }
}

/// A list to be put in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sort {
    /// What the list holds.
    pub kind: SortKind,
    /// Shortest list.
    pub items_min: u64,
    /// Longest list.
    pub items_max: u64,
    /// Largest number, for `numbers`.
    pub value_max: u64,
    /// How completions are graded; absent: as the task says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grader: Option<Grader>,
}

impl Default for Sort {
    fn default() -> Self {
        Self { kind: SortKind::Letters, items_min: 4, items_max: 4, value_max: 99, grader: None }
    }
}

impl Sort {
    fn write<T: ToString>(&self, list: &[T]) -> String {
        let separator = if self.kind == SortKind::Letters { "" } else { " " };
        list.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
    }

    fn read<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self.kind {
            SortKind::Letters => {
                text.char_indices().filter(|(_, c)| *c != ' ').map(|(at, c)| &text[at..at + c.len_utf8()]).collect()
            }
            SortKind::Numbers => text.split_whitespace().collect(),
        }
    }

    /// A list that is not in order yet, as `(prompt, answer)`; `None` if it came out sorted.
    fn pair<T: Ord + Clone + ToString>(&self, list: Vec<T>) -> Option<(String, String)> {
        let mut sorted = list.clone();
        sorted.sort();
        (sorted != list).then(|| (format!("{}=", self.write(&list)), self.write(&sorted)))
    }
}

impl Task for Sort {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let items = (self.items_min, self.items_max);
        check_range(NAME, "items_min..=items_max", items, (2, MAX_ITEMS))?;
        check_range(NAME, "1..=value_max", (1, self.value_max), (1, MAX_VALUE))?;
        draw_at_level(NAME, (seed, split, index), items, |random: &mut Random, items| {
            let len = random.within(items.0, items.1);
            match self.kind {
                SortKind::Letters => self.pair(random.letters(len).chars().collect()),
                SortKind::Numbers => self.pair((0..len).map(|_| random.within(0, self.value_max)).collect()),
            }
        })
    }

    /// `reward = max(0, right(c) - right(p)) / (max(|c|, |a|) - right(p))`, where `right` counts the
    /// places that hold the same element as in the answer a, c is the completion and p the unsorted
    /// list. Every list has a place to put right, so the denominator is at least 2.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let given = self.read(python_strip(completion));
        let answer = self.read(&item.answer);
        let unsorted = self.read(item.prompt.trim_end_matches('='));
        let right = equal_positions(given.iter(), answer.iter());
        let right_before = equal_positions(unsorted.iter(), answer.iter());
        let len = given.len().max(answer.len());
        Grade::share(right.saturating_sub(right_before), len.saturating_sub(right_before), given == answer)
    }

    /// By the list's length.
    fn levels(&self) -> u32 {
        levels_of((self.items_min, self.items_max))
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn alphabet(&self) -> Option<String> {
        Some(match self.kind {
            SortKind::Letters => "=abcdefghijklmnopqrstuvwxyz".to_owned(),
            SortKind::Numbers => " 0123456789=".to_owned(),
        })
    }

    fn max_answer_chars(&self) -> usize {
        let items = self.items_max as usize;
        match self.kind {
            SortKind::Letters => items,
            SortKind::Numbers => (items * (self.value_max.to_string().len() + 1)).saturating_sub(1),
        }
    }

    fn instruction(&self) -> Option<String> {
        Some(match self.kind {
            SortKind::Letters => "You are given letters followed by an equals sign. Reply with the letters in alphabetical order and with nothing else. Example: cab= is answered by abc".to_owned(),
            SortKind::Numbers => "You are given numbers followed by an equals sign. Reply with the numbers from the smallest to the largest, with spaces between, and with nothing else. Example: 31 7 22= is answered by 7 22 31".to_owned(),
        })
    }
}
