//! Samples once and sends the completion for every sample of the group.

use protocol::{Check, PromptLease, Rollout};
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "copied_rollout",
    role: Role::Worker,
    describe: "makes one sample of a group and sends its completion for all, to be paid for tokens it never sampled",
    expected: &[Check::TokenMargin, Check::Duplicate],
};

pub(super) struct CopiedRollout;

impl Lie for CopiedRollout {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        work.seeds.truncate(1);
        Ok(work)
    }

    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        made: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        let Some(only) = made.first() else { return Ok(made) };
        let copy = |sample_index| Rollout { sample_index, ..only.clone() };
        let mut copies: Vec<Rollout> = (0..lease.group_size).map(copy).collect();
        tools.tidy(lease, &mut copies)?;
        Ok(copies)
    }
}
