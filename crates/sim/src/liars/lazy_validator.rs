//! Finds everything valid without looking.

use std::collections::BTreeMap;

use model::ModelSnapshot;
use protocol::{Check, CheckOrder, LeaseId, Record, RevealOrder, VerdictReveal, WeightVersion};
use verify::{ValidatorActor, ValidatorSetup, VerifyError};

use super::cheat::{Card, Role};
use super::validator::Forger;

pub(super) static CARD: Card = Card {
    name: "lazy_validator",
    role: Role::Validator,
    describe: "finds every submission valid without computing anything, in the hope that lies are rare",
    expected: &[Check::PlantMissed, Check::VerdictDisagrees],
};

/// Verdicts kept for their reveal.
const SEALED_MAX: usize = 1024;

pub(super) struct LazyValidator {
    forger: Forger,
    sealed: BTreeMap<LeaseId, VerdictReveal>,
}

impl LazyValidator {
    pub(super) fn new(setup: ValidatorSetup) -> Self {
        Self { forger: Forger::new(setup), sealed: BTreeMap::new() }
    }

    /// Seals a verdict that finds the submission valid.
    pub(super) fn seal(&mut self, order: &CheckOrder) -> Result<Vec<u8>, VerifyError> {
        let reveal = self.forger.reveal(self.forger.valid(order))?;
        let seal = self.forger.seal(&reveal)?;
        self.sealed.insert(reveal.verdict.body.lease, reveal);
        while self.sealed.len() > SEALED_MAX {
            self.sealed.pop_first();
        }
        Ok(seal)
    }

    /// Opens a seal that it made.
    pub(super) fn open(&mut self, lease: LeaseId) -> Result<Option<Vec<u8>>, VerifyError> {
        Ok(self.sealed.get(&lease).map(Record::encode).transpose()?)
    }
}

impl ValidatorActor for LazyValidator {
    fn weights(&mut self, _version: WeightVersion, _snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        Ok(())
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError> {
        if let Ok(order) = CheckOrder::decode(bytes) {
            return Ok(vec![self.seal(&order)?]);
        }
        match RevealOrder::decode(bytes) {
            Ok(order) => Ok(self.open(order.lease)?.into_iter().collect()),
            Err(_) => Ok(Vec::new()),
        }
    }
}
