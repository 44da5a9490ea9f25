//! One input down every path, one answer: packed or single, cached or whole, packed matrices or
//! tensors, with gradients or without.

use std::sync::Arc;

use model::{Family, InferenceModel, ModelConfig, Sizes, Transformer, WeightDtype};
use ops::{CacheView, CachedSegment, KvPool, Segments, host};

use crate::support::{
    FAMILIES, LENGTHS, device, expected, largest_difference, load, numbers, packed_logits, positions,
};

/// Largest difference between two paths through the same weights in f32; logits reach about 4.
const PATH_TOLERANCE: f32 = 1e-5;
/// Rounding weights to 8 bits of precision moves logits of these models by up to about 0.05.
const BF16_TOLERANCE: f32 = 0.2;

/// The sequences of a fixture, each on its own.
fn sequences(tokens: &Arc<[u32]>) -> Vec<Arc<[u32]>> {
    Segments::from_lengths(&LENGTHS).ranges().map(|rows| tokens[rows].into()).collect()
}

#[test]
fn sequences_in_one_batch_do_not_see_each_other() {
    for name in FAMILIES {
        let (model, tokens) = (load(name), expected(name).tokens);
        let alone: Vec<f32> = sequences(&tokens)
            .iter()
            .flat_map(|tokens| {
                let lengths = [tokens.len()];
                let hidden = model.hidden(tokens, &positions(&lengths), &Segments::from_lengths(&lengths));
                numbers(model.logits(hidden))
            })
            .collect();
        let difference = largest_difference(&packed_logits(&model, &tokens), &alone);
        assert!(difference <= PATH_TOLERANCE, "{name}: {difference:e}");
    }
}

#[test]
fn tokens_fed_through_the_cache_give_what_the_whole_sequence_gives() {
    for name in FAMILIES {
        let (model, tokens) = (load(name), expected(name).tokens);
        let frozen = model.freeze(WeightDtype::F32);
        let difference = largest_difference(&packed_logits(&model, &tokens), &cached_logits(&frozen, &tokens));
        println!("{name}: cached against whole {difference:e}");
        assert!(difference <= PATH_TOLERANCE, "{name}: {difference:e}");
    }
}

#[test]
fn trainable_weights_run_the_same_cached_path() {
    let (model, tokens) = (load("qwen3"), sequences(&expected("qwen3").tokens)[0].clone());
    let mut pool = KvPool::new(model.config().layers, 3, 8, model.config().key_value_width(), &device());
    let view = CacheView { segments: vec![CachedSegment { rows: 0..24, past: 0, blocks: [2, 0, 1].into() }] };
    let cached = numbers(model.hidden_cached(&tokens, &positions(&[24]), &mut pool, &view));
    let whole = numbers(model.hidden(&tokens, &positions(&[24]), &Segments::from_lengths(&[24])));
    assert!(largest_difference(&cached, &whole) <= PATH_TOLERANCE);
}

/// All sequences at once through one pool of interleaved blocks: first a third of each, then the rest
/// in steps of two tokens.
fn cached_logits(model: &InferenceModel, tokens: &Arc<[u32]>) -> Vec<f32> {
    const BLOCK: usize = 4;
    let sequences = sequences(tokens);
    let mut pool = model.kv_pool(20, BLOCK);
    let blocks: Vec<Arc<[u32]>> = (0..3).map(|sequence| (0..6).map(|block| 3 * block + sequence).collect()).collect();
    let mut rows: Vec<Vec<f32>> = vec![Vec::new(); 3];
    let mut past = [0; 3];
    while past != LENGTHS {
        let fresh: Vec<usize> =
            (0..3).map(|s| (if past[s] == 0 { LENGTHS[s].div_ceil(3) } else { 2 }).min(LENGTHS[s] - past[s])).collect();
        let part = |s: usize| past[s]..past[s] + fresh[s];
        let step: Arc<[u32]> = (0..3).flat_map(|s| sequences[s][part(s)].to_vec()).collect();
        let at: Arc<[u32]> = (0..3).flat_map(|s| part(s).map(|position| position as u32)).collect();
        let lanes = Segments::from_lengths(&fresh);
        let segments = lanes.ranges().enumerate();
        let segments = segments.map(|(s, rows)| CachedSegment { rows, past: past[s], blocks: blocks[s].clone() });
        let view = CacheView { segments: segments.collect() };
        let logits = numbers(model.logits(model.hidden_cached(&step, &at, &mut pool, &view)));
        for (s, lane) in lanes.ranges().enumerate() {
            let vocab = model.config().vocab_size;
            rows[s].extend(&logits[lane.start * vocab..lane.end * vocab]);
            past[s] += fresh[s];
        }
    }
    rows.concat()
}

