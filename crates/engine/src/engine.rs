//! Runs the model over what the scheduler planned and samples the next tokens.
//!
//! Promise: one forward pass per step over all sequences, prompts and single tokens mixed, or one for
//! each version of the weights that some of them are pinned to; every request that [`Engine::submit`] takes comes back as one completion per seed. A step that fails
//! leaves everything as it was, so it can be tried again after new weights or a cancellation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use model::InferenceModel;
use ops::{CacheView, CachedSegment, Candidates, KvPool, Question, candidates, host};
use protocol::FinishReason;
use rayon::prelude::*;

use crate::EngineError;
use crate::lanes::Lanes;
use crate::models::Models;
use crate::request::{Completion, Request, RequestLimits};
use crate::sample::{Draw, RowStats, draw, draw_candidate, question};
use crate::schedule::{Chunk, ScheduleLimits, Scheduler};
use crate::sequence::{Job, Sampled, Sequence};
use crate::stop::{Detokenize, finish_reason};

/// Most samples that may wait at once.
pub const QUEUE_LEN_MAX: usize = 1 << 16;
/// Largest value of any size in [`EngineConfig`].
const SIZE_MAX: usize = 1 << 30;
/// Logits held at once; more rows are done in several parts, and the head's weights read again.
const LOGITS_BYTES_MAX: usize = 128 << 20;

/// Sizes of the engine. All must be at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Blocks of the key/value cache.
    pub kv_blocks: usize,
    /// Tokens per block.
    pub block_size: usize,
    /// Most sequences that run at once.
    pub max_running: usize,
    /// Most prompt tokens computed in one step.
    pub prefill_chunk_tokens: usize,
    /// Longest sequence, prompt and completion together; at most the model's positions.
    pub max_context: usize,
}

impl EngineConfig {
    fn check(&self, positions: usize) -> Result<(), EngineError> {
        let fields = [
            ("kv_blocks", self.kv_blocks),
            ("block_size", self.block_size),
            ("max_running", self.max_running),
            ("prefill_chunk_tokens", self.prefill_chunk_tokens),
            ("max_context", self.max_context),
        ];
        for (field, given) in fields {
            if given == 0 {
                return Err(EngineError::ZeroSize { field });
            }
            if given > SIZE_MAX {
                return Err(EngineError::SizeTooLarge { field, limit: SIZE_MAX, given });
            }
        }
        if self.max_context > positions {
            let (limit, given) = (positions, self.max_context);
            return Err(EngineError::ContextBeyondModel { limit, given });
        }
        Ok(())
    }
}

/// Counts since the engine was made, and how full it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Forward passes.
    pub steps: u64,
    /// Rows computed by the model: prompt tokens, tokens computed again, and decoded tokens.
    pub computed_tokens: u64,
    /// Tokens sampled.
    pub sampled_tokens: u64,
    /// Prompt tokens that a sequence took over from another instead of computing them.
    pub shared_tokens: u64,
    /// Times a sequence lost its blocks and had to wait again.
    pub preemptions: u64,
    /// Sequences that run now.
    pub running: usize,
    /// Sequences that wait now.
    pub waiting: usize,
    /// Blocks that nobody holds now.
    pub free_blocks: usize,
}

/// The rows of a step, or of a part of it.
pub(crate) struct Input {
    tokens: Arc<[u32]>,
    positions: Arc<[u32]>,
    view: CacheView,
}

impl Input {
    /// Post-norm hidden states, `[rows, d]`.
    pub(crate) fn hidden(&self, model: &InferenceModel, cache: &mut KvPool) -> Tensor<2> {
        model.hidden_cached(&self.tokens, &self.positions, cache, &self.view)
    }
}

/// A model with its cache, its queue and its running sequences.
pub struct Engine {
    models: Models,
    config: EngineConfig,
    cache: KvPool,
    lanes: Lanes,
    scheduler: Scheduler,
    detokenize: Option<Arc<Detokenize>>,
    /// Samples not yet given back, for each request.
    live: BTreeMap<u64, usize>,
    cancelled: Vec<Completion>,
    stats: EngineStats,
}

/// The samples that are drawn from one row of hidden states.
struct SampledRow {
    /// The sequence that computed it.
    slot: usize,
    /// Row of the step's hidden states.
    row: usize,
    /// Waiting samples that start from it.
    forks: Vec<u64>,
}

