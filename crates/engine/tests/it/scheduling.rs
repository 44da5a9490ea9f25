//! Whatever is asked, in whatever order, with however little room: nothing is lost or stuck.

use std::collections::BTreeMap;

use engine::{EngineConfig, Sampling};
use proptest::prelude::*;
use protocol::FinishReason;

use crate::support::{engine, finish, prompt, request, weights};

#[derive(Clone, Debug)]
enum Event {
    Submit { prompt: u32, length: u32, samples: u8, new_tokens: usize, stop: bool },
    Steps(u32),
    Cancel(u64),
    Swap,
}

fn event() -> impl Strategy<Value = Event> {
    let submit = (0u32..3, 1u32..14, 1u8..6, 1usize..12, any::<bool>()).prop_map(
        |(prompt, length, samples, new_tokens, stop)| Event::Submit { prompt, length, samples, new_tokens, stop },
    );
    prop_oneof![
        4 => submit,
        4 => (1u32..6).prop_map(Event::Steps),
        1 => (0u64..12).prop_map(Event::Cancel),
        1 => Just(Event::Swap),
    ]
}

fn config() -> impl Strategy<Value = EngineConfig> {
    (1usize..16, 1usize..6, 1usize..8, 1usize..20).prop_map(
        |(kv_blocks, block_size, max_running, prefill_chunk_tokens)| EngineConfig {
            kv_blocks,
            block_size,
            max_running,
            prefill_chunk_tokens,
            max_context: 24,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_sample_is_refused_or_finished_exactly_once(
        config in config(),
        events in proptest::collection::vec(event(), 1..14),
    ) {
        let mut engine = engine(config);
        let mut expected: BTreeMap<(u64, u32), usize> = BTreeMap::new();
        let mut done = Vec::new();
        for (id, event) in (0u64..).zip(events) {
            match event {
                Event::Submit { prompt: number, length, samples, new_tokens, stop } => {
                    let seeds: Vec<u8> = (0..samples).collect();
                    let stop_tokens = if stop { (0..20).collect() } else { Vec::new() };
                    let sampling = Sampling { stop_tokens, ..Sampling::new(new_tokens) };
                    if engine.submit(request(id, prompt(number, length), &seeds, sampling)).is_ok() {
                        expected.extend((0..u32::from(samples)).map(|s| ((id, s), new_tokens)));
                    }
                }
                Event::Steps(count) => {
                    for _ in 0..count {
                        done.extend(engine.step().unwrap());
                        engine.assert_invariants();
                    }
                }
                Event::Cancel(id) => { engine.cancel(id); }
                Event::Swap => engine.swap_weights(weights(2), id).unwrap(),
            }
            engine.assert_invariants();
        }
        done.extend(finish(&mut engine));
        prop_assert_eq!(engine.stats().free_blocks, config.kv_blocks);
        for completion in done {
            let new_tokens = expected.remove(&(completion.request, completion.sample_index));
            let new_tokens = new_tokens.expect("a completion nobody asked for, or a second one");
            prop_assert!(completion.tokens.len() <= new_tokens);
            prop_assert_eq!(completion.logprobs.len(), completion.tokens.len());
            if completion.finish == FinishReason::StopToken {
                prop_assert!(completion.tokens.last().is_some_and(|&token| token < 20));
            }
        }
        prop_assert!(expected.is_empty(), "lost: {:?}", expected);
    }
}

#[test]
fn the_prompt_of_a_group_is_computed_once_even_if_the_group_does_not_fit() {
    // Two run at once; 10 samples of a prompt of two blocks and a half. Of each later two, one
    // finds the full blocks and computes two tokens, the other starts from its prompt.
    let mut engine = engine(EngineConfig {
        kv_blocks: 64,
        block_size: 4,
        max_running: 2,
        prefill_chunk_tokens: 64,
        max_context: 64,
    });
    let seeds: Vec<u8> = (0..10).collect();
    engine.submit(request(1, prompt(1, 10), &seeds, Sampling::new(3))).unwrap();
    assert_eq!(finish(&mut engine).len(), 10);
    // The prompt, two tokens again for each later pair, and two decoded tokens for each of the 10.
    assert_eq!(engine.stats().computed_tokens, 10 + 4 * 2 + 10 * 2);
    assert_eq!(engine.stats().shared_tokens, 10 + 4 * (8 + 10));
}
