//! Finds its friends' lies valid.

use model::ModelSnapshot;
use protocol::{Check, CheckOrder, Record, RevealOrder, WeightVersion};
use verify::{Validator, ValidatorActor, ValidatorSetup, VerifyError};

use super::cheat::{Card, Role};
use super::lazy_validator::LazyValidator;
use super::ring::Ring;

pub(super) static CARD: Card = Card {
    name: "colluding_validator",
    role: Role::Validator,
    describe: "checks strangers honestly and finds whatever the lying workers of the run send valid",
    expected: &[Check::VerdictDisagrees, Check::PlantMissed],
};

pub(super) struct ColludingValidator {
    honest: Validator,
    blind: LazyValidator,
    ring: Ring,
}

impl ColludingValidator {
    pub(super) fn new(setup: ValidatorSetup, ring: Ring) -> Self {
        Self { honest: Validator::new(setup.clone()), blind: LazyValidator::new(setup), ring }
    }
}

impl ValidatorActor for ColludingValidator {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.honest.weights(version, snapshot)
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        self.honest.forget_before(oldest);
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError> {
        match CheckOrder::decode(bytes) {
            Ok(order) if self.ring.has(order.submission.lease.body.worker) => {
                return Ok(vec![self.blind.seal(&order)?]);
            }
            _ => {}
        }
        if let Ok(order) = RevealOrder::decode(bytes)
            && let Some(reveal) = self.blind.open(order.lease)?
        {
            return Ok(vec![reveal]);
        }
        self.honest.message(bytes)
    }
}
