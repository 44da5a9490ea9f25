//! Tests a task before anybody learns from it: is its grader worth obeying?
//!
//! Promise: an admitted task pays the whole reward for right answers and less than half of it, on
//! average, for anything that does not look at the question; its grader did not panic on hostile
//! text, stayed in range and gave the same grade twice.
//! Takes: a task and a seed. Gives: a report to print, or the reason for the refusal.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::numeral;
use crate::probe_texts::{USUAL_ANSWERS, commonest_characters, hostile_texts};
use crate::random::Random;
use crate::{Grade, Item, REWARD_ONE_MICRO, Split, Task, TaskError};

/// The mean reward that no answer may reach without looking at the question: half of what the
/// oracle earns. A balanced yes/no task is at the limit, so it is refused.
pub const PROBE_LIMIT_MICRO: i64 = REWARD_ONE_MICRO / 2;

/// Items that every probe answers (fewer if the task has fewer).
const ITEMS: u64 = 64;
/// Further items whose answers are tried as constants.
const CONSTANT_ITEMS: u64 = 64;
/// Characters of constants tried in all; bounds the work where answers are long.
const MAX_CONSTANT_CHARS: usize = 20_000;
const MAX_GARBAGE_CHARS: u64 = 256;
const SHOWN_CHARS: usize = 40;

/// One kind of answer and what it earned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    /// `empty`, `garbage`, `echo`, `constant`, `oracle`, `text+oracle` or `oracle+text`.
    pub name: &'static str,
    /// Mean reward over the items, in millionths, rounded down.
    pub mean_micro: i64,
    /// Items counted as solved.
    pub exact_count: u64,
    /// The best constant, or the answer to the first item; cut to its first characters.
    pub answer: String,
}

/// What the probes earned on an admitted task.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AdmissionReport {
    /// The task's name.
    pub task: String,
    /// Items that every probe answered.
    pub items: u64,
    /// All probes, in the order they were made.
    pub probes: Vec<Probe>,
}

impl AdmissionReport {
    /// The mean reward of a probe by its name.
    pub fn mean_micro(&self, probe: &str) -> Option<i64> {
        self.probes.iter().find(|p| p.name == probe).map(|p| p.mean_micro)
    }
}

impl fmt::Display for AdmissionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: admitted, mean reward over {} items", self.task, self.items)?;
        for probe in &self.probes {
            let (whole, rest) = (probe.mean_micro / REWARD_ONE_MICRO, probe.mean_micro % REWARD_ONE_MICRO / 1000);
            writeln!(f, "  {:<12} {whole}.{rest:03}  {:?}", probe.name, probe.answer)?;
        }
        Ok(())
    }
}

/// Puts the task to the test on items of its training split.
///
/// Errors: `OracleFails`, `ProbeTooGood`, `RewardOutOfRange`, `GraderPanicked`,
/// `NotDeterministic`, or whatever [`Task::item`] says.
pub fn admit(task: &dyn Task, seed: u64) -> Result<AdmissionReport, TaskError> {
    let exam = Exam::new(task, seed)?;
    exam.check_oracle()?;
    let oracle = |item: &Item| task.oracle(item);
    let before = |item: &Item| format!("The answer is: {}", oracle(item));
    let behind = |item: &Item| format!("{} and that is all.", oracle(item));
    let mut probes = vec![
        exam.probe("empty", &exam.answers(|_| String::new()))?,
        exam.probe("garbage", &exam.answers(|item| exam.garbage(item.index)))?,
        exam.echo()?,
        exam.best_constant()?,
        exam.probe("oracle", &exam.answers(oracle))?,
        exam.probe("text+oracle", &exam.answers(before))?,
        exam.probe("oracle+text", &exam.answers(behind))?,
    ];
    for probe in &mut probes {
        probe.answer = shown(&probe.answer);
        let blind = matches!(probe.name, "empty" | "garbage" | "echo" | "constant");
        if blind && probe.mean_micro >= PROBE_LIMIT_MICRO {
            return Err(TaskError::ProbeTooGood {
                task: task.name().to_owned(),
                probe: probe.name,
                answer: probe.answer.clone(),
                mean_micro: probe.mean_micro,
                limit_micro: PROBE_LIMIT_MICRO,
            });
        }
    }
    Ok(AdmissionReport { task: task.name().to_owned(), items: exam.items.len() as u64, probes })
}

/// A task with the items it is examined on.
struct Exam<'t> {
    task: &'t dyn Task,
    seed: u64,
    items: Vec<Item>,
    /// Items whose answers are tried as constants; begins with `items`.
    models: Vec<Item>,
}

impl<'t> Exam<'t> {
    fn new(task: &'t dyn Task, seed: u64) -> Result<Self, TaskError> {
        let len = task.len(Split::Train).unwrap_or(u64::MAX);
        let item = |index| task.item(seed, Split::Train, index);
        let models: Vec<Item> = (0..len.min(ITEMS + CONSTANT_ITEMS)).map(item).collect::<Result<_, _>>()?;
        let items = models[..models.len().min(ITEMS as usize)].to_vec();
        let Some(first) = items.first() else {
            let (task, split) = (task.name().to_owned(), Split::Train);
            return Err(TaskError::SplitTooSmall { task, split, attempts: 0 });
        };
        if item(first.index)? != *first {
            let task = task.name().to_owned();
            return Err(TaskError::NotDeterministic { task, what: "item" });
        }
        Ok(Self { task, seed, items, models })
    }

