//! Everything that can go wrong in the engine, with the limit and the value that was given.

use thiserror::Error;

/// Why a request was refused or a step could not be done.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum EngineError {
    /// A size in the configuration is zero.
    #[error("engine configuration: {field} must be at least 1, given 0")]
    ZeroSize {
        /// Name of the field.
        field: &'static str,
    },
    /// A size in the configuration is too large to count with.
    #[error("engine configuration: {field} must be at most {limit}, given {given}")]
    SizeTooLarge {
        /// Name of the field.
        field: &'static str,
        /// Largest value.
        limit: usize,
        /// Value in the configuration.
        given: usize,
    },
    /// The configured context is longer than the model's.
    #[error("engine configuration: max_context {given} is above the model's {limit} positions")]
    ContextBeyondModel {
        /// Positions of the model.
        limit: usize,
        /// Value in the configuration.
        given: usize,
    },
    /// A request with this id is still being worked on.
    #[error("request {request}: a request with this id is still running")]
    DuplicateRequest {
        /// Its id.
        request: u64,
    },
    /// The prompt has no token.
    #[error("request {request}: the prompt is empty")]
    EmptyPrompt {
        /// Its id.
        request: u64,
    },
    /// There is no room for even one new token.
    #[error("request {request}: prompt of {given} tokens, at most {limit} fit the context")]
    PromptTooLong {
        /// Its id.
        request: u64,
        /// Longest prompt: the context less one token.
        limit: usize,
        /// Tokens in the prompt.
        given: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("request {request}: token {given} at position {position} of the prompt, vocabulary of {limit}")]
    TokenOutsideVocabulary {
        /// Its id.
        request: u64,
        /// Where in the prompt.
        position: usize,
        /// Size of the vocabulary.
        limit: usize,
        /// The token id.
        given: u32,
    },
    /// The request asks for no sample.
    #[error("request {request}: no seeds, so no sample was asked for")]
    NoSamples {
        /// Its id.
        request: u64,
    },
    /// More samples than the queue takes.
    #[error("request {request}: {given} more samples, room for {limit} in the queue")]
    QueueFull {
        /// Its id.
        request: u64,
        /// Samples that could still be taken.
        limit: usize,
        /// Samples asked for.
        given: usize,
    },
    /// One sample alone needs more key/value blocks than there are.
    #[error("request {request}: one sample may need {given} blocks, the pool has {limit}")]
    PoolTooSmall {
        /// Its id.
        request: u64,
        /// Blocks of the pool.
        limit: usize,
        /// Blocks that the longest completion would take.
        given: usize,
    },
    /// `max_new_tokens` is zero.
    #[error("request {request}: max_new_tokens is 0")]
    NothingToGenerate {
        /// Its id.
        request: u64,
    },
    /// The temperature is neither 0 nor in its range.
    #[error("request {request}: temperature {given}, must be 0 or from {min} to {max}")]
    Temperature {
        /// Its id.
        request: u64,
        /// Smallest positive temperature.
        min: f32,
        /// Largest temperature.
        max: f32,
        /// Temperature asked for.
        given: f32,
    },
    /// `top_p` is outside `(0, 1]`.
    #[error("request {request}: top_p {given}, must be above 0 and at most 1")]
    TopP {
        /// Its id.
        request: u64,
        /// Value asked for.
        given: f32,
    },
    /// `top_k` is zero.
    #[error("request {request}: top_k is 0; leave it out to keep all tokens")]
    TopK {
        /// Its id.
        request: u64,
    },
    /// A stop string has no character.
    #[error("request {request}: stop string {index} is empty")]
    EmptyStopString {
        /// Its id.
        request: u64,
        /// Which one.
        index: usize,
    },
    /// Stop strings need text, and the engine was given nothing that makes text of tokens.
    #[error("request {request}: stop strings were asked for, but the engine has no detokenizer")]
    NoDetokenizer {
        /// Its id.
        request: u64,
    },
    /// The model gave logits that are not numbers, or only minus infinity.
    #[error(
        "request {request}, sample {sample_index}: logits at position {position} are not finite (weight version {version})"
    )]
    LogitsNotFinite {
        /// Its id.
        request: u64,
        /// Which of its samples.
        sample_index: u32,
        /// Position of the token to be sampled, counted from the start of the prompt.
        position: usize,
        /// Weights that gave them.
        version: u64,
    },
    /// The request names weights that are not, or no longer, held.
    #[error("request {request}: weights of version {version} are not held")]
    UnknownVersion {
        /// Its id.
        request: u64,
        /// The version.
        version: u64,
    },
    /// New weights are of another shape.
    #[error("weights of version {version} have another configuration than the running model")]
    OtherModel {
        /// Version that was offered.
        version: u64,
    },
}
