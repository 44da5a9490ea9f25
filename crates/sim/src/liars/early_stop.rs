//! Ends its completions early.

use protocol::{Check, FinishReason, PromptLease, Rollout};
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "early_stop",
    role: Role::Worker,
    describe: "cuts each completion in half and writes a stop token at the end; without a stop token to write it calls \
               the half whole",
    expected: &[Check::TokenMargin, Check::Finish],
};

pub(super) struct EarlyStop;

impl Lie for EarlyStop {
    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        mut rollouts: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        let stop = tools.terms.sampling.stop_tokens.first().copied();
        for rollout in &mut rollouts {
            let tokens = &mut rollout.completion_tokens;
            tokens.truncate(tokens.len().div_ceil(2));
            if let (Some(stop), Some(last)) = (stop, tokens.last_mut()) {
                *last = stop;
                rollout.finish = FinishReason::StopToken;
            }
        }
        tools.tidy(lease, &mut rollouts)?;
        Ok(rollouts)
    }
}
