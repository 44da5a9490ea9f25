//! Numbers of every step under the names that prime-rl and TRL users know, as JSON lines.
//!
//! Promise: `metrics.jsonl` has one line per training step (and one per evaluation and per warm-up
//! step), each a flat object with `step`; it is made from the event log alone and is complete
//! again after a resume. A name of prime-rl or TRL is used where the meaning is equal, and only there; what was
//! not measured has no entry. No two lines give one name a value at one step. `docs/metrics.md` is made from the
//! tables here.

mod table;

use crate::events::{EvalFinished, EvalStage, Event, Recorded};
use crate::run_dir::{self, RunDirError};
use crate::store::{EventLog, StoreError};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
pub use table::{EVAL_METRICS, METRICS, Metric, SFT_METRICS};

/// `count / seconds`; `None` where no time passed.
pub fn per_second(count: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0).then(|| count as f64 / seconds)
}

/// The numbers of one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whether `step` counts steps of the supervised warm-up.
    pub is_sft: bool,
    /// The step.
    pub step: u64,
    /// Names and numbers.
    pub numbers: Vec<(String, f64)>,
}

/// Turns events into points, each score of a step once.
#[derive(Debug, Default)]
pub struct Points {
    /// Tasks and steps that have a score.
    scored: BTreeSet<(bool, u64, String)>,
}

impl Points {
    /// The event's numbers, if it has any to show. Of the same weights scored twice, the first.
    pub fn of(&mut self, event: &Event) -> Option<Point> {
        match event {
            Event::StepTrained(trained) => {
                let numbers = named(METRICS, &trained.metrics, str::to_owned);
                Some(Point { is_sft: false, step: trained.step, numbers })
            }
            Event::SftStep(sft) => {
                Some(Point { is_sft: true, step: sft.step, numbers: named(SFT_METRICS, sft, str::to_owned) })
            }
            Event::EvalFinished(eval) => {
                let point = eval_point(eval);
                self.scored.insert((point.is_sft, point.step, eval.task.clone())).then_some(point)
            }
            _ => None,
        }
    }
}

fn named<T>(table: &[Metric<T>], of: &T, name: impl Fn(&str) -> String) -> Vec<(String, f64)> {
    table.iter().filter_map(|metric| Some((name(metric.name), (metric.value)(of)?))).collect()
}

/// Scores of the supervised part stand apart: their steps are others.
fn eval_point(eval: &EvalFinished) -> Point {
    let is_sft = matches!(eval.stage, EvalStage::Start | EvalStage::AfterSft);
    let part = if is_sft { "sft/" } else { "" };
    let name = |pattern: &str| {
        part.to_owned() + &pattern.replace("{task}", &eval.task).replace("{k}", &eval.samples.to_string())
    };
    Point { is_sft, step: eval.step, numbers: named(EVAL_METRICS, eval, name) }
}

/// The events of a log that have numbers to show, without those of steps that a resumed run has done again.
///
/// Errors: those of the log.
pub fn events(log: &EventLog) -> Result<Vec<Recorded>, StoreError> {
    let mut kept: Vec<Recorded> = Vec::new();
    log.replay(1, |recorded| {
        match &recorded.event {
            // Warm-up comes before every checkpoint.
            Event::RunResumed { step, .. } => kept.retain(|earlier| training_step(&earlier.event) <= *step),
            Event::StepTrained(_) | Event::SftStep(_) | Event::EvalFinished(_) => kept.push(recorded),
            _ => {}
        }
        Ok::<(), StoreError>(())
    })?;
    Ok(kept)
}

fn training_step(event: &Event) -> u64 {
    match event {
        Event::StepTrained(trained) => trained.step,
        Event::EvalFinished(eval) if !eval_point(eval).is_sft => eval.step,
        _ => 0,
    }
}

/// `metrics.jsonl` of one run.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Writes the file anew, empty, and stays open for more.
    ///
    /// Errors: those of the file, with its name.
    pub fn create(path: &Path) -> Result<Self, RunDirError> {
        run_dir::write_whole(path, b"")?;
        let file = OpenOptions::new().append(true).open(path).map_err(|source| io_error(path, source))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds a point as a line; a line goes out in one write.
    pub fn add(&mut self, at_ms: u64, point: &Point) -> Result<(), RunDirError> {
        self.file.write_all(line(at_ms, point).as_bytes()).map_err(|source| io_error(&self.path, source))
    }
}

/// One point as one line of JSON. Numbers that JSON cannot hold (NaN, infinities) become `null`.
fn line(at_ms: u64, point: &Point) -> String {
    let mut object = Map::new();
    let key = if point.is_sft { "sft/step" } else { "step" };
    object.insert(key.to_owned(), Value::from(point.step));
    object.insert("time".to_owned(), Value::from(at_ms as f64 / 1e3));
    for (name, value) in &point.numbers {
        object.insert(name.clone(), Value::from(*value));
    }
    Value::Object(object).to_string() + "\n"
}

fn io_error(path: &Path, source: io::Error) -> RunDirError {
    RunDirError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