/// What the weights of one version gave in a step.
struct Computed {
    version: u64,
    rows: Vec<SampledRow>,
    /// For each row the draws of the sequence itself, then of its forks.
    draws: Vec<Vec<Draw>>,
    /// `[rows, d]`, if anybody wants it.
    hidden: Option<Vec<f32>>,
}

/// The draws of each row, and hidden states `[rows, d]` if anybody wants them.
type DrawsAndHidden = (Vec<Vec<Draw>>, Option<Vec<f32>>);

impl Engine {
    /// Takes a model and the version of its weights. `detokenize` is needed for stop strings only.
    ///
    /// Errors: `ZeroSize`, `SizeTooLarge`, `ContextBeyondModel`.
    pub fn new(
        model: InferenceModel,
        version: u64,
        config: EngineConfig,
        detokenize: Option<Arc<Detokenize>>,
    ) -> Result<Self, EngineError> {
        config.check(model.config().max_positions)?;
        let limits = ScheduleLimits {
            block_count: config.kv_blocks as u32, // at most SIZE_MAX
            block_size: config.block_size,
            running: config.max_running,
            prefill_tokens: config.prefill_chunk_tokens,
        };
        let cache = model.kv_pool(config.kv_blocks, config.block_size);
        Ok(Self {
            lanes: Lanes::new(&model, &cache),
            cache,
            models: Models::new(model, version),
            config,
            scheduler: Scheduler::new(limits),
            detokenize,
            live: BTreeMap::new(),
            cancelled: Vec::new(),
            stats: EngineStats::default(),
        })
    }

    /// Takes a request into the queue, or refuses it and keeps nothing of it.
    ///
    /// Errors: `DuplicateRequest`, `UnknownVersion`, and those that name what is wrong with the request.
    pub fn submit(&mut self, request: Request) -> Result<(), EngineError> {
        if self.live.contains_key(&request.id) {
            return Err(EngineError::DuplicateRequest { request: request.id });
        }
        request.check(&RequestLimits {
            context: self.config.max_context,
            vocabulary: self.models.newest().config().vocab_size,
            blocks: self.config.kv_blocks,
            block_size: self.config.block_size,
            queue_room: QUEUE_LEN_MAX.saturating_sub(self.scheduler.waiting_count()),
            has_text: self.detokenize.is_some(),
        })?;
        if let Some(version) = request.weight_version.filter(|version| !self.holds(*version)) {
            return Err(EngineError::UnknownVersion { request: request.id, version });
        }
        let job = Job::new(&request, self.config.max_context, self.config.block_size);
        self.scheduler.enqueue(job, &request.seeds);
        self.live.insert(request.id, request.seeds.len());
        Ok(())
    }

    /// Computes one step for everything that can run, and gives what finished or was cancelled.
    ///
    /// Errors: `LogitsNotFinite`; then no token was added, and the step can be tried again.
    pub fn step(&mut self) -> Result<Vec<Completion>, EngineError> {
        // Inside the thread pool the step's many short parallel parts start without waking anybody;
        // from outside, each of them would cost two context switches.
        rayon::scope(|_| self.step_in_pool())
    }

    fn step_in_pool(&mut self) -> Result<Vec<Completion>, EngineError> {
        let chunks = self.scheduler.plan();
        let mut done = Vec::new();
        if !chunks.is_empty() {
            let mut claimed = BTreeSet::new();
            let computed: Result<Vec<_>, _> = self
                .by_version(&chunks)
                .into_iter()
                .map(|(version, chunks)| self.compute(version, &chunks, &mut claimed))
                .collect();
            done = self.commit(&chunks, &computed?);
        }
        done.append(&mut self.cancelled);
        for completion in &done {
            self.count_down(completion.request);
        }
        if !done.is_empty() {
            self.models.keep(self.scheduler.pinned_versions());
        }
        Ok(done)
    }

    /// The chunks of a step by the weights that compute them.
    fn by_version(&self, chunks: &[Chunk]) -> BTreeMap<u64, Vec<Chunk>> {
        let mut parts: BTreeMap<u64, Vec<Chunk>> = BTreeMap::new();
        for chunk in chunks {
            let version = self.scheduler.running[chunk.slot].job.weight_version;
            parts.entry(version.unwrap_or(self.version())).or_default().push(*chunk);
        }
        parts
    }

