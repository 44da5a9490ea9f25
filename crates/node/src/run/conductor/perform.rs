//! What the conductor does when the rules ask for something.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use protocol::{BeaconRound, LeaseId, Party, PromptLease, Record, ValidatorId, VerifiedGroup, WeightVersion};
use rounds::desk::PlantAsk;
use rounds::{Action, DropReason, Event as Rule, Mode, Notice};

use super::{Conductor, Weights, order, signal};
use crate::clock::now_ms;
use crate::run::checkpoint::Draft;
use crate::run::messages::{BeaconOrder, EvalOrder, OlderWeights, Question, TrainOrder, ValidatorOrder, WorkerOrder};
use record::events::{Event, LeaseIssued};

impl Conductor<'_> {
    /// Performs one action; gives the event that answers it at once, if any.
    pub(super) fn perform(&mut self, action: Action) -> Result<Option<Rule>> {
        match action {
            Action::Lease(lease) => return self.lease(&lease),
            Action::Draw { lease } => self.draw(lease)?,
            Action::Check { lease, validator } => self.order_check(lease, validator)?,
            Action::Reveal { lease, validator } => self.order_reveal(lease, validator)?,
            Action::Accepted { lease } => self.tell_accepted(lease)?,
            Action::Plant { plant, validator } => self.desk.want_plant(plant, validator),
            Action::Fine { party, lease, check } => self.fine(party, lease, check)?,
            Action::Suspend { party } => self.journal.record(Event::Suspended { party })?,
            Action::TrainBatch(batch) => self.order_batch(batch.step, &batch.leases)?,
            Action::DropGroup { lease, reason } => self.drop_group(lease, reason)?,
            Action::PublishWeights { version } => {
                self.progress.publishing = Some(Instant::now());
                self.ask_beacon(Question::Weights(version), 0)?;
            }
            Action::StartEval { eval, version, .. } => return self.start_eval(eval, version),
            Action::SaveCheckpoint { step } => self.save(step)?,
            Action::Notice(notice) => self.journal.record(Event::Warning { message: words(notice) })?,
            Action::Finish { cause } => self.progress.finished = Some(cause),
        }
        Ok(None)
    }

    fn lease(&mut self, lease: &PromptLease) -> Result<Option<Rule>> {
        let id = lease.lease;
        let signed = self.desk.lease(self.progress.now_ms(), lease)?;
        // A group that came back just before the process died is in the log already.
        if let Some(event) = self.shelf.returned(lease, &mut self.desk, self.journal.log())? {
            return Ok(Some(event));
        }
        let version = lease.weight_version;
        let Some(weights) = self.versions.get(version) else {
            return Ok(Some(Rule::GroupFailed { lease: id, cause: went(version) }));
        };
        self.journal.record(Event::LeaseIssued(LeaseIssued {
            lease: id,
            task: lease.task,
            item: lease.item,
            weight_version: version,
            group_size: lease.group_size,
            worker: lease.worker,
        }))?;
        // A worker gets weights with the first lease that names them.
        let given = (Party::Worker(lease.worker), version);
        if !self.progress.given.contains(&given)
            && self.tell_worker(lease.worker, WorkerOrder::Weights { version, snapshot: weights.snapshot })?
        {
            self.progress.given.insert(given);
        }
        self.progress.leased.insert(id, lease.worker);
        // A worker that does not hear of its lease lets it run out, as one that does not answer.
        self.tell_worker(lease.worker, WorkerOrder::Lease(signed.encode()?))?;
        Ok(None)
    }

    /// The sample is drawn by a later round than the one that the lease's seeds came from.
    fn draw(&mut self, lease: LeaseId) -> Result<()> {
        self.shelf.bring(lease, &mut self.desk, self.journal.log())?;
        let after = self.desk.submitted(lease).map_or(0, |submission| submission.lease.body.beacon.round);
        self.ask_beacon(Question::Draw(lease), after)
    }

    fn ask_beacon(&self, question: Question, after: BeaconRound) -> Result<()> {
        order(&self.orders.beacon, "beacon", BeaconOrder { question, asked_ms: now_ms(), after })
    }

    fn order_check(&mut self, lease: LeaseId, validator: ValidatorId) -> Result<()> {
        self.shelf.bring(lease, &mut self.desk, self.journal.log())?;
        let draw = self.shelf.draw(lease).with_context(|| format!("lease {lease} is checked before it was drawn"))?;
        let order = self.desk.check_order(self.progress.now_ms(), lease, validator, draw)?;
        if let Some(version) = self.desk.submitted(lease).map(|submission| submission.lease.body.weight_version) {
            self.give_weights(version, validator)?;
        }
        // Who does not hear of it does not answer in time, and another is asked.
        self.tell_validator(validator, ValidatorOrder::Message(order)).map(drop)
    }

    fn order_reveal(&mut self, lease: LeaseId, validator: ValidatorId) -> Result<()> {
        let order = self.desk.reveal_order(self.progress.now_ms(), lease, validator)?;
        self.tell_validator(validator, ValidatorOrder::Message(order)).map(drop)
    }

    /// A validator gets weights with the first group that was made with them. If they are gone, it
    /// will say that it cannot check.
    pub(super) fn give_weights(&mut self, version: WeightVersion, validator: ValidatorId) -> Result<()> {
        let Some(weights) = self.versions.get(version) else { return Ok(()) };
        let given = (Party::Validator(validator), version);
        if !self.progress.given.contains(&given)
            && self.tell_validator(validator, ValidatorOrder::Weights { version, snapshot: weights.snapshot })?
        {
            self.progress.given.insert(given);
        }
        Ok(())
    }

    /// Asks workers to sign what is to be planted in their names, as soon as there is something to plant.
    pub(super) fn ask_for_plants(&mut self) -> Result<()> {
        let asks = self.desk.plant_requests(self.progress.now_ms());
        asks.into_iter().try_for_each(|PlantAsk { worker, request }| {
            // Nobody waits for a plant.
            self.tell_worker(worker, WorkerOrder::Countersign(request)).map(drop)
        })
    }

    pub(super) fn order_batch(&mut self, step: u64, leases: &[LeaseId]) -> Result<()> {
        let groups = leases.iter().map(|lease| self.verified(*lease)).collect::<Result<Vec<_>>>()?;
        self.progress.batch = groups.clone();
        // A sequential step begins when all that was leased is back: nobody asks for the weights that it is about to
        // change, and without them it changes them in place.
        if self.rounds.config().mode == Mode::Sequential {
            self.forget_weights_before(step)?;
        }
        order(&self.orders.trainer, "trainer", TrainOrder::Batch { step, groups })
    }

    /// The group of a lease that passed its checks: the only thing that the trainer takes.
    pub(super) fn verified(&mut self, lease: LeaseId) -> Result<Arc<VerifiedGroup>> {
        if let Some(group) = self.progress.verified.get(&lease) {
            return Ok(group.clone());
        }
        self.shelf.bring(lease, &mut self.desk, self.journal.log())?;
        let group = self.desk.verified(lease).with_context(|| format!("lease {lease} is to be trained on"))?;
        let group = Arc::new(group);
        self.progress.verified.insert(lease, group.clone());
        Ok(group)
    }

    pub(super) fn drop_group(&mut self, lease: LeaseId, reason: DropReason) -> Result<()> {
        if let Some(worker) = self.progress.leased.get(&lease) {
            // One that does not hear of it works in vain; its answer comes too late.
            self.tell_worker(*worker, WorkerOrder::Cancel(lease))?;
        }
        self.count_dropped(lease, reason);
        self.journal.record(Event::GroupDropped { lease, reason })
    }

    /// Metrics of the next step count what was dropped for its age; the lease has ended.
    pub(super) fn count_dropped(&mut self, lease: LeaseId, reason: DropReason) {
        if let DropReason::Stale { .. } = reason {
            self.progress.since.dropped_stale();
        }
        self.forget(lease);
    }

    /// The lease has ended: nobody asks for its group any more.
    pub(super) fn forget(&mut self, lease: LeaseId) {
        self.desk.forget(lease);
        self.progress.leased.remove(&lease);
        self.progress.verified.remove(&lease);
        self.shelf.remove(lease);
        self.tally.forget(lease);
    }

    fn start_eval(&mut self, eval: u64, version: u64) -> Result<Option<Rule>> {
        let Some(weights) = self.versions.get(version) else {
            return Ok(Some(Rule::EvalFailed { eval, cause: went(version) }));
        };
        self.evals.insert(eval, version);
        order(&self.orders.evaluator, "evaluator", EvalOrder { id: eval, version, snapshot: weights.snapshot })?;
        Ok(None)
    }

    fn save(&mut self, step: u64) -> Result<()> {
        let draft = Draft::begin(&self.checkpoints, step, self.rounds.to_bytes())?;
        // The weights of the step itself are the trainer's.
        let needed = self.rounds.versions_needed();
        let asynchronous = self.rounds.config().mode == Mode::Async;
        let named = self.versions.up_to(step.saturating_sub(1)).filter(|(version, _)| asynchronous && *version < step);
        let mut older: Vec<_> = named
            .map(|(version, Weights { snapshot, .. })| OlderWeights {
                version,
                snapshot,
                path: draft.older(version),
                is_needed: needed.contains(&version),
            })
            .collect();
        older.reverse();
        order(&self.orders.trainer, "trainer", TrainOrder::Save { step, folder: draft.trainer(), older })?;
        self.progress.draft = Some(draft);
        Ok(())
    }
}

fn went(version: WeightVersion) -> String {
    format!("the weights of version {version} went with the process that had them")
}

fn words(notice: Notice) -> String {
    match notice {
        Notice::ShortBatch { step, have, need } => {
            format!("step {step}: refills are used up, the batch has {have} of {need} groups")
        }
        Notice::NoSignal { groups, limit, reward_micro } => signal::warning(groups, limit, reward_micro),
        Notice::LittleSignal { useful, groups } => signal::seldom(useful, groups),
        Notice::EmptyBatch { step, given, limit } => {
            format!("step {step}: no group with a signal ({given} in a row, the run stops at {limit})")
        }
        Notice::EvalSkipped { version } => format!("version {version} is not scored: earlier evaluations still run"),
        Notice::CheckpointSkipped { step } => {
            format!("step {step} is not saved: the checkpoint before is still being written")
        }
    }
}
