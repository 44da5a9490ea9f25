//! Orders to validators, and their seals and verdicts.
//!
//! Promise: a verdict counts only if its validator sealed it before it was asked to open it, if it is about
//! the drawn rollouts, and if its numbers do not contradict it; no seal is heard of twice.

use protocol::{
    BeaconPoint, CheckOrder, Hash, LeaseId, Outcome, Record, RevealOrder, Signed, Submission, ValidatorId, Verdict,
    VerdictReveal, VerdictSeal, record_kind,
};

use super::{Desk, DeskError, Heard, Held, Refused, numbers};
use crate::{Event, OutcomeKind};

/// What a validator owes.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A seal.
    Seal { deadline_ms: u64 },
    /// Nothing: it has sealed and waits for the others.
    Sealed(VerdictSeal),
    /// The verdict behind the seal.
    Verdict { seal: VerdictSeal, deadline_ms: u64 },
}

impl Asked {
    pub(super) fn is_overdue(&self, now_ms: u64) -> bool {
        match self {
            Self::Seal { deadline_ms } | Self::Verdict { deadline_ms, .. } => *deadline_ms <= now_ms,
            Self::Sealed(_) => false,
        }
    }

    /// Whether a verdict is owed on the work of this root.
    fn is_on(&self, root: &Hash) -> bool {
        matches!(self, Self::Verdict { seal, .. } if seal.root == *root)
    }
}

impl Desk {
    /// An encoded order to check the lease's submission. Asked again, the validator begins anew.
    ///
    /// Errors: `LeaseEnded`, `NoSubmission`, `DrawTooEarly`.
    pub fn check_order(
        &mut self,
        now_ms: u64,
        lease: LeaseId,
        validator: ValidatorId,
        draw: BeaconPoint,
    ) -> Result<Vec<u8>, DeskError> {
        let deadline_ms = now_ms.saturating_add(self.timeouts.verdict_ms);
        let held = self.held_mut(lease)?;
        let submission = held.submission.as_deref().ok_or(DeskError::NoSubmission { lease })?;
        let (lease_round, draw_round) = (held.lease.body.beacon.round, draw.round);
        if draw_round <= lease_round {
            return Err(DeskError::DrawTooEarly { lease, lease_round, draw_round });
        }
        let bytes = CheckOrder { submission: submission.clone(), draw }.encode()?;
        held.draw = Some(draw);
        held.drop_verdict(validator);
        held.asked.insert(validator, Asked::Seal { deadline_ms });
        held.shown.insert(validator);
        self.shown(lease, validator);
        Ok(bytes)
    }

    /// An encoded order to open the seal.
    ///
    /// Errors: `LeaseEnded`, `NotSealed`.
    pub fn reveal_order(&mut self, now_ms: u64, lease: LeaseId, validator: ValidatorId) -> Result<Vec<u8>, DeskError> {
        let deadline_ms = now_ms.saturating_add(self.timeouts.verdict_ms);
        let asked = self.held_mut(lease)?.asked.get_mut(&validator);
        let Some((asked, seal)) = asked.and_then(|asked| match asked {
            Asked::Sealed(seal) => Some(seal.clone()).map(|seal| (asked, seal)),
            _ => None,
        }) else {
            return Err(DeskError::NotSealed { lease, validator });
        };
        *asked = Asked::Verdict { seal, deadline_ms };
        Ok(RevealOrder { lease }.encode()?)
    }

    /// Takes a message of `validator`, known by its channel: a signed seal, or a verdict with its salt.
    ///
    /// Errors: [`Refused`]. Its event, if any, is a `VerdictFailed` for which the validator pays.
    pub fn from_validator(&mut self, now_ms: u64, validator: ValidatorId, bytes: &[u8]) -> Result<Heard, Refused> {
        match record_kind(bytes) {
            Ok(VerdictReveal::KIND) => {
                let reveal = VerdictReveal::decode(bytes).map_err(|why| self.unreadable(validator, why.into()))?;
                self.verdict(validator, &reveal)
            }
            // Also names what is wrong with any other bytes.
            _ => {
                let seal = Signed::decode(bytes).map_err(|why| self.unreadable(validator, why.into()))?;
                self.seal(now_ms, validator, &seal)
            }
        }
    }

    /// Bytes without a name: they count against the first thing that the validator owes.
    fn unreadable(&mut self, validator: ValidatorId, why: DeskError) -> Refused {
        let owed = self.held.iter_mut().find(|(_, held)| held.asked.contains_key(&validator));
        let lease = owed.map(|(&lease, held)| {
            held.asked.remove(&validator);
            lease
        });
        Refused::validator(validator, lease, why)
    }

    fn seal(&mut self, now_ms: u64, validator: ValidatorId, signed: &Signed<VerdictSeal>) -> Result<Heard, Refused> {
        let lease = signed.body.lease;
        let key = self.terms.validator(validator).map_err(|why| Refused::harmless(why.into()))?;
        if let Err(why) = signed.verify(&self.run, key) {
            return Err(self.broken(validator, lease, why.into()));
        }
        let seal = &signed.body;
        if seal.validator != validator {
            let why = DeskError::OtherValidator { expected: seal.validator, given: validator };
            return Err(self.broken(validator, lease, why));
        }
        if let Some(reply) = self.plant_sealed(now_ms, seal) {
            return Ok(Heard { event: None, reply: Some(reply) });
        }
        let refused = || Refused::harmless(DeskError::NotAsked { lease, validator });
        let held = self.held.get_mut(&lease).ok_or_else(refused)?;
        if held.submission.as_ref().is_none_or(|submission| *submission.root() != seal.root) {
            return Err(refused());
        }
        let asked = held.asked.get_mut(&validator).ok_or_else(refused)?;
        let event = match asked {
            Asked::Seal { .. } => Some(Event::VerdictSealed { lease, validator }),
            // A validator that was restarted may seal anew as long as nobody has shown anything.
            Asked::Sealed(_) => None,
            Asked::Verdict { .. } => return Err(Refused::harmless(DeskError::AnsweredBefore { lease })),
        };
        *asked = Asked::Sealed(seal.clone());
        Ok(Heard { event, reply: None })
    }

