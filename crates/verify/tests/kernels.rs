//! The prefill has the engine's bits under every matrix kernel of this machine.
//!
//! A binary of its own, for the kernel is chosen for the whole process.

use std::sync::Arc;

use engine::{Completion, Engine, EngineConfig, Request, Sampling, tempered_logprob};
use model::{Family, InferenceModel, ModelConfig, ModelSnapshot, Sizes, Transformer, WeightDtype};
use ops::gemm::{Kernel, set_kernel};
use verify::prefill;

fn snapshot() -> ModelSnapshot {
    let sizes = Sizes {
        vocab_size: 96,
        hidden_size: 64,
        intermediate_size: 160,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 256,
        tied: true,
    };
    let config = ModelConfig::new(Family::Qwen2, &sizes).expect("the sizes fit each other");
    let device = ops::DeviceSpec::Cpu.open().expect("the CPU is always there");
    Transformer::random(Arc::new(config), 3, &device).expect("the configuration is valid").snapshot()
}

fn model(snapshot: &ModelSnapshot, dtype: WeightDtype) -> InferenceModel {
    InferenceModel::from_snapshot(snapshot, dtype, &ops::DeviceSpec::Cpu.open().expect("as above"))
}

/// Forty samples of one prompt, decoded together, some of them driven out of a small cache.
fn generate(model: InferenceModel, prompt: &Arc<[u32]>) -> Vec<Completion> {
    let config =
        EngineConfig { kv_blocks: 150, block_size: 8, max_running: 40, prefill_chunk_tokens: 13, max_context: 200 };
    let mut engine = Engine::new(model, 1, config, None).expect("the configuration is valid");
    let sampling = Sampling { temperature: 0.8, stop_tokens: vec![5], ..Sampling::new(70) };
    let seeds = (0..40).map(|number| [number; 32]).collect();
    let request =
        Request { id: 1, prompt: prompt.clone(), seeds, sampling, want_hidden: true, weight_version: Some(1) };
    engine.submit(request).expect("the request is valid");
    let mut done = Vec::new();
    while !engine.is_idle() {
        done.extend(engine.step().expect("the logits of a random model are finite"));
    }
    assert!(engine.stats().preemptions > 0, "the cache was not small");
    done.sort_by_key(|completion| completion.sample_index);
    done
}

#[test]
fn the_prefill_has_the_bits_of_the_engine_under_every_kernel() {
    let snapshot = snapshot();
    let prompt: Arc<[u32]> = (0..37).map(|at| (at * 11 + 2) % 96).collect();
    let kernels = Kernel::ALL.into_iter().filter(|kernel| set_kernel(*kernel).is_ok());
    for (kernel, dtype) in kernels.flat_map(|kernel| [(kernel, WeightDtype::F32), (kernel, WeightDtype::Bf16)]) {
        set_kernel(kernel).expect("it was there just now");
        let done = generate(model(&snapshot, dtype), &prompt);
        let completions: Vec<&[u32]> = done.iter().map(|completion| completion.tokens.as_slice()).collect();
        let found = prefill(&model(&snapshot, dtype), &prompt, &completions, |row| {
            tempered_logprob(row.logits, 0.8, row.token)
        });
        for (found, done) in found.expect("the engine's tokens are valid").iter().zip(&done) {
            let name = format!("{kernel}, {dtype:?}, sample {}", done.sample_index);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(bits(&found.hidden) == bits(done.hidden.as_deref().unwrap_or_default()), "{name}: hidden states");
            let logprobs: Option<Vec<f32>> = found.rows.iter().copied().collect();
            assert!(bits(&logprobs.unwrap_or_default()) == bits(&done.logprobs), "{name}: log-probabilities");
        }
        println!("{kernel}, {dtype:?}: {} samples", done.len());
    }
}
