//! The numbers of a step, from what the trainer measured and what came back since the last step.
//!
//! Promise: a count says what it counts; nothing here decides anything.

use std::time::{Duration, Instant};

use protocol::{FinishReason, Group};

use crate::events::{PhaseSeconds, Spread, StepMetrics};
use crate::machine;

/// What happened since the last step.
pub struct Since {
    start: Instant,
    groups: u64,
    solved_all: u64,
    solved_none: u64,
    equal_rewards: u64,
    dropped_stale: u64,
    rewards: Vec<f64>,
    tokens_generated: u64,
    generate_busy: Duration,
    validate_busy: Duration,
    prove_busy: Duration,
    wait_for_batch: Duration,
    save: Duration,
    publish: Duration,
}

impl Since {
    /// Nothing yet.
    pub fn now() -> Self {
        let zero = Duration::ZERO;
        Self {
            start: Instant::now(),
            groups: 0,
            solved_all: 0,
            solved_none: 0,
            equal_rewards: 0,
            dropped_stale: 0,
            rewards: Vec::new(),
            tokens_generated: 0,
            generate_busy: zero,
            validate_busy: zero,
            prove_busy: zero,
            wait_for_batch: zero,
            save: zero,
            publish: zero,
        }
    }

    /// A group passed its checks, whatever becomes of it.
    pub fn group(&mut self, group: &Group) {
        let rewards = || group.rollouts.iter().map(|rollout| rollout.reward_micro);
        self.groups += 1;
        self.solved_all += u64::from(group.rollouts.iter().all(|rollout| rollout.exact));
        self.solved_none += u64::from(!group.rollouts.iter().any(|rollout| rollout.exact));
        self.equal_rewards += u64::from(rewards().min() == rewards().max());
        self.rewards.extend(rewards().map(whole));
        self.tokens_generated +=
            group.rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum::<u64>();
    }

    /// A group was dropped for its age.
    pub fn dropped_stale(&mut self) {
        self.dropped_stale += 1;
    }

    /// Workers were busy.
    pub fn generated_for(&mut self, busy: Duration) {
        self.generate_busy += busy;
    }

    /// Validators were busy.
    pub fn validated_for(&mut self, busy: Duration) {
        self.validate_busy += busy;
    }

    /// Workers were busy with proofs and grades.
    pub fn proved_for(&mut self, busy: Duration) {
        self.prove_busy += busy;
    }

    /// The trainer had nothing to do.
    pub fn waited_for_batch(&mut self, wait: Duration) {
        self.wait_for_batch += wait;
    }

    /// A checkpoint was written.
    pub fn saved_for(&mut self, time: Duration) {
        self.save += time;
    }

    /// New weights found their beacon point.
    pub fn published_for(&mut self, time: Duration) {
        self.publish += time;
    }

    /// Mean reward of all groups that passed their checks, the gate's refusals included; `None` if none did.
    pub fn reward_all_mean(&self) -> Option<f64> {
        let count = self.rewards.len();
        (count > 0).then(|| self.rewards.iter().sum::<f64>() / count as f64)
    }

    /// The step's numbers; the account begins anew.
    pub fn close(&mut self, step: u64, batch: &[&Group], trained: &train::StepMetrics, busy: Duration) -> StepMetrics {
        let since = std::mem::replace(self, Self::now());
        let rollouts = || batch.iter().flat_map(|group| &group.rollouts);
        let count = rollouts().count() as u64;
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let number = |name: &str| trained.get(name).unwrap_or_default();
        let staleness = |rollout: &protocol::Rollout| {
            rollout.weight_version_min().map_or(0.0, |version| (step - 1).saturating_sub(version) as f64)
        };
        StepMetrics {
            reward: Spread::of(rollouts().map(|rollout| whole(rollout.reward_micro))),
            reward_all_mean: since.reward_all_mean(),
            exact_share: share(rollouts().filter(|rollout| rollout.exact).count() as u64, count),
            solved_all: share(since.solved_all, since.groups),
            solved_none: share(since.solved_none, since.groups),
            equal_rewards_share: share(since.equal_rewards, since.groups),
            loss: number("loss"),
            entropy: number("entropy"),
            mismatch_kl: number("mismatch_kl"),
            ratio: Spread {
                mean: number("sampling/importance_sampling_ratio/mean"),
                std: 0.0,
                min: number("sampling/importance_sampling_ratio/min"),
                max: number("sampling/importance_sampling_ratio/max"),
            },
            clip_low_share: number("clip_ratio/low_mean"),
            clip_high_share: number("clip_ratio/high_mean"),
            masked_share: number("is_masked"),
            grad_norm: number("optim/grad_norm"),
            lr: number("optim/lr"),
            staleness: Spread::of(rollouts().map(staleness)),
            dropped_stale: since.dropped_stale,
            completion_length: Spread::of(rollouts().map(|rollout| rollout.completion_tokens.len() as f64)),
            truncated_share: share(
                rollouts().filter(|rollout| rollout.finish == FinishReason::Length).count() as u64,
                count,
            ),
            rollouts: count,
            tokens_trained: rollouts()
                .map(|rollout| (rollout.prompt_tokens.len() + rollout.completion_tokens.len()) as u64)
                .sum(),
            tokens_generated: since.tokens_generated,
            time: PhaseSeconds {
                step: since.start.elapsed().as_secs_f64(),
                generate: since.generate_busy.as_secs_f64(),
                prove: since.prove_busy.as_secs_f64(),
                validate: since.validate_busy.as_secs_f64(),
                wait_for_batch: since.wait_for_batch.as_secs_f64(),
                pack: 0.0,
                forward_backward: busy.as_secs_f64(),
                optimizer: 0.0,
                broadcast_weights: since.publish.as_secs_f64(),
                save_ckpt: since.save.as_secs_f64(),
            },
            peak_memory_bytes: machine::peak_memory_bytes(),
        }
    }
}

fn whole(reward_micro: i64) -> f64 {
    reward_micro as f64 / 1e6
}
