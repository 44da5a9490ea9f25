//! What a person sees while a run goes on.
//!
//! Promise: a terminal gets a live view of a few lines, a pipe or file gets plain lines at a calm
//! rate, `--json` gets every event as one line, `--quiet` only warnings and the result. All is made
//! from the view; a screen that cannot be written to never harms the run.

use crate::cli::Global;
use crate::events::{EpochClosed, EvalFinished, EvalStage, Event, Recorded, SftStep, StepMetrics};
use crate::metrics::per_second;
use crate::summary::{CaughtLiar, Summary, count, duration, esm, percent};
use crate::view::{Caught, Money, RunView, Trust};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// Least time between two plain lines about steps.
const LINE_EVERY_MS: u64 = 2_000;
/// Least time between two plain lines about epochs.
const EPOCH_LINE_EVERY_MS: u64 = 20_000;
/// Steps shown by the sparkline.
const SPARK_STEPS: usize = 40;
/// Steps over which the time left is reckoned.
const ETA_STEPS: usize = 20;

/// One of the ways to show a run.
pub enum Screen {
    /// A few lines that are drawn again and again.
    Live(Box<Live>),
    /// One line per so often.
    Plain(Plain),
    /// Every event as JSON.
    Json,
    /// Warnings and the result.
    Quiet,
}

impl Screen {
    /// The screen that fits the options and the terminal.
    pub fn choose(global: &Global) -> Self {
        if global.json {
            Self::Json
        } else if global.quiet {
            Self::Quiet
        } else if io::stdout().is_terminal() {
            Self::Live(Box::new(Live::new(ProgressDrawTarget::stdout())))
        } else {
            Self::Plain(Plain::default())
        }
    }

    /// Shows an event that the view has taken in already.
    pub fn show(&mut self, view: &RunView, recorded: &Recorded) {
        match self {
            Self::Live(live) => live.show(view, recorded),
            Self::Plain(plain) => plain.line(view, recorded).iter().for_each(|line| say(line)),
            Self::Json => {
                json_line(recorded).iter().for_each(|line| say(line));
                if matches!(recorded.event, Event::RunFinished(_)) {
                    say(&serde_json::json!({ "summary": Summary::of(view) }).to_string());
                }
            }
            Self::Quiet => match &recorded.event {
                Event::Warning { message } => eprintln!("warning: {message}"),
                Event::Fined(_) => {
                    view.trust.fined.last().into_iter().for_each(|caught| eprintln!("{}", fine_line(caught)))
                }
                Event::RunFinished(_) => say(Summary::of(view).to_text().trim_end()),
                _ => {}
            },
        }
    }

    /// One more line of the result, for people.
    pub fn tell(&mut self, label: &str, text: &str) {
        if !matches!(self, Self::Json) {
            say(&format!("  {label:<16} {text}"));
        }
    }

    /// Tells who waits on whom; empty for nobody.
    pub fn waits(&mut self, waits: &str) {
        if let Self::Live(live) = self {
            live.waits(waits);
        }
    }
}

/// Prints a line; a reader that went away is no reason to stop training.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn json_line(recorded: &Recorded) -> Option<String> {
    // The state machine's own events are for resuming, not for people or their tools.
    if matches!(recorded.event, Event::Rules { .. }) {
        return None;
    }
    serde_json::to_string(recorded).ok()
}

/// Plain lines at a calm rate.
#[derive(Debug, Default)]
pub struct Plain {
    last_ms: u64,
    epoch_ms: u64,
}

impl Plain {
    /// The line for an event, if it is worth one now.
    fn line(&mut self, view: &RunView, recorded: &Recorded) -> Option<String> {
        match &recorded.event {
            Event::StepTrained(trained) => self
                .is_due(recorded.at_ms, trained.step == 1 || Some(trained.step) == steps_max(view))
                .then(|| step_line(view, trained.step, &trained.metrics)),
            Event::SftStep(step) => self
                .is_due(recorded.at_ms, step.step == 1 || Some(step.step) == sft_steps_max(view))
                .then(|| sft_line(view, step)),
            Event::EpochClosed(epoch) if recorded.at_ms >= self.epoch_ms + EPOCH_LINE_EVERY_MS => {
                self.epoch_ms = recorded.at_ms;
                Some(epoch_line(epoch))
            }
            _ => notice(view, &recorded.event),
        }
    }