    /// Something signed by the wrong hand: it counts against what the validator owes on that lease.
    fn broken(&mut self, validator: ValidatorId, lease: LeaseId, why: DeskError) -> Refused {
        let owed = self.held.get_mut(&lease).and_then(|held| held.asked.remove(&validator));
        Refused::validator(validator, owed.map(|_| lease), why)
    }

    fn verdict(&mut self, validator: ValidatorId, reveal: &VerdictReveal) -> Result<Heard, Refused> {
        let Verdict { lease, root, .. } = reveal.verdict.body;
        let key = *self.terms.validator(validator).map_err(|why| Refused::harmless(why.into()))?;
        if let Err(why) = reveal.verdict.verify(&self.run, &key) {
            return Err(self.broken(validator, lease, why.into()));
        }
        if let Some(event) = self.plant_answered(validator, reveal) {
            return Ok(Heard { event, reply: None });
        }
        let asked = self.held.get(&lease).and_then(|held| held.asked.get(&validator));
        // A verdict on other work is no answer to this order: it may be on a plant whose time is up.
        let Some(Asked::Verdict { seal, .. }) = asked.filter(|asked| asked.is_on(&root)) else {
            return Err(Refused::harmless(DeskError::NotToBeOpened { lease, validator }));
        };
        if !reveal.opens(seal, &key) {
            return Err(self.broken(validator, lease, DeskError::SealBroken { lease, validator }));
        }
        if let Err(why) = self.check_verdict(&reveal.verdict.body) {
            return Err(self.broken(validator, lease, why));
        }
        let mut outcome = OutcomeKind::from(&reveal.verdict.body.outcome);
        if let Some(held) = self.held.get_mut(&lease) {
            let temperature = self.terms.sampling.temperature;
            let fault = held
                .submission
                .as_ref()
                .and_then(|submission| numbers::clear_fault(&reveal.verdict.body, submission, temperature));
            if let (OutcomeKind::Narrow(_), Some(check)) = (outcome, fault) {
                outcome = OutcomeKind::Invalid(check);
            }
            held.asked.remove(&validator);
            held.keep_verdict(reveal.verdict.clone());
        }
        self.keep_material(lease);
        Ok(Heard { event: Some(Event::VerdictRevealed { lease, validator, outcome }), reply: None })
    }

    /// Whether a verdict is about what was ordered, and its numbers bear it out.
    fn check_verdict(&self, verdict: &Verdict) -> Result<(), DeskError> {
        let Verdict { lease, validator, .. } = *verdict;
        let held = self.held(lease)?;
        let submission = held.submission.as_deref().ok_or(DeskError::NoSubmission { lease })?;
        let draw = held.draw.ok_or(DeskError::NotAsked { lease, validator })?;
        if verdict.draw != draw {
            let (expected, given) = (draw.round, verdict.draw.round);
            return Err(DeskError::OtherDraw { lease, validator, expected, given });
        }
        if !lists_the_sample(verdict, submission, self.terms.check_ppm_of(&submission.lease.body)) {
            return Err(DeskError::OtherSample { lease, validator });
        }
        let (expected, given) = (submission.completion_tokens(), verdict.tokens);
        if verdict.outcome == Outcome::Valid && given != expected {
            return Err(DeskError::TokensMiscounted { lease, validator, expected, given });
        }
        match numbers::contradiction(verdict, submission, self.terms.sampling.temperature) {
            Some(reason) => Err(DeskError::NumbersDisagree { lease, validator, reason }),
            None => Ok(()),
        }
    }

    fn held_mut(&mut self, lease: LeaseId) -> Result<&mut Held, DeskError> {
        self.held.get_mut(&lease).ok_or(DeskError::LeaseEnded { lease })
    }
}

/// Whether the verdict's numbers are those of drawn rollouts: all of them where it says `Valid`, any of
/// them where the check ended early.
fn lists_the_sample(verdict: &Verdict, submission: &Submission, check_ppm: u32) -> bool {
    let root: &Hash = submission.root();
    let count = submission.commitment.body.rollout_count;
    let drawn = proof::draw::samples(&verdict.draw, root, count, check_ppm);
    let drawn: Vec<_> = drawn.iter().filter_map(|&index| submission.rollouts.get(index as usize)).collect();
    let valid = verdict.outcome == Outcome::Valid;
    if valid && verdict.checked.len() != drawn.len() {
        return false;
    }
    verdict.checked.iter().all(|checked| {
        let of_sample = drawn.iter().find(|rollout| rollout.sample_index == checked.sample_index);
        of_sample.is_some_and(|rollout| {
            let (expected, given) = (rollout.completion_tokens.len(), checked.logprobs.len());
            given == expected || (given == 0 && !valid)
        })
    })
}
