//! Fixtures and small tools that the tests share.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::{Device, Tensor};
use model::{Family, ModelConfig, Sizes, Transformer};
use ops::{
    Segments,
    gemm::{Kernel, set_kernel},
    host,
};
use safetensors::SafeTensors;
use tempfile::TempDir;

/// Every model folder that the script makes.
pub(crate) const FAMILIES: [&str; 6] = ["qwen2_tied", "qwen2_untied", "qwen3", "llama2", "llama3", "llama_biases"];
/// Lengths of the sequences in every fixture (`LENGTHS` in the script).
pub(crate) const LENGTHS: [usize; 3] = [24, 1, 17];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The CPU, with products in plain f32: these tests ask whether the model is right, so they leave
/// out the split-bf16 kernel, which `inference::tests` measures by itself.
pub(crate) fn device() -> Device {
    let exact = [Kernel::Avx512, Kernel::Avx2, Kernel::Portable];
    assert!(exact.into_iter().any(|kernel| set_kernel(kernel).is_ok()));
    Device::flex()
}

pub(crate) fn load(name: &str) -> Transformer {
    Transformer::load(&fixture(name), &device()).expect("a committed fixture")
}

/// A private copy of a fixture folder, to spoil.
pub(crate) fn copy_of(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

/// Changes config.json of a copied folder.
pub(crate) fn edit_config(folder: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(&path, config.to_string()).unwrap();
}

/// Token ids of all sequences end to end, and transformers' logits for them, `[tokens, vocab]`.
pub(crate) struct Expected {
    pub(crate) tokens: Arc<[u32]>,
    pub(crate) logits: Vec<f32>,
}

pub(crate) fn expected(name: &str) -> Expected {
    let bytes = fs::read(fixture(name).join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name| -> Vec<[u8; 4]> { file.tensor(name).unwrap().data().as_chunks().0.to_vec() };
    Expected {
        tokens: words("tokens").into_iter().map(u32::from_le_bytes).collect(),
        logits: words("logits").into_iter().map(f32::from_le_bytes).collect(),
    }
}

/// 0, 1, .. in each sequence.
pub(crate) fn positions(lengths: &[usize]) -> Arc<[u32]> {
    lengths.iter().flat_map(|&length| 0..length as u32).collect()
}

/// Logits of the fixture's sequences, all in one packed batch.
pub(crate) fn packed_logits(model: &Transformer, tokens: &Arc<[u32]>) -> Vec<f32> {
    let hidden = model.hidden(tokens, &positions(&LENGTHS), &Segments::from_lengths(&LENGTHS));
    host::to_vec_f32(&model.logits(hidden))
}

pub(crate) fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    host::to_vec_f32(&tensor)
}

/// The largest difference between two lists of the same length; infinite where one is not a number.
pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "lists of different length");
    let difference = |(a, b): (&f32, &f32)| {
        if a.is_nan() || b.is_nan() { f32::INFINITY } else { (a - b).abs() }
    };
    a.iter().zip(b).map(difference).fold(0.0, f32::max)
}

/// The logits at some rows of one sequence, end to end.
pub(crate) fn logits_at(model: &Transformer, tokens: &[u32], rows: &[usize]) -> Vec<f32> {
    let hidden =
        model.hidden(&Arc::from(tokens), &positions(&[tokens.len()]), &Segments::from_lengths(&[tokens.len()]));
    let all = numbers(model.logits(hidden));
    let vocab = model.config().vocab_size;
    rows.iter().flat_map(|row| all[row * vocab..(row + 1) * vocab].to_vec()).collect()
}

/// The smallest Llama with that many embeddings, with fresh weights.
pub(crate) fn tiny(vocab_size: usize) -> Transformer {
    let sizes = Sizes {
        vocab_size,
        hidden_size: 16,
        intermediate_size: 16,
        layers: 1,
        heads: 1,
        key_value_heads: 1,
        head_dim: None,
        max_positions: 16,
        tied: true,
    };
    let config = ModelConfig::new(Family::Llama, &sizes).unwrap();
    Transformer::random(config.into(), 1, &device()).unwrap()
}
