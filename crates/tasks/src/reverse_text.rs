//! Reverse text: prime-rl's first task. The reward is the similarity to the reversed prompt.
//!
//! Promise: the reward of prime-rl's `reverse-text` environment, in millionths rounded down.
//! Source: `environments/reverse_text` of PrimeIntellect-ai/verifiers, `ReverseTextTask.lcs`.

use serde::{Deserialize, Serialize};

use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::rows::{Names, Row, RowSet};
use crate::text::{alphabet_of, between, python_strip};
use crate::{Grade, Item, LineFault, MAX_RATCLIFF_CHARS, Split, Task, TaskError, ratcliff_micro};

const NAME: &str = "reverse-text";
const OPEN: &str = "<reversed_text>";
const CLOSE: &str = "</reversed_text>";
const LETTERS: &str = " abcdefghijklmnopqrstuvwxyz";
const MAX_WORDS: u64 = 64;
const MAX_WORD_LETTERS: u64 = 32;

/// Text to be written in reverse order, made of random words or read from a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReverseText {
    /// Fewest words of a made-up text.
    pub words_min: u64,
    /// Most words of a made-up text.
    pub words_max: u64,
    /// Fewest letters of a made-up word.
    pub letters_min: u64,
    /// Most letters of a made-up word.
    pub letters_max: u64,
    /// Whether the answer must stand in `<reversed_text>` tags, as prime-rl wants it; without, the
    /// whole completion is the answer.
    pub tags: bool,
    /// JSON lines or Parquet with texts to use in place of made-up ones.
    pub path: Option<String>,
    /// The field of the file that holds the text.
    pub prompt_field: String,
}

impl Default for ReverseText {
    fn default() -> Self {
        Self {
            words_min: 2,
            words_max: 4,
            letters_min: 3,
            letters_max: 6,
            tags: true,
            path: None,
            prompt_field: "prompt".to_owned(),
        }
    }
}

impl ReverseText {
    /// The range that makes the levels: words, or letters where the count of words is fixed.
    fn leveled(&self) -> (u64, u64) {
        match self.words_min < self.words_max {
            true => (self.words_min, self.words_max),
            false => (self.letters_min, self.letters_max),
        }
    }
}

/// The task with its texts, if it has a file.
pub(crate) struct ReverseTextTask {
    spec: ReverseText,
    rows: Option<RowSet>,
}

impl ReverseTextTask {
    /// The task on made-up text.
    pub(crate) fn made_up(spec: ReverseText) -> Self {
        Self { spec, rows: None }
    }

    /// The task on the prompts of `rows`; blanks at the ends of a text are dropped, since no graded
    /// answer keeps them. Errors: those of [`RowSet::new`], `Line` with `FieldTooLong` or `NoMessages`.
    pub(crate) fn from_rows(spec: ReverseText, path: &str, mut rows: Vec<Row>) -> Result<Self, TaskError> {
        for row in &mut rows {
            reverse(row, &spec.prompt_field).map_err(|fault| TaskError::Line {
                path: path.to_owned(),
                line: row.line,
                fault,
            })?;
        }
        let names = Names { prompt: &spec.prompt_field, answer: &spec.prompt_field };
        let rows = Some(RowSet::new(path, &names, rows)?);
        Ok(Self { spec, rows })
    }
}

fn reverse(row: &mut Row, field: &str) -> Result<(), LineFault> {
    let field = field.to_owned();
    if !row.messages.is_empty() {
        return Err(LineFault::NoMessages { field });
    }
    row.prompt = python_strip(&row.prompt).to_owned();
    row.answer = row.prompt.chars().rev().collect();
    let (limit, given) = (MAX_RATCLIFF_CHARS, row.prompt.chars().count());
    match given > limit {
        true => Err(LineFault::FieldTooLong { field, limit, given }),
        false => Ok(()),
    }
}

impl Task for ReverseTextTask {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        if let Some(rows) = &self.rows {
            return Ok(rows.item(NAME, seed, split, index));
        }
        let words = (self.spec.words_min, self.spec.words_max);
        let letters = (self.spec.letters_min, self.spec.letters_max);
        check_range(NAME, "words_min..=words_max", words, (1, MAX_WORDS))?;
        check_range(NAME, "letters_min..=letters_max", letters, (1, MAX_WORD_LETTERS))?;
        draw_at_level(NAME, (seed, split, index), self.spec.leveled(), |random, part| {
            let (words, letters) =
                if self.spec.words_min < self.spec.words_max { (part, letters) } else { (words, part) };
            let mut text = Vec::new();
            for _ in 0..random.within(words.0, words.1) {
                let len = random.within(letters.0, letters.1);
                text.push(random.letters(len));
            }
            let text = text.join(" ");
            let answer = text.chars().rev().collect();
            Some((text, answer))
        })
    }

    /// `reward = SequenceMatcher(None, c, a).ratio()`, c what stands in the first pair of tags,
    /// stripped (nothing if there is none), a the reversed prompt.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let given = match self.spec.tags {
            true => between(completion, OPEN, CLOSE).unwrap_or(""),
            false => completion,
        };
        let given = python_strip(given);
        let reward_micro = ratcliff_micro(given, &item.answer);
        Grade { reward_micro, exact: given == item.answer }
    }

    fn oracle(&self, item: &Item) -> String {
        match self.spec.tags {
            true => format!("{OPEN}{}{CLOSE}", item.answer),
            false => item.answer.clone(),
        }
    }

    /// By words, or by letters where the count of words is fixed.
    fn levels(&self) -> u32 {
        if self.rows.is_some() { 1 } else { levels_of(self.spec.leveled()) }
    }

    fn len(&self, split: Split) -> Option<u64> {
        self.rows.as_ref().map(|rows| rows.len(split))
    }

    fn rows(&self) -> Option<&RowSet> {
        self.rows.as_ref()
    }

    fn rows_mut(&mut self) -> Option<&mut RowSet> {
        self.rows.as_mut()
    }

    fn alphabet(&self) -> Option<String> {
        let tags = if self.spec.tags { "<reversed_text></reversed_text>" } else { "" };
        match &self.rows {
            Some(rows) => rows.alphabet(tags),
            None => alphabet_of([LETTERS, tags]),
        }
    }

    fn max_answer_chars(&self) -> usize {
        let tags = if self.spec.tags { OPEN.len() + CLOSE.len() } else { 0 };
        let made_up = self.spec.words_max * (self.spec.letters_max + 1) - 1;
        tags + self.rows.as_ref().map_or(made_up as usize, RowSet::longest_answer)
    }

    fn instruction(&self) -> Option<String> {
        Some(match self.spec.tags {
            true => "Reverse the text character-by-character. Put your answer in <reversed_text> tags.".to_owned(),
            false => {
                "Reverse the text character-by-character. Reply with the reversed text and nothing else.".to_owned()
            }
        })
    }
}
