//! Rounds of the real network, and what is not one.
use proof::beacon::BeaconError;
use proof::beacon::drand::{CHAINS, Chain, DEFAULT, Key, QUICKNET, chain, named, round_at, verify};
use sha2::{Digest, Sha256};

struct Round {
    chain: Chain,
    round: u64,
    signature: Vec<u8>,
    previous: Vec<u8>,
    randomness: [u8; 32],
}

fn rounds() -> Vec<Round> {
    let file = include_str!("../fixtures/drand_rounds.txt");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, round, signature, previous, randomness] = fields[..] else { panic!("five fields: {line}") };
        Round {
            chain: *named(name).unwrap(),
            round: round.parse().unwrap(),
            signature: hex::decode(signature).unwrap(),
            previous: hex::decode(previous.trim_matches('-')).unwrap(),
            randomness: hex::decode(randomness).unwrap().try_into().unwrap(),
        }
    };
    lines.map(read).collect()
}

#[test]
fn published_rounds_verify_and_give_their_randomness() {
    let rounds = rounds();
    assert_eq!(rounds.len(), 4);
    for one in rounds {
        let point = verify(&one.chain, one.round, &one.signature, &one.previous).unwrap();
        assert_eq!((point.round, point.randomness), (one.round, one.randomness));
    }
}

#[test]
fn the_hash_of_a_chain_is_the_hash_of_its_terms() {
    for known in CHAINS {
        let mut hash = Sha256::new();
        hash.update(known.period_s.to_be_bytes());
        hash.update(known.genesis_unix_s.to_be_bytes());
        match known.key {
            Key::Linked(key) => hash.update(key),
            Key::Unlinked(key) => hash.update(key),
        }
        hash.update(known.group_hash);
        if known.name != "default" {
            hash.update(known.name);
        }
        assert_eq!(<[u8; 32]>::from(hash.finalize()), known.hash, "{}", known.name);
        assert_eq!(chain(&known.hash), Some(&known));
    }
    assert_eq!(chain(&[0; 32]), None);
}

#[test]
fn a_signature_of_another_round_is_refused() {
    for one in rounds().into_iter().filter(|one| one.round > 1) {
        let round = one.round + 1;
        let refused = verify(&one.chain, round, &one.signature, &one.previous);
        assert_eq!(refused, Err(BeaconError::SignatureWrong { round }));
    }
}

#[test]
fn a_changed_signature_or_link_is_refused() {
    for one in rounds() {
        let round = one.round;
        for at in [0, one.signature.len() / 2, one.signature.len() - 1] {
            let mut signature = one.signature.clone();
            signature[at] ^= 1;
            let refused = verify(&one.chain, round, &signature, &one.previous).unwrap_err();
            let wrong = BeaconError::SignatureWrong { round };
            assert!(refused == wrong || refused == BeaconError::SignaturePoint { round });
        }
        if let Some(last) = one.previous.last() {
            let mut previous = one.previous.clone();
            *previous.last_mut().unwrap() = last ^ 1;
            let refused = verify(&one.chain, round, &one.signature, &previous);
            assert_eq!(refused, Err(BeaconError::SignatureWrong { round }));
        }
    }
}

#[test]
fn the_point_at_infinity_signs_nothing() {
    let mut nothing = [0u8; 48];
    nothing[0] = 0xc0;
    let refused = verify(&QUICKNET, 5, &nothing, &[]);
    assert_eq!(refused, Err(BeaconError::SignatureWrong { round: 5 }));
}

#[test]
fn lengths_are_checked_first() {
    let length = |field, round, expected, given| Err(BeaconError::SignatureLength { field, round, expected, given });
    assert_eq!(verify(&QUICKNET, 5, &[0; 47], &[]), length("signature", 5, 48, 47));
    assert_eq!(verify(&QUICKNET, 5, &[0; 48], &[1]), length("previous signature", 5, 0, 1));
    assert_eq!(verify(&DEFAULT, 5, &[0; 96], &[0; 32]), length("previous signature", 5, 96, 32));
    assert_eq!(verify(&DEFAULT, 1, &[0; 96], &[0; 96]), length("previous signature", 1, 32, 96));
    let none = BeaconError::NoSuchRound { limit: u64::MAX, given: 0 };
    assert_eq!(verify(&QUICKNET, 0, &[0; 48], &[]), Err(none));
}

#[test]
fn rounds_follow_the_clock() {
    let genesis = QUICKNET.genesis_unix_s;
    assert_eq!(round_at(&QUICKNET, genesis - 1), 0);
    assert_eq!(round_at(&QUICKNET, genesis), 1);
    assert_eq!(round_at(&QUICKNET, genesis + 2), 1);
    assert_eq!(round_at(&QUICKNET, genesis + 3), 2);
    // Ten days of 2880 rounds after the first.
    assert_eq!(round_at(&DEFAULT, DEFAULT.genesis_unix_s + 864_000), 28_801);
    assert_eq!(round_at(&QUICKNET, u64::MAX), 1 + (u64::MAX - genesis) / 3);
}
