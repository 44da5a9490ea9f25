//! The only door to the trainer.
//!
//! Promise: whoever holds a [`VerifiedRollout`] holds a rollout that the leased worker signed and that more
//! validators found valid than invalid. The fields are private, so it cannot be made in any other way.

use crate::{
    Group, Outcome, PromptLease, ProtocolError, Rollout, RunId, RunTerms, Signed, Submission, ValidatorId, Verdict,
};

/// A submission with the verdicts that admit it.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedGroup {
    group: Group,
    verdicts: Vec<Signed<Verdict>>,
}

impl VerifiedGroup {
    /// Checks every signature and that the verdicts admit the submission.
    ///
    /// Errors: those of [`Submission::check`]; `UnknownWorker`, `UnknownValidator`, `WrongSigner`,
    /// `BadSignature`; `ForeignVerdict`, `DoubleVerdict`, `DrawTooEarly`, `ForeignSample`, `LengthMismatch`
    /// for a verdict that does not belong to the submission; `NotAdmitted` if not more verdicts are `Valid`
    /// than `Invalid`.
    pub fn new(
        terms: &RunTerms,
        submission: Submission,
        verdicts: Vec<Signed<Verdict>>,
    ) -> Result<Self, ProtocolError> {
        let run = terms.id();
        submission.check(&run, &terms.orchestrator, terms.worker(submission.lease.body.worker)?)?;
        let mut seen: Vec<ValidatorId> = Vec::with_capacity(verdicts.len());
        for verdict in &verdicts {
            check_verdict(terms, &run, &submission, verdict)?;
            let validator = verdict.body.validator;
            if seen.contains(&validator) {
                return Err(ProtocolError::DoubleVerdict { validator });
            }
            seen.push(validator);
        }
        let count = |of: fn(&Outcome) -> bool| verdicts.iter().filter(|verdict| of(&verdict.body.outcome)).count();
        let valid = count(|outcome| matches!(outcome, Outcome::Valid));
        let invalid = count(|outcome| matches!(outcome, Outcome::Invalid(_)));
        match valid > invalid {
            true => Ok(Self { group: submission.into_group(), verdicts }),
            false => Err(ProtocolError::NotAdmitted { valid, invalid }),
        }
    }

    /// The lease and its rollouts.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The verdicts that admitted it.
    pub fn verdicts(&self) -> &[Signed<Verdict>] {
        &self.verdicts
    }

    /// The rollouts, each with what is known about it.
    pub fn rollouts(&self) -> impl Iterator<Item = VerifiedRollout<'_>> {
        self.group.rollouts.iter().map(|rollout| VerifiedRollout { group: self, rollout })
    }
}

fn check_verdict(
    terms: &RunTerms,
    run: &RunId,
    submission: &Submission,
    verdict: &Signed<Verdict>,
) -> Result<(), ProtocolError> {
    let body = verdict.verify(run, terms.validator(verdict.body.validator)?)?;
    let lease = &submission.lease.body;
    if body.lease != lease.lease || body.root != *submission.root() {
        return Err(ProtocolError::ForeignVerdict { expected: lease.lease, given: body.lease });
    }
    if body.draw.round <= lease.beacon.round {
        return Err(ProtocolError::DrawTooEarly { lease_round: lease.beacon.round, draw_round: body.draw.round });
    }
    for checked in &body.checked {
        let sample_index = checked.sample_index;
        let of_sample = |rollout: &&Rollout| rollout.sample_index == sample_index;
        let rollout = submission.rollouts.iter().find(of_sample);
        let rollout = rollout.ok_or(ProtocolError::ForeignSample { lease: lease.lease, sample_index })?;
        let (expected, given) = (rollout.completion_tokens.len(), checked.logprobs.len());
        // A check that failed early has no log-probabilities of its own.
        if given != expected && !(given == 0 && body.outcome != Outcome::Valid) {
            return Err(ProtocolError::LengthMismatch { field: "verdict's logprobs", expected, given });
        }
    }
    Ok(())
}

/// A rollout of an admitted group.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedRollout<'a> {
    group: &'a VerifiedGroup,
    rollout: &'a Rollout,
}

impl<'a> VerifiedRollout<'a> {
    /// What the worker sent.
    pub fn rollout(&self) -> &'a Rollout {
        self.rollout
    }

    /// What was asked.
    pub fn lease(&self) -> &'a PromptLease {
        &self.group.group.lease
    }

    /// Log-probabilities of the completion as the first validator with a `Valid` verdict recomputed them;
    /// none if no such validator drew this rollout.
    pub fn validator_logprobs(&self) -> Option<&'a [f32]> {
        let valid = self.group.verdicts.iter().filter(|verdict| verdict.body.outcome == Outcome::Valid);
        let mut checked = valid.flat_map(|verdict| &verdict.body.checked);
        let own = checked.find(|checked| checked.sample_index == self.rollout.sample_index);
        own.map(|checked| checked.logprobs.as_slice())
    }
}
