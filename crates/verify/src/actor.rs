//! Who makes rollouts and who checks them, as the rest of a run sees them.
//!
//! Promise: an actor works only when it is called, and its answers are a function of the calls.
//! Takes: leases, weights and encoded messages. Gives: encoded messages.
//! Never: waits, sends, or keeps time; whoever owns an actor does that.

use std::sync::Arc;

use model::ModelSnapshot;
use protocol::{LeaseId, PromptLease, Signed, TaskIndex, WeightVersion};
use tasks::Grade;

use crate::VerifyError;

/// Prompts and grades of a run: a function of the run's tasks and its tokenizer.
pub trait Prompts: Send + Sync {
    /// Token ids of item `item` of the task's training items.
    ///
    /// Errors: in words, if there is no such item or it cannot be made.
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String>;

    /// The grade of a completion, stop token and all. Never panics on any tokens.
    ///
    /// Errors: as [`Prompts::prompt`]; a bad completion is graded, not refused.
    fn grade(&self, task: TaskIndex, item: u64, completion: &[u32]) -> Result<Grade, String>;
}

/// What comes of a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The lease that was answered.
    pub lease: LeaseId,
    /// Tokens sampled for it.
    pub tokens: u64,
    /// An encoded [`protocol::Submission`], or why there is none.
    pub bytes: Result<Vec<u8>, String>,
}

/// Makes rollouts.
pub trait WorkerActor: Send {
    /// Takes new weights. Leases that name an older version are still answered with that one, as
    /// long as it is held.
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError>;

    /// Weights older than `oldest` will not be named again: they need not be held. Who is at work keeps what it needs.
    fn forget_before(&mut self, oldest: WeightVersion);

    /// Takes a lease. What is wrong with the lease is said in its [`Answer`].
    fn lease(&mut self, lease: &Signed<PromptLease>) -> Result<(), VerifyError>;

    /// Gives up a lease: there will be no answer to it. Unknown leases are passed over.
    fn cancel(&mut self, lease: LeaseId);

    /// Works one step and gives what is ready.
    fn step(&mut self) -> Result<Vec<Answer>, VerifyError>;

    /// Signs planted work in this worker's name: takes an encoded signed [`protocol::PlantRequest`], gives an
    /// encoded signed [`protocol::Commitment`]. Whoever owns the actor keeps the request before it sends the
    /// answer: it is the worker's defence, should anybody call the plant its lie.
    ///
    /// Errors: `Protocol` if the request is not the orchestrator's, `OtherWorker`, `NotAnswered`.
    fn countersign(&mut self, request: &[u8]) -> Result<Vec<u8>, VerifyError>;

    /// Whether another step would do nothing until something new comes in.
    fn is_idle(&self) -> bool;

    /// Nanoseconds spent on proofs and grades so far. Only for reports: no answer depends on it.
    fn proving_ns(&self) -> u64;
}

/// Checks rollouts.
pub trait ValidatorActor: Send {
    /// Takes new weights; those that no lease can name any more are dropped.
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError>;

    /// Weights older than `oldest` will not be named again: they need not be held.
    fn forget_before(&mut self, _oldest: WeightVersion) {}

    /// Takes an encoded [`protocol::CheckOrder`] and gives the signed seal of its verdict, or takes
    /// a [`protocol::RevealOrder`] and gives the verdict. Gives nothing for a message that is not
    /// meant for it.
    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError>;
}
