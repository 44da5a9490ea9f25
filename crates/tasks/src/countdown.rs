//! Countdown: from `3,8,9:33=` make an expression over 3, 8 and 9 that gives 33: `3*8+9`.
//! After Countdown-Tasks-3to4 (TinyZero): every number is used exactly once.
//!
//! Promise: every item has a solution, since the target is computed from one.

use serde::{Deserialize, Serialize};

use crate::arithmetic::{Fraction, MAX_EXPRESSION_BYTES, evaluate};
use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::numeral::fold::fold;
use crate::random::Random;
use crate::text::python_strip;
use crate::{Grade, Item, REWARD_ONE_MICRO, Split, Task, TaskError};

const NAME: &str = "countdown";
const MAX_NUMBERS: u64 = 8;
const MAX_VALUE: u64 = 9_999;
/// Tries to build one expression that ends inside the target range.
const MAX_TRIES: usize = 128;
/// The reward of a right use of the numbers with a wrong result: TinyZero's `format_score`.
const FORMAT_REWARD_MICRO: i64 = REWARD_ONE_MICRO / 10;

/// Numbers and a target that can be reached with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Countdown {
    /// Fewest numbers.
    pub numbers_min: u64,
    /// Most numbers.
    pub numbers_max: u64,
    /// Largest number; the smallest is 1.
    pub value_max: u64,
    /// Largest target; the smallest is 1.
    pub target_max: u64,
}

impl Default for Countdown {
    fn default() -> Self {
        Self { numbers_min: 3, numbers_max: 4, value_max: 99, target_max: 99 }
    }
}

/// A value with an expression for it.
#[derive(Clone)]
struct Built {
    value: u64,
    text: String,
    is_number: bool,
}

impl Built {
    fn as_operand(&self) -> String {
        if self.is_number { self.text.clone() } else { format!("({})", self.text) }
    }
}

impl Countdown {
    fn pair(&self, random: &mut Random, count: (u64, u64)) -> Option<(String, String)> {
        (0..MAX_TRIES).find_map(|_| {
            let numbers: Vec<u64> =
                (0..random.within(count.0, count.1)).map(|_| random.within(1, self.value_max)).collect();
            let built = combine(&numbers, random)?;
            let target = built.value;
            let written: Vec<String> = numbers.iter().map(u64::to_string).collect();
            (1..=self.target_max).contains(&target).then(|| (format!("{}:{target}=", written.join(",")), built.text))
        })
    }
}

/// Joins two random values by a random operation until one is left; intermediate results stay
/// whole and positive. `None` if an operation does not fit the two values.
fn combine(numbers: &[u64], random: &mut Random) -> Option<Built> {
    let start = |&value: &u64| Built { value, text: value.to_string(), is_number: true };
    let mut pool: Vec<Built> = numbers.iter().map(start).collect();
    while pool.len() > 1 {
        let left = pool.swap_remove(random.below(pool.len() as u64) as usize);
        let right = pool.swap_remove(random.below(pool.len() as u64) as usize);
        let operator = *random.pick(b"+-*/");
        let value = match operator {
            b'+' => left.value.checked_add(right.value)?,
            b'-' => left.value.checked_sub(right.value).filter(|&value| value > 0)?,
            b'*' => left.value.checked_mul(right.value)?,
            _ => left.value.is_multiple_of(right.value).then(|| left.value / right.value)?,
        };
        let text = format!("{}{}{}", left.as_operand(), char::from(operator), right.as_operand());
        pool.push(Built { value, text, is_number: false });
    }
    pool.pop()
}

/// The numbers (sorted) and the target of a prompt.
fn read_prompt(prompt: &str) -> Option<(Vec<u64>, u64)> {
    let (numbers, target) = prompt.strip_suffix('=')?.split_once(':')?;
    let mut numbers = numbers.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    numbers.sort_unstable();
    Some((numbers, target.parse().ok()?))
}

/// The text of the last `<answer>…</answer>`, else the whole completion, with `* / -` for `× ÷ −`.
fn expression_of(completion: &str) -> String {
    let tagged = completion.rfind("<answer>").and_then(|open| {
        let inside = &completion[open + "<answer>".len()..];
        Some(&inside[..inside.find("</answer>")?])
    });
    fold(python_strip(tagged.unwrap_or(completion))).replace('×', "*").replace('÷', "/")
}

impl Task for Countdown {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let numbers = (self.numbers_min, self.numbers_max);
        check_range(NAME, "numbers_min..=numbers_max", numbers, (2, MAX_NUMBERS))?;
        check_range(NAME, "1..=value_max", (1, self.value_max), (1, MAX_VALUE))?;
        check_range(NAME, "1..=target_max", (1, self.target_max), (1, MAX_VALUE * MAX_VALUE))?;
        draw_at_level(NAME, (seed, split, index), numbers, |random, numbers| self.pair(random, numbers))
    }

    /// One for an expression that uses every number exactly once and gives the target, a tenth if
    /// it gives anything else, nothing otherwise. Division is exact, not rounded.
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let read = read_prompt(&item.prompt).zip(evaluate(&expression_of(completion)));
        let Some(((numbers, target), (value, mut used))) = read else {
            return Grade::ZERO;
        };
        used.sort_unstable();
        match (used == numbers, value == Fraction::whole(target)) {
            (true, true) => Grade::ONE,
            (true, false) => Grade { reward_micro: FORMAT_REWARD_MICRO, exact: false },
            (false, _) => Grade::ZERO,
        }
    }

    /// By how many numbers there are.
    fn levels(&self) -> u32 {
        levels_of((self.numbers_min, self.numbers_max))
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn alphabet(&self) -> Option<String> {
        Some("()*+,-/0123456789:=".to_owned())
    }

    fn max_answer_chars(&self) -> usize {
        // n numbers, n - 1 operators, brackets around all but the last of the n - 1 results
        let numbers = self.numbers_max as usize;
        let digits = self.value_max.to_string().len();
        let signs = numbers.saturating_sub(1) + 2 * numbers.saturating_sub(2);
        (numbers * digits + signs).min(MAX_EXPRESSION_BYTES)
    }

    fn instruction(&self) -> Option<String> {
        Some("You are given numbers, a colon and a target. Write an arithmetic expression with +, -, *, / and brackets that uses every number exactly once and equals the target. You may think first; put the final expression in <answer> tags. Example: 3,8,9:33= is answered by <answer>3*8+9</answer>".to_owned())
    }
}
