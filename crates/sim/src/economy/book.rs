//! The real ledger, told what happened.
//!
//! Promise: every payout is the ledger's own; only signatures are left out ([`ledger::Rehearsal`]).

use ledger::{Account, LedgerTerms, Rehearsal, RehearsedVote};
use protocol::{BeaconTerms, Check, DtypeTerm, Keypair, Party, RunTerms, SamplingTerms, ValidatorId, WorkerId};

use super::EconomyError;
use super::crowd::Crowd;
use super::panel::{Seat, Vote};

/// A ledger of one market.
#[derive(Clone, Debug)]
pub(super) struct Book {
    ledger: Rehearsal,
    steps: u64,
    workers: usize,
    validators: usize,
}

impl Book {
    /// Opens the ledger of so many identities; all have staked what is due.
    ///
    /// Errors: `Ledger` if the preset is not one.
    pub(super) fn new(crowd: &Crowd, workers: usize, validators: usize) -> Result<Self, EconomyError> {
        let ledger = Rehearsal::open(terms(crowd, workers, validators)).map_err(refused)?;
        Ok(Self { ledger, steps: crowd.economy.epoch_steps, workers, validators })
    }

    pub(super) fn accepted(
        &mut self,
        worker: WorkerId,
        tokens: u64,
        recomputed: u64,
        seats: &[Seat],
    ) -> Result<(), EconomyError> {
        self.ledger.accepted(worker, tokens, &votes(recomputed, seats)).map_err(refused)
    }

    pub(super) fn worker_fined(
        &mut self,
        worker: WorkerId,
        check: Check,
        recomputed: u64,
        seats: &[Seat],
    ) -> Result<(), EconomyError> {
        self.ledger.lie_found(worker, check, &votes(recomputed, seats)).map_err(refused)
    }

    pub(super) fn validator_fined(&mut self, validator: ValidatorId, check: Check) -> Result<(), EconomyError> {
        self.ledger.validator_lied(validator, check).map_err(refused)
    }

    pub(super) fn plant(&mut self, validator: ValidatorId, caught: bool) -> Result<(), EconomyError> {
        self.ledger.plant_answered(validator, caught).map_err(refused)
    }

    /// Closes the epoch. Gives what it pays each party, workers first, then validators.
    pub(super) fn close(&mut self) -> Result<Vec<u64>, EconomyError> {
        let mut paid = vec![0; self.workers + self.validators];
        for payout in self.ledger.close(self.steps).map_err(refused)? {
            match payout.party {
                Party::Worker(id) => paid[id as usize] += payout.amount,
                Party::Validator(id) => paid[self.workers + id as usize] += payout.amount,
                Party::Trainer | Party::Treasury => {}
            }
        }
        Ok(paid)
    }
}

/// What the verdicts say. Narrow accusations are verdicts that say invalid.
fn votes(recomputed: u64, seats: &[Seat]) -> Vec<RehearsedVote> {
    let vote = |seat: &Seat| RehearsedVote {
        validator: seat.validator,
        checked: recomputed, // whoever did not look lists made-up numbers
        valid: seat.vote == Vote::Valid,
    };
    seats.iter().map(vote).collect()
}

fn refused(fault: ledger::Fault) -> EconomyError {
    EconomyError::Ledger(fault.to_string())
}

/// Terms with keys and accounts of their own for everybody.
fn terms(crowd: &Crowd, workers: usize, validators: usize) -> LedgerTerms {
    let secret = |role: &str, index: usize| {
        blake3::derive_key("essaim 2026 simulator market keys v1", format!("{role} {index}").as_bytes())
    };
    let key = |role, index| Keypair::from_seed(&secret(role, index)).public();
    let account = |role, index| {
        let mut account = [0; 20];
        account.copy_from_slice(&secret(role, index)[..20]);
        Account(account)
    };
    let run = RunTerms {
        run_seed: [0; 32],
        orchestrator: key("orchestrator", 0),
        trainer: key("trainer", 0),
        workers: (0..workers).map(|index| key("worker", index)).collect(),
        validators: (0..validators).map(|index| key("validator", index)).collect(),
        group_size: crowd.group_size,
        check_ppm: crowd.check_ppm,
        probation_leases: u32::try_from(crowd.probation_leases).unwrap_or(u32::MAX),
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: 128,
            context_max: 1_024,
            vocabulary: 151_936,
            stop_tokens: Vec::new(),
            dtype: DtypeTerm::Bf16,
        },
        beacon: BeaconTerms::HashChain { anchor: [0; 32], length: u64::MAX },
    };
    LedgerTerms {
        run,
        chain_id: 1,
        rewards: account("rewards", 0),
        workers: (0..workers).map(|index| account("worker account", index)).collect(),
        validators: (0..validators).map(|index| account("validator account", index)).collect(),
        trainer: account("trainer account", 0),
        treasury: account("treasury account", 0),
        economy: crowd.economy.clone(),
    }
}
