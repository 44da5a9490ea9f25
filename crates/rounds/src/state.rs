//! Shows, saves and restores the machine.
//!
//! Promise: what is restored is what was saved, or a named error; a state that breaks a rule of the
//! run is never worked with.

use std::collections::BTreeSet;

use protocol::{BeaconPoint, LeaseId, StepNumber, WeightVersion};

use crate::constants::{STATE_BYTES_MAX, STATE_FORMAT};
use crate::machine::{Phase, Rounds};
use crate::{Batch, Counters, LevelView, RoundsConfig, RoundsError};

impl Rounds {
    /// The run's configuration.
    pub fn config(&self) -> &RoundsConfig {
        &self.config
    }

    /// Events taken so far. A state saved now goes on from this position of the log.
    pub fn events_taken(&self) -> u64 {
        self.events_taken
    }

    /// Totals so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The batch in training, if any.
    pub fn training(&self) -> Option<&Batch> {
        self.training.as_ref()
    }

    /// The last trained step, which is also the newest version of the weights.
    pub fn steps_trained(&self) -> StepNumber {
        self.trained
    }

    /// The version that new leases use.
    pub fn version_published(&self) -> WeightVersion {
        self.published
    }

    /// Leases given so far; the next lease has this number.
    pub fn leases_given(&self) -> u64 {
        self.next_lease
    }

    /// Accepted groups waiting for their batch, in training order.
    pub fn buffered(&self) -> impl ExactSizeIterator<Item = LeaseId> + '_ {
        self.buffer.iter().map(|kept| kept.group.lease)
    }

    /// Leases whose groups are back and not yet judged.
    pub fn in_check(&self) -> impl ExactSizeIterator<Item = LeaseId> + '_ {
        self.panels.keys().copied()
    }

    /// Whether a lease's group is back and not yet judged.
    pub fn is_in_check(&self, lease: LeaseId) -> bool {
        self.panels.contains_key(&lease)
    }

    /// Whether a lease has not ended: its group is out, back, waiting to be trained on, or in training.
    pub fn is_open(&self, lease: LeaseId) -> bool {
        let arrived = self.wave.as_ref().is_some_and(|wave| wave.arrived.contains_key(&lease));
        let in_training = self.training.as_ref().is_some_and(|batch| batch.leases.contains(&lease));
        self.in_flight.contains_key(&lease)
            || self.panels.contains_key(&lease)
            || arrived
            || in_training
            || self.buffered().any(|buffered| buffered == lease)
    }

    /// Versions without whose weights leases fail: the published one, which new leases name, and those of leases that are
    /// out and of groups under check. An eval under way is not among them.
    pub fn versions_needed(&self) -> BTreeSet<WeightVersion> {
        let leased = self.in_flight.values().map(|lease| lease.weight_version);
        let rollouts = self.panels.values().flat_map(|panel| &panel.group.rollouts);
        let checked = rollouts.map(|rollout| rollout.weight_version_min);
        [self.published].into_iter().chain(leased).chain(checked).collect()
    }

    /// The beacon point that a lease's group was drawn at, while it is under check: part of every
    /// order to check it.
    pub fn drawn(&self, lease: LeaseId) -> Option<BeaconPoint> {
        self.panels.get(&lease)?.drawn
    }

    /// How every level of every task stands, with a curriculum.
    pub fn levels(&self) -> Vec<LevelView> {
        self.sampler.view()
    }

    /// Whether `Finish` has been given.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    /// The whole state: one byte of format, then postcard.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.assert_invariants();
        postcard::to_extend(self, vec![STATE_FORMAT])
            .expect("plain structs of numbers and lists always serialise into a growing vector")
    }

    /// Restores a saved state and checks it.
    ///
    /// Errors: `StateTooLarge`, `StateFormat`, `StateMalformed`, `StateInconsistent`, and those of
    /// [`RoundsConfig::check`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RoundsError> {
        if bytes.len() > STATE_BYTES_MAX {
            return Err(RoundsError::StateTooLarge { limit: STATE_BYTES_MAX, given: bytes.len() });
        }
        let malformed = RoundsError::StateMalformed { bytes: bytes.len() };
        let (&given, body) = bytes.split_first().ok_or(malformed.clone())?;
        if given != STATE_FORMAT {
            return Err(RoundsError::StateFormat { expected: STATE_FORMAT, given });
        }
        let (state, rest): (Self, _) = postcard::take_from_bytes(body).map_err(|_| malformed.clone())?;
        if !rest.is_empty() {
            return Err(malformed);
        }
        state.check()?;
        Ok(state)
    }
}
