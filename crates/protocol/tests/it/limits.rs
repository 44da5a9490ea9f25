//! Bad records are refused by name, before memory is taken for them.
use protocol::constants::{BYTES_PER_RECORD_MAX, SAMPLES_PER_GROUP_MAX, TOKENS_PER_ROLLOUT_MAX};
use protocol::{Group, PromptLease, ProtocolError, Record, Rollout};

use super::{group, lease, rollout};

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
    let bytes = [vec![1, 2, 0, 0], varint(1 << 60)].concat();
    let refused = Rollout::decode(&bytes).unwrap_err();
    let expected = ProtocolError::TooManyTokens { limit: TOKENS_PER_ROLLOUT_MAX, given: 1 << 60 };
    assert_eq!(refused, expected);
}

#[test]
fn announced_length_beyond_the_bytes_at_hand_is_malformed() {
    let bytes = [vec![1, 2, 0, 0], varint(1000), vec![1; 999]].concat();
    let refused = Rollout::decode(&bytes).unwrap_err();
    assert!(matches!(refused, ProtocolError::Malformed { field: "prompt_tokens", .. }));
}

#[test]
fn too_many_samples_are_refused_with_limit_and_count() {
    let head = lease().encode().unwrap();
    let bytes = [vec![1, 3], head[2..].to_vec(), varint(5000)].concat();
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
    let expected = ProtocolError::UnknownFormat { expected: 1, given: 9 };
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
fn every_cut_of_a_group_is_refused() {
    let bytes = group().encode().unwrap();
    for length in 0..bytes.len() {
        let refused = Group::decode(&bytes[..length]).unwrap_err();
        assert!(matches!(refused, ProtocolError::Malformed { .. }), "{length}: {refused}");
    }
}
