//! The files of a tokenizer with one token per character.
//!
//! Promise: the files are ordinary ones, which transformers' AutoTokenizer loads with the same ids.
//!
//! They describe a byte-level BPE, though no text needs it: for a Qwen2 configuration transformers 5
//! takes its own Qwen2 tokenizer class whatever the file says, and that class knows only byte-level BPE.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::error::{ModelError, Result};

/// The token that fills up batches; id 0.
pub const PAD_TOKEN: &str = "<pad>";
/// The token that ends a text; id 1.
pub const EOS_TOKEN: &str = "<eos>";
/// Most distinct characters that a character tokenizer takes.
pub const CHARACTERS_MAX: usize = 1 << 16;

/// What `tokenizer.json` and `tokenizer_config.json` hold.
pub(super) fn files(alphabet: &str) -> Result<(Value, Value)> {
    let characters: BTreeSet<char> = alphabet.chars().collect();
    if characters.is_empty() || characters.len() > CHARACTERS_MAX {
        return Err(ModelError::Alphabet { limit: CHARACTERS_MAX, count: characters.len() });
    }
    Ok((tokenizer(&characters), settings()))
}

/// The name of the unknown token is no token, so that an unknown character is an error.
fn tokenizer(characters: &BTreeSet<char>) -> Value {
    let special = |id: u32, token: &str| {
        json!({"id": id, "content": token, "special": true, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false})
    };
    let (vocab, merges) = vocabulary(characters);
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(0, PAD_TOKEN), special(1, EOS_TOKEN)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unknown character>",
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges,
        },
    })
}

/// Ids and merges. The special tokens come first, then the characters by code point. A character of
/// several UTF-8 bytes is put together from its first byte on, so its bytes and beginnings get ids
/// after all characters. No merge reaches into a neighbour, since a merge always begins with a
/// character's first byte, which no byte further in can be.
fn vocabulary(characters: &BTreeSet<char>) -> (Map<String, Value>, Vec<[String; 2]>) {
    let mut pieces = BTreeSet::new();
    let mut merges = Vec::new();
    for character in characters {
        let symbols: Vec<char> = character.to_string().bytes().map(symbol).collect();
        pieces.extend(symbols.iter().map(char::to_string));
        for end in 1..symbols.len() {
            let merge = [symbols[..end].iter().collect(), symbols[end].to_string()];
            pieces.insert(merge[0].clone());
            merges.push(merge);
        }
    }
    let mut seen = BTreeSet::new();
    merges.retain(|merge| seen.insert(merge.clone()));
    let whole: Vec<String> = characters.iter().map(|c| c.to_string().bytes().map(symbol).collect()).collect();
    let known: BTreeSet<&String> = whole.iter().collect();
    pieces.retain(|piece| !known.contains(piece));
    let tokens = [PAD_TOKEN, EOS_TOKEN].map(str::to_owned).into_iter().chain(whole).chain(pieces);
    (tokens.enumerate().map(|(id, token)| (token, json!(id))).collect(), merges)
}

/// The visible character that stands for a byte in byte-level vocabularies: itself where it is
/// printable Latin-1, else the next free one from U+0100 on.
/// Source: `bytes_to_unicode` of GPT-2.
fn symbol(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let hidden_before = (0..byte).filter(|byte| !printable(*byte)).count();
    // At most 68 bytes are hidden, so this is a letter from U+0100 to U+0143.
    char::from_u32(0x100 + hidden_before as u32).expect("U+0100 to U+0143 are characters")
}

/// `unk_token` is named, as empty, because the Qwen2 class would otherwise add one of its own.
fn settings() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD_TOKEN,
        "eos_token": EOS_TOKEN,
        "unk_token": null,
        "clean_up_tokenization_spaces": false,
    })
}
