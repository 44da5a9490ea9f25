//! Waits for other validators' verdicts and repeats them.

use std::collections::BTreeMap;

use model::ModelSnapshot;
use protocol::{Check, CheckOrder, LeaseId, Record, RevealOrder, WeightVersion};
use verify::{ValidatorActor, ValidatorSetup, VerifyError};

use super::cheat::{Card, Role};
use super::ring::Ring;
use super::validator::Forger;

pub(super) static CARD: Card = Card {
    name: "verdict_copier",
    role: Role::Validator,
    describe: "seals an empty envelope, and when it is to be opened repeats the verdict that it overheard from another, \
               or \"valid\" if it heard none",
    expected: &[Check::SealMismatch, Check::PlantMissed],
};

/// Orders kept for their reveal.
const ORDERS_MAX: usize = 64;

pub(super) struct VerdictCopier {
    forger: Forger,
    orders: BTreeMap<LeaseId, CheckOrder>,
    ring: Ring,
}

impl VerdictCopier {
    pub(super) fn new(setup: ValidatorSetup, ring: Ring) -> Self {
        Self { forger: Forger::new(setup), orders: BTreeMap::new(), ring }
    }
}

impl ValidatorActor for VerdictCopier {
    fn weights(&mut self, _version: WeightVersion, _snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        Ok(())
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError> {
        if let Ok(order) = CheckOrder::decode(bytes) {
            let seal = self.forger.empty_seal(&order)?;
            self.orders.insert(order.submission.lease.body.lease, order);
            while self.orders.len() > ORDERS_MAX {
                self.orders.pop_first();
            }
            return Ok(vec![seal]);
        }
        let Ok(RevealOrder { lease }) = RevealOrder::decode(bytes) else { return Ok(Vec::new()) };
        let Some(order) = self.orders.get(&lease) else { return Ok(Vec::new()) };
        let copied = self.ring.overheard(lease).filter(|verdict| verdict.root == *order.submission.root());
        let verdict = copied.unwrap_or_else(|| self.forger.valid(order));
        Ok(vec![self.forger.reveal(verdict)?.encode()?])
    }
}
