//! Tasks with a verifiable reward: an item from a seed, a grade for an answer.
//!
//! Promise: an item is a function of (task, seed, split, index), a grade is a function of
//! (item, completion); both are integers and text only, so every honest machine agrees on them.
//! No prompt is ever in both splits, whatever the seeds.
//! Takes: a [`TaskSpec`], file bytes or rows read by the caller. Gives: a [`Task`].
//! Never: opens a file, reads a clock, computes with floats, or panics on a completion.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod admission;
mod arithmetic;
mod chain_sum;
mod columns;
mod countdown;
mod dataset;
mod draw;
mod error;
mod grader;
mod gsm8k;
mod json;
mod jsonl;
mod levels;
mod math;
mod message;
mod numeral;
mod probe_texts;
mod random;
mod ratcliff;
mod regraded;
mod reverse_text;
mod rows;
mod sat;
mod sort;
mod spec;
mod spell_backward;
mod text;

pub use admission::{AdmissionReport, PROBE_LIMIT_MICRO, Probe, admit};
pub use chain_sum::ChainSum;
pub use columns::{AnswerSource, Columns, FieldPath, Fields, Values};
pub use countdown::Countdown;
pub use dataset::Dataset;
pub use error::{LineFault, MessageFault, TaskError};
pub use grader::Grader;
pub use gsm8k::Gsm8k;
pub use jsonl::MAX_FILE_BYTES;
pub use message::{Message, Role};
pub use ratcliff::{MAX_RATCLIFF_CHARS, ratcliff_micro};
pub use reverse_text::ReverseText;
pub use rows::{Row, RowSet};
pub use sat::Sat;
pub use sort::{Sort, SortKind};
pub use spec::{TaskSpec, build, build_from_bytes, build_from_rows, describe};
pub use spell_backward::SpellBackward;

/// The reward of a perfect answer: rewards are counted in millionths.
pub const REWARD_ONE_MICRO: i64 = 1_000_000;

/// Which side of the wall between learning and measuring an item is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Items to learn from.
    Train,
    /// Items kept back for evaluation; about one prompt in sixteen.
    HeldOut,
}

/// One question with what is needed to grade an answer to it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// The text given to the model, without any chat template; of a conversation all its turns.
    pub prompt: String,
    /// The turns of the conversation, for the chat template; none if the prompt is one plain text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// The right answer in the task's own form; [`Task::oracle`] turns it into a perfect completion.
    pub answer: String,
    /// The split that the prompt belongs to.
    pub split: Split,
    /// The index that was asked for.
    pub index: u64,
}

/// What a completion earned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Grade {
    /// Reward in millionths, 0 ..= [`REWARD_ONE_MICRO`].
    pub reward_micro: i64,
    /// Whether the task counts the completion as solved; accuracies are means of this.
    pub exact: bool,
}

impl Grade {
    /// No reward.
    pub const ZERO: Self = Self { reward_micro: 0, exact: false };
    /// The whole reward.
    pub const ONE: Self = Self { reward_micro: REWARD_ONE_MICRO, exact: true };

    /// All or nothing.
    pub fn all_or_nothing(exact: bool) -> Self {
        if exact { Self::ONE } else { Self::ZERO }
    }

    /// `numerator / denominator` of the whole reward, rounded down; nothing if the denominator is 0.
    pub(crate) fn share(numerator: usize, denominator: usize, exact: bool) -> Self {
        let reward_micro = (numerator as i64 * REWARD_ONE_MICRO).checked_div(denominator as i64);
        Self { reward_micro: reward_micro.unwrap_or(0), exact }
    }
}

/// A source of items and the judge of answers to them.
pub trait Task: Send + Sync {
    /// The task's type name, such as `spell-backward`; data sets add their path.
    fn name(&self) -> &str;

    /// The item at `index` of `split`. The same arguments always give the same item.
    ///
    /// - endless tasks draw afresh at every index, so small spaces repeat within a split
    /// - data sets go through all rows in a seeded order, then again in another order
    /// - errors: `BadRange` for a specification that [`build`] would refuse,
    ///   `SplitTooSmall` if no item of the split turned up in a bounded number of draws
    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError>;

    /// Grades one completion (without the prompt, without the stop token). Never panics.
    fn grade(&self, item: &Item, completion: &str) -> Grade;

    /// A completion that earns the whole reward; also the target for supervised warm-up.
    fn oracle(&self, item: &Item) -> String {
        item.answer.clone()
    }

    /// Levels of difficulty: item `i` has level `i mod levels`, 0 the easiest. 1 for a file.
    fn levels(&self) -> u32 {
        1
    }

    /// How many items the split has; `None` for tasks that never run out.
    fn len(&self, split: Split) -> Option<u64>;

    /// The rows behind a data set; none for a task that makes its own items.
    fn rows(&self) -> Option<&RowSet> {
        None
    }

    /// The rows behind a data set, to leave some out.
    fn rows_mut(&mut self) -> Option<&mut RowSet> {
        None
    }

    /// The characters that prompts and oracle completions can hold, sorted, for a character
    /// tokenizer; `None` if there are too many for one.
    fn alphabet(&self) -> Option<String>;

    /// The length of the longest oracle completion, in characters.
    fn max_answer_chars(&self) -> usize;

    /// What to tell an instruction-tuned model about the form of the answer, as system or user text.
    fn instruction(&self) -> Option<String> {
        None
    }
}
