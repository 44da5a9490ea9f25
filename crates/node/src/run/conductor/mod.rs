//! The conductor: the one that decides. Feeds the rules, performs what they ask for, keeps the log.
//!
//! Promise: an event is in the log before its actions are performed; a submission or a verdict is in
//! the log before the rules hear of it; every thread's failure ends the run with its cause.
//! Takes: news. Gives: orders, events.
//! Never: computes with tensors, or believes a message before the desk has checked who signed it.

mod accept;
mod blame;
mod hear;
mod money;
mod perform;
mod progress;
mod replay;
mod signal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use model::ModelSnapshot;
use protocol::{Hash, Party, ValidatorId, WorkerId};
use rounds::desk::Desk;
use rounds::{EvalId, Event as Rule, FinishCause, Rounds, RoundsError};

use super::actors::WorkCount;
use super::journal::Journal;
use super::messages::{BeaconOrder, EvalOrder, News, TrainOrder, ValidatorOrder, WorkerOrder};
use super::payout::Paymaster;
use super::prompting::Prompting;
use super::shelf::Shelf;
use super::versions::Versions;
use crate::signal::Stop;
pub use blame::Tally;
pub use progress::Progress;
use record::events::{Event, Outcome};
pub use replay::Logged;

/// How long the conductor sleeps at most before it looks at the stop flag and the clock.
const TICK: Duration = Duration::from_millis(100);

/// Ways to speak to the other threads.
pub struct Orders {
    /// To the workers, by number.
    pub workers: Vec<SyncSender<WorkerOrder>>,
    /// To the validators, by number.
    pub validators: Vec<SyncSender<ValidatorOrder>>,
    /// To the trainer.
    pub trainer: SyncSender<TrainOrder>,
    /// To the evaluator.
    pub evaluator: SyncSender<EvalOrder>,
    /// To the beacon.
    pub beacon: SyncSender<BeaconOrder>,
}

/// When the run ends before its last step.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Mean training reward over the last steps.
    pub train_reward: Option<f64>,
    /// Wall time of this process.
    pub time: Option<Duration>,
}

/// Weights with their hash.
#[derive(Clone)]
pub struct Weights {
    /// The numbers.
    pub snapshot: ModelSnapshot,
    /// What leases call them.
    pub hash: Hash,
}

impl Weights {
    /// Weights and the hash of them.
    pub fn of(snapshot: ModelSnapshot) -> Self {
        let hash = verify::weights_hash(&snapshot);
        Self { snapshot, hash }
    }
}

/// Everything a run needs once its threads stand.
pub struct Conductor<'a> {
    /// The rules.
    pub rounds: Rounds,
    /// From signed bytes to events of the rules, and back.
    pub desk: Desk,
    /// Log and readers of events.
    pub journal: &'a mut Journal,
    /// Where the log has what the rules still count on.
    pub shelf: Shelf,
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// Weights that somebody may still need.
    pub versions: Versions<Weights>,
    /// The version that an evaluation under way scores.
    pub evals: BTreeMap<EvalId, u64>,
    /// Ways to the threads.
    pub orders: Orders,
    /// From the threads.
    pub news: Receiver<News>,
    /// The actors' counters.
    pub work: Arc<WorkCount>,
    /// Who handed in how much.
    pub tally: Tally,
    /// Who pays; none for a run without a ledger.
    pub paymaster: Option<Paymaster>,
    /// Who was told to lie, for the record.
    pub cheats: BTreeMap<Party, String>,
    /// Ctrl-C.
    pub stop: Stop,
    /// When to end early.
    pub limits: Limits,
    /// Folder of the checkpoints.
    pub checkpoints: PathBuf,
    /// How many to keep.
    pub keep: usize,
    /// Last step of the plan, for naming the final evaluation.
    pub steps_max: u64,
    /// Bookkeeping; starts as `Progress::default()`.
    pub progress: Progress,
}

