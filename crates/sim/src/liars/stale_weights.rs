//! Answers every lease with the first weights it ever loaded.

use model::ModelSnapshot;
use protocol::Check;
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "stale_weights",
    role: Role::Worker,
    describe: "loads weights once and never again, to spare itself the downloads; honest until new ones are published",
    expected: &[Check::Fingerprint, Check::ActivationMantissa, Check::ActivationExponent, Check::ActivationSign],
};

#[derive(Default)]
pub(super) struct StaleWeights {
    first: Option<ModelSnapshot>,
}

impl Lie for StaleWeights {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(self.first.get_or_insert_with(|| published.clone()).clone())
    }
}
