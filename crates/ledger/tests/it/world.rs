//! A small run with made-up keys, and a pen that writes its ledger.

use ledger::yuma::YumaTerms;
use ledger::{Account, ESM, Economy, Entry, Ledger, LedgerError, LedgerTerms, SlashSchedule, Split};
use protocol::{
    BeaconPoint, BeaconTerms, Check, CheckedRollout, Commitment, DtypeTerm, Hash, Keypair, LeaseId, Outcome, Party,
    PublicKey, RejectReason, RunTerms, SamplingTerms, Signed, UncheckedCause, ValidatorId, Verdict, WorkerId,
};

pub(crate) fn keys(role: &str, index: u32) -> Keypair {
    Keypair::derive(&[1; 32], role, index)
}

pub(crate) fn orchestrator() -> Keypair {
    keys("orchestrator", 0)
}

/// Worker N is paid at 0x10…N, validator N at 0x20…N, the trainer at 0x30…00, the treasury at 0x40…00.
pub(crate) fn account(party: Party) -> Account {
    let (role, index) = match party {
        Party::Worker(id) => (0x10, id),
        Party::Validator(id) => (0x20, id),
        Party::Trainer => (0x30, 0),
        Party::Treasury => (0x40, 0),
    };
    let mut bytes = [0; 20];
    bytes[0] = role;
    bytes[16..].copy_from_slice(&index.to_be_bytes());
    Account(bytes)
}

/// Round numbers: 1000 ESM in two steps; a point for a check, ten for a fault.
pub(crate) fn economy() -> Economy {
    Economy {
        epoch_steps: 2,
        budget_first: 1_000 * ESM,
        halving_epochs: 2,
        split: Split {
            workers_ppm: 600_000,
            checks_ppm: 100_000,
            dividends_ppm: 100_000,
            trainer_ppm: 150_000,
            treasury_ppm: 50_000,
        },
        check_points: 1,
        fault_points: 10,
        stake_worker: 50 * ESM,
        stake_validator: 100 * ESM,
        slash: SlashSchedule { careless_ppm: 50_000, mismatch_ppm: 200_000, false_ppm: 500_000, forged_ppm: 1_000_000 },
        yuma: YumaTerms::default(),
    }
}

pub(crate) fn terms(workers: u32, validators: u32) -> LedgerTerms {
    let parties = |role: &str, count| -> Vec<PublicKey> { (0..count).map(|id| keys(role, id).public()).collect() };
    LedgerTerms {
        run: RunTerms {
            run_seed: [7; 32],
            orchestrator: orchestrator().public(),
            trainer: keys("trainer", 0).public(),
            workers: parties("worker", workers),
            validators: parties("validator", validators),
            group_size: 4,
            check_ppm: 500_000,
            probation_leases: 0,
            sampling: SamplingTerms {
                temperature: 1.0,
                max_new_tokens: 64,
                context_max: 128,
                vocabulary: 200,
                stop_tokens: vec![2],
                dtype: DtypeTerm::F32,
            },
            beacon: BeaconTerms::HashChain { anchor: [4; 32], length: 1024 },
        },
        chain_id: 31_337,
        rewards: Account([0xee; 20]),
        workers: (0..workers).map(|id| account(Party::Worker(id))).collect(),
        validators: (0..validators).map(|id| account(Party::Validator(id))).collect(),
        trainer: account(Party::Trainer),
        treasury: account(Party::Treasury),
        economy: economy(),
    }
}

/// What a validator says in a test, and of how many recomputed rollouts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    pub(crate) validator: ValidatorId,
    pub(crate) outcome: Outcome,
    pub(crate) checked: u32,
}

pub(crate) fn valid(validator: ValidatorId, checked: u32) -> Says {
    Says { validator, outcome: Outcome::Valid, checked }
}

pub(crate) fn invalid(validator: ValidatorId, checked: u32) -> Says {
    fails(Check::Fingerprint, validator, checked)
}

/// It calls the answer invalid for failing this check.
pub(crate) fn fails(check: Check, validator: ValidatorId, checked: u32) -> Says {
    let reason = RejectReason { check, sample_index: Some(0), position: None, limit: 4_000, given: 30_000 };
    Says { validator, outcome: Outcome::Invalid(reason), checked }
}

pub(crate) fn unchecked(validator: ValidatorId) -> Says {
    Says { validator, outcome: Outcome::Unchecked(UncheckedCause::ModelFailed), checked: 0 }
}

