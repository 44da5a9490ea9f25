//! Writes a token of its own into each completion.

use protocol::{Check, PromptLease, Rollout};
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "edited_tokens",
    role: Role::Worker,
    describe: "changes one token in the first half of each completion and proves the edited text truthfully",
    expected: &[Check::TokenMargin],
};

pub(super) struct EditedTokens;

impl Lie for EditedTokens {
    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        mut rollouts: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        for rollout in &mut rollouts {
            let middle = rollout.completion_tokens.len().saturating_sub(1) / 2;
            if let Some(token) = rollout.completion_tokens.get_mut(middle) {
                *token = other_token(tools, *token);
            }
        }
        tools.tidy(lease, &mut rollouts)?;
        Ok(rollouts)
    }
}

/// The next token that leaves the end of the completion where it is: text for text, stop token for stop token.
fn other_token(tools: &Tools, token: u32) -> u32 {
    let vocabulary = tools.terms.sampling.vocabulary;
    let next = |token| (token + 1) % vocabulary;
    let mut other = next(token);
    while other != token && tools.is_stop(other) != tools.is_stop(token) {
        other = next(other);
    }
    other
}
