//! Takes a run up again from its last checkpoint and its log.
//!
//! Promise: what was settled when the run began (its rules, its terms) is settled still; only the
//! number of steps may grow.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use model::Transformer;
use protocol::{BeaconRound, RunTerms};
use rounds::{Event as Rule, Rounds, RoundsConfig};

use super::checkpoint::Checkpoint;
use super::conductor::{Logged, Tally, Weights};
use super::journal::Journal;
use super::memory::Kind;
use super::messages::QueueSizes;
use super::shelf::Shelf;
use super::versions::Versions;
use super::{Ready, Stage, beacon, conclude, learning, payout, perform, setup, stage};
use crate::config::RunConfig;
use crate::context::Context;
use record::events::{Event, Outcome, Recorded};
use record::run_dir::{self, RunDir};
use record::store::EventLog;

pub(super) fn resume(config: RunConfig, dir: RunDir, context: &Context) -> Result<Outcome> {
    let checkpoints = Checkpoint::all(&dir.checkpoints())?;
    ensure!(
        !checkpoints.is_empty(),
        "{} has no checkpoint: it ended before RL began, so start it anew",
        dir.path().display()
    );
    let (stage, model) = stage(config, Kind::Rl, dir, context.stop.clone())?;
    let log = EventLog::open(&stage.dir.events())?;
    let (checkpoint, lost) = newest_logged(checkpoints, &log)?;
    let ready = recall(&stage, model, &checkpoint, &log)?;
    run_dir::write_whole(&stage.dir.config(), stage.config.to_toml()?.as_bytes())?;
    let mut journal = Journal::open(log, &stage.dir, &context.global);
    let predicted_memory_bytes = Some(stage.memory.peak_bytes);
    journal.record(Event::RunResumed { step: checkpoint.step, predicted_memory_bytes })?;
    for (checkpoint, message) in lost {
        checkpoint.discard()?; // or it would be taken for the one that the run comes to once more
        journal.record(Event::Warning { message })?;
    }
    let ended = perform(&stage, ready, &mut journal, QueueSizes::of(&stage.config));
    conclude(&stage, &mut journal, ended)
}

/// The newest checkpoint whose whole past is in the log, and what to say of newer ones. A power cut may take the log's
/// end and leave the checkpoint that was written after it.
fn newest_logged(checkpoints: Vec<Checkpoint>, log: &EventLog) -> Result<(Checkpoint, Vec<(Checkpoint, String)>)> {
    let mut logged = 0;
    log.replay(1, |recorded| {
        logged += u64::from(matches!(recorded.event, Event::Rules { .. }));
        anyhow::Ok(())
    })?;
    let mut passed_over = Vec::new();
    for checkpoint in checkpoints.into_iter().rev() {
        let (taken, step) = (checkpoint.rules()?.events_taken(), checkpoint.step);
        if taken <= logged {
            return Ok((checkpoint, passed_over));
        }
        let message = format!(
            "the checkpoint of step {step} is passed over: it follows {taken} events of the rules, the log has {logged}"
        );
        passed_over.push((checkpoint, message));
    }
    let messages: Vec<String> = passed_over.into_iter().map(|(_, message)| message).collect();
    bail!("the log has lost its end: {}", messages.join("; "))
}

/// What the log says of the time before.
struct Recalled {
    terms: Option<RunTerms>,
    shelf: Shelf,
    tally: Tally,
    /// The last beacon round that the rules heard of.
    round: BeaconRound,
    /// Steps of the plan, where it was extended.
    steps_max: u64,
    /// Events that the checkpoint's rules have taken.
    taken: u64,
    position: u64,
    logged: Logged,
}

impl Recalled {
    fn hear(&mut self, recorded: Recorded) {
        self.shelf.recall(&recorded);
        match recorded.event {
            Event::TermsSet(set) => self.terms = Some(*set.terms),
            Event::GroupReceived(group) => self.tally.received(&group),
            Event::VerdictGiven(verdict) => self.tally.judged(&verdict),
            // What the checkpoint's rules have behind them, nobody asks for again.
            Event::GroupDropped { lease, .. } if self.position < self.taken => self.shelf.remove(lease),
            Event::StepTrained(step) if self.position < self.taken => {
                step.leases.iter().for_each(|lease| self.shelf.remove(*lease));
            }
            Event::GroupAccepted(group) => drop(self.logged.accepted.insert(group.lease)),
            Event::GroupDropped { lease, .. } => drop(self.logged.dropped.insert(lease)),
            Event::Fined(fined) => drop(self.logged.fined.insert(fined.party)),
            Event::Rules { rules } => {
                match rules {
                    Rule::Drawn { beacon, .. } | Rule::WeightsPublished { beacon, .. } => {
                        self.round = self.round.max(beacon.round);
                    }
                    Rule::Extended { steps_max } => self.steps_max = steps_max,
                    _ => {}
                }
                if self.position >= self.taken {
                    self.logged.rules.push(rules);
                }
                self.position += 1;
            }
            _ => {}
        }
    }
}

