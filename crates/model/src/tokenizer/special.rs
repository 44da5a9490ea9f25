//! Tokens that are named beside the vocabulary, and the tokenizer that the named class makes of the file.
//!
//! Promise: the ids that transformers 5 gives for the same folder. Tokens may be named in tokenizer_config.json
//! (`added_tokens_decoder`, `*_token`, `additional_special_tokens`, `extra_special_tokens`), in special_tokens_map.json
//! and in added_tokens.json; the last two are read only where the first has no `added_tokens_decoder`.
//! Source: `_from_pretrained` in tokenization_utils_base.py and `TokenizersBackend.__init__` of transformers 5.23.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json, value::RawValue};
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
    /// The keys of the first two in the order of the files.
    pub(super) order: &'a [String],
    /// What [`class_of`] found.
    pub(super) class: &'a str,
    /// The token that tokenizer.json fills up with.
    pub(super) padding: Option<&'a str>,
}

/// The keys of a JSON object as the file has them, and behind them those of its object `extra_special_tokens`: tokens
/// that are added under names of their own get their ids in this order.
#[derive(Default)]
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let (mut keys, mut extra) = (Vec::new(), Vec::new());
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if key == "extra_special_tokens" {
                        extra = serde_json::from_str::<Keys>(value.get()).unwrap_or_default().0;
                    }
                    keys.push(key);
                }
                keys.append(&mut extra);
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
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
        for (name, token) in class_defaults(sources.class) {
            settings.entry(*name).or_insert_with(|| (*token).into());
        }
        if let Some(padding) = sources.padding {
            settings.entry("pad_token").or_insert_with(|| padding.into());
        }
        let named = named(&settings);
        let extra = match settings.get("extra_special_tokens") {
            Some(Value::Array(tokens)) => tokens.iter().filter_map(special_token).collect(),
            _ => Vec::new(),
        };
        let mut in_order: Vec<&str> = named.keys().map(String::as_str).collect();
        let own = |name: &str| sources.order.iter().position(|known| known == name);
        in_order.sort_by_key(|name| (NAMED.iter().position(|known| known == name).unwrap_or(NAMED.len()), own(name)));
        let of_names = in_order.into_iter().filter_map(|name| settings_token(&settings, name));
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
            (_, Value::Object(more)) if name == "extra_special_tokens" => {
                let mut all = settings.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
                all.extend(more.clone());
                Value::Object(all)
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

/// The class that transformers 5 takes for a folder, without `Fast`; nothing where it takes the file as it is.
/// Source: `AutoTokenizer.from_pretrained` of transformers 5.23.
pub(super) fn class_of(tokenizer: &Value, settings: &Map<String, Value>, config: &Map<String, Value>) -> String {
    let text = |map: &Map<String, Value>, name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = text(settings, "tokenizer_class").or_else(|| text(config, "tokenizer_class"));
    let named = named.map(|class| class.strip_suffix("Fast").unwrap_or(&class).to_owned());
    let class = match (text(config, "model_type").as_deref(), named) {
        (Some("qwen2"), _) | (Some("qwen3"), None) => "Qwen2Tokenizer".to_owned(),
        (_, named) => named.unwrap_or_default(),
    };
    if class == "LlamaTokenizer" && has_byte_level(tokenizer) { String::new() } else { class }
}

/// The tokenizer.json that transformers 5 would use for this class: `LlamaTokenizer` has its own white space, whatever
/// the file says. Other classes that transformers builds anew keep the file's steps here: they are what the model was
/// trained with.
pub(super) fn of_class(class: &str, mut tokenizer: Value, settings: &Map<String, Value>) -> Value {
    if class != "LlamaTokenizer" || tokenizer["model"]["type"] != "BPE" {
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

/// Names that a class gives to tokens where tokenizer_config.json says nothing of them. Tokens that the file lacks are
/// added like all others.
fn class_defaults(class: &str) -> &'static [(&'static str, &'static str)] {
    match class {
        "LlamaTokenizer" => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
        "Qwen2Tokenizer" | "Qwen3_5Tokenizer" => {
            &[("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")]
        }
        "GPT2Tokenizer" | "CodeGenTokenizer" => {
            &[("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>")]
        }
        "GPTNeoXTokenizer" => &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
            ("pad_token", "<|padding|>"),
        ],
        "GemmaTokenizer" => &[
            ("bos_token", "<bos>"),
            ("eos_token", "<eos>"),
            ("unk_token", "<unk>"),
            ("pad_token", "<pad>"),
            ("mask_token", "<mask>"),
        ],
        "CohereTokenizer" => &[
            ("bos_token", "<BOS_TOKEN>"),
            ("eos_token", "<|END_OF_TURN_TOKEN|>"),
            ("unk_token", "<UNK>"),
            ("sep_token", "<SEP>"),
            ("pad_token", "<PAD>"),
            ("cls_token", "<CLS>"),
            ("mask_token", "<MASK_TOKEN>"),
        ],
        _ => &[],
    }
}

fn has_byte_level(tokenizer: &Value) -> bool {
    let is = |step: &Value| step["type"] == "ByteLevel";
    ["pre_tokenizer", "decoder"].iter().any(|name| {
        let step = &tokenizer[*name];
        let parts = ["pretokenizers", "decoders"].iter().filter_map(|list| step[*list].as_array());
        is(step) || parts.flatten().any(is)
    })
}
