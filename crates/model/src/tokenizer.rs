//! Texts to token ids and back, and chats to texts.
//!
//! Promise: the ids that transformers' fast tokenizer gives for the same folder; the files of the
//! folder are kept byte for byte and written again unchanged.

mod characters;
mod chat;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    config::{ModelConfig, token_ids},
    error::{ModelError, Result},
    folder,
};

pub use characters::{CHARACTERS_MAX, EOS_TOKEN, PAD_TOKEN};
pub use chat::Message;

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const GENERATION_CONFIG: &str = "generation_config.json";
/// Everything beside config.json and weights that transformers reads from a folder.
const FILES: [&str; 5] = [TOKENIZER, TOKENIZER_CONFIG, "special_tokens_map.json", CHAT_TEMPLATE, GENERATION_CONFIG];
/// Largest of these files, in bytes. Gemma's tokenizer.json, the largest known, has 33 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Characters of a text that an error message quotes.
const QUOTED_CHARACTERS: usize = 60;

/// A tokenizer with its special tokens and chat template. Cheap to share behind an `Arc`.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    files: BTreeMap<&'static str, Vec<u8>>,
    special: BTreeMap<String, String>,
    eos_ids: Vec<u32>,
    max_id: u32,
    chat_template: Option<String>,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("max_id", &self.max_id)
            .field("eos_ids", &self.eos_ids)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a Hugging Face folder, and what is there of `tokenizer_config.json`,
    /// `special_tokens_map.json`, `chat_template.jinja`, `generation_config.json` and `config.json`.
    ///
    /// Errors: `MissingFile`, `Malformed`, `FileTooLarge`, `Io`, `ConfigField`.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in FILES {
            if let Some(bytes) = folder::read_bounded(&folder.join(name), FILE_BYTES_MAX)? {
                files.insert(name, bytes);
            }
        }
        let config = folder::read_bounded(&folder.join("config.json"), FILE_BYTES_MAX)?;
        Self::from_files(files, config.as_deref(), folder)
    }

    /// A tokenizer with one token per character of `alphabet`, for small models on small tasks.
    /// Id 0 is [`PAD_TOKEN`], id 1 is [`EOS_TOKEN`], then the characters by code point.
    /// A text with any other character cannot be encoded.
    ///
    /// Errors: `Alphabet` if it is empty or has more than [`CHARACTERS_MAX`] distinct characters.
    pub fn characters(alphabet: &str) -> Result<Self> {
        let (tokenizer, settings) = characters::files(alphabet)?;
        Self::from_json(&tokenizer, &settings, Path::new("(character tokenizer)"))
    }

    /// A tokenizer that came from no folder: what `tokenizer.json` and `tokenizer_config.json` (special tokens,
    /// `chat_template`) would hold. Saving writes these two files. `place` names the source in errors.
    ///
    /// Errors: those of [`Self::load`].
    pub(crate) fn from_json(tokenizer: &Value, settings: &Value, place: &Path) -> Result<Self> {
        let text = |value: &Value| format!("{value:#}\n").into_bytes();
        let files = BTreeMap::from([(TOKENIZER, text(tokenizer)), (TOKENIZER_CONFIG, text(settings))]);
        Self::from_files(files, None, place)
    }

    fn from_files(files: BTreeMap<&'static str, Vec<u8>>, config: Option<&[u8]>, folder: &Path) -> Result<Self> {
        let bytes = files
            .get(TOKENIZER)
            .ok_or_else(|| ModelError::MissingFile { folder: folder.into(), looked_for: TOKENIZER.into() })?;
        let inner = open(bytes, &folder.join(TOKENIZER))?;
        let object = |name: &'static str| json_object(files.get(name).map(Vec::as_slice), folder.join(name));
        let settings = object(TOKENIZER_CONFIG)?;
        let special = special_tokens(&settings);
        let mut eos_ids = token_ids(object(GENERATION_CONFIG)?.get("eos_token_id"), "eos_token_id")?;
        let config = json_object(config, folder.join("config.json"))?;
        eos_ids.extend(token_ids(config.get("eos_token_id"), "eos_token_id")?);
        eos_ids.extend(special.get("eos_token").and_then(|token| inner.token_to_id(token)));
        let max_id = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let chat_template = match files.get(CHAT_TEMPLATE) {
            Some(bytes) => Some(utf8(bytes, &folder.join(CHAT_TEMPLATE))?),
            None => chat::template_of(&settings),
        };
        Ok(Self { eos_ids: distinct(eos_ids), inner, special, max_id, chat_template, files })
    }

    /// Token ids of a text, with whatever the tokenizer adds itself (for Llama: the beginning token).
    /// Special tokens written out in the text become their ids.
    ///
    /// Errors: `Encode` if a character has no token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(text, true)
    }

    /// Token ids of a text and nothing else: for the parts of a prompt, and for chats, whose template
    /// writes the beginning token itself.
    ///
    /// Errors: `Encode` if a character has no token.
    pub fn encode_bare(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(text, false)
    }

    fn encode_with(&self, text: &str, additions: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, additions).map_err(|error| ModelError::Encode {
            reason: error.to_string(),
            text: text.chars().take(QUOTED_CHARACTERS).collect(),
        })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of token ids, special tokens left out.
    ///
    /// Errors: `Decode`. Ids that the tokenizer does not have are left out, as transformers does.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.decode_with(ids, true)
    }

    /// The text of token ids, special tokens written out.
    ///
    /// Errors: `Decode`.
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.decode_with(ids, false)
    }

    fn decode_with(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(|error| ModelError::Decode { reason: error.to_string() })
    }

    /// The text of a chat by the folder's template; `add_generation_prompt` opens the assistant's turn.
    /// The template gets the messages and the special tokens, but no clock, so that the same chat
    /// always gives the same text.
    ///
    /// Errors: `NoChatTemplate`, `ChatTemplate` (broken, too long at work, or it refused the messages).
    pub fn apply_chat_template(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let template = self.chat_template.as_deref().ok_or(ModelError::NoChatTemplate)?;
        chat::render(template, messages, add_generation_prompt, &self.special)
    }

    /// Whether the folder has a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.chat_template.is_some()
    }

    /// Ids that end a text: those of generation_config.json, config.json and the tokenizer's own.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    /// The id that fills up batches, if the tokenizer names one.
    pub fn pad_id(&self) -> Option<u32> {
        self.special.get("pad_token").and_then(|token| self.inner.token_to_id(token))
    }

    /// The id of a token given as its text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.max_id as usize + 1
    }

    /// Checks that the model has an embedding for every id. A model may have more rows than ids:
    /// many are padded.
    ///
    /// Errors: `TokenizerMismatch`.
    pub fn check_fits(&self, config: &ModelConfig) -> Result<()> {
        let most = self.eos_ids.iter().fold(self.max_id, |most, id| most.max(*id));
        if most as usize >= config.vocab_size {
            return Err(ModelError::TokenizerMismatch { tokenizer_max: most, vocab_size: config.vocab_size });
        }
        Ok(())
    }

    /// Writes the files it came from into a folder that is being made.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        self.files.iter().try_for_each(|(name, bytes)| folder::write_synced(&folder.join(name), bytes))
    }
}

