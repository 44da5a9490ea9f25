//! The validator: one prefill of the drawn rollouts, and every check on it.
//!
//! Promise: a verdict names the first check that fails with its limit and the value seen; what could
//! not be checked here is said to be unchecked, never called a lie. A verdict leaves only behind its
//! seal, and is opened only when asked for.
//! Takes: weights, orders to check, orders to reveal. Gives: seals and verdicts, signed.
//! Never: remembers one submission while it judges another.
//!
//! The beacon's points are taken on the orchestrator's word, but for their order: a sample is never looked at
//! that was drawn by a round not later than the lease's. Whether a point is the beacon's own is for whoever has
//! the log to see, with `proof::beacon`.

use std::sync::Arc;

use burn::tensor::Device;
use model::{InferenceModel, ModelSnapshot};
use protocol::{
    CheckOrder, CheckedRollout, Domain, Hash, Keypair, Outcome, PromptLease, ProtocolError, Record, RevealOrder,
    Rollout, RunId, RunTerms, Signed, UncheckedCause, ValidatorId, Verdict, VerdictReveal, WeightVersion, record_kind,
};

use crate::checks::activation::{self, largest};
use crate::checks::tokens::{TokenEvidence, TokenSeen};
use crate::checks::{Case, CheckSet, Finding, duplicate, fingerprint, record, rollout};
use crate::held::HeldWeights;
use crate::prefill::score;
use crate::sealed::{SEALED_BYTES_MAX, Sealed};
use crate::{Prompts, Recomputed, ValidatorActor, VerifyError, hidden_bits};

/// Weight versions that a validator keeps unless told otherwise: the default staleness bound of 4, the
/// version being made, and one for messages under way.
pub const VERSIONS_HELD: usize = 6;

/// Completion tokens that are recomputed at once; the hidden states of these, and the cache of them and
/// their prompt, are held together.
const PREFILL_TOKENS_MAX: usize = 16_384;

/// Context of the salts that hide verdicts.
const SALT_CONTEXT: &str = "essaim 2026 verdict salt v1";

/// What a validator needs to begin.
#[derive(Clone)]
pub struct ValidatorSetup {
    /// What the run agreed on.
    pub terms: Arc<RunTerms>,
    /// Prompts and grades.
    pub prompts: Arc<dyn Prompts>,
    /// The key that the terms list for this validator.
    pub keys: Keypair,
    /// Its place in that list.
    pub id: ValidatorId,
    /// Where the model runs.
    pub device: Device,
}

/// A validator with its weights and the verdicts that it has sealed.
pub struct Validator {
    setup: ValidatorSetup,
    run: RunId,
    set: CheckSet,
    every_rollout: bool,
    held: HeldWeights,
    sealed: Sealed,
}

impl Validator {
    /// A validator without weights.
    #[must_use]
    pub fn new(setup: ValidatorSetup) -> Self {
        let held = HeldWeights::new(setup.terms.sampling.dtype, setup.device.clone(), VERSIONS_HELD);
        Self {
            run: setup.terms.id(),
            set: CheckSet::all(),
            every_rollout: false,
            held,
            sealed: Sealed::default(),
            setup,
        }
    }

    /// The same, making only these checks: for tests that show what a check is there for.
    #[must_use]
    pub fn with_checks(mut self, set: CheckSet) -> Self {
        self.set = set;
        self
    }

    /// The same, recomputing every rollout, not only those that the lot draws: for looking again at what is
    /// in doubt.
    #[must_use]
    pub fn with_every_rollout(mut self) -> Self {
        self.every_rollout = true;
        self
    }

    /// The same, keeping the newest `count` versions, at least one: the run's staleness bound and two more.
    #[must_use]
    pub fn with_versions_held(mut self, count: usize) -> Self {
        self.held.keep(count);
        self
    }

    /// What the validator was made with.
    #[must_use]
    pub fn setup(&self) -> &ValidatorSetup {
        &self.setup
    }

    /// Judges one submission.
    pub fn check(&mut self, order: &CheckOrder) -> Verdict {
        let mut checked = Vec::new();
        let outcome = match self.examine(order, &mut checked) {
            Ok(()) => Outcome::Valid,
            Err(finding) => finding.into(),
        };
        Verdict {
            lease: order.submission.lease.body.lease,
            root: *order.submission.root(),
            validator: self.setup.id,
            draw: order.draw,
            tokens: order.submission.completion_tokens(),
            checked,
            outcome,
        }
    }

