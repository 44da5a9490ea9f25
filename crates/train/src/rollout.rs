//! What the loss needs to know about a rollout.
//!
//! Promise: there is no way to train on a rollout that validators have not admitted; the only constructor takes a
//! [`VerifiedRollout`].

use protocol::VerifiedRollout;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// Whose log-probabilities stand for the policy that sampled the completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BehaviourLogprobs {
    /// What the worker claimed. A validator has compared them, within a tolerance, where it drew the rollout.
    Worker,
    /// What the first validator recomputed; a lie about them moves nothing. Needs every rollout checked.
    Validator,
}

/// An admitted rollout with its advantage.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainRollout {
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt_len: usize,
    pub(crate) behaviour_logprobs: Vec<f32>,
    pub(crate) weight_versions: Vec<u64>,
    pub(crate) advantage: f32,
    pub(crate) temperature: f32,
}

impl TrainRollout {
    /// Takes the tokens, versions and log-probabilities from `verified`.
    ///
    /// - `advantage`: of every completion token
    /// - `temperature`: at which it was sampled; the trainer divides its logits by the same
    ///
    /// Errors: `NoValidatorLogprobs` if they are asked for and no validator recomputed this rollout.
    pub fn new(
        verified: &VerifiedRollout<'_>,
        advantage: f32,
        temperature: f32,
        source: BehaviourLogprobs,
    ) -> Result<Self> {
        let rollout = verified.rollout();
        let behaviour = match source {
            BehaviourLogprobs::Worker => &rollout.logprobs,
            BehaviourLogprobs::Validator => verified
                .validator_logprobs()
                .ok_or(TrainError::NoValidatorLogprobs { lease: rollout.lease, sample_index: rollout.sample_index })?,
        };
        Ok(Self {
            tokens: [&rollout.prompt_tokens[..], &rollout.completion_tokens].concat(),
            prompt_len: rollout.prompt_tokens.len(),
            behaviour_logprobs: behaviour.to_vec(),
            weight_versions: rollout.weight_versions.clone(),
            advantage,
            temperature,
        })
    }

    /// Prompt and completion.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of the tokens are the prompt.
    pub fn prompt_len(&self) -> usize {
        self.prompt_len
    }

    /// Natural log-probability of each completion token when it was sampled.
    pub fn behaviour_logprobs(&self) -> &[f32] {
        &self.behaviour_logprobs
    }
}
