//! Texts to token ids and back, and chats to texts.
//!
//! Promise: the ids that transformers' fast tokenizer gives for the same folder; the files of the
//! folder are kept byte for byte and written again unchanged.

mod characters;
mod chat;
mod special;
mod turn;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    config::{ModelConfig, token_ids},
    error::{ModelError, Result},
    folder,
};

pub use characters::{CHARACTERS_MAX, EOS_TOKEN, PAD_TOKEN};
pub use chat::{ChatArgs, Message};
pub use turn::SystemRole;

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const MORE_CHAT_TEMPLATES: &str = "additional_chat_templates";
const GENERATION_CONFIG: &str = "generation_config.json";
/// Everything beside config.json, weights and further chat templates that transformers reads from a folder.
const FILES: [&str; 6] =
    [TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS, CHAT_TEMPLATE, GENERATION_CONFIG];
/// Largest of these files, in bytes. Gemma's tokenizer.json, the largest known, has 33 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most further chat templates that are read.
const MORE_TEMPLATES_MAX: usize = 64;
/// Characters of a text that an error message quotes.
const QUOTED_CHARACTERS: usize = 60;

/// A tokenizer with its special tokens and chat template. Cheap to share behind an `Arc`.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// By their paths in the folder.
    files: BTreeMap<String, Vec<u8>>,
    special: BTreeMap<String, String>,
    eos_ids: Vec<u32>,
    max_id: u32,
    /// Rows of the model's embedding, once a model is known.
    rows: Option<usize>,
    cleans_up: bool,
    chat: Option<chat::Chat>,
    turn: turn::Turn,
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("max_id", &self.max_id)
            .field("eos_ids", &self.eos_ids)
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a Hugging Face folder, and what is there of `tokenizer_config.json`,
    /// `special_tokens_map.json`, `added_tokens.json`, `chat_template.jinja`, `additional_chat_templates`,
    /// `generation_config.json` and `config.json`.
    ///
    /// Errors: `MissingFile`, `Malformed`, `FileTooLarge`, `Io`, `ConfigField`, `Unsupported`.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in FILES.map(str::to_owned).into_iter().chain(more_templates(folder)?) {
            if let Some(bytes) = folder::read_bounded(&folder.join(&name), FILE_BYTES_MAX)? {
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
        let files = [(TOKENIZER, text(tokenizer)), (TOKENIZER_CONFIG, text(settings))];
        Self::from_files(files.map(|(name, bytes)| (name.to_owned(), bytes)).into(), None, place)
    }

    fn from_files(files: BTreeMap<String, Vec<u8>>, config: Option<&[u8]>, folder: &Path) -> Result<Self> {
        let object =
            |name: &str| json_object::<Map<String, Value>>(files.get(name).map(Vec::as_slice), folder.join(name));
        let bytes = files
            .get(TOKENIZER)
            .ok_or_else(|| ModelError::MissingFile { folder: folder.into(), looked_for: TOKENIZER.into() })?;
        let settings = object(TOKENIZER_CONFIG)?;
        let config = json_object::<Map<String, Value>>(config, folder.join("config.json"))?;
        refuse_other_files(&settings)?;
        let path = folder.join(TOKENIZER);
        let tokenizer = json(bytes, &path)?;
        let class = special::class_of(&tokenizer, &settings, &config);
        let padding = tokenizer["padding"]["pad_token"].as_str().map(str::to_owned);
        let mut inner = open(special::of_class(&class, tokenizer, &settings), &path)?;
        let keys = |name: &str| json_object::<special::Keys>(files.get(name).map(Vec::as_slice), folder.join(name));
        let order = [keys(TOKENIZER_CONFIG)?.0, keys(SPECIAL_TOKENS_MAP)?.0].concat();
        let special::Special { named, to_add } = special::Special::of(&special::Sources {
            settings: &settings,
            map: &object(SPECIAL_TOKENS_MAP)?,
            added: &object(ADDED_TOKENS)?,
            order: &order,
            class: &class,
            padding: padding.as_deref(),
        });
        inner.add_tokens(to_add).map_err(malformed(&path))?;
        let flag = |name: &str| settings.get(name).and_then(Value::as_bool).unwrap_or(false);
        inner.set_encode_special_tokens(flag("split_special_tokens"));
        let mut eos_ids = token_ids(object(GENERATION_CONFIG)?.get("eos_token_id"), "eos_token_id")?;
        eos_ids.extend(token_ids(config.get("eos_token_id"), "eos_token_id")?);
        eos_ids.extend(named.get("eos_token").and_then(|token| inner.token_to_id(token)));
        let max_id = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let is_bpe = matches!(inner.get_model(), tokenizers::ModelWrapper::BPE(_));
        let forced = flag("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output");
        let cleans_up = flag("clean_up_tokenization_spaces") && (!is_bpe || forced);
        let chat = chat::Chat::of(&files, &settings, folder)?;
        let (eos_ids, turn) = (distinct(eos_ids), turn::Turn::default());
        let mut made = Self { inner, special: named, eos_ids, max_id, rows: None, cleans_up, chat, turn, files };
        made.turn = turn::Turn::of(&made);
        Ok(made)
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
        let ids = encoding.get_ids().to_vec();
        ids.iter().try_for_each(|id| self.check_id(*id))?;
        Ok(ids)
    }

    /// Refuses an id that the model has no embedding for.
    fn check_id(&self, id: u32) -> Result<()> {
        match self.rows {
            Some(rows) if id as usize >= rows => {
                let token = self.inner.id_to_token(id).unwrap_or_default();
                Err(ModelError::TokenOutsideModel { token, id, vocab_size: rows })
            }
            _ => Ok(()),
        }
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
        let text =
            self.inner.decode(ids, skip_special).map_err(|error| ModelError::Decode { reason: error.to_string() })?;
        Ok(if self.cleans_up { cleaned_up(text) } else { text })
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

    /// The id of an added token, special or not, given as its text.
    pub fn added_id(&self, token: &str) -> Option<u32> {
        let id = self.inner.token_to_id(token)?;
        self.inner.get_added_tokens_decoder().contains_key(&id).then_some(id)
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.max_id as usize + 1
    }

    /// Ties the tokenizer to a model: from here on a text is refused whose ids the model has no embedding for. A
    /// model may have more rows than there are ids (many are padded), or none for some added tokens.
    ///
    /// Errors: `TokenizerMismatch`.
    pub fn for_model(mut self, config: &ModelConfig) -> Result<Self> {
        self.check_fits(config)?;
        self.rows = Some(config.vocab_size);
        self.eos_ids.extend(&config.eos_ids);
        self.eos_ids = distinct(self.eos_ids);
        self.eos_ids.retain(|id| (*id as usize) < config.vocab_size);
        self.turn = turn::Turn::of(&self);
        Ok(self)
    }

    /// Checks that the model has an embedding for every token of the vocabulary; added tokens may have none.
    ///
    /// Errors: `TokenizerMismatch`.
    pub(crate) fn check_fits(&self, config: &ModelConfig) -> Result<()> {
        let most = self.inner.get_vocab(false).into_values().max().unwrap_or(0);
        if most as usize >= config.vocab_size {
            return Err(ModelError::TokenizerMismatch { tokenizer_max: most, vocab_size: config.vocab_size });
        }
        Ok(())
    }

    /// Writes the files it came from into a folder that is being made.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        if self.files.keys().any(|name| name.starts_with(MORE_CHAT_TEMPLATES)) {
            let inner = folder.join(MORE_CHAT_TEMPLATES);
            fs::create_dir(&inner).map_err(ModelError::io(&inner))?;
        }
        self.files.iter().try_for_each(|(name, bytes)| folder::write_synced(&folder.join(name), bytes))
    }
}

