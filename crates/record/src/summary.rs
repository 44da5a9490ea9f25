//! The run in numbers: `summary.json` and the few lines printed at the end.
//!
//! Promise: made from the view alone; every number says its unit in its name or its doc, and a
//! number that was not measured is absent rather than zero.

mod payout;
mod verification;

use crate::events::{EvalFinished, EvalStage, Outcome, PhaseSeconds, StepMetrics};
use crate::machine::Machine;
use crate::metrics::per_second;
use crate::view::RunView;
pub use payout::Payout;
pub(crate) use payout::{esm, some_esm};
use rounds::DropReason;
use serde::Serialize;
use std::collections::BTreeMap;
pub(crate) use verification::percent;
pub use verification::{CaughtLiar, Groups, Liar, Rested, Seconds, Verification};

/// `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Name of the run.
    pub name: String,
    /// How it ended; absent if it was killed or still goes on.
    pub outcome: Option<Outcome>,
    /// Training steps done.
    pub steps: u64,
    /// Wall seconds of all processes that worked on the run.
    pub seconds: f64,
    /// Held-out scores by task.
    pub scores: BTreeMap<String, Scores>,
    /// Tokens counted.
    pub tokens: Tokens,
    /// Rollouts trained on.
    pub rollouts_trained: u64,
    /// Groups that passed their checks.
    pub groups: u64,
    /// How many groups were worth what they cost.
    pub useful: Useful,
    /// Groups not trained on, by reason.
    pub groups_dropped: BTreeMap<&'static str, u64>,
    /// What was checked, and who was caught.
    pub verification: Verification,
    /// Who was paid, and who lost stake; absent for a run without a ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payout: Option<Payout>,
    /// Seconds by phase, summed over the steps; in `async` mode `generate` overlaps the others.
    pub phase_seconds: PhaseSeconds,
    /// Seconds of the steps of supervised training; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sft_seconds: Option<f64>,
    /// Steps of supervised training done.
    pub sft_steps: u64,
    /// Age of trained rollouts in weight versions; absent before the first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<Staleness>,
    /// Tokens per second of wall time.
    pub tokens_per_second: TokenRates,
    /// Seconds spent waiting, by who and for what.
    pub wait_seconds: BTreeMap<String, f64>,
    /// Largest memory that the process has held; absent if the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What it was expected to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_memory_bytes: Option<u64>,
    /// Weights in the model.
    pub parameter_count: u64,
    /// Times that the run was resumed.
    pub resumed_count: u64,
    /// Warnings given.
    pub warnings_count: u64,
    /// Folder of the final weights, relative to the run folder.
    pub model_path: Option<String>,
    /// Version of this program.
    pub program_version: String,
    /// Where it ran.
    pub machine: Machine,
}

/// Held-out scores of one task before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// Before the supervised warm-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Score>,
    /// Before RL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_rl: Option<Score>,
    /// With the final weights, or the newest there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Score>,
    /// `after.exact_mean - before_rl.exact_mean`; of a supervised run, `after.exact_mean - start.exact_mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// One evaluation, in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Steps behind the weights.
    pub step: u64,
    /// avg@k: mean share of exact answers.
    pub exact_mean: f64,
    /// pass@k: share of items with an exact answer among k.
    pub pass_at_k: f64,
    /// Mean reward, 0 to 1.
    pub reward_mean: f64,
    /// Items asked.
    pub items: u64,
    /// Rollouts per item: k.
    pub samples: u64,
}

/// How many of the groups that were generated, checked and paid for were trained on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Useful {
    /// Groups found valid.
    pub groups_valid: u64,
    /// Groups in trained batches.
    pub groups_trained: u64,
    /// `groups_trained / groups_valid`; absent without a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl Useful {
    fn of(view: &RunView) -> Self {
        let (groups_valid, groups_trained) = view.curriculum.totals();
        let share = (groups_valid > 0).then(|| groups_trained as f64 / groups_valid as f64);
        Self { groups_valid, groups_trained, share }
    }

    fn to_text(&self) -> String {
        let Self { groups_valid, groups_trained, share } = self;
        let share = percent(*share);
        format!(
            "  useful groups    {groups_trained} of {groups_valid} that were found valid were trained on ({share})\n"
        )
    }
}

