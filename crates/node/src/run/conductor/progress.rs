//! What the conductor remembers between events, for measuring and for early ends. Decides nothing
//! that the rules decide.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::{LeaseId, Party, VerifiedGroup, WeightVersion, WorkerId};
use rounds::FinishCause;

use crate::run::actors::WorkCount;
use crate::run::checkpoint::Draft;
use crate::run::measure::Since;
use crate::run::waits::Waits;
use record::events::{Outcome, PhaseSeconds};

/// Steps over which the reward is averaged before it is held against the target.
const REWARD_WINDOW_STEPS: usize = 10;

/// The conductor's memory.
pub struct Progress {
    pub(super) start: Instant,
    pub(super) since: Since,
    /// Busy time of workers and validators that earlier steps have had.
    busy_seen: [Duration; 3],
    pub(super) draft: Option<Draft>,
    pub(super) publishing: Option<Instant>,
    pub(super) waits: Waits,
    /// The batch in training.
    pub(super) batch: Vec<Arc<VerifiedGroup>>,
    /// Who has been given which weights in this process.
    pub(super) given: BTreeSet<(Party, WeightVersion)>,
    /// Whose work a lease was in this process.
    pub(super) leased: BTreeMap<LeaseId, WorkerId>,
    /// Groups that passed their checks, until they are trained on or dropped.
    pub(super) verified: BTreeMap<LeaseId, Arc<VerifiedGroup>>,
    rewards: VecDeque<f64>,
    pub(super) early: Option<Outcome>,
    pub(super) finished: Option<FinishCause>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            since: Since::now(),
            busy_seen: [Duration::ZERO; 3],
            draft: None,
            publishing: None,
            waits: Waits::now(),
            batch: Vec::new(),
            given: BTreeSet::new(),
            leased: BTreeMap::new(),
            verified: BTreeMap::new(),
            rewards: VecDeque::new(),
            early: None,
            finished: None,
        }
    }
}

impl Progress {
    /// Milliseconds of this process: the clock of all deadlines.
    pub(super) fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 // 584 million years
    }

    /// A step ended: takes the actors' busy time and the mean reward into account.
    pub(super) fn close_step(&mut self, work: &WorkCount) {
        let busy = [&work.generate_ns, &work.validate_ns, &work.prove_ns]
            .map(|ns| Duration::from_nanos(ns.load(Ordering::Relaxed)));
        let [generate, validate, prove] = [0, 1, 2].map(|kind| (busy[kind] - self.busy_seen[kind]).as_secs_f64());
        self.busy_seen = busy;
        let wait_for_batch = self.waits.take_trainer().as_secs_f64();
        let time = self.since.time();
        *time = PhaseSeconds { generate, validate, prove, wait_for_batch, ..*time };
        if let Some(mean) = self.since.reward_all_mean() {
            self.rewards.push_back(mean);
            if self.rewards.len() > REWARD_WINDOW_STEPS {
                self.rewards.pop_front();
            }
        }
    }

    /// Mean training reward over the last steps, groups without a signal included.
    pub(super) fn mean_reward(&self) -> Option<f64> {
        let window = &self.rewards;
        (window.len() == REWARD_WINDOW_STEPS).then(|| window.iter().sum::<f64>() / window.len() as f64)
    }
}
