//! Claims another log-probability at one place.

use protocol::{Check, PromptLease, Rollout};
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "forged_logprobs",
    role: Role::Worker,
    describe: "claims that one token of each rollout was less likely by a nat than it was, so that the trainer's ratio \
               grows; a median over the tokens would not see it",
    expected: &[Check::Logprob],
};

/// What is taken off, in nats.
const FORGED: f32 = 1.0;

pub(super) struct ForgedLogprobs;

impl Lie for ForgedLogprobs {
    fn rollouts(
        &mut self,
        _tools: &mut Tools,
        _lease: &PromptLease,
        mut rollouts: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        for logprob in rollouts.iter_mut().filter_map(|rollout| rollout.logprobs.last_mut()) {
            *logprob -= FORGED;
        }
        Ok(rollouts)
    }
}
