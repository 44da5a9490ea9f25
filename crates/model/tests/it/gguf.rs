//! GGUF files as llama.cpp's converter writes them, against transformers and gguf-py; and damaged ones.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use model::{Loaded, Message, SaveOptions, Transformer, Warning};
use proptest::prelude::*;
use serde::Deserialize;

use crate::support::{device, largest_difference, logits_at};

/// Largest difference allowed to transformers' f32 logits, which reach 11.
/// Measured: see the test's output.
const LOGIT_TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Corpus {
    tokens: Vec<u32>,
    rows: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    file: String,
    logits: Option<Vec<f32>>,
    /// Of the bits of all weights, see [`checksum`].
    checksum: Option<String>,
    #[serde(default)]
    texts: Vec<Text>,
    messages: Option<Vec<Message>>,
    /// The messages as the file's template renders them.
    chat: Option<String>,
    /// What the rotary setting's name begins with.
    rope: Option<String>,
    /// What the message must say of a file that is refused.
    says: Option<String>,
    warned: Option<String>,
    patch: Option<Patch>,
    /// The length that the file is cut to.
    cut: Option<u64>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

/// Bytes put over those of the file.
#[derive(Deserialize)]
struct Patch {
    at: u64,
    bytes: Vec<u8>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/gguf").join(name)
}

fn corpus() -> Corpus {
    serde_json::from_slice(&fs::read(file("../gguf.json")).unwrap()).unwrap()
}

impl Case {
    fn load(&self) -> model::Result<Loaded> {
        if self.patch.is_none() && self.cut.is_none() {
            return model::load(&file(&self.file), &device());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.gguf");
        fs::copy(file(&self.file), &path).unwrap();
        let mut copy = File::options().write(true).open(&path).unwrap();
        if let Some(Patch { at, bytes }) = &self.patch {
            copy.seek(SeekFrom::Start(*at)).unwrap();
            copy.write_all(bytes).unwrap();
        }
        if let Some(length) = self.cut {
            copy.set_len(length).unwrap();
        }
        model::load(&path, &device())
    }
}

/// In each tensor bits times 1, 3, 5 ..., added up modulo 2^64.
fn checksum(model: &Transformer) -> String {
    let of = |values: &ops::host::Floats| {
        let weighed = (0_u64..).zip(values).map(|(i, value)| u64::from(value.to_bits()).wrapping_mul(2 * i + 1));
        weighed.fold(0, u64::wrapping_add)
    };
    model.snapshot().values().iter().map(of).fold(0, u64::wrapping_add).to_string()
}

#[test]
fn files_give_the_weights_of_gguf_py_and_the_logits_of_transformers_or_are_refused_by_name() {
    let Corpus { tokens, rows, cases } = corpus();
    for case in &cases {
        let name = &case.name;
        let loaded = case.load();
        if let Some(says) = &case.says {
            let error = loaded.err().unwrap_or_else(|| panic!("{name}: was loaded")).to_string();
            assert!(error.contains(says), "{name}: {error}");
            continue;
        }
        let Loaded { model, warnings, .. } = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let told = warnings.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n");
        match &case.warned {
            Some(said) => assert!(told.contains(said), "{name}: {told:?}"),
            None => assert_eq!(told, "", "{name}"),
        }
        if let Some(expected) = &case.checksum {
            assert_eq!(&checksum(&model), expected, "{name}: other weights");
        }
        if let Some(logits) = &case.logits {
            let difference = largest_difference(&logits_at(&model, &tokens, &rows), logits);
            println!("{name}: largest difference {difference:e}");
            assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
        }
        if let Some(kind) = &case.rope {
            let found = format!("{:?}", model.config().rope.scaling.as_ref().unwrap());
            assert!(found.starts_with(kind), "{name}: {found}");
        }
    }
}

#[test]
fn texts_have_the_ids_of_the_tokenizer_that_the_file_was_made_from() {
    let mut texts = 0;
    for case in corpus().cases.iter().filter(|case| case.says.is_none()) {
        let tokenizer = case.load().unwrap().tokenizer;
        for Text { text, ids, decoded } in &case.texts {
            assert_eq!(&tokenizer.encode(text).unwrap(), ids, "{}, {text:?}", case.name);
            assert_eq!(&tokenizer.decode(ids).unwrap(), decoded, "{}, {text:?}", case.name);
            texts += 1;
        }
        if let (Some(messages), Some(chat)) = (&case.messages, &case.chat) {
            assert_eq!(&tokenizer.apply_chat_template(messages, true).unwrap(), chat, "{}", case.name);
        }
    }
    assert!(texts > 100, "only {texts} texts");
}

#[test]
fn a_saved_folder_computes_and_tokenizes_as_the_file() {
    let Corpus { tokens, rows, cases } = corpus();
    let parent = tempfile::tempdir().unwrap();
    for case in cases.iter().filter(|case| case.says.is_none()) {
        let Loaded { model, tokenizer, .. } = case.load().unwrap();
        let folder = parent.path().join(&case.name);
        model.save(&folder, &SaveOptions { tokenizer: Some(&tokenizer), ..Default::default() }).unwrap();
        let again = model::load(&folder, &device()).unwrap();
        assert_eq!(logits_at(&again.model, &tokens, &rows), logits_at(&model, &tokens, &rows), "{}", case.name);
        for Text { text, ids, .. } in &case.texts {
            assert_eq!(&again.tokenizer.encode(text).unwrap(), ids, "{}, {text:?}", case.name);
        }
        assert_eq!(again.tokenizer.eos_ids(), tokenizer.eos_ids(), "{}", case.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_change_to_a_header_makes_the_reader_panic_or_reserve_much(at in 0_u64..9000, bytes in prop::collection::vec(any::<u8>(), 1..9)) {
        let case = Case {
            name: String::new(), file: "q8_0.gguf".into(), patch: Some(Patch { at, bytes }), cut: None, logits: None,
            checksum: None, texts: Vec::new(), messages: None, chat: None, rope: None, says: None, warned: None,
        };
        let _ = case.load();
    }
}

/// A copy of a file with more metadata in front, filled up to whole rows of 32 bytes so that tensors stay aligned.
fn with_ids(name: &str, ids: &[(&str, u32)], folder: &Path) -> PathBuf {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let (uint32, string) = (4_u32.to_le_bytes(), 8_u32.to_le_bytes());
    let id = |(name, id): &(&str, u32)| [text(name), uint32.to_vec(), id.to_le_bytes().to_vec()].concat();
    let mut more: Vec<u8> = ids.iter().flat_map(id).collect();
    let filler = [text("general.url"), string.to_vec()].concat();
    let missing = (more.len() + filler.len() + 8).next_multiple_of(32) - more.len() - filler.len() - 8;
    more.extend([filler, text(&"x".repeat(missing))].concat());
    let mut bytes = fs::read(file(name)).unwrap();
    let count = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) + ids.len() as u64 + 1;
    bytes[16..24].copy_from_slice(&count.to_le_bytes());
    bytes.splice(24..24, more);
    let path = folder.join("more.gguf");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_token_that_ends_a_turn_stops_and_an_id_of_minus_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let name = &corpus().cases.into_iter().find(|case| case.logits.is_some() && case.says.is_none()).unwrap().file;
    let load = |ids: &[(&str, u32)]| model::load(&with_ids(name, ids, folder.path()), &device());
    let stops = |ids: &[(&str, u32)]| load(ids).unwrap().tokenizer.eos_ids().to_vec();
    let plain = stops(&[]);
    let ends = [("tokenizer.ggml.eot_token_id", 5), ("tokenizer.ggml.eom_token_id", 6)];
    assert_eq!(stops(&ends), [&plain[..], &[5, 6]].concat());
    assert_eq!(stops(&[("tokenizer.ggml.eot_token_id", u32::MAX)]), plain);
    let error = load(&[("tokenizer.ggml.eot_token_id", 4_000_000)]).err().unwrap().to_string();
    assert!(error.contains("4000000"), "{error}");
}
