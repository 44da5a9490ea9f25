//! Everything that can go wrong in training, by name.
//!
//! Promise: each variant says what was expected and what was given; none of them leaves weights changed.

use std::path::PathBuf;

use crate::loss::Preset;
use crate::optimizer::MomentsDtype;

/// Result of this crate.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// What is wrong with a setting, a batch, a step or a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting has no meaning for the chosen preset.
    #[error("loss preset {preset} does not use `{setting}`")]
    UnusedSetting {
        /// The preset.
        preset: Preset,
        /// The setting's name.
        setting: &'static str,
    },
    /// A preset needs a setting that was not given.
    #[error("loss preset {preset} needs `{setting}`")]
    MissingSetting {
        /// The preset.
        preset: Preset,
        /// The setting's name.
        setting: &'static str,
    },
    /// A number is outside its range.
    #[error("`{setting}` must be {expected}, given {given}")]
    OutOfRange {
        /// The setting's name.
        setting: &'static str,
        /// The range in words.
        expected: &'static str,
        /// The number given.
        given: f64,
    },
    /// Moments in few bits are rounded by a kernel of the CPU.
    #[error("`moments_dtype` must be {} on {device}, given {given}", MomentsDtype::F32)]
    MomentsNeedCpu {
        /// The format asked for.
        given: MomentsDtype,
        /// The device.
        device: String,
    },
    /// Two lists that belong together have different lengths.
    #[error("{what}: expected {expected} entries, given {given}")]
    Length {
        /// Which list.
        what: &'static str,
        /// Entries expected.
        expected: usize,
        /// Entries given.
        given: usize,
    },
    /// There is nothing to train on.
    #[error("the batch holds no sequence to train on")]
    EmptyBatch,
    /// A sequence of the batch cannot be trained on.
    #[error("sequence {index}: {problem}")]
    BadSequence {
        /// Its place in the batch.
        index: usize,
        /// What is wrong with it.
        problem: SequenceProblem,
    },
    /// The validator's log-probabilities were asked for, and no validator recomputed this rollout.
    #[error("no validator recomputed sample {sample_index} of lease {lease}")]
    NoValidatorLogprobs {
        /// The lease.
        lease: u64,
        /// The sample.
        sample_index: u32,
    },
    /// A number that must be finite is not.
    #[error("{what} at {index} is not finite: {given}")]
    NotFinite {
        /// Which list of numbers.
        what: &'static str,
        /// Place in that list.
        index: usize,
        /// The number.
        given: f64,
    },
    /// The loss came out as NaN or infinite; the weights are as they were.
    #[error("the loss of update {update} is {given}; weights and optimiser are unchanged")]
    NonFiniteLoss {
        /// Number of the update that was refused, from 1.
        update: u64,
        /// The loss.
        given: f64,
    },
    /// The gradient came out as NaN or infinite; the weights are as they were.
    #[error(
        "the gradient norm of update {update} is {given} (first at {parameter}); weights and optimiser are unchanged"
    )]
    NonFiniteGradient {
        /// Number of the update that was refused, from 1.
        update: u64,
        /// The norm over all parameters.
        given: f64,
        /// The first parameter whose own norm is not finite, or the last one where only the sum overflows.
        parameter: String,
    },
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint must not overwrite something that is there.
    #[error("{path} exists already; a checkpoint is written to a new folder")]
    TargetExists {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint's file is not what was written.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A checkpoint's moments have another format than the trainer's. They are not converted: a run keeps its format.
    #[error("{path}: moments are {given}, `moments_dtype` of this trainer is {expected}")]
    WrongMoments {
        /// The file.
        path: PathBuf,
        /// The trainer's format.
        expected: MomentsDtype,
        /// The file's.
        given: String,
    },
    /// A checkpoint belongs to another model.
    #[error("{path} does not fit this model: {reason}")]
    WrongModel {
        /// The file.
        path: PathBuf,
        /// The first difference.
        reason: String,
    },
}

/// What is wrong with one sequence of a batch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SequenceProblem {
    /// The prompt is empty, so the first completion token has nothing to be predicted from.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The completion is empty.
    #[error("the completion is empty: {tokens} tokens, prompt length {prompt_len}")]
    EmptyCompletion {
        /// Tokens in all.
        tokens: usize,
        /// Tokens of the prompt.
        prompt_len: usize,
    },
    /// A list with one entry per completion token has another length.
    #[error("{what} has {given} entries for {expected} completion tokens")]
    WrongLength {
        /// Which list.
        what: &'static str,
        /// Completion tokens.
        expected: usize,
        /// Entries given.
        given: usize,
    },
    /// More tokens than the model has positions.
    #[error("{given} tokens, more than the model's {limit} positions")]
    TooLong {
        /// Positions of the model.
        limit: usize,
        /// Tokens given.
        given: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {given} at {position} is not below the vocabulary size {limit}")]
    TokenOutsideVocabulary {
        /// Size of the vocabulary.
        limit: usize,
        /// The id.
        given: u32,
        /// Its place in the sequence.
        position: usize,
    },
    /// A log-probability above zero or not a number.
    #[error("behaviour log-probability {given} at {position} is not at most 0")]
    NoLogprob {
        /// The number.
        given: f32,
        /// Its place in the completion.
        position: usize,
    },
    /// The advantage is NaN or infinite.
    #[error("the advantage is {given}")]
    Advantage {
        /// The number.
        given: f32,
    },
    /// The temperature is not positive.
    #[error("temperature {given} is not a positive number")]
    Temperature {
        /// The number.
        given: f32,
    },
}
