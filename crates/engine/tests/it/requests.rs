//! What a request may say, how it ends, and what comes back.

use std::sync::Arc;

use engine::{Engine, EngineConfig, EngineError, Request, Sampling};
use protocol::FinishReason;

use crate::support::{ROOMY, VOCABULARY, WIDTH, engine, engine_with_text, finish, prompt, request, seed, weights};

fn complete(sampling: Sampling) -> engine::Completion {
    let mut engine = engine(ROOMY);
    engine.submit(request(1, prompt(1, 6), &[1], sampling)).unwrap();
    finish(&mut engine).pop().unwrap()
}

#[test]
fn a_seed_fixes_the_completion_and_another_seed_changes_it() {
    let mut engine = engine(ROOMY);
    engine.submit(request(1, prompt(1, 6), &[1, 2, 1], Sampling::new(20))).unwrap();
    let done = finish(&mut engine);
    assert_eq!(done[0].tokens, done[2].tokens);
    assert_ne!(done[0].tokens, done[1].tokens);
    assert_eq!(done[0].tokens.len(), 20);
    assert_eq!(done[0].logprobs.len(), 20);
    assert_eq!(done[0].weight_versions, [1; 20]);
    assert_eq!(done[0].hidden.as_ref().unwrap().len(), 20 * WIDTH);
    assert_eq!(done[0].finish, FinishReason::Length);
}

#[test]
fn first_tokens_follow_the_probabilities_that_are_reported() {
    // 6000 samples of one prompt. Chi-square with 63 degrees of freedom: above 103.4 once in a
    // thousand. The probabilities are those that the engine reports for the tokens it drew.
    const SAMPLES: u32 = 6000;
    let seeds = (0..SAMPLES).map(|n| std::array::from_fn(|i| (n >> (i % 4 * 8)) as u8)).collect();
    let mut engine = engine(EngineConfig { kv_blocks: 8192, max_running: 6000, ..ROOMY });
    let request = Request { seeds, want_hidden: false, ..request(1, prompt(1, 6), &[], Sampling::new(1)) };
    engine.submit(request).unwrap();
    let mut counts = vec![(0u32, 0.0f64); VOCABULARY as usize];
    for completion in finish(&mut engine) {
        assert_eq!(completion.hidden, None);
        let (count, probability) = &mut counts[completion.tokens[0] as usize];
        *count += 1;
        *probability = f64::from(completion.logprobs[0]).exp();
    }
    let seen: f64 = counts.iter().map(|(_, probability)| probability).sum();
    assert!((seen - 1.0).abs() < 1e-5, "some token was never drawn: {seen}");
    let chi_square: f64 = counts
        .iter()
        .map(|&(count, probability)| {
            let expected = probability * f64::from(SAMPLES);
            (f64::from(count) - expected).powi(2) / expected
        })
        .sum();
    assert!(chi_square < 103.4, "chi-square {chi_square}");
}

#[test]
fn temperature_zero_ignores_the_seed() {
    let mut engine = engine(ROOMY);
    let greedy = Sampling { temperature: 0.0, ..Sampling::new(12) };
    let top_one = Sampling { top_k: Some(1), ..Sampling::new(12) };
    engine.submit(request(1, prompt(1, 6), &[1, 2], greedy)).unwrap();
    engine.submit(request(2, prompt(1, 6), &[3], top_one)).unwrap();
    let done = finish(&mut engine);
    assert_eq!(done[0].tokens, done[1].tokens);
    assert_eq!(done[0].tokens, done[2].tokens, "top-k of 1 is greedy too");
}

#[test]
fn a_stop_token_ends_the_completion_and_stays_in_it() {
    let free = complete(Sampling::new(30));
    let stop = free.tokens[7];
    let first = free.tokens.iter().position(|&token| token == stop).unwrap();
    let stopped = complete(Sampling { stop_tokens: vec![stop], ..Sampling::new(30) });
    assert_eq!(stopped.tokens, free.tokens[..=first]);
    assert_eq!(stopped.finish, FinishReason::StopToken);
}

#[test]
fn a_stop_string_ends_the_completion_with_the_token_that_completed_it() {
    let letters = |tokens: &[u32]| tokens.iter().map(|&token| char::from(b'0' + token as u8)).collect::<String>();
    let free = complete(Sampling::new(30));
    let stop = letters(&free.tokens[8..11]);
    let mut engine = engine_with_text(Arc::new(move |tokens: &[u32]| vec![letters(tokens)]));
    let sampling = Sampling { stop_strings: vec!["no such text".into(), stop.clone()], ..Sampling::new(30) };
    engine.submit(request(1, prompt(1, 6), &[1], sampling)).unwrap();
    let stopped = finish(&mut engine).pop().unwrap();
    let end = letters(&free.tokens).find(&stop).unwrap() + 3;
    assert_eq!(stopped.tokens, free.tokens[..end]);
    assert_eq!(stopped.finish, FinishReason::StopString);
}

