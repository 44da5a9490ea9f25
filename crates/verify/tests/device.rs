//! Workers and validators on a card beside those on the CPU: the same tokens, and each believes the other.
//!
//! The card is the one that `ESSAIM_TEST_DEVICE` names, `wgpu:0` without it. With it the other tests of this crate put
//! their validator there too, so that every lie is also caught on a card.

#[allow(dead_code, reason = "shared with the tests of the CPU")]
#[path = "it/judged.rs"]
mod judged;

use std::sync::Arc;

use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use judged::{ALL, World, order, snapshot};
use model::{InferenceModel, WeightDtype};
use ops::DeviceSpec;
use protocol::{CheckedRollout, DtypeTerm, Outcome, Rollout};

/// Groups that are judged both ways.
const GROUPS: u64 = 8;
/// Largest log-probability error between card and CPU, in millionths of a nat: an estimate, for the kernels of the CPU differ
/// by 240 at most on the small model.
const LOGPROB_ERROR_MICRO: i64 = 60;
/// Largest distance of fingerprints, in millionths of a standard deviation: an estimate, rounding alone gives up to 488.
const FINGERPRINT_ERROR_PPM: u32 = 500;

fn card() -> DeviceSpec {
    std::env::var("ESSAIM_TEST_DEVICE").map_or(DeviceSpec::Wgpu(0), |name| name.parse().unwrap())
}

/// Samples of one prompt, drawn in ways that use the device's candidates, and in ways that need whole rows.
fn generate(device: DeviceSpec, dtype: WeightDtype) -> Vec<Completion> {
    let model = InferenceModel::from_snapshot(&snapshot(1), dtype, &device.open().unwrap());
    let config =
        EngineConfig { kv_blocks: 60, block_size: 4, max_running: 12, prefill_chunk_tokens: 7, max_context: 60 };
    let mut engine = Engine::new(model, 1, config, None).unwrap();
    let usual = Sampling { stop_tokens: vec![5], ..Sampling::new(30) };
    let ways = [
        Sampling { temperature: 0.8, ..usual.clone() },
        Sampling { temperature: 0.0, ..usual.clone() },
        Sampling { temperature: 1.5, top_k: Some(9), ..usual.clone() },
        Sampling { top_p: Some(0.7), ..usual },
    ];
    let prompt: Arc<[u32]> = (0..19).map(|at| (at * 11 + 2) % 64).collect();
    for (id, sampling) in (0..).zip(ways) {
        let seeds = (0..6).map(|number| [number; 32]).collect();
        let prompt = prompt[id as usize..].into();
        engine.submit(Request { id, prompt, seeds, sampling, want_hidden: true, weight_version: None }).unwrap();
    }
    let mut done = Vec::new();
    while !engine.is_idle() {
        done.extend(engine.step().unwrap());
    }
    assert!(engine.stats().preemptions > 0, "the cache was not small");
    done.sort_by_key(|completion| (completion.request, completion.sample_index));
    done
}

#[test]
fn a_card_draws_the_tokens_of_the_cpu() {
    for dtype in [WeightDtype::F32, WeightDtype::Bf16] {
        let (given, expected) = (generate(card(), dtype), generate(DeviceSpec::Cpu, dtype));
        assert_eq!(given.len(), 24);
        for (given, expected) in given.iter().zip(&expected) {
            assert_eq!((&given.tokens, given.finish), (&expected.tokens, expected.finish), "{dtype:?}");
            let errors = given.logprobs.iter().zip(&expected.logprobs).map(|(a, b)| (a - b).abs());
            assert!(errors.fold(0.0, f32::max) * 1e6 <= LOGPROB_ERROR_MICRO as f32);
            let (given, expected) = (given.hidden.as_ref().unwrap(), expected.hidden.as_ref().unwrap());
            assert!(given.len() == expected.len() && given.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3));
        }
    }
}

/// What a validator on `device` finds of a group; it must be valid.
fn valid(world: &World, device: DeviceSpec, lease: u64, rollouts: &[Rollout]) -> Vec<CheckedRollout> {
    let submission = world.sign(&world.lease(lease), rollouts.to_vec());
    let verdict = world.validator_on(device).check(&order(&submission));
    assert_eq!(verdict.outcome, Outcome::Valid, "on {device}");
    verdict.checked
}

#[test]
fn honest_groups_are_valid_across_card_and_cpu() {
    for dtype in [DtypeTerm::F32, DtypeTerm::Bf16] {
        let world = World::with(ALL, snapshot(1), |sampling| sampling.dtype = dtype);
        let mut seen = Vec::new();
        for number in 0..GROUPS {
            let lease = world.lease(number);
            let made = [card(), DeviceSpec::Cpu]
                .map(|device| world.rollouts_by(world.worker_on(device), &world.snapshot, &lease, |_| ()));
            for (by_card, by_cpu) in made[0].iter().zip(&made[1]) {
                assert_eq!(by_card.completion_tokens, by_cpu.completion_tokens);
            }
            seen.extend(valid(&world, DeviceSpec::Cpu, number, &made[0]));
            seen.extend(valid(&world, card(), number, &made[1]));
            valid(&world, card(), number, &made[0]);
        }
        let most = |of: fn(&CheckedRollout) -> i64| seen.iter().map(of).max().unwrap();
        let logprob = most(|checked| checked.logprob_error_max_micro);
        let fingerprint = most(|checked| checked.fingerprint_error_ppm.into());
        let exponents = most(|checked| checked.exponent_mismatches.into());
        let mantissa = most(|checked| checked.mantissa_mean_milli.into());
        let lost = most(|checked| checked.tokens_lost.into());
        println!(
            "{dtype:?}, {} rollouts: logprob {logprob}e-6, fingerprint {fingerprint} ppm, exponents {exponents}, \
             mantissa {mantissa}e-3, tokens lost {lost}",
            seen.len()
        );
        assert!(logprob <= LOGPROB_ERROR_MICRO && fingerprint <= FINGERPRINT_ERROR_PPM.into() && lost == 0);
    }
}
