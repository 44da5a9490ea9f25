//! What the liars of one run know of each other.
//!
//! Promise: honest parties neither read it nor write to it; a run's liars share one ring, two runs never do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{LeaseId, Record, Rollout, Verdict, VerdictReveal, WorkerId};

/// Verdicts remembered.
const VERDICTS_MAX: usize = 256;

/// The liars' common knowledge. Clones share it.
#[derive(Clone, Default)]
pub struct Ring {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    workers: BTreeSet<WorkerId>,
    swarm: Option<Vec<Rollout>>,
    verdicts: BTreeMap<LeaseId, Verdict>,
}

impl Ring {
    /// Lets the liars overhear a message on the wire. Only opened verdicts tell them something.
    pub fn overhear(&self, bytes: &[u8]) {
        let Ok(reveal) = VerdictReveal::decode(bytes) else { return };
        let verdict = reveal.verdict.body;
        let verdicts = &mut self.shared().verdicts;
        verdicts.insert(verdict.lease, verdict);
        while verdicts.len() > VERDICTS_MAX {
            verdicts.pop_first();
        }
    }

    /// The last verdict on a lease that went over the wire.
    pub(super) fn overheard(&self, lease: LeaseId) -> Option<Verdict> {
        self.shared().verdicts.get(&lease).cloned()
    }

    /// A lying worker makes itself known.
    pub(super) fn join(&self, worker: WorkerId) {
        self.shared().workers.insert(worker);
    }

    /// Whether a worker is one of the liars.
    pub(super) fn has(&self, worker: WorkerId) -> bool {
        self.shared().workers.contains(&worker)
    }

    /// The swarm's one answer, if one of it has made it.
    pub(super) fn swarm(&self) -> Option<Vec<Rollout>> {
        self.shared().swarm.clone()
    }

    /// The swarm's one answer: the one it has, or else `made`.
    pub(super) fn swarm_or(&self, made: &[Rollout]) -> Vec<Rollout> {
        self.shared().swarm.get_or_insert_with(|| made.to_vec()).clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change is one insertion, so what a panicking thread left behind is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
