//! Bad records are refused by name, before memory is taken for them.
use protocol::constants::{
    ACTIVATION_PROOF_BYTES_MAX, BYTES_PER_NOTE_MAX, BYTES_PER_RECORD_MAX, FINGERPRINT_ENTRIES_MAX,
    LEASES_PER_UPDATE_MAX, PARTIES_PER_ROLE_MAX, RECORD_FORMAT, SAMPLES_PER_GROUP_MAX, STOP_TOKENS_MAX,
    TOKENS_PER_ROLLOUT_MAX,
};
use protocol::{
    Group, Outcome, PromptLease, ProtocolError, Record, Rollout, RunTerms, Signed, Submission, Update, Verdict,
    VerdictReveal, record_kind,
};

use super::{checked, group, lease, reveal, rollout, submission, terms, verdict};

/// Bytes of a LEB128 varint, as postcard writes an integer.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn announced_length_is_refused_before_any_allocation() {
    // lease 0, sample 0, then a prompt that claims 2^60 tokens in a record of 14 bytes.
    let bytes = [vec![RECORD_FORMAT, 2, 0, 0], varint(1 << 60)].concat();
    let refused = Rollout::decode(&bytes).unwrap_err();
    let expected = ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given: 1 << 60 };
    assert_eq!(refused, expected);
}

#[test]
fn announced_length_beyond_the_bytes_at_hand_is_malformed() {
    let bytes = [vec![RECORD_FORMAT, 2, 0, 0], varint(1000), vec![1; 999]].concat();
    let refused = Rollout::decode(&bytes).unwrap_err();
    assert!(matches!(refused, ProtocolError::Malformed { field: "prompt_tokens", .. }));
}

#[test]
fn too_many_samples_are_refused_with_limit_and_count() {
    let head = lease().encode().unwrap();
    let bytes = [vec![RECORD_FORMAT, 3], head[2..].to_vec(), varint(5000)].concat();
    let expected = ProtocolError::TooManySamples { limit: SAMPLES_PER_GROUP_MAX, given: 5000 };
    assert_eq!(Group::decode(&bytes).unwrap_err(), expected);
    let asked = PromptLease { group_size: 1025, ..lease() };
    let expected = ProtocolError::TooManySamples { limit: SAMPLES_PER_GROUP_MAX, given: 1025 };
    assert_eq!(asked.encode().unwrap_err(), expected);
}

#[test]
fn too_many_tokens_together_are_refused() {
    let mut long = rollout(0);
    long.prompt_tokens = vec![1; TOKENS_PER_ROLLOUT_MAX - 1];
    let given = TOKENS_PER_ROLLOUT_MAX + 1;
    let expected = ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given };
    assert_eq!(long.encode().unwrap_err(), expected);
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let given = BYTES_PER_RECORD_MAX + 1;
    let expected = ProtocolError::TooManyBytes { limit: BYTES_PER_RECORD_MAX, given };
    assert_eq!(Rollout::decode(&vec![0; given]).unwrap_err(), expected);
}

#[test]
fn other_format_and_other_kind_are_named() {
    let mut bytes = rollout(0).encode().unwrap();
    let expected = ProtocolError::WrongKind { expected: 3, given: 2 };
    assert_eq!(Group::decode(&bytes).unwrap_err(), expected);
    bytes[0] = 9;
    let expected = ProtocolError::UnknownFormat { expected: RECORD_FORMAT, given: 9 };
    assert_eq!(Rollout::decode(&bytes).unwrap_err(), expected);
}

#[test]
fn trailing_bytes_and_long_integers_are_refused() {
    let mut bytes = rollout(0).encode().unwrap();
    bytes.push(0);
    assert_eq!(Rollout::decode(&bytes).unwrap_err(), ProtocolError::TrailingBytes { given: 1 });
    // The lease number 41 written as two bytes, a9 00, instead of one.
    let mut bytes = rollout(0).encode().unwrap();
    bytes.splice(2..3, [0xa9, 0x00]);
    assert_eq!(Rollout::decode(&bytes).unwrap_err(), ProtocolError::NotCanonical);
}

#[test]
fn inconsistent_rollouts_are_refused() {
    let mut short = rollout(0);
    short.logprobs.pop();
    let field = "logprobs";
    let expected = ProtocolError::LengthMismatch { field, expected: 2, given: 1 };
    assert_eq!(short.encode().unwrap_err(), expected);
    let mut wild = rollout(0);
    wild.logprobs[1] = f32::NEG_INFINITY;
    assert_eq!(wild.encode().unwrap_err(), ProtocolError::LogprobNotFinite { index: 1 });
    let mut sure = rollout(0);
    sure.logprobs[1] = 0.001; // rounding
    sure.encode().unwrap();
    sure.logprobs[1] = 0.5;
    let given_bits = 0.5f32.to_bits();
    assert_eq!(sure.encode().unwrap_err(), ProtocolError::LogprobTooLarge { index: 1, given_bits });
}

