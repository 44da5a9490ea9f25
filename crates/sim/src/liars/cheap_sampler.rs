//! Lets a cheap model write and the true one prove.

use model::ModelSnapshot;
use protocol::{Check, PromptLease, Rollout};
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::snapshot::halved;
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "cheap_sampler",
    role: Role::Worker,
    describe: "samples with a model of half the size, then makes proofs and log-probabilities by one prefill of the \
               true model",
    expected: &[Check::TokenMargin],
};

pub(super) struct CheapSampler;

impl Lie for CheapSampler {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(halved(published))
    }

    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        mut rollouts: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        tools.tidy(lease, &mut rollouts)?;
        Ok(rollouts)
    }
}
