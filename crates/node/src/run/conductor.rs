//! The conductor: the one that decides. Feeds the rules, performs what they ask for, keeps the log.
//!
//! Promise: an event is in the log before its actions are performed; a group is in the log before
//! the rules hear of it; every thread's failure ends the run with its cause.
//! Takes: news. Gives: orders, events.
//! Never: computes with tensors.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use model::ModelSnapshot;
use protocol::{Group, LeaseId};
use rounds::{Action, Event as Rule, FinishCause, GroupSummary, Notice, Rounds, RoundsError};

use super::checkpoint::{self, Checkpoint, Draft};
use super::groups::Groups;
use super::journal::Journal;
use super::measure::Since;
use super::messages::{EvalOrder, LeasedPrompt, News, TaskScore, TrainOrder, WorkerOrder};
use super::prompting::Prompting;
use super::worker::WorkCount;
use crate::events::{self, EvalStage, Event, LeaseIssued, Outcome, StepTrained};
use crate::signal::Stop;

/// How long the conductor sleeps at most before it looks at the stop flag and the clock.
const TICK: Duration = Duration::from_millis(100);
/// Steps over which the reward is averaged before it is held against the target.
const REWARD_WINDOW_STEPS: usize = 10;
/// Mean reward from which a task without a signal counts as solved, not as hopeless.
const SOLVED_REWARD: f64 = 0.95;

/// Ways to speak to the three threads.
pub struct Orders {
    /// To the worker.
    pub worker: Sender<WorkerOrder>,
    /// To the trainer.
    pub trainer: Sender<TrainOrder>,
    /// To the evaluator.
    pub evaluator: Sender<EvalOrder>,
}

/// When the run ends before its last step.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Mean training reward over the last ten steps.
    pub reward_target: Option<f64>,
    /// Wall time of this process.
    pub time: Option<Duration>,
}

/// Everything a run needs once its threads stand.
pub struct Conductor<'a> {
    /// The rules.
    pub rounds: Rounds,
    /// Log and readers of events.
    pub journal: &'a mut Journal,
    /// Groups that are not trained yet.
    pub groups: Groups,
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// The trainer's newest weights.
    pub snapshot: ModelSnapshot,
    /// Weights that an evaluation may still need, by version.
    pub eval_snapshots: BTreeMap<u64, ModelSnapshot>,
    /// Ways to the threads.
    pub orders: Orders,
    /// From the threads.
    pub news: Receiver<News>,
    /// The worker's counters.
    pub work: Arc<WorkCount>,
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

/// What the conductor remembers between events, for measuring only.
pub struct Progress {
    start: Instant,
    since: Since,
    busy_ns_seen: u64,
    draft: Option<(Draft, Instant)>,
    publishing: Option<Instant>,
    trainer_idle: Option<Instant>,
    rewards: VecDeque<f64>,
    early: Option<Outcome>,
    finished: Option<FinishCause>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            since: Since::now(),
            busy_ns_seen: 0,
            draft: None,
            publishing: None,
            trainer_idle: Some(Instant::now()),
            rewards: VecDeque::new(),
            early: None,
            finished: None,
        }
    }
}

