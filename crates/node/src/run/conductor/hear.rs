//! What the conductor does with news.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use protocol::{
    BeaconPoint, CheckedRollout, Party, Record, Submission, ValidatorId, VerdictReveal, WeightVersion, WorkerId,
};
use rounds::Event as Rule;
use rounds::desk::PlantOrder;
use verify::{Answer, VerifyError};

use super::{Conductor, Weights, offer, since};
use crate::run::checkpoint::{self, Checkpoint};
use crate::run::measure::TrainTime;
use crate::run::messages::{News, Question, TaskScore, ValidatorOrder, WorkerOrder};
use record::events::{EvalStage, Event, GroupReceived, StepTrained, VerdictGiven};
use record::store::Payload;

/// Steps between two accounts of the curriculum's levels.
const LEVELS_EVERY_STEPS: u64 = 10;
/// Characters kept of what a worker says about a failure of its own.
const CAUSE_CHARS_MAX: usize = 200;

impl Conductor<'_> {
    pub(super) fn hear(&mut self, news: News) -> Result<()> {
        match news {
            News::Answered { worker, answer } => self.answered(worker, answer),
            News::Countersigned { worker, bytes } => self.countersigned(worker, bytes),
            News::FromValidator { validator, bytes } => self.validator_spoke(validator, &bytes),
            News::Point { question: Question::Draw(lease), point } => {
                self.shelf.drawn(lease, point);
                self.feed(Rule::Drawn { lease, beacon: point })
            }
            News::Point { question: Question::Weights(version), point } => self.publish(version, point),
            News::Trained { step, metrics, snapshot, hash, time } => {
                self.note_step(step, *metrics, Weights { snapshot, hash }, time)?;
                let learnt = std::mem::take(&mut self.progress.batch);
                self.feed(Rule::StepTrained { step })?;
                self.note_levels(step)?;
                learnt.iter().for_each(|group| self.forget(group.group().lease.lease));
                Ok(())
            }
            News::Saved { step, busy } => self.saved(step, busy),
            News::Evaluated { id, version, scores, busy } => {
                let levels = scores.iter().flat_map(|score| score.levels.iter().copied()).collect();
                self.note_eval(version, scores, busy)?;
                self.evals.remove(&id);
                self.feed(Rule::EvalFinished { eval: id, scores: levels })
            }
            News::Bank(news) => self.bank_spoke(news),
            News::Failed { who, error } => Err(error.context(format!("the {who} failed"))),
        }
    }

    fn answered(&mut self, worker: WorkerId, answer: Answer) -> Result<()> {
        let lease = answer.lease;
        // Whoever was fined is heard no more: not decoded, not logged.
        if self.rounds.fined(Party::Worker(worker)).is_some() {
            return Ok(());
        }
        let bytes = match answer.bytes {
            Ok(bytes) => bytes,
            // Nobody gives up the lease of another.
            Err(_) if self.progress.leased.get(&lease) != Some(&worker) => return Ok(()),
            Err(cause) => {
                let cause: String = cause.chars().take(CAUSE_CHARS_MAX).collect();
                self.journal.record(Event::Warning { message: format!("worker {worker}, lease {lease}: {cause}") })?;
                return self.feed(Rule::GroupFailed { lease, cause });
            }
        };
        match self.desk.submission(worker, &bytes) {
            Ok(taken) => {
                self.receive(worker, &taken.submission, &bytes)?;
                self.feed(taken.event)
            }
            Err(refused) => {
                let Some(event) = refused.event else { return Ok(()) }; // late, and nobody's fault
                let words = refused.why.to_string();
                let lease = match event {
                    Rule::WorkerLied { lease, .. } => lease,
                    _ => None,
                };
                self.tally.refused(Party::Worker(worker), &words);
                self.journal.record(Event::GroupRefused { worker, lease, words })?;
                self.feed(event)
            }
        }
    }

    /// Shows a signed plant to its validator. Nobody waits for it, and a worker need not sign: one that was
    /// started anew does not know what it answered before.
    fn countersigned(&mut self, worker: WorkerId, bytes: Result<Vec<u8>, VerifyError>) -> Result<()> {
        let Ok(bytes) = bytes else { return Ok(()) };
        match self.desk.countersigned(self.progress.now_ms(), worker, &bytes) {
            Ok(PlantOrder { validator, weight_version, order }) => {
                self.give_weights(weight_version, validator)?;
                self.tell_validator(validator, ValidatorOrder::Message(order)).map(drop)
            }
            Err(_) => Ok(()), // late, or not what was asked: nobody pays for it
        }
    }

    /// Writes a submission down before the rules hear of it.
    fn receive(&mut self, worker: WorkerId, submission: &Submission, bytes: &[u8]) -> Result<()> {
        let rollouts = &submission.rollouts;
        let received = GroupReceived {
            lease: submission.lease.body.lease,
            worker,
            rollouts: rollouts.len() as u32, // at most a group
            tokens: rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum(),
            bytes: bytes.len() as u64,
        };
        self.tally.received(&received);
        let lease = received.lease;
        let payload = Payload { lease, weight_version: submission.lease.body.weight_version, bytes };
        let seq = self.journal.record_with(Event::GroupReceived(received), payload)?;
        self.shelf.received(lease, seq);
        Ok(())
    }

    fn validator_spoke(&mut self, validator: ValidatorId, bytes: &[u8]) -> Result<()> {
        let event = match self.desk.from_validator(self.progress.now_ms(), validator, bytes) {
            Ok(heard) => {
                if let Some(reply) = heard.reply {
                    self.tell_validator(validator, ValidatorOrder::Message(reply))?;
                }
                heard.event
            }
            Err(refused) => {
                self.tally.refused(Party::Validator(validator), &refused.why.to_string());
                refused.event
            }
        };
        match &event {
            Some(Rule::VerdictRevealed { .. }) => self.note_verdict(validator, bytes)?,
            Some(Rule::PlantAnswered { plant, caught, .. }) => {
                let (plant, caught) = (*plant, *caught);
                self.note_plant(plant, validator, caught)?;
                self.journal.record(Event::PlantAnswered { plant, validator, caught })?;
            }
            _ => {}
        }
        match event {
            Some(event) => self.feed(event),
            None => Ok(()),
        }
    }

    /// Writes a verdict down before the rules hear of it.
    fn note_verdict(&mut self, validator: ValidatorId, bytes: &[u8]) -> Result<()> {
        let verdict = VerdictReveal::decode(bytes)?.verdict.body;
        let tokens = |checked: &CheckedRollout| checked.logprobs.len() as u64;
        let lease = verdict.lease;
        let judged = self.desk.submitted(lease).ok_or_else(|| anyhow!("a verdict on nothing, lease {lease}"))?;
        let (commitment, weight_version) = (&judged.commitment.body, judged.lease.body.weight_version);
        let given = VerdictGiven {
            lease,
            worker: commitment.worker,
            validator,
            rollouts_checked: verdict.checked.len() as u32, // at most a group
            tokens_checked: verdict.checked.iter().map(tokens).sum(),
            rollouts: commitment.rollout_count,
            outcome: verdict.outcome,
        };
        self.tally.judged(&given);
        let seq = self.journal.record_with(Event::VerdictGiven(given), Payload { lease, weight_version, bytes })?;
        self.shelf.judged(lease, validator, seq);
        Ok(())
    }

    /// The beacon has spoken for new weights: from now on leases name them.
    fn publish(&mut self, version: WeightVersion, beacon: BeaconPoint) -> Result<()> {
        let weights = self.versions.get(version).ok_or_else(|| anyhow!("version {version} was never made"))?;
        if let Some(start) = self.progress.publishing.take() {
            let seconds = since(start);
            self.progress.since.time().publish_weights += seconds;
            self.journal.record(Event::WeightsPublished { version, seconds })?;
        }
        self.feed(Rule::WeightsPublished { version, weights: weights.hash, beacon })?;
        self.versions.forget_before(self.oldest_needed());
        Ok(())
    }

    /// The oldest version that may still be asked for: by a lease that is out, a group under check, an evaluation, or,
    /// where several validators are tried with plants, any group that is not too old.
    pub(super) fn oldest_needed(&self) -> WeightVersion {
        let published = self.rounds.version_published();
        let planted = match self.orders.validators.len() {
            0 | 1 => published,
            _ => published.saturating_sub(self.rounds.config().staleness_limit()),
        };
        let needed = self.rounds.versions_needed().into_iter().chain(self.evals.values().copied());
        needed.fold(planted, WeightVersion::min)
    }

    /// Lets go of older weights, here and wherever they were handed to.
    pub(super) fn forget_weights_before(&mut self, oldest: WeightVersion) -> Result<()> {
        self.versions.forget_before(oldest);
        // One that does not hear of it holds them for longer.
        for way in &self.orders.workers {
            offer(way, WorkerOrder::ForgetBefore(oldest))?;
        }
        for way in &self.orders.validators {
            offer(way, ValidatorOrder::ForgetBefore(oldest))?;
        }
        Ok(())
    }

    pub(super) fn note_step(
        &mut self,
        step: u64,
        learnt: train::StepMetrics,
        weights: Weights,
        time: TrainTime,
    ) -> Result<()> {
        self.versions.keep(step, weights);
        self.progress.close_step(&self.work);
        let batch: Vec<_> = self.progress.batch.iter().map(|group| group.group()).collect();
        let metrics = self.progress.since.close(step, &batch, learnt, time)?;
        let leases: Vec<_> = batch.iter().map(|group| group.lease.lease).collect();
        self.credit_step(step)?;
        self.journal.record(Event::StepTrained(Box::new(StepTrained { step, version: step, metrics, leases })))
    }

    /// Tells how the levels stand, once in so many steps.
    fn note_levels(&mut self, step: u64) -> Result<()> {
        let levels = if step % LEVELS_EVERY_STEPS == 1 { self.rounds.levels() } else { Vec::new() };
        match levels.is_empty() {
            true => Ok(()),
            false => self.journal.record(Event::LevelsSeen { step, levels }),
        }
    }

    fn saved(&mut self, step: u64, busy: Duration) -> Result<()> {
        let draft = self.progress.draft.take().ok_or_else(|| anyhow!("step {step} was saved unasked"))?;
        let start = Instant::now();
        let whole: Checkpoint = draft.finish()?;
        let seconds = busy.as_secs_f64() + since(start);
        self.progress.since.time().save_ckpt += seconds;
        let path = format!("checkpoints/step-{step}");
        let (bytes, oldest_version) = (whole.bytes(), whole.oldest_version()?);
        self.journal.record(Event::CheckpointSaved { step, path, bytes, oldest_version, seconds })?;
        self.feed(Rule::CheckpointSaved { step })?;
        checkpoint::prune(&self.checkpoints, self.keep)?;
        self.drop_evidence()
    }

    /// Drops the records of groups that were settled before the oldest checkpoint, and whose weights went with an
    /// older one. A fined party's stay: they are what the fine rests on.
    fn drop_evidence(&mut self) -> Result<()> {
        let Some(oldest) = Checkpoint::all(&self.checkpoints)?.into_iter().next() else { return Ok(()) };
        let rules = oldest.rules()?;
        let is_needed = |lease| lease >= rules.leases_given() || rules.is_open(lease) || self.shelf.is_fined(lease);
        self.journal.drop_payloads(oldest.oldest_version()?, is_needed)
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
}
