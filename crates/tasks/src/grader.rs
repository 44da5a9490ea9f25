//! How completions are compared with answers, by name.
//!
//! Promise: a grader sees only answer and completion; an answer that no completion could satisfy is
//! told before anybody asks.

use serde::{Deserialize, Serialize};

use crate::math;
use crate::numeral::{self, Numeral};
use crate::text::python_strip;
use crate::{Grade, LineFault, MAX_RATCLIFF_CHARS, ratcliff_micro};

/// Characters of an answer that a message repeats.
const SHOWN_CHARS: usize = 80;

/// How a completion is compared with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grader {
    /// The same text, blanks at the ends not counted.
    #[default]
    Exact,
    /// The last `\boxed{…}` of the completion (with boxes close before it) holds the answer, or the
    /// content of the answer's own box. Equal by value as math-verify judges: numbers, TeX formulas,
    /// sets, intervals, matrices, `x = 5` beside 5, units left out; words by their letters.
    ContainsBoxed,
    /// The last number of the completion has the value of the answer, which must be one number
    /// (or end with it behind `####` or in a box).
    Number,
    /// Ratcliff-Obershelp similarity of completion and answer.
    Ratcliff,
}

impl Grader {
    /// Errors: `NoFinalNumber`, `UnreadNumber`, `NotBoxable` or `FieldTooLong` (of `field`) if nothing
    /// could satisfy the grader.
    pub(crate) fn check(self, field: &str, answer: &str) -> Result<(), LineFault> {
        let given = answer.chars().count();
        match self {
            Self::Number if !answer.trim().is_empty() => number_of(answer).map(|_| ()),
            Self::ContainsBoxed if !answer.trim().is_empty() && !math::holds(&boxed(answer), python_strip(answer)) => {
                Err(LineFault::NotBoxable { text: answer.trim().chars().take(SHOWN_CHARS).collect() })
            }
            Self::Ratcliff if given > MAX_RATCLIFF_CHARS => {
                let (field, limit) = (field.to_owned(), MAX_RATCLIFF_CHARS);
                Err(LineFault::FieldTooLong { field, limit, given })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn grade(self, answer: &str, completion: &str) -> Grade {
        let (given, answer) = (python_strip(completion), python_strip(answer));
        match self {
            Self::Exact => Grade::all_or_nothing(given == answer),
            Self::ContainsBoxed => Grade::all_or_nothing(math::holds(given, answer)),
            Self::Number => {
                let pair = number_of(answer).ok().zip(numeral::last(given));
                Grade::all_or_nothing(pair.is_some_and(|(expected, given)| expected.equals(&given)))
            }
            Self::Ratcliff => Grade { reward_micro: ratcliff_micro(given, answer), exact: given == answer },
        }
    }

    /// A completion that earns the whole reward.
    pub(crate) fn oracle(self, answer: &str) -> String {
        match self {
            Self::ContainsBoxed => boxed(answer),
            _ => answer.to_owned(),
        }
    }

    /// What the oracle puts around an answer.
    pub(crate) fn frame(self) -> &'static str {
        if self == Self::ContainsBoxed { "\\boxed{}" } else { "" }
    }

    /// What to tell a model about the form of the answer.
    pub(crate) fn instruction(self) -> &'static str {
        match self {
            Self::Exact | Self::Ratcliff => "Reply with the answer and nothing else.",
            Self::ContainsBoxed => "Reason step by step, and put your final answer within \\boxed{}.",
            Self::Number => "Reason step by step, and end with the final number.",
        }
    }
}

/// The answer in a box, unless it has one.
fn boxed(answer: &str) -> String {
    if math::contents(answer).is_empty() { format!("\\boxed{{{answer}}}") } else { answer.to_owned() }
}

/// The number of an answer column: behind the last `####`, in the last box, or all of it.
fn number_of(answer: &str) -> Result<Numeral, LineFault> {
    let behind_marker = answer.rsplit_once("####").map(|(_, text)| text);
    match behind_marker {
        Some(text) => numeral::of_answer(answer, text),
        None => numeral::of_answer(answer, &math::answer_of(answer)),
    }
}
