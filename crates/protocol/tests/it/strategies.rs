//! Any record that passes its check.
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{
    BeaconPoint, BeaconTerms, Check, CheckOrder, CheckedRollout, Commitment, DtypeTerm, FinishReason, Group, Outcome,
    PlantRequest, PromptLease, PublicKey, RejectReason, Rollout, RunTerms, SamplingTerms, Signature, Signed,
    Submission, UncheckedCause, Update, Verdict, VerdictReveal, VerdictSeal,
};

fn hash() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn beacon() -> impl Strategy<Value = BeaconPoint> {
    (any::<u64>(), hash()).prop_map(|(round, randomness)| BeaconPoint { round, randomness })
}

prop_compose! {
    pub(crate) fn any_lease()(
        [lease, item, weight_version, worker_lease] in any::<[u64; 4]>(),
        [task, worker] in any::<[u32; 2]>(),
        group_size in 1u32..=1024,
        (weights, run_seed, beacon) in (hash(), hash(), beacon()),
    ) -> PromptLease {
        PromptLease { lease, task, item, weight_version, weights, group_size, run_seed, worker, worker_lease, beacon }
    }
}

fn any_finish() -> impl Strategy<Value = FinishReason> {
    use FinishReason::{Cancelled, Length, StopString, StopToken};
    prop::sample::select(vec![StopToken, StopString, Length, Cancelled])
}

fn finite() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |value| value.is_finite())
}

fn any_logprob() -> impl Strategy<Value = f32> {
    finite().prop_map(|value| -value.abs())
}

prop_compose! {
    pub(crate) fn any_rollout(lease: u64, prompt_tokens: Vec<u32>)(
        per_token in vec((any::<u32>(), any_logprob(), any::<u64>()), 0..40),
        (finish, reward_micro, exact) in (any_finish(), any::<i64>(), any::<bool>()),
        sample_index in any::<u32>(),
        activation_proof in vec(any::<u8>(), 0..40),
        fingerprint in vec(any::<i16>(), 0..40),
    ) -> Rollout {
        Rollout {
            lease,
            sample_index,
            prompt_tokens: prompt_tokens.clone(),
            completion_tokens: per_token.iter().map(|token| token.0).collect(),
            logprobs: per_token.iter().map(|token| token.1).collect(),
            weight_versions: per_token.iter().map(|token| token.2).collect(),
            finish,
            reward_micro,
            exact,
            activation_proof,
            fingerprint,
        }
    }
}

pub(crate) fn any_group() -> impl Strategy<Value = Group> {
    (any_lease(), vec(any::<u32>(), 0..40)).prop_flat_map(|(lease, prompt)| {
        let samples = lease.group_size.min(5) as usize;
        vec(any_rollout(lease.lease, prompt), 0..=samples).prop_map(move |mut rollouts| {
            (0..).zip(&mut rollouts).for_each(|(index, rollout)| rollout.sample_index = index);
            Group { lease: lease.clone(), rollouts }
        })
    })
}

fn signed<T: Clone + std::fmt::Debug>(body: T) -> impl Strategy<Value = Signed<T>> {
    (hash(), [hash(), hash()]).prop_map(move |(key, halves)| {
        let mut signature = [0; 64];
        signature.copy_from_slice(halves.as_flattened());
        Signed { body: body.clone(), signer: PublicKey(key), signature: Signature(signature) }
    })
}

pub(crate) fn any_submission() -> impl Strategy<Value = Submission> {
    (any_group(), hash()).prop_flat_map(|(group, root)| {
        let Group { lease, rollouts } = group;
        let rollout_count = rollouts.len() as u32;
        let commitment = Commitment { lease: lease.lease, worker: lease.worker, rollout_count, root };
        (signed(lease), signed(commitment)).prop_map(move |(lease, commitment)| Submission {
            lease,
            commitment,
            rollouts: rollouts.clone(),
        })
    })
}

pub(crate) fn any_plant() -> impl Strategy<Value = Signed<PlantRequest>> {
    let commitment = (any::<u64>(), any::<[u32; 2]>(), hash()).prop_map(|(lease, [worker, rollout_count], root)| {
        PlantRequest { commitment: Commitment { lease, worker, rollout_count, root } }
    });
    commitment.prop_flat_map(signed)
}

prop_compose! {
    pub(crate) fn any_order()(submission in any_submission(), draw in beacon()) -> CheckOrder {
        CheckOrder { submission, draw }
    }
}

