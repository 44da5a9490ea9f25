//! The worker: answers leases with graded groups of rollouts.
//!
//! Promise: every lease ends in exactly one group or one failure; the noise of a sample depends on
//! its lease and index alone, never on what else runs.
//! Takes: orders, in the order they were given. Gives: news.
//! Never: waits for the trainer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, Sender, TryRecvError};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{Domain, Group, LeaseId, Rollout};

use super::messages::{LeasedPrompt, News, WorkerOrder};
use super::prompting::Prompting;

/// Time at work and tokens made, read by the conductor at any moment.
#[derive(Default)]
pub struct WorkCount {
    /// Nanoseconds in the engine.
    pub busy_ns: AtomicU64,
    /// Tokens sampled.
    pub tokens: AtomicU64,
}

/// What a worker needs to begin.
pub struct WorkerSetup {
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// How to sample.
    pub sampling: Sampling,
    /// Sizes of the engine.
    pub engine: EngineConfig,
    /// Number format of the matrices.
    pub dtype: WeightDtype,
    /// Where the model runs.
    pub device: Device,
    /// First weights.
    pub snapshot: ModelSnapshot,
    /// Their version.
    pub version: u64,
    /// Counters to add to.
    pub count: Arc<WorkCount>,
}

/// Runs until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn run(setup: WorkerSetup, orders: Receiver<WorkerOrder>, news: Sender<News>) {
    if let Err(error) = Worker::new(setup, &news).and_then(|mut worker| worker.work(&orders)) {
        // If the conductor is gone there is nobody left to tell.
        let _ = news.send(News::Failed { who: "worker", error });
    }
}

/// A lease at work.
struct Pending {
    leased: Box<LeasedPrompt>,
    rollouts: Vec<Option<Rollout>>,
}

struct Worker<'a> {
    setup: WorkerSetup,
    engine: Engine,
    pending: BTreeMap<LeaseId, Pending>,
    news: &'a Sender<News>,
}

impl<'a> Worker<'a> {
    fn new(setup: WorkerSetup, news: &'a Sender<News>) -> Result<Self> {
        let model = InferenceModel::from_snapshot(&setup.snapshot, setup.dtype, &setup.device);
        let engine = Engine::new(model, setup.version, setup.engine, detokenizer(&setup))?;
        Ok(Self { setup, engine, pending: BTreeMap::new(), news })
    }

    fn work(&mut self, orders: &Receiver<WorkerOrder>) -> Result<()> {
        while self.take_orders(orders)? {
            let start = Instant::now();
            let finished = self.engine.step()?;
            self.setup.count.busy_ns.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            for completion in finished {
                self.collect(completion)?;
            }
        }
        Ok(())
    }

    /// Takes what is there; waits only if there is nothing to do. False once the conductor is gone.
    fn take_orders(&mut self, orders: &Receiver<WorkerOrder>) -> Result<bool> {
        loop {
            let order = if self.engine.is_idle() {
                match orders.recv() {
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
            WorkerOrder::Lease(leased) => self.begin(leased),
            WorkerOrder::Weights { version, snapshot } => {
                self.use_weights(version, &snapshot)?;
                self.tell(News::Published { version })
            }
            WorkerOrder::Restore { version, snapshot } => self.use_weights(version, &snapshot),
            WorkerOrder::Cancel(lease) => {
                if self.pending.remove(&lease).is_some() {
                    self.engine.cancel(lease);
                }
                Ok(())
            }
        }
    }

    fn use_weights(&mut self, version: u64, snapshot: &ModelSnapshot) -> Result<()> {
        let model = InferenceModel::from_snapshot(snapshot, self.setup.dtype, &self.setup.device);
        Ok(self.engine.swap_weights(model, version)?)
    }

    fn begin(&mut self, leased: Box<LeasedPrompt>) -> Result<()> {
        let lease = &leased.lease;
        let request = Request {
            id: lease.lease,
            prompt: leased.prompt.clone(),
            seeds: (0..lease.group_size).map(|sample| lease.sample_seed(Domain::Train, sample)).collect(),
            sampling: self.setup.sampling.clone(),
            want_hidden: false,
        };
        let id = lease.lease;
        match self.engine.submit(request) {
            Ok(()) => {
                let rollouts = vec![None; lease.group_size as usize];
                self.pending.insert(id, Pending { leased, rollouts });
                Ok(())
            }
            Err(error) => self.tell(News::GroupFailed { lease: id, reason: error.to_string() }),
        }
    }

    fn collect(&mut self, completion: Completion) -> Result<()> {
        let id = completion.request;
        let Some(pending) = self.pending.get_mut(&id) else { return Ok(()) };
        self.setup.count.tokens.fetch_add(completion.tokens.len() as u64, Ordering::Relaxed);
        let index = completion.sample_index as usize;
        let rollout = graded(&self.setup.prompting, &pending.leased, completion)?;
        let slot =
            pending.rollouts.get_mut(index).ok_or_else(|| anyhow!("sample {index} of lease {id} was not asked for"))?;
        *slot = Some(rollout);
        if pending.rollouts.iter().all(Option::is_some) {
            let pending = self.pending.remove(&id).context("a lease at work vanished")?;
            let group =
                Group { lease: pending.leased.lease, rollouts: pending.rollouts.into_iter().flatten().collect() };
            self.tell(News::Group(Arc::new(group)))?;
        }
        Ok(())
    }

    fn tell(&self, news: News) -> Result<()> {
        self.news.send(news).map_err(|_| anyhow!("the conductor is gone"))
    }
}

/// The engine needs texts only to look for stop strings.
fn detokenizer(setup: &WorkerSetup) -> Option<Arc<engine::Detokenize>> {
    if setup.sampling.stop_strings.is_empty() {
        return None;
    }
    let tokenizer = setup.prompting.tokenizer().clone();
    Some(Arc::new(move |tokens: &[u32]| tokenizer.decode(tokens).unwrap_or_default()))
}

fn graded(prompting: &Prompting, leased: &LeasedPrompt, completion: Completion) -> Result<Rollout> {
    let grade = prompting.grade(leased.lease.task as usize, &leased.item, &completion.tokens)?;
    Ok(Rollout {
        lease: leased.lease.lease,
        sample_index: completion.sample_index,
        prompt_tokens: leased.prompt.to_vec(),
        completion_tokens: completion.tokens,
        logprobs: completion.logprobs,
        weight_versions: completion.weight_versions,
        finish: completion.finish,
        reward_micro: grade.reward_micro,
        exact: grade.exact,
    })
}