impl Conductor<'_> {
    /// Runs until the rules say so. Gives the reason. `extended` is heard before anything else.
    pub fn run(&mut self, extended: Option<Rule>) -> Result<Outcome> {
        self.catch_up()?;
        extended.into_iter().chain([Rule::Started]).try_for_each(|rule| self.feed(rule))?;
        while self.progress.finished.is_none() {
            match self.news.recv_timeout(TICK) {
                Ok(news) => self.hear(news)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("all threads are gone"),
            }
            self.look_around()?;
        }
        self.note_waits(true)?;
        Ok(self.outcome())
    }

    fn outcome(&mut self) -> Outcome {
        let early = self.progress.early.take().unwrap_or(Outcome::Interrupted);
        outcome_of(self.progress.finished.unwrap_or(FinishCause::Stopped), early)
    }

    /// Gives the rules one event, logs it, and performs what follows.
    fn feed(&mut self, rule: Rule) -> Result<()> {
        let mut queue = VecDeque::from([rule]);
        while let Some(rule) = queue.pop_front() {
            let actions = match self.rounds.on_event(&rule) {
                Ok(actions) => actions,
                Err(error) if is_late(&error) => continue,
                Err(error @ (RoundsError::WeightsFromTheFuture { .. } | RoundsError::NoRollouts { .. })) => {
                    let Rule::GroupFinished(group) = rule else { return Err(error.into()) };
                    queue.push_front(Rule::GroupFailed { lease: group.lease, cause: error.to_string() });
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.journal.record(Event::Rules { rules: rule })?;
            for action in actions {
                queue.extend(self.perform(action)?);
            }
        }
        Ok(())
    }

    /// Ctrl-C, the clock and the reward target each ask for a clean stop, once; deadlines pass.
    fn look_around(&mut self) -> Result<()> {
        self.note_waits(false)?;
        for rule in self.desk.overdue(self.progress.now_ms()) {
            self.feed(rule)?;
        }
        self.ask_for_plants()?;
        if self.progress.early.is_some() || self.progress.finished.is_some() {
            return Ok(());
        }
        let mean = self.progress.mean_reward();
        let reached = mean.zip(self.limits.train_reward).is_some_and(|(mean, target)| mean >= target);
        let late = self.limits.time.is_some_and(|limit| self.progress.start.elapsed() >= limit);
        self.progress.early = match () {
            () if self.stop.is_requested() => Some(Outcome::Interrupted),
            () if reached => Some(Outcome::TargetReached),
            () if late => Some(Outcome::TimeUp),
            () => return Ok(()),
        };
        self.feed(Rule::StopRequested)
    }

    /// Counts who waits, and tells it now and then.
    fn note_waits(&mut self, is_end: bool) -> Result<()> {
        let (waiting, is_saving) = (self.rounds.waiting_on(), self.progress.draft.is_some());
        self.journal.tick(&waiting);
        let waits = &mut self.progress.waits;
        waits.look(waiting, is_saving, &self.work.workers_idle, &self.work.validators_idle);
        waits.tell(is_end).into_iter().try_for_each(|event| self.journal.record(event))
    }

    /// False: the worker's queue is full, so it will not hear of it.
    fn tell_worker(&self, worker: WorkerId, order: WorkerOrder) -> Result<bool> {
        let way = self.orders.workers.get(worker as usize);
        offer(way.ok_or_else(|| anyhow!("the rules name worker {worker}, who does not exist"))?, order)
    }

    /// False: the validator's queue is full, so it will not hear of it.
    fn tell_validator(&self, validator: ValidatorId, order: ValidatorOrder) -> Result<bool> {
        let way = self.orders.validators.get(validator as usize);
        offer(way.ok_or_else(|| anyhow!("the rules name validator {validator}, who does not exist"))?, order)
    }
}

/// What an end of the rules means for the run: the one place that says so.
///
/// - `early`: why the rules were stopped, if they were
fn outcome_of(cause: FinishCause, early: Outcome) -> Outcome {
    match cause {
        FinishCause::StepsDone => Outcome::StepsDone,
        FinishCause::Stopped => early,
        FinishCause::ScoreReached { .. } => Outcome::TargetReached,
        FinishCause::Plateau { .. } => Outcome::Plateau,
        FinishCause::NoSignal { reward_micro, .. } if signal::is_solved(reward_micro) => Outcome::Solved,
        FinishCause::NoSignal { groups, reward_micro } => {
            Outcome::Failed(signal::nothing_to_learn(groups, reward_micro))
        }
        FinishCause::EmptyBatches { limit } => {
            Outcome::Failed(format!("{limit} batches in a row got no group that can be trained on"))
        }
        FinishCause::NoWorkers => Outcome::Failed("every worker was caught lying".to_owned()),
        FinishCause::NoValidators => Outcome::Failed("every validator was caught lying".to_owned()),
    }
}

/// The normal fate of an answer that comes too late, or from somebody who does not count any more.
fn is_late(error: &RoundsError) -> bool {
    matches!(
        error,
        RoundsError::LeaseEnded { .. }
            | RoundsError::RunOver
            | RoundsError::NotChecking { .. }
            | RoundsError::DrawnBefore { .. }
            | RoundsError::VerdictNotAsked { .. }
            | RoundsError::PlantNotOpen { .. }
            | RoundsError::WorkerFined { .. }
    )
}

/// Hands an order over without waiting. False if there is no room for it.
fn offer<T>(way: &SyncSender<T>, order: T) -> Result<bool> {
    match way.try_send(order) {
        Ok(()) => Ok(true),
        Err(TrySendError::Full(_)) => Ok(false),
        Err(TrySendError::Disconnected(_)) => bail!("a thread of the run ended unexpectedly"),
    }
}

/// The same to a thread that the rules never give more to do than its queue holds.
fn order<T>(way: &SyncSender<T>, whose: &str, order: T) -> Result<()> {
    ensure!(offer(way, order)?, "the queue of the {whose} is full: it has stopped working, or the rules ask too much");
    Ok(())
}

/// Seconds since a moment.
fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}
