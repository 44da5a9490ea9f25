//! What a person sees while a run goes on.
//!
//! Promise: a terminal gets a live view of a few lines, a pipe or file gets plain lines at a calm
//! rate, `--json` gets every event as one line, `--quiet` only warnings and the result. All is made
//! from the view; a screen that cannot be written to never harms the run.

use crate::events::{EpochClosed, EvalFinished, EvalStage, Event, Recorded, RunStarted, SftStep, StepMetrics};
use crate::metrics::per_second;
use crate::output;
use crate::summary::{CaughtLiar, Summary, count, duration, esm, percent};
use crate::view::{Caught, Money, RunView, Trust};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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
    /// For a person who reads standard output: drawn on a terminal, else lines.
    pub fn for_people() -> Self {
        if output::is_terminal() {
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
                Event::Warning { message } => output::note(&format!("warning: {message}")),
                Event::Fined(_) => {
                    view.trust.fined.last().into_iter().for_each(|caught| output::note(&fine_line(caught)))
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

/// Prints a line; a reader that went away or a full disk is no reason to stop training.
fn say(line: &str) {
    output::show(line);
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
    format!("step {step}/{}  {}  {}", steps_max(view).unwrap_or(step), reward_text(view), state_text(view, m))
}

/// Both numbers are over all groups of the newest step that has any, those that are not trained on too: a step whose
/// batch lay ready may have none.
fn reward_text(view: &RunView) -> String {
    match view.steps.values().rev().find_map(|m| m.all.as_ref()) {
        Some(all) => format!("reward {:.3}  exact {:.3}", all.reward_mean, all.exact_share),
        None => "no group yet".to_owned(),
    }
}

fn state_text(view: &RunView, m: &StepMetrics) -> String {
    let mut text = format!(
        "loss {:.4}  entropy {:.3}  stale {:.1} (max {:.0})  {}",
        m.learnt.loss,
        m.learnt.policy.entropy,
        m.staleness.mean,
        m.staleness.max,
        rate_text(m.tokens_trained(), m.time.step)
    );
    if let Some(left) = seconds_left(view) {
        text += &format!("  eta {}", duration(left));
    }
    text
}

fn sft_line(view: &RunView, step: &SftStep) -> String {
    format!(
        "supervised {}/{}  loss {:.4}  lr {:.1e}  {}",
        step.step,
        sft_steps_max(view).unwrap_or(step.step),
        step.learnt.loss,
        step.learnt.lr,
        rate_text(step.learnt.batch.tokens as u64, step.seconds)
    )
}

/// Prompt and completion tokens trained on, per second of wall time.
fn rate_text(tokens: u64, seconds: f64) -> String {
    per_second(tokens, seconds).map_or(String::new(), |rate| format!("trains {} tok/s", count(rate)))
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
        Event::RunStarted(started) => Some(start_line(started)),
        Event::RunResumed { step, .. } => Some(format!("resumed after step {step}")),
        Event::EvalFinished(eval) => Some(eval_line(eval)),
        Event::Warning { message } => Some(format!("warning: {message}")),
        Event::Fined(_) => view.trust.fined.last().map(fine_line),
        Event::Suspended { party } => Some(format!("{party} rests for a while: it does not answer (no fine)")),
        Event::StakeSlashed(slashed) => Some(format!("stake: {} loses {}", slashed.party, esm(slashed.amount))),
        Event::RunFinished(_) => Some(Summary::of(view).to_text().trim_end().to_owned()),
        _ => None,
    }
}

fn start_line(started: &RunStarted) -> String {
    let RunStarted { name, machine, .. } = started;
    let size = count(started.parameter_count as f64);
    let mut text = format!("{name}: {size} parameters on {}, {} cores", machine.device, machine.cores);
    // A file that does not read names no rate.
    let settings: toml::Table = started.config_toml.parse().unwrap_or_default();
    let number = |section: &str, key: &str| settings.get(section)?.get(key);
    if let (1.., Some(lr)) = (started.sft_steps_max, number("sft", "lr").and_then(toml::Value::as_float)) {
        let warm_up = number("sft", "warmup_steps").and_then(toml::Value::as_integer).unwrap_or(0);
        let steps = started.sft_steps_max;
        text += &format!("; supervised: {steps} steps, learning rate {lr:.1e}");
        if warm_up > 0 {
            text += &format!(" after {warm_up} steps of rise");
        }
    }
    if let (1.., Some(lr)) = (started.steps_max, number("train", "lr").and_then(toml::Value::as_float)) {
        text += &format!("; RL: {} steps at most, learning rate {lr:.1e}", started.steps_max);
    }
    text
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
        EvalStage::Start => "at the start".to_owned(),
        EvalStage::AfterSft => "after supervised training".to_owned(),
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
            view.steps.values().rev().filter_map(|m| Some(m.all.as_ref()?.reward_mean)).take(SPARK_STEPS).collect();
        rewards.reverse();
        let held_out = view
            .evals
            .last()
            .map_or(String::new(), |eval| format!("  held-out {:.3} (step {})", eval.exact_mean, eval.step));
        self.reward.set_message(format!("  {}  {}{held_out}", reward_text(view), sparkline(&rewards, 0.0, 1.0)));
        self.state.set_message(format!("  {}", state_text(view, m)));
        self.trust.set_message(trust_text(&view.trust) + &money_text(&view.money));
    }

    fn sft(&self, view: &RunView, step: &SftStep) {
        self.bar.set_prefix("supervised");
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
    use crate::recorded::network;

    #[test]
    fn plain_lines_are_calm_and_tell_first_last_and_scores() {
        let (mut view, mut plain) = (RunView::default(), Plain::default());
        let mut lines = Vec::new();
        for recorded in &network().events {
            view.on_event(recorded);
            lines.extend(plain.line(&view, recorded));
        }
        let steps: Vec<_> = lines.iter().filter(|line| line.starts_with("step ")).collect();
        assert!(steps[0].starts_with("step 1/12  reward "), "{}", steps[0]);
        assert!(steps.last().unwrap().starts_with("step 24/24"));
        assert!(steps.len() as u64 <= 4 + view.seconds() as u64 * 1_000 / LINE_EVERY_MS, "{} lines", steps.len());
        let rates = "supervised: 120 steps, learning rate 3.0e-3; RL: 12 steps at most, learning rate 3.0e-4";
        assert!(lines[0].ends_with(rates), "{}", lines[0]);
        assert!(lines.iter().any(|line| line.starts_with("held-out before RL: exact 0.")));
        assert!(lines.iter().any(|line| line.starts_with("supervised 120/120")));
        let fines: Vec<_> = lines.iter().filter(|line| line.starts_with("caught: ")).collect();
        assert_eq!(fines.len(), 4);
        assert!(fines.iter().any(|line| line.starts_with("caught: worker 1 (fake_reward) by reward after ")));
        assert!(lines.last().unwrap().contains("all steps done; 24 steps"));
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
        // A screen sees one process: this run was stopped once and gone on with.
        let is_end = |recorded: &Recorded| matches!(recorded.event, Event::RunFinished(_));
        let end = network().events.iter().position(is_end).unwrap();
        let (before, end) = (&network().events[..end], &network().events[end]);
        let mut drawn = String::new();
        for recorded in before {
            view.on_event(recorded);
            live.show(&view, recorded);
            live.bar.force_draw();
            drawn += &terminal.contents();
        }
        live.waits("trainer for generation");
        live.bar.force_draw();
        drawn += &terminal.contents();
        for part in [
            "12/12",
            "reward 0.",
            "entropy",
            "waiting: trainer for generation",
            "held-out final",
            "checked ",
            "fined 4: ",
            "loses",
        ] {
            assert!(drawn.contains(part), "{part} is missing from:\n{}", terminal.contents());
        }
        assert!(drawn.contains(|bar: char| ('▁'..='█').contains(&bar)), "no curve in:\n{}", terminal.contents());
        view.on_event(end);
        live.show(&view, end);
        assert!(!terminal.contents().contains("12/12"), "{}", terminal.contents());
    }

    #[test]
    fn json_lines_read_back_and_leave_out_the_rules() {
        let is_rule = |recorded: &Recorded| matches!(recorded.event, Event::Rules { .. });
        for recorded in &network().events {
            let line = json_line(recorded);
            assert_eq!(line.is_none(), is_rule(recorded));
            let Some(line) = line else { continue };
            assert_eq!(&serde_json::from_str::<Recorded>(&line).unwrap(), recorded);
        }
    }
}
