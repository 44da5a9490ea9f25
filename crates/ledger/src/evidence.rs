//! Whether signed records bear out what an entry says.
//!
//! Promise: a credit or a fine that rests on verdicts rests on verdicts of the run's own validators, about this
//! very answer, one of each validator, and more of them say so than not.

use std::collections::BTreeSet;

use protocol::{
    Check, CheckedRollout, Commitment, Hash, LeaseId, Outcome, Party, ProtocolError, PublicKey, RunId, RunTerms,
    Signable, Signed, ValidatorId, Verdict, WorkerId,
};

use crate::Fault;

/// The terms that signatures are held to.
#[derive(Clone, Copy)]
pub(crate) struct Signers<'a> {
    pub(crate) terms: &'a RunTerms,
    pub(crate) run: &'a RunId,
    pub(crate) signatures: Signatures,
}

/// Whether signatures under nested records are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signatures {
    /// Each is verified.
    Verify,
    /// The caller has verified them; only the names of the signers are looked at.
    Verified,
}

/// A verdict of which the ledger needs no more than this.
pub(crate) struct Vote {
    pub(crate) validator: ValidatorId,
    /// Rollouts recomputed.
    pub(crate) checked: u64,
    /// Whether it says valid; none if the check could not run.
    pub(crate) valid: Option<bool>,
}

/// An accepted answer.
pub(crate) struct Credit {
    pub(crate) lease: LeaseId,
    pub(crate) root: Hash,
    pub(crate) worker: WorkerId,
    /// Completion tokens: the least that a verdict of those that say valid counts.
    pub(crate) tokens: u64,
    pub(crate) votes: Vec<Vote>,
}

/// A lie that was found in an answer.
pub(crate) struct Finding {
    pub(crate) root: Hash,
    pub(crate) votes: Vec<Vote>,
}

impl Signers<'_> {
    /// An answer that its worker signed and that more validators call valid than invalid.
    ///
    /// Errors: `Record`.
    pub(crate) fn credit(
        &self,
        commitment: &Signed<Commitment>,
        verdicts: &[Signed<Verdict>],
    ) -> Result<Credit, Fault> {
        let &Commitment { lease, worker, root, .. } = self.commitment(commitment)?;
        let votes = self.votes(lease, &root, verdicts)?;
        let count = |side| votes.iter().filter(|vote| vote.valid == Some(side)).count();
        let (valid, invalid) = (count(true), count(false));
        if valid <= invalid {
            return Err(ProtocolError::NotAdmitted { valid, invalid }.into());
        }
        let says_valid = |verdict: &&Signed<Verdict>| verdict.body.outcome == Outcome::Valid;
        let tokens = verdicts.iter().filter(says_valid).map(|verdict| verdict.body.tokens).min();
        Ok(Credit { lease, root, worker, tokens: tokens.unwrap_or(0), votes }) // one at least is valid
    }

    /// A worker's lie: its own word, and more verdicts against it than for it, one of which accuses it of
    /// the check that it is fined for; those of `barred` validators aside.
    ///
    /// Errors: `Record`, `NotConvicted`, `EvidenceElsewhere`.
    pub(crate) fn workers_lie(
        &self,
        worker: WorkerId,
        lease: LeaseId,
        check: Check,
        commitment: &Signed<Commitment>,
        verdicts: &[Signed<Verdict>],
        barred: &BTreeSet<Party>,
    ) -> Result<Finding, Fault> {
        let own = self.commitment(commitment)?;
        if own.lease != lease {
            return Err(ProtocolError::ForeignCommitment { expected: lease, given: own.lease }.into());
        }
        if own.worker != worker {
            return Err(ProtocolError::ForeignWorker { expected: worker, given: own.worker }.into());
        }
        let votes = self.votes(lease, &own.root, verdicts)?;
        let party = Party::Worker(worker);
        convict(party, false, &votes, barred)?;
        let heard = |verdict: &&Signed<Verdict>| !barred.contains(&Party::Validator(verdict.body.validator));
        if !verdicts.iter().filter(heard).any(|verdict| accuses(&verdict.body, check)) {
            return Err(Fault::EvidenceElsewhere { party, check });
        }
        Ok(Finding { root: own.root, votes })
    }

    /// A validator's verdict that more others contradict than repeat, those of `barred` validators aside.
    ///
    /// Errors: `Record`, `EvidenceMissing`, `NotConvicted`.
    pub(crate) fn validators_lie(
        &self,
        validator: ValidatorId,
        lease: LeaseId,
        verdicts: &[Signed<Verdict>],
        barred: &BTreeSet<Party>,
    ) -> Result<Finding, Fault> {
        let party = Party::Validator(validator);
        let missing = |lacks| Fault::EvidenceMissing { party, check: Check::VerdictDisagrees, lacks };
        let own = verdicts.iter().find(|verdict| verdict.body.validator == validator);
        let root = own.ok_or_else(|| missing("its own verdict"))?.body.root;
        let votes = self.votes(lease, &root, verdicts)?;
        let own = votes.iter().find(|vote| vote.validator == validator).and_then(|vote| vote.valid);
        convict(party, !own.ok_or_else(|| missing("a verdict of its own that judges"))?, &votes, barred)?;
        Ok(Finding { root, votes })
    }

    fn commitment<'a>(&self, commitment: &'a Signed<Commitment>) -> Result<&'a Commitment, Fault> {
        let key = self.terms.worker(commitment.body.worker)?;
        self.said(commitment, key)
    }

    /// What `key` has signed.
    fn said<'a, T: Signable>(&self, record: &'a Signed<T>, key: &PublicKey) -> Result<&'a T, Fault> {
        match self.signatures {
            Signatures::Verified if record.signer == *key => Ok(&record.body),
            // Also names a wrong signer.
            _ => Ok(record.verify(self.run, key)?),
        }
    }

    /// Errors: `Record` for a verdict that is not its validator's, is on another answer, or is its validator's
    /// second.
    fn votes(&self, lease: LeaseId, root: &Hash, verdicts: &[Signed<Verdict>]) -> Result<Vec<Vote>, Fault> {
        let mut seen = BTreeSet::new();
        let vote = |verdict: &Signed<Verdict>| {
            let validator = verdict.body.validator;
            let body = self.said(verdict, self.terms.validator(validator)?)?;
            if body.lease != lease || body.root != *root {
                return Err(ProtocolError::ForeignVerdict { expected: lease, given: body.lease }.into());
            }
            if !seen.insert(validator) {
                return Err(ProtocolError::DoubleVerdict { validator }.into());
            }
            let valid = match body.outcome {
                Outcome::Valid => Some(true),
                Outcome::Invalid(_) => Some(false),
                Outcome::Unchecked(_) => None,
            };
            Ok(Vote { validator, checked: body.checked.len() as u64, valid })
        };
        verdicts.iter().map(vote).collect()
    }
}