#[test]
fn bf16_weights_differ_by_their_rounding_and_no_more() {
    // The files of llama3 hold bf16 already, so that rounding changes nothing; those of llama2 hold f32.
    let moved = |name: &str| {
        let (model, tokens) = (load(name), expected(name).tokens);
        let frozen = model.freeze(WeightDtype::Bf16);
        let hidden = frozen.hidden(&tokens, &positions(&LENGTHS), &Segments::from_lengths(&LENGTHS));
        largest_difference(&packed_logits(&model, &tokens), &numbers(frozen.logits(hidden)))
    };
    assert!(moved("llama3") <= PATH_TOLERANCE);
    let rounding = moved("llama2");
    println!("bf16 rounding moves the logits of llama2 by {rounding:e}");
    assert!(rounding > 100.0 * PATH_TOLERANCE && rounding < BF16_TOLERANCE, "{rounding:e}");
}

#[test]
fn every_parameter_gets_a_gradient_even_through_a_tied_head() {
    for name in FAMILIES {
        let (model, tokens) = (load(name).require_grad(), expected(name).tokens);
        let hidden = model.hidden(&tokens, &positions(&LENGTHS), &Segments::from_lengths(&LENGTHS));
        let gradients = model.logits(hidden).powi_scalar(2).mean().backward();
        for param in &model.params().list {
            let gradient = param.value.grad(&gradients);
            let gradient = gradient.unwrap_or_else(|| panic!("{name}: {} has no gradient", param.name));
            assert!(host::to_vec_f32(&gradient).iter().any(|g| g.abs() > 1e-7), "{name}: {} is zero", param.name);
        }
        assert!(!model.without_grad().device().is_autodiff());
    }
}

fn small() -> Arc<ModelConfig> {
    let sizes = Sizes {
        vocab_size: 300,
        hidden_size: 64,
        intermediate_size: 96,
        layers: 2,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 32,
        tied: true,
    };
    Arc::new(ModelConfig::new(Family::Qwen2, &sizes).unwrap())
}

#[test]
fn fresh_weights_depend_on_the_seed_alone_and_have_the_asked_spread() {
    let values = |seed| Transformer::random(small(), seed, &device()).unwrap().snapshot().to_vecs();
    let (first, again, other) = (values(1), values(1), values(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let embedding = &first[0];
    // Golden: the first numbers of the embedding for seed 1, on any machine.
    assert_eq!(embedding[..3].iter().map(|v| v.to_bits()).collect::<Vec<_>>(), GOLDEN);
    let mean = embedding.iter().sum::<f32>() / embedding.len() as f32;
    let deviation = (embedding.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / embedding.len() as f32).sqrt();
    // 19 200 numbers: the mean's own spread is 0.02 / 139 = 0.00014, that of the deviation 0.0001.
    assert!(mean.abs() < 6e-4, "mean {mean}");
    assert!((deviation - 0.02).abs() < 5e-4, "deviation {deviation}");
    let of = |end: &str| &first[small().layout().iter().position(|spec| spec.name.ends_with(end)).unwrap()];
    assert!(of("q_proj.bias").iter().all(|&v| v == 0.0) && of("input_layernorm.weight").iter().all(|&v| v == 1.0));
    assert_ne!(of("0.mlp.gate_proj.weight"), of("0.mlp.up_proj.weight"));
}

const GOLDEN: [u32; 3] = [1008540593, 3154789257, 3161464391];

#[test]
fn models_may_move_between_threads() {
    fn sendable<T: Send>() {}
    sendable::<InferenceModel>();
    sendable::<Transformer>();
}
