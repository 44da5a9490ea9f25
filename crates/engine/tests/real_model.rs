//! SmolLM2-135M-Instruct, from its folder and from its GGUF file, against transformers.
//!
//! Runs where `scripts/real-models.sh` has made it: in `ESSAIM_REAL_MODELS`, or `~/.cache/essaim/models`. Elsewhere it
//! says that it is skipped.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use model::{Loaded, Message, Transformer, WeightDtype};
use ops::{
    Segments,
    gemm::{Kernel, current, set_kernel},
    host,
};
use serde::Deserialize;

/// Largest difference allowed to transformers' f32 logits, as a part of the largest logit, with products in plain
/// f32. Measured: 1.6e-6 with `Kernel::Avx512`, 1.2e-5 with `Kernel::Amx`.
const LOGIT_TOLERANCE: f32 = 1e-4;

/// Longest continuation (`NEW_TOKENS` in the script).
const NEW_TOKENS: usize = 32;

#[derive(Deserialize)]
struct Corpus {
    stride: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// What the user says, where the text is a chat.
    chat: Option<String>,
    text: String,
    ids: Vec<u32>,
    continuation: Vec<u32>,
    /// The largest logit.
    largest: f32,
    after_prompt: Vec<f32>,
    after_all: Vec<f32>,
}

fn corpus() -> Corpus {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/real_model.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The folder and the file, or nothing where they are not.
fn places() -> Option<[PathBuf; 2]> {
    let models = match env::var_os("ESSAIM_REAL_MODELS") {
        Some(models) => PathBuf::from(models),
        None => PathBuf::from(env::var_os("HOME")?).join(".cache/essaim/models"),
    };
    let places = ["SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"].map(|name| models.join(name));
    if places.iter().all(|place| place.exists()) {
        return Some(places);
    }
    println!("skipped: no SmolLM2-135M-Instruct in {} (scripts/real-models.sh makes it)", models.display());
    None
}

fn load(place: &Path) -> Loaded {
    let loaded = model::load(place, &Device::flex()).unwrap();
    assert_eq!(loaded.warnings, [], "{}", place.display());
    loaded
}

/// The fastest kernel with plain f32 products, and the fastest of all where that is another.
fn kernels() -> Vec<Kernel> {
    let fastest = current();
    let plain = [Kernel::Avx512, Kernel::Avx2, Kernel::Portable].into_iter().find(|kernel| kernel.is_available());
    let mut kernels = vec![plain.expect("the portable kernel is always there")];
    if fastest == Kernel::Amx {
        kernels.push(fastest);
    }
    kernels
}

/// The largest difference of any case, as a part of its largest logit.
fn difference(model: &Transformer, corpus: &Corpus) -> f32 {
    let frozen = model.freeze(WeightDtype::F32);
    let of = |case: &Case| {
        let tokens: Arc<[u32]> = case.ids.iter().chain(&case.continuation).copied().collect();
        let hidden =
            frozen.hidden(&tokens, &(0..tokens.len() as u32).collect(), &Segments::from_lengths(&[tokens.len()]));
        let logits = host::to_vec_f32(&frozen.logits(hidden));
        let vocabulary = model.config().vocab_size;
        let row = |row: usize| logits[row * vocabulary..(row + 1) * vocabulary].iter().step_by(corpus.stride);
        let rows = row(case.ids.len() - 1).zip(&case.after_prompt).chain(row(tokens.len() - 1).zip(&case.after_all));
        rows.map(|(given, expected)| (given - expected).abs() / case.largest).fold(0.0, f32::max)
    };
    corpus.cases.iter().map(of).fold(0.0, f32::max)
}

fn greedy(Loaded { model, tokenizer, .. }: &Loaded, corpus: &Corpus) -> Vec<Completion> {
    let sizes = EngineConfig {
        kv_blocks: 400,
        block_size: 16,
        max_running: corpus.cases.len(),
        prefill_chunk_tokens: 512,
        max_context: 256,
    };
    let mut engine = Engine::new(model.freeze(WeightDtype::F32), 1, sizes, None).unwrap();
    let sampling =
        Sampling { temperature: 0.0, stop_tokens: tokenizer.eos_ids().to_vec(), ..Sampling::new(NEW_TOKENS) };
    for (id, case) in corpus.cases.iter().enumerate() {
        let (prompt, sampling) = (case.ids.as_slice().into(), sampling.clone());
        let seeds = vec![[0; 32]];
        let request = Request { id: id as u64, prompt, seeds, sampling, want_hidden: false, weight_version: None };
        engine.submit(request).unwrap();
    }
    let mut completions = Vec::new();
    while !engine.is_idle() {
        completions.extend(engine.step().unwrap());
    }
    completions.sort_by_key(|completion| completion.request);
    completions
}

#[test]
fn a_real_model_has_the_logits_and_the_greedy_continuations_of_transformers() {
    let Some(places) = places() else { return };
    let corpus = corpus();
    let [folder, file] = places.each_ref().map(|place| load(place));
    // Bit for bit, so that what is measured of one holds for both.
    let same = folder.model.snapshot().values() == file.model.snapshot().values();
    assert!(same, "the folder and the file have other weights");
    let kernels = kernels();
    for kernel in kernels.iter().rev() {
        set_kernel(*kernel).unwrap();
        let difference = difference(&file.model, &corpus);
        println!("{kernel:?}: largest difference to transformers {difference:e} of the largest logit");
        assert!(difference <= LOGIT_TOLERANCE || *kernel != kernels[0], "{difference:e}");
    }
    for (loaded, place) in [&folder, &file].into_iter().zip(&places) {
        let completions = greedy(loaded, &corpus);
        assert_eq!(completions.len(), corpus.cases.len());
        for (case, completion) in corpus.cases.iter().zip(completions) {
            let tokens = &completion.tokens[..];
            assert_eq!(tokens, case.continuation, "{}, from {}", case.name, place.display());
        }
    }
}

#[test]
fn a_real_tokenizer_has_the_ids_and_the_chats_of_transformers() {
    let Some(places) = places() else { return };
    for place in places {
        let tokenizer = load(&place).tokenizer;
        for case in corpus().cases {
            if let Some(said) = case.chat {
                let chat = tokenizer.apply_chat_template(&[Message::user(said)], true).unwrap();
                assert_eq!(chat, case.text, "{}, from {}", case.name, place.display());
            }
            assert_eq!(tokenizer.encode_bare(&case.text).unwrap(), case.ids, "{}, {}", case.name, place.display());
        }
    }
}
