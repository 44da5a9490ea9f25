//! Samples colder than agreed.

use protocol::{Check, PromptLease, Rollout};
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "wrong_temperature",
    role: Role::Worker,
    describe: "samples at seven tenths of the agreed temperature for safer answers, and reports what the tokens would \
               have been worth at the agreed one",
    expected: &[Check::TokenMargin],
};

/// Factor on the agreed temperature.
const COLDER: f32 = 0.7;

pub(super) struct WrongTemperature;

impl Lie for WrongTemperature {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        work.sampling.temperature *= COLDER;
        Ok(work)
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
