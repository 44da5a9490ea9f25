//! One sample on its way through the engine.
//!
//! Promise: `tokens` is the prompt followed by what was sampled, and the cache holds keys and values
//! of exactly the first `computed` of them, in `blocks`.

use std::sync::Arc;

use protocol::FinishReason;

use crate::block_pool::PrefixKey;
use crate::request::{Completion, Request, Sampling};

/// What all samples of a request have in common.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) prompt: Arc<[u32]>,
    /// Keys of the prompt's full blocks.
    pub(crate) keys: Vec<PrefixKey>,
    pub(crate) sampling: Sampling,
    pub(crate) want_hidden: bool,
    /// The weights it is pinned to.
    pub(crate) weight_version: Option<u64>,
    /// Prompt and completion together never get longer.
    pub(crate) length_max: usize,
}

impl Job {
    pub(crate) fn new(request: &Request, context: usize, block_size: usize) -> Self {
        Self {
            id: request.id,
            prompt: request.prompt.clone(),
            keys: PrefixKey::chain(&request.prompt, block_size, request.weight_version),
            sampling: request.sampling.clone(),
            want_hidden: request.want_hidden,
            weight_version: request.weight_version,
            length_max: request.length_max(context),
        }
    }
}

/// A token with what the caller is told about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampled<'a> {
    pub(crate) token: u32,
    pub(crate) logprob: f32,
    pub(crate) version: u64,
    pub(crate) hidden: Option<&'a [f32]>,
}

#[derive(Debug)]
pub(crate) struct Sequence {
    /// Order of arrival; the youngest yields first when blocks run out.
    pub(crate) age: u64,
    pub(crate) job: Arc<Job>,
    pub(crate) sample_index: u32,
    pub(crate) seed: [u8; 32],
    pub(crate) tokens: Vec<u32>,
    pub(crate) computed: usize,
    pub(crate) blocks: Vec<u32>,
    /// Whether all that is in the cache came from the weights that the next token comes from.
    pub(crate) clean: bool,
    table: Arc<[u32]>,
    logprobs: Vec<f32>,
    versions: Vec<u64>,
    hidden: Vec<f32>,
}

impl Sequence {
    pub(crate) fn new(age: u64, job: Arc<Job>, sample_index: u32, seed: [u8; 32]) -> Self {
        Self {
            age,
            sample_index,
            seed,
            tokens: job.prompt.to_vec(),
            job,
            computed: 0,
            blocks: Vec::new(),
            clean: true,
            table: Arc::from([]),
            logprobs: Vec::new(),
            versions: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// Tokens whose keys and values are still to be computed.
    pub(crate) fn remaining(&self) -> usize {
        self.tokens.len() - self.computed
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.tokens.len() == self.job.prompt.len()
    }

    /// Whether its prompt is computed to the same keys and values.
    pub(crate) fn has_prompt_of(&self, other: &Self) -> bool {
        let (own, other) = (&self.job, &other.job);
        Arc::ptr_eq(own, other) || own.weight_version == other.weight_version && own.prompt == other.prompt
    }

    pub(crate) fn completion(&self) -> &[u32] {
        &self.tokens[self.job.prompt.len()..]
    }

    /// The blocks as the model wants them; made anew only when a block was added.
    pub(crate) fn table(&mut self) -> Arc<[u32]> {
        if self.table.len() != self.blocks.len() {
            self.table = Arc::from(&self.blocks[..]);
        }
        self.table.clone()
    }

    /// Forgets the cache, not the tokens. Gives the blocks back, last one first.
    pub(crate) fn surrender_blocks(&mut self) -> impl Iterator<Item = u32> + use<> {
        self.computed = 0;
        self.clean = true;
        self.table = Arc::from([]);
        std::mem::take(&mut self.blocks).into_iter().rev()
    }

    pub(crate) fn push(&mut self, sampled: Sampled<'_>) {
        self.tokens.push(sampled.token);
        self.logprobs.push(sampled.logprob);
        self.versions.push(sampled.version);
        self.hidden.extend_from_slice(sampled.hidden.unwrap_or_default());
    }

    pub(crate) fn into_completion(mut self, finish: FinishReason) -> Completion {
        Completion {
            request: self.job.id,
            sample_index: self.sample_index,
            tokens: self.tokens.split_off(self.job.prompt.len()),
            logprobs: self.logprobs,
            weight_versions: self.versions,
            finish,
            hidden: self.job.want_hidden.then_some(self.hidden),
        }
    }
}