impl Conductor<'_> {
    /// Runs until the rules say so. Gives the reason.
    pub fn run(&mut self) -> Result<Outcome> {
        self.feed(Rule::Started)?;
        while self.progress.finished.is_none() {
            match self.news.recv_timeout(TICK) {
                Ok(news) => self.hear(news)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("all threads are gone"),
            }
            self.look_around()?;
        }
        Ok(match (self.progress.finished, self.progress.early.take()) {
            (Some(FinishCause::StepsDone), _) => Outcome::StepsDone,
            (Some(FinishCause::EmptyBatches { .. }), _) if self.is_solved() => Outcome::Solved,
            (Some(FinishCause::EmptyBatches { limit }), _) => Outcome::Failed(format!(
                "{limit} batches in a row held no group with a signal: the task is too hard or too easy for this model"
            )),
            (_, early) => early.unwrap_or(Outcome::Interrupted),
        })
    }

    /// Whether nearly every rollout of late earned the whole reward: then no group can have a signal.
    fn is_solved(&self) -> bool {
        self.mean_reward().is_some_and(|mean| mean >= SOLVED_REWARD)
    }

    /// Mean training reward over the last steps, refused groups included.
    fn mean_reward(&self) -> Option<f64> {
        let window = &self.progress.rewards;
        (window.len() == REWARD_WINDOW_STEPS).then(|| window.iter().sum::<f64>() / window.len() as f64)
    }

    /// Feeds logged events again, after a restart: no action is performed but training itself.
    pub fn replay(&mut self, rules: Vec<Rule>) -> Result<()> {
        // Versions that may still be published, and the one that the worker is to begin with.
        let mut made = BTreeMap::from([(self.rounds.steps_trained(), self.snapshot.clone())]);
        let mut published = None;
        for rule in rules {
            if let Rule::StepTrained { step } = rule {
                let learnt = self.leases_in_training();
                self.train_again(step)?;
                learnt.into_iter().for_each(|lease| drop(self.groups.remove(lease)));
                made.insert(step, self.snapshot.clone());
            }
            if let Rule::WeightsPublished { version } = rule {
                made.retain(|made, _| *made >= version);
                published = made.get(&version).map(|snapshot| (version, snapshot.clone()));
            }
            for action in self.rounds.on_event(&rule)? {
                self.note_replayed(action, published.as_ref().map(|(_, snapshot)| snapshot));
            }
        }
        match published {
            Some((version, snapshot)) => {
                self.orders.worker.send(WorkerOrder::Restore { version, snapshot }).map_err(gone)
            }
            None => Ok(()),
        }
    }

    /// What a replayed action leaves behind; none is performed. An evaluation scores what was published.
    fn note_replayed(&mut self, action: Action, published: Option<&ModelSnapshot>) {
        match action {
            Action::StartEval { version, .. } => {
                let snapshot = published.unwrap_or(&self.snapshot).clone();
                self.eval_snapshots.insert(version, snapshot);
            }
            Action::DropGroup { lease, .. } => drop(self.groups.remove(lease)),
            _ => {}
        }
    }

    fn train_again(&mut self, step: u64) -> Result<()> {
        let batch =
            self.rounds.training().ok_or_else(|| anyhow!("the log trains step {step}, which has no batch"))?.clone();
        self.order_batch(step, &batch.leases)?;
        loop {
            match self.news.recv()? {
                News::Trained { step: done, metrics, snapshot, busy } if done == step => {
                    return self.note_step(step, &metrics, snapshot, busy);
                }
                News::Failed { who, error } => return Err(error.context(format!("the {who} failed"))),
                _ => {}
            }
        }
    }

    /// Gives the rules one event, logs it, and performs what follows.
    fn feed(&mut self, rule: Rule) -> Result<()> {
        let mut queue = VecDeque::from([rule]);
        while let Some(rule) = queue.pop_front() {
            let actions = match self.rounds.on_event(&rule) {
                Ok(actions) => actions,
                // The normal fate of an answer that comes too late.
                Err(RoundsError::LeaseEnded { .. } | RoundsError::RunOver) => continue,
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

    /// Performs one action; gives the event that answers it at once, if any.
    fn perform(&mut self, action: Action) -> Result<Option<Rule>> {
        match action {
            Action::Lease(lease) => return self.lease(lease),
            Action::TrainBatch(batch) => self.order_batch(batch.step, &batch.leases)?,
            Action::DropGroup { lease, reason } => self.drop_group(lease, reason)?,
            Action::PublishWeights { version } => {
                self.progress.publishing = Some(Instant::now());
                // The trainer may be a step further by the time these are published and scored.
                self.eval_snapshots.insert(version, self.snapshot.clone());
                self.orders
                    .worker
                    .send(WorkerOrder::Weights { version, snapshot: self.snapshot.clone() })
                    .map_err(gone)?;
            }
            Action::StartEval { eval, version, .. } => return self.start_eval(eval, version),
            Action::SaveCheckpoint { step } => self.save(step)?,
            Action::Notice(notice) => self.journal.record(Event::Warning { message: words(notice) })?,
            Action::Finish { cause } => self.progress.finished = Some(cause),
        }
        Ok(None)
    }

    fn lease(&mut self, lease: protocol::PromptLease) -> Result<Option<Rule>> {
        // A group that came back just before the process died is in the log already.
        if let Some(group) = self.groups.stored(&lease, self.journal.log())? {
            self.progress.since.group(&group);
            return Ok(Some(Rule::GroupFinished(GroupSummary::from(&*group))));
        }
        let task = lease.task as usize;
        let item = self.prompting.item(task, tasks::Split::Train, lease.item)?;
        let prompt = self.prompting.prompt(task, &item)?;
        self.journal.record(Event::LeaseIssued(LeaseIssued {
            lease: lease.lease,
            task: lease.task,
            item: lease.item,
            weight_version: lease.weight_version,
            group_size: lease.group_size,
        }))?;
        let leased = Box::new(LeasedPrompt { lease, item, prompt });
        self.orders.worker.send(WorkerOrder::Lease(leased)).map_err(gone)?;
        Ok(None)
    }

    fn order_batch(&mut self, step: u64, leases: &[LeaseId]) -> Result<()> {
        let groups = leases.iter().map(|lease| self.groups.get(*lease, self.journal.log())).collect::<Result<_>>()?;
        if let Some(idle) = self.progress.trainer_idle.take() {
            self.progress.since.waited_for_batch(idle.elapsed());
        }
        self.orders.trainer.send(TrainOrder::Batch { step, groups }).map_err(gone)
    }

    fn drop_group(&mut self, lease: LeaseId, reason: rounds::DropReason) -> Result<()> {
        let group = self.groups.remove(lease);
        let reason = match (reason, group) {
            (rounds::DropReason::Stale { .. }, _) => {
                self.progress.since.dropped_stale();
                events::DropReason::Stale
            }
            (rounds::DropReason::NoSignal, Some(group)) if !equal_rewards(&group) => events::DropReason::OutsideGate,
            (rounds::DropReason::NoSignal, _) => events::DropReason::EqualRewards,
            (rounds::DropReason::GroupFailed, _) => events::DropReason::Failed,
            (rounds::DropReason::RunEnded, _) => events::DropReason::Cancelled,
        };
        self.orders.worker.send(WorkerOrder::Cancel(lease)).map_err(gone)?;
        self.journal.record(Event::GroupDropped { lease, reason })
    }

    fn start_eval(&mut self, eval: u64, version: u64) -> Result<Option<Rule>> {
        let snapshot = match self.eval_snapshots.remove(&version) {
            Some(snapshot) => snapshot,
            None if version == self.rounds.steps_trained() => self.snapshot.clone(),
            None => {
                let cause = format!("the weights of version {version} went with the process that had them");
                return Ok(Some(Rule::EvalFailed { eval, cause }));
            }
        };
        self.orders.evaluator.send(EvalOrder { id: eval, version, snapshot }).map_err(gone)?;
        Ok(None)
    }

    fn save(&mut self, step: u64) -> Result<()> {
        let draft = Draft::begin(&self.checkpoints, step, self.rounds.to_bytes())?;
        self.orders.trainer.send(TrainOrder::Save { step, folder: draft.trainer() }).map_err(gone)?;
        self.progress.draft = Some((draft, Instant::now()));
        Ok(())
    }

    fn hear(&mut self, news: News) -> Result<()> {
        match news {
            News::Group(group) => self.group_back(group),
            News::GroupFailed { lease, reason } => {
                self.journal.record(Event::Warning { message: format!("lease {lease}: {reason}") })?;
                self.feed(Rule::GroupFailed { lease, cause: reason })
            }
            News::Published { version } => {
                if let Some(start) = self.progress.publishing.take() {
                    self.progress.since.published_for(start.elapsed());
                    self.journal.record(Event::WeightsPublished { version, seconds: start.elapsed().as_secs_f64() })?;
                }
                self.feed(Rule::WeightsPublished { version })?;
                self.eval_snapshots.retain(|kept, _| *kept > version);
                Ok(())
            }
            News::Trained { step, metrics, snapshot, busy } => {
                self.note_step(step, &metrics, snapshot, busy)?;
                let learnt = self.leases_in_training();
                self.feed(Rule::StepTrained { step })?;
                learnt.into_iter().for_each(|lease| drop(self.groups.remove(lease)));
                Ok(())
            }
            News::Saved { step } => self.saved(step),
            News::Evaluated { id, version, scores, busy } => {
                self.note_eval(version, scores, busy)?;
                self.feed(Rule::EvalFinished { eval: id })
            }
            News::Failed { who, error } => Err(error.context(format!("the {who} failed"))),
        }
    }

    fn group_back(&mut self, group: Arc<Group>) -> Result<()> {
        if let Err(error) = group.check() {
            return self.feed(Rule::GroupFailed { lease: group.lease.lease, cause: error.to_string() });
        }
        self.progress.since.group(&group);
        let (event, payload) = self.groups.accept(&group, &self.prompting)?;
        let seq = self.journal.record_with(Event::GroupAccepted(event), &payload)?;
        self.groups.logged(group.lease.lease, seq);
        self.feed(Rule::GroupFinished(GroupSummary::from(&*group)))
    }

    fn note_step(
        &mut self,
        step: u64,
        trained: &train::StepMetrics,
        snapshot: ModelSnapshot,
        busy: Duration,
    ) -> Result<()> {
        self.snapshot = snapshot;
        self.progress.trainer_idle = Some(Instant::now());
        let busy_ns = self.work.busy_ns.load(Ordering::Relaxed);
        self.progress.since.generated_for(Duration::from_nanos(busy_ns - self.progress.busy_ns_seen));
        self.progress.busy_ns_seen = busy_ns;
        if let Some(mean) = self.progress.since.reward_all_mean() {
            self.progress.rewards.push_back(mean);
            if self.progress.rewards.len() > REWARD_WINDOW_STEPS {
                self.progress.rewards.pop_front();
            }
        }
        let leases = self.leases_in_training();
        let groups =
            leases.iter().map(|lease| self.groups.get(*lease, self.journal.log())).collect::<Result<Vec<_>>>()?;
        let batch: Vec<&Group> = groups.iter().map(|group| &**group).collect();
        let metrics = self.progress.since.close(step, &batch, trained, busy);
        self.journal.record(Event::StepTrained(Box::new(StepTrained { step, version: step, metrics, leases })))
    }

    fn leases_in_training(&self) -> Vec<LeaseId> {
        self.rounds.training().map(|batch| batch.leases.clone()).unwrap_or_default()
    }

    fn saved(&mut self, step: u64) -> Result<()> {
        let (draft, start) = self.progress.draft.take().ok_or_else(|| anyhow!("step {step} was saved unasked"))?;
        let whole = draft.finish()?;
        self.progress.since.saved_for(start.elapsed());
        self.journal.record(Event::CheckpointSaved {
            step,
            path: relative(&whole),
            bytes: whole.bytes(),
            seconds: start.elapsed().as_secs_f64(),
        })?;
        self.feed(Rule::CheckpointSaved { step })?;
        checkpoint::prune(&self.checkpoints, self.keep)
    }

    fn note_eval(&mut self, version: u64, scores: Vec<TaskScore>, busy: Duration) -> Result<()> {
        let stage = match version {
            0 => EvalStage::BeforeRl,
            last if last == self.steps_max => EvalStage::Final,
            _ => EvalStage::During,
        };
        for score in scores {
            self.journal.record(Event::EvalFinished(score.event(stage, version, busy.as_secs_f64())))?;
        }
        Ok(())
    }

    /// Ctrl-C, the clock and the reward target each ask for a clean stop, once.
    fn look_around(&mut self) -> Result<()> {
        self.journal.tick(&self.rounds.waiting_on());
        if self.progress.early.is_some() || self.progress.finished.is_some() {
            return Ok(());
        }
        let reached = self.mean_reward().zip(self.limits.reward_target).is_some_and(|(mean, target)| mean >= target);
        let late = self.limits.time.is_some_and(|limit| self.progress.start.elapsed() >= limit);
        self.progress.early = match () {
            () if self.stop.is_requested() => Some(Outcome::Interrupted),
            () if reached => Some(Outcome::TargetReached),
            () if late => Some(Outcome::TimeUp),
            () => return Ok(()),
        };
        self.feed(Rule::StopRequested)
    }
}

fn gone<T>(_: T) -> anyhow::Error {
    anyhow!("a thread of the run ended unexpectedly")
}

fn equal_rewards(group: &Group) -> bool {
    group.rollouts.windows(2).all(|pair| pair[0].reward_micro == pair[1].reward_micro)
}

fn relative(checkpoint: &Checkpoint) -> String {
    format!("checkpoints/step-{}", checkpoint.step)
}

fn words(notice: Notice) -> String {
    match notice {
        Notice::ShortBatch { step, have, need } => {
            format!("step {step}: refills are used up, the batch has {have} of {need} groups")
        }
        Notice::EmptyBatch { step, given, limit } => {
            format!("step {step}: no group with a signal ({given} in a row, the run stops at {limit})")
        }
        Notice::EvalSkipped { version } => format!("version {version} is not scored: earlier evaluations still run"),
        Notice::CheckpointSkipped { step } => {
            format!("step {step} is not saved: the checkpoint before is still being written")
        }
    }
}