/// The tokenizer without the cutting and padding that its file may ask for; transformers, too,
/// leaves these to the caller.
fn open(bytes: &[u8], path: &Path) -> Result<tokenizers::Tokenizer> {
    let malformed = |error: tokenizers::Error| ModelError::Malformed {
        path: path.into(),
        expected: "a tokenizer",
        reason: error.to_string(),
    };
    let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(malformed)?;
    inner.with_truncation(None).map_err(malformed)?;
    inner.with_padding(None);
    Ok(inner)
}

/// `eos_token` and its like: texts, or objects with a `content`.
fn special_tokens(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    let named = settings.iter().filter(|(name, _)| name.ends_with("_token"));
    let text = |value: &Value| value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned);
    named.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn json_object(bytes: Option<&[u8]>, path: PathBuf) -> Result<Map<String, Value>> {
    let Some(bytes) = bytes else {
        return Ok(Map::new());
    };
    serde_json::from_slice(bytes).map_err(|error| ModelError::Malformed {
        path,
        expected: "a JSON object",
        reason: error.to_string(),
    })
}

fn utf8(bytes: &[u8], path: &Path) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| ModelError::Malformed {
        path: path.into(),
        expected: "UTF-8 text",
        reason: error.to_string(),
    })
}

/// Each id once, in order of first appearance.
fn distinct(ids: Vec<u32>) -> Vec<u32> {
    let mut kept = Vec::new();
    for id in ids {
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    kept
}
