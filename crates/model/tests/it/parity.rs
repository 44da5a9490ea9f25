//! Logits against transformers, and the proof that the tolerance is tight enough to notice mistakes.

use std::sync::Arc;

use model::{ModelSnapshot, Transformer};

use crate::support::{FAMILIES, device, expected, largest_difference, load, packed_logits};

/// Largest difference allowed to transformers' f32 logits, which reach about 4.
/// Measured: see `every_family_gives_the_logits_of_transformers`, which prints it.
const LOGIT_TOLERANCE: f32 = 1e-4;
/// What a one-percent change of any one tensor must move the logits by, at least.
const NOTICED: f32 = 3.0 * LOGIT_TOLERANCE;

#[test]
fn every_family_gives_the_logits_of_transformers() {
    for name in FAMILIES {
        let expected = expected(name);
        let difference = largest_difference(&packed_logits(&load(name), &expected.tokens), &expected.logits);
        println!("{name}: largest difference {difference:e}");
        assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
    }
}

#[test]
fn one_percent_on_any_one_tensor_breaks_parity() {
    for name in FAMILIES {
        let (expected, snapshot) = (expected(name), load(name).snapshot());
        for (index, spec) in snapshot.config().layout().iter().enumerate() {
            let mut values = snapshot.to_vecs();
            // Up and down in turn: a plain factor on q or k would vanish in Qwen3's head norms.
            for (at, value) in values[index].iter_mut().enumerate() {
                *value *= if at % 2 == 0 { 1.01 } else { 0.99 };
            }
            let spoiled = ModelSnapshot::new(snapshot.config().clone(), values).unwrap();
            let model = Transformer::from_snapshot(&spoiled, &device());
            let difference = largest_difference(&packed_logits(&model, &expected.tokens), &expected.logits);
            assert!(difference > NOTICED, "{name}, {}: only {difference:e}", spec.name);
        }
    }
}

#[test]
fn one_weight_among_thousands_breaks_parity() {
    let (expected, snapshot) = (expected("qwen3"), load("qwen3").snapshot());
    let down = snapshot.config().layout().iter().position(|spec| spec.name.ends_with("1.mlp.down_proj.weight"));
    let mut values = snapshot.to_vecs();
    values[down.unwrap()][100] += 0.05;
    let spoiled = ModelSnapshot::new(snapshot.config().clone(), values).unwrap();
    let logits = packed_logits(&Transformer::from_snapshot(&spoiled, &device()), &expected.tokens);
    assert!(largest_difference(&logits, &expected.logits) > LOGIT_TOLERANCE);
}

#[test]
fn llama3_without_its_rotary_scaling_breaks_parity() {
    let (expected, snapshot) = (expected("llama3"), load("llama3").snapshot());
    let mut config = snapshot.config().as_ref().clone();
    assert!(config.rope.scaling.take().is_some());
    let plain = ModelSnapshot::new(Arc::new(config), snapshot.to_vecs()).unwrap();
    let logits = packed_logits(&Transformer::from_snapshot(&plain, &device()), &expected.tokens);
    assert!(largest_difference(&logits, &expected.logits) > 100.0 * LOGIT_TOLERANCE);
}
