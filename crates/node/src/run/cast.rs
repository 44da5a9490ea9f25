//! Puts every party of a run on its thread.
//!
//! Promise: an actor gets its own keys and the run's terms, and nothing else of the conductor's; who
//! is told to lie by the run file gets a liar's actor behind the same door.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use protocol::{Party, RunTerms, ValidatorId, WorkerId};
use sim::liars::{self, Cheat, Ring};
use train::Trainer;
use verify::{Validator, ValidatorActor, ValidatorSetup, Worker, WorkerActor, WorkerSetup};

use super::actors::{self, WorkCount};
use super::conductor::Orders;
use super::evaluator::{self, EvalSetup};
use super::messages::{News, QueueSizes};
use super::parties::Parties;
use super::prompting::Prompting;
use super::setup;
use super::trainer::{self, TrainRule};
use crate::beacon::Beacon;
use crate::config::RunConfig;

/// What the threads are made of.
pub struct Cast<'a> {
    /// The run file.
    pub config: &'a RunConfig,
    /// The run's terms.
    pub terms: Arc<RunTerms>,
    /// Keys.
    pub parties: &'a Parties,
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// Where models run.
    pub device: Device,
    /// The trainer, with its weights.
    pub trainer: Trainer,
    /// The source of randomness.
    pub beacon: Box<dyn Beacon>,
    /// How long queues are.
    pub queues: QueueSizes,
}

/// Who the run file tells to lie, and how.
pub fn cheats(config: &RunConfig) -> BTreeMap<Party, String> {
    let workers = config.workers.cheat.iter().map(|entry| (Party::Worker(entry.worker), entry.cheat.clone()));
    let validators = config.verify.cheat.iter().map(|entry| (Party::Validator(entry.validator), entry.cheat.clone()));
    workers.chain(validators).collect()
}

impl Cast<'_> {
    /// Starts all threads. They end when the orders are hung up.
    pub fn start(self, news: &SyncSender<News>, count: &Arc<WorkCount>) -> Result<(Orders, Vec<JoinHandle<()>>)> {
        let queues = self.queues;
        let (cheats, ring) = (cheats(self.config), Ring::default());
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for id in 0..self.config.workers.count {
            let (to, orders) = sync_channel(queues.orders);
            let actor = self.worker(id, cheats.get(&Party::Worker(id)), &ring)?;
            let (news, count) = (news.clone(), count.clone());
            let alarmed = news.clone();
            let body = move || actors::work(id, actor, &orders, &news, &count);
            threads.push(spawn(format!("worker-{id}"), &alarmed, body)?);
            workers.push(to);
        }
        let mut validators = Vec::new();
        for id in 0..self.config.verify.validators {
            let (to, orders) = sync_channel(queues.orders);
            let actor = self.validator(id, cheats.get(&Party::Validator(id)), &ring)?;
            let (news, count) = (news.clone(), count.clone());
            let alarmed = news.clone();
            let body = move || actors::validate(id, actor, &orders, &news, &count);
            threads.push(spawn(format!("validator-{id}"), &alarmed, body)?);
            validators.push(to);
        }
        let eval = EvalSetup::of_run(self.config, self.prompting.clone(), self.trainer.model().config(), &self.device);
        let rule = self.rule();
        let (beacon, beacon_orders) = sync_channel(queues.orders);
        let (trainer, trainer_orders) = sync_channel(queues.train);
        let (evaluator, evaluator_orders) = sync_channel(queues.eval);
        let [to_beacon, to_trainer, to_evaluator] = [news.clone(), news.clone(), news.clone()];
        let (source, learner) = (self.beacon, self.trainer);
        threads.push(spawn("beacon".to_owned(), news, move || actors::ask(source, &beacon_orders, &to_beacon))?);
        let body = move || trainer::run(learner, &rule, &trainer_orders, &to_trainer);
        threads.push(spawn("trainer".to_owned(), news, body)?);
        let body = move || evaluator::run(&eval, &evaluator_orders, &to_evaluator);
        threads.push(spawn("evaluator".to_owned(), news, body)?);
        Ok((Orders { workers, validators, trainer, evaluator, beacon }, threads))
    }

    fn rule(&self) -> TrainRule {
        TrainRule {
            scale: setup::advantage_scale(self.config),
            temperature: self.config.rollout.temperature,
            behaviour_logprobs: self.config.verify.behaviour_logprobs,
        }
    }

    fn worker(&self, id: WorkerId, cheat: Option<&String>, ring: &Ring) -> Result<Box<dyn WorkerActor>> {
        let setup = WorkerSetup {
            terms: self.terms.clone(),
            prompts: self.prompting.clone(),
            keys: self.parties.worker(id),
            id,
            engine: setup::worker_engine(self.config, self.trainer.model().config()),
            device: self.device.clone(),
        };
        match cheat {
            None => Ok(Box::new(Worker::new(setup))),
            Some(word) => {
                liars::worker(known(word)?, setup, ring).with_context(|| format!("{word} is no lie of a worker"))
            }
        }
    }

    fn validator(&self, id: ValidatorId, cheat: Option<&String>, ring: &Ring) -> Result<Box<dyn ValidatorActor>> {
        let setup = ValidatorSetup {
            terms: self.terms.clone(),
            prompts: self.prompting.clone(),
            keys: self.parties.validator(id),
            id,
            device: self.device.clone(),
        };
        // What may still be leased, what is being made, and what is under way.
        let versions = setup::staleness_limit(self.config) as usize + 2;
        match cheat {
            None => Ok(Box::new(Validator::new(setup).with_versions_held(versions))),
            Some(word) => {
                liars::validator(known(word)?, setup, ring).with_context(|| format!("{word} is no lie of a validator"))
            }
        }
    }
}

fn known(word: &str) -> Result<Cheat> {
    word.parse().map_err(|unknown: liars::UnknownCheat| anyhow::anyhow!("{unknown}"))
}

/// A thread with a name. If it panics, the conductor hears of it; it would wait for ever for what the thread owes.
pub(super) fn spawn(
    name: String,
    news: &SyncSender<News>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let alarm = Alarm { who: name.clone(), news: news.clone() };
    let body = move || {
        let _alarm = alarm;
        body();
    };
    Ok(thread::Builder::new().name(name).spawn(body)?)
}

/// Tells of a panic while its thread is unwound.
struct Alarm {
    who: String,
    news: SyncSender<News>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            let (who, error) = (self.who.clone(), anyhow!("it panicked, which is a fault of this program"));
            // A conductor that is gone waits for nobody.
            let _ = self.news.send(News::Failed { who, error });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_panics_is_heard_of_and_one_that_ends_is_not() {
        let (to, news) = sync_channel(1);
        spawn("quiet".to_owned(), &to, || ()).unwrap().join().unwrap();
        assert!(news.try_recv().is_err());
        assert!(spawn("trainer".to_owned(), &to, || panic!("as a test of panics")).unwrap().join().is_err());
        match news.recv_timeout(Duration::from_secs(10)) {
            Ok(News::Failed { who, error }) => assert!(who == "trainer" && error.to_string().contains("panicked")),
            _ => panic!("nothing was heard"),
        }
    }
}
