//! A tiny model, an engine over it, and a way to run it to the end.

use std::sync::Arc;

use engine::{Completion, Detokenize, Engine, EngineConfig, Request, Sampling};
use model::{Family, InferenceModel, ModelConfig, Sizes, Transformer, WeightDtype};
use ops::DeviceSpec;

pub(crate) const VOCABULARY: u32 = 64;
pub(crate) const WIDTH: usize = 32;

pub(crate) fn transformer(seed: u64) -> Transformer {
    let sizes = Sizes {
        vocab_size: VOCABULARY as usize,
        hidden_size: WIDTH,
        intermediate_size: 64,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 128,
        tied: true,
    };
    let config = ModelConfig::new(Family::Qwen2, &sizes).expect("the sizes fit each other");
    let device = DeviceSpec::Cpu.open().expect("the CPU is always there");
    Transformer::random(Arc::new(config), seed, &device).expect("the configuration is valid")
}

pub(crate) fn weights(seed: u64) -> InferenceModel {
    transformer(seed).freeze(WeightDtype::F32)
}

/// Room for everything at once.
pub(crate) const ROOMY: EngineConfig =
    EngineConfig { kv_blocks: 512, block_size: 4, max_running: 64, prefill_chunk_tokens: 4096, max_context: 128 };

pub(crate) fn engine(config: EngineConfig) -> Engine {
    Engine::new(weights(1), 1, config, None).expect("the configuration is valid")
}

pub(crate) fn engine_with_text(detokenize: Arc<Detokenize>) -> Engine {
    Engine::new(weights(1), 1, ROOMY, Some(detokenize)).expect("the configuration is valid")
}

pub(crate) fn seed(number: u8) -> [u8; 32] {
    [number; 32]
}

/// Prompt `number`: a few tokens of no meaning, `length` of them.
pub(crate) fn prompt(number: u32, length: u32) -> Arc<[u32]> {
    (0..length).map(|index| (number * 31 + index * 7 + 3) % VOCABULARY).collect()
}

pub(crate) fn request(id: u64, prompt: Arc<[u32]>, seeds: &[u8], sampling: Sampling) -> Request {
    let seeds = seeds.iter().map(|&number| seed(number)).collect();
    Request { id, prompt, seeds, sampling, want_hidden: true, weight_version: None }
}

/// Steps until nothing is left, checking the invariants; completions by request and sample.
pub(crate) fn finish(engine: &mut Engine) -> Vec<Completion> {
    let mut all = Vec::new();
    for _ in 0..100_000 {
        if engine.is_idle() {
            all.sort_by_key(|completion: &Completion| (completion.request, completion.sample_index));
            return all;
        }
        all.extend(engine.step().expect("the logits of a random model are finite"));
        engine.assert_invariants();
    }
    panic!("the engine did not come to an end: {:?}", engine.stats());
}
