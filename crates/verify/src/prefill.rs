//! Computes again what a model said of finished completions, all tokens at once.
//!
//! Promise: on the CPU the hidden states and logits have the bits that the engine's had, however it
//! batched them; several completions of a prompt give what each alone gives.
//! Takes: a prompt and completions of it. Gives: hidden states, and what the caller saw in the logits.
//! Never: holds the logits of more rows than fit in `LOGITS_BYTES_MAX`.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use engine::question;
use model::InferenceModel;
use ops::{CacheView, CachedSegment, KvPool, Question, candidates, host};
use protocol::Hash;
use rayon::prelude::*;

use crate::VerifyError;
use crate::checks::tokens::{TokenSeen, look, look_among};

/// Logits held at once; more rows are done in several parts.
const LOGITS_BYTES_MAX: usize = 128 << 20;
/// Rows computed in one pass: enough that reading the weights costs little beside computing, and few
/// enough that a pass's intermediate values stay within some tens of megabytes.
const PASS_ROWS_MAX: usize = 1024;
/// Tokens per block of the cache.
const BLOCK_SIZE: usize = 16;

/// The model's word on one token of one completion.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Which completion.
    pub completion: usize,
    /// Which of its tokens.
    pub index: usize,
    /// Position of the token counted from the start of the prompt, as the noise takes it.
    pub position: u32,
    /// The token that the completion has there.
    pub token: u32,
    /// Scores of all tokens, `[vocabulary]`, not divided by a temperature.
    pub logits: &'a [f32],
}

/// What was found of one completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Recomputed<T> {
    /// `[tokens, width]`: the post-norm hidden state that gave each token's logits.
    pub hidden: Vec<f32>,
    /// What `look` gave for each token.
    pub rows: Vec<T>,
}