    fn compute(
        &mut self,
        version: u64,
        chunks: &[Chunk],
        claimed: &mut BTreeSet<u64>,
    ) -> Result<Computed, EngineError> {
        let hidden = self.forward(version, chunks);
        let rows = self.sampled_rows(chunks, claimed);
        let hidden = last_rows(hidden, &rows);
        let (draws, hidden) = match candidates::whole_rows(&hidden.device()) {
            true => (self.draw_rows(version, &hidden, &rows)?, self.wanted(&hidden, &rows).map(host::to_vec_f32)),
            false => self.draw_on_device(version, &hidden, &rows)?,
        };
        Ok(Computed { version, rows, draws, hidden })
    }

    fn count_down(&mut self, request: u64) {
        let left = self.live.get_mut(&request).expect("our bug: a completion of no request");
        *left -= 1;
        if *left == 0 {
            self.live.remove(&request);
        }
    }

    /// Hidden states `[rows of all chunks, d]`.
    fn forward(&mut self, version: u64, chunks: &[Chunk]) -> Tensor<2> {
        self.stats.steps += 1;
        self.stats.computed_tokens += chunks.iter().map(|chunk| chunk.count as u64).sum::<u64>();
        let parts = self.lanes.parts(chunks);
        let inputs: Vec<Input> = parts.into_iter().map(|part| self.input(part)).collect();
        if let [input] = inputs.as_slice() {
            return input.hidden(self.models.get(version), &mut self.cache);
        }
        self.lanes.run(self.models.get(version), &self.cache, &inputs)
    }