/// Tokens counted over the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Completion tokens generated for training, dropped groups too.
    pub generated_completion: u64,
    /// Prompt and completion tokens trained on by RL.
    pub trained: u64,
    /// Completion tokens among them.
    pub trained_completion: u64,
    /// Prompt and completion tokens of supervised training.
    pub sft_trained: u64,
    /// Completion tokens among them: those with a loss.
    pub sft_trained_completion: u64,
    /// Completion tokens generated for evaluations.
    pub eval_completion: u64,
}

/// Tokens per second of wall time. What is trained on counts prompt and completion tokens, in RL as in supervised
/// training; what is generated counts completion tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenRates {
    /// `tokens.trained / phase_seconds.step`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained: Option<f64>,
    /// Completion tokens of all steps' groups `/ phase_seconds.step`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_completion: Option<f64>,
    /// `tokens.sft_trained / sft_seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sft_trained: Option<f64>,
}

/// Age of trained rollouts in weight versions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Staleness {
    /// Mean over steps.
    pub mean: f64,
    /// Largest seen.
    pub max: f64,
    /// Groups dropped for age.
    pub dropped_groups: u64,
}

impl Summary {
    /// Sums up a view.
    pub fn of(view: &RunView) -> Self {
        let started = view.started.as_ref();
        let steps = || view.steps.values();
        let phase_seconds = steps().fold(PhaseSeconds::default(), |sum, m| sum + m.time);
        let sft_seconds = sum(view.sft.iter().map(|step| step.seconds));
        let tokens = tokens(view);
        Self {
            name: started.map(|s| s.name.clone()).unwrap_or_default(),
            outcome: view.finished.as_ref().map(|f| f.outcome.clone()),
            steps: view.step(),
            seconds: view.seconds(),
            scores: scores(view),
            rollouts_trained: steps().map(|m| m.batch.rollouts).sum(),
            groups: view.groups,
            useful: Useful::of(view),
            groups_dropped: view.dropped.clone(),
            sft_steps: view.sft.len() as u64,
            staleness: staleness(view),
            tokens_per_second: TokenRates {
                trained: per_second(tokens.trained, phase_seconds.step),
                generated_completion: per_second(steps().map(StepMetrics::tokens_generated).sum(), phase_seconds.step),
                sft_trained: sft_seconds.and_then(|seconds| per_second(tokens.sft_trained, seconds)),
            },
            sft_seconds,
            tokens,
            verification: Verification::of(view, &phase_seconds),
            payout: Payout::of(view),
            phase_seconds,
            wait_seconds: waits(view),
            peak_memory_bytes: peak_memory_bytes(view),
            predicted_memory_bytes: view.predicted_memory_bytes.or(started.and_then(|s| s.predicted_memory_bytes)),
            parameter_count: started.map_or(0, |s| s.parameter_count),
            resumed_count: view.resumed_count,
            warnings_count: view.warnings_count,
            model_path: view.finished.as_ref().and_then(|f| f.model_path.clone()),
            program_version: started.map(|s| s.program_version.clone()).unwrap_or_default(),
            machine: started.map(|s| s.machine.clone()).unwrap_or_default(),
        }
    }

    /// The few lines that a person reads at the end.
    pub fn to_text(&self) -> String {
        let outcome = self.outcome.as_ref().map_or("not finished".to_owned(), Outcome::label);
        let mut text = format!("{}: {outcome}; {} steps in {}\n", self.name, self.steps, duration(self.seconds));
        for (task, scores) in &self.scores {
            let parts: Vec<String> =
                [("at the start", &scores.start), ("before RL", &scores.before_rl), ("after", &scores.after)]
                    .into_iter()
                    .filter_map(|(label, score)| Some(format!("{label} {:.3}", score.as_ref()?.exact_mean)))
                    .collect();
            text += &format!("  held-out exact   {}   ({task})\n", parts.join("  →  "));
        }
        if let (Some(seconds), Some(rate)) = (self.sft_seconds, self.tokens_per_second.sft_trained) {
            let Tokens { sft_trained, sft_trained_completion, .. } = &self.tokens;
            text += &format!(
                "  supervised       {} steps in {}; {} tokens trained on, {} of them completion; {} trained tokens/s\n",
                self.sft_steps,
                duration(seconds),
                count(*sft_trained as f64),
                count(*sft_trained_completion as f64),
                count(rate)
            );
        }
        text += &self.useful.to_text();
        let Some(staleness) = &self.staleness else { return text }; // no step, so nothing of RL to tell
        let Tokens { generated_completion, trained, trained_completion, .. } = &self.tokens;
        let rate = |rate: Option<f64>| rate.map_or("–".to_owned(), count);
        text += &format!(
            "  generated        {} completion tokens; {} tokens/s\n",
            count(*generated_completion as f64),
            rate(self.tokens_per_second.generated_completion)
        );
        text += &format!(
            "  trained on       {} tokens, {} of them completion; {} tokens/s\n",
            count(*trained as f64),
            count(*trained_completion as f64),
            rate(self.tokens_per_second.trained)
        );
        text += &format!(
            "  staleness        mean {:.2}, largest {} versions; {} groups dropped for it\n",
            staleness.mean, staleness.max, staleness.dropped_groups
        );
        if let Some(bytes) = self.peak_memory_bytes {
            let predicted = self.predicted_memory_bytes;
            let predicted = predicted.map_or(String::new(), |bytes| format!(", {} MB predicted", megabytes(bytes)));
            text += &format!("  memory           {} MB at most{predicted}\n", megabytes(bytes));
        }
        text += &self.verification.to_text();
        text + &self.payout.as_ref().map_or(String::new(), Payout::to_text)
    }
}