    fn name(&self) -> String {
        self.task.name().to_owned()
    }

    /// Grades with the range checked and a panic turned into an error.
    fn grade(&self, item: &Item, answer: &str) -> Result<Grade, TaskError> {
        let shown = || shown(answer);
        // a grader takes shared references only, so nothing half-done can be seen afterwards
        let grade = catch_unwind(AssertUnwindSafe(|| self.task.grade(item, answer)))
            .map_err(|_| TaskError::GraderPanicked { task: self.name(), answer: shown() })?;
        if !(0..=REWARD_ONE_MICRO).contains(&grade.reward_micro) {
            let (task, answer, given_micro) = (self.name(), shown(), grade.reward_micro);
            return Err(TaskError::RewardOutOfRange { task, answer, given_micro });
        }
        Ok(grade)
    }

    /// The oracle must be paid in full, every time, twice the same.
    fn check_oracle(&self) -> Result<(), TaskError> {
        for item in &self.items {
            let answer = self.task.oracle(item);
            let grade = self.grade(item, &answer)?;
            if grade != Grade::ONE {
                return Err(TaskError::OracleFails {
                    task: self.name(),
                    prompt: shown(&item.prompt),
                    answer: shown(&answer),
                    given_micro: grade.reward_micro,
                    exact: grade.exact,
                });
            }
            if self.grade(item, &answer)? != grade {
                return Err(TaskError::NotDeterministic { task: self.name(), what: "grade" });
            }
        }
        Ok(())
    }

    /// One answer to each item.
    fn answers(&self, answer: impl Fn(&Item) -> String) -> Vec<String> {
        self.items.iter().map(answer).collect()
    }

    fn probe(&self, name: &'static str, answers: &[String]) -> Result<Probe, TaskError> {
        let (mut total, mut exact_count) = (0, 0);
        for (item, answer) in self.items.iter().zip(answers) {
            let grade = self.grade(item, answer)?;
            total += grade.reward_micro;
            exact_count += u64::from(grade.exact);
        }
        let mean_micro = total / self.items.len() as i64;
        let answer = answers.first().cloned().unwrap_or_default();
        Ok(Probe { name, mean_micro, exact_count, answer })
    }

    /// The probe with the highest mean; the first of equals.
    fn best(&self, name: &'static str, mut candidates: impl Iterator<Item = Vec<String>>) -> Result<Probe, TaskError> {
        let mut best = self.probe(name, &candidates.next().unwrap_or_default())?;
        for answers in candidates {
            let probe = self.probe(name, &answers)?;
            if probe.mean_micro > best.mean_micro {
                best = probe;
            }
        }
        Ok(best)
    }

    /// Random text: every second one over the task's own characters, the others over all of
    /// printable ASCII and some that are not.
    fn garbage(&self, number: u64) -> String {
        let mut random = Random::new(&[b"garbage", &self.seed.to_le_bytes(), &number.to_le_bytes()]);
        let wild = (' '..='~').chain("\n\t\0é漢😀\u{202e}".chars()).collect();
        let own: Vec<char> = self.task.alphabet().unwrap_or_default().chars().collect();
        let alphabet = if number.is_multiple_of(2) && !own.is_empty() { own } else { wild };
        let most = (self.task.max_answer_chars() as u64).saturating_mul(2).clamp(1, MAX_GARBAGE_CHARS);
        (0..random.within(1, most)).map(|_| *random.pick(&alphabet)).collect()
    }

    /// The prompt given back: bare, without its last sign, or in the form of an answer.
    fn echo(&self) -> Result<Probe, TaskError> {
        let framed = |item: &Item| self.task.oracle(item).replacen(&item.answer, &item.prompt, 1);
        let forms = [
            self.answers(|item| item.prompt.clone()),
            self.answers(|item| item.prompt.trim_end_matches('=').to_owned()),
            self.answers(framed),
        ];
        self.best("echo", forms.into_iter())
    }

    fn best_constant(&self) -> Result<Probe, TaskError> {
        let same = |text: String| vec![text; self.items.len()];
        self.best("constant", self.constants().into_iter().map(same))
    }

    /// Answers to try on every item: hostile text, usual words, the answer made of the commonest
    /// character at each place, final numbers, and the answers to other items.
    fn constants(&self) -> BTreeSet<String> {
        let oracles: Vec<String> = self.models.iter().map(|item| self.task.oracle(item)).collect();
        let mut constants: BTreeSet<String> = hostile_texts();
        constants.extend(USUAL_ANSWERS.iter().map(|&word| word.to_owned()));
        constants.extend(oracles.iter().filter_map(|oracle| Some(numeral::last(oracle)?.written())));
        constants.insert(commonest_characters(&oracles));
        let answers = self.models.iter().map(|item| item.answer.clone());
        let mut room = MAX_CONSTANT_CHARS;
        for text in oracles.iter().cloned().chain(answers) {
            let Some(left) = room.checked_sub(text.chars().count()) else {
                break;
            };
            room = left;
            constants.insert(text);
        }
        constants
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
