//! What a caller asks of the engine and what it gets back.
//!
//! Promise: a request that passes [`Request::check`] can be finished by the engine alone, however
//! small its pool; every sample of it comes back as exactly one [`Completion`].

use std::sync::Arc;

use protocol::FinishReason;

use crate::EngineError;

/// Smallest temperature that is not 0. Below it, scaled logits would leave the fixed-point range of
/// the sampling noise; 0 says what is meant then.
pub const TEMPERATURE_MIN: f32 = 1e-3;
/// Largest temperature; above it every token is equally likely for any real model.
pub const TEMPERATURE_MAX: f32 = 1e3;

/// How tokens are chosen, and when to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token always.
    pub temperature: f32,
    /// Keep the fewest likeliest tokens whose probabilities add up to this; off if `None`.
    pub top_p: Option<f32>,
    /// Keep this many of the likeliest tokens, before `top_p`; off if `None`.
    pub top_k: Option<u32>,
    /// Longest completion, in tokens; the context may end it earlier.
    pub max_new_tokens: usize,
    /// Tokens that end a completion; the token stays in it.
    pub stop_tokens: Vec<u32>,
    /// Texts that end a completion; the token that completes one stays in it.
    pub stop_strings: Vec<String>,
}

impl Sampling {
    /// Plain sampling at temperature 1, without stop tokens.
    #[must_use]
    pub fn new(max_new_tokens: usize) -> Self {
        Self {
            temperature: 1.0,
            top_p: None,
            top_k: None,
            max_new_tokens,
            stop_tokens: Vec::new(),
            stop_strings: Vec::new(),
        }
    }

    /// Whether some tokens may not be drawn.
    pub(crate) fn is_restricted(&self) -> bool {
        self.temperature != 0.0 && (self.top_k.is_some() || self.top_p.is_some())
    }
}

/// A prompt and the samples wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The caller's name for it; unique among those that run.
    pub id: u64,
    /// Token ids.
    pub prompt: Arc<[u32]>,
    /// One seed for each sample.
    pub seeds: Vec<[u8; 32]>,
    /// The same for all samples.
    pub sampling: Sampling,
    /// Whether the post-norm hidden state behind each token is wanted.
    pub want_hidden: bool,
    /// The weights that make every token; `None` takes the newest ones at each token.
    pub weight_version: Option<u64>,
}

/// What the engine can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
    pub(crate) blocks: usize,
    pub(crate) block_size: usize,
    pub(crate) queue_room: usize,
    pub(crate) has_text: bool,
}

impl Request {
    /// Tokens of the longest possible sequence: prompt and completion, cut at the context.
    pub(crate) fn length_max(&self, context: usize) -> usize {
        self.prompt.len().saturating_add(self.sampling.max_new_tokens).min(context)
    }

    pub(crate) fn check(&self, limits: &RequestLimits) -> Result<(), EngineError> {
        self.check_prompt(limits)?;
        self.check_sampling(limits)?;
        let request = self.id;
        if self.seeds.is_empty() {
            return Err(EngineError::NoSamples { request });
        }
        if self.seeds.len() > limits.queue_room {
            let (limit, given) = (limits.queue_room, self.seeds.len());
            return Err(EngineError::QueueFull { request, limit, given });
        }
        // The last token of a sequence is never fed back, so it needs no room in the cache.
        let given = (self.length_max(limits.context) - 1).div_ceil(limits.block_size);
        if given > limits.blocks {
            return Err(EngineError::PoolTooSmall { request, limit: limits.blocks, given });
        }
        Ok(())
    }

    fn check_prompt(&self, limits: &RequestLimits) -> Result<(), EngineError> {
        let request = self.id;
        let given = self.prompt.len();
        if given == 0 {
            return Err(EngineError::EmptyPrompt { request });
        }
        if given >= limits.context {
            let limit = limits.context - 1;
            return Err(EngineError::PromptTooLong { request, limit, given });
        }
        let limit = limits.vocabulary;
        match self.prompt.iter().position(|&token| token as usize >= limit) {
            Some(position) => {
                let given = self.prompt[position];
                Err(EngineError::TokenOutsideVocabulary { request, position, limit, given })
            }
            None => Ok(()),
        }
    }

    fn check_sampling(&self, limits: &RequestLimits) -> Result<(), EngineError> {
        let request = self.id;
        let Sampling { temperature, top_p, top_k, .. } = self.sampling;
        if self.sampling.max_new_tokens == 0 {
            return Err(EngineError::NothingToGenerate { request });
        }
        let (min, max) = (TEMPERATURE_MIN, TEMPERATURE_MAX);
        if temperature != 0.0 && !(min..=max).contains(&temperature) {
            return Err(EngineError::Temperature { request, min, max, given: temperature });
        }
        if let Some(given) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(EngineError::TopP { request, given });
        }
        if top_k == Some(0) {
            return Err(EngineError::TopK { request });
        }
        if let Some(index) = self.sampling.stop_strings.iter().position(String::is_empty) {
            return Err(EngineError::EmptyStopString { request, index });
        }
        if !self.sampling.stop_strings.is_empty() && !limits.has_text {
            return Err(EngineError::NoDetokenizer { request });
        }
        Ok(())
    }
}

/// One finished sample. All lists are `[completion tokens]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The request's id.
    pub request: u64,
    /// Which of its seeds.
    pub sample_index: u32,
    /// Token ids, the stop token included.
    pub tokens: Vec<u32>,
    /// Natural log of each token's probability under `softmax(logits / temperature)`, before top-k
    /// and top-p; at temperature 0 under `softmax(logits)`.
    pub logprobs: Vec<f32>,
    /// Version of the weights that gave each token's logits.
    pub weight_versions: Vec<u64>,
    /// Why it ended.
    pub finish: FinishReason,
    /// `[tokens, d]`, row-major: the post-norm hidden state that gave each token's logits.
    pub hidden: Option<Vec<f32>>,
}