/// Whether a verdict accuses the worker of failing this check: it calls the answer invalid, and names the check or
/// has a number for it. A verdict names what it found first; the rules charge what its numbers show most clearly.
fn accuses(verdict: &Verdict, check: Check) -> bool {
    let Outcome::Invalid(reason) = verdict.outcome else { return false };
    reason.check == check || verdict.checked.iter().any(|checked| is_measured(check, checked))
}

/// Whether a recomputed rollout differs in what the check measures. How much is too much is known to the rules
/// (`rounds::desk`), not here: the ledger asks only that a fine and its evidence are about the same.
fn is_measured(check: Check, checked: &CheckedRollout) -> bool {
    match check {
        Check::ActivationExponent => checked.exponent_mismatches > 0,
        Check::ActivationMantissa => checked.mantissa_mean_milli > 0 || checked.mantissa_median_milli > 0,
        Check::ActivationSign => checked.sign_mismatches > 0,
        Check::Fingerprint => checked.fingerprint_error_ppm > 0,
        Check::TokenMargin => checked.margin_max_micro > 0,
        Check::Logprob => checked.logprob_error_max_micro > 0 || checked.logprob_error_mean_micro > 0,
        _ => false,
    }
}

/// Whether more verdicts are on `side`, which speaks against the party, than on the other.
fn convict(party: Party, side: bool, votes: &[Vote], barred: &BTreeSet<Party>) -> Result<(), Fault> {
    let heard = |vote: &&Vote| !barred.contains(&Party::Validator(vote.validator));
    let count = |side| votes.iter().filter(heard).filter(|vote| vote.valid == Some(side)).count();
    let (against, in_favour) = (count(side), count(!side));
    match against > in_favour {
        true => Ok(()),
        false => Err(Fault::NotConvicted { party, against, in_favour }),
    }
}