prop_compose! {
    fn any_checked()(
        counts in any::<[u32; 6]>(),
        [margin_max_micro, logprob_error_max_micro, logprob_error_mean_micro] in any::<[i64; 3]>(),
        logprobs in vec(any_logprob(), 0..20),
    ) -> CheckedRollout {
        CheckedRollout {
            sample_index: 0,
            exponent_mismatches: counts[0],
            mantissa_mean_milli: counts[1],
            mantissa_median_milli: counts[2],
            sign_mismatches: counts[3],
            fingerprint_error_ppm: counts[4],
            tokens_lost: counts[5],
            margin_max_micro,
            logprob_error_max_micro,
            logprob_error_mean_micro,
            logprobs,
        }
    }
}

pub(crate) fn any_outcome() -> impl Strategy<Value = Outcome> {
    let check = prop::sample::select(Check::ALL.to_vec());
    let place = any::<[Option<u32>; 2]>();
    let reason = (check, place, any::<[i64; 2]>()).prop_map(|(check, [sample_index, position], [limit, given])| {
        Outcome::Invalid(RejectReason { check, sample_index, position, limit, given })
    });
    let cause = prop_oneof![
        any::<u64>().prop_map(|version| UncheckedCause::WeightsMissing { version }),
        Just(UncheckedCause::ModelFailed),
        Just(UncheckedCause::TaskFailed),
        Just(UncheckedCause::TooLarge),
    ];
    prop_oneof![Just(Outcome::Valid), reason, cause.prop_map(Outcome::Unchecked)]
}

prop_compose! {
    fn any_verdict()(
        (lease, root, validator, draw) in (any::<u64>(), hash(), any::<u32>(), beacon()),
        tokens in any::<u64>(),
        mut checked in vec(any_checked(), 0..5),
        outcome in any_outcome(),
    ) -> Verdict {
        (0..).zip(&mut checked).for_each(|(index, checked)| checked.sample_index = 3 * index);
        Verdict { lease, root, validator, draw, tokens, checked, outcome }
    }
}

pub(crate) fn any_signed_verdict() -> impl Strategy<Value = Signed<Verdict>> {
    any_verdict().prop_flat_map(signed)
}

prop_compose! {
    pub(crate) fn any_reveal()(verdict in any_signed_verdict(), salt in hash()) -> VerdictReveal {
        VerdictReveal { verdict, salt }
    }
}

pub(crate) fn any_seal() -> impl Strategy<Value = Signed<VerdictSeal>> {
    let seal = (any::<u64>(), hash(), any::<u32>(), hash());
    seal.prop_map(|(lease, root, validator, seal)| VerdictSeal { lease, root, validator, seal }).prop_flat_map(signed)
}

prop_compose! {
    fn any_sampling()(
        temperature in finite().prop_map(|value| f32::from_bits(value.to_bits() & 0x7fff_ffff)),
        [max_new_tokens, context_max] in [1u32..=131_072, 1..=131_072],
        vocabulary in 1..=u32::MAX,
        stops in vec(any::<prop::sample::Index>(), 0..4),
        dtype in prop::sample::select(vec![DtypeTerm::F32, DtypeTerm::Bf16]),
    ) -> SamplingTerms {
        let stop_tokens = stops.iter().map(|stop| stop.index(vocabulary as usize) as u32).collect();
        SamplingTerms { temperature, max_new_tokens, context_max, vocabulary, stop_tokens, dtype }
    }
}

prop_compose! {
    pub(crate) fn any_terms()(
        [run_seed, orchestrator, trainer] in [hash(), hash(), hash()],
        [workers, validators] in [prop::collection::btree_set(hash(), 0..5), prop::collection::btree_set(hash(), 0..5)],
        (group_size, check_ppm, probation_leases) in (1u32..=1024, 0u32..=1_000_000, any::<u32>()),
        sampling in any_sampling(),
        beacon in prop_oneof![
            (hash(), any::<u64>()).prop_map(|(anchor, length)| BeaconTerms::HashChain { anchor, length }),
            hash().prop_map(|chain| BeaconTerms::Drand { chain }),
        ],
    ) -> RunTerms {
        let keys = |set: std::collections::BTreeSet<[u8; 32]>| set.into_iter().map(PublicKey).collect();
        RunTerms {
            run_seed,
            orchestrator: PublicKey(orchestrator),
            trainer: PublicKey(trainer),
            workers: keys(workers),
            validators: keys(validators),
            group_size,
            check_ppm,
            probation_leases,
            sampling,
            beacon,
        }
    }
}

pub(crate) fn any_update() -> impl Strategy<Value = Signed<Update>> {
    let hashes = [hash(), hash(), hash(), hash()];
    (any::<u64>(), vec(any::<u64>(), 0..9), hashes).prop_flat_map(|(step, leases, hashes)| {
        let [batch, state_before, state_after, weights] = hashes;
        signed(Update { step, leases, batch, state_before, state_after, weights })
    })
}
