//! Generates with a model of half the depth and half the feed-forward width.

use model::ModelSnapshot;
use protocol::Check;
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::snapshot::halved;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "smaller_model",
    role: Role::Worker,
    describe: "generates with the first half of the layers and of their neurons, at a fraction of the cost",
    expected: &[Check::ActivationExponent, Check::ActivationMantissa, Check::ActivationSign, Check::Fingerprint],
};

pub(super) struct SmallerModel;

impl Lie for SmallerModel {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(halved(published))
    }
}
