//! For every check a submission that it alone catches: with all checks on it is the one that fails, and
//! with it switched off the lie gets through.

use engine::Sampling;
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use ops::DeviceSpec;
use proof::toploc::{CHUNK_TOKENS, ChunkProof, TOP_K};
use protocol::{
    Check, Commitment, Domain, FinishReason, Outcome, PromptLease, Record, RejectReason, Rollout, Signed, Submission,
    merkle,
};
use verify::{CheckSet, Evidence, Prompts, Recomputed, hidden_bits, prefill, prove};

use crate::judged::{ALL, GROUP_SIZE, NEW_TOKENS, STOP, Toy, VERSION, VOCABULARY, WIDTH, World, keys, snapshot};

/// Asserts that `check` fails, and that nothing else would have.
fn caught_only_by(check: Check, world: &World, submission: &Submission) -> RejectReason {
    let Outcome::Invalid(reason) = world.judge(CheckSet::all(), submission) else {
        panic!("{check}: the lie got through: {:?}", world.judge(CheckSet::all(), submission));
    };
    assert_eq!(reason.check, check, "{reason}");
    let without = world.judge(CheckSet::all().without(check), submission);
    assert_eq!(without, Outcome::Valid, "{check} is not the only check that catches this");
    reason
}

/// As [`caught_only_by`], of honest rollouts that went through `tamper` and were signed again.
fn tampered(
    check: Check,
    check_ppm: u32,
    tamper: impl FnOnce(&World, &PromptLease, &mut Vec<Rollout>),
) -> RejectReason {
    let world = World::new(check_ppm);
    let lease = world.lease(0);
    let mut rollouts = world.honest(&lease);
    tamper(&world, &lease.body, &mut rollouts);
    caught_only_by(check, &world, &world.sign(&lease, rollouts))
}

/// Hidden states and evidence of a rollout as the true weights give them, and as the lease's seed asks.
fn honest_evidence(world: &World, lease: &PromptLease, rollout: &Rollout) -> (Vec<f32>, Evidence) {
    let device = DeviceSpec::Cpu.open().expect("the CPU is always there");
    let model = InferenceModel::from_snapshot(&world.snapshot, WeightDtype::F32, &device);
    let mut found = prefill(&model, &rollout.prompt_tokens, &[&rollout.completion_tokens], |_| ()).unwrap();
    let Recomputed { hidden, .. } = found.pop().unwrap();
    let evidence = prove(&hidden, WIDTH, &lease.sample_seed(Domain::Train, rollout.sample_index)).unwrap();
    (hidden, evidence)
}

/// Proves the first chunk again after `change` went over its largest values, in descending order.
fn reprove(world: &World, lease: &PromptLease, rollout: &mut Rollout, change: impl Fn(usize, u16) -> u16) {
    let (hidden, _) = honest_evidence(world, lease, rollout);
    let bits = hidden_bits(&hidden);
    let chunk = &bits[..bits.len().min(CHUNK_TOKENS * WIDTH)];
    let mut places: Vec<u32> = (0..chunk.len() as u32).collect();
    places.sort_by_key(|&place| (std::cmp::Reverse(chunk[place as usize] & 0x7fff), place));
    places.truncate(TOP_K);
    let values: Vec<u16> =
        places.iter().enumerate().map(|(rank, &place)| change(rank, chunk[place as usize])).collect();
    let proof = ChunkProof::from_points(&places, &values).unwrap().to_bytes();
    rollout.activation_proof[..proof.len()].copy_from_slice(&proof);
}

/// The longest rollout: its first chunk is whole.
fn longest(rollouts: &mut [Rollout]) -> &mut Rollout {
    let longest = rollouts.iter_mut().max_by_key(|rollout| rollout.completion_tokens.len()).unwrap();
    assert!(longest.completion_tokens.len() >= CHUNK_TOKENS, "no completion fills a chunk");
    longest
}

#[test]
fn an_honest_group_is_valid_and_its_numbers_are_written_down() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let submission = world.sign(&lease, world.honest(&lease));
    // Wherever the other tests have their validator.
    let verdict = world.validator_on(DeviceSpec::Cpu).check(&crate::judged::order(&submission));
    assert_eq!(verdict.outcome, Outcome::Valid);
    assert_eq!(verdict.checked.len(), GROUP_SIZE as usize);
    for (checked, rollout) in verdict.checked.iter().zip(&submission.rollouts) {
        // One machine, one kernel: the prefill has the engine's bits.
        assert_eq!((checked.exponent_mismatches, checked.fingerprint_error_ppm), (0, 0));
        assert_eq!((checked.margin_max_micro, checked.tokens_lost, checked.logprob_error_max_micro), (0, 0, 0));
        assert_eq!(checked.logprobs, rollout.logprobs);
    }
}

