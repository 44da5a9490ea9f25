//! Prompts in, completions out: what `generate` and `chat` have in common.
//!
//! Promise: a prompt that cannot be answered is refused by name before anything is computed; the
//! noise of a completion comes from `--seed`, the prompt's number and the sample's number alone.
//! Never: knows tasks or run files.

use crate::cli::{ComputeArgs, DtypeWord, SamplingArgs};
use crate::config::{ConfigError, EngineSection, Fault, FaultKind};
use crate::run::{chat, setup};
use anyhow::Result;
use engine::{Detokenize, Engine, EngineConfig, Sampling};
use model::{InferenceModel, ModelConfig, Opened, Tokenizer, WeightDtype};
use ops::{DeviceError, DeviceSpec};
use protocol::{BeaconPoint, Domain, RunSeed, rollout_seed};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most memory that the key/value cache takes.
const CACHE_BYTES_MAX: usize = 2 << 30;
/// Characters without a token that a message lists.
const CHARACTERS_LISTED: usize = 10;

/// Why a prompt was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PromptError {
    /// It has no token.
    #[error("prompt {number} is empty")]
    Empty {
        /// Which prompt, from 1.
        number: u64,
    },
    /// The tokenizer cannot write it.
    #[error("prompt {number}: the model's tokenizer has no token for {characters}")]
    UnknownCharacters {
        /// Which prompt, from 1.
        number: u64,
        /// The characters, quoted.
        characters: String,
    },
    /// It leaves no room for an answer.
    #[error("prompt {number} has {given} tokens; limit {limit}, so that one more fits the context")]
    TooLong {
        /// Which prompt, from 1.
        number: u64,
        /// Most tokens.
        limit: usize,
        /// Tokens in the prompt.
        given: usize,
    },
}

/// Everything about a model but its weights, and how it is asked.
pub(crate) struct Completer {
    config: Arc<ModelConfig>,
    tokenizer: Arc<Tokenizer>,
    run_seed: RunSeed,
    sampling: Sampling,
}