    fn is_due(&mut self, at_ms: u64, always: bool) -> bool {
        let due = always || at_ms >= self.last_ms + LINE_EVERY_MS;
        if due {
            self.last_ms = at_ms;
        }
        due
    }
}

fn steps_max(view: &RunView) -> Option<u64> {
    view.started.as_ref().map(|started| started.steps_max)
}

fn sft_steps_max(view: &RunView) -> Option<u64> {
    view.started.as_ref().map(|started| started.sft_steps_max)
}

fn step_line(view: &RunView, step: u64, m: &StepMetrics) -> String {
    format!("step {step}/{}  {}  {}", steps_max(view).unwrap_or(step), reward_text(m), state_text(view, m))
}

fn reward_text(m: &StepMetrics) -> String {
    let reward = m.reward_all_mean.unwrap_or(m.reward.mean);
    format!("reward {reward:.3}  exact {:.3}", m.exact_share)
}

fn state_text(view: &RunView, m: &StepMetrics) -> String {
    let mut text = format!(
        "loss {:.4}  entropy {:.3}  stale {:.1} (max {:.0})  {} tok/s",
        m.loss,
        m.entropy,
        m.staleness.mean,
        m.staleness.max,
        count(per_second(m.tokens_trained, m.time.step))
    );
    if let Some(left) = seconds_left(view) {
        text += &format!("  eta {}", duration(left));
    }
    text
}

fn sft_line(view: &RunView, step: &SftStep) -> String {
    format!(
        "warm-up {}/{}  loss {:.4}  {} tok/s",
        step.step,
        sft_steps_max(view).unwrap_or(step.step),
        step.loss,
        count(per_second(step.tokens, step.seconds))
    )
}

/// Mean time of the last steps, times the steps that are left.
fn seconds_left(view: &RunView) -> Option<f64> {
    let left = steps_max(view)?.checked_sub(view.step())?;
    let last = view.steps.values().rev().take(ETA_STEPS);
    let (sum, steps) = last.fold((0.0, 0u32), |(sum, n), m| (sum + m.time.step, n + 1));
    (steps > 0).then(|| sum / f64::from(steps) * left as f64)
}

/// A line for the events that are worth one whenever they happen.
fn notice(view: &RunView, event: &Event) -> Option<String> {
    match event {
        Event::RunStarted(started) => Some(format!(
            "{}: {} parameters on {}, {} cores",
            started.name,
            count(started.parameter_count as f64),
            started.machine.device,
            started.machine.cores
        )),
        Event::RunResumed { step } => Some(format!("resumed after step {step}")),
        Event::EvalFinished(eval) => Some(eval_line(eval)),
        Event::Warning { message } => Some(format!("warning: {message}")),
        Event::Fined(_) => view.trust.fined.last().map(fine_line),
        Event::Suspended { party } => Some(format!("{party} rests for a while: it does not answer (no fine)")),
        Event::StakeSlashed(slashed) => Some(format!("stake: {} loses {}", slashed.party, esm(slashed.amount))),
        Event::RunFinished(_) => Some(Summary::of(view).to_text().trim_end().to_owned()),
        _ => None,
    }
}

/// What was paid so far; empty before the first epoch.
fn money_text(money: &Money) -> String {
    match money.epochs.last_key_value() {
        None => String::new(),
        Some((_, last)) => format!("  paid {} in {} epochs", esm(last.lifetime_total), money.epochs.len()),
    }
}

fn epoch_line(closed: &EpochClosed) -> String {
    let EpochClosed { epoch, budget, root, payees, .. } = closed;
    let short = root.get(..10).unwrap_or(root);
    format!("epoch {epoch} pays {} ({payees} payees so far, root {short}…)", esm(*budget))
}

