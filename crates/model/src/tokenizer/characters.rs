//! The files of a tokenizer with one token per character.
//!
//! Promise: the files are ordinary ones, which transformers' AutoTokenizer loads with the same ids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{TOKENIZER, TOKENIZER_CONFIG};
use crate::error::{ModelError, Result};

/// The token that fills up batches; id 0.
pub const PAD_TOKEN: &str = "<pad>";
/// The token that ends a text; id 1.
pub const EOS_TOKEN: &str = "<eos>";
/// Most distinct characters that a character tokenizer takes.
pub const CHARACTERS_MAX: usize = 1 << 16;

pub(super) fn files(alphabet: &str) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let characters: BTreeSet<char> = alphabet.chars().collect();
    if characters.is_empty() || characters.len() > CHARACTERS_MAX {
        return Err(ModelError::Alphabet {
            limit: CHARACTERS_MAX,
            count: characters.len(),
        });
    }
    Ok(BTreeMap::from([
        (
            TOKENIZER,
            format!("{:#}\n", tokenizer(&characters)).into_bytes(),
        ),
        (TOKENIZER_CONFIG, format!("{:#}\n", settings()).into_bytes()),
    ]))
}

/// Splitting before every character, looking each up whole, and gluing without spaces.
/// The name of the unknown token is no token, so that an unknown character is an error.
fn tokenizer(characters: &BTreeSet<char>) -> Value {
    let tokens = [PAD_TOKEN, EOS_TOKEN]
        .map(str::to_owned)
        .into_iter()
        .chain(characters.iter().map(char::to_string));
    let vocab: Map<String, Value> = tokens
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let special = |id: u32, token: &str| {
        json!({"id": id, "content": token, "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false})
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(0, PAD_TOKEN), special(1, EOS_TOKEN)],
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false},
        "post_processor": null,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unknown character>"},
    })
}

fn settings() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD_TOKEN,
        "eos_token": EOS_TOKEN,
        "clean_up_tokenization_spaces": false,
    })
}
