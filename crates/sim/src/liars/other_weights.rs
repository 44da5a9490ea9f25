//! Generates with weights near the published ones, as a fine-tuned sibling has them.

use model::ModelSnapshot;
use protocol::Check;
use verify::VerifyError;

use super::cheat::{Card, Role};
use super::snapshot::disturbed;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "other_weights",
    role: Role::Worker,
    describe: "generates with weights that are a twentieth off the published ones, to spare itself the download",
    expected: &[Check::ActivationMantissa, Check::ActivationExponent, Check::ActivationSign, Check::Fingerprint],
};

/// Size of the disturbance as a share of each matrix's own size.
const SHARE: f32 = 0.05;

pub(super) struct OtherWeights;

impl Lie for OtherWeights {
    fn weights(&mut self, published: &ModelSnapshot) -> Result<ModelSnapshot, VerifyError> {
        Ok(disturbed(published, SHARE, 1))
    }
}