#[test]
fn the_context_ends_a_completion() {
    let mut engine = engine(EngineConfig { max_context: 16, ..ROOMY });
    engine.submit(request(1, prompt(1, 10), &[1], Sampling::new(usize::MAX))).unwrap();
    let done = finish(&mut engine).pop().unwrap();
    assert_eq!((done.tokens.len(), done.finish), (6, FinishReason::Length));
}

#[test]
fn cancelled_samples_come_back_with_what_they_have_and_free_their_blocks() {
    let mut engine = engine(EngineConfig { max_running: 2, ..ROOMY });
    engine.submit(request(1, prompt(1, 6), &[1, 2, 3], Sampling::new(50))).unwrap();
    engine.submit(request(2, prompt(2, 6), &[4], Sampling::new(5))).unwrap();
    for _ in 0..4 {
        assert!(engine.step().unwrap().is_empty());
    }
    assert_eq!(engine.cancel(1), 3);
    assert_eq!(engine.cancel(1), 0, "cancelled already");
    assert_eq!(engine.cancel(9), 0, "never seen");
    engine.assert_invariants();
    assert_eq!(engine.stats().free_blocks, ROOMY.kv_blocks);
    assert!(!engine.is_idle(), "the cancelled samples are not given back yet");
    let done = finish(&mut engine);
    let told: Vec<_> = done.iter().map(|c| (c.request, c.tokens.len(), c.finish)).collect();
    let cancelled = FinishReason::Cancelled;
    assert_eq!(told, [(1, 4, cancelled), (1, 4, cancelled), (1, 0, cancelled), (2, 5, FinishReason::Length)]);
}

#[test]
fn tokens_carry_the_version_that_made_them_and_prompts_are_not_shared_across_versions() {
    let mut engine = engine(ROOMY);
    let ask = |id| request(id, prompt(1, 9), &[1], Sampling::new(6));
    engine.submit(ask(1)).unwrap();
    for _ in 0..2 {
        engine.step().unwrap();
    }
    engine.swap_weights(weights(2), 8).unwrap();
    assert_eq!(engine.version(), 8);
    engine.submit(ask(2)).unwrap();
    let done = finish(&mut engine);
    assert_eq!(done[0].weight_versions, [1, 1, 8, 8, 8, 8]);
    assert_eq!(done[1].weight_versions, [8; 6]);
    assert_eq!(engine.stats().shared_tokens, 0, "the old prompt's blocks were taken over");

    let mut fresh = Engine::new(weights(2), 8, ROOMY, None).unwrap();
    fresh.submit(ask(2)).unwrap();
    assert_eq!(finish(&mut fresh)[0], done[1], "the new weights answer as if alone");
    fresh.submit(ask(3)).unwrap();
    finish(&mut fresh);
    assert_eq!(fresh.stats().shared_tokens, 8, "within a version prompts are shared");
}

#[test]
fn a_prompt_computed_half_before_a_swap_is_not_shared_after_it() {
    let mut engine = engine(EngineConfig { prefill_chunk_tokens: 5, ..ROOMY });
    let ask = |id| request(id, prompt(1, 14), &[1], Sampling::new(4));
    engine.submit(ask(1)).unwrap();
    engine.step().unwrap();
    engine.swap_weights(weights(2), 2).unwrap();
    finish(&mut engine);
    let mut fresh = Engine::new(weights(2), 2, ROOMY, None).unwrap();
    // The second computes the prompt anew and makes its first block findable; the third follows
    // that block to the next ones, which must not be those of mixed weights.
    for (id, shared) in [(2, 0), (3, 12)] {
        engine.submit(ask(id)).unwrap();
        fresh.submit(ask(id)).unwrap();
        assert_eq!(finish(&mut fresh), finish(&mut engine), "request {id}");
        assert_eq!(engine.stats().shared_tokens, shared);
    }
}

/// Weights whose logits are not numbers.
fn broken_weights() -> model::InferenceModel {
    let snapshot = crate::support::transformer(1);
    let mut broken = snapshot;
    let device = broken.device();
    let last = broken.params_mut().list.last_mut().expect("a model has parameters");
    let count = last.value.dims()[0];
    last.value = ops::host::from_vec(vec![f32::NAN; count], [count], &device);
    broken.freeze(model::WeightDtype::F32)
}

