//! Chain sum: `4+3=` is answered by `7`. After reasoning-gym's `chain_sum`, without its wording.
//!
//! Promise: the answer is the integer sum; only the integer earns the whole reward.

use serde::{Deserialize, Serialize};

use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::text::{equal_positions, python_strip};
use crate::{Grade, Grader, Item, Split, Task, TaskError};

const NAME: &str = "chain-sum";
const MAX_TERMS: u64 = 32;
const MAX_DIGITS: u64 = 12;

/// Sums of whole numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainSum {
    /// Fewest terms.
    pub terms_min: u64,
    /// Most terms.
    pub terms_max: u64,
    /// Fewest digits of a term; a term of one digit may be 0.
    pub digits_min: u64,
    /// Most digits of a term.
    pub digits_max: u64,
    /// Whether terms are also subtracted, by the toss of a coin.
    pub subtract: bool,
    /// Whether right digits of a wrong sum earn a share of the reward.
    pub partial: bool,
    /// How completions are graded; absent: as the task says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grader: Option<Grader>,
}

impl Default for ChainSum {
    fn default() -> Self {
        Self { terms_min: 2, terms_max: 2, digits_min: 1, digits_max: 1, subtract: false, partial: false, grader: None }
    }
}

impl ChainSum {
    /// The range that makes the levels: digits of the longest term, or terms where digits are fixed.
    fn leveled(&self) -> (u64, u64) {
        match self.digits_min < self.digits_max {
            true => (self.digits_min, self.digits_max),
            false => (self.terms_min, self.terms_max),
        }
    }
}

impl Task for ChainSum {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let terms = (self.terms_min, self.terms_max);
        let digits = (self.digits_min, self.digits_max);
        check_range(NAME, "terms_min..=terms_max", terms, (2, MAX_TERMS))?;
        check_range(NAME, "digits_min..=digits_max", digits, (1, MAX_DIGITS))?;
        draw_at_level(NAME, (seed, split, index), self.leveled(), |random, part| {
            let (mut prompt, mut sum) = (String::new(), 0i64);
            let by_digits = self.digits_min < self.digits_max;
            let (terms, digits) = if by_digits { (terms, part) } else { (part, digits) };
            let count = random.within(terms.0, terms.1);
            // One term at least is as long as the level says.
            let longest = (digits.0 > self.digits_min).then(|| random.below(count));
            for place in 0..count {
                let least = if longest == Some(place) { digits.0 } else { self.digits_min };
                let len = random.within(least, digits.1) as u32;
                let low = if len == 1 { 0 } else { 10u64.pow(len - 1) };
                let term = random.within(low, 10u64.pow(len) - 1);
                let minus = self.subtract && place > 0 && random.below(2) == 1;
                if place > 0 {
                    prompt.push(if minus { '-' } else { '+' });
                }
                prompt.push_str(&term.to_string());
                sum += if minus { -(term as i64) } else { term as i64 };
            }
            prompt.push('=');
            Some((prompt, sum.to_string()))
        })
    }

    /// One for the sum. With `partial`, else the share of right digits counted from the units:
    /// `Σ_i [c_i = a_i] / max(|c|, |a|, 1)`, both reversed.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let given = python_strip(completion);
        if given == item.answer || !self.partial {
            return Grade::all_or_nothing(given == item.answer);
        }
        let len = given.chars().count().max(item.answer.chars().count()).max(1);
        Grade::share(equal_positions(given.chars().rev(), item.answer.chars().rev()), len, false)
    }

    /// By digits of the longest term, or by terms where digits are fixed.
    fn levels(&self) -> u32 {
        levels_of(self.leveled())
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn alphabet(&self) -> Option<String> {
        Some(if self.subtract { "+-0123456789=" } else { "+0123456789=" }.to_owned())
    }

    fn max_answer_chars(&self) -> usize {
        // terms · 10^digits has at most digits + 2 figures, since there are at most 32 terms
        self.digits_max as usize + 2 + usize::from(self.subtract)
    }

    fn instruction(&self) -> Option<String> {
        Some("You are given a sum. Reply with its value as a whole number and with nothing else. Example: 4+3= is answered by 7".to_owned())
    }
}
