//! From the tokens, merges and scores of a GGUF file to a `tokenizer.json`.
//!
//! Promise: the ids of the tokenizer that the file was made from. The file does not hold its splitting rule, only the
//! name of one (`tokenizer.ggml.pre`); a name that we do not know is refused, since another rule gives other ids.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::{
    bad_field,
    header::{Header, Value},
};
use crate::{
    error::{ModelError, Result},
    tokenizer::Tokenizer,
    warning::Warning,
};

/// Kinds of token, as `tokenizer.ggml.token_type` numbers them; 1 is normal and 6 a byte.
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;

/// A splitting rule of byte-level tokenizers, by its names in GGUF files.
struct Rule {
    names: &'static [&'static str],
    split: Split,
    /// Text is put into normal form C first.
    nfc: bool,
    /// A whole piece that is a token is not merged together.
    ignore_merges: bool,
    /// Whether the beginning token is added where the file does not say.
    adds_bos: bool,
}

enum Split {
    /// GPT-2's own rule.
    Gpt2,
    /// Each digit alone, then GPT-2's.
    Digits,
    /// An expression.
    Pattern(&'static str),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const RULES: [Rule; 6] = [
    Rule { names: &["gpt-2", "phi-2", "olmo"], split: Split::Gpt2, nfc: false, ignore_merges: false, adds_bos: false },
    Rule {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell"],
        split: Split::Digits,
        nfc: false,
        ignore_merges: false,
        adds_bos: false,
    },
    Rule {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"],
        split: Split::Pattern(LLAMA3),
        nfc: false,
        ignore_merges: true,
        adds_bos: true,
    },
    Rule {
        names: &["smaug-bpe", "dbrx"],
        split: Split::Pattern(LLAMA3),
        nfc: false,
        ignore_merges: false,
        adds_bos: false,
    },
    Rule {
        names: &["qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"],
        split: Split::Pattern(QWEN2),
        nfc: true,
        ignore_merges: false,
        adds_bos: false,
    },
    Rule { names: &["tekken"], split: Split::Pattern(TEKKEN), nfc: false, ignore_merges: true, adds_bos: true },
];

pub(super) fn read(header: &Header) -> Result<(Tokenizer, Vec<Warning>)> {
    let source = Source::new(header)?;
    let (file, warnings) = match header.text("tokenizer.ggml.model")? {
        Some("gpt2") => source.byte_level()?,
        Some("llama") => (source.sentence_piece()?, Vec::new()),
        other => {
            return Err(ModelError::Unsupported {
                field: "tokenizer.ggml.model".into(),
                given: other.unwrap_or("nothing").into(),
                feature: "a tokenizer other than gpt2 and llama",
            });
        }
    };
    let tokenizer = Tokenizer::from_json(&file, &source.settings()?, &header.path)?;
    Ok((tokenizer, warnings))
}

struct Source<'a> {
    header: &'a Header,
    tokens: &'a [String],
    kinds: Vec<i64>,
}

impl<'a> Source<'a> {
    fn new(header: &'a Header) -> Result<Self> {
        let field = "tokenizer.ggml.tokens";
        let tokens = header.texts(field)?.ok_or_else(|| bad_field(field, "a list of texts", "nothing"))?;
        let field = "tokenizer.ggml.token_type";
        let kinds = match header.metadata.get(field) {
            None => vec![1; tokens.len()],
            Some(Value::Wholes(kinds)) if kinds.len() == tokens.len() => kinds.clone(),
            Some(other) => return Err(bad_field(field, &format!("{} whole numbers", tokens.len()), other)),
        };
        Ok(Self { header, tokens, kinds })
    }

    /// Tokens with their ids and kinds.
    fn all(&self) -> impl Iterator<Item = (usize, &'a String, i64)> {
        let kinds = self.kinds.iter().copied();
        self.tokens.iter().enumerate().zip(kinds).map(|((id, token), kind)| (id, token, kind))
    }