#[test]
fn rollouts_out_of_order_are_malformed() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let mut rollouts = world.honest(&lease);
    rollouts.swap(0, 1);
    let leaves: Vec<_> = rollouts.iter().map(|rollout| merkle::leaf(&rollout.encode().unwrap())).collect();
    let body = Commitment { lease: 0, worker: 0, rollout_count: GROUP_SIZE, root: merkle::root(&leaves) };
    let commitment = Signed::new(body, &world.run, &keys("worker")).unwrap();
    caught_only_by(Check::Malformed, &world, &Submission { lease, commitment, rollouts });
}

#[test]
fn a_commitment_by_another_key_is_no_signature() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let rollouts = world.honest(&lease);
    let submission = Submission::new(&world.run, lease, rollouts, &keys("somebody else")).unwrap();
    caught_only_by(Check::Signature, &world, &submission);
}

#[test]
fn rollouts_exchanged_after_the_commitment_break_the_signed_root() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let mut submission = world.sign(&lease, world.honest(&lease));
    // A change of no other consequence: within the tolerance of every check.
    submission.rollouts[0].logprobs[0] -= 1e-6;
    caught_only_by(Check::Signature, &world, &submission);
}

#[test]
fn a_commitment_to_another_lease_is_refused() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let mut submission = world.sign(&lease, world.honest(&lease));
    let body = Commitment { lease: 5, ..submission.commitment.body };
    submission.commitment = Signed::new(body, &world.run, &keys("worker")).unwrap();
    let reason = caught_only_by(Check::Lease, &world, &submission);
    assert_eq!((reason.limit, reason.given), (0, 5));
}

#[test]
fn a_completion_longer_than_allowed_breaks_the_limit() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let longer = |work: &mut verify::Work| work.sampling.max_new_tokens += 3;
    let rollouts = world.rollouts_of(&world.snapshot, &lease, longer);
    let reason = caught_only_by(Check::Limits, &world, &world.sign(&lease, rollouts));
    assert_eq!(reason.limit, i64::from(NEW_TOKENS));
    assert!(reason.given > reason.limit);
}

#[test]
fn a_prompt_of_ones_choosing_is_named_by_its_first_token() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let other = Toy.prompt(0, 1).unwrap();
    let rollouts = world.rollouts_of(&world.snapshot, &lease, |work| work.prompt = other.clone());
    let reason = caught_only_by(Check::Prompt, &world, &world.sign(&lease, rollouts));
    let due = Toy.prompt(0, 0).unwrap();
    assert_eq!((reason.position, reason.limit, reason.given), (Some(0), due[0].into(), other[0].into()));
}

#[test]
fn weights_that_the_lease_does_not_name_may_not_be_claimed() {
    let reason = tampered(Check::WeightVersion, ALL, |_, _, rollouts| rollouts[2].weight_versions[4] = VERSION - 1);
    assert_eq!((reason.sample_index, reason.position), (Some(2), Some(4)));
    assert_eq!((reason.limit, reason.given), (VERSION as i64, VERSION as i64 - 1));
}

#[test]
fn leaving_a_sample_out_is_noticed() {
    let reason = tampered(Check::SamplesMissing, ALL, |_, _, rollouts| drop(rollouts.remove(1)));
    assert_eq!((reason.limit, reason.given), (i64::from(GROUP_SIZE), i64::from(GROUP_SIZE) - 1));
}

#[test]
fn a_token_that_the_model_lacks_is_noticed_even_where_nothing_is_recomputed() {
    let reason = tampered(Check::Vocabulary, 0, |_, lease, rollouts| {
        rollouts[0].completion_tokens[1] = VOCABULARY;
        regrade(lease, &mut rollouts[0]);
    });
    assert_eq!((reason.limit, reason.given), (VOCABULARY.into(), VOCABULARY.into()));
}

fn regrade(lease: &PromptLease, rollout: &mut Rollout) {
    let grade = Toy.grade(lease.task, lease.item, &rollout.completion_tokens).unwrap();
    (rollout.reward_micro, rollout.exact) = (grade.reward_micro, grade.exact);
}

