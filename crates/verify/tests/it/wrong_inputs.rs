//! Every tolerance against wrong inputs at the parameters of production: 128 values per 32 tokens, four
//! projections. A tolerance that lets these through would still pass all tests of honest machines.

use model::ModelSnapshot;
use proof::tolerances::{
    EXPONENT_MISMATCHES_MAX, FINGERPRINT_ERROR_MAX_PPM, LOGPROB_ERROR_MAX_MICRO, TOKEN_MARGIN_MAX_MICRO,
};
use proof::toploc::ChunkProof;
use protocol::{Check, CheckedRollout, DtypeTerm, Outcome, Rollout};
use verify::CheckSet;

use crate::judged::{ALL, NEW_TOKENS, World, order, snapshot};

/// Groups of each kind of lie.
const GROUPS: u64 = 4;

/// The numbers of every rollout of some groups made with `weights`, with nothing judged but what is needed
/// to compute them.
fn numbers(world: &World, weights: &ModelSnapshot, change: impl Fn(&mut verify::Work)) -> Vec<CheckedRollout> {
    let judging = [
        Check::Duplicate,
        Check::ActivationExponent,
        Check::ActivationMantissa,
        Check::ActivationSign,
        Check::ActivationSpread,
        Check::Fingerprint,
        Check::TokenMargin,
        Check::Logprob,
    ];
    let set = judging.into_iter().fold(CheckSet::all(), CheckSet::without);
    let mut validator = world.validator().with_checks(set);
    let mut all = Vec::new();
    for number in 0..GROUPS {
        let lease = world.lease(number);
        let rollouts = world.rollouts_of(weights, &lease, &change);
        let verdict = validator.check(&order(&world.sign(&lease, rollouts)));
        assert_eq!(verdict.outcome, Outcome::Valid);
        all.extend(verdict.checked);
    }
    all
}

/// Asserts that each single rollout fails the fingerprint by at least `times` the tolerance.
fn every_fingerprint_fails(weights: &ModelSnapshot, times: u32) {
    for checked in numbers(&World::new(ALL), weights, |_| ()) {
        let (given, limit) = (checked.fingerprint_error_ppm, FINGERPRINT_ERROR_MAX_PPM);
        assert!(given > times * limit, "sample {}: {given} ppm", checked.sample_index);
    }
}

/// The true weights after `change` went over each row of each matrix of the layers.
fn changed(change: impl Fn(&mut [f32])) -> ModelSnapshot {
    let random = snapshot(1);
    let mut values = random.to_vecs();
    for (spec, values) in random.config().layout().iter().zip(&mut values) {
        if spec.name.ends_with("_proj.weight") {
            values.chunks_mut(spec.shape[1]).for_each(&change);
        }
    }
    ModelSnapshot::new(random.config().clone(), values).unwrap()
}

/// Rounds to `2·steps + 1` values with one scale for the row.
fn rounded(row: &mut [f32], steps: f32) {
    let scale = row.iter().fold(0.0f32, |most, weight| most.max(weight.abs())) / steps;
    row.iter_mut().for_each(|weight| *weight = (*weight / scale).round() * scale);
}

#[test]
fn weights_of_eight_and_of_four_bits_fail_in_every_rollout() {
    every_fingerprint_fails(&changed(|row| rounded(row, 127.0)), 1);
    every_fingerprint_fails(&changed(|row| row.chunks_mut(32).for_each(|part| rounded(part, 7.0))), 10);
}

#[test]
fn other_weights_fail_in_every_rollout_by_exponents_as_well() {
    every_fingerprint_fails(&snapshot(2), 100);
    for checked in numbers(&World::new(ALL), &snapshot(2), |_| ()) {
        assert!(checked.exponent_mismatches > EXPONENT_MISMATCHES_MAX, "{checked:?}");
    }
}

#[test]
fn bf16_weights_where_f32_was_agreed_fail_and_the_other_way_round() {
    let bf16 = changed(|row| row.iter_mut().for_each(|weight| *weight = half_rounded(*weight)));
    every_fingerprint_fails(&bf16, 1);
    let world = World::with(ALL, snapshot(1), |sampling| sampling.dtype = DtypeTerm::Bf16);
    // The engine of a worker of f32 terms keeps f32; the validator keeps to the run's.
    let other = World::new(ALL);
    for number in 0..GROUPS {
        let lease = world.lease(number);
        let rollouts = other.rollouts_of(&other.snapshot, &other.lease(number), |_| ());
        let outcome = world.judge(CheckSet::all(), &world.sign(&lease, rollouts));
        assert!(matches!(outcome, Outcome::Invalid(reason) if reason.check == Check::Fingerprint), "{outcome:?}");
    }
}