#[test]
fn proof_and_fingerprint_of_a_rollout_have_limits() {
    let given = ACTIVATION_PROOF_BYTES_MAX + 1;
    let long = Rollout { activation_proof: vec![0; given], ..rollout(0) };
    let expected = ProtocolError::ProofTooLong { limit: ACTIVATION_PROOF_BYTES_MAX, given };
    assert_eq!(long.encode().unwrap_err(), expected);
    let given = FINGERPRINT_ENTRIES_MAX + 1;
    let long = Rollout { fingerprint: vec![0; given], ..rollout(0) };
    let expected = ProtocolError::FingerprintTooLong { limit: FINGERPRINT_ENTRIES_MAX, given };
    assert_eq!(long.encode().unwrap_err(), expected);
    // The rollout ends in its fingerprint, 02 01 d804, behind its proof, 03 01 ff 00.
    let bytes = rollout(0).encode().unwrap();
    let head = bytes[..bytes.len() - 8].to_vec();
    let given = 1 << 40;
    let expected = ProtocolError::ProofTooLong { limit: ACTIVATION_PROOF_BYTES_MAX, given };
    assert_eq!(Rollout::decode(&[head, varint(given as u64)].concat()).unwrap_err(), expected);
}

#[test]
fn a_longest_rollout_fits_into_a_record() {
    let count = TOKENS_PER_ROLLOUT_MAX - 1;
    let longest = Rollout {
        prompt_tokens: vec![151_935],
        completion_tokens: vec![151_935; count],
        logprobs: vec![-0.5; count],
        weight_versions: vec![1 << 20; count],
        activation_proof: vec![255; ACTIVATION_PROOF_BYTES_MAX],
        fingerprint: vec![i16::MIN; FINGERPRINT_ENTRIES_MAX],
        ..rollout(0)
    };
    let bytes = longest.encode().unwrap();
    assert_eq!(Rollout::decode(&bytes).unwrap(), longest);
}

#[test]
fn verdicts_list_each_sample_once_in_order() {
    let twice = Verdict { checked: vec![checked(1), checked(1)], ..verdict(0, Outcome::Valid) };
    assert_eq!(twice.encode().unwrap_err(), ProtocolError::CheckedOrder { after: 1, given: 1 });
    let mut wild = verdict(0, Outcome::Valid);
    wild.checked[0].logprobs[1] = f32::NAN;
    assert_eq!(wild.encode().unwrap_err(), ProtocolError::LogprobNotFinite { index: 1 });
}

#[test]
fn update_with_too_many_leases_is_refused() {
    let given = LEASES_PER_UPDATE_MAX + 1;
    let [batch, state_before, state_after, weights] = [[0; 32]; 4];
    let update = Update { step: 1, leases: vec![0; given], batch, state_before, state_after, weights };
    let expected = ProtocolError::TooManyLeases { limit: LEASES_PER_UPDATE_MAX, given };
    assert_eq!(update.encode().unwrap_err(), expected);
    let bytes = [vec![RECORD_FORMAT, 11, 1], varint(given as u64)].concat();
    assert_eq!(Update::decode(&bytes).unwrap_err(), expected);
}

#[test]
fn terms_out_of_range_are_refused_by_name() {
    let range = |term, least, most, given| ProtocolError::TermRange { term, least, most, given };
    let check = |change: fn(&mut RunTerms)| {
        let mut changed = terms();
        change(&mut changed);
        changed.encode().unwrap_err()
    };
    assert_eq!(check(|terms| terms.group_size = 0), range("group_size", 1, 1024, 0));
    assert_eq!(check(|terms| terms.check_ppm = 1_000_001), range("check_ppm", 0, 1_000_000, 1_000_001));
    assert_eq!(check(|terms| terms.sampling.max_new_tokens = 0), range("max_new_tokens", 1, 131_072, 0));
    assert_eq!(check(|terms| terms.sampling.context_max = 131_073), range("context_max", 1, 131_072, 131_073));
    assert_eq!(check(|terms| terms.sampling.vocabulary = 0), range("vocabulary", 1, u64::from(u32::MAX), 0));
    assert_eq!(check(|terms| terms.sampling.stop_tokens = vec![200]), range("stop_tokens", 0, 199, 200));
    let expected = ProtocolError::TooManyStopTokens { limit: STOP_TOKENS_MAX, given: 257 };
    assert_eq!(check(|terms| terms.sampling.stop_tokens = vec![0; 257]), expected);
    let expected = ProtocolError::Temperature { given_bits: (-0.5f32).to_bits() };
    assert_eq!(check(|terms| terms.sampling.temperature = -0.5), expected);
    assert_eq!(expected.to_string(), "temperature is -0.5, it must be finite and not negative");
    let key = terms().workers[1];
    let expected = ProtocolError::DoubleKey { role: "workers", key };
    assert_eq!(check(|terms| terms.workers[0] = terms.workers[1]), expected);
    let (role, limit, given) = ("validators", PARTIES_PER_ROLE_MAX, PARTIES_PER_ROLE_MAX + 1);
    let expected = ProtocolError::TooManyParties { role, limit, given };
    assert_eq!(check(|terms| terms.validators = vec![terms.trainer; PARTIES_PER_ROLE_MAX + 1]), expected);
}