#[test]
fn a_step_that_fails_loses_nothing() {
    let mut engine = engine(ROOMY);
    engine.submit(request(1, prompt(1, 6), &[1, 2], Sampling::new(8))).unwrap();
    engine.step().unwrap();
    engine.swap_weights(broken_weights(), 2).unwrap();
    engine.submit(request(2, prompt(2, 6), &[1, 2], Sampling::new(8))).unwrap();
    for _ in 0..3 {
        let error = engine.step().unwrap_err();
        engine.assert_invariants();
        assert_eq!(error, EngineError::LogitsNotFinite { request: 1, sample_index: 0, position: 7, version: 2 });
    }
    engine.swap_weights(weights(1), 3).unwrap();
    let done = finish(&mut engine);
    assert_eq!(done.len(), 4);
    assert!(done.iter().all(|completion| completion.tokens.len() == 8));
    assert_eq!(done[0].weight_versions[..3], [1, 3, 3]);
}

#[test]
fn bad_requests_are_refused_with_the_limit_and_the_value() {
    let mut engine = engine(EngineConfig { kv_blocks: 8, max_context: 100, ..ROOMY });
    let good = || request(1, prompt(1, 6), &[1], Sampling::new(8));
    let mut refused = |change: &dyn Fn(&mut Request)| {
        let mut bad = good();
        change(&mut bad);
        let error = engine.submit(bad).unwrap_err();
        assert!(engine.is_idle(), "a refused request left something behind");
        error
    };
    let request = 1;
    assert_eq!(refused(&|r| r.prompt = [].into()), EngineError::EmptyPrompt { request });
    assert_eq!(refused(&|r| r.prompt = prompt(1, 100)), EngineError::PromptTooLong { request, limit: 99, given: 100 });
    assert_eq!(
        refused(&|r| r.prompt = [3, 64].into()),
        EngineError::TokenOutsideVocabulary { request, position: 1, limit: 64, given: 64 }
    );
    assert_eq!(refused(&|r| r.seeds.clear()), EngineError::NoSamples { request });
    assert_eq!(
        refused(&|r| r.seeds = vec![seed(0); 65_537]),
        EngineError::QueueFull { request, limit: 65_536, given: 65_537 }
    );
    // 6 + 28 tokens, the last of which needs no room: 33 in blocks of 4.
    assert_eq!(refused(&|r| r.sampling.max_new_tokens = 28), EngineError::PoolTooSmall { request, limit: 8, given: 9 });
    assert_eq!(refused(&|r| r.sampling.max_new_tokens = 0), EngineError::NothingToGenerate { request });
    for given in [-1.0, 1e-4, 1e4, f32::INFINITY] {
        assert_eq!(
            refused(&|r| r.sampling.temperature = given),
            EngineError::Temperature { request, min: 1e-3, max: 1e3, given }
        );
    }
    assert!(matches!(
        refused(&|r| r.sampling.temperature = f32::NAN),
        EngineError::Temperature { given, .. } if given.is_nan()
    ));
    for given in [0.0, -0.5, 1.5] {
        assert_eq!(refused(&|r| r.sampling.top_p = Some(given)), EngineError::TopP { request, given });
    }
    assert_eq!(refused(&|r| r.sampling.top_k = Some(0)), EngineError::TopK { request });
    assert_eq!(
        refused(&|r| r.sampling.stop_strings = vec!["a".into(), String::new()]),
        EngineError::EmptyStopString { request, index: 1 }
    );
    assert_eq!(refused(&|r| r.sampling.stop_strings = vec!["a".into()]), EngineError::NoDetokenizer { request });
    engine.submit(good()).unwrap();
    assert_eq!(engine.submit(good()), Err(EngineError::DuplicateRequest { request }));
    assert_eq!(finish(&mut engine).len(), 1, "the request that runs is not disturbed");
}

#[test]
fn bad_configurations_are_refused() {
    let refused = |config| Engine::new(weights(1), 1, config, None).err().unwrap();
    assert_eq!(refused(EngineConfig { block_size: 0, ..ROOMY }), EngineError::ZeroSize { field: "block_size" });
    assert_eq!(
        refused(EngineConfig { max_context: 129, ..ROOMY }),
        EngineError::ContextBeyondModel { limit: 128, given: 129 }
    );
    assert_eq!(
        refused(EngineConfig { kv_blocks: usize::MAX, ..ROOMY }),
        EngineError::SizeTooLarge { field: "kv_blocks", limit: 1 << 30, given: usize::MAX }
    );
}