fn half_rounded(weight: f32) -> f32 {
    // To nearest, ties to even: half a unit less one, and one more if the kept part is odd.
    let bits = weight.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

#[test]
fn weights_one_small_step_away_fail() {
    // Each weight moves by half a percent of itself: less than one step at the learning rate of the example.
    every_fingerprint_fails(&changed(|row| row.iter_mut().step_by(2).for_each(|weight| *weight *= 1.005)), 1);
}

#[test]
fn tokens_of_another_seed_or_temperature_lose_by_far() {
    let world = World::new(ALL);
    let seeds = numbers(&world, &world.snapshot, |work| {
        work.seeds.iter_mut().for_each(|seed| seed[0] ^= 1);
    });
    let hotter = numbers(&world, &world.snapshot, |work| work.sampling.temperature = 1.3);
    let greedy = numbers(&world, &world.snapshot, |work| work.sampling.temperature = 0.0);
    for checked in seeds.iter().chain(&greedy) {
        assert!(checked.margin_max_micro > 100 * TOKEN_MARGIN_MAX_MICRO, "{checked:?}");
        assert!(checked.tokens_lost > 0);
    }
    for checked in &hotter {
        // Whoever samples at another temperature tells its probabilities, and they are off.
        assert!(checked.logprob_error_max_micro > 2 * LOGPROB_ERROR_MAX_MICRO, "{checked:?}");
    }
}

/// Evidence exchanged for `other` in every rollout of an honest group; what the validator says.
fn with_evidence(other: impl Fn(&World, &mut Vec<Rollout>)) -> Outcome {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let mut rollouts = world.honest(&lease);
    other(&world, &mut rollouts);
    world.judge(CheckSet::all(), &world.sign(&lease, rollouts))
}

fn failed(outcome: Outcome, expected: Check) {
    let Outcome::Invalid(reason) = outcome else { panic!("{expected}: {outcome:?}") };
    assert_eq!(reason.check, expected, "{reason}");
}

#[test]
fn proofs_of_nothing_are_no_proofs() {
    // The null proof of the reference, modulus 0, and the zero polynomial with the right modulus.
    failed(
        with_evidence(|_, rollouts| rollouts.iter_mut().for_each(|rollout| rollout.activation_proof.fill(0))),
        Check::ProofFormat,
    );
    let zero = |proof: &mut Vec<u8>| {
        for chunk in proof.chunks_mut(ChunkProof::byte_len(128)) {
            chunk.fill(0);
            chunk[..2].copy_from_slice(&65_497u16.to_be_bytes());
        }
    };
    failed(
        with_evidence(|_, rollouts| rollouts.iter_mut().for_each(|rollout| zero(&mut rollout.activation_proof))),
        Check::ActivationExponent,
    );
    let silent = |_: &World, rollouts: &mut Vec<Rollout>| {
        rollouts.iter_mut().for_each(|rollout| rollout.fingerprint.fill(0));
    };
    failed(with_evidence(silent), Check::Fingerprint);
}

#[test]
fn evidence_of_other_tokens_of_the_same_weights_is_no_evidence() {
    // Each rollout has the evidence of its neighbour, cut or kept to its own length.
    let exchange = |_: &World, rollouts: &mut Vec<Rollout>| {
        let full = |rollout: &&mut Rollout| rollout.completion_tokens.len() == NEW_TOKENS as usize;
        let mut full: Vec<&mut Rollout> = rollouts.iter_mut().filter(full).collect();
        let [first, second, ..] = full.as_mut_slice() else { panic!("two completions of full length are needed") };
        std::mem::swap(&mut first.activation_proof, &mut second.activation_proof);
        std::mem::swap(&mut first.fingerprint, &mut second.fingerprint);
    };
    failed(with_evidence(exchange), Check::ActivationExponent);
}

#[test]
fn a_fingerprint_with_its_positions_permuted_is_no_fingerprint() {
    let rotate = |_: &World, rollouts: &mut Vec<Rollout>| {
        rollouts.iter_mut().for_each(|rollout| rollout.fingerprint.rotate_left(proof::fingerprint::PROJECTIONS));
    };
    failed(with_evidence(rotate), Check::Fingerprint);
}
