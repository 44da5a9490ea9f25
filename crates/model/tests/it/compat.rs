//! Chat templates and tokenizer files beside transformers: every case of the files in `tests/compat`.

use std::{collections::BTreeMap, fs, path::Path};

use jinja::Value;
use model::{ChatArgs, ModelError, Tokenizer};
use serde::Deserialize;
use serde_json::value::RawValue;

fn corpus<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct Chats {
    date: String,
    special: BTreeMap<String, String>,
    tools: Value,
    conversations: BTreeMap<String, Vec<Value>>,
    cases: Vec<Template>,
}

#[derive(Deserialize)]
struct Template {
    name: String,
    template: String,
    chats: Vec<Chat>,
}

#[derive(Deserialize)]
struct Chat {
    messages: String,
    args: Option<Value>,
    #[serde(default)]
    tools: bool,
    add_generation_prompt: bool,
    text: Option<String>,
    /// Beginning and end in characters.
    #[serde(default)]
    generation: Vec<(usize, usize)>,
    refused: Option<String>,
}

/// The smallest tokenizer that names special tokens.
fn tokenizer_with(template: &str, special: &BTreeMap<String, String>) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let vocabulary: BTreeMap<&str, usize> = special.values().map(String::as_str).zip(0..).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), serde_json::to_vec(special).unwrap()).unwrap();
    fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

#[test]
fn chats_become_the_texts_of_transformers_or_are_refused() {
    let chats: Chats = corpus("chat_templates.json");
    assert!(chats.cases.len() >= 45);
    for case in &chats.cases {
        let tokenizer = tokenizer_with(&case.template, &chats.special);
        case.chats.iter().for_each(|chat| check(chat, &tokenizer, &chats, &case.name));
    }
}

fn check(chat: &Chat, tokenizer: &Tokenizer, chats: &Chats, template: &str) {
    let names = match &chat.args {
        Some(Value::Dict(args)) => args.pairs().iter().map(|(name, value)| (name_of(name), value.clone())).collect(),
        _ => Vec::new(),
    };
    let args = ChatArgs { names, date: Some(chats.date.parse().unwrap()) };
    let tokenizer = tokenizer.clone().with_chat_args(args);
    let tools = chat.tools.then_some(&chats.tools);
    let given =
        tokenizer.apply_chat_template_to(&chats.conversations[&chat.messages], tools, chat.add_generation_prompt);
    let name = format!("{template}: {}, {:?}, tools {}", chat.messages, chat.args, chat.tools);
    match (given, &chat.text) {
        (Ok(given), Some(text)) => {
            assert_eq!(&given.text, text, "{name}");
            let characters = |at: usize| text.get(..at).map(|before| before.chars().count());
            let begins: Vec<_> = given.generation.iter().map(|mark| characters(mark.start)).collect();
            assert_eq!(begins, chat.generation.iter().map(|mark| Some(mark.0)).collect::<Vec<_>>(), "{name}");
        }
        (Err(ModelError::ChatTemplate { .. }), None) => assert!(chat.refused.is_some(), "{name}"),
        (given, truth) => panic!("{name}: {given:?}, but transformers gives {truth:?} ({:?})", chat.refused),
    }
}

fn name_of(value: &Value) -> String {
    match value {
        Value::Text(name) => name.to_string(),
        other => panic!("{other:?} is no name"),
    }
}

#[derive(Deserialize)]
struct Files {
    texts: Vec<String>,
    bases: BTreeMap<String, Box<RawValue>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    base: String,
    #[serde(rename = "tokenizer_config.json")]
    settings: Option<Box<RawValue>>,
    files: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    texts: Vec<Text>,
    size: Option<usize>,
    eos: Option<u32>,
    pad: Option<u32>,
    refused: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    /// Without what the tokenizer adds itself, where that differs.
    bare: Option<Vec<u32>>,
    decoded: String,
    decoded_all: String,
}

#[test]
fn tokenizer_files_give_the_ids_and_texts_of_transformers_or_are_refused() {
    let files: Files = corpus("tokenizer_files.json");
    for case in &files.cases {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &RawValue| fs::write(folder.path().join(name), value.get()).unwrap();
        write("tokenizer.json", &files.bases[&case.base]);
        case.settings.iter().for_each(|settings| write("tokenizer_config.json", settings));
        case.files.iter().for_each(|(name, value)| write(name, value));
        let loaded = Tokenizer::load(folder.path());
        if case.refused.is_some() {
            assert!(matches!(loaded, Err(ModelError::Unsupported { .. })), "{}: {loaded:?}", case.name);
            continue;
        }
        let tokenizer = loaded.unwrap();
        assert_eq!(tokenizer.pad_id(), case.pad, "{}", case.name);
        assert_eq!(tokenizer.end_id(false).unwrap(), case.eos, "{}", case.name);
        assert_eq!(Some(tokenizer.vocab_size()), case.size, "{}", case.name);
        assert_eq!(case.texts.len(), files.texts.len(), "{}", case.name);
        for (text, truth) in files.texts.iter().zip(&case.texts) {
            let name = format!("{}: {text:?}", case.name);
            assert_eq!(tokenizer.encode(text).unwrap(), truth.ids, "{name}");
            let bare = truth.bare.as_ref().unwrap_or(&truth.ids);
            assert_eq!(&tokenizer.encode_bare(text).unwrap(), bare, "{name}");
            assert_eq!(tokenizer.decode(&truth.ids).unwrap(), truth.decoded, "{name}");
            assert_eq!(tokenizer.decode_all(&truth.ids).unwrap(), truth.decoded_all, "{name}");
        }
    }
}
