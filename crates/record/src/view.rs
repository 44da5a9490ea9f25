//! A run as its events tell it: the one fold that terminal, summary and report are drawn from.
//!
//! Promise: the same events give the same view, whether they come live or from the log. When a run
//! is resumed, what the log says of steps after the checkpoint is forgotten, because those steps
//! are done again. Memory: a few hundred bytes per step; texts and waits are bounded.

mod curriculum;
mod money;
mod trust;

use crate::events::{
    EvalFinished, EvalStage, Event, Recorded, RolloutText, RunFinished, RunStarted, SftStep, StepMetrics,
};
pub use curriculum::Curriculum;
pub use money::Money;
use protocol::{LeaseId, WeightVersion};
use rounds::Event as Rule;
use std::collections::BTreeMap;
pub use trust::{Caught, HandedIn, Trust};

/// Rollout texts kept of one step.
const SAMPLES_PER_STEP_MAX: usize = 4;
/// Steps of which rollout texts are kept; when it is full, every second one goes.
const SAMPLED_STEPS_MAX: usize = 256;
/// Warnings kept word for word; all are counted.
const WARNINGS_KEPT_MAX: usize = 100;
/// Different pairs of who waits for what.
const WAITS_MAX: usize = 64;

/// What is known of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunView {
    /// How it began; `None` only before the first event.
    pub started: Option<RunStarted>,
    /// Warm-up steps, in order.
    pub sft: Vec<SftStep>,
    /// Training steps by number.
    pub steps: BTreeMap<u64, StepMetrics>,
    /// Evaluations, in order.
    pub evals: Vec<EvalFinished>,
    /// Some rollouts as text, by the number of the last step before them.
    pub samples: BTreeMap<u64, Vec<RolloutText>>,
    /// What groups were worth, and where leases went.
    pub curriculum: Curriculum,
    /// Groups dropped, by reason in words.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Leases issued.
    pub leases: u64,
    /// The lease of the latest batch with the newest weights, and these.
    last_trained: Option<(LeaseId, WeightVersion)>,
    /// The oldest version whose weights the newest checkpoint has.
    oldest_version: WeightVersion,
    /// Accepted groups whose weights may be kept, with their versions.
    accepted: BTreeMap<LeaseId, WeightVersion>,
    /// Groups that passed their checks.
    pub groups: u64,
    /// Completion tokens of those groups.
    pub completion_tokens: u64,
    /// Completion tokens generated for evaluations.
    pub eval_tokens: u64,
    /// Who was checked, and who was caught.
    pub trust: Trust,
    /// Who is paid, and who lost stake.
    pub money: Money,
    /// Seconds spent waiting, by who and for what.
    pub waits: BTreeMap<(String, String), f64>,
    /// The newest weights in use by the engines.
    pub version: u64,
    /// Steps behind the newest checkpoint.
    pub checkpoint_step: Option<u64>,
    /// The first warnings, word for word.
    pub warnings: Vec<String>,
    /// All warnings.
    pub warnings_count: u64,
    /// Times that the run was resumed.
    pub resumed_count: u64,
    /// Memory that the run was expected to take when it was last resumed.
    pub predicted_memory_bytes: Option<u64>,
    /// How it ended, if it has.
    pub finished: Option<RunFinished>,
    /// Time of the first event, milliseconds since 1970.
    pub begin_ms: u64,
    /// Time of the newest event, milliseconds since 1970.
    pub now_ms: u64,
    /// Milliseconds between the events of processes before this one.
    earlier_ms: u64,
    /// Time of this process's first event.
    process_begin_ms: u64,
}