/// Brings back the state of a checkpoint and what the log has after it.
fn recall(stage: &Stage, model: Transformer, checkpoint: &Checkpoint, log: &EventLog) -> Result<Ready> {
    let rounds = checkpoint.rules()?;
    let rules = rounds.config();
    let mut recalled = Recalled {
        terms: None,
        shelf: Shelf::default(),
        tally: Tally::default(),
        round: rules.beacon.round,
        steps_max: rules.steps_max,
        taken: rounds.events_taken(),
        position: 0,
        logged: Logged::default(),
    };
    log.replay(1, |recorded| {
        recalled.hear(recorded);
        anyhow::Ok(())
    })?;
    let Recalled { terms, shelf, tally, round, steps_max, logged, .. } = recalled;
    let terms = Arc::new(terms.with_context(|| format!("{}: the log has no terms", stage.dir.path().display()))?);
    same_rules(stage, &rounds)?;
    same_terms(stage, &model, &terms)?;
    let extended = extension(stage, steps_max)?;
    let mut trainer = learning::rl_trainer(&stage.config, model)?;
    trainer.load(&checkpoint.trainer())?;
    let mut versions = Versions::new(rounds.steps_trained(), Weights::of(trainer.snapshot()));
    checkpoint.read_older(&trainer.snapshot(), 0, |version, weights| {
        versions.keep(version, Weights::of(weights.clone()));
    })?;
    let beacon = beacon::open(stage.config.beacon.settings(), &terms.beacon, stage.parties.secret(), Some(round))?;
    let money = match stage.config.economy.enabled {
        true => Some(payout::resume(&stage.config, stage.dir.path(), &stage.parties, &terms)?),
        false => None,
    };
    Ok(Ready { rounds, terms, trainer, beacon, versions, shelf, tally, money, logged, extended })
}

fn same_rules(stage: &Stage, rounds: &Rounds) -> Result<()> {
    let began = rounds.config();
    let wanted = setup::rules(&stage.config, &stage.prompting, began.weights, began.beacon)?;
    let wanted = RoundsConfig { steps_max: began.steps_max, ..wanted };
    ensure!(
        *began == wanted,
        "the settings of {} were changed: a run goes on with the rules it began with (stop.steps may grow){}",
        stage.dir.path().display(),
        changes(stage)
    );
    Ok(())
}

fn same_terms(stage: &Stage, model: &Transformer, began: &RunTerms) -> Result<()> {
    let wanted = stage.parties.terms(&stage.config, model.config(), &stage.tokenizer, began.beacon)?;
    ensure!(
        *began == *wanted,
        "the settings of {} were changed: everything in the run is signed under the terms it began with{}",
        stage.dir.path().display(),
        changes(stage)
    );
    Ok(())
}

/// The settings that differ from those the run was last going with; empty if the file cannot be read.
fn changes(stage: &Stage) -> String {
    let table = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let stored = std::fs::read_to_string(stage.dir.config()).unwrap_or_default();
    let (old, new) = (table(&stored), table(&stage.config.to_toml().unwrap_or_default()));
    let mut found = Vec::new();
    differences("", &toml::Value::Table(old), &toml::Value::Table(new), &mut found);
    found.iter().map(|change| format!("\n  {change}")).collect()
}

fn differences(path: &str, old: &toml::Value, new: &toml::Value, found: &mut Vec<String>) {
    let (toml::Value::Table(before), toml::Value::Table(after)) = (old, new) else {
        if old != new {
            found.push(format!("{path}: {old} before, {new} now"));
        }
        return;
    };
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (before.get(key), after.get(key)) {
            (Some(old), Some(new)) => differences(&path, old, new, found),
            (Some(old), None) => found.push(format!("{path}: {old} before, absent now")),
            (None, Some(new)) => found.push(format!("{path}: absent before, {new} now")),
            (None, None) => {}
        }
    }
}

/// More steps than the log's plan has, if the settings ask for them.
fn extension(stage: &Stage, planned: u64) -> Result<Option<Rule>> {
    let steps_max = stage.config.stop.steps;
    ensure!(
        steps_max >= planned,
        "stop.steps: the run in {} was planned for {planned} steps, which can only grow; given {steps_max}",
        stage.dir.path().display()
    );
    Ok((steps_max > planned).then_some(Rule::Extended { steps_max }))
}
