//! Generates with 4-bit weights.

use model::ModelSnapshot;
use protocol::Check;
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::snapshot::int4;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "int4_weights",
    role: Role::Worker,
    describe: "rounds the weights of the layers to 4 bits in groups of 32, to fit a much smaller card",
    expected: &[Check::Fingerprint, Check::ActivationMantissa, Check::ActivationExponent, Check::ActivationSign],
};

pub(super) struct Int4Weights;

impl Lie for Int4Weights {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(int4(published))
    }
}
