//! Weight files, ends of text and rotary kinds as people bring them, against transformers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use model::{ModelConfig, SaveOptions, Transformer, Warning, WeightDtype};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::{device, largest_difference, logits_at};

/// Largest difference allowed to transformers' f32 logits, which reach about 4.
/// Measured: see the test's output.
const LOGIT_TOLERANCE: f32 = 2e-6;

#[derive(Deserialize)]
struct Corpus {
    tokens: Vec<u32>,
    rows: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    folder: String,
    /// Fields of config.json to set.
    #[serde(default)]
    config: Map<String, Value>,
    /// Fields of config.json to take away.
    #[serde(default)]
    removed: Vec<String>,
    logits: Option<Vec<f32>>,
    /// What the message must say of a folder that is refused.
    says: Option<String>,
    /// What a warning must say; without it there is none.
    warned: Option<String>,
    eos_ids: Option<Vec<u32>>,
    /// The longest sequence.
    positions: Option<usize>,
}

impl Case {
    /// A private copy of its folder, with its configuration.
    fn folder(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(compat().join("weights").join(&self.folder)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        if !self.config.is_empty() || !self.removed.is_empty() {
            let path = copy.path().join("config.json");
            let mut config: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            config.extend(self.config.clone());
            config.retain(|field, _| !self.removed.contains(field));
            fs::write(&path, Value::Object(config).to_string()).unwrap();
        }
        copy
    }
}

fn compat() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat")
}

fn corpus() -> Corpus {
    serde_json::from_slice(&fs::read(compat().join("weights.json")).unwrap()).unwrap()
}

#[test]
fn folders_that_people_bring_give_the_logits_of_transformers_or_are_refused_by_name() {
    let Corpus { tokens, rows, cases } = corpus();
    for case in cases {
        let (name, folder) = (&case.name, case.folder());
        // The wrong tokenizer matters only where there is one.
        let loaded = match folder.path().join("tokenizer.json").exists() {
            true => model::load(folder.path(), &device()).map(|loaded| loaded.model),
            false => Transformer::load(folder.path(), &device()),
        };
        if let Some(says) = &case.says {
            let error = loaded.err().unwrap_or_else(|| panic!("{name}: was loaded")).to_string();
            assert!(error.contains(says), "{name}: {error}");
            continue;
        }
        let model = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let difference = largest_difference(&logits_at(&model, &tokens, &rows), case.logits.as_ref().unwrap());
        println!("{name}: largest difference {difference:e}");
        assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
        if let Some(ids) = &case.eos_ids {
            assert_eq!(&model.config().eos_ids, ids, "{name}");
        }
        if let Some(positions) = case.positions {
            assert_eq!(model.config().max_positions, positions, "{name}");
        }
        save_and_load(name, &model, &tokens, &rows);
    }
}

/// A saved folder computes the same, bit for bit.
fn save_and_load(name: &str, model: &Transformer, tokens: &[u32], rows: &[usize]) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("saved");
    model.save(&folder, &SaveOptions { dtype: WeightDtype::F32, ..Default::default() }).unwrap();
    let again = Transformer::load(&folder, &device()).unwrap();
    assert_eq!(logits_at(&again, tokens, rows), logits_at(model, tokens, rows), "{name}");
    assert_eq!((&again.config().rope, again.config().tied), (&model.config().rope, model.config().tied), "{name}");
}

#[test]
fn what_is_passed_over_in_a_folder_is_told_and_nothing_else() {
    for case in corpus().cases.into_iter().filter(|case| case.says.is_none()) {
        let folder = case.folder();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let bytes = TOKENIZER.iter().find(|(file, _)| *file == name).unwrap().1;
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let warnings = model::load(folder.path(), &device()).unwrap().warnings;
        let told = warnings.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n");
        match &case.warned {
            Some(said) => assert!(told.contains(said), "{}: {told:?}", case.name),
            None => assert_eq!(told, "", "{}", case.name),
        }
    }
}

/// The least tokenizer: one token.
const TOKENIZER: [(&str, &str); 2] = [
    ("tokenizer.json", r#"{"added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#),
    ("tokenizer_config.json", "{}"),
];

#[test]
fn every_rotary_kind_moves_the_logits_of_the_last_token() {
    // Or the parity above would say nothing about it.
    let Corpus { tokens, cases, .. } = corpus();
    let mut seen: Vec<(String, Vec<f32>)> = Vec::new();
    for case in cases.iter().filter(|case| case.folder == "rope" && case.says.is_none()) {
        let folder = case.folder();
        let kind = format!("{:?}", ModelConfig::load(folder.path()).unwrap().rope);
        if seen.iter().any(|(other, _)| *other == kind) || kind.contains("Dynamic") {
            continue;
        }
        let last = logits_at(&Transformer::load(folder.path(), &device()).unwrap(), &tokens, &[47]);
        for (other, logits) in &seen {
            let difference = largest_difference(logits, &last);
            assert!(difference > 100.0 * LOGIT_TOLERANCE, "{kind} and {other}: {difference:e}");
        }
        seen.push((kind, last));
    }
    assert!(seen.len() > 12, "only {} kinds", seen.len());
}
