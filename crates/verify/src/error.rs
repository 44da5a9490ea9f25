//! Everything that can go wrong while making or checking rollouts on this machine.

use engine::EngineError;
use protocol::{LeaseId, ProtocolError, TaskIndex, WeightVersion};
use thiserror::Error;

/// Why work could not be done here. None of these is a verdict on anybody.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum VerifyError {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A record could not be decoded, or made.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// There is no prompt, or no grade.
    #[error("task {task}, item {item}: {reason}")]
    Task {
        /// Which of the run's tasks.
        task: TaskIndex,
        /// Which of its items.
        item: u64,
        /// In words.
        reason: String,
    },
    /// The weights that a lease names are not here.
    #[error("weights of version {version} are not held")]
    WeightsMissing {
        /// The version.
        version: WeightVersion,
    },
    /// Weights of one version have other numbers than the lease says.
    #[error("weights of version {version} are not those that the lease names")]
    OtherWeights {
        /// The version.
        version: WeightVersion,
    },
    /// A lease, or the lease of a plant to be signed, is for somebody else.
    #[error("the lease is for worker {given}, this is worker {expected}")]
    OtherWorker {
        /// This worker.
        expected: u32,
        /// The worker in the lease.
        given: u32,
    },
    /// A plant is to be signed that is made of no answer of this worker's, or of one too long ago.
    #[error("lease {lease} is none that this worker has answered of late")]
    NotAnswered {
        /// The lease.
        lease: LeaseId,
    },
    /// The prompt has no token.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// A sequence is longer than the model can take.
    #[error("a sequence of {given} tokens, the model takes {limit}")]
    SequenceTooLong {
        /// Positions of the model.
        limit: usize,
        /// Tokens of prompt and completion together.
        given: usize,
    },
    /// A token id is not in the vocabulary.
    #[error("token {given} is outside the vocabulary of {limit}")]
    TokenOutsideVocabulary {
        /// Size of the vocabulary.
        limit: usize,
        /// The token id.
        given: u32,
    },
    /// Activations do not form whole rows.
    #[error("{given} activations are not whole rows of {width}")]
    NotWholeRows {
        /// Width of a row.
        width: usize,
        /// Numbers given.
        given: usize,
    },
    /// A proof could not be built.
    #[error("the activation proof could not be built: {0}")]
    Proof(String),
    /// Too many leases wait for their weights.
    #[error("{given} leases would wait for their weights, at most {limit} may")]
    TooManyWaiting {
        /// Most that may wait.
        limit: usize,
        /// How many there would be.
        given: usize,
    },
}