#[test]
fn a_completion_cut_short_is_noticed() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let shorter = |work: &mut verify::Work| {
        work.sampling = Sampling { max_new_tokens: 5, ..work.sampling.clone() };
    };
    let rollouts = world.rollouts_of(&world.snapshot, &lease, shorter);
    let reason = caught_only_by(Check::Finish, &world, &world.sign(&lease, rollouts));
    assert_eq!((reason.limit, reason.given), (i64::from(NEW_TOKENS), 5));
}

#[test]
fn going_on_after_the_stop_token_is_noticed() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let rollouts = world.rollouts_of(&world.snapshot, &lease, |work| work.sampling.stop_tokens = vec![]);
    let late = rollouts.iter().find(|rollout| rollout.completion_tokens.contains(&STOP)).expect("nothing stops");
    let reason = caught_only_by(Check::Finish, &world, &world.sign(&lease, rollouts.clone()));
    // It says that the limit ended it, which is never right of tokens with a stop token.
    assert_eq!((reason.sample_index, reason.limit), (Some(late.sample_index), -1));
}

#[test]
fn a_false_finish_of_the_right_length_is_noticed() {
    tampered(Check::Finish, ALL, |_, _, rollouts| longest(rollouts).finish = FinishReason::Cancelled);
}

#[test]
fn one_sample_handed_in_as_two_is_noticed_even_where_nothing_is_recomputed() {
    let reason = tampered(Check::Duplicate, 0, |_, _, rollouts| {
        let original = longest(rollouts).clone();
        let place = (original.sample_index + 1) % GROUP_SIZE;
        rollouts[place as usize] = Rollout { sample_index: place, ..original };
    });
    assert!(reason.sample_index.is_some());
}

#[test]
fn a_reward_that_was_not_earned_is_noticed() {
    let reason = tampered(Check::Reward, ALL, |_, _, rollouts| rollouts[3].reward_micro += 1);
    assert_eq!(reason.given, reason.limit + 1);
    tampered(Check::Reward, ALL, |_, _, rollouts| rollouts[3].exact ^= true);
}

#[test]
fn a_proof_that_breaks_its_format_is_noticed() {
    // A coefficient of 0xffff is above the prime.
    tampered(Check::ProofFormat, ALL, |_, _, rollouts| {
        longest(rollouts).activation_proof[2..4].copy_from_slice(&[0xff, 0xff]);
    });
    // No proof at all, and a fingerprint of too few numbers that nobody would have compared.
    tampered(Check::ProofFormat, ALL, |_, _, rollouts| rollouts[0].activation_proof.clear());
    let reason = tampered(Check::ProofFormat, 0, |_, _, rollouts| rollouts[1].fingerprint.truncate(5));
    assert_eq!(reason.given, 5);
}

#[test]
fn activations_of_another_size_are_noticed_by_their_exponents() {
    // 48 of 128 values are doubled.
    let double = |rank: usize, bits: u16| if rank % 8 < 3 { bits + 0x80 } else { bits };
    let reason = tampered(Check::ActivationExponent, ALL, |world, lease, rollouts| {
        reprove(world, lease, longest(rollouts), double);
    });
    assert_eq!((reason.limit, reason.given, reason.position), (38, 48, Some(0)));
}

#[test]
fn activations_of_other_weights_are_noticed_by_their_mantissas() {
    // Every mantissa is half its range away: a distance of 64.
    let reason = tampered(Check::ActivationMantissa, ALL, |world, lease, rollouts| {
        reprove(world, lease, longest(rollouts), |_, bits| bits ^ 0x40);
    });
    assert_eq!(reason.given, 64_000);
    // Half of them are 12 away: the mean is 6, but the upper median 12.
    let reason = tampered(Check::ActivationMantissa, ALL, |world, lease, rollouts| {
        let shift = |bits: u16| if bits & 0x7f < 64 { bits + 12 } else { bits - 12 };
        reprove(world, lease, longest(rollouts), |rank, bits| if rank % 2 == 0 { shift(bits) } else { bits });
    });
    assert_eq!(reason.given, 12_000);
}

#[test]
fn activations_with_turned_signs_are_noticed() {
    let reason = tampered(Check::ActivationSign, ALL, |world, lease, rollouts| {
        reprove(world, lease, longest(rollouts), |_, bits| bits ^ 0x8000);
    });
    assert_eq!(reason.given, 128);
}

