//! What a clever liar needs so that only its lie is wrong: the true model, the true prover, the true grader.
//!
//! Promise: [`Tools::tidy`] makes everything but the tokens of a rollout what an honest worker would have sent with
//! these tokens, at the price of one prefill.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Device;
use engine::tempered_logprob;
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{Domain, DtypeTerm, PromptLease, Rollout, RunTerms, WeightVersion};
use verify::{Prompts, VerifyError, WorkerSetup, prefill, prove};

/// Published versions that a liar keeps.
const VERSIONS_MAX: usize = 8;

/// The true parts of a lying worker.
pub(super) struct Tools {
    pub(super) terms: Arc<RunTerms>,
    pub(super) prompts: Arc<dyn Prompts>,
    device: Device,
    published: BTreeMap<WeightVersion, ModelSnapshot>,
    /// The true model of one version: the one that was needed last.
    model: Option<(WeightVersion, InferenceModel)>,
}

impl Tools {
    pub(super) fn new(setup: &WorkerSetup) -> Self {
        Self {
            terms: setup.terms.clone(),
            prompts: setup.prompts.clone(),
            device: setup.device.clone(),
            published: BTreeMap::new(),
            model: None,
        }
    }

    pub(super) fn keep(&mut self, version: WeightVersion, published: &ModelSnapshot) {
        self.published.insert(version, published.clone());
        while self.published.len() > VERSIONS_MAX {
            self.published.pop_first();
        }
    }

    /// Whether a token ends a completion.
    pub(super) fn is_stop(&self, token: u32) -> bool {
        self.terms.sampling.stop_tokens.contains(&token)
    }

    /// Gives rollouts of one prompt the log-probabilities, proofs and rewards that belong to their tokens, and the
    /// lease's number and weights. `prompt_tokens`, `completion_tokens`, `sample_index` and `finish` stay.
    ///
    /// Errors: `WeightsMissing`, `Task`, and those of [`prefill`].
    pub(super) fn tidy(&mut self, lease: &PromptLease, rollouts: &mut [Rollout]) -> Result<(), VerifyError> {
        let Some(first) = rollouts.first() else { return Ok(()) };
        let prompt = first.prompt_tokens.clone();
        let temperature = self.terms.sampling.temperature;
        let model = self.true_model(lease.weight_version)?;
        let width = model.config().hidden_size;
        let completions: Vec<&[u32]> = rollouts.iter().map(|rollout| rollout.completion_tokens.as_slice()).collect();
        let seen = prefill(model, &prompt, &completions, |row| {
            // Logits of true weights are finite, and the token was checked against their number.
            tempered_logprob(row.logits, temperature, row.token).unwrap_or(0.0)
        })?;
        for (rollout, seen) in rollouts.iter_mut().zip(seen) {
            let evidence = prove(&seen.hidden, width, &lease.sample_seed(Domain::Train, rollout.sample_index))?;
            rollout.activation_proof = evidence.activation_proof;
            rollout.fingerprint = evidence.fingerprint;
            rollout.weight_versions = vec![lease.weight_version; seen.rows.len()];
            rollout.logprobs = seen.rows;
            rollout.lease = lease.lease;
            self.grade(lease, rollout)?;
        }
        Ok(())
    }

    /// Errors: `Task`.
    fn grade(&self, lease: &PromptLease, rollout: &mut Rollout) -> Result<(), VerifyError> {
        let (task, item) = (lease.task, lease.item);
        let grade = self.prompts.grade(task, item, &rollout.completion_tokens);
        let grade = grade.map_err(|reason| VerifyError::Task { task, item, reason })?;
        (rollout.reward_micro, rollout.exact) = (grade.reward_micro, grade.exact);
        Ok(())
    }

    fn true_model(&mut self, version: WeightVersion) -> Result<&InferenceModel, VerifyError> {
        if self.model.as_ref().is_none_or(|(held, _)| *held != version) {
            let snapshot = self.published.get(&version).ok_or(VerifyError::WeightsMissing { version })?;
            let dtype = match self.terms.sampling.dtype {
                DtypeTerm::F32 => WeightDtype::F32,
                DtypeTerm::Bf16 => WeightDtype::Bf16,
            };
            self.model = Some((version, InferenceModel::from_snapshot(snapshot, dtype, &self.device)));
        }
        let (_, model) = self.model.as_ref().expect("it was made above");
        Ok(model)
    }
}
