//! Folders that we write, loaded by transformers. `ESSAIM_PYTHON` names the Python to ask (else
//! `python3`); skipped where it has no transformers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use model::{Family, ModelConfig, SaveOptions, Sizes, Tokenizer, Transformer, WeightDtype};
use ops::Segments;
use serde::Deserialize;
use serde_json::json;

use crate::support::{FAMILIES, device, fixture, largest_difference, load, numbers, positions};

/// Largest difference allowed between our logits and those of transformers from the folder we wrote.
const LOGIT_TOLERANCE: f32 = 1e-4;
/// The status of `check_folder.py` where a module is missing.
const NOT_INSTALLED: i32 = 77;
const TEXT: &str = "cab, a  b\né東c!";

#[derive(Deserialize)]
struct Answer {
    problems: serde_json::Value,
    logits: Vec<f32>,
    text_ids: Vec<u32>,
    text: String,
    eos: u32,
    pad: Option<u32>,
    config_eos: serde_json::Value,
    stored: String,
}

/// What transformers says of the folders, or nothing where it is not there to ask.
fn ask(folders: &[PathBuf]) -> Option<Vec<Answer>> {
    let python = env::var("ESSAIM_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = fixture("..").join("check_folder.py");
    let output = match Command::new(&python).arg(script).args(folders).output() {
        Ok(output) if output.status.code() != Some(NOT_INSTALLED) => output,
        _ => {
            println!("skipped: {python} with torch and transformers was not found");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Saves a model with a tokenizer and a question, and gives our own logits for it.
fn write(model: &Transformer, tokenizer: &Tokenizer, folder: &Path, dtype: WeightDtype) -> Vec<f32> {
    model.save(folder, &SaveOptions { dtype, shard_bytes_max: 30_000, tokenizer: Some(tokenizer) }).unwrap();
    let ids: Arc<[u32]> = [5, 9, 2, 30, 31, 8, 8, 69, 0, 44].into();
    fs::write(folder.join("ids.json"), json!({"ids": &ids[..], "text": TEXT}).to_string()).unwrap();
    let stored = Transformer::load(folder, &device()).unwrap();
    let hidden = stored.hidden(&ids, &positions(&[10]), &Segments::from_lengths(&[10]));
    numbers(stored.logits(hidden))
}

/// A model that never was a folder: fresh weights, fresh configuration.
fn fresh(family: Family, tied: bool) -> Transformer {
    let sizes = Sizes {
        vocab_size: 70,
        hidden_size: 24,
        intermediate_size: 40,
        layers: 3,
        heads: 3,
        key_value_heads: 1,
        head_dim: (family == Family::Qwen3).then_some(20),
        max_positions: 40,
        tied,
    };
    let mut config = ModelConfig::new(family, &sizes).unwrap();
    config.initializer_range = 0.3;
    Transformer::random(Arc::new(config), 5, &device()).unwrap()
}

#[test]
fn transformers_computes_our_logits_from_the_folders_we_write() {
    let parent = tempfile::tempdir().unwrap();
    let mut models: Vec<(String, Transformer)> = FAMILIES.iter().map(|name| ((*name).into(), load(name))).collect();
    for family in [Family::Qwen2, Family::Qwen3, Family::Llama] {
        models.push((format!("fresh-{}", family.model_type()), fresh(family, family == Family::Llama)));
    }
    let tokenizer = Tokenizer::characters("abc, \n!é東").unwrap();
    let mut folders = Vec::new();
    let mut ours = Vec::new();
    for (index, (name, model)) in models.iter().enumerate() {
        let dtype = if index % 2 == 0 { WeightDtype::F32 } else { WeightDtype::Bf16 };
        folders.push(parent.path().join(name));
        ours.push((write(model, &tokenizer, &folders[index], dtype), dtype));
    }
    let Some(answers) = ask(&folders) else { return };
    for ((answer, (logits, dtype)), (name, model)) in answers.iter().zip(&ours).zip(&models) {
        assert_eq!(answer.problems, json!({}), "{name}");
        let difference = largest_difference(&answer.logits, logits);
        println!("{name}: largest difference {difference:e}");
        assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
        assert_eq!(answer.text_ids, tokenizer.encode(TEXT).unwrap(), "{name}");
        assert_eq!((answer.text.as_str(), answer.eos, answer.pad), (TEXT, 1, Some(0)), "{name}");
        let stored = if *dtype == WeightDtype::F32 { "torch.float32" } else { "torch.bfloat16" };
        assert_eq!(answer.stored, stored, "{name}");
        let expected = match model.config().eos_ids.as_slice() {
            [] => json!(1),
            [one] => json!(one),
            several => json!(several),
        };
        assert_eq!(answer.config_eos, expected, "{name}");
    }
}

#[test]
fn transformers_computes_and_tokenizes_as_we_do_from_folders_that_were_gguf_files() {
    let names = ["q4_0", "heads", "qwen2", "qwen3", "spm", "pre_llama-bpe", "rope_yarn", "rope_llama3", "rope_own"];
    let parent = tempfile::tempdir().unwrap();
    let load = |name: &str| model::load(&fixture(&format!("../compat/gguf/{name}.gguf")), &device()).unwrap();
    let files = names.map(load);
    let folders = names.map(|name| parent.path().join(name));
    let write =
        |(file, folder): (&model::Loaded, &PathBuf)| write(&file.model, &file.tokenizer, folder, WeightDtype::F32);
    let ours: Vec<Vec<f32>> = files.iter().zip(&folders).map(write).collect();
    let Some(answers) = ask(&folders) else { return };
    for (((answer, logits), file), name) in answers.iter().zip(&ours).zip(&files).zip(names) {
        assert_eq!(answer.problems, json!({}), "{name}");
        let difference = largest_difference(&answer.logits, logits);
        println!("{name}: largest difference {difference:e}");
        assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
        assert_eq!(answer.text_ids, file.tokenizer.encode(TEXT).unwrap(), "{name}");
        assert_eq!(file.tokenizer.eos_ids(), [answer.eos], "{name}");
    }
}
