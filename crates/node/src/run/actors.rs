//! The threads of the workers, of the validators, and of the beacon.
//!
//! Promise: an actor hears its orders in the order they were given, and what it says goes to the
//! conductor as bytes; an actor that cannot go on says so, once.
//! Never: looks into a message. That is for the actor on this side and for the desk on the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError};
use std::time::Instant;

use anyhow::{Result, anyhow};
use protocol::{PromptLease, Record, Signed, ValidatorId, WorkerId};
use verify::{ValidatorActor, WorkerActor};

use super::messages::{BeaconOrder, News, ValidatorOrder, WorkerOrder};
use super::waits::IdleTime;
use crate::beacon::Beacon;

/// Time at work and tokens made by all actors together, read by the conductor at any moment.
#[derive(Default)]
pub struct WorkCount {
    /// Nanoseconds that workers spent generating and proving.
    pub generate_ns: AtomicU64,
    /// Nanoseconds of these that went into proofs and grades.
    pub prove_ns: AtomicU64,
    /// Nanoseconds that validators spent checking.
    pub validate_ns: AtomicU64,
    /// Time that workers had no lease.
    pub workers_idle: IdleTime,
    /// Time that validators had nothing to check.
    pub validators_idle: IdleTime,
}

/// Runs a worker until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn work(
    id: WorkerId,
    actor: Box<dyn WorkerActor>,
    orders: &Receiver<WorkerOrder>,
    news: &SyncSender<News>,
    count: &WorkCount,
) {
    let mut thread = WorkerThread { id, actor, proved_ns: 0, news, count };
    if let Err(error) = thread.run(orders) {
        // If the conductor is gone there is nobody left to tell.
        let _ = news.send(News::Failed { who: format!("worker {id}"), error });
    }
}

struct WorkerThread<'a> {
    id: WorkerId,
    actor: Box<dyn WorkerActor>,
    /// What of its time at proofs has been counted.
    proved_ns: u64,
    news: &'a SyncSender<News>,
    count: &'a WorkCount,
}

impl WorkerThread<'_> {
    fn run(&mut self, orders: &Receiver<WorkerOrder>) -> Result<()> {
        while self.take_orders(orders)? {
            let start = Instant::now();
            let answers = self.actor.step()?;
            add(&self.count.generate_ns, start);
            let proved_ns = self.actor.proving_ns();
            self.count.prove_ns.fetch_add(proved_ns.saturating_sub(self.proved_ns), Ordering::Relaxed);
            self.proved_ns = proved_ns;
            for answer in answers {
                tell(self.news, News::Answered { worker: self.id, answer })?;
            }
        }
        Ok(())
    }

    /// Takes what is there; waits only if there is nothing to do. False once the conductor is gone.
    fn take_orders(&mut self, orders: &Receiver<WorkerOrder>) -> Result<bool> {
        loop {
            let order = if self.actor.is_idle() {
                match self.count.workers_idle.during(|| orders.recv()) {
                    Ok(order) => order,
                    Err(RecvError) => return Ok(false),
                }
            } else {
                match orders.try_recv() {
                    Ok(order) => order,
                    Err(TryRecvError::Empty) => return Ok(true),
                    Err(TryRecvError::Disconnected) => return Ok(false),
                }
            };
            self.obey(order)?;
        }
    }

    fn obey(&mut self, order: WorkerOrder) -> Result<()> {
        match order {
            WorkerOrder::Lease(bytes) => self.actor.lease(&Signed::<PromptLease>::decode(&bytes)?)?,
            WorkerOrder::Weights { version, snapshot } => self.actor.weights(version, &snapshot)?,
            WorkerOrder::ForgetBefore(oldest) => self.actor.forget_before(oldest),
            WorkerOrder::Cancel(lease) => self.actor.cancel(lease),
            WorkerOrder::Countersign(request) => {
                let bytes = self.actor.countersign(&request);
                tell(self.news, News::Countersigned { worker: self.id, bytes })?;
            }
        }
        Ok(())
    }
}

/// Runs a validator until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn validate(
    id: ValidatorId,
    mut actor: Box<dyn ValidatorActor>,
    orders: &Receiver<ValidatorOrder>,
    news: &SyncSender<News>,
    count: &WorkCount,
) {
    let mut obey = |order| -> Result<()> {
        match order {
            ValidatorOrder::Weights { version, snapshot } => actor.weights(version, &snapshot)?,
            ValidatorOrder::ForgetBefore(oldest) => actor.forget_before(oldest),
            ValidatorOrder::Message(bytes) => {
                let start = Instant::now();
                let answers = actor.message(&bytes)?;
                add(&count.validate_ns, start);
                for bytes in answers {
                    tell(news, News::FromValidator { validator: id, bytes })?;
                }
            }
        }
        Ok(())
    };
    while let Ok(order) = count.validators_idle.during(|| orders.recv()) {
        if let Err(error) = obey(order) {
            // As above.
            let _ = news.send(News::Failed { who: format!("validator {id}"), error });
            return;
        }
    }
}

/// Answers questions to the beacon, one after the other, until the conductor hangs up.
pub fn ask(mut beacon: Box<dyn Beacon>, orders: &Receiver<BeaconOrder>, news: &SyncSender<News>) {
    while let Ok(BeaconOrder { question, asked_ms, after }) = orders.recv() {
        let answer = match beacon.later_than(asked_ms, after) {
            Ok(point) => News::Point { question, point },
            Err(error) => News::Failed { who: "beacon".to_owned(), error: error.into() },
        };
        if news.send(answer).is_err() {
            return;
        }
    }
}

fn add(count: &AtomicU64, start: Instant) {
    // An u64 of nanoseconds lasts 584 years.
    count.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
}

fn tell(news: &SyncSender<News>, what: News) -> Result<()> {
    news.send(what).map_err(|_| anyhow!("the conductor is gone"))
}
