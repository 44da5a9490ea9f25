//! What is written is read back, bit for bit; what is read would be written the same.
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{FinishReason, Group, PromptLease, Record, Rollout};

prop_compose! {
    fn any_lease()(
        [lease, item, weight_version, beacon_round] in any::<[u64; 4]>(),
        [task, worker] in any::<[u32; 2]>(),
        group_size in 1u32..=1024,
        run_seed in any::<[u8; 32]>(),
    ) -> PromptLease {
        PromptLease { lease, task, item, weight_version, group_size, run_seed, worker, beacon_round }
    }
}

fn any_finish() -> impl Strategy<Value = FinishReason> {
    prop::sample::select(vec![
        FinishReason::StopToken,
        FinishReason::StopString,
        FinishReason::Length,
        FinishReason::Cancelled,
    ])
}

fn finite_logprob() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |value| value.is_finite())
}

prop_compose! {
    fn any_rollout(lease: u64, prompt_tokens: Vec<u32>)(
        per_token in vec((any::<u32>(), finite_logprob(), any::<u64>()), 0..40),
        (finish, reward_micro, exact) in (any_finish(), any::<i64>(), any::<bool>()),
        sample_index in any::<u32>(),
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
        }
    }
}

fn any_group() -> impl Strategy<Value = Group> {
    (any_lease(), vec(any::<u32>(), 0..40)).prop_flat_map(|(lease, prompt)| {
        let samples = lease.group_size.min(5) as usize;
        vec(any_rollout(lease.lease, prompt), 0..=samples).prop_map(move |mut rollouts| {
            (0..).zip(&mut rollouts).for_each(|(index, rollout)| rollout.sample_index = index);
            Group { lease: lease.clone(), rollouts }
        })
    })
}

proptest! {
    #[test]
    fn leases_survive_the_round_trip(lease in any_lease()) {
        prop_assert_eq!(PromptLease::decode(&lease.encode().unwrap()).unwrap(), lease);
    }

    #[test]
    fn rollouts_survive_the_round_trip(rollout in any_rollout(3, vec![1, 2])) {
        prop_assert_eq!(Rollout::decode(&rollout.encode().unwrap()).unwrap(), rollout);
    }

    #[test]
    fn groups_survive_the_round_trip(group in any_group()) {
        prop_assert_eq!(Group::decode(&group.encode().unwrap()).unwrap(), group);
    }

    #[test]
    fn damaged_bytes_never_panic_and_never_have_two_forms(
        group in any_group(), place in any::<prop::sample::Index>(), value in any::<u8>(),
    ) {
        let mut bytes = group.encode().unwrap();
        let place = place.index(bytes.len());
        bytes[place] = value;
        if let Ok(read) = Group::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
    }
}
