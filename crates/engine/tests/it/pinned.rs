//! A request that names its weights gets all its tokens from them, whatever comes in meanwhile.

use engine::{Completion, Engine, EngineConfig, EngineError, Request, Sampling};

use crate::support::{ROOMY, engine, finish, prompt, request, weights};

const NEW_TOKENS: usize = 12;

fn pinned(id: u64, version: Option<u64>, samples: &[u8]) -> Request {
    let asked = request(id, prompt(3, 10), samples, Sampling::new(NEW_TOKENS));
    Request { weight_version: version, ..asked }
}

/// The answer of an engine that has seen no other weights and no other request.
fn alone(id: u64, version: u64, samples: &[u8]) -> Vec<Completion> {
    let mut engine = Engine::new(weights(version), version, ROOMY, None).unwrap();
    engine.submit(pinned(id, None, samples)).unwrap();
    finish(&mut engine)
}

#[test]
fn weights_that_come_in_meanwhile_change_no_bit() {
    let small = EngineConfig { kv_blocks: 13, prefill_chunk_tokens: 3, ..ROOMY };
    for config in [ROOMY, small] {
        for steps in [0, 1, 2, 5, 9] {
            let mut engine = engine(config);
            engine.submit(pinned(7, Some(1), &[1, 2, 3])).unwrap();
            for _ in 0..steps {
                engine.step().unwrap();
            }
            engine.swap_weights(weights(2), 2).unwrap();
            engine.step().unwrap();
            engine.swap_weights(weights(3), 3).unwrap();
            assert!(finish(&mut engine) == alone(7, 1, &[1, 2, 3]), "after {steps} steps");
        }
    }
}

#[test]
fn requests_of_several_versions_run_side_by_side_as_if_alone() {
    for kv_blocks in [512, 14] {
        let mut engine = engine(EngineConfig { kv_blocks, ..ROOMY });
        engine.submit(pinned(10, Some(1), &[1, 2])).unwrap();
        engine.step().unwrap();
        engine.swap_weights(weights(2), 2).unwrap();
        engine.submit(pinned(11, Some(1), &[3, 4])).unwrap();
        engine.submit(pinned(12, Some(2), &[1, 2])).unwrap();
        engine.submit(pinned(13, None, &[5])).unwrap();
        let done = finish(&mut engine);
        let preemptions = engine.stats().preemptions;
        assert_eq!(preemptions > 0, kv_blocks == 14, "{preemptions} preemptions");
        let expected = [alone(10, 1, &[1, 2]), alone(11, 1, &[3, 4]), alone(12, 2, &[1, 2]), alone(13, 2, &[5])];
        assert!(done == expected.concat(), "{kv_blocks} blocks");
    }
}

#[test]
fn prompts_are_shared_within_a_version_only() {
    let mut engine = engine(ROOMY);
    engine.swap_weights(weights(2), 2).unwrap();
    let mut shared = Vec::new();
    // A prompt of 10 tokens has two full blocks of 4.
    for version in [Some(1), Some(2), Some(1), None, Some(2), None] {
        engine.submit(pinned(1, version, &[1])).unwrap();
        let before = engine.stats().shared_tokens;
        assert!(finish(&mut engine) == alone(1, version.unwrap_or(2), &[1]), "{version:?}");
        shared.push(engine.stats().shared_tokens - before);
    }
    assert_eq!(shared, [0, 0, 8, 0, 8, 8]);
}

#[test]
fn weights_are_held_while_somebody_needs_them_and_the_newest_two_always() {
    let mut engine = engine(ROOMY);
    engine.submit(pinned(1, Some(1), &[1])).unwrap();
    let held = |engine: &Engine| (1..=4).filter(|&version| engine.holds(version)).collect::<Vec<u64>>();
    for version in 2..=4 {
        engine.swap_weights(weights(version), version).unwrap();
    }
    assert_eq!(held(&engine), [1, 3, 4]);
    let refused = engine.submit(pinned(2, Some(2), &[1])).unwrap_err();
    assert_eq!(refused, EngineError::UnknownVersion { request: 2, version: 2 });
    finish(&mut engine);
    assert_eq!(held(&engine), [3, 4]);
    engine.submit(pinned(3, Some(3), &[1])).unwrap();
    engine.cancel(3);
    finish(&mut engine);
    engine.swap_weights(weights(1), 1).unwrap();
    assert_eq!(held(&engine), [1, 4]);
    assert_eq!(engine.version(), 1);
}