    fn input(&mut self, chunks: &[Chunk]) -> Input {
        let row_count = chunks.iter().map(|chunk| chunk.count).sum();
        let mut tokens = Vec::with_capacity(row_count);
        let mut positions = Vec::with_capacity(row_count);
        let mut segments = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let sequence = &mut self.scheduler.running[chunk.slot];
            let span = chunk.past..chunk.past + chunk.count;
            let first = tokens.len();
            tokens.extend_from_slice(&sequence.tokens[span.clone()]);
            positions.extend(span.map(|position| position as u32)); // at most SIZE_MAX
            let rows = first..tokens.len();
            segments.push(CachedSegment { rows, past: chunk.past, blocks: sequence.table() });
        }
        Input { tokens: Arc::from(tokens), positions: Arc::from(positions), view: CacheView { segments } }
    }

    /// `claimed` holds the waiting samples that already start from another row of this step.
    fn sampled_rows(&self, chunks: &[Chunk], claimed: &mut BTreeSet<u64>) -> Vec<SampledRow> {
        let mut end = 0;
        let mut rows = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            end += chunk.count;
            if chunk.samples {
                let forks = self.scheduler.forks_of(chunk, claimed);
                rows.push(SampledRow { slot: chunk.slot, row: end - 1, forks });
            }
        }
        rows
    }

    /// One list of draws per row: the sequence's own, then those of its forks.
    fn draw_rows(&self, version: u64, hidden: &Tensor<2>, rows: &[SampledRow]) -> Result<Vec<Vec<Draw>>, EngineError> {
        let model = self.models.get(version);
        let vocabulary = model.config().vocab_size;
        let rows_max = (LOGITS_BYTES_MAX / (size_of::<f32>() * vocabulary)).max(1);
        let mut draws = Vec::with_capacity(rows.len());
        for (part, rows) in rows.chunks(rows_max).enumerate() {
            let first = part * rows_max;
            let part = hidden.clone().narrow(0, first, rows.len());
            let logits = host::to_vec_f32(&model.logits(part));
            let drawn: Result<Vec<_>, _> = rows
                .par_iter()
                .zip(logits.par_chunks_exact(vocabulary))
                .map(|(row, logits)| self.draw_row(version, row, logits))
                .collect();
            draws.extend(drawn?);
        }
        Ok(draws)
    }

    /// As [`Self::draw_rows`], with the hidden states if anybody wants them. Logits stay on the device but for those of
    /// rows that no candidate settles, or whose tokens are restricted.
    fn draw_on_device(
        &self,
        version: u64,
        hidden: &Tensor<2>,
        rows: &[SampledRow],
    ) -> Result<DrawsAndHidden, EngineError> {
        let model = self.models.get(version);
        let rows_max = (LOGITS_BYTES_MAX / (size_of::<f32>() * model.config().vocab_size)).max(1);
        let wanted = self.wanted(hidden, rows);
        let (mut draws, mut kept, mut first) = (Vec::with_capacity(rows.len()), Vec::new(), 0);
        while first < rows.len() {
            let questions = rows[first..].iter().scan(0, |sum, row| {
                *sum += 1 + row.forks.len();
                Some(*sum)
            });
            let count = questions.take_while(|sum| *sum <= rows_max).count().max(1);
            let part = hidden.clone().narrow(0, first, count);
            let logits = model.logits(part.clone());
            let rows = &rows[first..first + count];
            let questions: Vec<Vec<Question>> =
                rows.iter().enumerate().map(|(at, row)| self.questions(row, at)).collect();
            let (found, hidden) = candidates(&logits, &questions.concat(), wanted.map(|_| &part));
            kept.extend(hidden);
            let mut found = found.iter();
            for (at, (row, questions)) in rows.iter().zip(&questions).enumerate() {
                let found: Vec<&Candidates> = found.by_ref().take(questions.len()).collect();
                draws.push(match self.settled(row, questions, &found) {
                    Some(drawn) => drawn,
                    None => self.draw_row(version, row, &host::to_vec_f32(&logits.clone().narrow(0, at, 1)))?,
                });
            }
            first += count;
        }
        Ok((draws, wanted.map(|_| kept)))
    }

    /// What the sequences that draw from a row ask of it.
    fn questions(&self, row: &SampledRow, at: usize) -> Vec<Question> {
        let position = self.scheduler.running[row.slot].tokens.len() as u32;
        let asked = |drawn: &Sequence| question(at, drawn.job.sampling.temperature, &drawn.seed, position, 0);
        self.drawing(row).map(asked).collect()
    }

    /// The sequence that computed a row, then its forks.
    fn drawing<'a>(&'a self, row: &'a SampledRow) -> impl Iterator<Item = &'a Sequence> {
        let forks = row.forks.iter().map(|age| self.scheduler.waiting(*age));
        std::iter::once(&self.scheduler.running[row.slot]).chain(forks)
    }

    /// The draws of a row, if its candidates settle them all.
    fn settled(&self, row: &SampledRow, questions: &[Question], found: &[&Candidates]) -> Option<Vec<Draw>> {
        let unrestricted = self.drawing(row).all(|sequence| !sequence.job.sampling.is_restricted());
        let drawn = || questions.iter().zip(found).map(|(question, found)| draw_candidate(found, question));
        unrestricted.then(drawn)?.collect()
    }

    fn draw_row(&self, version: u64, row: &SampledRow, logits: &[f32]) -> Result<Vec<Draw>, EngineError> {
        let mut known: Option<(f32, RowStats)> = None;
        let position = self.scheduler.running[row.slot].tokens.len();
        self.drawing(row)
            .map(|sequence| {
                let sampling = &sequence.job.sampling;
                let stats = match known {
                    Some((temperature, stats)) if temperature == sampling.temperature => stats,
                    _ => RowStats::of(logits, sampling.temperature).ok_or(EngineError::LogitsNotFinite {
                        request: sequence.job.id,
                        sample_index: sequence.sample_index,
                        position,
                        version,
                    })?,
                };
                known = Some((sampling.temperature, stats));
                Ok(draw(logits, &stats, sampling, &sequence.seed, position as u32))
            })
            .collect()
    }

    /// The hidden states, if anybody wants them.
    fn wanted<'a>(&self, hidden: &'a Tensor<2>, rows: &[SampledRow]) -> Option<&'a Tensor<2>> {
        let wants = |row: &SampledRow| self.drawing(row).any(|sequence| sequence.job.want_hidden);
        rows.iter().any(wants).then_some(hidden)
    }

    /// Writes the outcome of a step down. Nothing in here can fail.
    fn commit(&mut self, chunks: &[Chunk], computed: &[Computed]) -> Vec<Completion> {
        for chunk in chunks {
            self.scheduler.advance(chunk);
        }
        let mut finished = Vec::new();
        for part in computed {
            self.commit_part(part, &mut finished);
        }
        self.complete(finished)
    }

    fn commit_part(&mut self, part: &Computed, finished: &mut Vec<(usize, FinishReason)>) {
        let width = self.models.newest().config().hidden_size;
        for (index, (row, draws)) in part.rows.iter().zip(&part.draws).enumerate() {
            let mut slots = vec![row.slot];
            for age in &row.forks {
                if let Some((from, to)) = self.scheduler.fork(row.slot, *age) {
                    self.cache.copy_block(from, to);
                }
                slots.push(self.scheduler.running.len() - 1);
            }
            let hidden = part.hidden.as_ref().map(|all| &all[index * width..(index + 1) * width]);
            for (slot, draw) in slots.into_iter().zip(draws) {
                let reason = self.push(slot, draw, part.version, hidden);
                finished.extend(reason.map(|reason| (slot, reason)));
            }
        }
    }

    fn push(&mut self, slot: usize, draw: &Draw, version: u64, hidden: Option<&[f32]>) -> Option<FinishReason> {
        let sequence = &mut self.scheduler.running[slot];
        let hidden = hidden.filter(|_| sequence.job.want_hidden);
        sequence.push(Sampled { token: draw.token, logprob: draw.logprob, version, hidden });
        self.stats.sampled_tokens += 1;
        finish_reason(sequence, self.detokenize.as_deref())
    }

    fn complete(&mut self, mut finished: Vec<(usize, FinishReason)>) -> Vec<Completion> {
        finished.sort_by_key(|(slot, _)| *slot);
        let slots: Vec<usize> = finished.iter().map(|(slot, _)| *slot).collect();
        let sequences = self.scheduler.remove_running(&slots);
        let reasons = finished.into_iter().map(|(_, reason)| reason);
        sequences.into_iter().zip(reasons).map(|(sequence, reason)| sequence.into_completion(reason)).collect()
    }

    /// Ends all samples of a request; they come back from the next step with what they have.
    /// Gives their number: 0 if no such request runs.
    pub fn cancel(&mut self, id: u64) -> usize {
        let removed = self.scheduler.remove_request(id);
        let count = removed.len();
        let completions = removed.into_iter().map(|sequence| sequence.into_completion(FinishReason::Cancelled));
        self.cancelled.extend(completions);
        count
    }

    /// Goes on with other weights of the same shape. Running sequences that are not pinned keep their
    /// cache; their next tokens carry `version`. Prompts computed before are not shared with later
    /// requests. The weights that were newest until now stay, and so do those that anybody is pinned
    /// to. A version names one set of weights: given again, they take the place of the old ones.
    ///
    /// Errors: `OtherModel`; then the old weights stay.
    pub fn swap_weights(&mut self, model: InferenceModel, version: u64) -> Result<(), EngineError> {
        if model.config() != self.models.newest().config() {
            return Err(EngineError::OtherModel { version });
        }
        self.models.push(model, version);
        self.models.keep(self.scheduler.pinned_versions());
        self.scheduler.forget_prefixes();
        Ok(())
    }

    /// Version of the weights that the next token of a sequence carries that is not pinned.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.models.newest_version()
    }

    /// Whether a request may name this version.
    #[must_use]
    pub fn holds(&self, version: u64) -> bool {
        self.models.holds(version)
    }

    /// Whether there is nothing to compute and nothing to give back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.live.is_empty()
    }

    /// Counts and fill levels.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            shared_tokens: self.scheduler.counts.shared_tokens,
            preemptions: self.scheduler.counts.preemptions,
            running: self.scheduler.running.len(),
            waiting: self.scheduler.waiting_count(),
            free_blocks: self.scheduler.free_blocks(),
            ..self.stats
        }
    }

    /// Checks that sequences and blocks agree.
    ///
    /// # Panics
    /// If they do not: our bug.
    pub fn assert_invariants(&self) {
        self.scheduler.assert_invariants();
        let outstanding: usize = self.live.values().sum();
        let present = self.scheduler.running.len() + self.scheduler.waiting_count();
        assert_eq!(outstanding, present + self.cancelled.len(), "a sample was lost or doubled");
    }
}

/// The hidden states `[sampled rows, d]` from those of all rows.
fn last_rows(hidden: Tensor<2>, rows: &[SampledRow]) -> Tensor<2> {
    if hidden.dims()[0] == rows.len() {
        return hidden;
    }
    let indices: Vec<i64> = rows.iter().map(|row| row.row as i64).collect();
    let indices = TensorData::new(indices, [rows.len()]);
    let indices = Tensor::<1, Int>::from_data(indices, &hidden.device());
    hidden.select(0, indices)
}
