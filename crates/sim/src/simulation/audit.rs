//! Replays of the trainer's steps by validators drawn by lot.
//!
//! Promise: a step is doubted only if more than half of the three who replayed it found it wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Outcome, StepNumber, Update, ValidatorId};

use super::Simulation;
use super::trainer::train_rollouts;
use crate::network::Node;
use crate::packet::{Packet, StepToReplay, Trained};

/// Share of the steps that are replayed, in millionths: one of two.
const REPLAY_PPM: u32 = 500_000;
/// Validators who replay one step.
const REPLAYERS: u32 = 3;

/// Steps under replay.
#[derive(Default)]
pub(super) struct Audit {
    last: Option<Update>,
    found: BTreeMap<StepNumber, BTreeMap<ValidatorId, Outcome>>,
}

impl Simulation {
    /// A step was made: draws whether it is replayed, and by whom.
    pub(super) fn audit(&mut self, trained: &Trained) {
        let Some((update, before)) = &trained.update else { return };
        let previous = self.office.audit.last.replace(update.body.clone());
        let (step, batch) = (update.body.step, update.body.batch);
        let beacon = self.world.draw_point(step, self.seed);
        if !proof::draw::second_check(&beacon, &batch, REPLAY_PPM) {
            return;
        }
        let groups: Result<Vec<_>, _> = update.body.leases.iter().map(|&lease| self.office.verified(lease)).collect();
        let Ok(groups) = groups else {
            return self.witness.fail(format!("the groups of step {step} are gone before its replay"));
        };
        let Ok(rollouts) = train_rollouts(&groups, self.world.terms.sampling.temperature) else { return };
        let step_to_replay = StepToReplay {
            update: update.clone(),
            // After a restart the update before may be unknown; the state before is checked all the same.
            previous: previous.filter(|previous| previous.step + 1 == step),
            before: before.clone(),
            groups,
            batch: rollouts,
        };
        let packet = Packet::Replay(Arc::new(step_to_replay));
        let mut candidates: Vec<ValidatorId> = (0..self.validators.len() as u32).collect(); // a few
        for place in 0..REPLAYERS {
            let Some(validator) = proof::draw::validator(&beacon, &batch, &candidates, place) else { return };
            candidates.retain(|&other| other != validator);
            self.post_replay(step, validator, packet.clone());
        }
    }

    /// A validator's finding on a step.
    pub(super) fn replayed(&mut self, validator: ValidatorId, step: StepNumber, outcome: Outcome) {
        let found = self.office.audit.found.entry(step).or_default();
        found.insert(validator, outcome);
        let wrong = found.values().filter_map(|outcome| match outcome {
            Outcome::Invalid(reason) => Some(reason.check),
            _ => None,
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.len() as u32 * 2 > REPLAYERS {
            self.witness.catch(Node::Trainer, wrong[0]);
            self.note(|| format!("the trainer is caught at step {step}"));
            // Nobody could go on without a trainer.
            self.over = self.cast.poisoner;
        }
    }
}
