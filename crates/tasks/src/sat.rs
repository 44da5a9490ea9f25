//! 3-SAT as GRAIL (Bittensor subnet 81) poses and rewards it.
//!
//! Promise: GRAIL's sizes, wording, format checks and reward components, in integers, divided by
//! their maximum of 1.135 and cut off below 0.
//! Unlike GRAIL, which does not make sure that an instance has a solution, an assignment is drawn
//! first and every clause is drawn anew until that assignment satisfies it, so an oracle exists.
//! The problem's seed, which GRAIL prints into the prompt, is left out: it says nothing about it.
//! Source: `grail/environments/sat_env.py` of one-covenant/grail.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::draw::check_range;
use crate::levels::{draw_at_level, levels_of};
use crate::random::Random;
use crate::{Grade, Item, REWARD_ONE_MICRO, Split, Task, TaskError};

const NAME: &str = "sat";
const OPEN: &str = "<solution>";
const CLOSE: &str = "</solution>";
/// Ends every prompt, as in GRAIL, so there is no separate [`Task::instruction`].
const INSTRUCTION: &str = "Provide your final assignment between <SOLUTION></SOLUTION> as space-separated 0/1 values for x1..xN (e.g., <SOLUTION>0 1 0 1</SOLUTION>).";
/// 4 to 15 variables and 5 to 20 clauses of 3 literals.
const VARIABLES: (u64, u64) = (4, 15);
const CLAUSES: (u64, u64) = (5, 20);
const LITERALS: usize = 3;

// Weight times value of GRAIL's components.
const CORRECT_MICRO: i64 = 1_000_000;
const MALFORMED_MICRO: i64 = -200_000;
const STRICT_MICRO: i64 = 45_000;
const SOFT_MICRO: i64 = 20_000;
const SHAPE_MICRO: i64 = 45_000;
const NO_TRAILING_MICRO: i64 = 20_000;
const TRAILING_CHAR_MICRO: i64 = 100;
const CHARSET_MICRO: i64 = 5_000;
const MAXIMUM_MICRO: i64 = CORRECT_MICRO + STRICT_MICRO + SOFT_MICRO + SHAPE_MICRO + NO_TRAILING_MICRO + CHARSET_MICRO;

/// Random 3-SAT problems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sat {
    /// Lowest difficulty in thousandths.
    pub difficulty_min: u64,
    /// Highest difficulty in thousandths. At difficulty d there are 4 + [5.5d, 11d] variables and
    /// 5 + [7.5d, 15d] clauses.
    pub difficulty_max: u64,
}

impl Default for Sat {
    /// GRAIL's `d = 0.3 + (seed mod 100) / 250`.
    fn default() -> Self {
        Self { difficulty_min: 300, difficulty_max: 696 }
    }
}

/// A problem: literals count variables from 1, negative ones are negated.
struct Problem {
    variables: usize,
    clauses: Vec<Vec<i64>>,
}

impl Problem {
    /// A problem that `assignment` solves, with the assignment.
    fn draw(difficulty: u64, random: &mut Random) -> (Self, Vec<bool>) {
        let size = |(least, most): (u64, u64), random: &mut Random| {
            let span = (most - least) * difficulty;
            random.within(least + span / 2000, least + span / 1000)
        };
        let variables = size(VARIABLES, random) as usize;
        let clauses = size(CLAUSES, random);
        let assignment: Vec<bool> = (0..variables).map(|_| random.below(2) == 1).collect();
        let clauses = (0..clauses).map(|_| planted_clause(&assignment, random)).collect();
        (Self { variables, clauses }, assignment)
    }

    fn write(&self) -> String {
        let mut text = format!("SAT Problem:\nVariables: {}\nClauses:\n", self.variables);
        for clause in &self.clauses {
            let literal = |l: &i64| format!("{}x{}", if *l < 0 { "NOT " } else { "" }, l.abs());
            let literals: Vec<String> = clause.iter().map(literal).collect();
            // writing into a String cannot fail
            let _ = writeln!(text, "  ({})", literals.join(" OR "));
        }
        text.push('\n');
        text + INSTRUCTION
    }

    fn read(prompt: &str) -> Option<Self> {
        let variables = prompt.lines().find_map(|line| line.strip_prefix("Variables: "))?;
        let clauses = prompt.lines().filter_map(|line| line.strip_prefix("  (")?.strip_suffix(')'));
        let literal = |text: &str| match text.strip_prefix("NOT ") {
            Some(negated) => Some(-negated.strip_prefix('x')?.parse::<i64>().ok()?),
            None => text.strip_prefix('x')?.parse().ok(),
        };
        let clauses: Option<Vec<Vec<i64>>> =
            clauses.map(|clause| clause.split(" OR ").map(literal).collect()).collect();
        Some(Self { variables: variables.parse().ok()?, clauses: clauses? })
    }

    fn is_solved_by(&self, assignment: &[bool]) -> bool {
        assignment.len() == self.variables && self.clauses.iter().all(|c| satisfies(assignment, c))
    }
}

fn satisfies(assignment: &[bool], clause: &[i64]) -> bool {
    clause.iter().any(|&literal| {
        let at = literal.unsigned_abs() as usize;
        // literal 0 or one beyond the variables is satisfied by nothing
        at.checked_sub(1).and_then(|at| assignment.get(at)) == Some(&(literal > 0))
    })
}

