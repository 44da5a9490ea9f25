//! What loading passed over or chose, and a person should know.

use std::{fmt, path::PathBuf};

/// Something about the files of a model that is no error, but not as one would expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// All names begin with something more than usual.
    Prefix {
        /// What was taken off.
        prefix: String,
    },
    /// A head beside the language model's: a value or reward head.
    OtherHead {
        /// The file.
        path: PathBuf,
        /// The first such tensor by name.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// The head is said to be tied to the embedding, but the file holds another one.
    TiedHeadDiffers {
        /// The file with the head.
        path: PathBuf,
    },
    /// Rotary scaling that would only begin beyond the context.
    DynamicRope {
        /// The longest sequence, in tokens.
        positions: usize,
    },
    /// Metadata of a GGUF file that is not known here and may ask for something.
    UnknownKeys {
        /// The keys.
        keys: Vec<String>,
    },
    /// A GGUF file that does not say how texts are split before they are merged to tokens.
    NoSplittingRule,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Prefix { prefix } => write!(f, "the names of the weights begin with {prefix:?}, which is left out"),
            Self::OtherHead { path, first, count } => write!(
                f,
                "{}: {first} is no part of a language model and is passed over ({count} such in all)",
                path.display()
            ),
            Self::TiedHeadDiffers { path } => write!(
                f,
                "{}: tie_word_embeddings is true, but lm_head.weight differs from the embedding; the two are kept apart",
                path.display()
            ),
            Self::DynamicRope { positions } => write!(
                f,
                "dynamic rotary scaling begins beyond the {positions} tokens of max_position_embeddings; longer \
                 sequences are refused"
            ),
            Self::UnknownKeys { keys } => {
                write!(
                    f,
                    "the file's metadata has keys that are not known here and are passed over: {}",
                    keys.join(", ")
                )
            }
            Self::NoSplittingRule => f.write_str(
                "the file does not name the splitting rule of its tokenizer (tokenizer.ggml.pre); GPT-2's is taken, \
                 as transformers does",
            ),
        }
    }
}
