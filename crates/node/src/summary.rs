//! The run in numbers: `summary.json` and the few lines printed at the end.
//!
//! Promise: made from the view alone; every number says its unit in its name or its doc, and a
//! number that was not measured is absent rather than zero.

mod payout;
mod verification;

use crate::events::{EvalFinished, EvalStage, Outcome, PhaseSeconds};
use crate::machine::Machine;
use crate::view::RunView;
pub use payout::Payout;
pub(crate) use payout::{esm, some_esm};
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
    /// Seconds of the supervised warm-up's steps.
    pub sft_seconds: f64,
    /// Warm-up steps done.
    pub sft_steps: u64,
    /// Age of trained rollouts in weight versions.
    pub staleness: Staleness,
    /// Tokens trained on per second of RL wall time.
    pub tokens_trained_per_second: f64,
    /// Completion tokens generated per second of the engine's busy time.
    pub tokens_generated_per_second: f64,
    /// Seconds spent waiting, by who and for what.
    pub wait_seconds: BTreeMap<String, f64>,
    /// Largest memory that the process has held.
    pub peak_memory_bytes: u64,
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
    /// `after.exact_mean - before_rl.exact_mean`.
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
        format!("  useful groups    {groups_trained} of {groups_valid} that were found valid were trained on ({share})\n")
    }
}

/// Tokens counted over the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Completion tokens generated for training, dropped groups too.
    pub generated: u64,
    /// Prompt and completion tokens trained on by RL.
    pub trained: u64,
    /// Target tokens of the warm-up.
    pub sft: u64,
    /// Completion tokens generated for evaluations.
    pub eval: u64,
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
        let phase_seconds = phases(view);
        let trained = steps().map(|m| m.tokens_trained).sum();
        let generated = steps().map(|m| m.tokens_generated).sum();
        Self {
            name: started.map(|s| s.name.clone()).unwrap_or_default(),
            outcome: view.finished.as_ref().map(|f| f.outcome.clone()),
            steps: view.step(),
            seconds: view.seconds(),
            scores: scores(view),
            tokens: Tokens {
                generated: view.completion_tokens,
                trained,
                sft: view.sft.iter().map(|step| step.tokens).sum(),
                eval: view.eval_tokens,
            },
            rollouts_trained: steps().map(|m| m.rollouts).sum(),
            groups: view.groups,
            useful: Useful::of(view),
            groups_dropped: view.dropped.iter().map(|(why, n)| (why.label(), *n)).collect(),
            sft_seconds: view.sft.iter().map(|step| step.seconds).sum(),
            sft_steps: view.sft.len() as u64,
            staleness: staleness(view),
            tokens_trained_per_second: crate::metrics::per_second(trained, phase_seconds.step),
            tokens_generated_per_second: crate::metrics::per_second(generated, phase_seconds.generate),
            verification: Verification::of(view, &phase_seconds),
            payout: Payout::of(view),
            phase_seconds,
            wait_seconds: waits(view),
            peak_memory_bytes: steps().map(|m| m.peak_memory_bytes).max().unwrap_or(0),
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
                [("untrained", &scores.start), ("before RL", &scores.before_rl), ("after", &scores.after)]
                    .into_iter()
                    .filter_map(|(label, score)| Some(format!("{label} {:.3}", score.as_ref()?.exact_mean)))
                    .collect();
            text += &format!("  held-out exact   {}   ({task})\n", parts.join("  →  "));
        }
        if self.steps == 0 {
            return text; // a warm-up alone has neither rollouts nor staleness
        }
        text += &self.useful.to_text();
        text += &format!(
            "  tokens           {} generated, {} trained on; {} trained tokens/s\n",
            count(self.tokens.generated as f64),
            count(self.tokens.trained as f64),
            count(self.tokens_trained_per_second)
        );
        text += &format!(
            "  staleness        mean {:.2}, largest {} versions; {} groups dropped for it\n",
            self.staleness.mean, self.staleness.max, self.staleness.dropped_groups
        );
        text += &format!("  memory           {} MiB at most\n", self.peak_memory_bytes >> 20);
        text += &self.verification.to_text();
        text + &self.payout.as_ref().map_or(String::new(), Payout::to_text)
    }
}

fn phases(view: &RunView) -> PhaseSeconds {
    view.steps.values().fold(PhaseSeconds::default(), |sum, m| PhaseSeconds {
        step: sum.step + m.time.step,
        generate: sum.generate + m.time.generate,
        prove: sum.prove + m.time.prove,
        validate: sum.validate + m.time.validate,
        wait_for_batch: sum.wait_for_batch + m.time.wait_for_batch,
        pack: sum.pack + m.time.pack,
        forward_backward: sum.forward_backward + m.time.forward_backward,
        optimizer: sum.optimizer + m.time.optimizer,
        broadcast_weights: sum.broadcast_weights + m.time.broadcast_weights,
        save_ckpt: sum.save_ckpt + m.time.save_ckpt,
    })
}

fn staleness(view: &RunView) -> Staleness {
    let steps = view.steps.len().max(1) as f64;
    let all = || view.steps.values().map(|m| &m.staleness);
    Staleness {
        mean: all().map(|s| s.mean).fold(0.0, |sum, mean| sum + mean) / steps,
        max: all().map(|s| s.max).fold(0.0, f64::max),
        dropped_groups: view.dropped.get(&crate::events::DropReason::Stale).copied().unwrap_or(0),
    }
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
        let before_rl = at(EvalStage::BeforeRl);
        let after = at(EvalStage::Final).or_else(|| at(EvalStage::During));
        let gain = before_rl.as_ref().zip(after.as_ref()).map(|(b, a)| a.exact_mean - b.exact_mean);
        Scores { start: at(EvalStage::Start), before_rl, after, gain }
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
mod tests {
    use super::*;
    use crate::synthetic;
    use crate::view::tests::fold;

    #[test]
    fn the_synthetic_run_is_summed_up() {
        let summary = Summary::of(&fold(&synthetic::run(50)));
        assert_eq!((summary.steps, summary.sft_steps, summary.rollouts_trained), (50, 40, 50 * 256));
        assert_eq!(summary.tokens.generated, 50 * 3 * 64);
        assert_eq!(summary.groups_dropped["equal rewards"], 16);
        let scores = &summary.scores["spell-backward"];
        let (before, after) = (scores.before_rl.as_ref().unwrap(), scores.after.as_ref().unwrap());
        assert_eq!((before.exact_mean, after.step), (0.21, 50));
        assert!((scores.gain.unwrap() - (after.exact_mean - 0.21)).abs() < 1e-12);
        assert_eq!(summary.staleness.max, 2.0);
        assert!((summary.phase_seconds.generate - 0.41 * 50.0).abs() < 1e-9);
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["outcome"], "steps_done");
        assert!(summary.to_text().contains("untrained 0.000  →  before RL 0.210  →  after 0.97"));
    }

    #[test]
    fn a_run_without_events_has_a_summary_too() {
        let summary = Summary::of(&RunView::default());
        assert_eq!((summary.steps, summary.outcome.is_none()), (0, true));
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(duration(4.26), "4.3s");
        assert_eq!(duration(83.2), "1m23s");
        assert_eq!(duration(7322.0), "2h02m");
        assert_eq!((count(9999.0), count(12345.0), count(2.5e6)), ("9999".into(), "12.3k".into(), "2.50M".into()));
    }
}
