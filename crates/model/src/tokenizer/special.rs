//! Tokens that are named beside the vocabulary, and the tokenizer that the named class makes of the file.
//!
//! Promise: the ids that transformers 5 gives for the same folder. Tokens may be named in tokenizer_config.json
//! (`added_tokens_decoder`, `*_token`, `additional_special_tokens`, `extra_special_tokens`), in special_tokens_map.json
//! and in added_tokens.json; the last two are read only where the first has no `added_tokens_decoder`.
//! Source: `_from_pretrained` in tokenization_utils_base.py and `TokenizersBackend.__init__` of transformers 5.23.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::text_of;

/// The names that every tokenizer has, in the order in which their tokens are added.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What the files beside tokenizer.json say.
pub(super) struct Sources<'a> {
    /// tokenizer_config.json
    pub(super) settings: &'a Map<String, Value>,
    /// special_tokens_map.json
    pub(super) map: &'a Map<String, Value>,
    /// added_tokens.json
    pub(super) added: &'a Map<String, Value>,
}

/// Tokens by their names, and those to add to a tokenizer, in order.
pub(super) struct Special {
    pub(super) named: BTreeMap<String, String>,
    pub(super) to_add: Vec<AddedToken>,
}

impl Special {
    pub(super) fn of(sources: &Sources) -> Self {
        let mut settings = sources.settings.clone();
        if !filled(settings.get("extra_special_tokens"))
            && let Some(tokens) = settings.remove("additional_special_tokens")
        {
            settings.insert("extra_special_tokens".into(), tokens);
        }
        let mut by_id: BTreeMap<u64, AddedToken> = BTreeMap::new();
        if let Some(Value::Object(decoder)) = settings.get("added_tokens_decoder") {
            let tokens = decoder.iter().filter_map(|(id, token)| Some((id.parse().ok()?, added_token(token)?)));
            by_id.extend(tokens);
        } else {
            merge_map(&mut settings, sources.map);
            let special = named_contents(&settings);
            for (content, id) in sources.added {
                let token = AddedToken::from(content, special.contains(content));
                by_id.extend(id.as_u64().map(|id| (id, token)));
            }
        }
        let named = named(&settings);
        let extra = match settings.get("extra_special_tokens") {
            Some(Value::Array(tokens)) => tokens.iter().filter_map(special_token).collect(),
            _ => Vec::new(),
        };
        let in_order =
            NAMED.iter().copied().chain(named.keys().map(String::as_str).filter(|name| !NAMED.contains(name)));
        let of_names = in_order.filter_map(|name| settings_token(&settings, name));
        let mut to_add: Vec<AddedToken> = Vec::new();
        for mut token in by_id.into_values().chain(of_names).chain(extra) {
            token.special |= named.values().any(|content| *content == token.content);
            if !to_add.iter().any(|known| known.content == token.content) {
                to_add.push(token);
            }
        }
        Self { named, to_add }
    }
}

/// special_tokens_map.json replaces what tokenizer_config.json says under the same name.
fn merge_map(settings: &mut Map<String, Value>, map: &Map<String, Value>) {
    for (name, value) in map {
        let name = match name.as_str() {
            "additional_special_tokens" if !filled(settings.get("extra_special_tokens")) => "extra_special_tokens",
            name => name,
        };
        let known = settings.get(name).and_then(Value::as_array).cloned();
        let value = match (known, value) {
            (Some(mut known), Value::Array(more)) => {
                known.extend(more.iter().filter(|token| !known.contains(token)).cloned().collect::<Vec<_>>());
                Value::Array(known)
            }
            (_, value) => value.clone(),
        };
        settings.insert(name.into(), value);
    }
}

fn filled(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        _ => false,
    }
}

/// Every name that ends in `_token` and has a text, and the names of a dict of extra tokens.
fn named(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    let extra = settings.get("extra_special_tokens").and_then(Value::as_object);
    let own = settings.iter().filter(|(name, _)| name.ends_with("_token"));
    let all = own.chain(extra.into_iter().flatten());
    all.filter_map(|(name, value)| Some((name.clone(), text_of(value)?.to_owned()))).collect()
}