/// Three different variables with random signs, drawn until the assignment satisfies one of them.
fn planted_clause(assignment: &[bool], random: &mut Random) -> Vec<i64> {
    loop {
        // seven of the eight sign patterns satisfy it, so this ends at once
        let mut variables: Vec<i64> = (1..=assignment.len() as i64).collect();
        random.shuffle(&mut variables);
        variables.truncate(LITERALS);
        variables.iter_mut().for_each(|v| *v = if random.below(2) == 0 { -*v } else { *v });
        if satisfies(assignment, &variables) {
            return variables;
        }
    }
}

/// What GRAIL's parser sees in a completion.
struct Parsed {
    /// The values between the tags, if nothing but 0, 1 and white space stands there.
    bits: Vec<bool>,
    only_bits: bool,
    trailing_chars: i64,
    one_pair_of_tags: bool,
}

/// Finds the first `<SOLUTION>…</SOLUTION>` (any case), behind the first `</think>` if one is there.
fn parse(completion: &str) -> Option<Parsed> {
    // ASCII case folding keeps byte positions
    let text = completion.to_ascii_lowercase();
    let from = text.find("</think>").filter(|&at| find_pair(&text, at).is_some()).unwrap_or(0);
    let (start, end) = find_pair(&text, from)?;
    let (inside, trailing) = (&text[start..end], &text[end + CLOSE.len()..]);
    Some(Parsed {
        bits: inside.chars().filter(|c| matches!(c, '0' | '1')).map(|c| c == '1').collect(),
        only_bits: inside.chars().all(|c| c.is_whitespace() || matches!(c, '0' | '1')),
        trailing_chars: trailing.chars().count() as i64,
        one_pair_of_tags: text.matches(OPEN).count() == 1 && text.matches(CLOSE).count() == 1,
    })
}

fn find_pair(text: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + text[from..].find(OPEN)? + OPEN.len();
    Some((start, start + text[start..].find(CLOSE)?))
}

impl Task for Sat {
    fn name(&self) -> &str {
        NAME
    }

    fn item(&self, seed: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let difficulty = (self.difficulty_min, self.difficulty_max);
        check_range(NAME, "difficulty_min..=difficulty_max", difficulty, (0, 1000))?;
        draw_at_level(NAME, (seed, split, index), difficulty, |random, difficulty| {
            let difficulty = random.within(difficulty.0, difficulty.1);
            let (problem, assignment) = Problem::draw(difficulty, random);
            let bits: Vec<&str> = assignment.iter().map(|&value| if value { "1" } else { "0" }).collect();
            Some((problem.write(), bits.join(" ")))
        })
    }

    /// `reward = max(0, correct + strict + soft + shape + trailing + charset) / 1.135`, with
    ///
    /// - correct: 1 if well formed and all clauses hold, 0 if well formed, else -0.2; well formed:
    ///   one bit per variable, nothing else between the tags and nothing after them
    /// - strict .045: well formed and no other tags; soft .02: tags are there; shape .045: as many
    ///   bits as variables; trailing .02 less .0001 for each character after the tags, at least 0;
    ///   charset .005: nothing but bits and white space between the tags
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        let (Some(problem), Some(parsed)) = (Problem::read(&item.prompt), parse(completion)) else {
            return Grade::ZERO;
        };
        let shape = parsed.bits.len() == problem.variables;
        let well_formed = shape && parsed.only_bits && parsed.trailing_chars == 0;
        let exact = well_formed && problem.is_solved_by(&parsed.bits);
        let when = |condition: bool, micro: i64| if condition { micro } else { 0 };
        let total = when(exact, CORRECT_MICRO)
            + when(!well_formed, MALFORMED_MICRO)
            + when(well_formed && parsed.one_pair_of_tags, STRICT_MICRO)
            + SOFT_MICRO
            + when(shape, SHAPE_MICRO)
            + (NO_TRAILING_MICRO - TRAILING_CHAR_MICRO * parsed.trailing_chars).max(0)
            + when(parsed.only_bits, CHARSET_MICRO);
        Grade { reward_micro: total.max(0) * REWARD_ONE_MICRO / MAXIMUM_MICRO, exact }
    }

    fn oracle(&self, item: &Item) -> String {
        format!("<SOLUTION>{}</SOLUTION>", item.answer)
    }

    /// By difficulty.
    fn levels(&self) -> u32 {
        levels_of((self.difficulty_min, self.difficulty_max))
    }

    fn len(&self, _: Split) -> Option<u64> {
        None
    }

    fn alphabet(&self) -> Option<String> {
        let words = "SAT Problem:\nVariables: Clauses: ( OR NOT x0123456789)<SOLUTION></SOLUTION>";
        crate::text::alphabet_of([words, INSTRUCTION])
    }

    fn max_answer_chars(&self) -> usize {
        let most = VARIABLES.0 + (VARIABLES.1 - VARIABLES.0) * self.difficulty_max / 1000;
        OPEN.len() + CLOSE.len() + 2 * most as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_problem_reads_back_and_its_assignment_solves_it() {
        for n in 0u64..200 {
            let (problem, assignment) = Problem::draw(300 + n, &mut Random::new(&[&n.to_le_bytes()]));
            let read = Problem::read(&problem.write()).expect("own format");
            assert_eq!((read.variables, &read.clauses), (problem.variables, &problem.clauses));
            assert!(read.is_solved_by(&assignment));
        }
    }

    #[test]
    fn the_components_add_up_to_grails_maximum() {
        assert_eq!(MAXIMUM_MICRO, 1_135_000);
    }
}