fn fine_line(caught: &Caught) -> String {
    let word = if caught.fined.cheat.is_some() { "caught" } else { "FINED" };
    format!("{word}: {}", CaughtLiar::of(caught).in_words())
}

/// What the checks found so far; empty before the first verdict.
fn trust_text(trust: &Trust) -> String {
    if trust.verdicts == 0 && trust.fined.is_empty() {
        return String::new();
    }
    let share = trust.rollouts_checked as f64 / trust.rollouts.max(1) as f64;
    let mut text = format!(
        "  checked {}  valid {}  invalid {}  unchecked {}",
        percent(Some(share)),
        trust.groups_valid,
        trust.groups_invalid,
        trust.groups_unchecked
    );
    if !trust.fined.is_empty() {
        let names: Vec<String> = trust.fined.iter().map(|caught| caught.fined.party.to_string()).collect();
        text += &format!("  fined {}: {}", names.len(), names.join(", "));
    }
    text
}

fn eval_line(eval: &EvalFinished) -> String {
    let stage = match eval.stage {
        EvalStage::Start => "untrained".to_owned(),
        EvalStage::BeforeRl => "before RL".to_owned(),
        EvalStage::During => format!("step {}", eval.step),
        EvalStage::Final => "final".to_owned(),
    };
    let pass = if eval.samples > 1 { format!("  pass@{} {:.3}", eval.samples, eval.pass_at_k) } else { String::new() };
    format!(
        "held-out {stage}: exact {:.3}{pass}  reward {:.3}  ({}, {} items)",
        eval.exact_mean, eval.reward_mean, eval.task, eval.items
    )
}

/// A curve in one line of text; `low` and `high` are the bottom and top of the scale.
fn sparkline(values: &[f64], low: f64, high: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |value: &f64| {
        let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        // A NaN becomes 0 in the conversion, and so the lowest bar.
        BARS[((share.clamp(0.0, 1.0) * 7.0).round() as usize).min(7)]
    };
    values.iter().map(bar).collect()
}

/// A few lines drawn again and again.
pub struct Live {
    lines: MultiProgress,
    bar: ProgressBar,
    reward: ProgressBar,
    state: ProgressBar,
    trust: ProgressBar,
    waits: ProgressBar,
}

impl Live {
    /// Draws to `target`.
    pub fn new(target: ProgressDrawTarget) -> Self {
        let lines = MultiProgress::with_draw_target(target);
        let text = || {
            let line = ProgressBar::new(0);
            line.set_style(style("{wide_msg}"));
            line
        };
        let bar = ProgressBar::new(1);
        bar.set_style(style("{prefix:.bold} {wide_bar:.cyan/black.bright} {pos}/{len} {msg}").progress_chars("━╸─"));
        Self {
            bar: lines.add(bar),
            reward: lines.add(text()),
            state: lines.add(text()),
            trust: lines.add(text()),
            waits: lines.add(text()),
            lines,
        }
    }

    fn show(&mut self, view: &RunView, recorded: &Recorded) {
        match &recorded.event {
            Event::StepTrained(trained) => self.step(view, &trained.metrics),
            Event::SftStep(step) => self.sft(view, step),
            Event::RunFinished(_) => {
                for line in [&self.bar, &self.reward, &self.state, &self.trust, &self.waits] {
                    line.finish_and_clear();
                }
                say(Summary::of(view).to_text().trim_end());
            }
            event => {
                if let Some(line) = notice(view, event) {
                    // As `say`: a terminal that went away is no reason to stop.
                    let _ = self.lines.println(line);
                }
            }
        }
    }

    fn step(&self, view: &RunView, m: &StepMetrics) {
        self.bar.set_prefix("step");
        self.bar.set_length(steps_max(view).unwrap_or(0));
        self.bar.set_position(view.step());
        self.bar.set_message(duration(view.seconds()));
        let mut rewards: Vec<f64> =
            view.steps.values().rev().take(SPARK_STEPS).map(|m| m.reward_all_mean.unwrap_or(m.reward.mean)).collect();
        rewards.reverse();
        let held_out = view
            .evals
            .last()
            .map_or(String::new(), |eval| format!("  held-out {:.3} (step {})", eval.exact_mean, eval.step));
        self.reward.set_message(format!("  {}  {}{held_out}", reward_text(m), sparkline(&rewards, 0.0, 1.0)));
        self.state.set_message(format!("  {}", state_text(view, m)));
        self.trust.set_message(trust_text(&view.trust) + &money_text(&view.money));
    }

