//! The trainer's thread: turns batches of verified groups into new weights.
//!
//! Promise: one step per batch, in order; a state written to disk is whole before it is reported.
//! Takes: groups that passed their checks, and nothing else: there is no other way to make what it takes.
//! Never: looks at a reward that the batch does not carry, or changes weights after an error.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use anyhow::{Result, anyhow};
use protocol::{VerifiedGroup, VerifiedRollout};
use train::{BehaviourLogprobs, Scale, TrainRollout, Trainer, group_advantages};

use super::measure::TrainTime;
use super::messages::{News, OlderWeights, TrainOrder};
use super::older::{self, Guess, LastStep};

/// Most bytes of a checkpoint that older weights take which no lease needs: with them `essaim verify` can check groups
/// of the last batch again, and an eval under way outlives a kill. A version of 135M parameters takes 0.2 GB, of which
/// a checkpoint that is held to the optimiser's state has no room.
const OPTIONAL_BYTES_MAX: u64 = 128 << 20;

/// How groups become a batch.
#[derive(Clone)]
pub struct TrainRule {
    /// What the difference to the group's mean is divided by.
    pub scale: Scale,
    /// Temperature at which the rollouts were sampled.
    pub temperature: f32,
    /// Whose log-probabilities stand for the policy that sampled.
    pub behaviour_logprobs: BehaviourLogprobs,
}

/// Runs until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn run(mut trainer: Trainer, rule: &TrainRule, orders: &Receiver<TrainOrder>, news: &SyncSender<News>) {
    if let Err(error) = work(&mut trainer, rule, orders, news) {
        // If the conductor is gone there is nobody left to tell.
        let _ = news.send(News::Failed { who: "trainer".to_owned(), error });
    }
}

fn work(trainer: &mut Trainer, rule: &TrainRule, orders: &Receiver<TrainOrder>, news: &SyncSender<News>) -> Result<()> {
    while let Ok(order) = orders.recv() {
        let answer = match order {
            TrainOrder::Batch { step, groups } => {
                let start = Instant::now();
                let batch = batch_of(&groups, rule)?;
                let metrics = Box::new(trainer.step(&batch)?);
                let learn = start.elapsed();
                let snapshot = trainer.snapshot();
                let hash = verify::weights_hash(&snapshot);
                News::Trained {
                    step,
                    metrics,
                    snapshot,
                    hash,
                    time: TrainTime { learn, snapshot: start.elapsed() - learn },
                }
            }
            TrainOrder::Save { step, folder, older } => {
                let start = Instant::now();
                trainer.save(&folder)?;
                save_older(trainer, &folder, older)?;
                News::Saved { step, busy: start.elapsed() }
            }
        };
        news.send(answer).map_err(|_| anyhow!("the conductor is gone"))?;
    }
    Ok(())
}

/// Writes older weights, the newest first, beside the trainer's state in `folder`.
fn save_older(trainer: &Trainer, folder: &Path, older: Vec<OlderWeights>) -> Result<()> {
    let mut room = OPTIONAL_BYTES_MAX;
    let (mut newer, mut newer_version) = (trainer.snapshot(), trainer.version());
    for OlderWeights { version, snapshot, path, is_needed } in older {
        let back = trainer.version().checked_sub(newer_version).filter(|_| version + 1 == newer_version);
        let step = back.and_then(|back| LastStep::of(trainer.config(), trainer.updates(), back));
        let guess = Guess { newer: &newer, version: newer_version, trainer: step.map(|step| (folder, step)) };
        let bytes_max = if is_needed { u64::MAX } else { room };
        match older::write(&path, version, &snapshot, guess, bytes_max)? {
            Some(bytes) => {
                room = room.saturating_sub(bytes);
                (newer, newer_version) = (snapshot, version);
            }
            None => room = 0,
        }
    }
    Ok(())
}

/// The trainer's view of the groups: advantages in place of rewards.
fn batch_of(groups: &[Arc<VerifiedGroup>], rule: &TrainRule) -> Result<Vec<TrainRollout>> {
    let rollouts: Vec<VerifiedRollout<'_>> = groups.iter().flat_map(|group| group.rollouts()).collect();
    let rewards: Vec<f32> = rollouts.iter().map(|verified| verified.rollout().reward_micro as f32 / 1e6).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.group().rollouts.len()).collect();
    let advantages = group_advantages(&rewards, &sizes, rule.scale)?;
    let item =
        |(rollout, advantage)| Ok(TrainRollout::new(rollout, advantage, rule.temperature, rule.behaviour_logprobs)?);
    rollouts.iter().zip(advantages).map(item).collect()
}