fn named_contents(settings: &Map<String, Value>) -> Vec<String> {
    let extra = settings.get("extra_special_tokens").and_then(Value::as_array).into_iter().flatten();
    let extra = extra.filter_map(|token| text_of(token).map(str::to_owned));
    named(settings).into_values().chain(extra).collect()
}

fn settings_token(settings: &Map<String, Value>, name: &str) -> Option<AddedToken> {
    let extra = || settings.get("extra_special_tokens")?.get(name);
    special_token(settings.get(name).or_else(extra)?)
}

/// A text is a special token, matched before the text is normalised; an object says more.
fn special_token(value: &Value) -> Option<AddedToken> {
    match value {
        Value::String(content) => Some(AddedToken::from(content, true)),
        object => added_token(object),
    }
}

fn added_token(value: &Value) -> Option<AddedToken> {
    let content = value.get("content")?.as_str()?;
    let flag = |name: &str| value.get(name).and_then(Value::as_bool);
    let token = AddedToken::from(content, flag("special").unwrap_or(false));
    let normalized = flag("normalized").unwrap_or(token.normalized);
    let single_word = flag("single_word").unwrap_or(false);
    let stripped = token.lstrip(flag("lstrip").unwrap_or(false)).rstrip(flag("rstrip").unwrap_or(false));
    Some(stripped.single_word(single_word).normalized(normalized))
}

/// The tokenizer.json that transformers 5 would use for this class: `LlamaTokenizer` has its own white space, whatever
/// the file says, unless the file is byte-level. Other classes that transformers builds anew keep the file's steps here:
/// they are what the model was trained with.
pub(super) fn of_class(mut tokenizer: Value, settings: &Map<String, Value>) -> Value {
    let class = settings.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let is_llama = class.strip_suffix("Fast").unwrap_or(class) == "LlamaTokenizer";
    if !is_llama || tokenizer["model"]["type"] != "BPE" || has_byte_level(&tokenizer) {
        return tokenizer;
    }
    let flag = |name: &str| settings.get(name).and_then(Value::as_bool);
    let prefix_space = flag("add_prefix_space").unwrap_or(true);
    let scheme = match (prefix_space, flag("legacy").unwrap_or(false)) {
        (false, _) => "never",
        (true, true) => "always",
        (true, false) => "first",
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix_space {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    tokenizer["normalizer"] = Value::Null;
    tokenizer["pre_tokenizer"] =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
    tokenizer["decoder"] = json!({"type": "Sequence", "decoders": decoders});
    tokenizer["model"]["fuse_unk"] = true.into();
    tokenizer["model"]["byte_fallback"] = true.into();
    tokenizer["model"]["dropout"] = Value::Null;
    tokenizer["model"]["unk_token"] = Value::Null;
    tokenizer
}

/// Names that a class gives to tokens where tokenizer_config.json says nothing of them.
pub(super) fn class_defaults(settings: &Map<String, Value>) -> Vec<(&'static str, &'static str)> {
    let class = settings.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let defaults: &[(&str, &str)] = match class.strip_suffix("Fast").unwrap_or(class) {
        "LlamaTokenizer" => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
        "Qwen2Tokenizer" => {
            &[("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")]
        }
        "GPT2Tokenizer" => {
            &[("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")]
        }
        _ => &[],
    };
    defaults.iter().copied().filter(|(name, _)| !settings.contains_key(*name)).collect()
}

fn has_byte_level(tokenizer: &Value) -> bool {
    let is = |step: &Value| step["type"] == "ByteLevel";
    ["pre_tokenizer", "decoder"].iter().any(|name| {
        let step = &tokenizer[*name];
        let parts = ["pretokenizers", "decoders"].iter().filter_map(|list| step[*list].as_array());
        is(step) || parts.flatten().any(is)
    })
}
