//! Everything that can go wrong with a model folder, a configuration or a text, by name.
//!
//! Promise: each variant names the file or field, the limit and the value seen.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

/// What is wrong with a model folder, a configuration, a text or the hub.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("{folder} holds none of: {looked_for}")]
    MissingFile {
        /// The folder looked into.
        folder: PathBuf,
        /// The accepted file names.
        looked_for: String,
    },
    /// A folder holds weights in another form than those that are read.
    #[error("{folder} holds none of: {looked_for}. It holds {found}: {advice}")]
    OtherWeights {
        /// The folder looked into.
        folder: PathBuf,
        /// The accepted file names.
        looked_for: String,
        /// The file that is there instead.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// An adapter lies beside the weights of a whole model, and only one of the two can be meant.
    #[error(
        "{folder} holds {found} beside the weights of a whole model: merge it into its base model and save that, or \
         take it out of the folder"
    )]
    AdapterBeside {
        /// The folder.
        folder: PathBuf,
        /// The adapter's file.
        found: String,
    },
    /// Git put a pointer where the file should be.
    #[error(
        "{path} is a Git LFS pointer and not the file itself: run `git lfs install` and `git lfs pull` in its folder"
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A file is longer than this program reads.
    #[error("{path} has {given} bytes, more than the limit of {limit}")]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes allowed.
        limit: u64,
        /// Bytes seen.
        given: u64,
    },
    /// A file is shorter (or longer) than its own header says: a broken download or copy.
    #[error("{path} should have {expected} bytes by its own header, but has {given}")]
    WrongFileLength {
        /// The file.
        path: PathBuf,
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes on disk.
        given: u64,
    },
    /// A file is not what its name says.
    #[error("{path} cannot be read as {expected}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format expected.
        expected: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A configuration field is absent, of the wrong type or out of range.
    #[error("configuration field `{field}`: expected {expected}, found {given}")]
    ConfigField {
        /// The field of config.json.
        field: String,
        /// What is accepted, with limits.
        expected: String,
        /// What was there.
        given: String,
    },
    /// The architecture is none of those this program knows.
    #[error("architecture {given} is not supported; supported: {supported}")]
    UnknownArchitecture {
        /// `architectures` and `model_type` as found.
        given: String,
        /// Those this program can run.
        supported: &'static str,
    },
    /// A feature of a known architecture that this program would compute wrongly.
    #[error("configuration field `{field}` = {given} asks for {feature}, which is not supported")]
    Unsupported {
        /// The field of config.json.
        field: String,
        /// What it is set to.
        given: String,
        /// The feature in words.
        feature: &'static str,
    },
    /// A tensor that the configuration asks for is in none of the weight files.
    #[error("tensor {tensor} is missing from {place}")]
    MissingTensor {
        /// Its Hugging Face name.
        tensor: String,
        /// The file or folder searched.
        place: PathBuf,
    },
    /// The weight files hold a tensor that the configuration does not ask for.
    #[error("{path} holds tensor {tensor}, which this configuration has no place for ({count} such in all)")]
    UnexpectedTensor {
        /// The file.
        path: PathBuf,
        /// The first such tensor by name.
        tensor: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("{path}: tensor {tensor} has shape {given:?}, but the configuration asks for {expected:?}")]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        given: Vec<usize>,
    },
    /// A tensor is stored in a number format that is not read.
    #[error("{path}: tensor {tensor} is stored as {given}; {read} are read")]
    WrongDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The format in the file.
        given: String,
        /// Those that are read.
        read: &'static str,
    },
    /// The shard index names a file outside its folder.
    #[error("{path}: shard name {given:?} is not a plain file name")]
    ShardName {
        /// The index file.
        path: PathBuf,
        /// The name found.
        given: String,
    },
    /// The tokenizer's vocabulary, without added tokens, is larger than the model's: it belongs to another model.
    #[error("the tokenizer's vocabulary has ids up to {tokenizer_max}, but the model's vocab_size is {vocab_size}")]
    TokenizerMismatch {
        /// Largest id of the vocabulary.
        tokenizer_max: u32,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// A text needs a token that the model has no embedding for.
    #[error("token {token:?} has the id {id}, but the model's embedding has {vocab_size} rows")]
    TokenOutsideModel {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// Nothing ends an assistant's turn.
    #[error("neither the chat template nor a configuration names a token that ends a turn")]
    NoEnd,
    /// A host copy of weights does not fit the configuration.
    #[error("snapshot tensor {tensor} has {given} numbers, but the configuration asks for {expected}")]
    WrongSnapshot {
        /// The tensor.
        tensor: String,
        /// Numbers by the configuration.
        expected: usize,
        /// Numbers given.
        given: usize,
    },
    /// The folder to save into is there already and holds something.
    #[error("{path} exists already and is not an empty folder")]
    TargetExists {
        /// The folder.
        path: PathBuf,
    },
    /// A text cannot be turned into tokens.
    #[error("cannot tokenize: {reason}; the text begins {text:?}")]
    Encode {
        /// What the tokenizer said.
        reason: String,
        /// First characters of the text.
        text: String,
    },
    /// Token ids cannot be turned into text.
    #[error("cannot turn token ids into text: {reason}")]
    Decode {
        /// What the tokenizer said.
        reason: String,
    },
    /// A character tokenizer cannot be built from this alphabet.
    #[error("character tokenizer: {count} distinct characters given, between 1 and {limit} accepted")]
    Alphabet {
        /// Distinct characters allowed.
        limit: usize,
        /// Distinct characters given.
        count: usize,
    },
    /// The model folder has no chat template.
    #[error("this tokenizer has no chat template")]
    NoChatTemplate,
    /// The chat template is broken, or refused the messages.
    #[error("chat template: {reason}")]
    ChatTemplate {
        /// What the template engine, or the template's own raise_exception, said.
        reason: String,
        /// The engine's fault, if it ran.
        fault: Option<jinja::Fault>,
    },
    /// A hub name is not `owner/name` or `owner/name@revision`.
    #[error(
        "{given:?} is not a hub name: expected owner/name or owner/name@revision in letters, digits and -_. ({limit} characters at most)"
    )]
    HubName {
        /// The name given.
        given: String,
        /// Longest name accepted.
        limit: usize,
    },
    /// The hub could not be reached, or refused.
    #[error("hub: cannot fetch {file} of {name}: {reason}")]
    Hub {
        /// The model's hub name.
        name: String,
        /// The file wanted.
        file: String,
        /// What the client said.
        reason: String,
    },
}

impl ModelError {
    /// Wraps a system error with its path; for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
