//! An honest worker with one lie built in.
//!
//! Promise: whatever a [`Lie`] does not change is done by the real [`verify::Worker`]; signatures, weight hashes and
//! counts stay right, so that a liar is caught for its lie and for nothing else.

use model::ModelSnapshot;
use protocol::{LeaseId, PromptLease, Rollout, Signed, WeightVersion};
use verify::{Answer, Finished, VerifyError, Work, Worker, WorkerActor, WorkerSetup, weights_hash};

use super::tools::Tools;

/// What a lying worker does in place of what an honest one does. Each step is honest unless overridden.
pub(super) trait Lie: Send {
    /// The weights it generates with when `published` come.
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(published.clone())
    }

    /// What it makes of a lease. `work` is the honest plan.
    fn plan(&mut self, _tools: &Tools, work: Work) -> Result<Work, VerifyError> {
        Ok(work)
    }

    /// What it makes of the rollouts that its engine finished.
    fn rollouts(
        &mut self,
        _tools: &mut Tools,
        _lease: &PromptLease,
        finished: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        Ok(finished)
    }

    /// What it sends in place of the encoded submission; nothing if it keeps silent.
    fn send(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        Some(bytes)
    }
}

/// A worker that lies.
pub(super) struct LyingWorker<L> {
    worker: Worker,
    tools: Tools,
    lie: L,
}

impl<L: Lie> LyingWorker<L> {
    pub(super) fn new(setup: WorkerSetup, lie: L) -> Self {
        Self { tools: Tools::new(&setup), worker: Worker::new(setup), lie }
    }

    fn plan(&mut self, lease: &Signed<PromptLease>) -> Result<Work, VerifyError> {
        let honest = self.worker.plan(lease)?;
        self.lie.plan(&self.tools, honest)
    }

    fn answer(&mut self, mut finished: Finished) -> Option<Answer> {
        if let Ok(rollouts) = finished.rollouts {
            let told = self.lie.rollouts(&mut self.tools, &finished.lease.body, rollouts);
            finished.rollouts = told.map_err(|error| error.to_string());
        }
        let Answer { lease, tokens, bytes } = self.worker.answer(finished);
        let bytes = match bytes {
            Ok(bytes) => Ok(self.lie.send(bytes)?),
            Err(reason) => Err(reason),
        };
        Some(Answer { lease, tokens, bytes })
    }
}

impl<L: Lie> WorkerActor for LyingWorker<L> {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.tools.keep(version, snapshot);
        let held = self.lie.weights(snapshot)?;
        self.worker.hold(version, &held, weights_hash(snapshot))
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        self.worker.forget_before(oldest);
    }

    fn lease(&mut self, lease: &Signed<PromptLease>) -> Result<(), VerifyError> {
        match self.plan(lease) {
            Ok(work) => self.worker.take(work),
            Err(error) => self.worker.fail(lease.clone(), &error),
        }
        Ok(())
    }

    fn cancel(&mut self, lease: LeaseId) {
        self.worker.cancel(lease);
    }

    fn step(&mut self) -> Result<Vec<Answer>, VerifyError> {
        let finished = self.worker.advance()?;
        Ok(finished.into_iter().filter_map(|finished| self.answer(finished)).collect())
    }

    fn countersign(&mut self, request: &[u8]) -> Result<Vec<u8>, VerifyError> {
        self.worker.countersign(request)
    }

    fn is_idle(&self) -> bool {
        self.worker.is_idle()
    }

    fn proving_ns(&self) -> u64 {
        self.worker.proving_ns()
    }
}
