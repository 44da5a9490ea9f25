//! The trainer's signed word on a step, and its replay.
//!
//! Promise: a step that was made from the groups it names replays to the same bits, on the same kind of machine; a
//! step that was made from anything else does not.
//! Takes: verified groups, a trainer in the state before the step. Gives: an [`Update`], or a judgement of one.
//! Never: decides which steps are replayed; that is drawn by the beacon.

use protocol::{
    Check, Hash, LeaseId, Outcome, RejectReason, RunTerms, Signed, StepNumber, UncheckedCause, Update, VerifiedGroup,
};
use train::{TrainRollout, Trainer};

use crate::weights_hash;

/// What a trainer says of the step that it has just made; to be signed with the trainer's key.
///
/// `state_before` is [`Trainer::state_hash`] before the step, `groups` are those of the batch in its order.
pub fn describe_update(step: StepNumber, groups: &[VerifiedGroup], state_before: Hash, after: &Trainer) -> Update {
    let (leases, batch) = named(groups);
    Update {
        step,
        leases,
        batch,
        state_before,
        state_after: after.state_hash(),
        weights: weights_hash(&after.snapshot()),
    }
}

/// What a replay needs.
pub struct Replay<'a> {
    /// What the run agreed on.
    pub terms: &'a RunTerms,
    /// The update before this one, as the trainer signed it; none for the first step.
    pub previous: Option<&'a Update>,
    /// The groups that the rules gave to the step, in their order.
    pub groups: &'a [VerifiedGroup],
    /// What the run makes of these groups for the loss.
    pub batch: &'a [TrainRollout],
}

impl Replay<'_> {
    /// Makes the step again and compares; `trainer` is in the state before the step, and configured as the run's.
    ///
    /// - `Invalid(Signature)` if it is not the trainer's word
    /// - `Invalid(UpdateReplay)` if it names other groups than the rules gave to it, does not go on from the update
    ///   before it, or does not replay to the state and weights that it claims
    /// - `Unchecked(WeightsMissing)` if this trainer is in another state than the update began from
    /// - `Unchecked(ModelFailed)` if the step cannot be made here
    ///
    /// Equality of bits holds among machines that compute with the same matrix kernel ([`ops::gemm::current`]): others
    /// sum in another order, and must not replay each other's steps.
    pub fn check(&self, update: &Signed<Update>, mut trainer: Trainer) -> Outcome {
        let Ok(claimed) = update.verify(&self.terms.id(), &self.terms.trainer) else {
            return rejected(Check::Signature, 0);
        };
        let given = i64::try_from(claimed.step).unwrap_or(i64::MAX); // it is only shown
        let lie = rejected(Check::UpdateReplay, given);
        if (claimed.leases.clone(), claimed.batch) != named(self.groups) {
            return lie;
        }
        if self.previous.is_some_and(|previous| previous.state_after != claimed.state_before) {
            return lie;
        }
        let state_before = trainer.state_hash();
        if claimed.state_before != state_before {
            return Outcome::Unchecked(UncheckedCause::WeightsMissing { version: trainer.version() });
        }
        if trainer.step(self.batch).is_err() {
            return Outcome::Unchecked(UncheckedCause::ModelFailed);
        }
        match *claimed == describe_update(claimed.step, self.groups, state_before, &trainer) {
            true => Outcome::Valid,
            false => lie,
        }
    }
}

/// The groups' leases, and the hash of the roots that their workers committed to.
fn named(groups: &[VerifiedGroup]) -> (Vec<LeaseId>, Hash) {
    let leases = groups.iter().map(|group| group.group().lease.lease).collect();
    // A verified group has at least one verdict, and all of them are over its root.
    let verdicts = groups.iter().filter_map(|group| group.verdicts().first());
    let roots: Vec<Hash> = verdicts.map(|verdict| verdict.body.root).collect();
    (leases, Update::batch_hash(&roots))
}

fn rejected(check: Check, given: i64) -> Outcome {
    Outcome::Invalid(RejectReason { check, sample_index: None, position: None, limit: 0, given })
}