/// Weights whose largest activations are nearly one number: five rows of the embedding are.
fn flat_snapshot() -> ModelSnapshot {
    let random = snapshot(1);
    let mut values = random.to_vecs();
    for (token, row) in values[0].chunks_mut(WIDTH).enumerate() {
        for (place, value) in row[..5].iter_mut().enumerate() {
            *value = 0.5 + 0.01 * ((token * 7 + place * 3) % 5) as f32;
        }
    }
    ModelSnapshot::new(random.config().clone(), values).unwrap()
}

#[test]
fn a_constant_in_place_of_flat_activations_is_noticed_by_its_spread() {
    let world = World::with(ALL, flat_snapshot(), |_| ());
    let lease = world.lease(0);
    let mut rollouts = world.honest(&lease);
    let rollout = longest(&mut rollouts);
    let (hidden, _) = honest_evidence(&world, &lease.body, rollout);
    let mut largest: Vec<u16> = hidden_bits(&hidden[..CHUNK_TOKENS * WIDTH]);
    largest.sort_by_key(|bits| std::cmp::Reverse(bits & 0x7fff));
    let constant = largest[TOP_K / 2];
    // The polynomial that is the middle one of the largest values everywhere.
    let mut proof = vec![0u8; ChunkProof::byte_len(TOP_K)];
    proof[..4].copy_from_slice(&[0xff, 0xd9, (constant >> 8) as u8, constant as u8]);
    rollout.activation_proof[..proof.len()].copy_from_slice(&proof);
    let reason = caught_only_by(Check::ActivationSpread, &world, &world.sign(&lease, rollouts));
    assert_eq!(reason.given, 1);
}

#[test]
fn a_fingerprint_one_percent_away_is_noticed() {
    // A number has a standard deviation of 2048 steps, so 20 steps are about one percent.
    let reason = tampered(Check::Fingerprint, ALL, |_, _, rollouts| {
        for (place, number) in rollouts[0].fingerprint.iter_mut().enumerate() {
            *number += if place % 2 == 0 { 20 } else { -20 };
        }
    });
    assert!((7_000..13_000).contains(&reason.given), "{reason}");
}

#[test]
fn tokens_of_another_seed_do_not_win_although_all_evidence_is_true() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let rollouts = world.rollouts_of(&world.snapshot, &lease, |work| work.seeds[1] = [77; 32]);
    // The evidence of these tokens by the true weights, under the signs that the lease asks for.
    let mut rollouts = rollouts;
    let Evidence { activation_proof, fingerprint } = honest_evidence(&world, &lease.body, &rollouts[1]).1;
    (rollouts[1].activation_proof, rollouts[1].fingerprint) = (activation_proof, fingerprint);
    let reason = caught_only_by(Check::TokenMargin, &world, &world.sign(&lease, rollouts));
    assert_eq!(reason.sample_index, Some(1));
}

#[test]
fn log_probabilities_that_would_move_the_trainer_are_noticed() {
    // One that is far off, and all a little: 2 thousandths of a nat.
    let reason = tampered(Check::Logprob, ALL, |_, _, rollouts| rollouts[0].logprobs[3] += 0.5);
    assert_eq!(reason.position, Some(3));
    let reason = tampered(Check::Logprob, ALL, |_, _, rollouts| {
        rollouts[0].logprobs.iter_mut().for_each(|logprob| *logprob += 0.002);
    });
    assert_eq!(reason.position, None);
}

#[test]
fn a_copy_that_claims_to_be_likely_is_held_to_the_validators_own_numbers_if_it_is_drawn() {
    let forged = |world: &World| {
        let lease = world.lease(0);
        let mut rollouts = world.honest(&lease);
        let original = longest(&mut rollouts);
        original.logprobs.iter_mut().for_each(|logprob| *logprob = -1e-6);
        let original = original.clone();
        let place = (original.sample_index + 1) % GROUP_SIZE;
        rollouts[place as usize] = Rollout { sample_index: place, ..original };
        world.sign(&lease, rollouts)
    };
    let others = [
        Check::Logprob,
        Check::TokenMargin,
        Check::Fingerprint,
        Check::ActivationExponent,
        Check::ActivationMantissa,
        Check::ActivationSign,
        Check::ActivationSpread,
    ];
    let outcome = |world: &World| {
        let set = others.into_iter().fold(CheckSet::all(), CheckSet::without);
        world.judge(set, &forged(world))
    };
    let Outcome::Invalid(reason) = outcome(&World::new(ALL)) else { panic!("{:?}", outcome(&World::new(ALL))) };
    assert_eq!(reason.check, Check::Duplicate);
    assert_eq!(outcome(&World::new(0)), Outcome::Valid, "what nobody recomputed has only its claim");
}