fn tokens(view: &RunView) -> Tokens {
    let steps = || view.steps.values();
    let sft = || view.sft.iter().map(|step| step.learnt.batch);
    Tokens {
        generated_completion: view.completion_tokens,
        trained: steps().map(StepMetrics::tokens_trained).sum(),
        trained_completion: steps().map(|m| m.learnt.batch.completion_tokens as u64).sum(),
        sft_trained: sft().map(|batch| batch.tokens as u64).sum(),
        sft_trained_completion: sft().map(|batch| batch.completion_tokens as u64).sum(),
        eval_completion: view.eval_tokens,
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

fn peak_memory_bytes(view: &RunView) -> Option<u64> {
    let steps = view.steps.values().filter_map(|m| m.peak_memory_bytes);
    let sft = view.sft.iter().filter_map(|step| step.peak_memory_bytes);
    steps.chain(sft).chain(view.finished.as_ref().and_then(|finished| finished.peak_memory_bytes)).max()
}

/// `None` of no numbers: their sum would be -0.
fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(|sum, value| sum + value)
}

fn staleness(view: &RunView) -> Option<Staleness> {
    let ages = || view.steps.values().map(|m| &m.staleness);
    Some(Staleness {
        mean: sum(ages().map(|age| age.mean))? / view.steps.len() as f64,
        max: ages().map(|age| age.max).fold(0.0, f64::max),
        dropped_groups: view.dropped.get(DropReason::Stale { limit: 0, given: 0 }.label()).copied().unwrap_or(0),
    })
}

fn waits(view: &RunView) -> BTreeMap<String, f64> {
    let named = |((who, on), seconds): (&(String, String), &f64)| (format!("{who} for {on}"), *seconds);
    view.waits.iter().map(named).collect()
}

fn scores(view: &RunView) -> BTreeMap<String, Scores> {
    let score = |eval: &EvalFinished| Score {
        step: eval.step,
        exact_mean: eval.exact_mean,
        pass_at_k: eval.pass_at_k,
        reward_mean: eval.reward_mean,
        items: eval.items,
        samples: eval.samples,
    };
    let of = |task: &str| {
        let at = |stage| view.evals_of(task).filter(|eval| eval.stage == stage).last().map(score);
        let (start, before_rl) = (at(EvalStage::Start), at(EvalStage::BeforeRl));
        let after = [EvalStage::Final, EvalStage::AfterSft, EvalStage::During].into_iter().find_map(at);
        let before = before_rl.as_ref().or(start.as_ref());
        let gain = before.zip(after.as_ref()).map(|(b, a)| a.exact_mean - b.exact_mean);
        Scores { start, before_rl, after, gain }
    };
    view.eval_tasks().into_iter().map(|task| (task.to_owned(), of(task))).collect()
}

/// `83.2 s` as `1m23s`, for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 if seconds < 10.0 => format!("{seconds:.1}s"),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// `12345` as `12.3k`, for people.
pub fn count(value: f64) -> String {
    match value.abs() {
        x if x >= 1e9 => format!("{:.2}G", value / 1e9),
        x if x >= 1e6 => format!("{:.2}M", value / 1e6),
        x if x >= 1e4 => format!("{:.1}k", value / 1e3),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests;