/// The names of further chat templates in a folder, in order.
fn more_templates(folder: &Path) -> Result<Vec<String>> {
    let inner = folder.join(MORE_CHAT_TEMPLATES);
    let entries = match fs::read_dir(&inner) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ModelError::io(&inner)(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(ModelError::io(&inner))?.file_name();
        names.extend(name.to_str().filter(|name| name.ends_with(".jinja")).map(str::to_owned));
        if names.len() > MORE_TEMPLATES_MAX {
            let reason = format!("more than {MORE_TEMPLATES_MAX} templates");
            return Err(ModelError::Malformed { path: inner, expected: "a folder of chat templates", reason });
        }
    }
    Ok(names.into_iter().map(|name| format!("{MORE_CHAT_TEMPLATES}/{name}")).collect())
}

/// transformers takes another file where this list names one of its version.
fn refuse_other_files(settings: &Map<String, Value>) -> Result<()> {
    match settings.get("fast_tokenizer_files") {
        Some(Value::Array(files)) if files.iter().any(|file| *file != TOKENIZER) => Err(ModelError::Unsupported {
            field: "fast_tokenizer_files".into(),
            given: Value::Array(files.clone()).to_string(),
            feature: "a tokenizer file chosen by the version of transformers",
        }),
        _ => Ok(()),
    }
}

fn malformed(path: &Path) -> impl Fn(tokenizers::Error) -> ModelError {
    move |error| ModelError::Malformed { path: path.into(), expected: "a tokenizer", reason: error.to_string() }
}

/// The tokenizer without the cutting and padding that its file may ask for; transformers, too,
/// leaves these to the caller.
fn open(value: Value, path: &Path) -> Result<tokenizers::Tokenizer> {
    let bytes = serde_json::to_vec(&value).map_err(|error| malformed(path)(error.into()))?;
    let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(malformed(path))?;
    inner.with_truncation(None).map_err(malformed(path))?;
    inner.with_padding(None);
    Ok(inner)
}

fn json(bytes: &[u8], path: &Path) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| malformed(path)(error.into()))
}

/// A token's text: given as such, or as an object with a `content`.
fn text_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// Source: `clean_up_tokenization` of transformers.
fn cleaned_up(text: String) -> String {
    const PAIRS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    PAIRS.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

fn json_object<T: DeserializeOwned + Default>(bytes: Option<&[u8]>, path: PathBuf) -> Result<T> {
    let Some(bytes) = bytes else {
        return Ok(T::default());
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