    /// The token that `tokenizer.ggml.NAME_token_id` names.
    fn named(&self, name: &str) -> Result<Option<(u64, &'a str)>> {
        let field = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = self.header.special_id(name)? else { return Ok(None) };
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        let token = token.ok_or_else(|| bad_field(&field, &format!("an id below {}", self.tokens.len()), id))?;
        Ok(Some((id, token)))
    }

    fn byte_level(&self) -> Result<(Json, Vec<Warning>)> {
        let (rule, warnings) = self.rule()?;
        // Padding of the table; the tokenizer itself never had these.
        let vocab = self.all().filter(|(_, _, kind)| *kind != UNUSED).map(|(id, token, _)| (token.clone(), json!(id)));
        let bytes = |use_regex| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let then = |first: Json, second: Json| json!({"type": "Sequence", "pretokenizers": [first, second]});
        let split = match rule.split {
            Split::Gpt2 => bytes(true),
            Split::Digits => then(json!({"type": "Digits", "individual_digits": true}), bytes(true)),
            Split::Pattern(pattern) => then(
                json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false}),
                bytes(false),
            ),
        };
        let file = json!({
            "version": "1.0",
            "added_tokens": self.added(&[CONTROL]),
            "normalizer": if rule.nfc { json!({"type": "NFC"}) } else { Json::Null },
            "pre_tokenizer": split,
            "post_processor": self.additions(rule.adds_bos)?,
            "decoder": bytes(true),
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": rule.ignore_merges,
                "vocab": vocab.collect::<Map<_, _>>(), "merges": self.merges()?,
            },
        });
        Ok((file, warnings))
    }

    fn rule(&self) -> Result<(&'static Rule, Vec<Warning>)> {
        let field = "tokenizer.ggml.pre";
        match self.header.text(field)? {
            // As transformers does.
            None | Some("default") => Ok((&RULES[0], vec![Warning::NoSplittingRule])),
            Some(name) => match RULES.iter().find(|rule| rule.names.contains(&name)) {
                Some(rule) => Ok((rule, Vec::new())),
                None => Err(ModelError::Unsupported {
                    field: field.into(),
                    given: name.into(),
                    feature: "a splitting rule that is not known here (use the Hugging Face folder of this model)",
                }),
            },
        }
    }

    /// BPE over characters with a byte for each that has no token, as transformers' LlamaTokenizer is built.
    fn sentence_piece(&self) -> Result<Json> {
        for field in ["tokenizer.ggml.precompiled_charsmap", "tokenizer.ggml.remove_extra_whitespaces"] {
            match self.header.metadata.get(field) {
                None | Some(Value::Truth(false)) => {}
                Some(given) => {
                    let (field, given) = (field.into(), given.to_string());
                    return Err(ModelError::Unsupported { field, given, feature: "another normal form of text" });
                }
            }
        }
        let vocab: Map<String, Json> = self.all().map(|(id, token, _)| (token.clone(), json!(id))).collect();
        let merges = match self.header.metadata.contains_key("tokenizer.ggml.merges") {
            true => self.merges()?,
            false => self.merges_by_score()?,
        };
        let prefix = self.header.truth("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if prefix {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        Ok(json!({
            "version": "1.0",
            "added_tokens": self.added(&[UNKNOWN, CONTROL]),
            "normalizer": null,
            "pre_tokenizer": {
                "type": "Metaspace", "replacement": "▁",
                "prepend_scheme": if prefix { "first" } else { "never" }, "split": false,
            },
            "post_processor": self.additions(true)?,
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": self.named("unknown")?.map(|(_, token)| token),
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": vocab, "merges": merges,
            },
        }))
    }

    /// Tokens that are found whole in a text: those of the `special` kinds, which decoding leaves out, and the user's.
    fn added(&self, special: &[i64]) -> Vec<Json> {
        let added = self.all().filter(|(_, _, kind)| special.contains(kind) || *kind == USER_DEFINED);
        let entry = |(id, token, kind): (usize, &String, i64)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": special.contains(&kind)})
        };
        added.map(entry).collect()
    }

    fn merges(&self) -> Result<Vec<[&'a str; 2]>> {
        let field = "tokenizer.ggml.merges";
        let merges = self.header.texts(field)?.ok_or_else(|| bad_field(field, "a list of texts", "nothing"))?;
        // The first character may itself be a space.
        let cut = |merge: &'a String| {
            let at = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ').map(|(at, _)| at)?;
            Some([&merge[..at], &merge[at + 1..]])
        };
        merges.iter().map(|merge| cut(merge).ok_or_else(|| bad_field(field, "two parts with a space", merge))).collect()
    }

    /// Every way to put a token together from two others, the best token first. Source: `generate_merges` of
    /// transformers: by score, then by the lengths of the parts, longest first; else by the ids of token and parts.
    fn merges_by_score(&self) -> Result<Vec<[&'a str; 2]>> {
        let field = "tokenizer.ggml.scores";
        let scores = match self.header.metadata.get(field) {
            Some(Value::Reals(scores)) if scores.len() == self.tokens.len() => scores,
            other => {
                let given = other.map_or("nothing".into(), ToString::to_string);
                return Err(bad_field(field, &format!("{} numbers", self.tokens.len()), given));
            }
        };
        let ids: HashMap<&str, usize> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
        let mut merges = Vec::new();
        for (token, score) in self.tokens.iter().zip(scores) {
            let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            let mut cuts: Vec<_> =
                cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?, left, right))).collect();
            cuts.sort_unstable_by_key(|(left, right, ..)| (*left, *right));
            merges.extend(cuts.into_iter().map(|(_, _, left, right)| (*score, left, right)));
        }
        let letters = |text: &str| text.chars().count();
        merges.sort_by(|a, b| {
            let lengths = |(_, left, right): &(f64, &str, &str)| (letters(left), letters(right));
            b.0.total_cmp(&a.0).then_with(|| lengths(b).cmp(&lengths(a)))
        });
        Ok(merges.into_iter().map(|(_, left, right)| [left, right]).collect())
    }

    /// What is put before and after a text.
    fn additions(&self, adds_bos: bool) -> Result<Json> {
        let wanted = |name: &str, default| {
            Ok(match self.header.truth(&format!("tokenizer.ggml.add_{name}_token"))?.unwrap_or(default) {
                true => self.named(name)?,
                false => None,
            })
        };
        let (bos, eos) = (wanted("bos", adds_bos)?, wanted("eos", false)?);
        if bos.is_none() && eos.is_none() {
            return Ok(Json::Null);
        }
        let part = |special: Option<(u64, &str)>, text| {
            special.map(|(_, token)| json!({"SpecialToken": {"id": token, "type_id": text}}))
        };
        let sequence = |name: &str, text| Some(json!({"Sequence": {"id": name, "type_id": text}}));
        let around = |name, text| [part(bos, text), sequence(name, text), part(eos, text)].into_iter().flatten();
        let single: Vec<Json> = around("A", 0).collect();
        let pair: Vec<Json> = around("A", 0).chain(around("B", 1)).collect();
        let special: Map<String, Json> = [bos, eos]
            .into_iter()
            .flatten()
            .map(|(id, token)| (token.into(), json!({"id": token, "ids": [id], "tokens": [token]})))
            .collect();
        Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
    }

    /// The text of a tokenizer_config.json. Tokens that are not there are named, as empty, because transformers would
    /// otherwise add some of its own.
    fn settings(&self) -> Result<Json> {
        let token = |name| Ok(self.named(name)?.map(|(_, token)| token));
        Ok(json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": token("bos")?,
            "eos_token": token("eos")?,
            "unk_token": token("unknown")?,
            "pad_token": token("padding")?,
            "chat_template": self.header.text("tokenizer.chat_template")?,
            "clean_up_tokenization_spaces": false,
        }))
    }
}
