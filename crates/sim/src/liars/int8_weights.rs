//! Generates with 8-bit weights.

use model::ModelSnapshot;
use protocol::Check;
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::snapshot::int8;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "int8_weights",
    role: Role::Worker,
    describe: "rounds the weights of the layers to 8 bits per output channel, to fit a smaller card",
    expected: &[Check::Fingerprint],
};

pub(super) struct Int8Weights;

impl Lie for Int8Weights {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(int8(published))
    }
}
