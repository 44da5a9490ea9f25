//! What lying validators have in common: making a verdict up, and sealing it as an honest one does.
//!
//! Promise: a made-up verdict has the form of a real one, so that only its content can give it away.

use protocol::{CheckOrder, CheckedRollout, Hash, Outcome, Record, RunId, Signed, Verdict, VerdictReveal, VerdictSeal};
use verify::{ValidatorSetup, VerifyError};

/// The name and key of a lying validator.
pub(super) struct Forger {
    setup: ValidatorSetup,
    run: RunId,
}

impl Forger {
    pub(super) fn new(setup: ValidatorSetup) -> Self {
        Self { run: setup.terms.id(), setup }
    }

    /// A verdict that finds everything in order, with perfect numbers and the worker's own log-probabilities.
    pub(super) fn valid(&self, order: &CheckOrder) -> Verdict {
        let submission = &order.submission;
        let root = *submission.root();
        let count = submission.rollouts.len() as u32; // at most the group size, which is a u32
        let share = self.setup.terms.check_ppm_of(&submission.lease.body);
        let drawn = proof::draw::samples(&order.draw, &root, count, share);
        let checked = drawn.into_iter().map(|place| {
            let rollout = &submission.rollouts[place as usize];
            perfect(rollout.sample_index, rollout.logprobs.clone())
        });
        Verdict {
            lease: submission.lease.body.lease,
            root,
            validator: self.setup.id,
            draw: order.draw,
            tokens: submission.completion_tokens(),
            checked: checked.collect(),
            outcome: Outcome::Valid,
        }
    }

    /// A verdict under this validator's name.
    pub(super) fn reveal(&self, verdict: Verdict) -> Result<VerdictReveal, VerifyError> {
        let verdict = Verdict { validator: self.setup.id, ..verdict };
        let salt = self.salt(&verdict.root);
        Ok(VerdictReveal { verdict: Signed::new(verdict, &self.run, &self.setup.keys)?, salt })
    }

    /// The encoded seal of a reveal.
    pub(super) fn seal(&self, reveal: &VerdictReveal) -> Result<Vec<u8>, VerifyError> {
        self.signed(reveal.seal(&self.setup.keys.public())?)
    }

    /// The encoded seal of nothing.
    pub(super) fn empty_seal(&self, order: &CheckOrder) -> Result<Vec<u8>, VerifyError> {
        let root = *order.submission.root();
        let lease = order.submission.lease.body.lease;
        self.signed(VerdictSeal { lease, root, validator: self.setup.id, seal: self.salt(&root) })
    }

    fn signed(&self, seal: VerdictSeal) -> Result<Vec<u8>, VerifyError> {
        Ok(Signed::new(seal, &self.run, &self.setup.keys)?.encode()?)
    }

    fn salt(&self, root: &Hash) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key("essaim simulator salt of a lying validator");
        *hasher.update(&self.setup.keys.public().0).update(root).finalize().as_bytes()
    }
}

fn perfect(sample_index: u32, logprobs: Vec<f32>) -> CheckedRollout {
    CheckedRollout {
        sample_index,
        exponent_mismatches: 0,
        mantissa_mean_milli: 0,
        mantissa_median_milli: 0,
        sign_mismatches: 0,
        fingerprint_error_ppm: 0,
        margin_max_micro: 0,
        tokens_lost: 0,
        logprob_error_max_micro: 0,
        logprob_error_mean_micro: 0,
        logprobs,
    }
}
