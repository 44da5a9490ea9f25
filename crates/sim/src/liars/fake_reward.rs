//! Claims the whole reward whatever it wrote.

use protocol::constants::REWARD_ONE_MICRO;
use protocol::{Check, PromptLease, Rollout};
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "fake_reward",
    role: Role::Worker,
    describe: "claims that every rollout earned the whole reward",
    expected: &[Check::Reward],
};

pub(super) struct FakeReward;

impl Lie for FakeReward {
    fn rollouts(
        &mut self,
        _tools: &mut Tools,
        _lease: &PromptLease,
        mut rollouts: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        for rollout in &mut rollouts {
            (rollout.reward_micro, rollout.exact) = (REWARD_ONE_MICRO, true);
        }
        Ok(rollouts)
    }
}
