//! From a group handed in to a group accepted: what is told, and when.
//!
//! Promise: `GroupAccepted` is told once per group, when the rules have let it through its checks
//! and before they judge whether it is worth training on.

use anyhow::Result;
use protocol::{Group, LeaseId, Rollout};

use super::Conductor;
use record::events::{Event, GroupAccepted, RolloutText};

impl Conductor<'_> {
    /// Metrics of the next step count the group.
    pub(super) fn count_accepted(&mut self, lease: LeaseId) -> Result<()> {
        let group = self.verified(lease)?;
        self.progress.since.group(group.group());
        Ok(())
    }

    pub(super) fn tell_accepted(&mut self, lease: LeaseId) -> Result<()> {
        let group = self.verified(lease)?;
        self.credit(lease, &group)?;
        self.count_accepted(lease)?;
        let event = self.accepted(group.group())?;
        self.journal.record(Event::GroupAccepted(event))
    }

    fn accepted(&self, group: &Group) -> Result<GroupAccepted> {
        let (lease, rollouts) = (&group.lease, &group.rollouts);
        let text = |rollout: &Rollout| {
            Ok::<_, anyhow::Error>(RolloutText {
                prompt: self.prompting.text(&rollout.prompt_tokens)?,
                completion: self.prompting.text(&rollout.completion_tokens)?,
                reward_micro: rollout.reward_micro,
                exact: rollout.exact,
            })
        };
        Ok(GroupAccepted {
            lease: lease.lease,
            task: lease.task,
            item: lease.item,
            worker: lease.worker,
            weight_version: lease.weight_version,
            rewards_micro: rollouts.iter().map(|rollout| rollout.reward_micro).collect(),
            exact_count: rollouts.iter().filter(|rollout| rollout.exact).count() as u32, // at most a group
            prompt_tokens: rollouts.first().map_or(0, |rollout| rollout.prompt_tokens.len() as u64),
            completion_tokens: rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum(),
            sample: rollouts.first().map(text).transpose()?,
        })
    }
}