/// A ledger with its log.
#[derive(Clone)]
pub(crate) struct Pen {
    pub(crate) ledger: Ledger,
    pub(crate) lines: Vec<String>,
    pub(crate) next_lease: LeaseId,
}

impl Pen {
    pub(crate) fn new(terms: LedgerTerms) -> Self {
        let (ledger, first) = Ledger::open(terms, &orchestrator()).unwrap();
        Self { ledger, lines: vec![first], next_lease: 0 }
    }

    /// Two workers and two validators, each validator with a stake of 100 ESM.
    pub(crate) fn small() -> Self {
        let mut pen = Self::new(terms(2, 2));
        (0..2).for_each(|id| pen.stake(Party::Validator(id), 100 * ESM));
        pen
    }

    pub(crate) fn try_write(&mut self, entry: Entry) -> Result<(), LedgerError> {
        let line = self.ledger.append(entry, &orchestrator())?;
        self.lines.push(line);
        Ok(())
    }

    pub(crate) fn write(&mut self, entry: Entry) {
        self.try_write(entry).unwrap();
    }

    pub(crate) fn stake(&mut self, party: Party, stake: u64) {
        self.write(Entry::StakeSeen { party, stake, block: 1 });
    }

    pub(crate) fn commitment(&self, lease: LeaseId, worker: WorkerId) -> Signed<Commitment> {
        let body = Commitment { lease, worker, rollout_count: 4, root: root(lease) };
        Signed::new(body, &self.ledger.run_id(), &keys("worker", worker)).unwrap()
    }

    pub(crate) fn verdict(&self, lease: LeaseId, tokens: u64, says: Says) -> Signed<Verdict> {
        let Says { validator, outcome, checked } = says;
        let checked = (0..checked).map(numbers).collect();
        let draw = BeaconPoint { round: 6, randomness: [6; 32] };
        let body = Verdict { lease, root: root(lease), validator, draw, tokens, checked, outcome };
        Signed::new(body, &self.ledger.run_id(), &keys("validator", validator)).unwrap()
    }

    pub(crate) fn verdicts(&self, lease: LeaseId, tokens: u64, says: &[Says]) -> Vec<Signed<Verdict>> {
        says.iter().map(|says| self.verdict(lease, tokens, *says)).collect()
    }

    /// An accepted group of the next lease.
    pub(crate) fn group(&mut self, worker: WorkerId, tokens: u64, says: &[Says]) -> Entry {
        let lease = self.next_lease;
        self.next_lease += 1;
        Entry::Accepted { commitment: self.commitment(lease, worker), verdicts: self.verdicts(lease, tokens, says) }
    }

    pub(crate) fn accept(&mut self, worker: WorkerId, tokens: u64, says: &[Says]) {
        let entry = self.group(worker, tokens, says);
        self.write(entry);
    }

    /// A worker's fine on verdicts about its next lease.
    pub(crate) fn workers_fine(&mut self, worker: WorkerId, check: Check, says: &[Says]) -> Entry {
        let lease = self.next_lease;
        self.next_lease += 1;
        let commitment = (!says.is_empty()).then(|| self.commitment(lease, worker));
        let verdicts = self.verdicts(lease, 0, says);
        Entry::Fined { party: Party::Worker(worker), check, lease: Some(lease), commitment, verdicts }
    }

    /// A fine that rests on the orchestrator's word.
    pub(crate) fn plain_fine(&mut self, party: Party, check: Check) {
        self.write(Entry::Fined { party, check, lease: None, commitment: None, verdicts: vec![] });
    }

    pub(crate) fn train(&mut self, steps: u64) {
        for _ in 0..steps {
            self.write(Entry::Trained { step: self.ledger.steps_trained() + 1 });
        }
    }

    pub(crate) fn close(&mut self) {
        let entry = self.ledger.close().unwrap();
        self.write(entry);
    }
}

/// The root that the answer to a lease has in these tests.
pub(crate) fn root(lease: LeaseId) -> Hash {
    let mut root = [0x5e; 32];
    root[..8].copy_from_slice(&lease.to_le_bytes());
    root
}

fn numbers(sample_index: u32) -> CheckedRollout {
    CheckedRollout {
        sample_index,
        exponent_mismatches: 0,
        mantissa_mean_milli: 0,
        mantissa_median_milli: 0,
        sign_mismatches: 0,
        fingerprint_error_ppm: 0,
        margin_max_micro: -3,
        tokens_lost: 0,
        logprob_error_max_micro: 0,
        logprob_error_mean_micro: 0,
        logprobs: vec![-0.5],
    }
}