/// Runs the model over `prompt` followed by each of `completions`, the common prompt only once, and
/// shows `look` the logits behind every completion token, on several threads, in no order.
///
/// Errors: `EmptyPrompt`, `SequenceTooLong`, `TokenOutsideVocabulary`.
pub fn prefill<T: Send>(
    model: &InferenceModel,
    prompt: &[u32],
    completions: &[&[u32]],
    look: impl Fn(Row<'_>) -> T + Sync,
) -> Result<Vec<Recomputed<T>>, VerifyError> {
    pass_over(model, prompt, completions, |hidden, wanted| {
        let logits = host::to_vec_f32(&model.logits(hidden.clone()));
        let rows = wanted.par_iter().zip(logits.par_chunks_exact(model.config().vocab_size));
        let seen = rows.map(|(wanted, logits)| look(wanted.shown(prompt.len(), logits))).collect();
        (host::to_vec_f32(hidden), seen)
    })
}

/// As [`prefill`], to score each completion's tokens at a temperature under the noise of its seed. Where the model runs on
/// a card, logits stay there but for rows that no candidate settles.
pub(crate) fn score(
    model: &InferenceModel,
    prompt: &[u32],
    completions: &[&[u32]],
    temperature: f32,
    seeds: &[Hash],
) -> Result<Vec<Recomputed<TokenSeen>>, VerifyError> {
    let look = |row: Row<'_>| look(row.logits, temperature, &seeds[row.completion], row.position, row.token);
    if candidates::whole_rows(model.device()) {
        return prefill(model, prompt, completions, look);
    }
    pass_over(model, prompt, completions, |hidden, wanted| {
        let logits = model.logits(hidden.clone());
        let asked = |(row, wanted): (usize, &Wanted)| {
            let position = wanted.position(prompt.len());
            question(row, temperature, &seeds[wanted.completion], position, wanted.token)
        };
        let questions: Vec<Question> = wanted.iter().enumerate().map(asked).collect();
        let (found, hidden) = candidates(&logits, &questions, Some(hidden));
        let rows = wanted.iter().zip(questions.iter().zip(&found)).enumerate();
        let seen = rows.map(|(at, (wanted, (question, found)))| {
            look_among(found, question).unwrap_or_else(|| {
                let whole = host::to_vec_f32(&logits.clone().narrow(0, at, 1));
                look(wanted.shown(prompt.len(), &whole))
            })
        });
        (hidden, seen.collect())
    })
}

/// Runs the model over all and hands `see` the hidden states behind some completion tokens at a time, `[rows, width]`,
/// each time as many as logits may be held of; it gives their numbers and what it saw of each row.
fn pass_over<T: Send>(
    model: &InferenceModel,
    prompt: &[u32],
    completions: &[&[u32]],
    see: impl Fn(&Tensor<2>, &[Wanted]) -> (Vec<f32>, Vec<T>) + Sync,
) -> Result<Vec<Recomputed<T>>, VerifyError> {
    check(model, prompt, completions)?;
    let parts = parts(prompt, completions);
    let blocks = parts.iter().flat_map(|part| part.blocks.iter()).max().map_or(1, |last| *last as usize + 1);
    let mut cache = model.kv_pool(blocks, BLOCK_SIZE);
    let mut found: Vec<_> = completions.iter().map(|_| Recomputed { hidden: Vec::new(), rows: Vec::new() }).collect();
    // Inside the thread pool the many short parallel parts of a pass start without waking anybody.
    rayon::scope(|_| {
        for pass in passes(&parts) {
            run(model, &mut cache, &parts, &pass, &see, &mut found);
        }
    });
    Ok(found)
}

fn check(model: &InferenceModel, prompt: &[u32], completions: &[&[u32]]) -> Result<(), VerifyError> {
    if prompt.is_empty() {
        return Err(VerifyError::EmptyPrompt);
    }
    let limit = model.config().max_positions;
    let longest = completions.iter().map(|completion| completion.len()).max().unwrap_or(0);
    let given = prompt.len().saturating_add(longest);
    if given > limit {
        return Err(VerifyError::SequenceTooLong { limit, given });
    }
    let limit = model.config().vocab_size;
    let mut tokens = prompt.iter().chain(completions.iter().copied().flatten());
    match tokens.find(|&&token| token as usize >= limit) {
        Some(&given) => Err(VerifyError::TokenOutsideVocabulary { limit, given }),
        None => Ok(()),
    }
}

/// A run of tokens that continues from cached ones: the prompt's whole blocks, or all that comes
/// after them in one completion.
struct Part {
    /// Tokens before it, in the prompt's blocks.
    past: usize,
    /// What is fed to the model.
    tokens: Vec<u32>,
    /// Blocks of everything up to its end.
    blocks: Arc<[u32]>,
    /// The completion that it belongs to, and the tokens of that completion.
    completion: Option<(usize, Vec<u32>)>,
}

/// The prompt's whole blocks first, then the rest of the prompt and the completion, for each one.
/// At least the prompt's last token is among the rest, for its row gives the first token's logits;
/// a completion's last token is fed to nobody.
fn parts(prompt: &[u32], completions: &[&[u32]]) -> Vec<Part> {
    let shared = (prompt.len() - 1) / BLOCK_SIZE;
    let (head, tail) = prompt.split_at(shared * BLOCK_SIZE);
    let common: Vec<u32> = (0..shared as u32).collect(); // positions fit in u32
    let mut next = shared as u32;
    let mut parts = Vec::with_capacity(completions.len() + 1);
    if shared > 0 && completions.iter().any(|completion| !completion.is_empty()) {
        parts.push(Part { past: 0, tokens: head.to_vec(), blocks: common.as_slice().into(), completion: None });
    }
    for (index, completion) in completions.iter().enumerate().filter(|(_, completion)| !completion.is_empty()) {
        let mut tokens = tail.to_vec();
        tokens.extend(&completion[..completion.len() - 1]);
        let own = tokens.len().div_ceil(BLOCK_SIZE) as u32;
        let blocks = common.iter().copied().chain(next..next + own).collect();
        next += own;
        parts.push(Part { past: head.len(), tokens, blocks, completion: Some((index, completion.to_vec())) });
    }
    parts
}

/// Tokens `range` of part `part`.
struct Piece {
    part: usize,
    range: Range<usize>,
}

/// Cuts all parts, in order, into passes of at most [`PASS_ROWS_MAX`] rows.
fn passes(parts: &[Part]) -> Vec<Vec<Piece>> {
    let mut passes = Vec::new();
    let mut pass = Vec::new();
    let mut room = PASS_ROWS_MAX;
    for (part, Part { tokens, .. }) in parts.iter().enumerate() {
        let mut from = 0;
        while from < tokens.len() {
            let to = tokens.len().min(from + room);
            pass.push(Piece { part, range: from..to });
            room -= to - from;
            from = to;
            if room == 0 {
                passes.push(std::mem::take(&mut pass));
                room = PASS_ROWS_MAX;
            }
        }
    }
    passes.extend((!pass.is_empty()).then_some(pass));
    passes
}

/// A row of a pass whose logits are wanted.
struct Wanted {
    row: usize,
    completion: usize,
    index: usize,
    token: u32,
}

fn run<T: Send>(
    model: &InferenceModel,
    cache: &mut KvPool,
    parts: &[Part],
    pass: &[Piece],
    see: &impl Fn(&Tensor<2>, &[Wanted]) -> (Vec<f32>, Vec<T>),
    found: &mut [Recomputed<T>],
) {
    let hidden = forward(model, cache, parts, pass);
    let wanted = wanted(parts, pass);
    if wanted.is_empty() {
        return;
    }
    let rows: Vec<i64> = wanted.iter().map(|wanted| wanted.row as i64).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [wanted.len()]), &hidden.device());
    let hidden = hidden.select(0, rows);
    let width = model.config().hidden_size;
    let rows_max = (LOGITS_BYTES_MAX / (size_of::<f32>() * model.config().vocab_size)).max(1);
    for (part, wanted) in wanted.chunks(rows_max).enumerate() {
        let (hidden, seen) = see(&hidden.clone().narrow(0, part * rows_max, wanted.len()), wanted);
        for (wanted, (hidden, seen)) in wanted.iter().zip(hidden.chunks_exact(width).zip(seen)) {
            let found = &mut found[wanted.completion];
            found.hidden.extend_from_slice(hidden);
            found.rows.push(seen);
        }
    }
}