    fn examine(&mut self, order: &CheckOrder, checked: &mut Vec<CheckedRollout>) -> Result<(), Finding> {
        let case = Case { terms: &self.setup.terms, run: self.run, prompts: &*self.setup.prompts, set: &self.set };
        let submission = &order.submission;
        let lease = &submission.lease.body;
        record::check(&case, submission)?;
        let prompt = case.prompts.prompt(lease.task, lease.item);
        let prompt = prompt.map_err(|_| Finding::Unchecked(UncheckedCause::TaskFailed))?;
        for rollout in &submission.rollouts {
            rollout::check(&case, lease, &prompt, rollout)?;
            fingerprint::length(&case, rollout)?;
        }
        duplicate::check(&case, &submission.rollouts)?;
        let check_ppm = match self.every_rollout {
            true => protocol::constants::PPM_ONE,
            false => self.setup.terms.check_ppm_of(lease),
        };
        let drawn = drawn(order, check_ppm);
        if drawn.is_empty() {
            return Ok(());
        }
        let model = self.held.model(lease.weight_version, &lease.weights).map_err(Finding::Unchecked)?;
        let width = model.config().hidden_size;
        submission.rollouts.iter().try_for_each(|rollout| activation::length(&case, rollout, width))?;
        for batch in batches(&drawn) {
            let recomputed = recompute(&case, model, lease, batch)?;
            for (rollout, recomputed) in batch.iter().zip(recomputed) {
                judge(&case, lease, rollout, &recomputed, width, checked)?;
            }
        }
        duplicate::check_recomputed(&case, &submission.rollouts, checked)
    }

    fn seal(&mut self, order: &CheckOrder) -> Result<Vec<u8>, VerifyError> {
        let lease = &order.submission.lease.body;
        let (lease_round, draw_round) = (lease.beacon.round, order.draw.round);
        if draw_round <= lease_round {
            // The worker could have known what would be looked at.
            return Err(ProtocolError::DrawTooEarly { lease_round, draw_round }.into());
        }
        let reveal = match self.sealed.get(lease.lease) {
            // Asked again, it says again what it has said: weights may have come since, and two verdicts
            // behind one seal are a lie.
            Some(reveal) if is_on(&reveal.verdict.body, order) => reveal.clone(),
            _ => {
                let verdict = Signed::new(self.check(order), &self.run, &self.setup.keys)?;
                VerdictReveal { salt: salt(&verdict), verdict }
            }
        };
        let seal = reveal.seal(&self.setup.keys.public())?;
        self.sealed.hold(reveal, SEALED_BYTES_MAX)?;
        Ok(Signed::new(seal, &self.run, &self.setup.keys)?.encode()?)
    }
}

impl ValidatorActor for Validator {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.held.take(version, snapshot);
        Ok(())
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        self.held.forget_before(oldest);
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError> {
        match record_kind(bytes)? {
            CheckOrder::KIND => Ok(vec![self.seal(&CheckOrder::decode(bytes)?)?]),
            RevealOrder::KIND => {
                let lease = RevealOrder::decode(bytes)?.lease;
                Ok(self.sealed.get(lease).map(Record::encode).transpose()?.into_iter().collect())
            }
            given => Err(ProtocolError::WrongKind { expected: CheckOrder::KIND, given }.into()),
        }
    }
}

/// Whether a verdict is on this very order.
fn is_on(verdict: &Verdict, order: &CheckOrder) -> bool {
    (&verdict.root, &verdict.draw) == (order.submission.root(), &order.draw)
}

/// The salt of a verdict: `blake3_derive_key(context, the validator's signature over it)`. Nobody else
/// can make that signature, and the same verdict has the same salt after a restart.
fn salt(verdict: &Signed<Verdict>) -> Hash {
    blake3::derive_key(SALT_CONTEXT, &verdict.signature.0)
}

/// The rollouts whose number the lot drew.
fn drawn(order: &CheckOrder, check_ppm: u32) -> Vec<&Rollout> {
    let rollouts = &order.submission.rollouts;
    let count = rollouts.len() as u32; // at most SAMPLES_PER_GROUP_MAX
    let indices = proof::draw::samples(&order.draw, order.submission.root(), count, check_ppm);
    indices.into_iter().filter_map(|index| rollouts.get(index as usize)).collect()
}

