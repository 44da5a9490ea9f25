//! Many identities, one sampler.

use protocol::{Check, PromptLease, Rollout};
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::ring::Ring;
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "sybil_swarm",
    role: Role::Worker,
    describe: "one machine under many names: the first name asked does the work once, and every lease of every name is \
               answered with those completions, proved anew by prefill",
    expected: &[Check::TokenMargin],
};

pub(super) struct SybilSwarm {
    pub(super) ring: Ring,
}

impl Lie for SybilSwarm {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        if self.ring.swarm().is_some() {
            // As little work as the engine can be given.
            work.seeds.truncate(1);
            work.sampling.max_new_tokens = 1;
        }
        Ok(work)
    }

    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        made: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        let Some(Rollout { prompt_tokens, .. }) = made.first() else { return Ok(made) };
        let room = (tools.terms.sampling.context_max as usize).saturating_sub(prompt_tokens.len());
        let mut rollouts = self.ring.swarm_or(&made);
        for rollout in &mut rollouts {
            rollout.prompt_tokens.clone_from(prompt_tokens);
            rollout.completion_tokens.truncate(room);
        }
        tools.tidy(lease, &mut rollouts)?;
        Ok(rollouts)
    }
}
