//! Groups between their return and their training: in memory, and behind that in the log.
//!
//! Promise: whatever the rules still count on can be had here, also after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use protocol::{Group, LeaseId, PromptLease, Record};

use super::prompting::Prompting;
use crate::events::{GroupAccepted, RolloutText};
use crate::store::EventLog;

/// Groups by lease.
#[derive(Default)]
pub struct Groups {
    held: BTreeMap<LeaseId, Arc<Group>>,
    /// Where the log has a group's bytes.
    logged: BTreeMap<LeaseId, u64>,
}

impl Groups {
    /// Knows of groups that an earlier process logged; `logged` is lease and event number.
    pub fn resumed(logged: BTreeMap<LeaseId, u64>) -> Self {
        Self { held: BTreeMap::new(), logged }
    }

    /// Takes a group in. Gives the event and the bytes to log.
    pub fn accept(&mut self, group: &Arc<Group>, prompting: &Prompting) -> Result<(GroupAccepted, Vec<u8>)> {
        let lease = &group.lease;
        let payload = group.encode()?;
        let sample = group.rollouts.first().map(|rollout| {
            Ok::<_, anyhow::Error>(RolloutText {
                prompt: prompting.text(&rollout.prompt_tokens)?,
                completion: prompting.text(&rollout.completion_tokens)?,
                reward_micro: rollout.reward_micro,
                exact: rollout.exact,
            })
        });
        let event = GroupAccepted {
            lease: lease.lease,
            task: lease.task,
            item: lease.item,
            weight_version: group
                .rollouts
                .iter()
                .filter_map(|rollout| rollout.weight_version_min())
                .min()
                .unwrap_or(lease.weight_version),
            rewards_micro: group.rollouts.iter().map(|rollout| rollout.reward_micro).collect(),
            exact_count: group.rollouts.iter().filter(|rollout| rollout.exact).count() as u32,
            prompt_tokens: group.rollouts.first().map_or(0, |rollout| rollout.prompt_tokens.len() as u64),
            completion_tokens: group.rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum(),
            sample: sample.transpose()?,
        };
        self.held.insert(lease.lease, group.clone());
        Ok((event, payload))
    }

    /// The log has the group now.
    pub fn logged(&mut self, lease: LeaseId, seq: u64) {
        self.logged.insert(lease, seq);
    }

    /// The group of a lease that is about to be given, if it came back before a restart.
    /// Another lease of the same number is no match: then its group is made anew.
    pub fn stored(&mut self, lease: &PromptLease, log: &EventLog) -> Result<Option<Arc<Group>>> {
        if !self.logged.contains_key(&lease.lease) {
            return Ok(None);
        }
        let group = self.get(lease.lease, log)?;
        Ok((group.lease == *lease).then_some(group))
    }

    /// The group of a lease that came back.
    pub fn get(&mut self, lease: LeaseId, log: &EventLog) -> Result<Arc<Group>> {
        if let Some(group) = self.held.get(&lease) {
            return Ok(group.clone());
        }
        let seq = *self.logged.get(&lease).with_context(|| format!("the group of lease {lease} is not in the log"))?;
        let bytes = log.payload(seq)?.with_context(|| format!("event {seq} of the log has no group"))?;
        let group: Group = Group::decode(&bytes).with_context(|| format!("event {seq} of the log"))?;
        let group = Arc::new(group);
        self.held.insert(lease, group.clone());
        Ok(group)
    }

    /// Forgets a group.
    pub fn remove(&mut self, lease: LeaseId) -> Option<Arc<Group>> {
        self.logged.remove(&lease);
        self.held.remove(&lease)
    }
}
