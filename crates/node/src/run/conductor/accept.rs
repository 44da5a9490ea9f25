//! From a group handed in to a group accepted: what is told, and when.
//!
//! Promise: `GroupAccepted` is told once per group, when the rules have let it through its checks
//! and before they judge whether it is worth training on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use protocol::{Group, LeaseId, Rollout};
use rounds::{Action, DropReason, Event as Rule};

use super::Conductor;
use record::events::{Event, GroupAccepted, RolloutText};

impl Conductor<'_> {
    /// A group is in check from its arrival on.
    pub(super) fn note_in_check(&mut self, rule: &Rule) {
        if let Rule::GroupFinished(group) = rule {
            self.progress.in_check.insert(group.lease);
        }
    }

    /// Tells of the groups whose check has just ended well.
    pub(super) fn note_accepted(&mut self, actions: &[Action]) -> Result<()> {
        self.judged(actions).into_iter().try_for_each(|lease| self.tell_accepted(lease))
    }

    pub(super) fn tell_accepted(&mut self, lease: LeaseId) -> Result<()> {
        let group = self.verified(lease)?;
        self.credit(lease, &group)?;
        self.progress.since.group(group.group());
        let event = self.accepted(group.group())?;
        self.journal.record(Event::GroupAccepted(event))
    }

    /// Groups that left their check because they passed it; the others are only forgotten. One that
    /// became stale may have been dropped before anybody had looked at it.
    pub(super) fn judged(&mut self, actions: &[Action]) -> Vec<LeaseId> {
        let before = std::mem::take(&mut self.progress.in_check);
        let (still, left): (BTreeSet<LeaseId>, BTreeSet<LeaseId>) =
            before.into_iter().partition(|lease| self.rounds.is_in_check(*lease));
        self.progress.in_check = still;
        let dropped: BTreeMap<LeaseId, DropReason> = actions
            .iter()
            .filter_map(|action| match action {
                Action::DropGroup { lease, reason } => Some((*lease, *reason)),
                _ => None,
            })
            .collect();
        let passed = |lease: &LeaseId| match dropped.get(lease) {
            None | Some(DropReason::NoSignal) => true,
            Some(DropReason::Stale { .. }) => self.verified(*lease).is_ok(),
            Some(_) => false,
        };
        left.into_iter().filter(passed).collect()
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
