//! The trainer as it sits in the network.
//!
//! Promise: a step is made once; asked again, the same answer is given again. Its state is on disk
//! after each step, so a crash costs the step at work and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Signed, StepNumber, VerifiedGroup};
use train::{BehaviourLogprobs, TrainRollout, Trainer};
use verify::describe_update;

use super::{Alarm, Simulation};
use crate::cast::Cast;
use crate::liars;
use crate::network::Node;
use crate::packet::{Batch, Packet, Trained};
use crate::world::{Weights, World};

/// The trainer.
pub(super) struct TrainerSeat {
    /// None where the weights of each step are given with the world.
    real: Option<Trainer>,
    done: BTreeMap<StepNumber, Arc<Trained>>,
    busy: bool,
}

impl TrainerSeat {
    pub(super) fn new(world: &World, cast: &Cast) -> Self {
        Self { real: cast.trains.then(|| world.trainer()), done: BTreeMap::new(), busy: false }
    }

    pub(super) fn restart(&mut self) {
        self.busy = false;
    }
}

impl Simulation {
    pub(super) fn trainer_hears(&mut self, packet: Packet) {
        let Packet::Train(batch) = packet else { return };
        if let Some(done) = self.trainer.done.get(&batch.step).cloned() {
            return self.send(Node::Trainer, Node::Orchestrator, Packet::Trained(done));
        }
        if !self.trainer.busy {
            self.trainer.busy = true;
            let delay = self.chance.within(1_000, 3_000);
            self.network.alarm(Node::Trainer, delay, Alarm::Trained(batch));
        }
    }

    pub(super) fn trainer_wakes(&mut self, alarm: Alarm) {
        let Alarm::Trained(batch) = alarm else { return };
        self.trainer.busy = false;
        let trained = match self.trainer.real.take() {
            None => {
                Ok((None, Trained { step: batch.step, weights: self.world.weights(batch.step).clone(), update: None }))
            }
            Some(trainer) => self.really_train(trainer, &batch).map(|(after, trained)| (Some(after), trained)),
        };
        match trained {
            Ok((after, trained)) => {
                self.trainer.real = after;
                let trained = Arc::new(trained);
                self.trainer.done.insert(batch.step, trained.clone());
                self.send(Node::Trainer, Node::Orchestrator, Packet::Trained(trained));
            }
            Err(error) => {
                self.witness.fail(format!("step {} cannot be made: {error}", batch.step));
                self.over = true;
            }
        }
    }

    fn really_train(&self, before: Trainer, batch: &Batch) -> Result<(Trainer, Trained), String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let rollouts = train_rollouts(&batch.groups, self.world.terms.sampling.temperature)?;
        let mut after = before.clone();
        let stepped = match self.cast.poisoner {
            true => liars::poisoned_step(&mut after, &rollouts),
            false => after.step(&rollouts),
        };
        stepped.map_err(|error| words(&error))?;
        let update = describe_update(batch.step, &batch.groups, before.state_hash(), &after);
        let update = Signed::new(update, &self.world.terms.id(), &self.world.trainer_keys());
        let update = update.map_err(|error| words(&error))?;
        let weights = Weights::new(after.snapshot());
        Ok((after, Trained { step: batch.step, weights, update: Some((update, before)) }))
    }
}

/// The batch as the loss wants it: `advantage = reward - mean reward of the group`.
pub(super) fn train_rollouts(groups: &[VerifiedGroup], temperature: f32) -> Result<Vec<TrainRollout>, String> {
    let mut batch = Vec::new();
    for group in groups {
        let rewards: Vec<f32> = group.rollouts().map(|verified| verified.rollout().reward_micro as f32 / 1e6).collect();
        let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
        for (verified, reward) in group.rollouts().zip(&rewards) {
            let rollout = TrainRollout::new(&verified, reward - mean, temperature, BehaviourLogprobs::Worker);
            batch.push(rollout.map_err(|error| error.to_string())?);
        }
    }
    Ok(batch)
}