impl RunView {
    /// Takes in one event.
    pub fn on_event(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::RunResumed { step, predicted_memory_bytes } => {
                self.predicted_memory_bytes = *predicted_memory_bytes;
                self.resume(*step, recorded.at_ms);
            }
            _ => self.now_ms = recorded.at_ms,
        }
        self.trust.on_event(&recorded.event, self.step());
        self.money.on_event(&recorded.event);
        self.curriculum.on_event(&recorded.event, self.step());
        match &recorded.event {
            Event::RunStarted(started) => {
                self.begin_ms = recorded.at_ms;
                self.process_begin_ms = recorded.at_ms;
                self.started = Some(started.clone());
            }
            Event::SftStep(step) => self.sft.push(step.clone()),
            Event::LeaseIssued(_) => self.leases += 1,
            Event::GroupAccepted(group) => {
                self.groups += 1;
                self.completion_tokens += group.completion_tokens;
                self.accepted.insert(group.lease, group.weight_version);
                if let Some(sample) = &group.sample {
                    self.keep_sample(sample);
                }
            }
            Event::GroupDropped { lease, reason } => {
                *self.dropped.entry(reason.label()).or_default() += 1;
                self.accepted.remove(lease);
            }
            Event::StepTrained(step) => {
                self.steps.insert(step.step, step.metrics.clone());
                let versions = step.leases.iter().filter_map(|lease| Some((*self.accepted.get(lease)?, *lease)));
                self.last_trained = versions.max().map(|(version, lease)| (lease, version));
            }
            Event::WeightsPublished { version, .. } => self.version = *version,
            Event::EvalFinished(eval) => {
                self.eval_tokens += eval.tokens;
                self.evals.push(eval.clone());
            }
            Event::CheckpointSaved { step, oldest_version, .. } => {
                self.checkpoint_step = Some(*step);
                self.oldest_version = *oldest_version;
                self.accepted.retain(|_, version| *version >= *oldest_version);
            }
            Event::Waited { who, on, seconds } => self.wait(who, on, *seconds),
            Event::Warning { message } => self.warn(message),
            Event::RunFinished(finished) => self.finished = Some(finished.clone()),
            Event::Rules { rules: Rule::Extended { steps_max } } => {
                self.started.iter_mut().for_each(|started| started.steps_max = *steps_max);
            }
            Event::RunResumed { .. }
            | Event::Rules { .. }
            | Event::TermsSet(_)
            | Event::GroupReceived(_)
            | Event::GroupRefused { .. }
            | Event::VerdictGiven(_)
            | Event::PlantAnswered { .. }
            | Event::Fined(_)
            | Event::Suspended { .. }
            | Event::LevelsSeen { .. }
            | Event::EpochClosed(_)
            | Event::EpochPosted(_)
            | Event::StakeSlashed(_)
            | Event::PaidOut(_) => {}
        }
    }

    fn resume(&mut self, step: u64, at_ms: u64) {
        self.earlier_ms += self.now_ms.saturating_sub(self.process_begin_ms);
        self.process_begin_ms = at_ms;
        self.now_ms = at_ms;
        self.resumed_count += 1;
        self.finished = None;
        self.curriculum.resume(step);
        self.steps.split_off(&(step + 1));
        self.samples.split_off(&(step + 1));
        self.evals.retain(|eval| eval.step <= step && eval.stage != EvalStage::Final);
    }

    fn keep_sample(&mut self, sample: &RolloutText) {
        let step = self.step();
        let texts = self.samples.entry(step).or_default();
        if texts.len() < SAMPLES_PER_STEP_MAX {
            texts.push(sample.clone());
        }
        if self.samples.len() > SAMPLED_STEPS_MAX {
            let mut keep = false;
            self.samples.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
    }

    fn wait(&mut self, who: &str, on: &str, seconds: f64) {
        let key = (who.to_owned(), on.to_owned());
        if self.waits.len() < WAITS_MAX || self.waits.contains_key(&key) {
            *self.waits.entry(key).or_default() += seconds;
        }
    }

    fn warn(&mut self, message: &str) {
        self.warnings_count += 1;
        if self.warnings.len() < WARNINGS_KEPT_MAX {
            self.warnings.push(message.to_owned());
        }
    }

    /// A group of the latest batch that can be checked again: its weights are in the newest checkpoint.
    pub fn checkable(&self) -> Option<LeaseId> {
        self.last_trained.filter(|(_, version)| *version >= self.oldest_version).map(|(lease, _)| lease)
    }

    /// Training steps done.
    pub fn step(&self) -> u64 {
        self.steps.last_key_value().map_or(0, |(step, _)| *step)
    }

    /// Wall seconds of all processes that worked on the run, up to the newest event.
    pub fn seconds(&self) -> f64 {
        let this = self.now_ms.saturating_sub(self.process_begin_ms);
        (self.earlier_ms + this) as f64 / 1e3
    }

    /// The tasks that were evaluated, in order of appearance.
    pub fn eval_tasks(&self) -> Vec<&str> {
        let mut tasks = Vec::new();
        for eval in &self.evals {
            if !tasks.contains(&eval.task.as_str()) {
                tasks.push(eval.task.as_str());
            }
        }
        tasks
    }

    /// The evaluations of one task, in order.
    pub fn evals_of<'a>(&'a self, task: &'a str) -> impl Iterator<Item = &'a EvalFinished> {
        self.evals.iter().filter(move |eval| eval.task == task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::{fold, network};

    #[test]
    fn steps_after_the_checkpoint_are_forgotten_on_resume_and_done_again() {
        let events = &network().events;
        let step = |wanted: u64| {
            let is = |recorded: &Recorded| matches!(&recorded.event, Event::StepTrained(t) if t.step == wanted);
            events.iter().position(is).unwrap()
        };
        // Killed after step 9, gone on from a checkpoint at 7, an hour later; then all as it was.
        let late = |recorded: &Recorded| Recorded { at_ms: recorded.at_ms + 3_600_000, ..recorded.clone() };
        let (before, after) = (&events[..=step(9)], &events[step(7) + 1..]);
        let at_ms = after[0].at_ms + 3_600_000;
        let resumed = Recorded { seq: 0, at_ms, event: Event::RunResumed { step: 7, predicted_memory_bytes: None } };
        let mut all = before.to_vec();
        all.push(resumed.clone());
        assert_eq!(fold(&all).step(), 7);
        all.extend(after.iter().map(late));
        let (view, whole) = (fold(&all), fold(events));
        assert_eq!((&view.steps, view.resumed_count), (&whole.steps, whole.resumed_count + 1));
        let redone = (before[step(9)].at_ms - after[0].at_ms) as f64 / 1e3;
        assert!((view.seconds() - whole.seconds() - redone).abs() < 1e-6, "the pause counts for nothing");
    }

    #[test]
    fn texts_stay_bounded_however_long_the_run() {
        let accepted = network().events.iter().find_map(|recorded| match &recorded.event {
            Event::GroupAccepted(group) => Some(group.clone()),
            _ => None,
        });
        let (accepted, metrics) = (accepted.unwrap(), network().view().steps[&1].clone());
        let mut view = RunView::default();
        for step in 1..=2000u64 {
            view.steps.insert(step, metrics.clone());
            let event = Event::GroupAccepted(accepted.clone());
            (0..9).for_each(|_| view.on_event(&Recorded { seq: step, at_ms: step, event: event.clone() }));
        }
        assert!(view.samples.len() <= SAMPLED_STEPS_MAX);
        assert!(view.samples.values().all(|texts| texts.len() <= SAMPLES_PER_STEP_MAX));
        assert_eq!(*view.samples.first_key_value().unwrap().0, 1, "the first is kept");
        assert_eq!(view.groups, 18_000);
    }
}