impl Completer {
    /// Loads a folder, or a model of the hub, onto a device (the CPU if none is named).
    pub(crate) fn open(
        name: &str,
        device: Option<&str>,
        args: &SamplingArgs,
        compute: &ComputeArgs,
    ) -> Result<(Self, InferenceModel)> {
        setup::use_threads(compute.threads.map(usize::from));
        let device = device_named(device.unwrap_or("cpu"))?.open()?;
        let Opened { model, tokenizer, .. } = setup::open_named(name)?;
        let dtype = match compute.dtype {
            DtypeWord::F32 => WeightDtype::F32,
            DtypeWord::Bf16 => WeightDtype::Bf16,
        };
        let model = model.inference(dtype, &device)?;
        let date = Some(args.template_date.unwrap_or_else(chat::today)); // it may ask for it in some branch alone
        let tokenizer = tokenizer.with_chat_args(model::ChatArgs { names: args.template_arg.clone(), date });
        // A stop string that is a token ends a completion as that token; its text is cut off all the same.
        let stop_tokens = args.stop.iter().filter_map(|stop| tokenizer.added_id(stop));
        let sampling = Sampling {
            temperature: args.temperature,
            top_p: args.top_p,
            top_k: args.top_k,
            stop_tokens: tokenizer.stop_ids().iter().copied().chain(stop_tokens).collect(),
            stop_strings: args.stop.clone(),
            ..Sampling::new(args.max_new_tokens as usize)
        };
        let completer = Self {
            config: model.config().clone(),
            tokenizer: Arc::new(tokenizer),
            run_seed: protocol::run_seed(args.seed),
            sampling,
        };
        Ok((completer, model))
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(crate) fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The longest sequence, prompt and completion together: what the model takes and the cache holds.
    pub(crate) fn context_max(&self) -> usize {
        let held = CACHE_BYTES_MAX / token_bytes(&self.config);
        self.config.max_positions.min(held)
    }

    /// Seed of sample `sample` of prompt `number`.
    pub(crate) fn seed(&self, number: u64, sample: u32) -> [u8; 32] {
        rollout_seed(Domain::Generate.as_str(), &self.run_seed, &BeaconPoint::NONE, 0, 0, number, sample)
    }

    /// Token ids of prompt `number`. A text made by a chat template brings its own beginning token.
    pub(crate) fn encode(&self, number: u64, text: &str, from_template: bool) -> Result<Vec<u32>> {
        let encoded = if from_template { self.tokenizer.encode_bare(text) } else { self.tokenizer.encode(text) };
        let tokens = encoded.map_err(|error| match self.unknown_characters(text) {
            Some(characters) => PromptError::UnknownCharacters { number, characters }.into(),
            None => anyhow::Error::from(error),
        })?;
        let (given, limit) = (tokens.len(), self.context_max().saturating_sub(1));
        match given {
            0 => Err(PromptError::Empty { number }.into()),
            _ if given > limit => Err(PromptError::TooLong { number, limit, given }.into()),
            _ => Ok(tokens),
        }
    }

    /// The characters that have no token even alone, as a list for a message.
    fn unknown_characters(&self, text: &str) -> Option<String> {
        let distinct: BTreeSet<char> = text.chars().collect();
        let has_no_token = |c: &char| self.tokenizer.encode_bare(c.encode_utf8(&mut [0; 4])).is_err();
        let unknown = distinct.into_iter().filter(has_no_token);
        let listed: Vec<String> = unknown.take(CHARACTERS_LISTED).map(|c| format!("{c:?}")).collect();
        (!listed.is_empty()).then(|| listed.join(" "))
    }

    /// What a person should know before a chat.
    pub(crate) fn chat_notes(&self, has_system: bool) -> Vec<String> {
        let system = has_system.then(|| chat::system_note(&self.tokenizer)).flatten();
        [chat::turn_note(&self.tokenizer), chat::date_note(&self.tokenizer), system].into_iter().flatten().collect()
    }

    /// The text of a completion, without special tokens and without the stop string that ended it.
    pub(crate) fn text(&self, completion: &[u32]) -> Result<String> {
        Ok(self.visible(completion)?.0)
    }

    /// The same, and whether a stop string ended it. Stop strings are looked for with and without special tokens.
    pub(crate) fn visible(&self, completion: &[u32]) -> Result<(String, bool)> {
        let stops = &self.sampling.stop_strings;
        let text = self.tokenizer.decode(completion)?;
        let shown = before_stop(&text, stops);
        if shown.len() < text.len() {
            return Ok((shown.to_owned(), true));
        }
        let whole = self.tokenizer.decode_all(completion)?;
        let end = before_stop(&whole, stops).len();
        if end == whole.len() {
            return Ok((text, false));
        }
        // The tokens that lie before the stop string, and what the next one has before it.
        let mut before = (0, 0);
        for count in 1..=completion.len() {
            let length = self.tokenizer.decode_all(&completion[..count])?.len();
            if length > end {
                break;
            }
            before = (count, length);
        }
        let (count, length) = before;
        let rest = whole.get(length..end).unwrap_or_default();
        Ok((self.tokenizer.decode(&completion[..count])? + rest, true))
    }

    /// An engine with room for `sequences` at once, the longest of `length` tokens.
    pub(crate) fn engine(&self, model: InferenceModel, sequences: usize, length: usize) -> Result<Engine> {
        let section = EngineSection::default();
        let length = length.clamp(1, self.context_max());
        let running = sequences.clamp(1, section.running_max);
        let one = length.div_ceil(section.block_size);
        let affordable = CACHE_BYTES_MAX / token_bytes(&self.config) / section.block_size;
        let sizes = EngineConfig {
            kv_blocks: (running * one).min(affordable).max(one),
            block_size: section.block_size,
            max_running: running,
            prefill_chunk_tokens: section.prefill_chunk_tokens,
            max_context: length,
        };
        let tokenizer = self.tokenizer.clone();
        let detokenize: Arc<Detokenize> = Arc::new(move |tokens: &[u32]| {
            [tokenizer.decode(tokens), tokenizer.decode_all(tokens)].map(Result::unwrap_or_default).into()
        });
        Ok(Engine::new(model, 0, sizes, Some(detokenize))?)
    }
}

/// The device, or the option at fault.
fn device_named(name: &str) -> Result<DeviceSpec, ConfigError> {
    name.parse().map_err(|error: DeviceError| ConfigError::Fault {
        layer: Some("--device".to_owned()),
        fault: Fault { path: Vec::new(), kind: FaultKind::Other(error.to_string()) },
    })
}

/// Memory of one token's keys and values in all layers, at least 1.
fn token_bytes(model: &ModelConfig) -> usize {
    (model.key_value_width() * model.layers * 2 * size_of::<f32>()).max(1)
}

/// The text up to the first stop string in it.
pub(crate) fn before_stop<'a>(text: &'a str, stops: &[String]) -> &'a str {
    let first = stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
    first.map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_before_the_first_of_several_stop_strings() {
        let stops = ["\n".to_owned(), "END".to_owned()];
        assert_eq!(before_stop("one END two\n", &stops), "one ");
        assert_eq!(before_stop("one\ntwo END", &stops), "one");
        assert_eq!(before_stop("one", &stops), "one");
        assert_eq!(before_stop("one", &[]), "one");
    }
}