/// Cuts a list into runs of at most [`PREFILL_TOKENS_MAX`] completion tokens, or of one rollout.
fn batches<'a, 'b>(rollouts: &'b [&'a Rollout]) -> Vec<&'b [&'a Rollout]> {
    let mut batches = Vec::new();
    let (mut first, mut tokens) = (0, 0usize);
    for (index, rollout) in rollouts.iter().enumerate() {
        let more = rollout.completion_tokens.len();
        if index > first && tokens.saturating_add(more) > PREFILL_TOKENS_MAX {
            batches.push(&rollouts[first..index]);
            (first, tokens) = (index, 0);
        }
        tokens = tokens.saturating_add(more);
    }
    batches.push(&rollouts[first..]);
    batches
}

/// One prefill of all completions of a batch after their prompt, which is the lease's unless that is not
/// checked.
fn recompute(
    case: &Case,
    model: &InferenceModel,
    lease: &PromptLease,
    batch: &[&Rollout],
) -> Result<Vec<Recomputed<TokenSeen>>, Finding> {
    let prompt = batch.first().map_or(&[][..], |rollout| &rollout.prompt_tokens);
    let completions: Vec<&[u32]> = batch.iter().map(|rollout| rollout.completion_tokens.as_slice()).collect();
    let seeds: Vec<Hash> = batch.iter().map(|rollout| lease.sample_seed(Domain::Train, rollout.sample_index)).collect();
    score(model, prompt, &completions, case.terms.sampling.temperature, &seeds).map_err(|error| {
        Finding::Unchecked(match error {
            VerifyError::SequenceTooLong { .. } => UncheckedCause::TooLarge,
            _ => UncheckedCause::ModelFailed,
        })
    })
}

/// Writes a rollout's numbers down and holds them to the tolerances.
fn judge(
    case: &Case,
    lease: &PromptLease,
    rollout: &Rollout,
    recomputed: &Recomputed<TokenSeen>,
    width: usize,
    checked: &mut Vec<CheckedRollout>,
) -> Result<(), Finding> {
    let failed = Finding::Unchecked(UncheckedCause::ModelFailed);
    let logprobs: Vec<f32> = recomputed.rows.iter().map(|seen| seen.logprob).collect();
    if logprobs.iter().any(|logprob| !logprob.is_finite()) {
        return Err(failed);
    }
    let sample = rollout.sample_index;
    let seed = lease.sample_seed(Domain::Train, sample);
    let own = crate::fingerprint(&recomputed.hidden, width, &seed).map_err(|_| failed)?;
    let chunks = activation::compare(case, rollout, &hidden_bits(&recomputed.hidden), width)?;
    let error_ppm = fingerprint::distance(rollout, &own);
    let tokens = TokenEvidence::new(rollout, &recomputed.rows);
    checked.push(CheckedRollout {
        sample_index: sample,
        exponent_mismatches: largest(&chunks, |chunk| chunk.exponent_mismatches),
        mantissa_mean_milli: largest(&chunks, |chunk| chunk.mantissa_mean_milli),
        mantissa_median_milli: largest(&chunks, |chunk| chunk.mantissa_median_milli),
        sign_mismatches: largest(&chunks, |chunk| chunk.sign_mismatches),
        fingerprint_error_ppm: error_ppm,
        margin_max_micro: tokens.margin_max_micro,
        tokens_lost: tokens.tokens_lost,
        logprob_error_max_micro: tokens.logprob_error_max_micro,
        logprob_error_mean_micro: tokens.logprob_error_mean_micro,
        logprobs,
    });
    activation::judge(case, sample, &chunks)?;
    fingerprint::judge(case, sample, error_ppm)?;
    tokens.judge(case, sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(tokens: usize) -> Rollout {
        Rollout {
            lease: 0,
            sample_index: 0,
            prompt_tokens: Vec::new(),
            completion_tokens: vec![0; tokens],
            logprobs: Vec::new(),
            weight_versions: Vec::new(),
            finish: protocol::FinishReason::Length,
            reward_micro: 0,
            exact: false,
            activation_proof: Vec::new(),
            fingerprint: Vec::new(),
        }
    }

    #[test]
    fn batches_hold_as_many_tokens_as_allowed_and_at_least_one_rollout() {
        let rollouts = [10_000, 6_000, 385, 20_000, 5].map(rollout);
        let rollouts: Vec<&Rollout> = rollouts.iter().collect();
        let lengths: Vec<usize> = batches(&rollouts).iter().map(|batch| batch.len()).collect();
        // 10,000 + 6,000 = 16,000; 385 more would be 16,385.
        assert_eq!(lengths, [2, 1, 1, 1]);
    }
}