impl Wanted {
    fn position(&self, prompt_len: usize) -> u32 {
        (prompt_len + self.index) as u32 // below the model's positions
    }

    fn shown<'a>(&self, prompt_len: usize, logits: &'a [f32]) -> Row<'a> {
        let Self { completion, index, token, .. } = *self;
        let position = self.position(prompt_len);
        Row { completion, index, position, token, logits }
    }
}

/// Hidden states `[rows of the pass, width]`.
fn forward(model: &InferenceModel, cache: &mut KvPool, parts: &[Part], pass: &[Piece]) -> Tensor<2> {
    let mut tokens: Vec<u32> = Vec::new();
    let mut positions: Vec<u32> = Vec::new();
    let mut segments = Vec::with_capacity(pass.len());
    for Piece { part, range } in pass {
        let part = &parts[*part];
        let past = part.past + range.start;
        let first = tokens.len();
        tokens.extend(&part.tokens[range.clone()]);
        positions.extend((past..past + range.len()).map(|position| position as u32)); // as above
        segments.push(CachedSegment { rows: first..tokens.len(), past, blocks: part.blocks.clone() });
    }
    model.hidden_cached(&tokens.into(), &positions.into(), cache, &CacheView { segments })
}

fn wanted(parts: &[Part], pass: &[Piece]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let mut first = 0;
    for Piece { part, range } in pass {
        let Part { tokens, completion, .. } = &parts[*part];
        if let Some((completion, ids)) = completion {
            // The part's last rows, one for each token of the completion.
            let start = tokens.len() - ids.len();
            for at in range.start.max(start)..range.end {
                let index = at - start;
                wanted.push(Wanted {
                    row: first + at - range.start,
                    completion: *completion,
                    index,
                    token: ids[index],
                });
            }
        }
        first += range.len();
    }
    wanted
}
