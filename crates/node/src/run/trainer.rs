//! The trainer's thread: turns batches of groups into new weights.
//!
//! Promise: one step per batch, in order; a state written to disk is whole before it is reported.
//! Never: looks at a reward that the batch does not carry, or changes weights after an error.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use anyhow::{Result, anyhow};
use protocol::{Group, Rollout};
use train::{Scale, TrainRollout, Trainer, group_advantages};

use super::messages::{News, TrainOrder};

/// How rewards become advantages.
#[derive(Clone, Copy)]
pub struct AdvantageRule {
    /// What the difference to the group's mean is divided by.
    pub scale: Scale,
    /// Temperature at which the rollouts were sampled.
    pub temperature: f32,
}

/// Runs until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn run(mut trainer: Trainer, rule: AdvantageRule, orders: Receiver<TrainOrder>, news: Sender<News>) {
    if let Err(error) = work(&mut trainer, rule, &orders, &news) {
        // If the conductor is gone there is nobody left to tell.
        let _ = news.send(News::Failed { who: "trainer", error });
    }
}

fn work(trainer: &mut Trainer, rule: AdvantageRule, orders: &Receiver<TrainOrder>, news: &Sender<News>) -> Result<()> {
    while let Ok(order) = orders.recv() {
        let answer = match order {
            TrainOrder::Batch { step, groups } => {
                let start = Instant::now();
                let batch = batch_of(&groups, rule)?;
                let metrics = Box::new(trainer.step(&batch)?);
                News::Trained { step, metrics, snapshot: trainer.snapshot(), busy: start.elapsed() }
            }
            TrainOrder::Save { step, folder } => {
                trainer.save(&folder)?;
                News::Saved { step }
            }
        };
        news.send(answer).map_err(|_| anyhow!("the conductor is gone"))?;
    }
    Ok(())
}

/// The trainer's view of the groups: advantages in place of rewards.
fn batch_of(groups: &[Arc<Group>], rule: AdvantageRule) -> Result<Vec<TrainRollout>> {
    let rollouts = || groups.iter().flat_map(|group| &group.rollouts);
    let rewards: Vec<f32> = rollouts().map(|rollout| rollout.reward_micro as f32 / 1e6).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.rollouts.len()).collect();
    let advantages = group_advantages(&rewards, &sizes, rule.scale)?;
    let item = |(rollout, advantage): (&Rollout, f32)| {
        let mut tokens = rollout.prompt_tokens.clone();
        tokens.extend(&rollout.completion_tokens);
        TrainRollout {
            tokens,
            prompt_len: rollout.prompt_tokens.len(),
            behaviour_logprobs: rollout.logprobs.clone(),
            weight_versions: rollout.weight_versions.clone(),
            advantage,
            temperature: rule.temperature,
            group: rollout.lease,
        }
    };
    Ok(rollouts().zip(advantages).map(item).collect())
}
