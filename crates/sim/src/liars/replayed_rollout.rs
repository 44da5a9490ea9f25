//! Answers new leases with its first answer.

use protocol::{Check, PromptLease, Rollout};
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "replayed_rollout",
    role: Role::Worker,
    describe: "answers its first lease honestly and every later one with the same rollouts, only the lease's number \
               written over",
    expected: &[Check::Prompt, Check::Fingerprint, Check::ActivationMantissa, Check::ActivationExponent],
};

#[derive(Default)]
pub(super) struct ReplayedRollout {
    first: Option<Vec<Rollout>>,
}

impl Lie for ReplayedRollout {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        if self.first.is_some() {
            // As little work as the engine can be given.
            work.seeds.truncate(1);
            work.sampling.max_new_tokens = 1;
        }
        Ok(work)
    }

    fn rollouts(
        &mut self,
        _tools: &mut Tools,
        lease: &PromptLease,
        made: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        let first = self.first.get_or_insert(made);
        let replay = |rollout: &Rollout| {
            let weight_versions = vec![lease.weight_version; rollout.completion_tokens.len()];
            Rollout { lease: lease.lease, weight_versions, ..rollout.clone() }
        };
        Ok(first.iter().map(replay).collect())
    }
}