    fn sft(&self, view: &RunView, step: &SftStep) {
        self.bar.set_prefix("warm-up");
        self.bar.set_length(sft_steps_max(view).unwrap_or(0));
        self.bar.set_position(step.step);
        self.bar.set_message(duration(view.seconds()));
        self.state.set_message(format!("  {}", sft_line(view, step)));
    }

    fn waits(&self, waits: &str) {
        let text = if waits.is_empty() { String::new() } else { format!("  waiting: {waits}") };
        if self.waits.message() != text {
            self.waits.set_message(text);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants above, so a test that draws once covers them.
    ProgressStyle::with_template(template).expect("the template is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    fn plain_lines(steps: u64) -> Vec<String> {
        let (mut view, mut plain) = (RunView::default(), Plain::default());
        let mut lines = Vec::new();
        for recorded in synthetic::run(steps) {
            view.on_event(&recorded);
            lines.extend(plain.line(&view, &recorded));
        }
        lines
    }

    #[test]
    fn plain_lines_are_calm_and_tell_first_last_and_scores() {
        let lines = plain_lines(100);
        let steps: Vec<_> = lines.iter().filter(|line| line.starts_with("step ")).collect();
        assert!(steps[0].starts_with("step 1/100  reward "), "{}", steps[0]);
        assert!(steps.last().unwrap().starts_with("step 100/100"));
        // 100 steps of 0.78 s at one line per 2 s.
        assert!((25..60).contains(&steps.len()), "{} lines", steps.len());
        assert!(lines.iter().any(|line| line.starts_with("held-out before RL: exact 0.210")));
        assert!(lines.iter().any(|line| line.starts_with("warm-up 40/40")));
        let fines: Vec<_> = lines.iter().filter(|line| line.starts_with("caught: ")).collect();
        assert_eq!(fines.len(), 2);
        assert!(fines[0].starts_with("caught: worker 3 (int8_weights) by fingerprint after 16 rollouts: sample 1: "));
        assert!(lines.last().unwrap().contains("all steps done; 100 steps"));
    }

    #[test]
    fn a_sparkline_spans_its_scale_and_bears_nan() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0, 2.0, f64::NAN], 0.0, 1.0), "▁▅██▁");
        assert_eq!(sparkline(&[3.0, 3.0], 3.0, 3.0), "▁▁");
    }

    #[test]
    fn the_live_view_draws_a_whole_run() {
        let terminal = indicatif::InMemoryTerm::new(20, 120);
        let mut live = Live::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        let mut view = RunView::default();
        let events = synthetic::run(60);
        let (end, before) = events.split_last().unwrap();
        for recorded in before {
            view.on_event(recorded);
            live.show(&view, recorded);
        }
        live.waits("trainer for batch");
        live.bar.force_draw();
        let screen = terminal.contents();
        for part in [
            "60/60",
            "reward 0.9",
            "▇",
            "entropy",
            "waiting: trainer for batch",
            "held-out final",
            "checked 25 %  valid 180  invalid 1",
            "fined 2: worker 3, worker 6",
            "stake: worker 3 loses 200.00 ESM",
        ] {
            assert!(screen.contains(part), "{part} is missing from:\n{screen}");
        }
        view.on_event(end);
        live.show(&view, end);
        assert!(!terminal.contents().contains("60/60"), "{}", terminal.contents());
    }

    #[test]
    fn json_lines_read_back_and_leave_out_the_rules() {
        for recorded in synthetic::run(5) {
            let line = json_line(&recorded).unwrap();
            assert_eq!(serde_json::from_str::<Recorded>(&line).unwrap(), recorded);
        }
    }
}