#[test]
fn parts_of_a_submission_must_fit_together() {
    let check = |change: fn(&mut Submission)| {
        let mut changed = submission();
        change(&mut changed);
        changed.encode().unwrap_err()
    };
    let expected = ProtocolError::ForeignCommitment { expected: 41, given: 40 };
    assert_eq!(check(|submission| submission.commitment.body.lease = 40), expected);
    let expected = ProtocolError::ForeignWorker { expected: 0, given: 1 };
    assert_eq!(check(|submission| submission.commitment.body.worker = 1), expected);
    let expected = ProtocolError::RolloutCount { expected: 2, given: 1 };
    assert_eq!(check(|submission| submission.rollouts.truncate(1)), expected);
}

#[test]
fn small_records_have_a_small_limit() {
    let given = BYTES_PER_NOTE_MAX + 1;
    let expected = ProtocolError::TooManyBytes { limit: BYTES_PER_NOTE_MAX, given };
    assert_eq!(PromptLease::decode(&vec![2; given]).unwrap_err(), expected);
    // The largest numbers take the most bytes, and stay far below the limit.
    let largest = PromptLease {
        lease: u64::MAX,
        task: u32::MAX,
        item: u64::MAX,
        weight_version: u64::MAX,
        worker: u32::MAX,
        worker_lease: u64::MAX,
        beacon: protocol::BeaconPoint { round: u64::MAX, randomness: [255; 32] },
        ..lease()
    };
    let signed = Signed { body: largest, ..super::signed_lease() };
    assert!(signed.encode().unwrap().len() < 300);
}

#[test]
fn whatever_is_sealed_or_submitted_fits_into_what_carries_it() {
    const { assert!(Signed::<Verdict>::BYTES_MAX >= Verdict::BYTES_MAX + 96) };
    const { assert!(VerdictReveal::BYTES_MAX >= Signed::<Verdict>::BYTES_MAX + 32) };
    const { assert!(protocol::CheckOrder::BYTES_MAX >= Submission::BYTES_MAX + 42) };
}

#[test]
fn kind_of_bytes_that_are_too_short_or_of_another_format_is_unknown() {
    assert!(matches!(record_kind(&[]), Err(ProtocolError::Malformed { field: "format", .. })));
    assert!(matches!(record_kind(&[RECORD_FORMAT]), Err(ProtocolError::Malformed { field: "kind", .. })));
    assert_eq!(record_kind(&[1, 1]), Err(ProtocolError::UnknownFormat { expected: RECORD_FORMAT, given: 1 }));
}

#[test]
fn group_refuses_strangers_twins_and_other_prompts() {
    let mut strange = group();
    strange.rollouts[1].lease = 40;
    let expected = ProtocolError::ForeignRollout { expected: 41, given: 40 };
    assert_eq!(strange.check().unwrap_err(), expected);
    let mut twins = group();
    twins.rollouts[1].sample_index = 0;
    let expected = ProtocolError::SampleIndex { group_size: 2, given: 0 };
    assert_eq!(twins.check().unwrap_err(), expected);
    let mut other = group();
    other.rollouts[1].prompt_tokens[0] = 6;
    let expected = ProtocolError::PromptMismatch { lease: 41, sample_index: 1 };
    assert_eq!(other.check().unwrap_err(), expected);
}

#[test]
fn every_cut_of_a_record_is_refused() {
    let bytes = group().encode().unwrap();
    for length in 0..bytes.len() {
        let refused = Group::decode(&bytes[..length]).unwrap_err();
        assert!(matches!(refused, ProtocolError::Malformed { .. }), "{length}: {refused}");
    }
    let bytes = reveal().encode().unwrap();
    for length in 0..bytes.len() {
        let refused = VerdictReveal::decode(&bytes[..length]).unwrap_err();
        assert!(matches!(refused, ProtocolError::Malformed { .. }), "{length}: {refused}");
    }
}
